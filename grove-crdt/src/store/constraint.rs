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
    by_words(&error.to_string())
}

fn by_words(text: &str) -> Option<Constraint> {
    let says = |words: &str| text.contains(words);
    match sqlite_code(text) {
        // SQLITE_MISMATCH
        Some(20) => return Some(Constraint::Value),
        // SQLITE_CONSTRAINT, with the kind of constraint in the upper byte.
        Some(code) if code & 0xff == 19 => {
            return Some(match code >> 8 {
                3 => Constraint::ForeignKey,
                5 => Constraint::NotNull,
                6 | 8 | 10 => Constraint::Unique,
                12 => Constraint::Value,
                // `ON DELETE RESTRICT` is a trigger to SQLite.
                7 if says("FOREIGN KEY constraint failed") => Constraint::ForeignKey,
                // A check, or a user's trigger that raises an error, which comes to the same.
                _ => Constraint::Check,
            });
        }
        _ => {}
    }
    let words = [
        ("UNIQUE constraint failed", Constraint::Unique),
        ("FOREIGN KEY constraint failed", Constraint::ForeignKey),
        ("CHECK constraint failed", Constraint::Check),
        ("NOT NULL constraint failed", Constraint::NotNull),
        ("datatype mismatch", Constraint::Value),
        ("cannot store", Constraint::Value),
    ];
    words
        .into_iter()
        .find(|(words, _)| says(words))
        .map(|(_, constraint)| constraint)
}

/// SQLite's extended result code, as sqlx writes it: `(code: 1811) the trigger's own words`.
fn sqlite_code(text: &str) -> Option<u32> {
    let rest = text.split_once("(code: ")?.1;
    rest.split_once(')')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlites_codes_say_more_than_words_that_a_user_can_choose() {
        let error = |code: u32, words: &str| {
            by_words(&format!(
                "Execution Error: error returned from database: (code: {code}) {words}"
            ))
        };
        assert_eq!(
            error(787, "FOREIGN KEY constraint failed"),
            Some(Constraint::ForeignKey)
        );
        assert_eq!(
            error(1811, "FOREIGN KEY constraint failed"),
            Some(Constraint::ForeignKey)
        );
        assert_eq!(error(1811, "no such day"), Some(Constraint::Check));
        assert_eq!(
            error(275, "CHECK constraint failed: UNIQUE constraint failed"),
            Some(Constraint::Check)
        );
        assert_eq!(
            error(1299, "NOT NULL constraint failed: t.c"),
            Some(Constraint::NotNull)
        );
        assert_eq!(error(2067, "UNIQUE constraint failed: t.c"), Some(Constraint::Unique));
        assert_eq!(error(1555, "UNIQUE constraint failed: t.id"), Some(Constraint::Unique));
        assert_eq!(
            error(3091, "cannot store TEXT value in INTEGER column t.c"),
            Some(Constraint::Value)
        );
        assert_eq!(error(20, "datatype mismatch"), Some(Constraint::Value));
        for (code, words) in [
            (5, "database is locked"),
            (13, "database or disk is full"),
            (1, "no such table: t"),
        ] {
            assert_eq!(error(code, words), None, "{words}");
        }
    }
}
