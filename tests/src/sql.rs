//! SQL that means the same on each database.
//!
//! Tests write it as standard SQL has it, identifiers in double quotes, with `?` for values and the types of the columns as
//! SQLite names them; [`worded`] turns that into what a database reads.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};

use crate::backend;

/// A statement with its values, worded for the database that the test runs on.
pub fn sql<const N: usize>(text: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(backend(), worded(backend(), text), values)
}

/// Runs a statement, and returns how many rows it wrote.
pub async fn execute<C: ConnectionTrait, const N: usize>(conn: &C, text: &str, values: [Value; N]) -> u64 {
    let statement = Statement::from_sql_and_values(
        conn.get_database_backend(),
        worded(conn.get_database_backend(), text),
        values,
    );
    let result = conn.execute_raw(statement).await;
    result.unwrap_or_else(|error| panic!("{text}: {error}")).rows_affected()
}

/// Runs statements on a bare database.
pub async fn run_all(db: &DatabaseConnection, statements: &[&str]) {
    for text in statements {
        let worded = worded(db.get_database_backend(), text);
        let result = db.execute_unprepared(&worded).await;
        result.unwrap_or_else(|error| panic!("{worded}: {error}"));
    }
}

/// One number from the database.
pub async fn number<C: ConnectionTrait>(conn: &C, text: &str) -> i64 {
    let backend = conn.get_database_backend();
    let statement = Statement::from_string(backend, worded(backend, text));
    let row = conn.query_one_raw(statement).await;
    let row = row.unwrap_or_else(|error| panic!("{text}: {error}"));
    row.expect("a row").try_get_by_index(0).expect("a number")
}

/// A statement as a database reads it.
///
/// - `"name"` is `` `name` `` on MySQL, and a backslash in a text is written as two there.
/// - `?` is `$1`, `$2` and so on on PostgreSQL, and `?2` is `$2`.
/// - `ON CONFLICT (…) DO UPDATE SET` is `ON DUPLICATE KEY UPDATE` on MySQL, whatever the columns, and `excluded.a` is
///   `VALUES(a)` there.
/// - Where tables are made or changed, `TEXT` is `VARCHAR(255)` on MySQL, which makes no keys and defaults of texts, and
///   `JSON_TEXT` is `JSON` on both.
pub fn worded(backend: DbBackend, text: &str) -> String {
    match backend {
        DbBackend::Sqlite => text.to_owned(),
        DbBackend::MySql => reworded(backend, &upsert_of_mysql(text)),
        _ => reworded(backend, text),
    }
}

fn reworded(backend: DbBackend, text: &str) -> String {
    let defines = ["CREATE TABLE", "ALTER TABLE"]
        .iter()
        .any(|start| text.trim_start().starts_with(start));
    let mut worded = String::with_capacity(text.len());
    let mut placeholders = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => quoted(rest),
            '?' => 1 + digits(&rest[1..]),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        match (backend, first) {
            (DbBackend::MySql, '"') => worded.push_str(&token.replace('"', "`")),
            (DbBackend::MySql, '\'') => worded.push_str(&token.replace('\\', r"\\")),
            (DbBackend::Postgres, '?') => {
                placeholders += 1;
                let own = placeholders.to_string();
                worded.push('$');
                worded.push_str(if length > 1 { &token[1..] } else { &own });
            }
            _ if defines => worded.push_str(column_type(backend, token)),
            _ => worded.push_str(token),
        }
    }
    worded
}

fn upsert_of_mysql(text: &str) -> String {
    const UPDATE: &str = "DO UPDATE SET";
    let Some((insert, conflict)) = text.split_once("ON CONFLICT") else {
        return text.to_owned();
    };
    let Some((_, update)) = conflict.split_once(UPDATE) else {
        return text.to_owned();
    };
    let mut statement = format!("{insert}ON DUPLICATE KEY UPDATE");
    let mut parts = update.split("excluded.");
    statement.extend(parts.next());
    for part in parts {
        let (column, rest) = part.split_at(part.find(|c| !is_word(c)).unwrap_or(part.len()));
        statement.extend(["VALUES(", column, ")", rest]);
    }
    statement
}

/// The length of the quoted text or identifier that this begins with.
fn quoted(text: &str) -> usize {
    // A doubled quote ends one part and begins another, which comes to the same.
    text[1..].find(&text[..1]).map_or(text.len(), |end| end + 2)
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn column_type(backend: DbBackend, word: &str) -> &str {
    match (backend, word) {
        (_, "JSON_TEXT") => "JSON",
        (DbBackend::MySql, "TEXT") => "VARCHAR(255)",
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_reads_its_own_words() {
        let text = r#"UPDATE "a ""b""" SET c = ?, d = '?"\' WHERE e = ?1 AND f = ?"#;
        assert_eq!(worded(DbBackend::Sqlite, text), text);
        assert_eq!(
            worded(DbBackend::Postgres, text),
            r#"UPDATE "a ""b""" SET c = $1, d = '?"\' WHERE e = $1 AND f = $3"#
        );
        assert_eq!(
            worded(DbBackend::MySql, text),
            r#"UPDATE `a ``b``` SET c = ?, d = '?"\\' WHERE e = ?1 AND f = ?"#
        );
        let table = "CREATE TABLE t (id TEXT, tags JSON_TEXT DEFAULT 'TEXT')";
        assert_eq!(
            worded(DbBackend::MySql, table),
            "CREATE TABLE t (id VARCHAR(255), tags JSON DEFAULT 'TEXT')"
        );
        let upsert = "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = t.b + excluded.b, c = 1";
        assert_eq!(
            worded(DbBackend::MySql, upsert),
            "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE b = t.b + VALUES(b), c = 1"
        );
    }
}
