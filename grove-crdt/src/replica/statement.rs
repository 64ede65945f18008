//! Judging statements that nobody announced: which are writes of replicated tables, and which can't be captured.

use std::{
    ops::{ControlFlow, Deref},
    sync::Arc,
};

use sea_orm::{DbBackend, Statement, Value};
use sqlparser::ast::{self, visit_statements};

use crate::{
    entity::Registry,
    error::Error,
    replica::{
        court::Court,
        sections::Sections,
        source::{Source, has_executable_comment},
    },
    store::catalog::Catalog,
};

/// What a statement is.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It writes no table that matters.
    Harmless,
    /// It may change the catalog. On MySQL it may commit the transaction it is run in.
    ChangesSchema,
    /// It writes a table that is replicated, or whose foreign keys reach one that is.
    Writes(Arc<ParsedWrite>),
}

/// A write to be captured.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    parsed: &'a ParsedWrite,
    /// The statement's values; its placeholders name them as `#0`, `#1`, ….
    pub values: &'a [Value],
}

/// What the text of a write says, whatever its values.
#[derive(Debug)]
pub(crate) struct ParsedWrite {
    pub(super) target: Target,
    pub kind: WriteKind,
    pub(super) source: Source,
    pub(super) sections: Sections,
}

/// The written table.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its name as the catalog has it.
    pub name: String,
    /// Its name as the statement has it, for use in another statement.
    pub text: String,
    /// The same without the schema.
    pub bare: String,
    pub alias: Option<String>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, behind a box already")]
pub(crate) enum WriteKind {
    Insert(ast::Insert),
    Update(ast::Update),
    Delete(ast::Delete),
}

impl Deref for Write<'_> {
    type Target = ParsedWrite;

    fn deref(&self) -> &ParsedWrite {
        self.parsed
    }
}

impl<'a> Write<'a> {
    pub(super) fn new(parsed: &'a ParsedWrite, statement: &'a Statement) -> Self {
        Self {
            parsed,
            values: statement.values.as_ref().map_or(&[], |values| values.0.as_slice()),
        }
    }
}

impl ParsedWrite {
    pub(crate) fn table(&self) -> &str {
        &self.target.name
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }
}

/// Whether the statement needs no second look: by its first word it only reads or sets up the connection, and it is one
/// statement. Costs one pass over the text.
pub(crate) fn passes_through(statement: &Statement) -> bool {
    let words: &[&str] = match statement.db_backend {
        DbBackend::Postgres => &[
            "SELECT", "VALUES", "TABLE", "EXPLAIN", "SHOW", "SET", "RESET", "VACUUM", "ANALYZE", "LISTEN", "UNLISTEN",
            "NOTIFY",
        ],
        DbBackend::MySql => &[
            "SELECT", "VALUES", "TABLE", "EXPLAIN", "DESCRIBE", "DESC", "SHOW", "SET", "USE", "KILL", "CHECKSUM",
        ],
        _ => &[
            "SELECT", "VALUES", "PRAGMA", "EXPLAIN", "VACUUM", "ANALYZE", "ATTACH", "DETACH",
        ],
    };
    let sql = statement.sql.trim_matches(|c: char| c.is_whitespace() || c == ';');
    let first = sql.split(|c: char| !c.is_ascii_alphabetic()).next();
    let first = first.unwrap_or_default();
    let is = |word: &str| first.eq_ignore_ascii_case(word);
    if !words.iter().any(|word| is(word)) || sql.contains(';') {
        return false;
    }
    if is("EXPLAIN") || is("DESCRIBE") || is("DESC") {
        // It runs the statement, then; PostgreSQL takes the British spelling too.
        return !mentions(sql, "analy");
    }
    if is("SET") {
        return !words_of_set_that_matter(sql);
    }
    // `SELECT … INTO` makes a table there.
    !(statement.db_backend == DbBackend::Postgres && is("SELECT") && mentions(sql, "into"))
}

/// Whether a `SET` ends transactions by itself, changes how text is read, or hides another statement
/// (`SET STATEMENT … FOR …`).
fn words_of_set_that_matter(sql: &str) -> bool {
    [
        "statement",
        "autocommit",
        "backslash",
        "conforming",
        "ansi_quotes",
        "password",
    ]
    .iter()
    .any(|word| mentions(sql, word))
}

