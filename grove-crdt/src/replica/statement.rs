//! Judging statements that nobody announced: which are writes of replicated tables, and which can't be captured.

use std::{collections::BTreeSet, ops::ControlFlow};

use sea_orm::{DbBackend, Statement, Value};
use sqlparser::{
    ast::{self, ObjectName, ObjectType, TableFactor, visit_statements},
    dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect},
    parser::Parser,
    tokenizer::{Token, Tokenizer},
};

use crate::{
    entity::Registry,
    error::Error,
    replica::fragment::number_placeholders,
    store::{catalog::Catalog, schema},
};

/// What a statement is.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It writes no table that matters.
    Harmless,
    /// It may change the catalog.
    ChangesSchema,
    /// It writes a table that is replicated, or whose foreign keys reach one that is.
    Writes(Box<Write>),
}

/// A write to be captured.
#[derive(Debug)]
pub(crate) struct Write {
    target: Target,
    pub kind: WriteKind,
    /// The statement's values; its placeholders name them as `#0`, `#1`, ….
    pub values: Vec<Value>,
}

/// The written table.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its name as the catalog has it.
    pub name: String,
    /// Its name as the statement has it, for use in another statement.
    pub text: String,
    pub alias: Option<String>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, behind a box already")]
pub(crate) enum WriteKind {
    Insert(ast::Insert),
    Update(ast::Update),
    Delete(ast::Delete),
}

impl Write {
    pub(crate) fn table(&self) -> &str {
        &self.target.name
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }
}

/// Whether the statement needs no second look: by its first word it only reads or sets up the connection, and it is one
/// statement. Costs one pass over the text.
pub(crate) fn passes_through(sql: &str) -> bool {
    const WORDS: [&str; 8] = [
        "SELECT", "VALUES", "PRAGMA", "EXPLAIN", "VACUUM", "ANALYZE", "ATTACH", "DETACH",
    ];
    let sql = sql.trim_matches(|c: char| c.is_whitespace() || c == ';');
    let word = sql.split(|c: char| !c.is_ascii_alphabetic()).next();
    let word = word.unwrap_or_default();
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
        && !sql.contains(';')
        && !(word.eq_ignore_ascii_case("EXPLAIN") && contains_word(sql, "ANALYZE"))
}

/// Whether the statement is a query that writes nothing, whatever table.
pub(crate) fn only_reads(statement: &Statement) -> bool {
    let parsed = Parser::parse_sql(dialect(statement.db_backend), &statement.sql);
    let Ok([query @ ast::Statement::Query(_)]) = parsed.as_deref() else {
        return false;
    };
    let writes = visit_statements(query, |inner| match inner {
        ast::Statement::Query(_) => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    writes.is_continue()
}

fn contains_word(sql: &str, word: &str) -> bool {
    sql.split_ascii_whitespace().any(|part| part.eq_ignore_ascii_case(word))
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
    let court = Court::new(registry, catalog);
    let parsed = Parser::parse_sql(dialect(statement.db_backend), &statement.sql);
    let Ok(mut parsed) = parsed else {
        if court.mentions(&statement.sql) {
            return Err(refusal(
                "a statement that can't be parsed and names a replicated table",
                "write it in plainer SQL, or with SeaORM's builders",
            ));
        }
        return Ok(Verdict::Harmless);
    };
    let Some(only) = parsed.pop() else {
        return Ok(Verdict::Harmless);
    };
    if !parsed.is_empty() {
        parsed.push(only);
        let mut verdict = Verdict::Harmless;
        for statement in parsed {
            match court.judge(statement, Vec::new()) {
                Ok(Verdict::Harmless) => {}
                Ok(Verdict::ChangesSchema) => verdict = Verdict::ChangesSchema,
                Ok(Verdict::Writes(_)) | Err(_) => {
                    return Err(refusal(
                        "several statements in one string",
                        "run them one by one, in a transaction if they belong together",
                    ));
                }
            }
        }
        return Ok(verdict);
    }
    let values = statement.values.iter().flat_map(|values| values.0.iter().cloned());
    court.judge(only, values.collect())
}

fn dialect(backend: DbBackend) -> &'static dyn Dialect {
    match backend {
        DbBackend::MySql => &MySqlDialect {},
        DbBackend::Postgres => &PostgreSqlDialect {},
        _ => &SQLiteDialect {},
    }
}

pub(super) fn refusal(what: impl Into<String>, instead: impl Into<String>) -> Error {
    Error::Uncapturable {
        what: what.into(),
        instead: format!(
            "{}; `replica.untracked()` writes without recording, and `replica.adopt` records it afterwards",
            instead.into()
        ),
    }
}

struct Court<'a> {
    registry: &'a Registry,
    /// Replicated tables, and those from which foreign keys reach them.
    relevant: BTreeSet<String>,
}

