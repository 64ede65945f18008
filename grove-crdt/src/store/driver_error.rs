//! The error that a database gave, as its driver tells it.

use sea_orm::{DbErr, RuntimeErr};

/// What a database says went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DriverError {
    /// The database's code.
    pub code: Code,
    /// In the database's words.
    pub message: String,
    /// The constraint that the database names apart from its message, as PostgreSQL does.
    pub constraint: Option<String>,
}

/// A database's own code for an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// SQLite's extended result code.
    Sqlite(u32),
    /// PostgreSQL's SQLSTATE.
    Postgres(String),
    /// MySQL's or MariaDB's error number, which is what tells, and its SQLSTATE, which is one for many.
    MySql(u16, String),
}

impl DriverError {
    /// The database's error within `error`, `None` when it is of another kind.
    pub(super) fn of(error: &DbErr) -> Option<Self> {
        let (DbErr::Conn(error) | DbErr::Exec(error) | DbErr::Query(error)) = error else {
            return None;
        };
        let RuntimeErr::SqlxError(error) = error else {
            return None;
        };
        let error = error.as_database_error()?;
        Some(Self {
            code: Code::read(&error.to_string(), error.code().as_deref(), error.message())?,
            message: error.message().to_owned(),
            constraint: error.constraint().map(str::to_owned),
        })
    }
}

impl DriverError {
    /// Whether the error says nothing about a row, but concerns the whole database, the connection or the transaction.
    pub(super) fn is_general(&self) -> bool {
        match &self.code {
            Code::Sqlite(code) => is_general_in_sqlite(*code, &self.message),
            Code::Postgres(state) => is_general_in_postgres(state),
            Code::MySql(number, _) => is_general_in_mysql(*number),
        }
    }
}

fn is_general_in_sqlite(code: u32, message: &str) -> bool {
    match code & 0xff {
        // A missing table or column, a text that is no SQL.
        1 => message.starts_with("no such ") || message.contains("syntax error"),
        // INTERNAL, ABORT, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, SCHEMA, MISUSE,
        // NOLFS, AUTH, FORMAT, NOTADB.
        2 | 4..=11 | 13..=15 | 17 | 21..=24 | 26 => true,
        _ => false,
    }
}

fn is_general_in_postgres(state: &str) -> bool {
    // Connection, feature, transaction state and name, authorization, database, schema, rollback, resources, object state,
    // operator, system, configuration, foreign data, internal.
    const CLASSES: [&str; 16] = [
        "08", "0A", "25", "26", "28", "2D", "3B", "3D", "3F", "40", "53", "55", "57", "58", "F0", "XX",
    ];
    // No such table, column or function; a text that is no SQL; a prepared statement whose types changed.
    const STATES: [&str; 6] = ["42P01", "42703", "42883", "42601", "42P18", "08P01"];
    CLASSES.iter().any(|class| state.starts_with(class)) || STATES.contains(&state)
}

fn is_general_in_mysql(number: u16) -> bool {
    match number {
        // Full disks and tables, memory, errors of files and of the storage engine.
        1005 | 1016 | 1021 | 1026 | 1030 | 1034 | 1035 | 1037 | 1038 | 1041 | 1114 | 1180 | 1181 | 1194..=1196
        // Connections, packets, shutdown.
        | 1040 | 1042..=1047 | 1053 | 1077..=1081 | 1129 | 1130 | 1153..=1161 | 1184 | 1203 | 1226
        // No such database, table, column or statement; no SQL.
        | 1049 | 1054 | 1064 | 1146 | 1243 | 1615
        // Locks, time-outs, deadlocks, interruption, changed since it was read.
        | 1020 | 1205 | 1206 | 1213 | 1317 | 1614 | 1969 | 3024 | 3572
        // Read-only.
        | 1036 | 1290 | 1792 | 1836
        // The client's own.
        | 2000..=2999 => true,
        _ => false,
    }
}

/// Whether SQLite refused to make a text or a row of more than its limit.
pub(super) fn is_too_big(error: &DbErr) -> bool {
    const TOO_BIG: u32 = 18;
    DriverError::of(error).is_some_and(|error| error.code == Code::Sqlite(TOO_BIG))
}

impl Code {
    /// Reads the code. Which database it is of shows in how sqlx writes the whole error: `(code: 2067) message` for
    /// SQLite, `1062 (23000): message` for MySQL, the message first for PostgreSQL. The types that would tell are there
    /// only when their drivers are, which is the user's choice.
    pub(super) fn read(shown: &str, code: Option<&str>, message: &str) -> Option<Self> {
        let state = code.unwrap_or_default();
        let prefix = shown.strip_suffix(message).unwrap_or_default().trim_end();
        if let Some(number) = prefix.strip_prefix("(code: ").and_then(|rest| rest.strip_suffix(')')) {
            return number.parse().ok().map(Self::Sqlite);
        }
        let before_state = match code {
            Some(state) => prefix.strip_suffix(&format!(" ({state}):")),
            None => prefix.strip_suffix(':'),
        };
        if let Some(number) = before_state.and_then(|number| number.parse().ok()) {
            return Some(Self::MySql(number, state.to_owned()));
        }
        code.map(|state| Self::Postgres(state.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_databases_way_to_write_an_error_tells_its_code() {
        let sqlite = Code::read(
            "(code: 2067) UNIQUE constraint failed: t.c",
            Some("2067"),
            "UNIQUE constraint failed: t.c",
        );
        assert_eq!(sqlite, Some(Code::Sqlite(2067)));
        let mysql = Code::read("1062 (23000): Duplicate entry", Some("23000"), "Duplicate entry");
        assert_eq!(mysql, Some(Code::MySql(1062, "23000".into())));
        let stateless = Code::read("1156: Got packets out of order", None, "Got packets out of order");
        assert_eq!(stateless, Some(Code::MySql(1156, String::new())));
        let postgres = Code::read("duplicate key at line 664", Some("23505"), "duplicate key");
        assert_eq!(postgres, Some(Code::Postgres("23505".into())));
        // The words are the user's, who may choose those of another database.
        let raised = "1062 (23000): Duplicate entry";
        let postgres = Code::read(&format!("{raised} at line 3"), Some("P0001"), raised);
        assert_eq!(postgres, Some(Code::Postgres("P0001".into())));
        assert_eq!(
            Code::read(raised, Some("P0001"), raised),
            Some(Code::Postgres("P0001".into()))
        );
        assert_eq!(Code::read("an error", None, "an error"), None);
    }
}
