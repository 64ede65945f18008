//! Whether a column gives a value back as it was written, as far as its type tells.
//!
//! Only what is known to hold the value exactly is said to: of everything else the column's value is looked at afterwards.

use std::str::FromStr as _;

use rust_decimal::Decimal;
use sea_orm::{DbBackend, sea_query::ArrayType};
use serde_json::Value as Json;

use super::driver::float_decimal;
use crate::store::catalog::Storage;

/// Whether a column holds every value of its type as it is, nulls included: what [`is_exact`] would say of each.
pub(super) fn holds_all(backend: DbBackend, value_type: &ArrayType, storage: &Storage) -> bool {
    match (backend, Class::of(value_type)) {
        // A `f32` has fewer digits than what is recorded may have, and a UUID may be recorded in upper case.
        (_, Class::Float | Class::Decimal | Class::Time | Class::Uuid) => false,
        (DbBackend::Sqlite, _) => in_sqlite(value_type, Affinity::of(&storage.data_type), &Json::Bool(true)),
        (DbBackend::Postgres, Class::Integer | Class::Bytes) => in_postgres(value_type, storage, &Json::Bool(true)),
        (DbBackend::Postgres, Class::Text) => storage.data_type == "text",
        (DbBackend::MySql, Class::Integer) => in_mysql(value_type, storage, &Json::Bool(true)),
        // MariaDB's JSON.
        (DbBackend::MySql, Class::Json) => storage.data_type == "longtext",
        _ => false,
    }
}

/// Whether a column that takes `value` holds it as it is.
pub(super) fn is_exact(backend: DbBackend, value_type: &ArrayType, storage: &Storage, value: &Json) -> bool {
    if value.is_null() {
        // Not null may mean the present time.
        return storage.data_type != "timestamp" || backend != DbBackend::MySql;
    }
    match backend {
        DbBackend::Sqlite => in_sqlite(value_type, Affinity::of(&storage.data_type), value),
        DbBackend::Postgres => in_postgres(value_type, storage, value),
        DbBackend::MySql => in_mysql(value_type, storage, value),
        _ => false,
    }
}

