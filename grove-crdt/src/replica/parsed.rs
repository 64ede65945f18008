//! Writes that were parsed lately: those who write many rows send the same text again and again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use sea_orm::Statement;

use crate::{
    entity::Registry,
    error::Error,
    replica::statement::{self, ParsedWrite, Verdict},
    store::catalog::Catalog,
};

/// How many bytes of text are remembered. What is made of them takes some hundred times as much.
const MAX_BYTES: usize = 64 << 10;

/// What was made of the latest texts, the newest last.
#[derive(Debug, Default)]
pub(super) struct ParsedWrites(Mutex<VecDeque<Entry>>);

#[derive(Debug)]
struct Entry {
    sql: String,
    /// How many values came with it: one too few would have been an error.
    values: usize,
    /// What it was judged against.
    catalog: Arc<Catalog>,
    parsed: Arc<ParsedWrite>,
}

impl ParsedWrites {
    /// Judges a statement as [`statement::judge`] does.
    ///
    /// # Errors
    ///
    /// A write that can't be captured, with the way to do it.
    pub(super) fn judge(
        &self,
        statement: &Statement,
        registry: &Registry,
        catalog: &Arc<Catalog>,
    ) -> Result<Verdict, Error> {
        if let Some(parsed) = self.find(statement, catalog) {
            return Ok(Verdict::Writes(parsed));
        }
        let verdict = statement::judge(statement, registry, catalog)?;
        if let Verdict::Writes(parsed) = &verdict {
            self.keep(Entry {
                sql: statement.sql.clone(),
                values: statement::count_values(statement),
                catalog: catalog.clone(),
                parsed: parsed.clone(),
            });
        }
        Ok(verdict)
    }

    fn find(&self, statement: &Statement, catalog: &Arc<Catalog>) -> Option<Arc<ParsedWrite>> {
        let values = statement::count_values(statement);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = entries.iter().position(|entry| {
            entry.values == values && Arc::ptr_eq(&entry.catalog, catalog) && entry.sql == statement.sql
        })?;
        let entry = entries.remove(place)?;
        let parsed = entry.parsed.clone();
        entries.push_back(entry);
        Some(parsed)
    }

    /// Takes an entry in, and drops the oldest ones, as well as those judged against what is no longer so.
    fn keep(&self, entry: Entry) {
        if entry.sql.len() > MAX_BYTES {
            return;
        }
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|other| Arc::ptr_eq(&other.catalog, &entry.catalog));
        entries.push_back(entry);
        let mut bytes: usize = entries.iter().map(|entry| entry.sql.len()).sum();
        while bytes > MAX_BYTES
            && let Some(oldest) = entries.pop_front()
        {
            bytes -= oldest.sql.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;
    use sqlparser::ast;

    use super::*;
    use crate::replica::{
        sections::Sections,
        source::Source,
        statement::{Target, WriteKind},
    };

    fn entry(sql: &str, catalog: &Arc<Catalog>) -> Entry {
        let source = Source::read(sql, DbBackend::Sqlite).unwrap();
        let Some(ast::Statement::Delete(delete)) = source.parse().unwrap().pop() else {
            panic!("a delete")
        };
        let parsed = ParsedWrite {
            target: Target {
                name: "t".to_owned(),
                text: "t".to_owned(),
                bare: "t".to_owned(),
                alias: None,
            },
            sections: Sections::of_delete(&source, &delete).unwrap(),
            kind: WriteKind::Delete(delete),
            source,
        };
        Entry {
            sql: sql.to_owned(),
            values: 1,
            catalog: catalog.clone(),
            parsed: Arc::new(parsed),
        }
    }

    fn knows(writes: &ParsedWrites, sql: &str, values: usize, catalog: &Arc<Catalog>) -> bool {
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, vec![1.into(); values]);
        writes.find(&statement, catalog).is_some()
    }

    #[test]
    fn a_text_is_known_with_as_many_values_and_while_the_schema_stays() {
        let (catalog, writes) = (Arc::new(Catalog::default()), ParsedWrites::default());
        let sql = "DELETE FROM t WHERE a = ?";
        writes.keep(entry(sql, &catalog));
        assert!(knows(&writes, sql, 1, &catalog));
        assert!(!knows(&writes, sql, 0, &catalog));
        assert!(!knows(&writes, "DELETE FROM t WHERE b = ?", 1, &catalog));
        let changed = Arc::new(Catalog::default());
        assert!(!knows(&writes, sql, 1, &changed));
        writes.keep(entry("DELETE FROM t WHERE b = ?", &changed));
        assert!(!knows(&writes, sql, 1, &catalog));
    }

    #[test]
    fn what_was_not_used_for_long_is_dropped() {
        let (catalog, writes) = (Arc::new(Catalog::default()), ParsedWrites::default());
        let sql = |n: usize, bytes: usize| format!("DELETE FROM t WHERE a = {n}{}", " ".repeat(bytes));
        for n in 0..3 {
            writes.keep(entry(&sql(n, 20_000), &catalog));
        }
        assert!(knows(&writes, &sql(0, 20_000), 1, &catalog));
        writes.keep(entry(&sql(3, 20_000), &catalog));
        let known = [0, 1, 2, 3].map(|n| knows(&writes, &sql(n, 20_000), 1, &catalog));
        assert_eq!(known, [true, false, true, true]);
        writes.keep(entry(&sql(4, MAX_BYTES), &catalog));
        assert!(!knows(&writes, &sql(4, MAX_BYTES), 1, &catalog) && knows(&writes, &sql(0, 20_000), 1, &catalog));
    }
}
