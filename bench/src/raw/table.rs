use std::collections::HashMap;

use rusqlite::{Connection, Row, types::Value};

/// The table of documents, and its shadow.
pub(super) const TABLES: [&str; 2] = ["documents", "_documents_crdt"];

/// A table with all its rows. The first column is, or begins with, the document's key.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: Vec<String>,
    /// The columns of the primary key.
    pub(super) key: Vec<String>,
    /// The rows by the document's key.
    pub(super) rows: HashMap<String, Vec<Vec<Value>>>,
}

impl Table {
    pub(super) fn read(connection: &Connection, name: &'static str) -> anyhow::Result<Self> {
        let mut info = connection.prepare("SELECT name, pk FROM pragma_table_info(?1)")?;
        let columns = info.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let columns: Vec<(String, i64)> = columns.collect::<Result<_, _>>()?;
        let mut rows: HashMap<_, Vec<_>> = HashMap::new();
        let mut select = connection.prepare(&format!("SELECT * FROM {name}"))?;
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            rows.entry(row.get(0)?).or_default().push(values(row)?);
        }
        let key = columns.iter().filter(|(_, place)| *place > 0);
        Ok(Self {
            name,
            key: key.map(|(column, _)| column.clone()).collect(),
            columns: columns.into_iter().map(|(column, _)| column).collect(),
            rows,
        })
    }

    /// The rows of one document.
    pub(super) fn of(&self, key: &str) -> &[Vec<Value>] {
        self.rows.get(key).map_or(&[], Vec::as_slice)
    }

    /// A statement that inserts a row.
    pub(super) fn insert(&self) -> String {
        let places = vec!["?"; self.columns.len()].join(", ");
        format!("INSERT INTO {} VALUES ({places})", self.name)
    }

    /// A statement that inserts a row, or brings the one with its key up to date.
    pub(super) fn upsert(&self) -> String {
        let others = self.columns.iter().filter(|column| !self.key.contains(column));
        let assignments: Vec<_> = others.map(|column| format!("{column} = excluded.{column}")).collect();
        format!(
            "{} ON CONFLICT ({}) DO UPDATE SET {}",
            self.insert(),
            self.key.join(", "),
            assignments.join(", ")
        )
    }
}

/// All values of a row.
pub(super) fn values(row: &Row<'_>) -> rusqlite::Result<Vec<Value>> {
    (0..row.as_ref().column_count()).map(|column| row.get(column)).collect()
}
