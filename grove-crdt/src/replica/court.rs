//! Judging a statement by what the parser made of it.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use sea_orm::DbBackend;
use sqlparser::ast::{self, Ident, ObjectName, ObjectType, TableFactor, TableWithJoins, visit_statements};

use crate::{
    entity::Registry,
    error::Error,
    replica::{
        fragment,
        placeholders::number_placeholders,
        sections::Sections,
        source::Source,
        statement::{ParsedWrite, Target, Verdict, WriteKind, makes_table, refusal},
    },
    store::{catalog::Catalog, schema},
};

/// What a statement is judged against.
pub(super) struct Court<'a> {
    registry: &'a Registry,
    pub(super) backend: DbBackend,
    /// Replicated tables, and those from which foreign keys reach them.
    relevant: BTreeSet<String>,
}

impl<'a> Court<'a> {
    pub(super) fn new(registry: &'a Registry, catalog: &Catalog, backend: DbBackend) -> Self {
        let replicated = registry.iter().map(|table| table.name.as_str());
        Self {
            registry,
            backend,
            relevant: catalog.reaching(replicated),
        }
    }

    /// The table that matters by this name, whatever its schema: which is meant without one is for the database to say.
    fn relevant_name(&self, name: &ObjectName) -> Option<&str> {
        let last = name.0.last()?.as_ident()?;
        let found = self.relevant.iter().find(|name| self.is_called(name, last));
        found.map(String::as_str)
    }

    fn is_called(&self, name: &str, ident: &Ident) -> bool {
        match (self.backend, ident.quote_style) {
            (DbBackend::Postgres, Some(_)) => name == ident.value,
            (DbBackend::Postgres, None) => name == ident.value.to_lowercase(),
            // On MySQL it depends on the file system whether case matters.
            _ => name.eq_ignore_ascii_case(&ident.value),
        }
    }

    fn is_own(&self, name: &ObjectName) -> bool {
        let last = name.0.last().and_then(|part| part.as_ident());
        let tables = self.registry.iter().map(|table| table.name.clone());
        last.is_some_and(|last| schema::is_own(&last.value, tables))
    }

    fn matters(&self, name: &ObjectName) -> bool {
        self.relevant_name(name).is_some() || self.is_own(name)
    }

    /// Whether a text names a table that matters.
    pub(super) fn mentions(&self, sql: &str) -> bool {
        let sql = sql.to_lowercase();
        self.relevant.iter().any(|name| sql.contains(&name.to_lowercase())) || sql.contains("_grove_")
    }

    /// Judges one of several statements in one string.
    pub(super) fn judge_several(&self, statements: Vec<ast::Statement>, sql: &str) -> Result<Verdict, Error> {
        let several = || {
            refusal(
                "several statements in one string",
                "run them one by one, in a transaction if they belong together",
            )
        };
        let mut verdict = Verdict::Harmless;
        for statement in statements {
            // Only what stands alone is taken apart.
            let alone = match &statement {
                ast::Statement::Insert(_) | ast::Statement::Update(_) | ast::Statement::Delete(_) => {
                    if self.mentions(sql) && self.writes(&statement) {
                        return Err(several());
                    }
                    Ok(Verdict::Harmless)
                }
                _ => self.judge_other(&statement),
            };
            match alone {
                Ok(Verdict::Harmless) => {}
                Ok(Verdict::ChangesSchema) => verdict = Verdict::ChangesSchema,
                Ok(Verdict::Writes(_)) | Err(_) => return Err(several()),
            }
        }
        Ok(verdict)
    }

    /// Judges a statement that stands alone.
    pub(super) fn judge(&self, statement: ast::Statement, source: Source, values: usize) -> Result<Verdict, Error> {
        let (name, kind) = match statement {
            ast::Statement::Insert(insert) => (insert_name(&insert).cloned(), WriteKind::Insert(insert)),
            ast::Statement::Update(update) => {
                self.refuse_joined_update(&update)?;
                (table_name(&update.table.relation).cloned(), WriteKind::Update(update))
            }
            ast::Statement::Delete(delete) => {
                self.refuse_joined_delete(&delete)?;
                let relation = delete_relation(&delete);
                (relation.and_then(table_name).cloned(), WriteKind::Delete(delete))
            }
            other => return self.judge_other(&other),
        };
        match name {
            Some(name) => self.write(&name, kind, source, values),
            None => Ok(Verdict::Harmless),
        }
    }

