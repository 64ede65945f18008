//! The one JSON form of each SQL value: on the wire, in cells and for equality, whatever the database.
//!
//! | type | form |
//! |---|---|
//! | integers | a number up to ±2^53, beyond that a string of digits |
//! | `f32`, `f64` | the shortest number that reads back the same; -0.0 is 0.0; NaN and infinities are refused |
//! | text, enums | a string; U+0000 is refused, which PostgreSQL can't hold |
//! | bytes | a base64 string |
//! | `Uuid` | lower case, with hyphens |
//! | `Decimal` | a string, its scale kept up to 28 digits; zero has no sign |
//! | dates and times | ISO 8601, years 0001 to 9999; see [`times`] |
//! | JSON | itself; U+0000 is refused in its texts and names. Its own null is `{"$json":null}`; see [`json_null`] |
//! | null | `null` |
//!
//! Types of one kind (the integers, the floats, the texts, the dates and times of `chrono` and of `time`) read each other's
//! forms, so a field may be an `i32` on one node and an `i64` on another.

mod decode;
mod encode;
mod json_null;
#[cfg(test)]
mod tests;
mod times;

pub(super) use decode::decode;
pub(crate) use encode::{encode, has_form};

use sea_orm::{
    Value,
    sea_query::{ArrayType, OptionEnum},
};
use serde_json::Value as Json;

use crate::types::{exact_i64, exact_u64, i64_json, u64_json};

/// Whether values of this type have a JSON form.
pub(super) fn is_supported(value_type: &ArrayType) -> bool {
    null(value_type).is_some()
}

/// Whether values of this type are whole numbers.
pub(crate) fn is_integer(value_type: &ArrayType) -> bool {
    matches!(
        value_type,
        ArrayType::TinyInt
            | ArrayType::SmallInt
            | ArrayType::Int
            | ArrayType::BigInt
            | ArrayType::TinyUnsigned
            | ArrayType::SmallUnsigned
            | ArrayType::Unsigned
            | ArrayType::BigUnsigned
    )
}

/// The form in which a value that came from elsewhere is kept, or what is wrong with it.
///
/// It is the same on every node whose type is of this kind: nothing is taken away that only this node's type can't hold.
pub(super) fn normal(json: Json, value_type: &ArrayType) -> Result<Json, String> {
    let widest = match value_type {
        integer if is_integer(integer) => {
            let integer = exact_i64(&json).map(i64_json).or(exact_u64(&json).map(u64_json));
            return integer
                .or(json.is_null().then_some(Json::Null))
                .ok_or_else(|| decode::refusal(&json, value_type));
        }
        // A text's form is the text.
        ArrayType::String if json.as_str().is_some_and(|text| !text.contains('\0')) => return Ok(json),
        ArrayType::Float => &ArrayType::Double,
        ArrayType::Char | ArrayType::Enum(_) | ArrayType::Uuid => &ArrayType::String,
        other => other,
    };
    encode(&decode(&json, widest)?)
}

/// Why text with the character U+0000 is refused.
const NUL: &str = "text with the character U+0000 can't be replicated: not every database can hold it";

/// Whether a text or a name in a JSON value has the character U+0000.
fn has_nul(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(has_nul),
        Json::Object(map) => map.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// Stands for a value of a row that can't be read: a text that is no time, an instant beyond what the type can hold. No value of a
/// column that is replicated is the character U+0000, and [`encode`] refuses it.
pub(crate) const UNREADABLE: Value = Value::Char(Some('\0'));

/// Whether a value of a row could not be read.
pub(crate) fn is_unreadable(value: &Value) -> bool {
    *value == UNREADABLE
}

/// The null to bind for a value of a type.
pub(crate) fn null_of(value_type: &ArrayType) -> Value {
    // Types without a form are those of untagged columns, and few of them; a null of text is taken for any.
    null(value_type).unwrap_or(Value::String(None))
}

/// The null of a type, `None` when the type has no JSON form.
#[allow(
    unreachable_patterns,
    reason = "which types there are depends on the features of SeaORM"
)]
fn null(value_type: &ArrayType) -> Option<Value> {
    Some(match value_type {
        ArrayType::Bool => Value::Bool(None),
        ArrayType::TinyInt => Value::TinyInt(None),
        ArrayType::SmallInt => Value::SmallInt(None),
        ArrayType::Int => Value::Int(None),
        ArrayType::BigInt => Value::BigInt(None),
        ArrayType::TinyUnsigned => Value::TinyUnsigned(None),
        ArrayType::SmallUnsigned => Value::SmallUnsigned(None),
        ArrayType::Unsigned => Value::Unsigned(None),
        ArrayType::BigUnsigned => Value::BigUnsigned(None),
        ArrayType::Float => Value::Float(None),
        ArrayType::Double => Value::Double(None),
        ArrayType::String => Value::String(None),
        ArrayType::Enum(name) => Value::Enum(OptionEnum::None((**name).clone())),
        ArrayType::Char => Value::Char(None),
        ArrayType::Bytes => Value::Bytes(None),
        ArrayType::Json => Value::Json(None),
        ArrayType::ChronoDate => Value::ChronoDate(None),
        ArrayType::ChronoTime => Value::ChronoTime(None),
        ArrayType::ChronoDateTime => Value::ChronoDateTime(None),
        ArrayType::ChronoDateTimeUtc => Value::ChronoDateTimeUtc(None),
        ArrayType::ChronoDateTimeLocal => Value::ChronoDateTimeLocal(None),
        ArrayType::ChronoDateTimeWithTimeZone => Value::ChronoDateTimeWithTimeZone(None),
        ArrayType::TimeDate => Value::TimeDate(None),
        ArrayType::TimeTime => Value::TimeTime(None),
        ArrayType::TimeDateTime => Value::TimeDateTime(None),
        ArrayType::TimeDateTimeWithTimeZone => Value::TimeDateTimeWithTimeZone(None),
        ArrayType::Uuid => Value::Uuid(None),
        ArrayType::Decimal => Value::Decimal(None),
        _ => return None,
    })
}
