//! What a transaction has done to the rows of a table, where it is all of one kind, and no more has to be known to write it.

use std::collections::BTreeMap;

use sea_orm::Value;
use serde_json::Value as Json;

use crate::{
    entity::{Column, Table, codec},
    error::Error,
    replica::effect::{Changed, Effect, FieldChange, Pending, What, field_value},
    store::shadow::{Cells, Steps, can_be_moved},
    types::{Kind, ordered_birth_text},
};

/// The steps; `None` when they are of several kinds, or of one that takes more than this.
pub(super) fn of<'a>(table: &'a Table, rows: &'a BTreeMap<String, Pending>) -> Result<Option<Steps<'a>>, Error> {
    let Some(first) = rows.values().next() else {
        return Ok(None);
    };
    let rows = || rows.iter().map(|(pk, pending)| (pk.as_str(), pending));
    if first.new_row().is_some() {
        let columns = birth_columns(table);
        let births =
            rows().map(|(pk, pending)| Some(birth(table, &columns, pending.new_row()?).map(|text| (pk, text))));
        let births: Option<Result<_, Error>> = births.collect();
        return Ok(births.transpose()?.map(Steps::Births));
    }
    if first.is_death() {
        let deaths = rows().map(|(pk, pending)| pending.is_death().then_some(pk));
        return Ok(deaths.collect::<Option<_>>().map(Steps::Deaths));
    }
    let Some(changed) = first.changes() else {
        return Ok(None);
    };
    if changed.fields.values().all(|change| *change == FieldChange::Assigned) {
        let mut all = Vec::with_capacity(rows().len());
        for (pk, pending) in rows() {
            let Some(assignments) = assignments(table, pk, pending) else {
                return Ok(None);
            };
            all.extend(assignments);
        }
        return Ok(Some(Steps::Assignments(all)));
    }
    let increments = rows().map(|(pk, pending)| increments(table, pk, pending));
    let increments: Option<Vec<_>> = increments.collect();
    Ok(increments.map(|rows| Steps::Increments(rows.concat())))
}

/// What a birth is made of, in the order of its text.
pub(super) fn birth_columns(table: &Table) -> Vec<(usize, &Column, Kind)> {
    let mut columns: Vec<_> = table.replicated().collect();
    columns.sort_by_key(|(_, column, kind)| (kind.as_str(), column.name.as_str()));
    columns
}

/// The text of the birth that a row's values make.
pub(super) fn birth(table: &Table, columns: &[(usize, &Column, Kind)], row: &[Value]) -> Result<String, Error> {
    let values = columns
        .iter()
        .map(|(index, column, kind)| Ok((*kind, column.name.as_str(), field_value(table, row, *index)?)));
    let values: Vec<_> = values.collect::<Result<_, Error>>()?;
    Ok(ordered_birth_text(values.into_iter()))
}

/// The values that fields were assigned, if that is all.
fn assignments<'a>(table: &'a Table, pk: &'a str, pending: &Pending) -> Option<Vec<(&'a str, &'a str, Json)>> {
    let changed = pending.changes()?;
    let value = |column: usize| -> Option<&Value> {
        let of_row = pending.row.as_ref().map(|row| &row[column]);
        of_row.or_else(|| changed.given.get(&column))
    };
    let assigned = changed.fields.iter().map(|(column, change)| {
        let value = value(*column).filter(|_| *change == FieldChange::Assigned)?;
        // What has no form is reported when the record is read.
        Some((pk, table.columns[*column].name.as_str(), codec::encode(value).ok()?))
    });
    assigned.collect()
}

/// By how much counters were moved, if that is all.
fn increments<'a>(table: &'a Table, pk: &'a str, pending: &Pending) -> Option<Vec<(&'a str, &'a str, i64)>> {
    let moved = pending.changes()?.fields.iter().map(|(column, change)| {
        let column = &table.columns[*column];
        match change {
            FieldChange::Moved(by) if *by != 0 && can_be_moved(column, *by) => Some((pk, column.name.as_str(), *by)),
            _ => None,
        }
    });
    moved.collect()
}

/// What is left to be done to rows, once these cells are written.
pub(super) fn leave_out(table: &Table, rows: &mut BTreeMap<String, Pending>, written: &Cells) {
    rows.retain(|pk, pending| match &mut pending.changed {
        Some(changed) => leave_out_fields(table, pk, changed, written),
        None => !is_written(pk, "", written),
    });
}

/// The same of what a statement has done to a row.
pub(super) fn left_of(mut effect: Effect, written: &Cells) -> Option<Effect> {
    let Effect { table, pk, what, .. } = &mut effect;
    let is_left = match what {
        What::Changed(changed) => leave_out_fields(table, pk, changed, written),
        What::Born(_) | What::Died => !is_written(pk, "", written),
    };
    is_left.then_some(effect)
}

/// Whether any of the changes are left.
fn leave_out_fields(table: &Table, pk: &str, changed: &mut Changed, written: &Cells) -> bool {
    let columns = &table.columns;
    changed
        .fields
        .retain(|column, _| !is_written(pk, &columns[*column].name, written));
    !changed.fields.is_empty()
}

fn is_written(pk: &str, field: &str, written: &Cells) -> bool {
    written.contains(&(pk.to_owned(), field.to_owned()))
}
