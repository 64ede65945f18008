//! What the database itself says about its tables: columns, unique keys, and the foreign keys that act by themselves.
//!
//! A catalog is that of the tables a bare name finds: SQLite's main schema, the schemas of PostgreSQL's search path,
//! the current database of MySQL and MariaDB. An entity's table must bear the very name that it has in the catalog.

mod mysql;
mod postgres;
mod sqlite;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

pub(crate) use table::{Action, ForeignKey, Storage, UniqueKey};

use table::{Column, Table};

/// The tables of the database as they are.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    tables: BTreeMap<String, Table>,
    foreign_keys: Vec<ForeignKey>,
    /// Whether names of tables that differ only in letters' case are one name.
    folds_case: bool,
}

impl Catalog {
    /// Reads the catalog: three statements on SQLite and PostgreSQL, five on MySQL and MariaDB.
    pub(crate) async fn load<C: ConnectionTrait>(conn: &C) -> Result<Self, DbErr> {
        let mut catalog = match conn.get_database_backend() {
            DbBackend::Postgres => postgres::load(conn).await?,
            DbBackend::MySql => mysql::load(conn).await?,
            _ => sqlite::load(conn).await?,
        };
        for table in catalog.tables.values_mut() {
            table.loose_key |= table.has_loose_key();
            table.mark_loose_keys();
        }
        Ok(catalog)
    }

    /// The table's columns, `None` when there is no such table.
    pub(crate) fn columns(&self, table: &str) -> Option<BTreeSet<&str>> {
        let table = self.tables.get(table)?;
        Some(table.columns.iter().map(|column| column.name.as_str()).collect())
    }

    /// The columns that an insert without a list of columns fills, in their order.
    pub(crate) fn insertable(&self, table: &str) -> Vec<String> {
        self.tables
            .get(table)
            .map_or_else(Vec::new, |table| table.insertable.clone())
    }

    /// Whether the database computes the column itself.
    pub(crate) fn is_generated(&self, table: &str, column: &str) -> bool {
        self.column(table, column).is_some_and(|column| column.generated)
    }

    /// How the database stores the column's values.
    pub(crate) fn storage(&self, table: &str, column: &str) -> Option<&Storage> {
        self.column(table, column).map(|column| &column.storage)
    }

    /// Whether what a statement does to the table shows only in its rows: a trigger, a rule or an `ON UPDATE` column
    /// may change what was written, or a row may be found by another key than its own (`a` by `A`, `1.0` by `1`).
    pub(crate) fn must_compare(&self, table: &str) -> bool {
        let table = self.tables.get(table);
        table.is_some_and(|table| table.altered || table.loose_key)
    }

    /// Whether the database may change what is written to the table: by a trigger, a rule or an `ON UPDATE` column.
    pub(crate) fn may_alter(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|table| table.altered)
    }

    /// Whether a row of the table may be found by another key than its own.
    pub(crate) fn has_loose_key(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|table| table.loose_key)
    }

    /// Whether the primary key of the table may be checked only when the transaction commits.
    pub(crate) fn has_deferred_key(&self, table: &str) -> bool {
        let table = self.tables.get(table);
        table.is_some_and(|table| table.primary.as_ref().is_some_and(|key| key.deferred))
    }

    /// Whether the table has a constraint, other than a foreign key, that may be checked only when the transaction commits.
    pub(crate) fn has_deferrable(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|table| table.deferrable)
    }

    /// Whether rows of the table refer to others of it by a key that updates of these make null or reset.
    pub(crate) fn resets_itself(&self, table: &str) -> bool {
        let mut keys = self.parents_of(table);
        keys.any(|key| key.on_update == Action::Reset && self.is_same(&key.parent, table))
    }

    /// Whether the column may be null.
    pub(crate) fn is_nullable(&self, table: &str, column: &str) -> bool {
        self.column(table, column).is_some_and(|column| column.nullable)
    }

    /// The primary key and the other unique keys of the table, the primary key first.
    pub(crate) fn unique_keys(&self, table: &str) -> impl Iterator<Item = &UniqueKey> {
        let table = self.tables.get(table);
        table
            .into_iter()
            .flat_map(|table| table.primary.iter().chain(&table.unique))
    }

    /// The unique key by the name that an error calls it: `slug_key`, `documents.slug_key` (MySQL), or its columns
    /// `documents.author, documents.slug` (SQLite).
    pub(crate) fn unique_key(&self, table: &str, name: &str) -> Option<&UniqueKey> {
        let prefix = format!("{table}.");
        let is_meant = |key: &&UniqueKey| {
            let columns: Vec<_> = key.columns.iter().map(|column| format!("{prefix}{column}")).collect();
            name == key.name
                || name.strip_prefix(&prefix) == Some(&key.name)
                || name == columns.join(", ")
                || name == format!("index '{}'", key.name)
        };
        self.unique_keys(table).find(is_meant)
    }

    /// The foreign keys whose parent is `table`.
    pub(crate) fn children_of(&self, table: &str) -> impl Iterator<Item = &ForeignKey> {
        self.foreign_keys
            .iter()
            .filter(move |key| self.is_same(&key.parent, table))
    }

    /// The foreign keys whose child is `table`.
    pub(crate) fn parents_of(&self, table: &str) -> impl Iterator<Item = &ForeignKey> {
        self.foreign_keys
            .iter()
            .filter(move |key| self.is_same(&key.child, table))
    }

    /// The tables from which a write can reach one of `targets` through foreign keys that act, the targets included.
    pub(crate) fn reaching<'a>(&'a self, targets: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let mut reached: BTreeSet<String> = targets.into_iter().map(str::to_owned).collect();
        loop {
            let more: Vec<_> = self
                .foreign_keys
                .iter()
                .filter(|key| key.on_delete.acts() || key.on_update.acts())
                .filter(|key| reached.contains(&key.child) && !reached.contains(&key.parent))
                .map(|key| key.parent.clone())
                .collect();
            if more.is_empty() {
                return reached;
            }
            reached.extend(more);
        }
    }

    fn column(&self, table: &str, column: &str) -> Option<&Column> {
        let table = self.tables.get(table)?;
        table.columns.iter().find(|known| known.name == column)
    }

    /// Whether two names are of one table.
    pub(crate) fn is_same(&self, one: &str, other: &str) -> bool {
        one == other || (self.folds_case && one.eq_ignore_ascii_case(other))
    }
}

/// The tables with a constraint of which SQLite deletes the row in conflict (`ON CONFLICT REPLACE`), telling nobody.
pub(crate) async fn replacing<C: ConnectionTrait>(conn: &C) -> Result<BTreeSet<String>, DbErr> {
    match conn.get_database_backend() {
        DbBackend::Sqlite => sqlite::replacing(conn).await,
        _ => Ok(BTreeSet::new()),
    }
}
