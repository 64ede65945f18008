//! How much of a record has to be read for what is to be done to it: of a set, only the elements that are touched, however
//! many it has.

use crate::{
    entity::{SetStep, Table},
    replica::{
        effect::{FieldChange, Pending},
        incoming::Incoming,
    },
    store::shadow::Extent,
    types::{CellKey, Change, Kind, element_key},
};

/// For changes that are to be merged. A head changes the whole record; and of a field that is not known, nobody can say what
/// depends on it.
pub(super) fn of_changes(table: &Table, changes: &[Incoming]) -> Extent {
    if !table.has_sets() {
        return Extent::Whole;
    }
    let mut places = Vec::new();
    for incoming in changes {
        let Change::Cell(key, _) = &incoming.change else {
            return Extent::Whole;
        };
        match table.kind_of(&key.field) {
            None => return Extent::Whole,
            Some(Kind::Set) => places.push(key.clone()),
            Some(Kind::Lww | Kind::Counter) => {}
        }
    }
    Extent::Places(places)
}

/// For what a transaction has done to a row. What a set was made to be is told from all that it was.
pub(super) fn of_pending(table: &Table, pending: &Pending) -> Extent {
    let Some(changed) = pending.changed.as_ref().filter(|_| table.has_sets() && !pending.died) else {
        return Extent::Whole;
    };
    let mut places = Vec::new();
    for (column, change) in &changed.fields {
        let column = &table.columns[*column];
        match change {
            FieldChange::Steps(steps) => places.extend(steps.iter().map(|step| place_of(&column.name, step))),
            FieldChange::MadeSo if column.kind() == Some(Kind::Set) => return Extent::Whole,
            FieldChange::MadeSo | FieldChange::Assigned | FieldChange::Moved(_) => {}
        }
    }
    Extent::Places(places)
}

fn place_of(field: &str, step: &SetStep) -> CellKey {
    let (SetStep::Add(value) | SetStep::Remove(value)) = step;
    CellKey::new(field, element_key(value))
}
