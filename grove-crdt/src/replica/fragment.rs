//! Queries of ours that take up parts of a user's statement.

use std::{fmt::Write as _, ops::Range};

use sea_orm::{DbBackend, Value};

use crate::{
    replica::statement::Write,
    store::dialect::{self, TUPLES_IN_LIST},
};

/// Stand around the number of a value in a query that is being put together. They are no characters of any text.
const MARKS: [char; 2] = ['\u{FDD0}', '\u{FDD1}'];

/// Whether a text could be taken for one with values of ours in it.
pub(super) fn has_marks(text: &str) -> bool {
    text.contains(MARKS)
}

/// Writes the parts of one query and collects the values they bind. In the parts a value is a marker;
/// [`finish`](Self::finish) gives the query its placeholders.
#[derive(Debug)]
pub(super) struct Fragments<'a> {
    write: Option<&'a Write<'a>>,
    backend: DbBackend,
    values: Vec<Value>,
}

impl<'a> Fragments<'a> {
    /// Of a query that takes up nothing.
    pub(super) fn new(backend: DbBackend) -> Self {
        Self {
            write: None,
            backend,
            values: Vec::new(),
        }
    }

    /// Of a query that takes up parts of `write`.
    pub(super) fn of(write: &'a Write<'a>) -> Self {
        Self {
            write: Some(write),
            ..Self::new(write.source.backend())
        }
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.backend
    }

    /// A part of the statement.
    pub(super) fn take(&mut self, range: &Range<usize>) -> String {
        let Some(write) = self.write else {
            return String::new();
        };
        // Every placeholder has a value, or the statement was refused.
        write.source.write(range.clone(), |n| {
            write
                .values
                .get(n)
                .map_or_else(String::new, |value| self.bind(value.clone()))
        })
    }

