//! The one JSON form of each SQL value: on the wire, in cells and for equality.
//!
//! | type | form |
//! |---|---|
//! | integers | a number up to ±2^53, beyond that a string of digits |
//! | `f32`, `f64` | the shortest number that reads back the same; NaN and infinities are refused |
//! | text, enums | a string |
//! | bytes | a base64 string |
//! | `Uuid` | lower case, with hyphens |
//! | `Decimal` | a string, its scale kept |
//! | dates and times | ISO 8601; a fraction of 6 digits, or 9 when there are nanoseconds; instants in UTC with `Z` |
//! | JSON | itself |
//! | null | `null` |

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, FixedOffset, Local, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use rust_decimal::Decimal;
use sea_orm::{
    Value,
    sea_query::{ArrayType, Enum, OptionEnum},
};
use serde_json::{Number, Value as Json};
use uuid::Uuid;

use crate::types::{MAX_DEPTH, exact_i64, exact_u64, i64_json, is_too_deep, u64_json};

/// Whether values of this type have a JSON form.
pub(super) fn is_supported(value_type: &ArrayType) -> bool {
    null(value_type).is_some()
}

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
        Value::String(v) => v.clone().map(Json::String),
        Value::Char(v) => v.map(|v| Json::String(v.into())),
        Value::Enum(OptionEnum::Some(v)) => Some(Json::String(v.value.to_string())),
        Value::Enum(OptionEnum::None(_)) => None,
        Value::Bytes(v) => v.as_ref().map(|v| Json::String(BASE64.encode(v))),
        Value::Json(Some(v)) if is_too_deep(v) => {
            return Err(format!(
                "JSON nested deeper than {MAX_DEPTH} levels can't be replicated"
            ));
        }
        Value::Json(v) => v.as_deref().cloned(),
        Value::Uuid(v) => v.map(|v| Json::String(v.to_string())),
        Value::Decimal(v) => v.map(|v| Json::String(v.to_string())),
        other => return encode_time(other),
    })
}

fn float(value: f64) -> Result<Json, String> {
    Number::from_f64(value)
        .map(Json::Number)
        .ok_or_else(|| format!("{value} has no JSON form; only finite numbers can be replicated"))
}

fn encode_time(value: &Value) -> Result<Option<Json>, String> {
    let utc = |v: DateTime<Utc>| format!("{}Z", datetime_text(v.naive_utc()));
    let text = match value {
        Value::ChronoDate(v) => v.map(date_text),
        Value::ChronoTime(v) => v.map(time_text),
        Value::ChronoDateTime(v) => v.map(datetime_text),
        Value::ChronoDateTimeUtc(v) => v.map(utc),
        Value::ChronoDateTimeLocal(v) => v.map(|v| utc(v.to_utc())),
        Value::ChronoDateTimeWithTimeZone(v) => v.map(|v| utc(v.to_utc())),
        Value::TimeDate(v) => v.map(from_time::date).transpose()?.map(date_text),
        Value::TimeTime(v) => v.map(from_time::time).transpose()?.map(time_text),
        Value::TimeDateTime(v) => v.map(from_time::datetime).transpose()?.map(datetime_text),
        Value::TimeDateTimeWithTimeZone(v) => v
            .map(|v| v.to_offset(time::UtcOffset::UTC))
            .map(|v| from_time::datetime(time::PrimitiveDateTime::new(v.date(), v.time())))
            .transpose()?
            .map(|v| format!("{}Z", datetime_text(v))),
        other => return Err(format!("{other:?} is of a type that can't be replicated")),
    };
    Ok(text.map(Json::String))
}

fn date_text(date: NaiveDate) -> String {
    date.format("%Y-%m-%d").to_string()
}

fn time_text(time: NaiveTime) -> String {
    match time.nanosecond() {
        0 => time.format("%H:%M:%S"),
        n if n % 1_000 == 0 => time.format("%H:%M:%S%.6f"),
        _ => time.format("%H:%M:%S%.9f"),
    }
    .to_string()
}

