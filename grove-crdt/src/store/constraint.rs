//! Telling a row that the database refuses from a database that fails.

use sea_orm::{DbErr, RuntimeErr, SqlxError};

use crate::{
    error::Error,
    store::driver_error::{Code, DriverError},
};

/// Which rule of the database a row breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constraint {
    /// A row that it refers to is not there, or one that refers to it stays.
    ForeignKey,
    /// Another row has its unique value, or one that an exclusion constraint does not let it have as well.
    Unique,
    /// A check, or a user's trigger that raises an error, which comes to the same.
    Check,
    /// A column that must have a value has none.
    NotNull,
    /// The value does not fit the column.
    Value,
    /// Something else about the row: a policy of row-level security, texts that can't be compared.
    Other,
}

impl Constraint {
    /// The name under which it is kept.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ForeignKey => "foreign_key",
            Self::Unique => "unique",
            Self::Check => "check",
            Self::NotNull => "not_null",
            Self::Value => "value",
            Self::Other => "other",
        }
    }

    /// The constraint kept under a name.
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "foreign_key" => Self::ForeignKey,
            "unique" => Self::Unique,
            "check" => Self::Check,
            "not_null" => Self::NotNull,
            "value" => Self::Value,
            _ => Self::Other,
        }
    }
}

/// The rule that made the database refuse a row, and what the database calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The kind of rule.
    pub constraint: Constraint,
    /// The constraint's name, as far as the database tells: that of the constraint or the unique index on PostgreSQL,
    /// MySQL (with its table before it, `documents.slug_key`) and MariaDB; the unique columns on SQLite
    /// (`documents.author, documents.slug`); the column that must have a value, except on PostgreSQL.
    /// [`Catalog::unique_key`](crate::store::catalog::Catalog::unique_key) finds the unique key that is meant.
    pub name: Option<String>,
}

/// Whether an error may lie with single rows, so that the same work without them can succeed. Contention, lost connections, full
/// disks and missing tables concern all rows alike.
pub(crate) fn concerns_rows(error: &Error) -> bool {
    match error {
        Error::Value { .. } | Error::CounterOverflow { .. } | Error::Corrupt { .. } => true,
        Error::Database(error) => match DriverError::of(error) {
            Some(driver) => !driver.is_general(),
            None => is_unreadable(error),
        },
        _ => false,
    }
}

/// Whether a value that the database gave could not be read.
fn is_unreadable(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(**error, SqlxError::ColumnDecode { .. } | SqlxError::Decode(_))
        }
        _ => false,
    }
}

/// The rule that made the database refuse a row, with its name, `None` when the error concerns all rows alike.
pub(crate) fn violation(error: &DbErr) -> Option<Violation> {
    let Some(error) = DriverError::of(error) else {
        let ran = matches!(error, DbErr::Exec(_) | DbErr::Query(_));
        return ran.then(|| by_words(&error.to_string())).flatten();
    };
    let (constraint, name) = match &error.code {
        Code::Sqlite(code) => (
            of_sqlite(*code, &error.message),
            name_in_sqlite(*code, &error.message).map(str::to_owned),
        ),
        Code::Postgres(state) => (of_postgres(state), error.constraint.clone()),
        Code::MySql(number, state) => (
            of_mysql(*number, state, &error.message),
            name_in_mysql(*number, &error.message).map(str::to_owned),
        ),
    };
    let other = || (!error.is_general()).then_some(Constraint::Other);
    let constraint = constraint.or_else(other)?;
    Some(Violation { constraint, name })
}

fn of_sqlite(code: u32, message: &str) -> Option<Constraint> {
    // The kind of constraint is in the upper byte.
    match (code & 0xff, code >> 8) {
        // SQLITE_TOOBIG, SQLITE_MISMATCH; a value of a strict table.
        (18 | 20, _) | (19, 12) => Some(Constraint::Value),
        (19, 3) => Some(Constraint::ForeignKey),
        (19, 5) => Some(Constraint::NotNull),
        (19, 6 | 8 | 10) => Some(Constraint::Unique),
        // `ON DELETE RESTRICT` is a trigger to SQLite.
        (19, 7) if message.contains("FOREIGN KEY constraint failed") => Some(Constraint::ForeignKey),
        (19, _) => Some(Constraint::Check),
        _ => None,
    }
}

