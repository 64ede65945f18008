//! Making ready what a statement records, while the database runs it: where a transaction was begun for that statement alone, and
//! it can be told before what rows it brings.

use std::sync::Arc;

use sea_orm::DatabaseTransaction;

use crate::{
    clock::Hlc,
    entity::{Row, Table, key},
    error::Error,
    replica::{session::Session, steps},
    store::{
        shadow::{Births, Blind, Written},
        version::Taken,
    },
};

/// The births of the rows that an insert brings, to be written once they are there.
pub(super) struct Ahead {
    births: Births,
    table: Arc<Table>,
    at: Hlc,
}

/// Makes the births of these rows ready, if they can be written by one statement that reads nothing.
pub(super) async fn of(
    session: &Session,
    tx: &DatabaseTransaction,
    table: &Arc<Table>,
    rows: &[Row],
) -> Result<Option<Ahead>, Error> {
    let core = &session.core;
    // A version that others have to wait for is taken after the rows are written.
    if !session.goes_along() || core.may_have_parked() || core.numbering.is_exclusive() {
        return Ok(None);
    }
    core.may_write()?;
    let columns = steps::birth_columns(table);
    let birth = |row: &Row| Ok([key::of_row(table, row)?, steps::birth(table, &columns, row)?]);
    let mut births = rows.iter().map(birth).collect::<Result<Vec<_>, Error>>()?;
    births.sort_unstable();
    let taken = core.numbering.take(tx, Taken::Not).await?;
    let at = core.clock.tick(None);
    let blind = Blind::new(tx, &core.texts, &core.registry, table, &at, taken);
    let births = blind.ready(births)?;
    Ok(births.map(|births| Ahead {
        births,
        table: table.clone(),
        at,
    }))
}

impl Ahead {
    /// Writes them, and returns which of the rows are recorded. What was done to the others has yet to be.
    pub(super) async fn run(self, session: &Session, tx: &DatabaseTransaction) -> Result<Written, Error> {
        let count = self.births.len();
        let (written, taken) = self.births.write(tx).await?;
        session.recorded(&self.table, self.at, count, &written, taken);
        Ok(written)
    }
}
