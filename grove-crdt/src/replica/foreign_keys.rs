//! What foreign keys will do behind a statement: the rows they will delete or change are found first, so that they are
//! captured with the statement.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};

use crate::{
    entity::{Registry, Row, Table},
    error::Error,
    replica::{
        fragment::{Fragments, columns_of, quoted},
        selection::Selection,
        statement::refusal,
        watch::Watch,
    },
    store::{
        catalog::{Action, Catalog, ForeignKey},
        chunks, dialect, query_text,
    },
};

/// How deep a cascade is followed through rows of tables that are not replicated.
const MAX_DEPTH: usize = 32;

/// Follows the foreign keys of a database.
pub(super) struct Cascade<'a> {
    pub tx: &'a DatabaseTransaction,
    pub registry: &'a Registry,
    pub catalog: &'a Catalog,
}

/// Rows whose children are looked for.
pub(super) enum Parents<'a> {
    /// Those that a statement names.
    Selected(&'a Selection<'a>),
    /// Those of a replicated table with these keys.
    Keyed(&'a Arc<Table>, &'a [Vec<Value>]),
    /// The children of others, in a table that is not replicated.
    Children(&'a Parents<'a>, &'a ForeignKey),
}

impl<'a> Parents<'a> {
    fn table(&self) -> &str {
        match self {
            Self::Selected(selection) => selection.table(),
            Self::Keyed(table, _) => &table.name,
            Self::Children(_, key) => &key.child,
        }
    }

    /// Columns that there are for sure.
    fn columns(&self) -> &[String] {
        match self {
            Self::Children(_, key) => &key.child_columns,
            Self::Selected(_) | Self::Keyed(..) => &[],
        }
    }

    fn fragments(&self, backend: sea_orm::DbBackend) -> Fragments<'a> {
        match self {
            Self::Selected(selection) => selection.fragments(),
            Self::Keyed(..) => Fragments::new(&[], backend),
            Self::Children(parents, _) => parents.fragments(backend),
        }
    }

    fn sub_select(&self, columns: &[String], fragments: &mut Fragments<'_>) -> String {
        let list = |table: &str| {
            let names: Vec<_> = columns
                .iter()
                .map(|c| format!("{}.{}", quoted(table), quoted(c)))
                .collect();
            names.join(", ")
        };
        match self {
            Self::Selected(selection) => selection.sub_select(columns, fragments),
            Self::Keyed(table, keys) => {
                let names: Vec<_> = table.key_columns().map(|c| c.name.clone()).collect();
                let mut tuples = Vec::new();
                for key in *keys {
                    let bound: Vec<_> = key.iter().map(|value| fragments.bind(value.clone())).collect();
                    tuples.push(format!("({})", bound.join(", ")));
                }
                let name = quoted(&table.name);
                let key = columns_of(&name, &names);
                format!(
                    "SELECT {} FROM {name} WHERE {key} IN (VALUES {})",
                    list(&table.name),
                    tuples.join(", ")
                )
            }
            Self::Children(parents, key) => {
                let name = quoted(&key.child);
                let child = columns_of(&name, &key.child_columns);
                let parents = parents.sub_select(&key.parent_columns, fragments);
                format!("SELECT {} FROM {name} WHERE {child} IN ({parents})", list(&key.child))
            }
        }
    }
}