fn of_postgres(state: &str) -> Option<Constraint> {
    match state {
        "23502" => Some(Constraint::NotNull),
        "23503" | "23001" => Some(Constraint::ForeignKey),
        "23505" | "23P01" => Some(Constraint::Unique),
        // `RAISE` and `ASSERT` in a user's function; a view's `WITH CHECK OPTION`.
        "P0001" | "P0004" | "44000" => Some(Constraint::Check),
        // A value too long for an index.
        "54000" => Some(Constraint::Value),
        _ if state.starts_with("23") => Some(Constraint::Check),
        _ if state.starts_with("22") => Some(Constraint::Value),
        // A function may raise an SQLSTATE of its own. Those of the standard begin with a digit up to 4 or a letter up to H.
        _ if state.starts_with(|first: char| matches!(first, '6'..='9' | 'I'..='O' | 'Q'..='W' | 'Y'..='Z')) => {
            Some(Constraint::Check)
        }
        _ => None,
    }
}

fn of_mysql(number: u16, state: &str, message: &str) -> Option<Constraint> {
    match number {
        1022 | 1062 | 1169 | 1586 | 1859 => Some(Constraint::Unique),
        // The last are cascades of too many levels or tables on MySQL, or such as meet a trigger there: the rows that would go
        // along keep the one that is to go.
        1216 | 1217 | 1451 | 1452 | 1557 | 1761 | 1762 | 3008 | 6575..=6577 => Some(Constraint::ForeignKey),
        // A cascade of too many levels on MariaDB, which has no number of its own.
        1296 if message.starts_with("Got error 193 ") => Some(Constraint::ForeignKey),
        1048 | 1364 => Some(Constraint::NotNull),
        // A view's `WITH CHECK OPTION`, no partition for the row, `SIGNAL` in a user's trigger; a check on MySQL.
        1369 | 1526 | 1748 | 1644 | 3819 => Some(Constraint::Check),
        // A check on MariaDB; on MySQL the number has another meaning, and another state.
        4025 if state == "23000" => Some(Constraint::Check),
        // Too long, out of range, truncated, not of the type or the character set; not JSON.
        1264 | 1265 | 1292 | 1300 | 1366 | 1367 | 1406 | 1411 | 1441 | 1690 | 1977 | 3140 | 3144 | 3156 | 3157
        | 3988 => Some(Constraint::Value),
        // What a trigger may signal with a number of its own.
        _ if state == "45000" => Some(Constraint::Check),
        _ if state.starts_with("22") => Some(Constraint::Value),
        _ => None,
    }
}

/// `UNIQUE constraint failed: documents.author, documents.slug`
fn name_in_sqlite(code: u32, message: &str) -> Option<&str> {
    let named = code & 0xff == 19 && message.contains(" constraint failed: ");
    named
        .then(|| message.split_once(" constraint failed: "))?
        .map(|(_, name)| name)
}

fn name_in_mysql(number: u16, message: &str) -> Option<&str> {
    let between = |open: &str, close: char| {
        let (_, rest) = message.split_once(open)?;
        rest.split_once(close).map(|(name, _)| name)
    };
    match number {
        // Duplicate entry 'x' for key 'documents.slug_key': the value may have quotes itself.
        1062 | 1586 => message.strip_suffix('\'')?.rsplit_once('\'').map(|(_, name)| name),
        // … a foreign key constraint fails (`db`.`child`, CONSTRAINT `child_parent` FOREIGN KEY …)
        // CONSTRAINT `positive` failed for `db`.`documents`
        1296 | 1451 | 1452 | 4025 => between("CONSTRAINT `", '`'),
        // Column 'title' cannot be null; Field 'title' doesn't have a default value;
        // Check constraint 'positive' is violated.
        1048 | 1364 | 3819 => between("'", '\''),
        _ => None,
    }
}

/// A driver that is not sqlx's gives no code.
fn by_words(text: &str) -> Option<Violation> {
    let words = [
        ("UNIQUE constraint failed", Constraint::Unique),
        ("FOREIGN KEY constraint failed", Constraint::ForeignKey),
        ("CHECK constraint failed", Constraint::Check),
        ("NOT NULL constraint failed", Constraint::NotNull),
        ("datatype mismatch", Constraint::Value),
        ("cannot store", Constraint::Value),
    ];
    let (_, constraint) = words.into_iter().find(|(words, _)| text.contains(words))?;
    Some(Violation { constraint, name: None })
}

#[cfg(test)]
mod tests;
