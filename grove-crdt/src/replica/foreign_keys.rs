//! What foreign keys will do behind a statement: the rows they will delete or change are found first, so that they are
//! captured with the statement.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Value};

use crate::{
    entity::{Registry, Row, Table},
    error::Error,
    replica::{fragment::Fragments, selection::Selection, statement::refusal, watch::Watch},
    store::{
        catalog::{Action, Catalog, ForeignKey},
        chunks, query_text,
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

    fn fragments(&self, backend: DbBackend) -> Fragments<'a> {
        match self {
            Self::Selected(selection) => selection.fragments(),
            Self::Keyed(..) => Fragments::new(backend),
            Self::Children(parents, _) => parents.fragments(backend),
        }
    }

    /// A sub-query for `columns` of the rows.
    fn sub_select(&self, columns: &[String], fragments: &mut Fragments<'_>) -> String {
        let Self::Selected(selection) = self else {
            let list = fragments.columns(&fragments.quoted(self.table()), columns);
            let (from, lock) = (self.from(fragments), fragments.for_update_inside());
            return format!("SELECT {list}{from}{lock}");
        };
        selection.sub_select(columns, fragments)
    }

    /// A query that gives a row for each of the rows, and locks them.
    fn locking(&self, fragments: &mut Fragments<'_>) -> String {
        let Self::Selected(selection) = self else {
            let from = self.from(fragments);
            return format!("SELECT 1{from}{}", fragments.for_update());
        };
        selection.locking(fragments)
    }

    fn from(&self, fragments: &mut Fragments<'_>) -> String {
        let name = fragments.quoted(self.table());
        let condition = match self {
            Self::Selected(_) => return String::new(),
            Self::Keyed(table, keys) => {
                let names: Vec<_> = table.key_columns().map(|c| c.name.clone()).collect();
                fragments.among(&name, &names, keys)
            }
            Self::Children(parents, key) => is_child(parents, key, fragments),
        };
        format!(" FROM {name} WHERE {condition}")
    }
}

/// The condition that a row of the key's child refers to one of `parents`.
fn is_child(parents: &Parents<'_>, key: &ForeignKey, fragments: &mut Fragments<'_>) -> String {
    let child = fragments.columns(&fragments.quoted(&key.child), &key.child_columns);
    let parents = parents.sub_select(&key.parent_columns, fragments);
    format!("({child}) IN ({parents})")
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
                if !key.on_delete.acts() {
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

    /// Whether an update of `columns` of a table changes anything along.
    pub(super) fn follows_update(&self, table: &str, columns: &[String]) -> bool {
        self.catalog.children_of(table).any(|key| acts_on_update(key, columns))
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
                if !acts_on_update(key, columns) {
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
        if !self.lock(children).await? {
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

    /// Locks rows of a table that is not replicated, so that no children come to them any more. Tells whether there are any.
    pub(super) async fn lock(&self, parents: &Parents<'_>) -> Result<bool, Error> {
        let mut fragments = parents.fragments(self.tx.get_database_backend());
        let rows = parents.locking(&mut fragments);
        let alias = fragments.quoted("grove_rows");
        let text = match fragments.backend() {
            DbBackend::Sqlite => format!("SELECT 1 FROM ({rows}) AS {alias} LIMIT 1"),
            // All of them, to lock them all.
            _ => format!("SELECT 1 FROM ({rows}) AS {alias} HAVING count(*) > 0"),
        };
        let (sql, values) = fragments.finish(&text);
        Ok(!query_text(self.tx, sql, values).await?.is_empty())
    }

    /// The rows of `table` that refer to `parents`.
    async fn children(&self, parents: &Parents<'_>, key: &ForeignKey, table: &Table) -> Result<Vec<Row>, Error> {
        let backend = self.tx.get_database_backend();
        let mut fragments = parents.fragments(backend);
        let select = backend.build(&table.select()).sql;
        let condition = is_child(parents, key, &mut fragments);
        let names: Vec<_> = table.key_columns().map(|c| c.name.clone()).collect();
        let order = fragments.in_order_of(&fragments.quoted(&table.name), &names);
        let text = format!("{select} WHERE {condition}{order}{}", fragments.for_update());
        let (sql, values) = fragments.finish(&text);
        let rows = query_text(self.tx, sql, values).await?;
        rows.iter().map(|row| Ok(table.decode(row)?)).collect()
    }
}

fn acts_on_update(key: &ForeignKey, columns: &[String]) -> bool {
    let mut names = key.parent_columns.iter();
    key.on_update.acts() && names.any(|c| columns.iter().any(|u| u.eq_ignore_ascii_case(c)))
}