impl Cascade<'_> {
    /// Watches what a delete of `parents` takes along.
    pub(super) fn of_delete<'b>(
        &'b self,
        parents: &'b Parents<'b>,
        watch: &'b mut Watch,
        depth: usize,
    ) -> BoxFuture<'b, Result<(), Error>> {
        async move {
            for key in self.catalog.children_of(parents.table()) {
                if key.on_delete == Action::Refuse {
                    continue;
                }
                let Some(table) = self.registry.get(&key.child) else {
                    let children = Parents::Children(parents, key);
                    if self.leads_further(&children, depth).await? {
                        if key.on_delete == Action::Cascade {
                            self.of_delete(&children, watch, depth + 1).await?;
                        } else {
                            self.of_update(&children, &key.child_columns, watch, depth + 1).await?;
                        }
                    }
                    continue;
                };
                let rows = self.children(parents, key, table).await?;
                let fresh = watch.rows(table, rows)?;
                for keys in chunks(&fresh, table.key.len()) {
                    let children = Parents::Keyed(table, keys);
                    if key.on_delete == Action::Cascade {
                        self.of_delete(&children, watch, depth).await?;
                    } else {
                        self.of_update(&children, &key.child_columns, watch, depth).await?;
                    }
                }
            }
            Ok(())
        }
        .boxed()
    }

    /// Watches what an update of `columns` of `parents` changes along.
    pub(super) fn of_update<'b>(
        &'b self,
        parents: &'b Parents<'b>,
        columns: &'b [String],
        watch: &'b mut Watch,
        depth: usize,
    ) -> BoxFuture<'b, Result<(), Error>> {
        async move {
            for key in self.catalog.children_of(parents.table()) {
                let touched = key
                    .parent_columns
                    .iter()
                    .any(|c| columns.iter().any(|u| u.eq_ignore_ascii_case(c)));
                if key.on_update == Action::Refuse || !touched {
                    continue;
                }
                let Some(table) = self.registry.get(&key.child) else {
                    let children = Parents::Children(parents, key);
                    if self.leads_further(&children, depth).await? {
                        self.of_update(&children, &key.child_columns, watch, depth + 1).await?;
                    }
                    continue;
                };
                let rows = self.children(parents, key, table).await?;
                if rows.is_empty() {
                    continue;
                }
                if table
                    .key_columns()
                    .any(|column| key.child_columns.contains(&column.name))
                {
                    return Err(refusal(
                        format!(
                            "an update of `{}` that cascades into the key of `{}`",
                            parents.table(),
                            table.name
                        ),
                        "insert the new rows and delete the old ones",
                    ));
                }
                let fresh = watch.rows(table, rows)?;
                for keys in chunks(&fresh, table.key.len()) {
                    let children = Parents::Keyed(table, keys);
                    self.of_update(&children, &key.child_columns, watch, depth).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }

    /// Whether there are rows of a table that is not replicated from which foreign keys reach one that is.
    async fn leads_further(&self, children: &Parents<'_>, depth: usize) -> Result<bool, Error> {
        let reaching = self
            .catalog
            .reaching(self.registry.iter().map(|table| table.name.as_str()));
        if !reaching.contains(children.table()) {
            return Ok(false);
        }
        let mut fragments = children.fragments(self.tx.get_database_backend());
        let rows = children.sub_select(children.columns(), &mut fragments);
        let sql = format!("SELECT 1 FROM ({rows}) AS \"grove_rows\" LIMIT 1");
        if query_text(self.tx, sql, fragments.into_values()).await?.is_empty() {
            return Ok(false);
        }
        if depth >= MAX_DEPTH {
            return Err(refusal(
                format!(
                    "a cascade through more than {MAX_DEPTH} rows, or in a circle, at `{}`",
                    children.table()
                ),
                "delete or update the children first",
            ));
        }
        Ok(true)
    }

    /// The rows of `table` that refer to `parents`.
    async fn children(&self, parents: &Parents<'_>, key: &ForeignKey, table: &Table) -> Result<Vec<Row>, Error> {
        let backend = self.tx.get_database_backend();
        let mut fragments = parents.fragments(backend);
        let parents = parents.sub_select(&key.parent_columns, &mut fragments);
        let child = columns_of(&quoted(&key.child), &key.child_columns);
        let sql = format!(
            "{} WHERE {child} IN ({parents}){}",
            backend.build(&table.select()).sql,
            dialect::for_update_text(backend)
        );
        let rows = query_text(self.tx, sql, fragments.into_values()).await?;
        rows.iter().map(|row| Ok(table.decode(row)?)).collect()
    }
}
