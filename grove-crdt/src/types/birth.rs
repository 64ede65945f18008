//! Births: the values that a record begins with, and the cells that they stand for.

use std::{collections::BTreeMap, sync::Arc};

use compact_str::CompactString;
use serde_json::Value as Json;

use crate::{
    clock::Hlc,
    types::{
        Cell, CellKey, Element, Kind, State, Totals,
        json::{self, canonical, exact_i64},
        places::Places,
        set::element_key,
    },
};

/// The values a record was born with, by field.
pub(crate) type Birth = BTreeMap<CompactString, BirthValue>;

/// One value given at birth. The kind stands beside it, so that a node which does not know the field yet can merge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BirthValue {
    pub kind: Kind,
    pub value: Json,
}

/// The head cell: whether the record lives, and what it was born with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub epoch: u32,
    pub hlc: Hlc,
    /// Present when the epoch is odd. It is the same for all copies of a record.
    pub birth: Option<Arc<Birth>>,
}

impl Head {
    /// Whether two heads have one form.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let births = match (&self.birth, &other.birth) {
            (Some(mine), Some(theirs)) => {
                let mut both = mine.iter().zip(theirs.iter());
                let is_same =
                    |((field, a), (other, b)): ((&CompactString, &BirthValue), (&CompactString, &BirthValue))| {
                        field == other && a.kind == b.kind && json::is_same(&a.value, &b.value)
                    };
                mine.len() == theirs.len() && both.all(is_same)
            }
            (None, None) => true,
            _ => false,
        };
        births && self.epoch == other.epoch && self.hlc == other.hlc
    }
}

/// What a birth gave to a field.
#[derive(Clone, Copy)]
pub(super) struct Born<'a> {
    pub head: &'a Head,
    pub value: &'a BirthValue,
}

/// The cells that a birth stands for.
pub(super) fn contributions(head: &Head) -> impl Iterator<Item = (CellKey, Cell)> + '_ {
    let fields = head.birth.iter().flat_map(|birth| birth.keys());
    fields.flat_map(|field| contribution_of(head, field))
}

pub(super) fn contribution_of(head: &Head, field: &str) -> Vec<(CellKey, Cell)> {
    let Some(born) = head.birth.as_ref().and_then(|birth| birth.get(field)) else {
        return Vec::new();
    };
    let cell = |place: String, state| (CellKey::new(field, place), contributed(head, state));
    match (born.kind, &born.value) {
        (Kind::Lww, value) => vec![cell(String::new(), State::Lww(value.clone()))],
        (Kind::Counter, value) => vec![cell(head.hlc.node.to_string(), born_totals(value))],
        (Kind::Set, value) => {
            let elements = value.as_array().into_iter().flatten();
            elements
                .map(|value| cell(element_key(value), born_element(head, value)))
                .collect()
        }
    }
}

/// The one of these cells that is at a place. The index is of this birth, and of no other.
pub(super) fn contribution_to(head: &Head, key: &CellKey, places: &Places) -> Option<Cell> {
    let birth = head.birth.as_deref()?;
    let born = birth.get(key.field.as_str())?;
    let state = match (born.kind, &born.value) {
        (Kind::Lww, value) => key.cell.is_empty().then(|| State::Lww(value.clone())),
        (Kind::Counter, value) => (key.cell == head.hlc.node.as_str()).then(|| born_totals(value)),
        (Kind::Set, value) => {
            let element = places.find(birth, &key.field, value.as_array()?, &key.cell)?;
            Some(born_element(head, element))
        }
    };
    state.map(|state| contributed(head, state))
}

fn contributed(head: &Head, state: State) -> Cell {
    Cell {
        epoch: head.epoch,
        hlc: head.hlc.clone(),
        state,
    }
}

fn born_totals(value: &Json) -> State {
    State::Counter(Totals::of(exact_i64(value).unwrap_or_default()))
}

fn born_element(head: &Head, value: &Json) -> State {
    State::Set(Element::added(value.clone(), &head.hlc))
}

/// Joins the values that two births with one clock give to a field.
pub(super) fn join_birth_value(mine: &mut BirthValue, theirs: &BirthValue) {
    match (mine.kind, theirs.kind) {
        (Kind::Set, Kind::Set) => {
            let elements = [&mine.value, &theirs.value]
                .into_iter()
                .filter_map(Json::as_array)
                .flatten();
            let union: BTreeMap<_, _> = elements.map(|value| (canonical(value), value)).collect();
            mine.value = Json::Array(union.into_values().cloned().collect());
        }
        (kind, other) if kind == other => {
            if json::compare(&theirs.value, &mine.value).is_gt() {
                mine.value = theirs.value.clone();
            }
        }
        (kind, other) => {
            if other > kind {
                *mine = theirs.clone();
            }
        }
    }
}