/// Whether a text contains a word, in whatever case.
fn mentions(text: &str, word: &str) -> bool {
    let bytes = text.as_bytes().windows(word.len());
    bytes.into_iter().any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a statement that may change the schema commits the transaction it is run in, as MySQL has it; what is temporary
/// does not. What can't be read may.
pub(crate) fn commits(statement: &Statement) -> bool {
    const WORDS: [&str; 14] = [
        "ALTER", "ANALYZE", "CACHE", "CHECK", "CREATE", "DROP", "FLUSH", "GRANT", "INSTALL", "OPTIMIZE", "RENAME",
        "REPAIR", "REVOKE", "TRUNCATE",
    ];
    if statement.db_backend != DbBackend::MySql {
        return false;
    }
    let Some(source) = Source::read(&statement.sql, statement.db_backend) else {
        return true;
    };
    let words: Vec<_> = source.words().collect();
    if !source.is_single() {
        return words.iter().any(|word| WORDS.contains(&word.as_str()));
    }
    let is = |place: usize, word: &str| words.get(place).is_some_and(|found| found == word);
    let temporary = is(1, "TEMPORARY") || (is(1, "OR") && is(3, "TEMPORARY"));
    words.first().is_some_and(|word| WORDS.contains(&word.as_str())) && !temporary
}

/// Whether the statement is a query that writes nothing, whatever table.
pub(crate) fn only_reads(statement: &Statement) -> bool {
    let first = statement
        .sql
        .trim_start()
        .split(|c: char| !c.is_ascii_alphabetic())
        .next();
    let begins_with = |word| first.is_some_and(|first| first.eq_ignore_ascii_case(word));
    if ["INSERT", "UPDATE", "DELETE"].into_iter().any(begins_with) {
        return false;
    }
    if has_executable_comment(&statement.sql, statement.db_backend) {
        return false;
    }
    let source = Source::read(&statement.sql, statement.db_backend);
    let parsed = source.and_then(|source| source.parse().ok());
    let Some([only @ ast::Statement::Query(query)]) = parsed.as_deref() else {
        return false;
    };
    let writes = visit_statements(only, |inner| match inner {
        ast::Statement::Query(_) => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    writes.is_continue() && !makes_table(query)
}

/// Whether a query is a `SELECT … INTO`.
pub(super) fn makes_table(query: &ast::Query) -> bool {
    matches!(query.body.as_ref(), ast::SetExpr::Select(select) if select.into.is_some())
}

/// Whether a statement that was judged harmless only reads.
pub(crate) fn reads(sql: &str) -> bool {
    let word = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next();
    word.is_some_and(|word| word.eq_ignore_ascii_case("WITH") || word.eq_ignore_ascii_case("SELECT"))
}

/// Judges a statement.
///
/// # Errors
///
/// A write that can't be captured, with the way to do it.
pub(crate) fn judge(statement: &Statement, registry: &Registry, catalog: &Catalog) -> Result<Verdict, Error> {
    let (sql, backend) = (statement.sql.as_str(), statement.db_backend);
    let court = Court::new(registry, catalog, backend);
    if has_executable_comment(sql, backend) {
        return Err(refusal(
            "a statement with comments that are executed",
            "write it without `/*! … */`",
        ));
    }
    let Some(source) = Source::read(sql, backend) else {
        return court.unreadable(sql);
    };
    if let Some(verdict) = court.judge_words(&source, sql)? {
        return Ok(verdict);
    }
    let Ok(mut parsed) = source.parse() else {
        return court.unparsed(&source, sql);
    };
    let Some(only) = parsed.pop() else {
        return Ok(Verdict::Harmless);
    };
    if parsed.is_empty() {
        return court.judge(only, source, count_values(statement));
    }
    parsed.push(only);
    court.judge_several(parsed, sql)
}

pub(super) fn count_values(statement: &Statement) -> usize {
    statement.values.as_ref().map_or(0, |values| values.0.len())
}

/// The error for a write that can't be captured, with the ways to do it.
pub(super) fn refusal(what: impl Into<String>, instead: impl Into<String>) -> Error {
    Error::Uncapturable {
        what: what.into(),
        instead: format!(
            "{}; `replica.untracked()` writes without recording, and `replica.adopt` records it afterwards",
            instead.into()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(backend: DbBackend, passes: &[&str], stopped: &[&str]) {
        let pass = |sql: &str| passes_through(&Statement::from_string(backend, sql));
        for sql in passes {
            assert!(pass(sql), "{sql}");
        }
        for sql in stopped {
            assert!(!pass(sql), "{sql}");
        }
    }

    #[test]
    fn reads_need_no_second_look() {
        for backend in [DbBackend::Sqlite, DbBackend::Postgres, DbBackend::MySql] {
            check(
                backend,
                &["SELECT 1", "  select * from t ;", "VALUES (1)", "explain select 1"],
                &[
                    "INSERT INTO t VALUES (1)",
                    "SELECT 1; DELETE FROM t",
                    "WITH x AS (SELECT 1) DELETE FROM t",
                    "EXPLAIN ANALYZE DELETE FROM t",
                    "EXPLAIN (ANALYZE, VERBOSE) DELETE FROM t",
                    "-- c\nDELETE FROM t",
                    "(DELETE FROM t)",
                    "",
                ],
            );
        }
    }

    #[test]
    fn what_only_one_database_says() {
        let both = ["PRAGMA foreign_keys = ON", "VACUUM", "ATTACH 'x' AS y"];
        check(DbBackend::Sqlite, &both, &["SET x = 1", "SHOW x"]);
        check(
            DbBackend::Postgres,
            &[
                "SHOW search_path",
                "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                "VACUUM t",
            ],
            &[
                "SELECT * INTO x FROM t",
                "PRAGMA x",
                "explain analyse delete from t",
                "SET standard_conforming_strings = off",
            ],
        );
        check(
            DbBackend::MySql,
            &["SHOW TABLES", "desc t", "SET NAMES utf8mb4", "SELECT 1 INTO @x"],
            &[
                "ANALYZE DELETE FROM t",
                "SET @@autocommit=0",
                "SET STATEMENT x=1 FOR DELETE FROM t",
                "DESC ANALYZE DELETE FROM t",
            ],
        );
    }

    #[test]
    fn only_queries_read() {
        let reads = |backend, sql: &str| only_reads(&Statement::from_string(backend, sql));
        assert!(reads(DbBackend::MySql, "/* x */ SELECT 1"));
        assert!(reads(DbBackend::Postgres, "WITH x AS (SELECT 1) SELECT * FROM x"));
        assert!(!reads(
            DbBackend::Postgres,
            "WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x"
        ));
        assert!(!reads(DbBackend::Postgres, "SELECT * INTO x FROM t"));
        assert!(!reads(DbBackend::MySql, "/*! SELECT 1 */ DELETE FROM t"));
    }
}
