//! Which rows have to give up unique values before others can take them, and how.

use std::collections::{HashMap, HashSet};

use sea_orm::{Value, sea_query::ArrayType};

use super::{
    order::{places, tuple},
    target::{ChangeKind, RowChange, RowId},
};
use crate::{
    entity::{Row, Table},
    store::catalog::{Catalog, UniqueKey},
};

/// How a row gives up a unique value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The column becomes null.
    Null(usize),
    /// The column takes a value that no row wants.
    StandIn(usize),
    /// The row is deleted, and inserted again.
    Lift,
}

/// How rows may give up unique values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// They stay where they are, and take other values for a while.
    InPlace,
    /// They are deleted, and inserted again.
    Lifting,
}

/// The rows of `changes`, by place, that have to give up unique values that others of them want. `present` has the rows as they are.
pub(super) fn plan(
    catalog: &Catalog,
    changes: &[RowChange],
    present: &HashMap<RowId, Row>,
    means: Means,
) -> Vec<(usize, Room)> {
    let mut rooms = Vec::new();
    let mut tables: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, change) in changes.iter().enumerate() {
        tables.entry(&change.table.name).or_default().push(at);
    }
    for places_of_changes in tables.values() {
        let table = &*changes[places_of_changes[0]].table;
        for key in catalog
            .unique_keys(&table.name)
            .filter(|key| !key.deferred && !is_primary(table, key))
        {
            rooms_in(
                catalog,
                table,
                key,
                changes,
                places_of_changes,
                present,
                means,
                &mut rooms,
            );
        }
    }
    rooms.sort_unstable_by_key(|(at, _)| *at);
    rooms
}

fn is_primary(table: &Table, key: &UniqueKey) -> bool {
    key.columns.len() == table.key.len() && table.key_columns().all(|column| key.columns.contains(&column.name))
}

#[expect(clippy::too_many_arguments, reason = "the parts of one loop")]
fn rooms_in(
    catalog: &Catalog,
    table: &Table,
    key: &UniqueKey,
    changes: &[RowChange],
    places_of_changes: &[usize],
    present: &HashMap<RowId, Row>,
    means: Means,
    rooms: &mut Vec<(usize, Room)>,
) {
    let columns = places(table, &key.columns).unwrap_or_default();
    // An index of expressions tells nothing of its values.
    if columns.is_empty() && means == Means::InPlace {
        return;
    }
    let is_clear = key.exact && !key.loose && !columns.is_empty();
    let mut wanted: HashMap<String, HashSet<usize>> = HashMap::new();
    for at in places_of_changes.iter().filter(|at| !changes[**at].is_delete()) {
        if let Some((_, text)) = tuple(&changes[*at].row, &columns) {
            wanted.entry(text).or_default().insert(*at);
        }
    }
    for at in places_of_changes {
        let change = &changes[*at];
        let Some(row) = present.get(&change.id()) else { continue };
        let held = tuple(row, &columns);
        if held.is_none() && !key.nulls_equal {
            continue;
        }
        let gives_up = change.is_delete()
            || if columns.is_empty() {
                *row != change.row
            } else {
                held != tuple(&change.row, &columns)
            };
        let is_wanted = || match &held {
            Some((_, text)) if is_clear => wanted.get(text).is_some_and(|by| by.iter().any(|other| other != at)),
            _ => wanted.values().flatten().any(|other| other != at),
        };
        if gives_up && is_wanted() {
            rooms.push((*at, room(catalog, table, key, &columns, means)));
        }
    }
}

/// The mildest way for a row to give up its values in a key.
fn room(catalog: &Catalog, table: &Table, key: &UniqueKey, columns: &[usize], means: Means) -> Room {
    let is_named = |names: &[String], name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    let is_free = |index: &&usize| {
        let name = &table.columns[**index].name;
        let is_parent = catalog
            .children_of(&table.name)
            .any(|key| is_named(&key.parent_columns, name));
        !table.key.contains(index) && !is_parent && !catalog.is_generated(&table.name, name)
    };
    let free = || columns.iter().filter(is_free);
    let nullable = |index: &&usize| !key.nulls_equal && catalog.is_nullable(&table.name, &table.columns[**index].name);
    if let Some(index) = free().find(nullable) {
        return Room::Null(*index);
    }
    let is_child = |index: &usize| {
        let name = &table.columns[*index].name;
        catalog
            .parents_of(&table.name)
            .any(|key| is_named(&key.child_columns, name))
    };
    let has_stand_in = |index: &&usize| !is_child(index) && stand_in(&table.columns[**index].value_type, 0).is_some();
    match free().find(has_stand_in) {
        Some(index) if means == Means::InPlace => Room::StandIn(*index),
        _ => Room::Lift,
    }
}

/// A value that nobody wants, for one of several rows. The database may refuse it all the same.
pub(super) fn stand_in(value_type: &ArrayType, number: usize) -> Option<Value> {
    let below = |end: i64| i64::try_from(number).ok().and_then(|number| end.checked_sub(number));
    Some(match value_type {
        ArrayType::SmallInt => i16::try_from(below(i16::MAX.into())?).ok()?.into(),
        ArrayType::Int => i32::try_from(below(i32::MAX.into())?).ok()?.into(),
        ArrayType::BigInt => below(i64::MAX)?.into(),
        ArrayType::String => format!("~grove~{number}").into(),
        ArrayType::Uuid => uuid::Uuid::new_v4().into(),
        _ => return None,
    })
}

/// The columns to write of a row as it is.
pub(super) fn write_as_it_is(catalog: &Catalog, table: &Table) -> ChangeKind {
    let columns = 0..table.columns.len();
    let columns: Vec<_> = columns
        .filter(|index| !catalog.is_generated(&table.name, &table.columns[*index].name))
        .collect();
    let update = columns.iter().copied().filter(|index| !table.key.contains(index));
    ChangeKind::Write {
        update: update.collect(),
        columns,
        partial: false,
    }
}