    fn judge_other(&self, statement: &ast::Statement) -> Result<Verdict, Error> {
        use ast::Statement as S;
        match statement {
            S::Query(query) => {
                self.refuse_writes_within(statement)?;
                Ok(if makes_table(query) {
                    Verdict::ChangesSchema
                } else {
                    Verdict::Harmless
                })
            }
            S::Explain { .. } | S::Merge(_) | S::Prepare { .. } | S::Declare { .. } | S::Copy { to: true, .. } => {
                self.refuse_writes_within(statement)?;
                Ok(Verdict::Harmless)
            }
            S::Lock { .. }
            | S::LISTEN { .. }
            | S::NOTIFY { .. }
            | S::UNLISTEN { .. }
            | S::Set(_)
            | S::ShowVariable { .. }
            | S::Fetch { .. }
            | S::Close { .. } => Ok(Verdict::Harmless),
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
            } => self.refuse_if_relevant([table_name].into_iter(), "COPY", "insert the rows with `insert_many`"),
            S::StartTransaction { .. }
            | S::Commit { .. }
            | S::Rollback { .. }
            | S::Savepoint { .. }
            | S::ReleaseSavepoint { .. }
            | S::LockTables { .. }
            | S::UnlockTables => Err(transaction_control()),
            S::Call(_) | S::Execute { .. } => Err(out_of_sight()),
            // What a body says happens later, if ever.
            S::CreateTrigger(_) | S::CreateFunction(_) | S::CreateProcedure { .. } => Ok(Verdict::ChangesSchema),
            _ => {
                self.refuse_writes_within(statement)?;
                Ok(Verdict::ChangesSchema)
            }
        }
    }

    fn refuse_if_relevant<'n>(
        &self,
        names: impl Iterator<Item = &'n ObjectName>,
        what: &str,
        instead: &str,
    ) -> Result<Verdict, Error> {
        for name in names {
            if self.matters(name) {
                return Err(refusal(format!("{what} of `{name}`"), instead));
            }
        }
        Ok(Verdict::ChangesSchema)
    }

    /// Whether an insert, update or delete names a table that matters as one it may write.
    fn writes(&self, statement: &ast::Statement) -> bool {
        written_tables(statement).any(|name| self.matters(name))
    }

    /// A query, or what else may contain a statement, writes when a statement within it does.
    fn refuse_writes_within(&self, statement: &ast::Statement) -> Result<(), Error> {
        let mut written = None;
        let _ = visit_statements(statement, |inner| {
            match written_tables(inner).find(|name| self.matters(name)) {
                Some(name) => {
                    written = Some(name.to_string());
                    ControlFlow::Break(())
                }
                None => ControlFlow::Continue(()),
            }
        });
        match written {
            None => Ok(()),
            Some(name) => Err(refusal(
                format!("a write of `{name}` inside a query, a `WITH` clause or a `MERGE`"),
                "write it as a statement of its own",
            )),
        }
    }

    fn refuse_joined_update(&self, update: &ast::Update) -> Result<(), Error> {
        if update.table.joins.is_empty() {
            return Ok(());
        }
        let mut names = tables_of(std::slice::from_ref(&update.table));
        match names.find(|name| self.matters(name)) {
            Some(name) => Err(joined("an update of", name)),
            None => Ok(()),
        }
    }

    fn refuse_joined_delete(&self, delete: &ast::Delete) -> Result<(), Error> {
        let from = from_tables(delete);
        let is_one = matches!(from, [table] if table.joins.is_empty());
        // PostgreSQL's `USING` names only tables that are read.
        let reads = delete.using.is_none() || self.backend == DbBackend::Postgres;
        if is_one && delete.tables.is_empty() && reads {
            return Ok(());
        }
        let using = delete.using.as_deref().unwrap_or_default();
        let mut names = tables_of(from).chain(tables_of(using)).chain(&delete.tables);
        match names.find(|name| self.matters(name)) {
            Some(name) => Err(joined("a delete from", name)),
            None => Ok(()),
        }
    }

    fn write(&self, name: &ObjectName, mut kind: WriteKind, source: Source, values: usize) -> Result<Verdict, Error> {
        if self.is_own(name) {
            return Err(own_table(name));
        }
        let (Some(relevant), Some(last)) = (self.relevant_name(name), name.0.last()) else {
            return Ok(Verdict::Harmless);
        };
        let (alias, sections) = match &kind {
            WriteKind::Insert(insert) => (
                insert.table_alias.as_ref().map(|alias| alias.alias.to_string()),
                Sections::of_insert(&source, insert),
            ),
            WriteKind::Update(update) => (alias_of(&update.table.relation), Sections::of_update(&source, update)),
            WriteKind::Delete(delete) => (
                delete_relation(delete).and_then(alias_of),
                Sections::of_delete(&source, delete),
            ),
        };
        let Some(sections) = sections.filter(|_| !fragment::has_marks(source.text())) else {
            return Err(refusal(
                format!("a write of `{name}` that can't be taken apart"),
                "write it in plainer SQL, or with SeaORM's builders",
            ));
        };
        number_placeholders(&mut kind, &source, values)?;
        let target = Target {
            name: relevant.to_owned(),
            text: name.to_string(),
            bare: last.to_string(),
            alias,
        };
        let parsed = ParsedWrite {
            target,
            kind,
            source,
            sections,
        };
        Ok(Verdict::Writes(Arc::new(parsed)))
    }
}

