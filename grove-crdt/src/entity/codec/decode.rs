//! From JSON forms back to SQL values.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rust_decimal::Decimal;
use sea_orm::{
    Value,
    sea_query::{ArrayType, Enum, OptionEnum},
};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{NUL, has_nul, json_null, null, times};
use crate::types::{exact_i64, exact_u64};

/// The value of a JSON form, or what is wrong with it.
pub(in crate::entity) fn decode(json: &Json, value_type: &ArrayType) -> Result<Value, String> {
    let Some(null) = null(value_type) else {
        return Err(format!("values of type {value_type:?} can't be replicated"));
    };
    if json.is_null() {
        return Ok(null);
    }
    if has_nul(json) {
        return Err(NUL.into());
    }
    decode_some(json, value_type).ok_or_else(|| refusal(json, value_type))
}

/// What is said of a JSON value that is not a form of the type.
pub(super) fn refusal(json: &Json, value_type: &ArrayType) -> String {
    let mut shown = json.to_string();
    if shown.len() > 80 {
        shown = format!("{}…", shown.chars().take(80).collect::<String>());
    }
    format!("{shown} is not {}", form(value_type))
}

/// A type's form in words: what is wrong with a value is told to peers, who know nothing of the types of this program.
#[allow(
    unreachable_patterns,
    reason = "which types there are depends on the features of SeaORM"
)]
fn form(value_type: &ArrayType) -> &'static str {
    match value_type {
        ArrayType::Bool => "`true` or `false`",
        ArrayType::TinyInt => "an integer of 8 bits",
        ArrayType::SmallInt => "an integer of 16 bits",
        ArrayType::Int => "an integer of 32 bits",
        ArrayType::BigInt => "an integer of 64 bits",
        ArrayType::TinyUnsigned => "an integer of 8 bits without a sign",
        ArrayType::SmallUnsigned => "an integer of 16 bits without a sign",
        ArrayType::Unsigned => "an integer of 32 bits without a sign",
        ArrayType::BigUnsigned => "an integer of 64 bits without a sign",
        ArrayType::Float | ArrayType::Double => "a number that the field can hold",
        ArrayType::String | ArrayType::Enum(_) => "a string",
        ArrayType::Char => "a string of one character",
        ArrayType::Bytes => "bytes in base64",
        ArrayType::Uuid => "a UUID with hyphens",
        ArrayType::Decimal => "a decimal number like \"1.50\"",
        ArrayType::ChronoDate | ArrayType::TimeDate => "a date like \"2024-02-29\"",
        ArrayType::ChronoTime | ArrayType::TimeTime => "a time of day like \"12:34:56\"",
        ArrayType::ChronoDateTime | ArrayType::TimeDateTime => "a date and time like \"2024-02-29T12:34:56\"",
        ArrayType::ChronoDateTimeUtc
        | ArrayType::ChronoDateTimeLocal
        | ArrayType::ChronoDateTimeWithTimeZone
        | ArrayType::TimeDateTimeWithTimeZone => "an instant like \"2024-02-29T12:34:56Z\"",
        ArrayType::Json => "JSON that can be replicated",
        _ => "of the field's type",
    }
}

fn decode_some(json: &Json, value_type: &ArrayType) -> Option<Value> {
    fn int<T: TryFrom<i64>>(json: &Json) -> Option<T> {
        exact_i64(json).and_then(|v| v.try_into().ok())
    }
    let text = json.as_str();
    Some(match value_type {
        ArrayType::Bool => json.as_bool()?.into(),
        ArrayType::TinyInt => int::<i8>(json)?.into(),
        ArrayType::SmallInt => int::<i16>(json)?.into(),
        ArrayType::Int => int::<i32>(json)?.into(),
        ArrayType::BigInt => int::<i64>(json)?.into(),
        ArrayType::TinyUnsigned => int::<u8>(json)?.into(),
        ArrayType::SmallUnsigned => int::<u16>(json)?.into(),
        ArrayType::Unsigned => int::<u32>(json)?.into(),
        ArrayType::BigUnsigned => exact_u64(json)?.into(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the form of an f32 reads back as that f32; an f64 comes as near as it can"
        )]
        ArrayType::Float => Some(json.as_f64()? as f32).filter(|v| v.is_finite())?.into(),
        ArrayType::Double => json.as_f64()?.into(),
        ArrayType::String => text?.into(),
        ArrayType::Enum(name) => Value::Enum(OptionEnum::Some(Box::new(Enum {
            type_name: (**name).clone(),
            value: text?.to_owned().into(),
        }))),
        ArrayType::Char => {
            let mut chars = text?.chars();
            let value = chars.next()?;
            chars.next().is_none().then_some(value)?.into()
        }
        ArrayType::Bytes => BASE64.decode(text?).ok()?.into(),
        ArrayType::Json => Value::Json(Some(Box::new(json_null::json(json).clone()))),
        ArrayType::Uuid => Uuid::parse_str(text?).ok()?.into(),
        ArrayType::Decimal => decimal(text?)?.into(),
        _ => return times::decode(text?, value_type),
    })
}

/// The parser takes signs, underscores and leading zeros too; one number of one scale has one text.
fn decimal(text: &str) -> Option<Decimal> {
    let value = Decimal::from_str_exact(text).ok()?;
    (value.to_string() == text).then_some(value)
}
