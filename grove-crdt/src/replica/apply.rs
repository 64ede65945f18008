//! From effects on rows to operations on records.

use std::collections::BTreeMap;

use sea_orm::Value;
use serde_json::Value as Json;

use crate::{
    clock::Hlc,
    entity::{Row, SetStep, Table, is_unreadable},
    error::Error,
    replica::effect::{Changed, FieldChange, Pending, elements, field_value, steps_between},
    store::inexact::Inexact,
    types::{Birth, BirthValue, Kind, Record, canonical, exact_i64, i64_json, is_same},
};

/// Applies a transaction's effects on one row to its record, at one clock value. `row` is the row as it is now, when there
/// is one; `shown` tells which of its fields differ from the record by themselves.
pub(crate) fn apply(
    table: &Table,
    pk: &str,
    record: &mut Record,
    pending: &Pending,
    row: Option<&Row>,
    at: &Hlc,
    shown: &Inexact,
) -> Result<(), Error> {
    let target = Target { table, pk, at, shown };
    let unrecorded = record.head().is_none() && !pending.began_born;
    if pending.died && (record.is_alive() || unrecorded) {
        record.died(at);
    }
    if pending.born {
        return row.map_or(Ok(()), |row| target.give_birth(record, row));
    }
    let Some(changed) = &pending.changed else {
        return Ok(());
    };
    if !record.is_alive() {
        // Without its row there is nothing to begin a life with: it was gone before the transaction's end.
        let Some(row) = row else { return Ok(()) };
        if record.head().is_some() {
            // The row is there although its record is dead: a delete that waits, and now a write that wants the row.
            return target.give_birth(record, row);
        }
        target.adopt_before_change(record, changed, row)?;
    }
    for (column, change) in &changed.fields {
        let before = changed.before.as_ref().filter(|_| !changed.not_before.contains(column));
        target.change(record, *column, change, row, before)?;
    }
    Ok(())
}

/// The birth that a row's values make.
pub(crate) fn birth_of(table: &Table, row: &[Value]) -> Result<Birth, Error> {
    table
        .replicated()
        .filter(|(column, ..)| !is_unreadable(&row[*column]))
        .map(|(column, field, kind)| {
            let value = field_value(table, row, column)?;
            Ok((field.name.as_str().into(), BirthValue { kind, value }))
        })
        .collect()
}

struct Target<'a> {
    table: &'a Table,
    pk: &'a str,
    at: &'a Hlc,
    shown: &'a Inexact,
}

