//! What the database itself says about its tables: columns, and the foreign keys that act by themselves.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbErr, Statement};

/// What happens to a child row when its parent goes, or changes its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing: the statement fails while there is a child.
    Refuse,
    Cascade,
    /// The child's columns become null, or their defaults.
    Reset,
}

/// One foreign key.
#[derive(Clone, Debug)]
pub(crate) struct ForeignKey {
    pub child: String,
    pub child_columns: Vec<String>,
    pub parent: String,
    pub parent_columns: Vec<String>,
    pub on_delete: Action,
    pub on_update: Action,
    /// Whether it may be checked only when the transaction commits, so that a statement that breaks it does not fail.
    pub deferred: bool,
}

/// The tables of the database as they are.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    columns: BTreeMap<String, Vec<CatalogColumn>>,
    foreign_keys: Vec<ForeignKey>,
    compared: BTreeSet<String>,
    unique_keys: BTreeMap<String, Vec<Vec<String>>>,
}

#[derive(Debug)]
struct CatalogColumn {
    name: String,
    generated: bool,
}

impl Catalog {
    /// Reads the catalog of the connection's main schema: three statements.
    pub(crate) async fn load<C: ConnectionTrait>(conn: &C) -> Result<Self, DbErr> {
        let backend = conn.get_database_backend();
        let rows = conn
            .query_all_raw(Statement::from_string(
                backend,
                "SELECT m.name, c.name, c.hidden, c.pk FROM sqlite_master m, pragma_table_xinfo(m.name) c \
                 WHERE m.type = 'table' ORDER BY m.name, c.cid",
            ))
            .await?;
        let mut columns: BTreeMap<String, Vec<CatalogColumn>> = BTreeMap::new();
        let mut keys: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
        for row in rows {
            let table: String = row.try_get_by_index(0)?;
            let name: String = row.try_get_by_index(1)?;
            let hidden: i64 = row.try_get_by_index(2)?;
            let place: i64 = row.try_get_by_index(3)?;
            if place > 0 {
                keys.entry(table.clone()).or_default().push((place, name.clone()));
            }
            let generated = hidden == 2 || hidden == 3;
            let column = CatalogColumn { name, generated };
            columns.entry(table).or_default().push(column);
        }
        for key in keys.values_mut() {
            key.sort();
        }
        let foreign_keys = foreign_keys(conn, &columns, &keys).await?;
        let compared = compared(conn).await?;
        Ok(Self {
            columns,
            foreign_keys,
            compared,
            unique_keys: BTreeMap::new(),
        })
    }

    /// The table's columns, `None` when there is no such table.
    pub(crate) fn columns(&self, table: &str) -> Option<BTreeSet<&str>> {
        let columns = self.columns.get(table)?;
        Some(columns.iter().map(|column| column.name.as_str()).collect())
    }

    /// The columns that an insert without a list of columns fills, in their order.
    pub(crate) fn insertable(&self, table: &str) -> Vec<String> {
        let columns = self.columns.get(table).into_iter().flatten();
        columns
            .filter(|column| !column.generated)
            .map(|column| column.name.clone())
            .collect()
    }

    /// Whether the database computes the column itself.
    pub(crate) fn is_generated(&self, table: &str, column: &str) -> bool {
        self.columns
            .get(table)
            .is_some_and(|columns| columns.iter().any(|c| c.generated && c.name == column))
    }

    /// The columns of each unique index, but for the primary key's.
    pub(crate) fn unique_keys(&self, table: &str) -> &[Vec<String>] {
        self.unique_keys.get(table).map_or(&[], Vec::as_slice)
    }

    /// Whether what a statement does to the table shows only in its rows: a trigger may change what was written, or a key
    /// may be found by another text than its own (`COLLATE NOCASE`).
    pub(crate) fn must_compare(&self, table: &str) -> bool {
        self.compared.contains(table)
    }

    /// The foreign keys whose parent is `table`.
    pub(crate) fn children_of(&self, table: &str) -> impl Iterator<Item = &ForeignKey> {
        let table = table.to_owned();
        self.foreign_keys
            .iter()
            .filter(move |key| key.parent.eq_ignore_ascii_case(&table))
    }

    /// The foreign keys whose child is `table`.
    pub(crate) fn parents_of(&self, table: &str) -> impl Iterator<Item = &ForeignKey> {
        let table = table.to_owned();
        self.foreign_keys
            .iter()
            .filter(move |key| key.child.eq_ignore_ascii_case(&table))
    }

    /// The tables from which a write can reach one of `targets` through foreign keys that act, the targets included.
    pub(crate) fn reaching<'a>(&'a self, targets: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let mut reached: BTreeSet<String> = targets.into_iter().map(str::to_owned).collect();
        loop {
            let more: Vec<_> = self
                .foreign_keys
                .iter()
                .filter(|key| key.on_delete != Action::Refuse || key.on_update != Action::Refuse)
                .filter(|key| reached.contains(&key.child) && !reached.contains(&key.parent))
                .map(|key| key.parent.clone())
                .collect();
            if more.is_empty() {
                return reached;
            }
            reached.extend(more);
        }
    }
}

