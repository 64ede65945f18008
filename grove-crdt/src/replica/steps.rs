//! What a transaction has done to the rows of a table, where it is all of one kind, and no more has to be known to write it.

use std::collections::BTreeMap;

use sea_orm::Value;
use serde_json::Value as Json;

use crate::{
    entity::{Column, Table, codec},
    error::Error,
    replica::effect::{FieldChange, Pending, field_value},
    store::shadow::can_be_moved,
    types::{Kind, ordered_birth_text},
};

/// Steps on records by their keys.
pub(super) enum Steps<'a> {
    /// With the text of what they are born with.
    Births(Vec<(&'a str, String)>),
    Deaths(Vec<&'a str>),
    /// With the field and its value.
    Assignments(Vec<(&'a str, &'a str, Json)>),
    /// With the field and the step.
    Increments(Vec<(&'a str, &'a str, i64)>),
}

impl<'a> Steps<'a> {
    /// `None` when they are of several kinds, or of one that takes more than this.
    pub(super) fn of(table: &'a Table, rows: &'a BTreeMap<String, Pending>) -> Result<Option<Self>, Error> {
        let Some(first) = rows.values().next() else {
            return Ok(None);
        };
        let rows = || rows.iter().map(|(pk, pending)| (pk.as_str(), pending));
        if first.new_row().is_some() {
            let mut columns: Vec<_> = table.replicated().collect();
            columns.sort_by_key(|(_, column, kind)| (kind.as_str(), column.name.as_str()));
            let births =
                rows().map(|(pk, pending)| Some(birth(table, &columns, pending.new_row()?).map(|text| (pk, text))));
            let births: Option<Result<_, Error>> = births.collect();
            return Ok(births.transpose()?.map(Self::Births));
        }
        if first.is_death() {
            let deaths = rows().map(|(pk, pending)| pending.is_death().then_some(pk));
            return Ok(deaths.collect::<Option<_>>().map(Self::Deaths));
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
            return Ok(Some(Self::Assignments(all)));
        }
        let increments = rows().map(|(pk, pending)| increments(table, pk, pending));
        let increments: Option<Vec<_>> = increments.collect();
        Ok(increments.map(|rows| Self::Increments(rows.concat())))
    }

    /// How many cells they write.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Births(births) => births.len(),
            Self::Deaths(deaths) => deaths.len(),
            Self::Assignments(assignments) => assignments.len(),
            Self::Increments(increments) => increments.len(),
        }
    }
}

/// The text of the birth that a row's values make, by the columns in their order in it.
fn birth(table: &Table, columns: &[(usize, &Column, Kind)], row: &[Value]) -> Result<String, Error> {
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