    /// Binds a value of ours and gives what stands for it.
    pub(super) fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("{}{}{}", MARKS[0], self.values.len() - 1, MARKS[1])
    }

    /// A name in quotes.
    pub(super) fn quoted(&self, name: &str) -> String {
        let quote = if self.backend == DbBackend::MySql { '`' } else { '"' };
        format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")))
    }

    /// Names as columns of `owner`.
    pub(super) fn columns(&self, owner: &str, names: &[String]) -> String {
        let names: Vec<_> = names
            .iter()
            .map(|name| format!("{owner}.{}", self.quoted(name)))
            .collect();
        names.join(", ")
    }

    /// The condition that columns of `owner` have one of these values.
    pub(super) fn among(&mut self, owner: &str, columns: &[String], values: &[Vec<Value>]) -> String {
        let tuples = values.iter();
        let bound: Vec<Vec<_>> = tuples
            .map(|tuple| tuple.iter().map(|value| self.bind(value.clone())).collect())
            .collect();
        self.among_texts(owner, columns, &bound)
    }

    /// The same, of values that are written out.
    pub(super) fn among_texts(&self, owner: &str, columns: &[String], values: &[Vec<String>]) -> String {
        let list = self.columns(owner, columns);
        if columns.len() == 1 {
            return format!("{list} IN ({})", values.concat().join(", "));
        }
        let tuples: Vec<_> = values.iter().map(|tuple| format!("({})", tuple.join(", "))).collect();
        match self.backend {
            // It takes no list of tuples, but a table of them.
            DbBackend::Sqlite => format!("({list}) IN (VALUES {})", tuples.join(", ")),
            DbBackend::MySql if tuples.len() > TUPLES_IN_LIST => {
                let lists = tuples.chunks(TUPLES_IN_LIST);
                let lists = lists.map(|tuples| format!("({list}) IN ({})", tuples.join(", ")));
                format!("({})", lists.collect::<Vec<_>>().join(" OR "))
            }
            _ => format!("({list}) IN ({})", tuples.join(", ")),
        }
    }

    /// The clause that locks what a query reads.
    pub(super) fn for_update(&self) -> &'static str {
        dialect::for_update_text(self.backend)
    }

    /// The same for a query within another. Elsewhere than on MySQL it reads what is even without.
    pub(super) fn for_update_inside(&self) -> &'static str {
        match self.backend {
            DbBackend::MySql => self.for_update(),
            _ => "",
        }
    }

    /// The clause that makes a locking read take its locks in the order of the keys.
    pub(super) fn in_order_of(&self, owner: &str, key: &[String]) -> String {
        match self.backend {
            DbBackend::Sqlite => String::new(),
            _ => format!(" ORDER BY {}", self.columns(owner, key)),
        }
    }

    /// The query with its placeholders, and the values in their order.
    pub(super) fn finish(self, text: &str) -> (String, Vec<Value>) {
        let mut sql = String::with_capacity(text.len());
        let mut values = Vec::with_capacity(self.values.len());
        let mut rest = text;
        while let Some((before, marked)) = rest.split_once(MARKS[0]) {
            sql.push_str(before);
            let (number, after) = marked.split_once(MARKS[1]).unwrap_or((marked, ""));
            if let Some(value) = number.parse().ok().and_then(|n: usize| self.values.get(n)) {
                values.push(value.clone());
            }
            let n = values.len();
            // Writing to a string can't fail.
            let _ = match self.backend {
                DbBackend::MySql => write!(sql, "?"),
                DbBackend::Postgres => write!(sql, "${n}"),
                _ => write!(sql, "?{n}"),
            };
            rest = after;
        }
        sql.push_str(rest);
        (sql, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_become_the_placeholders_of_the_backend() {
        for (backend, expected) in [
            (DbBackend::Sqlite, "a = ?1 AND '?' = b AND c = ?2 OR ?3"),
            (DbBackend::Postgres, "a = $1 AND '?' = b AND c = $2 OR $3"),
            (DbBackend::MySql, "a = ? AND '?' = b AND c = ? OR ?"),
        ] {
            let mut fragments = Fragments::new(backend);
            let (one, two) = (fragments.bind("one".into()), fragments.bind(2.into()));
            let (sql, values) = fragments.finish(&format!("a = {two} AND '?' = b AND c = {one} OR {two}"));
            assert_eq!(sql, expected);
            assert_eq!(values, [2.into(), "one".into(), 2.into()]);
        }
    }

    /// MariaDB planned a long list for seconds, and then read and locked the whole table.
    #[test]
    fn on_mysql_a_list_of_tuples_is_not_long() {
        let keys: Vec<Vec<Value>> = (0..450).map(|n| vec![n.into(), n.into()]).collect();
        let columns = ["a".to_owned(), "b".to_owned()];
        let mut fragments = Fragments::new(DbBackend::MySql);
        let text = fragments.among("t", &columns, &keys);
        let (text, values) = fragments.finish(&text);
        let lists: Vec<_> = text.split(" OR ").map(|list| list.matches("(?, ?)").count()).collect();
        assert_eq!((lists, values.len()), (vec![200, 200, 50], 900));
    }

    #[test]
    fn names_and_tuples_are_written_as_the_backend_reads_them() {
        let keys = [vec![1.into(), 2.into()], vec![3.into(), 4.into()]];
        let columns = ["a".to_owned(), "b".to_owned()];
        for (backend, name, expected) in [
            (
                DbBackend::Sqlite,
                "\"a\"\"`b\"",
                "(t.\"a\", t.\"b\") IN (VALUES (?1, ?2), (?3, ?4))",
            ),
            (
                DbBackend::Postgres,
                "\"a\"\"`b\"",
                "(t.\"a\", t.\"b\") IN (($1, $2), ($3, $4))",
            ),
            (DbBackend::MySql, "`a\"``b`", "(t.`a`, t.`b`) IN ((?, ?), (?, ?))"),
        ] {
            let mut fragments = Fragments::new(backend);
            assert_eq!(fragments.quoted("a\"`b"), name);
            let text = fragments.among("t", &columns, &keys);
            assert_eq!(fragments.finish(&text).0, expected);
        }
    }
}
