//! Telling a row that the database refuses from a database that fails.

use sea_orm::{DbErr, SqlErr};

/// Which rule of the database a row breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constraint {
    ForeignKey,
    Unique,
    Check,
    NotNull,
    /// The value does not fit the column.
    Value,
}

impl Constraint {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ForeignKey => "foreign_key",
            Self::Unique => "unique",
            Self::Check => "check",
            Self::NotNull => "not_null",
            Self::Value => "value",
        }
    }

    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "foreign_key" => Self::ForeignKey,
            "unique" => Self::Unique,
            "check" => Self::Check,
            "not_null" => Self::NotNull,
            _ => Self::Value,
        }
    }
}

/// The rule that made the database refuse a row, `None` when the error is of another kind.
pub(crate) fn broken(error: &DbErr) -> Option<Constraint> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => return Some(Constraint::Unique),
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => return Some(Constraint::ForeignKey),
        _ => {}
    }
    // SeaORM tells only those two apart; the drivers, which are the user's choice, say the rest in words.
    let text = error.to_string();
    let says = |words: &str| text.contains(words);
    if says("UNIQUE constraint failed") {
        Some(Constraint::Unique)
    } else if says("FOREIGN KEY constraint failed") {
        Some(Constraint::ForeignKey)
    } else if says("CHECK constraint failed") {
        Some(Constraint::Check)
    } else if says("NOT NULL constraint failed") {
        Some(Constraint::NotNull)
    } else if says("datatype mismatch") || says("cannot store") {
        Some(Constraint::Value)
    } else {
        None
    }
}