impl Target<'_> {
    fn give_birth(&self, record: &mut Record, row: &Row) -> Result<(), Error> {
        if !record.is_alive() {
            record.born(self.at, birth_of(self.table, row)?);
            if record.cells().is_empty() {
                return Ok(());
            }
            // Cells of this life that came before its head would add to what was inserted.
        }
        // Or the record lives though its row did not (it was parked): what was inserted is what it is to be, and nothing in it
        // is what was shown before.
        let nothing = Inexact::default();
        let target = Target {
            shown: &nothing,
            ..*self
        };
        for (column, _, kind) in self.table.replicated() {
            let change = match kind {
                Kind::Lww => FieldChange::Assigned,
                Kind::Counter | Kind::Set => FieldChange::MadeSo,
            };
            target.change(record, column, &change, Some(row), None)?;
        }
        Ok(())
    }

    /// A row that has no cells yet joins as a baseline of what it was before the change.
    fn adopt_before_change(&self, record: &mut Record, changed: &Changed, row: &Row) -> Result<(), Error> {
        let mut birth = Birth::new();
        for (column, field, kind) in self.table.replicated() {
            let before = changed
                .before
                .as_ref()
                .filter(|_| !changed.not_before.contains(&column));
            let known = before.unwrap_or(row);
            if is_unreadable(&known[column]) {
                continue;
            }
            let mut value = field_value(self.table, known, column)?;
            match changed.fields.get(&column) {
                Some(FieldChange::Moved(by)) if before.is_none() => {
                    let was = exact_i64(&value).and_then(|after| after.checked_sub(*by));
                    value = i64_json(was.ok_or_else(|| self.overflow(&field.name))?);
                }
                // What it was is not known; what it is now is a write.
                Some(_) if before.is_none() => continue,
                _ => {}
            }
            birth.insert(field.name.as_str().into(), BirthValue { kind, value });
        }
        record.adopted(birth);
        Ok(())
    }

    fn change(
        &self,
        record: &mut Record,
        column: usize,
        change: &FieldChange,
        row: Option<&Row>,
        before: Option<&Row>,
    ) -> Result<(), Error> {
        let Some(kind) = self.table.columns[column].kind() else {
            return Ok(());
        };
        let field = &self.table.columns[column].name;
        if let (FieldChange::Assigned | FieldChange::MadeSo, Some(row)) = (change, row)
            && let Some(was) = record.value(field, kind).ok().flatten()
            && self
                .shown
                .is_shown_as(self.pk, field, &was, &field_value(self.table, row, column)?)
        {
            // What the column shows of a value was written back.
            return Ok(());
        }
        // What can't be read tells nothing of what it was.
        let before = before.filter(|before| !is_unreadable(&before[column]));
        match (change, row) {
            (FieldChange::Moved(by), _) => self.increment(record, column, (*by).into())?,
            (FieldChange::Steps(steps), _) => self.take_steps(record, field, steps),
            (FieldChange::Assigned | FieldChange::MadeSo, None) => {}
            (FieldChange::Assigned, Some(row)) => {
                let value = field_value(self.table, row, column)?;
                let was = record.value(field, kind).ok().flatten();
                // To write what is there already is no write: it would win over others that changed it meanwhile.
                if was.is_none_or(|was| !is_same(&was, &value)) {
                    record.assign(field, self.at, value);
                }
            }
            (FieldChange::MadeSo, Some(row)) if kind == Kind::Set => {
                let now = field_value(self.table, row, column)?;
                // What the writer could see, which of a parked row is not what its record says.
                let was = match before {
                    Some(before) => field_value(self.table, before, column)?,
                    None => record.value(field, kind).ok().flatten().unwrap_or_default(),
                };
                let steps = steps_between(
                    &elements(self.table, column, &was)?,
                    &elements(self.table, column, &now)?,
                );
                self.take_steps(record, field, &steps);
            }
            (FieldChange::MadeSo, Some(row)) => {
                let value = |row| field_value(self.table, row, column);
                let number = |value: Json| exact_i64(&value).map_or(0, i128::from);
                let was = match before {
                    Some(before) => number(value(before)?),
                    None => record.sum(field),
                };
                self.increment(record, column, number(value(row)?) - was)?;
            }
        }
        Ok(())
    }

    /// Moves a counter. One that its nodes have counted out of its range together takes steps towards the range, until it is
    /// back.
    fn increment(&self, record: &mut Record, column: usize, by: i128) -> Result<(), Error> {
        let column = &self.table.columns[column];
        if by == 0 {
            return Ok(());
        }
        let range = column.counter_range();
        let beyond = |value: i128| (range.start() - value).max(value - range.end()).max(0);
        let before = record.sum(&column.name);
        let after = before + by;
        record
            .increment(&column.name, self.at, by)
            .ok_or_else(|| self.overflow(&column.name))?;
        if beyond(after) == 0 || beyond(after) < beyond(before) {
            return Ok(());
        }
        let (low, high) = (range.start(), range.end());
        let refused = |detail| Err(self.table.value_error(&column.name, detail));
        if beyond(before) > 0 {
            return refused(format!(
                "nodes have together counted to {before}, out of the range of {low} to {high}: until it is back, only steps towards the range are taken"
            ));
        }
        match i64::try_from(after) {
            Ok(after) => refused(format!("{after} is out of the range of {low} to {high}")),
            Err(_) => Err(self.overflow(&column.name)),
        }
    }

    /// The last step on an element decides; all have one clock value.
    fn take_steps(&self, record: &mut Record, field: &str, steps: &[SetStep]) {
        let mut last: BTreeMap<String, &SetStep> = BTreeMap::new();
        for step in steps {
            let (SetStep::Add(value) | SetStep::Remove(value)) = step;
            last.insert(canonical(value), step);
        }
        for step in last.into_values() {
            match step {
                SetStep::Add(value) => record.insert(field, self.at, value.clone()),
                SetStep::Remove(value) => record.remove(field, self.at, value),
            }
        }
    }

    fn overflow(&self, field: &str) -> Error {
        Error::CounterOverflow {
            table: self.table.name.clone(),
            pk: self.pk.to_owned(),
            field: field.to_owned(),
        }
    }
}
