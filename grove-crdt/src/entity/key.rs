//! The one text form of a row's primary key.
//!
//! A single column's key is its value as text: a string as it is, a number in digits, a UUID with hyphens. A composite key
//! is the JSON array of its columns' values.

use sea_orm::{EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn, Value, sea_query::ArrayType};
use serde_json::Value as Json;

use crate::{
    entity::{Column, Table, codec},
    error::Error,
    types::canonical,
};

/// The longest key, in bytes: what every supported database can index beside a field and a cell.
pub(crate) const MAX_KEY: usize = 512;

/// The places of the key's columns among `columns`, in the key's order.
pub(super) fn columns<E: EntityTrait>(columns: &[Column]) -> Vec<usize> {
    E::PrimaryKey::iter()
        .filter_map(|key| {
            let column = key.into_column();
            columns.iter().position(|c| c.name == column.as_str())
        })
        .collect()
}

/// The key of a row.
///
/// # Errors
///
/// A key that is null, can't be represented, or is longer than [`MAX_KEY`].
pub(crate) fn of_row(table: &Table, row: &[Value]) -> Result<String, Error> {
    let values = table.key.iter().map(|index| &row[*index]);
    of_values(table, values)
}

/// The key made of the key columns' values.
pub(crate) fn of_values<'a>(table: &Table, values: impl IntoIterator<Item = &'a Value>) -> Result<String, Error> {
    let mut parts = Vec::with_capacity(table.key.len());
    for (column, value) in table.key_columns().zip(values) {
        let part = codec::encode(value).map_err(|detail| table.value_error(&column.name, detail))?;
        if part.is_null() {
            return Err(table.value_error(&column.name, "a primary key can't be null"));
        }
        // PostgreSQL's text can't hold it.
        if part.as_str().is_some_and(|text| text.contains('\0')) {
            return Err(table.value_error(&column.name, "a replicated row's key can't hold the character U+0000"));
        }
        parts.push(part);
    }
    let text = match <[Json; 1]>::try_from(parts) {
        Ok([Json::String(text)]) => text,
        Ok([part]) => canonical(&part),
        Err(parts) => canonical(&Json::Array(parts)),
    };
    if text.len() > MAX_KEY {
        let first = table.key_columns().next().map_or("", |column| &column.name);
        return Err(table.value_error(
            first,
            format!(
                "the key is {} bytes long, but a replicated row's key has at most {MAX_KEY}",
                text.len()
            ),
        ));
    }
    Ok(text)
}

/// The values of the key columns.
///
/// # Errors
///
/// A text that is not the form of a key of this table.
pub(crate) fn parse(table: &Table, text: &str) -> Result<Vec<Value>, Error> {
    let refuse = |detail: String| {
        let first = table.key_columns().next().map_or("", |column| &column.name);
        Err(table.value_error(first, detail))
    };
    if text.len() > MAX_KEY {
        return refuse(format!("the key is longer than {MAX_KEY} bytes"));
    }
    let parts = match table.key.as_slice() {
        [index] => vec![part(text, &table.columns[*index].value_type)],
        _ => match serde_json::from_str(text) {
            Ok(Json::Array(parts)) if parts.len() == table.key.len() => parts,
            _ => {
                return refuse(format!(
                    "key {text:?} is not a JSON array of {} values",
                    table.key.len()
                ));
            }
        },
    };
    let mut values = Vec::with_capacity(parts.len());
    for (column, part) in table.key_columns().zip(&parts) {
        match column.decode(part) {
            Ok(value) => values.push(value),
            Err(detail) => return Err(table.value_error(&column.name, detail)),
        }
    }
    // One row has one key text, or its cells would not meet.
    if of_values(table, &values)? != text {
        return refuse(format!("key {text:?} is not in canonical form"));
    }
    Ok(values)
}

/// A single column's key text as JSON.
fn part(text: &str, value_type: &ArrayType) -> Json {
    let is_plain = codec::is_integer(value_type)
        || matches!(
            value_type,
            ArrayType::Float | ArrayType::Double | ArrayType::Bool | ArrayType::Json
        );
    let number = || serde_json::from_str(text).ok();
    is_plain
        .then(number)
        .flatten()
        .unwrap_or_else(|| Json::String(text.to_owned()))
}
