//! What statements did to rows, until it is written to the shadow.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sea_orm::Value;
use serde_json::Value as Json;

use crate::{
    entity::{Row, SetStep, Table, codec, is_unreadable},
    error::Error,
    types::{Kind, canonical, exact_i64, is_same},
};

/// What one statement did to one row.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub table: Arc<Table>,
    pub pk: String,
    pub key: Vec<Value>,
    pub what: What,
}

/// The kinds of effect. A row that is not known has to be read before the effect can be written.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Born(Option<Row>),
    Changed(Changed),
    Died,
}

/// Fields were changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed {
    /// The row before the changes, except for the columns in `not_before`.
    pub before: Option<Row>,
    pub not_before: BTreeSet<usize>,
    pub after: Option<Row>,
    /// By column.
    pub fields: BTreeMap<usize, FieldChange>,
    /// What fields were assigned, by column, as far as it is known without the row.
    pub given: BTreeMap<usize, Value>,
}

/// How a field was changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FieldChange {
    /// An `lww` field has been given the value it has after.
    Assigned,
    /// A counter was moved by this much.
    Moved(i64),
    /// Elements were added and removed.
    Steps(Vec<SetStep>),
    /// A counter or set was to become what it is after, whatever it was.
    MadeSo,
}

/// The effects of a transaction on one row, folded into one.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub key: Vec<Value>,
    /// Whether the first effect was a birth.
    pub began_born: bool,
    pub died: bool,
    pub born: bool,
    pub changed: Option<Changed>,
    /// The row after the last effect, when it is known.
    pub row: Option<Row>,
}

impl Pending {
    /// Folds in the next effect.
    pub(crate) fn add(&mut self, effect: Effect, first: bool) {
        self.key = effect.key;
        match effect.what {
            What::Born(row) => {
                self.began_born |= first;
                self.born = true;
                self.changed = None;
                self.row = row;
            }
            What::Died => {
                self.died = true;
                self.born = false;
                self.changed = None;
                self.row = None;
            }
            What::Changed(mut changed) => {
                self.row = changed.after.take();
                if self.born {
                    return;
                }
                match &mut self.changed {
                    Some(earlier) => earlier.then(changed),
                    none => *none = Some(changed),
                }
            }
        }
    }

    /// The row, when all that has happened to it is that it was inserted.
    pub(crate) fn new_row(&self) -> Option<&Row> {
        let inserted = self.began_born && self.born && !self.died;
        self.row.as_ref().filter(|_| inserted)
    }

    /// What was done to the fields of a row that has not begun or ended.
    pub(crate) fn changes(&self) -> Option<&Changed> {
        self.changed
            .as_ref()
            .filter(|_| !self.began_born && !self.died && !self.born)
    }

    /// Whether all that has happened to the row is that it was deleted.
    pub(crate) fn is_death(&self) -> bool {
        self.died && !self.born && !self.began_born
    }

    /// Whether the row has to be read before this can be written to a record that is alive or is not.
    pub(crate) fn needs_row(&self, alive: bool) -> bool {
        let by_value = |change: &FieldChange| matches!(change, FieldChange::Assigned | FieldChange::MadeSo);
        let changed = |changed: &Changed| !alive || changed.fields.values().any(by_value);
        self.row.is_none() && (self.born || self.changed.as_ref().is_some_and(changed))
    }
}

impl Changed {
    fn then(&mut self, later: Changed) {
        if self.before.is_none() {
            self.not_before = self.fields.keys().copied().collect();
            self.before = later.before;
        }
        for column in later.fields.keys() {
            self.given.remove(column);
        }
        self.given.extend(later.given);
        for (column, change) in later.fields {
            let folded = match (self.fields.remove(&column), change) {
                (Some(FieldChange::Moved(a)), FieldChange::Moved(b)) => {
                    a.checked_add(b).map_or(FieldChange::MadeSo, FieldChange::Moved)
                }
                (Some(FieldChange::Steps(mut steps)), FieldChange::Steps(more)) => {
                    steps.extend(more);
                    FieldChange::Steps(steps)
                }
                (Some(FieldChange::MadeSo), _) => FieldChange::MadeSo,
                (_, change) => change,
            };
            self.fields.insert(column, folded);
        }
    }
}

/// The JSON form of a field's value in a row. A set is in canonical order; its null is the empty set, and so is that of JSON.
pub(crate) fn field_value(table: &Table, row: &[Value], column: usize) -> Result<Json, Error> {
    let field = &table.columns[column];
    if let (Some(Kind::Set), Value::Json(Some(json))) = (field.kind(), &row[column])
        && json.is_null()
    {
        return Ok(Json::Array(Vec::new()));
    }
    let json = codec::encode(&row[column]).map_err(|detail| table.value_error(&field.name, detail))?;
    match field.kind() {
        Some(Kind::Set) => Ok(Json::Array(elements(table, column, &json)?.into_values().collect())),
        Some(Kind::Counter) if exact_i64(&json).is_none() => {
            Err(table.value_error(&field.name, format!("a counter holds an integer, not {json}")))
        }
        _ => Ok(json),
    }
}

/// A set's elements by their canonical texts.
pub(crate) fn elements(table: &Table, column: usize, json: &Json) -> Result<BTreeMap<String, Json>, Error> {
    match json {
        Json::Null => Ok(BTreeMap::new()),
        Json::Array(elements) => Ok(elements.iter().map(|e| (canonical(e), e.clone())).collect()),
        other => Err(table.value_error(
            &table.columns[column].name,
            format!("a set holds a JSON array, not {other}"),
        )),
    }
}

/// The difference between two rows of one key, `None` when the replicated columns are the same. Only these may not be.
pub(crate) fn difference(
    table: &Table,
    before: Row,
    after: Row,
    may_differ: impl Fn(usize) -> bool,
) -> Result<Option<Changed>, Error> {
    let mut fields = BTreeMap::new();
    for (column, _, kind) in table.replicated().filter(|(column, ..)| may_differ(*column)) {
        if is_unreadable(&before[column]) {
            // Nobody can tell what it was: what can be read now has been written.
            if !is_unreadable(&after[column]) {
                let change = if kind == Kind::Lww {
                    FieldChange::Assigned
                } else {
                    FieldChange::MadeSo
                };
                fields.insert(column, change);
            }
            continue;
        }
        let old = field_value(table, &before, column)?;
        let new = field_value(table, &after, column)?;
        if is_same(&old, &new) {
            continue;
        }
        let change = match kind {
            Kind::Lww => FieldChange::Assigned,
            Kind::Counter => exact_i64(&new)
                .zip(exact_i64(&old))
                .and_then(|(new, old)| new.checked_sub(old))
                .map_or(FieldChange::MadeSo, FieldChange::Moved),
            Kind::Set => FieldChange::Steps(steps_between(
                &elements(table, column, &old)?,
                &elements(table, column, &new)?,
            )),
        };
        fields.insert(column, change);
    }
    Ok((!fields.is_empty()).then_some(Changed {
        before: Some(before),
        after: Some(after),
        fields,
        ..Changed::default()
    }))
}

/// What makes one set into the other.
pub(crate) fn steps_between(old: &BTreeMap<String, Json>, new: &BTreeMap<String, Json>) -> Vec<SetStep> {
    let removed = old.iter().filter(|(text, _)| !new.contains_key(*text));
    let added = new.iter().filter(|(text, _)| !old.contains_key(*text));
    removed
        .map(|(_, value)| SetStep::Remove(value.clone()))
        .chain(added.map(|(_, value)| SetStep::Add(value.clone())))
        .collect()
}