/// What SQLite makes of values that a column's type does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    /// By the rules of SQLite's documentation, in their order.
    fn of(data_type: &str) -> Self {
        let has = |part: &str| data_type.contains(part);
        if has("int") {
            Self::Integer
        } else if has("char") || has("clob") || has("text") {
            Self::Text
        } else if has("blob") || data_type.is_empty() {
            Self::Blob
        } else if has("real") || has("floa") || has("doub") {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

fn in_sqlite(value_type: &ArrayType, affinity: Affinity, value: &Json) -> bool {
    match Class::of(value_type) {
        Class::Integer => matches!(affinity, Affinity::Integer | Affinity::Numeric | Affinity::Blob),
        Class::Float => matches!(affinity, Affinity::Real | Affinity::Blob),
        Class::Decimal => decimal(value).is_some_and(|decimal| {
            // More digits than a float has, and the text's last ones are SQLite's choice.
            let digits = decimal
                .mantissa()
                .unsigned_abs()
                .checked_ilog10()
                .map_or(1, |log| log + 1);
            let read = float_decimal(&decimal);
            digits <= 15 && read.is_some_and(|read| read.to_string() == decimal.to_string())
        }),
        Class::Text | Class::Json => matches!(affinity, Affinity::Text | Affinity::Blob),
        // No date or time looks like a number.
        Class::Bytes | Class::Uuid | Class::Time => true,
    }
}

fn in_postgres(value_type: &ArrayType, storage: &Storage, value: &Json) -> bool {
    match (Class::of(value_type), storage.data_type.as_str()) {
        (Class::Integer, "bool" | "int2" | "int4" | "int8")
        | (Class::Bytes, "bytea")
        | (Class::Uuid, "uuid")
        | (Class::Text, "text") => true,
        (Class::Float, "float4") => *value_type == ArrayType::Float,
        (Class::Float, "float8") => *value_type == ArrayType::Double,
        // The driver loses the scale of a zero.
        (Class::Decimal, "numeric") => decimal(value).is_some_and(|decimal| {
            let scale = i32::try_from(decimal.scale()).ok();
            let fits = storage.scale.is_none() || storage.scale == scale;
            fits && (decimal.scale() == 0 || !decimal.is_zero())
        }),
        (Class::Text, "varchar") => storage.length.is_none_or(|most| characters(value) <= Some(most)),
        (Class::Text, "bpchar") => storage.length == characters(value),
        // A label, or an error.
        (Class::Text, _) => matches!(value_type, ArrayType::Enum(_)),
        (Class::Json, "json" | "jsonb") => !has_number(value, &|number| {
            // Numbers are `numeric` there, which tells no float from an integer without a point, and has no -0.
            number.as_f64().is_some_and(|float| {
                number.is_f64() && (float == 0.0 && float.is_sign_negative() || float.abs() >= 1e15)
            })
        }),
        (Class::Time, "date" | "time" | "timestamp" | "timestamptz") => {
            has_fraction_within(value, storage.fraction.unwrap_or(6))
        }
        _ => false,
    }
}

fn in_mysql(value_type: &ArrayType, storage: &Storage, value: &Json) -> bool {
    match (Class::of(value_type), storage.data_type.as_str()) {
        (Class::Integer, "tinyint" | "smallint" | "mediumint" | "int" | "bigint")
        | (Class::Bytes, "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob")
        | (Class::Time, "date")
        // MariaDB's JSON.
        | (Class::Json, "longtext") => true,
        (Class::Float, "float") => *value_type == ArrayType::Float && storage.scale.is_none(),
        (Class::Float, "double") => *value_type == ArrayType::Double && storage.scale.is_none(),
        (Class::Decimal, "decimal") => {
            decimal(value).is_some_and(|decimal| storage.scale == i32::try_from(decimal.scale()).ok())
        }
        (Class::Text, "varchar") => characters(value) <= storage.length,
        (Class::Text, "char") => {
            characters(value) == storage.length && value.as_str().is_some_and(|text| !text.ends_with(' '))
        }
        (Class::Text, "tinytext" | "text" | "mediumtext" | "longtext") => {
            let bytes = value.as_str().and_then(|text| u32::try_from(text.len()).ok());
            bytes <= storage.length
        }
        (Class::Text, "enum") => matches!(value_type, ArrayType::Enum(_)),
        // In base64, three bytes are four characters.
        (Class::Bytes, "binary") => value.as_str().is_some_and(|text| {
            let padding = text.bytes().rev().take_while(|b| *b == b'=').count();
            u32::try_from(text.len() / 4 * 3 - padding).ok() == storage.length
        }),
        (Class::Uuid, "binary") => storage.length == Some(16),
        (Class::Json, "json") => !has_number(value, &serde_json::Number::is_f64),
        (Class::Time, "time" | "datetime" | "timestamp") => has_fraction_within(value, storage.fraction.unwrap_or(0)),
        _ => false,
    }
}

/// The types that are stored alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Integer,
    Float,
    Decimal,
    Text,
    Bytes,
    Uuid,
    Json,
    Time,
}

impl Class {
    fn of(value_type: &ArrayType) -> Self {
        match value_type {
            ArrayType::Bool
            | ArrayType::TinyInt
            | ArrayType::SmallInt
            | ArrayType::Int
            | ArrayType::BigInt
            | ArrayType::TinyUnsigned
            | ArrayType::SmallUnsigned
            | ArrayType::Unsigned
            | ArrayType::BigUnsigned => Self::Integer,
            ArrayType::Float | ArrayType::Double => Self::Float,
            ArrayType::Decimal => Self::Decimal,
            ArrayType::String | ArrayType::Char | ArrayType::Enum(_) => Self::Text,
            ArrayType::Bytes => Self::Bytes,
            ArrayType::Uuid => Self::Uuid,
            ArrayType::Json => Self::Json,
            // What is left of the types that have a form.
            _ => Self::Time,
        }
    }
}

fn decimal(value: &Json) -> Option<Decimal> {
    Decimal::from_str(value.as_str()?).ok()
}

fn characters(value: &Json) -> Option<u32> {
    u32::try_from(value.as_str()?.chars().count()).ok()
}

/// Whether the seconds of a time have at most so many digits that are not zero at the end.
fn has_fraction_within(value: &Json, digits: u32) -> bool {
    let text = value.as_str().unwrap_or_default();
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let significant = fraction.trim_end_matches('Z').trim_end_matches('0').len();
    u32::try_from(significant).is_ok_and(|significant| significant <= digits)
}

/// Whether a JSON value has a number of this kind in it.
pub(super) fn has_number(value: &Json, is_meant: &dyn Fn(&serde_json::Number) -> bool) -> bool {
    match value {
        Json::Number(number) => is_meant(number),
        Json::Array(items) => items.iter().any(|item| has_number(item, is_meant)),
        Json::Object(map) => map.values().any(|item| has_number(item, is_meant)),
        _ => false,
    }
}
