//! Statements that change rows, as text and as what carries them out.

use std::fmt;

use super::tables::{COLUMNS, Row, Val};

/// By which part of the API a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `ActiveModel`.
    Model,
    /// `insert_many`, `update_many`, `delete_many`.
    Many,
    /// SQL.
    Raw,
}

/// A statement. It is shown as SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Insert {
        table: usize,
        rows: Vec<Row>,
        way: Way,
    },
    Update {
        table: usize,
        /// The rows that have this value in this column.
        at: (usize, Val),
        set: Vec<(usize, Val)>,
        way: Way,
    },
    Delete {
        table: usize,
        at: (usize, Val),
        way: Way,
    },
    Sql(String),
}

impl Change {
    pub fn way(&self) -> Way {
        match self {
            Self::Insert { way, .. } | Self::Update { way, .. } | Self::Delete { way, .. } => *way,
            Self::Sql(_) => Way::Raw,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert { table, rows, .. } => {
                let rows = rows.iter().map(|row| {
                    let values: Vec<_> = row.iter().map(Val::literal).collect();
                    format!("({})", values.join(", "))
                });
                let rows: Vec<_> = rows.collect();
                let columns = COLUMNS.join(", ");
                write!(f, "INSERT INTO t{} ({columns}) VALUES {}", table + 1, rows.join(", "))
            }
            Self::Update { table, at, set, .. } => {
                let set = set
                    .iter()
                    .map(|(column, value)| format!("{} = {}", COLUMNS[*column], value.literal()));
                let set: Vec<_> = set.collect();
                write!(f, "UPDATE t{} SET {} WHERE {}", table + 1, set.join(", "), Equal(at))
            }
            Self::Delete { table, at, .. } => write!(f, "DELETE FROM t{} WHERE {}", table + 1, Equal(at)),
            Self::Sql(text) => f.write_str(text),
        }
    }
}

struct Equal<'a>(&'a (usize, Val));

impl fmt::Display for Equal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (column, value) = self.0;
        let equals = if value.is_null() { "IS" } else { "=" };
        write!(f, "{} {equals} {}", COLUMNS[*column], value.literal())
    }
}