async fn foreign_keys<C: ConnectionTrait>(
    conn: &C,
    columns: &BTreeMap<String, Vec<CatalogColumn>>,
    keys: &BTreeMap<String, Vec<(i64, String)>>,
) -> Result<Vec<ForeignKey>, DbErr> {
    let backend = conn.get_database_backend();
    let rows = conn
        .query_all_raw(Statement::from_string(
            backend,
            "SELECT m.name, f.id, f.seq, f.\"table\", f.\"from\", f.\"to\", f.on_delete, f.on_update, \
             m.sql LIKE '%DEFERRED%' AND (SELECT foreign_keys FROM pragma_foreign_keys) \
             FROM sqlite_master m, pragma_foreign_key_list(m.name) f \
             WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq",
        ))
        .await?;
    let mut found: BTreeMap<(String, i64), ForeignKey> = BTreeMap::new();
    for row in rows {
        let child: String = row.try_get_by_index(0)?;
        let parent = cased(columns.keys(), row.try_get_by_index(3)?);
        let sequence: i64 = row.try_get_by_index(2)?;
        let to: Option<String> = row.try_get_by_index(5)?;
        // Without named columns, a foreign key means the parent's primary key.
        let implied = || {
            let place = usize::try_from(sequence).ok()?;
            Some(keys.get(&parent)?.get(place)?.1.clone())
        };
        let to = to.or_else(implied).unwrap_or_default();
        let key = found
            .entry((child.clone(), row.try_get_by_index(1)?))
            .or_insert(ForeignKey {
                child,
                child_columns: Vec::new(),
                parent: parent.clone(),
                parent_columns: Vec::new(),
                on_delete: action(&row.try_get_by_index::<String>(6)?),
                on_update: action(&row.try_get_by_index::<String>(7)?),
                // The catalog does not say which key of a table it is; all of them is the safe side.
                deferred: row.try_get_by_index::<Option<bool>>(8)?.unwrap_or(false),
            });
        let names = |table: &str| columns.get(table).into_iter().flatten().map(|column| &column.name);
        key.child_columns
            .push(cased(names(&key.child), row.try_get_by_index(4)?));
        key.parent_columns.push(cased(names(&parent), to));
    }
    Ok(found.into_values().collect())
}

async fn compared<C: ConnectionTrait>(conn: &C) -> Result<BTreeSet<String>, DbErr> {
    let rows = conn
        .query_all_raw(Statement::from_string(
            conn.get_database_backend(),
            "SELECT m.name FROM sqlite_master m, sqlite_master t \
             WHERE m.type = 'table' AND t.type = 'trigger' AND lower(t.tbl_name) = lower(m.name) \
             UNION SELECT m.name FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) c \
             WHERE m.type = 'table' AND i.origin = 'pk' AND c.key = 1 AND upper(c.coll) <> 'BINARY'",
        ))
        .await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// A name as the table's own definition has it: foreign keys may write it with other letters' case.
fn cased<'a>(names: impl IntoIterator<Item = &'a String>, name: String) -> String {
    names
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(&name))
        .cloned()
        .unwrap_or(name)
}

fn action(name: &str) -> Action {
    match name {
        "CASCADE" => Action::Cascade,
        "SET NULL" | "SET DEFAULT" => Action::Reset,
        _ => Action::Refuse,
    }
}

/// The columns of a table's unique indexes, but for those of its primary key, and whether each may be null.
pub(crate) async fn unique_columns<C: ConnectionTrait>(
    conn: &C,
    table: &str,
) -> Result<BTreeSet<(String, bool)>, DbErr> {
    let statement = Statement::from_sql_and_values(
        conn.get_database_backend(),
        "SELECT c.name, NOT t.\"notnull\" FROM pragma_index_list(?1) i, pragma_index_info(i.name) c \
         JOIN pragma_table_xinfo(?1) t ON t.name = c.name WHERE i.\"unique\" AND i.origin <> 'pk'",
        [table.into()],
    );
    let rows = conn.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect()
}

/// The tables with a constraint of which SQLite deletes the row in conflict (`ON CONFLICT REPLACE`), telling nobody.
pub(crate) async fn replacing<C: ConnectionTrait>(conn: &C) -> Result<BTreeSet<String>, DbErr> {
    let rows = conn
        .query_all_raw(Statement::from_string(
            conn.get_database_backend(),
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL",
        ))
        .await?;
    let mut tables = BTreeSet::new();
    for row in rows {
        let definition: String = row.try_get_by_index(1)?;
        let words: Vec<_> = definition
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_uppercase)
            .collect();
        if words.windows(3).any(|three| three == ["ON", "CONFLICT", "REPLACE"]) {
            tables.insert(row.try_get_by_index(0)?);
        }
    }
    Ok(tables)
}