fn datetime_text(datetime: NaiveDateTime) -> String {
    format!("{}T{}", date_text(datetime.date()), time_text(datetime.time()))
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

/// The value of a JSON form, or what is wrong with it.
pub(super) fn decode(json: &Json, value_type: &ArrayType) -> Result<Value, String> {
    let Some(null) = null(value_type) else {
        return Err(format!("values of type {value_type:?} can't be replicated"));
    };
    if json.is_null() {
        return Ok(null);
    }
    decode_some(json, value_type).ok_or_else(|| {
        let mut shown = json.to_string();
        if shown.len() > 80 {
            shown = format!("{}…", shown.chars().take(80).collect::<String>());
        }
        format!("{shown} is not the form of a {value_type:?}")
    })
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
            reason = "the form of an f32 reads back as that f32"
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
        ArrayType::Json => Value::Json(Some(Box::new(json.clone()))),
        ArrayType::Uuid => Uuid::parse_str(text?).ok()?.into(),
        ArrayType::Decimal => Decimal::from_str_exact(text?).ok()?.into(),
        _ => return decode_time(text?, value_type),
    })
}

fn decode_time(text: &str, value_type: &ArrayType) -> Option<Value> {
    let date = || NaiveDate::from_str(text).ok();
    let time = || NaiveTime::from_str(text).ok();
    let datetime = |text: &str| NaiveDateTime::from_str(text).ok();
    let instant = || datetime(text.strip_suffix('Z')?).map(|v| v.and_utc());
    Some(match value_type {
        ArrayType::ChronoDate => date()?.into(),
        ArrayType::ChronoTime => time()?.into(),
        ArrayType::ChronoDateTime => datetime(text)?.into(),
        ArrayType::ChronoDateTimeUtc => instant()?.into(),
        ArrayType::ChronoDateTimeLocal => DateTime::<Local>::from(instant()?).into(),
        ArrayType::ChronoDateTimeWithTimeZone => DateTime::<FixedOffset>::from(instant()?).into(),
        ArrayType::TimeDate => to_time::date(date()?)?.into(),
        ArrayType::TimeTime => to_time::time(time()?)?.into(),
        ArrayType::TimeDateTime => to_time::datetime(datetime(text)?)?.into(),
        ArrayType::TimeDateTimeWithTimeZone => to_time::datetime(instant()?.naive_utc())?.assume_utc().into(),
        _ => return None,
    })
}

/// From the `time` crate's types to chrono's, which have the one text form.
mod from_time {
    use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

    pub(super) fn date(v: time::Date) -> Result<NaiveDate, String> {
        NaiveDate::from_yo_opt(v.year(), v.ordinal().into()).ok_or_else(|| format!("{v} is out of range"))
    }

    pub(super) fn time(v: time::Time) -> Result<NaiveTime, String> {
        let (hour, minute, second, nano) = v.as_hms_nano();
        NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nano)
            .ok_or_else(|| format!("{v} is out of range"))
    }

    pub(super) fn datetime(v: time::PrimitiveDateTime) -> Result<NaiveDateTime, String> {
        Ok(date(v.date())?.and_time(time(v.time())?))
    }
}

/// The way back.
mod to_time {
    use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

    pub(super) fn date(v: NaiveDate) -> Option<time::Date> {
        time::Date::from_ordinal_date(v.year(), v.ordinal().try_into().ok()?).ok()
    }

    pub(super) fn time(v: NaiveTime) -> Option<time::Time> {
        let part = |v: u32| u8::try_from(v).ok();
        time::Time::from_hms_nano(part(v.hour())?, part(v.minute())?, part(v.second())?, v.nanosecond()).ok()
    }

