//! Which row a value that remembers steps was read from: its steps are steps of that row.
//!
//! A value is read out of a result without a word on whose entity it belongs to. So the columns of each entity that has such
//! values are noted when it is registered, and a result that has all of them, under one prefix, is taken for rows of it.

use std::{
    any::TypeId,
    collections::HashMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    num::NonZeroU64,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

#[cfg(any(feature = "sqlite", feature = "mysql"))]
use sea_orm::sqlx::ColumnOrigin;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
use sea_orm::sqlx::{Column, Database, Row as SqlxRow};
use sea_orm::{ColIdx, QueryResult, Value};

use crate::entity::{Table, codec, field::Read};

/// A row, as far as a result of a query tells which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Origin {
    /// A hash of the table's name; `None` when the driver does not tell one that is known.
    table: Option<NonZeroU64>,
    /// A hash of the key.
    key: NonZeroU64,
}

impl Origin {
    /// The row that a value is read from; `None` when the result does not have the whole of it.
    pub(super) fn of<I: ColIdx>(row: &QueryResult, index: I) -> Option<Self> {
        Self::at(row, index.as_str(), index.as_usize().copied())
    }

    /// Likewise, compiled but once.
    fn at(row: &QueryResult, name: Option<&str>, place: Option<usize>) -> Option<Self> {
        let known = KNOWN.shapes.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return None;
        }
        #[cfg(feature = "sqlite")]
        if let Some(own) = row.try_as_sqlite_row() {
            let names = DriverRow { row: own, table: told };
            return found(&known, row, &names, name, place);
        }
        #[cfg(feature = "postgres")]
        if let Some(own) = row.try_as_pg_row() {
            let names = DriverRow {
                row: own,
                table: told_by_number,
            };
            return found(&known, row, &names, name, place);
        }
        #[cfg(feature = "mysql")]
        if let Some(own) = row.try_as_mysql_row() {
            let names = DriverRow { row: own, table: told };
            return found(&known, row, &names, name, place);
        }
        found(&known, row, &NamesAlone(row.column_names()), name, place)
    }

    /// Whether this is another row than that of `table` with the values of `row`. Where it can't be told, it is the same.
    pub(crate) fn is_not(self, table: &Table, row: &[Value]) -> bool {
        let key = hash_of_key(table.key.iter().map(|index| row.get(*index).cloned()));
        self.table.is_some_and(|own| own != hash_of_table(&table.name)) || key.is_some_and(|key| key != self.key)
    }
}

/// The columns of an entity.
#[derive(Debug)]
struct Shape {
    entity: TypeId,
    table: String,
    /// The names of its columns, in the order of declaration.
    columns: Vec<String>,
    key: Vec<(String, Read)>,
}

/// The shapes of the entities that have a column of a name whose values remember steps, by that name.
type Shapes = HashMap<String, Vec<Arc<Shape>>>;

struct Known {
    shapes: RwLock<Shapes>,
    /// The names of tables by their numbers on PostgreSQL; `None` where two databases have different tables of one number.
    relations: RwLock<HashMap<u32, Option<Arc<str>>>>,
    hasher: RandomState,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known {
    shapes: RwLock::default(),
    relations: RwLock::default(),
    hasher: RandomState::new(),
});

/// Takes note of an entity's columns.
pub(super) fn note(entity: TypeId, table: &Table) {
    let remembering = || table.columns.iter().filter(|column| column.remembers);
    if remembering().next().is_none() {
        return;
    }
    let key = table.key_columns().map(|column| (column.name.clone(), column.read));
    let shape = Arc::new(Shape {
        entity,
        table: table.name.clone(),
        columns: table.columns.iter().map(|column| column.name.clone()).collect(),
        key: key.collect(),
    });
    let mut known = KNOWN.shapes.write().unwrap_or_else(PoisonError::into_inner);
    for column in remembering() {
        let shapes = known.entry(column.name.clone()).or_default();
        if shapes.iter().all(|other| other.entity != entity) {
            shapes.push(shape.clone());
        }
    }
}

/// Takes note of the number of a table on PostgreSQL.
pub(crate) fn note_relation(number: u32, table: &str) {
    let shapes = KNOWN.shapes.read().unwrap_or_else(PoisonError::into_inner);
    if shapes.values().flatten().all(|shape| shape.table != table) {
        return;
    }
    let mut relations = KNOWN.relations.write().unwrap_or_else(PoisonError::into_inner);
    let known = relations.entry(number).or_insert_with(|| Some(table.into()));
    if known.as_deref() != Some(table) {
        *known = None;
    }
}

/// The columns of a result.
trait Names {
    fn count(&self) -> usize;
    fn name(&self, place: usize) -> &str;
    /// The table of a column as the driver tells it, with or without its schema.
    fn table(&self, place: usize) -> Option<Arc<str>>;
}

/// A driver's own row.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
struct DriverRow<'a, R: SqlxRow> {
    row: &'a R,
    table: fn(&<R::Database as Database>::Column) -> Option<Arc<str>>,
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
impl<R: SqlxRow> Names for DriverRow<'_, R> {
    fn count(&self) -> usize {
        self.row.columns().len()
    }

    fn name(&self, place: usize) -> &str {
        self.row.columns()[place].name()
    }

    fn table(&self, place: usize) -> Option<Arc<str>> {
        (self.table)(&self.row.columns()[place])
    }
}

