//! Statements that the database may refuse.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, TransactionTrait as _};

use crate::{
    error::Error,
    store::{
        constraint::{self, Constraint, Violation},
        dialect, ended,
    },
};

/// Why the database refuses a row.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub violation: Violation,
    pub detail: String,
}

impl Refusal {
    /// A rule that was found to be broken before the database was asked.
    pub(super) fn found(constraint: Constraint, detail: String) -> Self {
        let violation = Violation { constraint, name: None };
        Self { violation, detail }
    }

    /// A row that refers to one which is not there.
    pub(super) fn without_parent(parent: &str) -> Self {
        Self::found(
            Constraint::ForeignKey,
            format!("FOREIGN KEY: the row of `{parent}` that it refers to is not here"),
        )
    }

    /// A row that others still refer to.
    pub(super) fn kept_by(child: &str) -> Self {
        Self::found(
            Constraint::ForeignKey,
            format!("FOREIGN KEY: a row of `{child}` refers to it"),
        )
    }

    /// The same, where only rows that refer to the one in question can break a rule: what a foreign key does to them breaks it.
    pub(super) fn by_reference(mut self) -> Self {
        if matches!(
            self.violation.constraint,
            Constraint::NotNull | Constraint::Check | Constraint::Unique
        ) {
            self.violation.constraint = Constraint::ForeignKey;
        }
        self
    }

    /// The refusal that an error tells of.
    ///
    /// # Errors
    ///
    /// The error itself, when it concerns all rows alike.
    fn of(error: DbErr) -> Result<Self, Error> {
        match constraint::violation(&error) {
            Some(violation) => {
                let detail = error.to_string();
                Ok(Self { violation, detail })
            }
            None => Err(error.into()),
        }
    }
}

/// Runs a statement that the database may refuse. Where a failure would end the transaction, a savepoint keeps it.
///
/// # Errors
///
/// A failure that concerns all rows alike, or that has ended the transaction.
pub(super) async fn attempt(
    tx: &DatabaseTransaction,
    statement: impl AsyncFnOnce(&DatabaseTransaction) -> Result<(), DbErr>,
) -> Result<Result<(), Refusal>, Error> {
    if !dialect::failure_ends_transaction(tx.get_database_backend()) {
        return match statement(tx).await {
            Ok(()) => Ok(Ok(())),
            Err(error) => {
                if ended::has_ended(tx).await {
                    // `RAISE(ROLLBACK)`: the rows have to be merged without this one.
                    return Err(error.into());
                }
                Ok(Err(Refusal::of(error)?))
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
            let refusal = Refusal::of(error)?;
            savepoint.rollback().await?;
            Ok(Err(refusal))
        }
    }
}