impl<'a> Court<'a> {
    fn new(registry: &'a Registry, catalog: &Catalog) -> Self {
        let replicated = registry.iter().map(|table| table.name.as_str());
        Self {
            registry,
            relevant: catalog.reaching(replicated),
        }
    }

    fn relevant_name(&self, name: &ObjectName) -> Option<&str> {
        let last = name.0.last()?.as_ident()?;
        let found = self.relevant.iter().find(|name| name.eq_ignore_ascii_case(&last.value));
        found.map(String::as_str)
    }

    fn is_own(&self, name: &ObjectName) -> bool {
        let last = name.0.last().and_then(|part| part.as_ident());
        let tables = self.registry.iter().map(|table| table.name.clone());
        last.is_some_and(|last| schema::is_own(&last.value, tables))
    }

    fn mentions(&self, sql: &str) -> bool {
        let sql = sql.to_ascii_lowercase();
        self.relevant
            .iter()
            .any(|name| sql.contains(&name.to_ascii_lowercase()))
            || sql.contains("_grove_")
    }

    fn judge(&self, statement: ast::Statement, values: Vec<Value>) -> Result<Verdict, Error> {
        use ast::Statement as S;
        match statement {
            S::Insert(insert) => self.judge_insert(insert, values),
            S::Update(update) => self.judge_update(update, values),
            S::Delete(delete) => self.judge_delete(delete, values),
            S::Query(_) | S::Explain { .. } => self.judge_query(&statement),
            S::Merge(_) => self.judge_query(&S::Explain {
                describe_alias: ast::DescribeAlias::Explain,
                analyze: true,
                verbose: false,
                query_plan: false,
                estimate: false,
                statement: Box::new(statement),
                format: None,
                options: None,
            }),
            S::Truncate(truncate) => {
                let names = truncate.table_names.iter().map(|target| &target.name);
                self.refuse_if_relevant(names, "TRUNCATE", "delete the rows with `delete_many`")
            }
            S::Drop {
                object_type: ObjectType::Table,
                names,
                ..
            } => self.refuse_if_relevant(names.iter(), "DROP TABLE", "drop it in a migration"),
            S::AlterTable(alter) if self.is_own(&alter.name) => Err(own_table(&alter.name)),
            S::Copy {
                source: ast::CopySource::Table { table_name, .. },
                to: false,
                ..
            } => self.refuse_if_relevant([&table_name].into_iter(), "COPY", "insert the rows with `insert_many`"),
            S::StartTransaction { .. }
            | S::Commit { .. }
            | S::Rollback { .. }
            | S::Savepoint { .. }
            | S::ReleaseSavepoint { .. } => Err(refusal(
                "transaction control in SQL",
                "use `begin`, `commit` and `rollback` of the connection",
            )),
            _ => Ok(Verdict::ChangesSchema),
        }
    }

