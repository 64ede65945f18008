//! Statements that may break a rule of the database.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, TransactionTrait as _};

use crate::{
    error::Error,
    store::{
        constraint::{self, Constraint, Violation},
        dialect, ended,
    },
};

/// How a row breaks a rule of the database, and what it says to that.
#[derive(Debug)]
pub(super) struct Broken {
    pub violation: Violation,
    pub detail: String,
}

impl Broken {
    /// A rule that was found to be broken before the database was asked.
    pub(super) fn found(constraint: Constraint, detail: String) -> Self {
        let violation = Violation { constraint, name: None };
        Self { violation, detail }
    }
}

/// Runs a statement that may break a constraint, so that the transaction goes on when it does.
pub(super) async fn attempt(
    tx: &DatabaseTransaction,
    statement: impl AsyncFnOnce(&DatabaseTransaction) -> Result<(), DbErr>,
) -> Result<Result<(), Broken>, Error> {
    let broken = |error: DbErr| match constraint::violation(&error) {
        Some(violation) => {
            let detail = error.to_string();
            Ok(Broken { violation, detail })
        }
        None => Err(Error::from(error)),
    };
    if !dialect::failure_ends_transaction(tx.get_database_backend()) {
        return match statement(tx).await {
            Ok(()) => Ok(Ok(())),
            Err(error) => {
                let broken = broken(error)?;
                if ended::has_ended(tx).await {
                    let why = "SQLite has rolled back a whole transaction for one row; a trigger that says `RAISE(ABORT)` refuses the row alone";
                    return Err(Error::Invalid(format!("{why}: {}", broken.detail)));
                }
                Ok(Err(broken))
            }
        };
    }
    let savepoint = tx.begin().await?;
    match statement(&savepoint).await {
        Ok(()) => {
            savepoint.commit().await?;
            Ok(Ok(()))
        }
        Err(error) => {
            // An error that ended the whole transaction has taken the savepoint with it.
            let broken = broken(error)?;
            savepoint.rollback().await?;
            Ok(Err(broken))
        }
    }
}
