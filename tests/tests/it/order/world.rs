//! The rows that there are, as the steps of a program find them, and what they can pick.

use std::collections::BTreeMap;

use grove_crdt_tests::database::DbBackend;
use sea_orm::{ConnectionTrait, DbErr};

use super::{
    schema::{Reference, Schema, Table, When},
    tables::{CODE, ID, Kind, OWN, POS, Row, TITLE, Val, kind, rows_of},
};

const KEYS: usize = 6;
const CODES: usize = 7;
const POSITIONS: usize = 8;

/// The rows of a database.
#[derive(Clone, Debug)]
pub struct World<'a> {
    pub schema: &'a Schema,
    backend: DbBackend,
    rows: BTreeMap<usize, Vec<Row>>,
}

impl<'a> World<'a> {
    pub async fn read<C: ConnectionTrait>(conn: &C, schema: &'a Schema) -> Result<Self, DbErr> {
        let mut rows = BTreeMap::new();
        for number in schema.numbers() {
            rows.insert(number, rows_of(conn, number).await?);
        }
        Ok(Self {
            schema,
            backend: conn.get_database_backend(),
            rows,
        })
    }

    pub fn rows(&self, table: usize) -> &[Row] {
        &self.rows[&table]
    }

    pub fn rows_mut(&mut self, table: usize) -> &mut Vec<Row> {
        self.rows.entry(table).or_default()
    }

    /// The number of the table that is picked.
    pub fn number(&self, pick: u8) -> usize {
        self.schema.0[usize::from(pick) % self.schema.0.len()].number
    }

    /// The place of a table among those of the schema.
    pub fn place(&self, number: usize) -> usize {
        let place = self.schema.numbers().position(|known| known == number);
        place.expect("a table of the schema")
    }

    /// The row that is picked.
    pub fn row(&self, table: u8, pick: u8) -> Option<(usize, &Row)> {
        let number = self.number(table);
        let rows = self.rows(number);
        Some((number, rows.get(usize::from(pick) % rows.len().max(1))?))
    }

    /// The reference that is picked.
    pub fn reference(&self, pick: u8) -> Option<(&Table, &Reference)> {
        let count = self.schema.references().count();
        self.schema.references().nth(usize::from(pick) % count.max(1))
    }

    /// A key that no row has.
    pub fn fresh_key(&self, table: usize, pick: u8) -> Option<Val> {
        let taken = |key: &Val| self.rows(table).iter().any(|row| row[ID] == *key);
        let mut keys = (0..KEYS).map(|n| key(table, usize::from(pick) + n));
        keys.find(|key| !taken(key))
    }

    /// A new row.
    pub fn draw(&self, table: usize, picks: [u8; 8]) -> Option<Row> {
        let mut row = [const { Val::Null }; 8];
        row[ID] = self.fresh_key(table, picks[ID])?;
        let own = row[ID].clone();
        for column in CODE..=TITLE {
            row[column] = self.value(table, column, &own, picks[column])?;
        }
        Some(row)
    }

    /// A value for a column of the row of this key; mostly one that can be there.
    pub fn value(&self, table: usize, column: usize, own: &Val, pick: u8) -> Option<Val> {
        let said = self.schema.table(table);
        let must_have = said.must_have(column);
        let n = usize::from(pick);
        if let Some(reference) = said.reference(column) {
            let parents = self.rows(reference.parent);
            let parents = parents
                .iter()
                .map(|row| &row[reference.to])
                .filter(|value| !value.is_null());
            let parents: Vec<_> = parents.collect();
            // One that may come later.
            if n == 13 && reference.when != When::AtOnce {
                return Some(match reference.to {
                    CODE => code(n),
                    _ => key(reference.parent, n),
                });
            }
            if n % 4 == 3 && !must_have {
                return Some(Val::Null);
            }
            return match parents.get(n % parents.len().max(1)) {
                Some(parent) => Some((*parent).clone()),
                None if column == OWN => Some(own.clone()),
                None if must_have => None,
                None => Some(Val::Null),
            };
        }
        if !must_have && n % 5 == 4 {
            return Some(Val::Null);
        }
        match (column, kind(table, column)) {
            (CODE, Kind::Uuid) => Some(self.mostly_free(table, column, n, CODES, Val::uuid)),
            (CODE, _) => Some(self.mostly_free(table, column, n, CODES, code)),
            (POS, _) => Some(self.mostly_free(table, column, n, POSITIONS, position)),
            (TITLE, _) => Some(Val::Text(format!("title {}", n % 3))),
            (_, Kind::Text) => Some(Val::Text(format!("free {}", n % 3))),
            _ => Some(Val::Int(i64::from(pick) + 100)),
        }
    }

    /// One of so many values, mostly one that no row has.
    fn mostly_free(&self, table: usize, column: usize, n: usize, count: usize, value: fn(usize) -> Val) -> Val {
        let taken = |value: &Val| self.rows(table).iter().any(|row| row[column] == *value);
        let mut values = (0..count).map(|more| value((n + more) % count));
        let free = if n == 15 {
            None
        } else {
            values.find(|value| !taken(value))
        };
        free.unwrap_or_else(|| value(n % count))
    }

    /// The statement that has whatever can be checked at the end of the transaction checked there.
    pub fn defer(&self) -> Option<&'static str> {
        match self.backend {
            DbBackend::Postgres => Some("SET CONSTRAINTS ALL DEFERRED"),
            DbBackend::Sqlite => Some("PRAGMA defer_foreign_keys = ON"),
            _ => None,
        }
    }
}

fn key(table: usize, n: usize) -> Val {
    let n = n % KEYS;
    match kind(table, ID) {
        Kind::Text => Val::text(&"abcdefgh"[n..=n]),
        _ => Val::Int(i64::try_from(n).unwrap_or_default() + 1),
    }
}

fn code(n: usize) -> Val {
    Val::Text(format!("k{}", n % CODES))
}

fn position(n: usize) -> Val {
    Val::Int(i64::try_from(n).unwrap_or_default())
}