    fn refuse_if_relevant<'n>(
        &self,
        names: impl Iterator<Item = &'n ObjectName>,
        what: &str,
        instead: &str,
    ) -> Result<Verdict, Error> {
        for name in names {
            if self.relevant_name(name).is_some() || self.is_own(name) {
                return Err(refusal(format!("{what} of `{name}`"), instead));
            }
        }
        Ok(Verdict::ChangesSchema)
    }

    /// A query writes when a statement within it does.
    fn judge_query(&self, query: &ast::Statement) -> Result<Verdict, Error> {
        let mut written = None;
        let _ = visit_statements(query, |inner| {
            let name = match inner {
                ast::Statement::Insert(insert) => insert_name(insert),
                ast::Statement::Update(update) => table_name(&update.table.relation),
                ast::Statement::Delete(delete) => delete_relation(delete).and_then(table_name),
                ast::Statement::Merge(merge) => table_name(&merge.table),
                _ => None,
            };
            match name {
                Some(name) if self.relevant_name(name).is_some() || self.is_own(name) => {
                    written = Some(name.to_string());
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        });
        match written {
            None => Ok(Verdict::Harmless),
            Some(name) => Err(refusal(
                format!("a write of `{name}` inside a query, a `WITH` clause or a `MERGE`"),
                "write it as a statement of its own",
            )),
        }
    }

    fn judge_insert(&self, insert: ast::Insert, values: Vec<Value>) -> Result<Verdict, Error> {
        let Some(name) = insert_name(&insert).cloned() else {
            return Ok(Verdict::Harmless);
        };
        let alias = insert.table_alias.as_ref().map(|alias| alias.alias.to_string());
        self.write(&name, alias, WriteKind::Insert(insert), values)
    }

    fn judge_update(&self, update: ast::Update, values: Vec<Value>) -> Result<Verdict, Error> {
        let TableFactor::Table { name, alias, .. } = &update.table.relation else {
            return Ok(Verdict::Harmless);
        };
        if self.relevant_name(name).is_some() && !update.table.joins.is_empty() {
            return Err(refusal(
                format!("an update of `{name}` joined with other tables"),
                "name the rows in `WHERE`",
            ));
        }
        let (name, alias) = (name.clone(), alias.as_ref().map(|alias| alias.name.to_string()));
        self.write(&name, alias, WriteKind::Update(update), values)
    }

    fn judge_delete(&self, delete: ast::Delete, values: Vec<Value>) -> Result<Verdict, Error> {
        let Some(TableFactor::Table { name, alias, .. }) = delete_relation(&delete) else {
            return Ok(Verdict::Harmless);
        };
        let simple = delete.tables.is_empty() && delete.using.is_none();
        if self.relevant_name(name).is_some() && !simple {
            return Err(refusal(
                format!("a delete from `{name}` joined with other tables"),
                "name the rows in `WHERE`",
            ));
        }
        let (name, alias) = (name.clone(), alias.as_ref().map(|alias| alias.name.to_string()));
        self.write(&name, alias, WriteKind::Delete(delete), values)
    }

    fn write(
        &self,
        name: &ObjectName,
        alias: Option<String>,
        mut kind: WriteKind,
        values: Vec<Value>,
    ) -> Result<Verdict, Error> {
        if self.is_own(name) {
            return Err(own_table(name));
        }
        let Some(relevant) = self.relevant_name(name) else {
            return Ok(Verdict::Harmless);
        };
        number_placeholders(&mut kind, values.len())?;
        let target = Target {
            name: relevant.to_owned(),
            text: name.to_string(),
            alias,
        };
        Ok(Verdict::Writes(Box::new(Write { target, kind, values })))
    }
}

fn own_table(name: &ObjectName) -> Error {
    refusal(
        format!("a write of `{name}`"),
        "leave the tables of the replica to the replica",
    )
}

/// Refuses conditions that may name other rows each time they are evaluated: the rows are read before the statement runs.
pub(super) fn refuse_random(conditions: &str, table: &str) -> Result<(), Error> {
    if calls_random(conditions) {
        return Err(refusal(
            format!("a write of `{table}` whose rows are chosen at random"),
            "select the keys first, and name them",
        ));
    }
    Ok(())
}

/// Whether a text calls a function that gives another value each time.
pub(super) fn calls_random(text: &str) -> bool {
    const FUNCTIONS: [&str; 7] = [
        "random",
        "randomblob",
        "rand",
        "uuid",
        "uuid_generate_v4",
        "gen_random_uuid",
        "uuidv7",
    ];
    let tokens = Tokenizer::new(&SQLiteDialect {}, text).tokenize().unwrap_or_default();
    let mut code = tokens
        .iter()
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .peekable();
    while let Some(token) = code.next() {
        if let Token::Word(word) = token
            && FUNCTIONS.iter().any(|name| name.eq_ignore_ascii_case(&word.value))
            && code.peek() == Some(&&Token::LParen)
        {
            return true;
        }
    }
    false
}

fn insert_name(insert: &ast::Insert) -> Option<&ObjectName> {
    match &insert.table {
        ast::TableObject::TableName(name) => Some(name),
        _ => None,
    }
}

fn table_name(relation: &TableFactor) -> Option<&ObjectName> {
    match relation {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

fn delete_relation(delete: &ast::Delete) -> Option<&TableFactor> {
    let (ast::FromTable::WithFromKeyword(tables) | ast::FromTable::WithoutKeyword(tables)) = &delete.from;
    tables.first().map(|table| &table.relation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_need_no_second_look() {
        for sql in [
            "SELECT 1",
            "  select * from t ;",
            "PRAGMA foreign_keys = ON",
            "VALUES (1)",
            "explain query plan select 1",
        ] {
            assert!(passes_through(sql), "{sql}");
        }
        for sql in [
            "INSERT INTO t VALUES (1)",
            "SELECT 1; DELETE FROM t",
            "WITH x AS (SELECT 1) DELETE FROM t",
            "EXPLAIN ANALYZE DELETE FROM t",
            "-- c\nDELETE FROM t",
            "(DELETE FROM t)",
            "",
        ] {
            assert!(!passes_through(sql), "{sql}");
        }
    }

    /// Columns and tables that are called so were once taken for it.
    #[test]
    fn only_a_call_is_random() {
        for text in ["random() > 0", "id = UUID ( )", "x IN (SELECT randomblob(4))"] {
            assert!(calls_random(text), "{text}");
        }
        for text in [
            "\"devices\".\"uuid\" = ?1",
            "uuid IN (?1)",
            "brand(x) = 1",
            "name = 'random()'",
            "user_uuids.random = 1",
        ] {
            assert!(!calls_random(text), "{text}");
        }
    }
}