    pub(super) fn datetime(v: NaiveDateTime) -> Option<time::PrimitiveDateTime> {
        Some(time::PrimitiveDateTime::new(date(v.date())?, time(v.time())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn round_trip(value: impl Into<Value>, value_type: &ArrayType, form: &Json) {
        let value = value.into();
        assert_eq!(&encode(&value).unwrap(), form);
        assert_eq!(decode(form, value_type).unwrap(), value);
    }

    #[test]
    fn numbers() {
        round_trip(i64::MAX, &ArrayType::BigInt, &json!("9223372036854775807"));
        round_trip(-5i64, &ArrayType::BigInt, &json!(-5));
        round_trip(u64::MAX, &ArrayType::BigUnsigned, &json!("18446744073709551615"));
        round_trip(0.1f32, &ArrayType::Float, &json!(0.1));
        round_trip(f64::MIN_POSITIVE, &ArrayType::Double, &json!(f64::MIN_POSITIVE));
        let decimal = Decimal::from_str("1.50").unwrap();
        round_trip(decimal, &ArrayType::Decimal, &json!("1.50"));
    }

    #[test]
    fn numbers_out_of_range_or_not_finite_are_refused() {
        assert!(encode(&f64::NAN.into()).unwrap_err().contains("NaN"));
        assert!(encode(&f32::INFINITY.into()).is_err());
        assert!(decode(&json!(128), &ArrayType::TinyInt).is_err());
        assert!(decode(&json!(1.5), &ArrayType::Int).is_err());
        assert!(decode(&json!(1e300), &ArrayType::Float).is_err());
        assert!(decode(&json!("x"), &ArrayType::BigInt).is_err());
    }

    #[test]
    fn text_and_bytes() {
        round_trip("𝄞 ü", &ArrayType::String, &json!("𝄞 ü"));
        round_trip("", &ArrayType::String, &json!(""));
        round_trip(vec![0u8, 255], &ArrayType::Bytes, &json!("AP8="));
        round_trip('ß', &ArrayType::Char, &json!("ß"));
        round_trip(Value::String(None), &ArrayType::String, &json!(null));
        assert!(decode(&json!("no base64!"), &ArrayType::Bytes).is_err());
    }

    #[test]
    fn chrono_values() {
        let datetime = NaiveDateTime::from_str("2024-02-29T12:34:56.000001").unwrap();
        round_trip(
            datetime,
            &ArrayType::ChronoDateTime,
            &json!("2024-02-29T12:34:56.000001"),
        );
        round_trip(
            datetime.and_utc(),
            &ArrayType::ChronoDateTimeUtc,
            &json!("2024-02-29T12:34:56.000001Z"),
        );
        let zoned = DateTime::parse_from_rfc3339("2024-01-01T01:00:00+02:00").unwrap();
        let form = encode(&zoned.into()).unwrap();
        assert_eq!(form, json!("2023-12-31T23:00:00Z"));
        assert_eq!(
            decode(&form, &ArrayType::ChronoDateTimeWithTimeZone).unwrap(),
            Value::from(zoned)
        );
        round_trip(datetime.date(), &ArrayType::ChronoDate, &json!("2024-02-29"));
    }

    #[test]
    fn time_values_share_chronos_forms() {
        let date = time::Date::from_ordinal_date(2024, 60).unwrap();
        let time = time::Time::from_hms_nano(1, 2, 3, 4).unwrap();
        let datetime = time::PrimitiveDateTime::new(date, time);
        round_trip(date, &ArrayType::TimeDate, &json!("2024-02-29"));
        round_trip(time, &ArrayType::TimeTime, &json!("01:02:03.000000004"));
        round_trip(
            datetime,
            &ArrayType::TimeDateTime,
            &json!("2024-02-29T01:02:03.000000004"),
        );
        round_trip(
            datetime.assume_utc(),
            &ArrayType::TimeDateTimeWithTimeZone,
            &json!("2024-02-29T01:02:03.000000004Z"),
        );
    }

    /// A parser that is not exact in the last bit made a row and its record differ for ever.
    #[test]
    fn floats_survive_their_text() {
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        for value in std::iter::once(94.958_862_831_581_03).chain((0..20_000).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from_bits(seed)
        })) {
            let Ok(json) = encode(&Value::Double(Some(value))) else {
                continue;
            };
            let read: Json = serde_json::from_str(&crate::types::canonical(&json)).unwrap();
            let back = decode(&read, &ArrayType::Double).unwrap();
            assert_eq!(back, Value::Double(Some(value)));
        }
    }
}
