//! From SQL values to their JSON forms.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rust_decimal::Decimal;
use sea_orm::{Value, sea_query::OptionEnum};
use serde_json::{Number, Value as Json};

use super::{NUL, has_nul, is_unreadable, json_null, times};
use crate::types::{MAX_DEPTH, i64_json, is_too_deep, u64_json};

/// The JSON form of a value, or what is wrong with it.
pub(crate) fn encode(value: &Value) -> Result<Json, String> {
    encode_some(value).map(|json| json.unwrap_or(Json::Null))
}

fn encode_some(value: &Value) -> Result<Option<Json>, String> {
    let int = |value: i64| Json::from(value);
    Ok(match value {
        Value::Bool(v) => v.map(Json::Bool),
        Value::TinyInt(v) => v.map(|v| int(v.into())),
        Value::SmallInt(v) => v.map(|v| int(v.into())),
        Value::Int(v) => v.map(|v| int(v.into())),
        Value::BigInt(v) => v.map(i64_json),
        Value::TinyUnsigned(v) => v.map(|v| int(v.into())),
        Value::SmallUnsigned(v) => v.map(|v| int(v.into())),
        Value::Unsigned(v) => v.map(|v| int(v.into())),
        Value::BigUnsigned(v) => v.map(u64_json),
        // The shortest text of the f32 is what must come back, not the digits of its f64 neighbour.
        Value::Float(v) => v
            .map(|v| float(v.to_string().parse().unwrap_or(f64::NAN)))
            .transpose()?,
        Value::Double(v) => v.map(float).transpose()?,
        Value::String(v) => v.clone().map(text).transpose()?,
        unreadable if is_unreadable(unreadable) => return Err(CANT_BE_READ.into()),
        Value::Char(v) => v.map(|v| text(v.into())).transpose()?,
        Value::Enum(OptionEnum::Some(v)) => Some(text(v.value.to_string())?),
        Value::Enum(OptionEnum::None(_)) => None,
        Value::Bytes(v) => v.as_ref().map(|v| Json::String(BASE64.encode(v))),
        Value::Json(v) => v.as_deref().map(json).transpose()?,
        Value::Uuid(v) => v.map(|v| Json::String(v.to_string())),
        Value::Decimal(v) => v.map(|v| Json::String(decimal(v).to_string())),
        other => times::encode(other)?.map(Json::String),
    })
}

const CANT_BE_READ: &str = "the column holds the character U+0000, or something that can't be read as the field's type";

/// Databases differ in whether they keep the sign of a zero, so it has none.
fn float(value: f64) -> Result<Json, String> {
    Number::from_f64(value + 0.0)
        .map(Json::Number)
        .ok_or_else(|| format!("{value} has no JSON form; only finite numbers can be replicated"))
}

/// Whether a text has a JSON form.
pub(crate) fn has_form(text: &str) -> bool {
    !text.contains('\0')
}

fn text(value: String) -> Result<Json, String> {
    if !has_form(&value) {
        return Err(NUL.into());
    }
    Ok(Json::String(value))
}

fn json(value: &Json) -> Result<Json, String> {
    let form = json_null::form(value);
    if is_too_deep(&form) {
        return Err(format!(
            "JSON nested deeper than {MAX_DEPTH} levels can't be replicated"
        ));
    }
    if has_nul(value) {
        return Err(NUL.into());
    }
    Ok(form)
}

/// The decimal as everyone can read it: PostgreSQL's driver gives scales that no parser takes back.
fn decimal(mut value: Decimal) -> Decimal {
    if value.scale() > Decimal::MAX_SCALE {
        value.rescale(Decimal::MAX_SCALE);
    }
    if value.is_zero() {
        value.set_sign_positive(true);
    }
    value
}
