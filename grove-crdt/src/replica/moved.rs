//! Which rows an update wrote, where the database tells: on PostgreSQL a row that is written moves to another place.
//!
//! An update whose rows depend on other rows may find others than were read just before it, and as many of them: an
//! `UPDATE … WHERE id = (SELECT …)` that takes the first of a queue finds the one that came in between. Counting does not
//! show it.

use std::{collections::BTreeSet, sync::Arc};

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Value};

use crate::{
    entity::Table,
    error::Error,
    replica::{count::escaped, fragment::Fragments, selection::Selection},
    store::{chunks, query_text},
};

/// Rows and their places before a statement.
#[derive(Debug)]
pub(super) struct Places {
    table: Arc<Table>,
    keys: Vec<Vec<Value>>,
    before: BTreeSet<String>,
}

impl Places {
    /// Where the rows with these keys are, when an update of them has to be looked after.
    pub(super) async fn before(
        tx: &DatabaseTransaction,
        selection: &Selection<'_>,
        table: &Arc<Table>,
        keys: Vec<Vec<Value>>,
    ) -> Result<Option<Self>, Error> {
        if tx.get_database_backend() != DbBackend::Postgres || !selection.depends_on_others() {
            return Ok(None);
        }
        Ok(Some(Self {
            before: places(tx, table, &keys).await?,
            table: table.clone(),
            keys,
        }))
    }

    /// # Errors
    ///
    /// More rows were written than have moved: some of them are others.
    pub(super) async fn check(&self, tx: &DatabaseTransaction, written: Option<usize>) -> Result<(), Error> {
        let Some(written) = written else { return Ok(()) };
        let after = places(tx, &self.table, &self.keys).await?;
        let moved = self.before.difference(&after).count();
        match written.checked_sub(moved) {
            None | Some(0) => Ok(()),
            Some(rows) => Err(escaped(rows, DbBackend::Postgres)),
        }
    }
}

async fn places(tx: &DatabaseTransaction, table: &Table, keys: &[Vec<Value>]) -> Result<BTreeSet<String>, Error> {
    let columns: Vec<_> = table.key_columns().map(|column| column.name.clone()).collect();
    let mut places = BTreeSet::new();
    for chunk in chunks(keys, columns.len()) {
        let mut fragments = Fragments::new(DbBackend::Postgres);
        let name = fragments.quoted(&table.name);
        let of = match &table.schema {
            Some(schema) => format!("{}.{name}", fragments.quoted(schema)),
            None => name.clone(),
        };
        let condition = fragments.among(&name, &columns, chunk);
        let text = format!("SELECT {name}.tableoid::text || {name}.ctid::text FROM {of} WHERE {condition}");
        let (sql, values) = fragments.finish(&text);
        for row in query_text(tx, sql, values).await? {
            places.insert(row.try_get_by_index(0)?);
        }
    }
    Ok(places)
}
