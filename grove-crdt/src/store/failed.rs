//! What a statement has done that failed.

use sea_orm::{DatabaseTransaction, DbBackend, DbErr};

use crate::store::{
    driver_error::{Code, DriverError},
    query_text,
};

/// SQLite's code for a broken rule; what kind of rule it is stands in its higher bits.
const CONSTRAINT: u32 = 19;

/// Whether a statement that failed may have left what it had done before.
///
/// SQLite leaves it when a trigger says `RAISE(FAIL)` and where a constraint says `ON CONFLICT FAIL`, and its code tells neither
/// from the usual `ABORT`. After any other failure it takes back the statement, or the whole transaction. PostgreSQL takes back
/// the transaction or savepoint that the statement was in; InnoDB the statement, or in a deadlock the transaction.
pub(crate) fn may_leave_a_part(backend: DbBackend, error: &DbErr) -> bool {
    let code = DriverError::of(error).map(|error| error.code);
    backend == DbBackend::Sqlite && matches!(code, Some(Code::Sqlite(code)) if code & 0xff == CONSTRAINT)
}

/// What such a statement has left in its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    /// How many rows it has written.
    pub rows: usize,
    /// The number of the row that was inserted last.
    pub last: i64,
}

/// Asks for it, right after the failure.
pub(crate) async fn left(tx: &DatabaseTransaction) -> Result<Left, DbErr> {
    let found = query_text(tx, "SELECT changes(), last_insert_rowid()".to_owned(), Vec::new()).await?;
    let row = found
        .first()
        .ok_or_else(|| DbErr::RecordNotFound("what was changed".into()))?;
    let rows: i64 = row.try_get_by_index(0)?;
    Ok(Left {
        rows: usize::try_from(rows).unwrap_or_default(),
        last: row.try_get_by_index(1)?,
    })
}
