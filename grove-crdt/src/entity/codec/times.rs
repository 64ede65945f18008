//! The forms of dates and times, whichever crate's types hold them.
//!
//! `2024-02-29`, `12:34:56`, `2024-02-29T12:34:56`, and `2024-02-29T12:34:56Z` for an instant, in UTC. A fraction of a
//! second is left out when it is zero; it has 6 digits, or 9 when there are nanoseconds. Years are 0001 to 9999, and there
//! are no leap seconds: what else the types can hold, some database can't.
//!
//! Fractions of 1 to 9 digits are read, as JavaScript writes 3.

use std::str::FromStr;

use chrono::{DateTime, Datelike as _, FixedOffset, Local, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _, Utc};
use sea_orm::{Value, sea_query::ArrayType};

/// The form of a date or time, `None` when it is null.
pub(super) fn encode(value: &Value) -> Result<Option<String>, String> {
    let instant = |v: DateTime<Utc>| Ok(format!("{}Z", datetime_text(v.naive_utc())?));
    match value {
        Value::ChronoDate(v) => v.map(date_text).transpose(),
        Value::ChronoTime(v) => v.map(time_text).transpose(),
        Value::ChronoDateTime(v) => v.map(datetime_text).transpose(),
        Value::ChronoDateTimeUtc(v) => v.map(instant).transpose(),
        Value::ChronoDateTimeLocal(v) => v.map(|v| instant(v.to_utc())).transpose(),
        Value::ChronoDateTimeWithTimeZone(v) => v.map(|v| instant(v.to_utc())).transpose(),
        Value::TimeDate(v) => v.map(|v| date_text(from_time::date(v)?)).transpose(),
        Value::TimeTime(v) => v.map(|v| time_text(from_time::time(v)?)).transpose(),
        Value::TimeDateTime(v) => v.map(|v| datetime_text(from_time::datetime(v)?)).transpose(),
        Value::TimeDateTimeWithTimeZone(v) => v
            .map(|v| {
                let utc = v.to_offset(time::UtcOffset::UTC);
                let utc = time::PrimitiveDateTime::new(utc.date(), utc.time());
                Ok(format!("{}Z", datetime_text(from_time::datetime(utc)?)?))
            })
            .transpose(),
        other => Err(format!("{other:?} is of a type that can't be replicated")),
    }
}

fn date_text(date: NaiveDate) -> Result<String, String> {
    if !(1..=9999).contains(&date.year()) {
        return Err(format!("{date} can't be replicated: years are 0001 to 9999"));
    }
    Ok(date.format("%Y-%m-%d").to_string())
}

fn time_text(time: NaiveTime) -> Result<String, String> {
    let form = match time.nanosecond() {
        0 => "%H:%M:%S",
        1_000_000_000.. => return Err(format!("{time} can't be replicated: it is a leap second")),
        n if n % 1_000 == 0 => "%H:%M:%S%.6f",
        _ => "%H:%M:%S%.9f",
    };
    Ok(time.format(form).to_string())
}

fn datetime_text(datetime: NaiveDateTime) -> Result<String, String> {
    Ok(format!(
        "{}T{}",
        date_text(datetime.date())?,
        time_text(datetime.time())?
    ))
}

/// The value of a form, `None` when it is none of a type of date or time.
pub(super) fn decode(text: &str, value_type: &ArrayType) -> Option<Value> {
    let instant = || Some(datetime(text.strip_suffix('Z')?)?.and_utc());
    Some(match value_type {
        ArrayType::ChronoDate => date(text)?.into(),
        ArrayType::ChronoTime => time(text)?.into(),
        ArrayType::ChronoDateTime => datetime(text)?.into(),
        ArrayType::ChronoDateTimeUtc => instant()?.into(),
        ArrayType::ChronoDateTimeLocal => DateTime::<Local>::from(instant()?).into(),
        ArrayType::ChronoDateTimeWithTimeZone => DateTime::<FixedOffset>::from(instant()?).into(),
        ArrayType::TimeDate => to_time::date(date(text)?)?.into(),
        ArrayType::TimeTime => to_time::time(time(text)?)?.into(),
        ArrayType::TimeDateTime => to_time::datetime(datetime(text)?)?.into(),
        ArrayType::TimeDateTimeWithTimeZone => to_time::datetime(instant()?.naive_utc())?.assume_utc().into(),
        _ => return None,
    })
}

fn date(text: &str) -> Option<NaiveDate> {
    let date = has_shape(text, "0000-00-00").then(|| NaiveDate::from_str(text).ok())??;
    (date.year() > 0).then_some(date)
}

fn time(text: &str) -> Option<NaiveTime> {
    let (seconds, fraction) = match text.split_once('.') {
        Some((seconds, fraction)) => (seconds, Some(fraction)),
        None => (text, None),
    };
    let is_fraction = |digits: &str| (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !has_shape(seconds, "00:00:00") || !fraction.is_none_or(is_fraction) {
        return None;
    }
    let time = NaiveTime::from_str(text).ok()?;
    (time.nanosecond() < 1_000_000_000).then_some(time)
}

fn datetime(text: &str) -> Option<NaiveDateTime> {
    let (day, clock) = text.split_once('T')?;
    Some(date(day)?.and_time(time(clock)?))
}

/// Whether `text` is `shape` with other digits.
fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(b, like): (u8, u8)| if like == b'0' { b.is_ascii_digit() } else { b == like };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
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
