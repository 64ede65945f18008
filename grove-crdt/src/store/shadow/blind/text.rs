//! Texts of blind writes. One that is of few records is made once: but for its values, it says the same each time.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, PoisonError, RwLock},
};

use sea_orm::{Statement, Value};

use super::{Given, Insert, Terms, names};
use crate::{
    clock::Hlc,
    error::Error,
    store::version::{Taken, Version},
};

/// Texts of more records are not kept.
const MAX_ROWS: usize = 8;

/// What a text does to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Births,
    Deaths,
    DeathsWithCells,
    Assignments,
    Increments,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Alone,
    /// Alone, and it names the cells that it writes.
    Named,
    /// With a statement of the application's.
    Along(Company),
}

/// The statement that a text goes along with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Company {
    /// How many values it has.
    pub values: usize,
    /// Whether both return what they write.
    pub returning: bool,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    table: String,
    step: Step,
    place: Place,
    rows: usize,
    taken: mem::Discriminant<Taken>,
}

/// The texts made so far.
#[derive(Debug, Default)]
pub(crate) struct Texts(RwLock<HashMap<Key, Arc<Text>>>);

/// A text, and what its values are.
#[derive(Debug)]
pub(super) struct Text {
    pub sql: String,
    slots: Vec<Slot>,
}

#[derive(Debug)]
enum Slot {
    /// Of the texts that are given of a record: the record's place and the text's.
    Given(usize, usize),
    Time,
    Counter,
    Node,
    Version,
    /// The same each time.
    Constant(Value),
}

impl Texts {
    /// The statement that `insert` makes of some records.
    pub(super) fn statement<const N: usize>(
        &self,
        step: Step,
        place: Place,
        terms: &Terms<'_>,
        rows: Vec<[String; N]>,
        insert: Insert<N>,
    ) -> Result<Statement, Error> {
        let build = |terms: &Terms<'_>, rows| {
            let mut insert = insert(terms, &mut Given::of(rows))?;
            if place == Place::Named {
                insert.returning(names());
            }
            Ok(terms.backend.build(&insert))
        };
        if rows.len() > MAX_ROWS {
            return build(terms, rows);
        }
        let text = self.text(step, place, terms, rows.len(), |terms, rows| {
            let Statement { sql, values, .. } = build(terms, rows)?;
            Ok((sql, values.map(|values| values.0).unwrap_or_default()))
        })?;
        let values = text.values(terms, &rows);
        Ok(Statement::from_sql_and_values(terms.backend, &text.sql, values))
    }

    /// The text of some step on so many records, which is made, if it has to be, of values that stand for others.
    pub(super) fn text<const N: usize>(
        &self,
        step: Step,
        place: Place,
        terms: &Terms<'_>,
        rows: usize,
        make: impl FnOnce(&Terms<'_>, Vec<[String; N]>) -> Result<(String, Vec<Value>), Error>,
    ) -> Result<Arc<Text>, Error> {
        let key = Key {
            table: terms.table.name.clone(),
            step,
            place,
            rows,
            taken: mem::discriminant(&terms.taken),
        };
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(text) = known {
            return Ok(text);
        }
        let marked = Terms {
            at: &Marks::clock()?,
            taken: Marks::taken(terms.taken),
            ..terms.clone()
        };
        let given = (0..rows).map(|row| std::array::from_fn(|index| Marks::text(row, index)));
        let (sql, values) = make(&marked, given.collect())?;
        let slots = values.into_iter().map(|value| Marks::slot::<N>(value, rows)).collect();
        let text = Arc::new(Text { sql, slots });
        let mut texts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Ok(texts.entry(key).or_insert(text).clone())
    }
}

impl Text {
    /// Its values, for these terms and records.
    pub(super) fn values<const N: usize>(&self, terms: &Terms<'_>, rows: &[[String; N]]) -> Vec<Value> {
        let value = |slot: &Slot| match slot {
            Slot::Given(row, index) => rows[*row][*index].as_str().into(),
            Slot::Time => terms.at.ts.into(),
            Slot::Counter => i64::from(terms.at.counter).into(),
            Slot::Node => terms.at.node.as_str().into(),
            Slot::Version => match terms.taken {
                Taken::Is(Version::Number(number)) => number.into(),
                _ => Value::BigInt(None),
            },
            Slot::Constant(value) => value.clone(),
        };
        self.slots.iter().map(value).collect()
    }
}

/// Values that stand for others while a text is made. None of them is a constant of any text.
struct Marks;

impl Marks {
    const TIME: i64 = i64::MIN + 1;
    const COUNTER: u32 = u32::MAX - 1;
    const NODE: &str = "grove-crdt:the-node-that-writes";
    const VERSION: i64 = i64::MIN + 2;

    fn clock() -> Result<Hlc, Error> {
        Ok(Hlc {
            ts: Self::TIME,
            counter: Self::COUNTER,
            node: Self::NODE.parse()?,
        })
    }

    /// What is given of a record. No text of a database holds such a character.
    fn text(row: usize, index: usize) -> String {
        format!("\0{row}.{index}")
    }

    /// The version that stands for one; where it is found out, it is no value.
    fn taken(taken: Taken) -> Taken {
        match taken {
            Taken::Is(Version::Number(_)) => Taken::Is(Version::Number(Self::VERSION)),
            other => other,
        }
    }

    fn slot<const N: usize>(value: Value, rows: usize) -> Slot {
        if value == Value::from(Self::TIME) {
            return Slot::Time;
        }
        if value == Value::from(i64::from(Self::COUNTER)) {
            return Slot::Counter;
        }
        if value == Value::from(Self::NODE) {
            return Slot::Node;
        }
        if value == Value::from(Self::VERSION) {
            return Slot::Version;
        }
        let mut places = (0..rows).flat_map(|row| (0..N).map(move |index| (row, index)));
        match places.find(|(row, index)| value == Value::from(Self::text(*row, *index))) {
            Some((row, index)) => Slot::Given(row, index),
            None => Slot::Constant(value),
        }
    }
}
