//! The row that a record asks for.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use sea_orm::{DbBackend, Value};
use serde_json::Value as Json;

use crate::{
    entity::{Role, Row, Table, is_unreadable},
    replica::{effect::field_value, sets::Sets},
    store::{catalog::Catalog, driver, row},
    types::{Kind, Record, is_same},
};

/// A record whose row is to agree with it.
#[derive(Debug)]
pub(crate) struct RowTarget {
    pub pk: String,
    pub record: Record,
    /// The fields to write; all of them when absent, or when the row is new.
    pub fields: Option<BTreeSet<String>>,
    /// What changes in sets, when of these the record has only the elements that were touched.
    pub sets: Option<Sets>,
    /// Whether the row is parked, so that there may be notes on what it shows instead.
    pub was_parked: bool,
}

impl RowTarget {
    /// The target of a whole record.
    pub(crate) fn whole(pk: String, record: Record) -> Self {
        Self {
            pk,
            record,
            fields: None,
            sets: None,
            was_parked: false,
        }
    }
}

/// What is to be done to one row.
#[derive(Clone, Debug)]
pub(super) struct RowChange {
    pub table: Arc<Table>,
    pub pk: String,
    pub key: Vec<Value>,
    /// The row as it is to be, or as it is when it is to be deleted.
    pub row: Row,
    pub kind: ChangeKind,
    /// Whether there is a row under the key.
    pub is_there: bool,
}

/// How a row changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ChangeKind {
    Write {
        /// The columns of a new row.
        columns: Vec<usize>,
        /// The columns to update of a row that is there.
        update: Vec<usize>,
        /// Whether the present row can't be written as a whole: some other column of it can't be read, or it is larger than a
        /// statement may be.
        partial: bool,
    },
    Delete,
}

/// A row's table and key.
pub(super) type RowId = (String, String);

impl RowChange {
    pub(super) fn id(&self) -> RowId {
        (self.table.name.clone(), self.pk.clone())
    }

    pub(super) fn is_delete(&self) -> bool {
        self.kind == ChangeKind::Delete
    }
}

/// The change that makes a row agree with its record, `None` when it does already; or what keeps it from agreeing.
///
/// # Errors
///
/// A value that the column's type does not take.
pub(super) fn write_of(
    backend: DbBackend,
    catalog: &Catalog,
    table: &Arc<Table>,
    target: &mut RowTarget,
    key: Vec<Value>,
    present: Option<Row>,
) -> Result<Option<RowChange>, String> {
    let is_there = present.is_some();
    let mut row: Row = present.unwrap_or_else(|| new_row(table, &key));
    let mut columns: Vec<usize> = Vec::new();
    let (mut update, mut changed) = (Vec::new(), Vec::new());
    let mut differs = !is_there;
    for (index, column) in table.columns.iter().enumerate() {
        if catalog.is_generated(&table.name, &column.name) {
            continue;
        }
        let Some(kind) = column.kind() else {
            columns.push(index);
            continue;
        };
        let fields = target.fields.as_ref();
        let is_named = fields.is_none_or(|fields| fields.contains(&column.name));
        if is_there && !is_named {
            columns.push(index);
            if absent(kind).is_some() || target.record.knows(&column.name) {
                update.push(index);
            }
            continue;
        }
        let (value, agrees) = match target.sets.as_mut().and_then(|sets| sets.take(&column.name)) {
            Some(shown) => (Some(shown.elements), Some(!shown.differs)),
            None => {
                let value = target.record.value(&column.name, kind);
                let value = value.map_err(|_| format!("counter `{}` is out of the range of i64", column.name))?;
                (value.or_else(|| absent(kind)), None)
            }
        };
        let Some(value) = value else {
            // A field that no one has given a value: the column keeps what it has, or takes its default.
            if is_there {
                columns.push(index);
            }
            continue;
        };
        columns.push(index);
        update.push(index);
        let stands = || is_there.then(|| field_value(table, &row, index).ok()).flatten();
        if !agrees.unwrap_or_else(|| stands().is_some_and(|stands| is_same(&stands, &value))) {
            differs = true;
            changed.push(index);
            row[index] = column
                .decode(&value)
                .map_err(|detail| format!("field `{}`: {detail}", column.name))?;
            if let Some(detail) = driver::refused(backend, &row[index]) {
                return Err(format!("field `{}`: {detail}", column.name));
            }
        }
    }
    let mut partial = row.iter().any(is_unreadable);
    if let Some(room) = table.room
        && differs
        && bytes(&row, &columns) > room
    {
        // Of a row that is there, what stays as it is need not be sent.
        let sent = if is_there { &changed } else { &columns };
        if bytes(&row, sent) > room {
            return Err(too_large(table, &row, sent, room));
        }
        partial = true;
        update = changed;
    }
    if partial {
        update.retain(|index| !is_unreadable(&row[*index]));
    }
    Ok(differs.then(|| RowChange {
        table: table.clone(),
        pk: target.pk.clone(),
        key,
        row,
        kind: ChangeKind::Write {
            columns,
            update,
            partial,
        },
        is_there,
    }))
}

/// About how many bytes these columns of a row take in a statement.
fn bytes(row: &Row, columns: &[usize]) -> usize {
    columns.iter().map(|index| row::size(&row[*index])).sum()
}

fn too_large(table: &Table, row: &Row, columns: &[usize], room: usize) -> String {
    let largest = columns.iter().max_by_key(|index| row::size(&row[**index]));
    let field = largest.map_or("", |index| table.columns[*index].name.as_str());
    format!(
        "field `{field}`: the row takes {} bytes, more than the {room} that the database takes in one statement (see `max_allowed_packet`)",
        bytes(row, columns)
    )
}

/// What a replicated column holds when nobody has said anything: an empty counter or set.
fn absent(kind: Kind) -> Option<Json> {
    match kind {
        Kind::Counter => Some(0.into()),
        Kind::Set => Some(Json::Array(Vec::new())),
        Kind::Lww => None,
    }
}

/// A row that arrives new, before its replicated columns are filled in.
fn new_row(table: &Table, key: &[Value]) -> Row {
    let mut key = table.key.iter().zip(key).collect::<HashMap<_, _>>();
    let columns = table.columns.iter().enumerate();
    columns
        .map(|(index, column)| match &column.role {
            Role::Key => key.remove(&index).cloned().unwrap_or(Value::String(None)),
            Role::Local(default) => default(),
            Role::Replicated(_) => Value::String(None),
        })
        .collect()
}