fn own_table(name: &ObjectName) -> Error {
    refusal(
        format!("a write of `{name}`"),
        "leave the tables of the replica to the replica",
    )
}

fn joined(what: &str, name: &ObjectName) -> Error {
    refusal(
        format!("{what} `{name}` joined with other tables"),
        "name the rows in `WHERE`",
    )
}

/// The error for SQL that begins, ends or commits transactions.
pub(super) fn transaction_control() -> Error {
    refusal(
        "transaction control in SQL",
        "use `begin`, `commit` and `rollback` of the connection",
    )
}

/// The error for code that is kept in the database.
pub(super) fn out_of_sight() -> Error {
    refusal(
        "a call of code that is kept in the database, which may write anything,",
        "run its statements one by one",
    )
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

fn alias_of(relation: &TableFactor) -> Option<String> {
    match relation {
        TableFactor::Table { alias, .. } => alias.as_ref().map(|alias| alias.name.to_string()),
        _ => None,
    }
}

fn from_tables(delete: &ast::Delete) -> &[TableWithJoins] {
    let (ast::FromTable::WithFromKeyword(tables) | ast::FromTable::WithoutKeyword(tables)) = &delete.from;
    tables
}

fn delete_relation(delete: &ast::Delete) -> Option<&TableFactor> {
    from_tables(delete).first().map(|table| &table.relation)
}

/// The names of tables, those they are joined with included.
fn tables_of(tables: &[TableWithJoins]) -> impl Iterator<Item = &ObjectName> {
    let all = tables.iter().flat_map(|table| {
        let joined = table.joins.iter().map(|join| &join.relation);
        std::iter::once(&table.relation).chain(joined)
    });
    all.filter_map(table_name)
}

/// The tables that a statement, not those within it, may write.
fn written_tables(statement: &ast::Statement) -> Box<dyn Iterator<Item = &ObjectName> + '_> {
    match statement {
        ast::Statement::Insert(insert) => Box::new(insert_name(insert).into_iter()),
        ast::Statement::Update(update) => Box::new(tables_of(std::slice::from_ref(&update.table))),
        ast::Statement::Delete(delete) => Box::new(tables_of(from_tables(delete)).chain(&delete.tables)),
        ast::Statement::Merge(merge) => Box::new(table_name(&merge.table).into_iter()),
        _ => Box::new(std::iter::empty()),
    }
}
