//! Trying again what failed only because another transaction was in the way.

use std::time::Duration;

use rand::RngExt as _;
use sea_orm::{ConnAcquireErr, DbErr};

use crate::{
    error::{CONTENDED, Error},
    store::driver_error::{Code, DriverError},
};

/// How often something is tried that a database ended to let others go on: a merge meets local writers again and again, and
/// is mostly the one that is ended.
const ATTEMPTS: u32 = 40;

/// How often something is tried that may have been overtaken, or may be wrong in itself.
const ATTEMPTS_IF_CONTENDED: u32 = 12;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// An error that may be gone when the transaction is run again.
pub(crate) trait Transient {
    fn is_transient(&self) -> bool;

    /// How often to try what fails so.
    fn attempts(&self) -> u32;
}

impl Transient for DbErr {
    fn is_transient(&self) -> bool {
        match self {
            Self::Custom(text) => text.ends_with(CONTENDED),
            error => is_passing(error),
        }
    }

    fn attempts(&self) -> u32 {
        match self {
            Self::Custom(_) => ATTEMPTS_IF_CONTENDED,
            _ => ATTEMPTS,
        }
    }
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        match self {
            Self::Contended { .. } => true,
            Self::Database(error) => error.is_transient(),
            _ => false,
        }
    }

    fn attempts(&self) -> u32 {
        match self {
            Self::Database(error) => error.attempts(),
            _ => ATTEMPTS_IF_CONTENDED,
        }
    }
}

/// Whether a database says that it ended a deadlock, could not serialize transactions, or would not wait for a lock.
fn is_passing(error: &DbErr) -> bool {
    match DriverError::of(error).map(|error| error.code) {
        // SQLITE_BUSY_SNAPSHOT. Other kinds of being busy have waited long enough already.
        Some(Code::Sqlite(code)) => code == 517,
        // Failure to serialize, deadlock, lock not available.
        Some(Code::Postgres(state)) => matches!(state.as_str(), "40001" | "40P01" | "55P03"),
        // Deadlock, record changed since it was read, deadlock of a distributed transaction, `NOWAIT`. A lock's timeout is
        // not among them: who waits for it has waited long.
        Some(Code::MySql(number, _)) => matches!(number, 1213 | 1020 | 1614 | 3572),
        None => false,
    }
}

/// Whether something failed only because others were in the way, or there were too many: it can succeed later as it is.
pub(crate) fn is_busy(error: &Error) -> bool {
    match error {
        Error::Busy(_) | Error::Contended { .. } => true,
        Error::Database(DbErr::ConnectionAcquire(error)) => matches!(error, ConnAcquireErr::Timeout),
        Error::Database(error) => error.is_transient() || has_waited_in_vain(error),
        _ => false,
    }
}

/// Whether a database says that something took longer than it may, or that it has no connection to give.
fn has_waited_in_vain(error: &DbErr) -> bool {
    match DriverError::of(error).map(|error| error.code) {
        // SQLITE_BUSY and SQLITE_LOCKED of any kind.
        Some(Code::Sqlite(code)) => matches!(code & 0xff, 5 | 6),
        // A statement's timeout, too many connections.
        Some(Code::Postgres(state)) => matches!(state.as_str(), "57014" | "53300"),
        // A lock's timeout, a statement's (MySQL's and MariaDB's), too many connections.
        Some(Code::MySql(number, _)) => matches!(number, 1205 | 3024 | 1969 | 1040),
        None => false,
    }
}

/// Attempts at one thing.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    failed: u32,
}

impl Attempts {
    /// Waits a while after a failure, longer each time and never as long as others do.
    ///
    /// # Errors
    ///
    /// The failure itself, when it will not pass, or this was the last attempt.
    pub(crate) async fn after<E: Transient + std::fmt::Display>(&mut self, error: E) -> Result<(), E> {
        self.failed += 1;
        if self.failed >= error.attempts() || !error.is_transient() {
            return Err(error);
        }
        let longest = LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.saturating_pow(self.failed));
        let pause = rand::rng().random_range(Duration::ZERO..=longest);
        tracing::debug!(attempt = self.failed, ?pause, %error, "trying a transaction again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