#[cfg(any(feature = "sqlite", feature = "mysql"))]
fn told<C: Column>(column: &C) -> Option<Arc<str>> {
    match column.origin() {
        ColumnOrigin::Table(column) => Some(column.table),
        _ => None,
    }
}

/// PostgreSQL's driver tells but a number.
#[cfg(feature = "postgres")]
fn told_by_number(column: &sea_orm::sqlx::postgres::PgColumn) -> Option<Arc<str>> {
    let relations = KNOWN.relations.read().unwrap_or_else(PoisonError::into_inner);
    relations.get(&column.relation_id()?.0)?.clone()
}

/// The names alone, where the driver's own row is not at hand.
struct NamesAlone(Vec<String>);

impl Names for NamesAlone {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, place: usize) -> &str {
        &self.0[place]
    }

    fn table(&self, _: usize) -> Option<Arc<str>> {
        None
    }
}

fn found(
    shapes: &Shapes,
    row: &QueryResult,
    names: &impl Names,
    name: Option<&str>,
    place: Option<usize>,
) -> Option<Origin> {
    let name = match (name, place) {
        (Some(name), _) => name,
        (None, Some(place)) if place < names.count() => names.name(place),
        _ => return None,
    };
    let (prefix, candidates) = candidates(shapes, names, name)?;
    let place = (0..names.count()).find(|place| names.name(*place) == name)?;
    // The driver may tell an alias or a view, too.
    let told = names.table(place);
    let is_told = |shape: &&&Shape| {
        let rest = told.as_ref().and_then(|told| told.strip_suffix(shape.table.as_str()));
        rest.is_some_and(|schema| schema.is_empty() || schema.ends_with('.'))
    };
    let table = candidates.iter().find(is_told).map(|shape| shape.table.as_str());
    let mut shapes = candidates
        .iter()
        .filter(|shape| table.is_none_or(|table| shape.table == table));
    let key = shapes.find_map(|shape| {
        hash_of_key(shape.key.iter().map(|(column, read)| match prefix {
            "" => read(row, column).ok(),
            prefix => read(row, &format!("{prefix}{column}")).ok(),
        }))
    })?;
    Some(Origin {
        table: table.map(hash_of_table),
        key,
    })
}

/// The shapes of which a result has all columns, with their prefix, for a value under this name. Of several, those with the most
/// columns.
fn candidates<'n, 's>(shapes: &'s Shapes, names: &impl Names, name: &'n str) -> Option<(&'n str, Vec<&'s Shape>)> {
    let plain = shapes.get(name).map(|shapes| ("", shapes));
    let prefixed = shapes.iter().filter_map(|(column, shapes)| {
        let prefix = name.strip_suffix(column.as_str())?;
        (!prefix.is_empty()).then_some((prefix, shapes))
    });
    let mut best: Option<(&str, Vec<&Shape>)> = None;
    for (prefix, shapes) in plain.into_iter().chain(prefixed) {
        for shape in shapes {
            let most = best.as_ref().map_or(0, |(_, best)| best[0].columns.len());
            if shape.columns.len() < most || !has_all(names, prefix, &shape.columns) {
                continue;
            }
            match &mut best {
                Some((of, best)) if *of == prefix && shape.columns.len() == most => best.push(shape),
                best => *best = Some((prefix, vec![shape])),
            }
        }
    }
    best
}

/// Whether a result has each of these columns once, under a prefix.
fn has_all(names: &impl Names, prefix: &str, columns: &[String]) -> bool {
    let mut places = 0..names.count();
    if prefix.is_empty() && places.len() == columns.len() && places.all(|place| names.name(place) == columns[place]) {
        return true;
    }
    let mut seen = vec![false; columns.len()];
    // Mostly they stand in their order.
    let mut next = 0;
    for place in 0..names.count() {
        let Some(name) = names.name(place).strip_prefix(prefix) else {
            continue;
        };
        let column = match columns.get(next) {
            Some(column) if column == name => Some(next),
            _ => columns.iter().position(|column| column == name),
        };
        if let Some(column) = column {
            if std::mem::replace(&mut seen[column], true) {
                return false;
            }
            next = column + 1;
        }
    }
    seen.iter().all(|seen| *seen)
}

fn hash_of_table(name: &str) -> NonZeroU64 {
    non_zero(KNOWN.hasher.hash_one(name))
}

/// `None` when there is no key, or a part of it is not known or has no form.
fn hash_of_key(values: impl Iterator<Item = Option<Value>>) -> Option<NonZeroU64> {
    let mut hasher = KNOWN.hasher.build_hasher();
    let mut parts = 0;
    for value in values {
        match value? {
            Value::String(Some(text)) => hasher.write(text.as_bytes()),
            value => match codec::encode(&value).ok()? {
                serde_json::Value::String(text) => hasher.write(text.as_bytes()),
                json => hasher.write(json.to_string().as_bytes()),
            },
        }
        hasher.write_u8(0xff);
        parts += 1;
    }
    (parts > 0).then(|| non_zero(hasher.finish()))
}

fn non_zero(hash: u64) -> NonZeroU64 {
    NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN)
}
