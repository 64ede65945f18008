//! The error of this crate's public functions.

mod transport;

use sea_orm::DbErr;

pub use transport::{TransportError, TransportErrorKind};

/// What went wrong, in a form a caller can act on.
///
/// SeaORM methods called on a [`Replica`](crate::Replica) return [`DbErr`], as SeaORM's own connections do; an error of
/// this crate that has to travel that way becomes [`DbErr::Custom`] with the same message.
///
/// A sync can fail with some peers and succeed with others, and has an error of its own:
/// [`SyncError`](crate::sync::SyncError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node id is empty, too long, or has a character outside `[A-Za-z0-9._:-]`.
    #[error("invalid node id {id:?}: {reason}")]
    InvalidNodeId {
        /// The refused id.
        id: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The node id is in use: one id is one writer.
    #[error("node id `{node}` is already in use: {detail}")]
    NodeInUse {
        /// The contested id.
        node: String,
        /// Where it is in use, and what to do.
        detail: String,
    },
    /// An entity was used that this replica was not opened with.
    #[error("table `{table}` is not replicated here: add `.entity::<…>()` to the builder that opens the replica")]
    NotRegistered {
        /// The table's name.
        table: String,
    },
    /// An entity and the database, or an entity and its own history, don't fit together.
    #[error("table `{table}`: {detail}")]
    Schema {
        /// The table's name.
        table: String,
        /// What does not fit, and what to do.
        detail: String,
    },
    /// A write that can't be captured was refused before it ran.
    #[error("{what} can't be captured: {instead}")]
    Uncapturable {
        /// What was asked for.
        what: String,
        /// How to get it done.
        instead: String,
    },
    /// A key, a value or an element can't be represented.
    #[error("table `{table}`, field `{field}`: {detail}")]
    Value {
        /// The table's name.
        table: String,
        /// The column's name.
        field: String,
        /// What is wrong with the value.
        detail: String,
    },
    /// A counter would leave the range of `i64`.
    #[error("table `{table}`, row `{pk}`: counter `{field}` would leave the range of i64")]
    CounterOverflow {
        /// The table's name.
        table: String,
        /// The row's key.
        pk: String,
        /// The counter's column.
        field: String,
    },
    /// A row of a shadow or bookkeeping table does not hold what this library writes there.
    #[error("shadow of `{table}`, row `{pk}`: {detail}")]
    Corrupt {
        /// The user's table.
        table: String,
        /// The row's key.
        pk: String,
        /// What can't be read.
        detail: String,
    },
    /// Another transaction wrote the same records at the same time. What this crate does in transactions of its own it
    /// tries again by itself; a transaction that the caller began is the caller's to run again.
    #[error("table `{table}`: {CONTENDED}")]
    Contended {
        /// The table's name.
        table: String,
    },
    /// What was to be written had to wait for another transaction of this process for longer than it may.
    #[error("{0}")]
    Busy(String),
    /// A request that doesn't make sense: the message says why.
    #[error("{0}")]
    Invalid(String),
    /// A peer could not be reached, or answered with an error.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// What [`Error::Contended`] says; a [`DbErr`] made of it is known by it.
pub(crate) const CONTENDED: &str =
    "another transaction wrote the same records at the same time, so this one was not committed; run it again";

impl From<Error> for DbErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => error,
            other => DbErr::Custom(other.to_string()),
        }
    }
}
