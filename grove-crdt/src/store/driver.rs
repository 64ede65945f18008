//! What SeaORM's drivers do otherwise than their databases would: types they can't read, values they bind as something else.

use rust_decimal::Decimal;
use sea_orm::{DbBackend, Value, sea_query::ArrayType};

/// Whether values of a type can be written and read at all; what to do instead when not.
pub(crate) fn check_type(backend: DbBackend, value_type: &ArrayType) -> Result<(), String> {
    let instead = match (backend, value_type) {
        (DbBackend::Postgres, ArrayType::TinyUnsigned) => "i16",
        (DbBackend::Postgres, ArrayType::SmallUnsigned) => "i32",
        (DbBackend::Postgres | DbBackend::Sqlite, ArrayType::BigUnsigned) => "i64",
        _ => return Ok(()),
    };
    Err(format!(
        "SeaORM reads no {value_type:?} from {}: use an `{instead}`",
        backend.as_str()
    ))
}

/// Why a value must not be written, because its row could not be read any more.
pub(crate) fn refused(backend: DbBackend, value: &Value) -> Option<String> {
    match (backend, value) {
        (DbBackend::Sqlite, Value::Decimal(Some(decimal))) if float_decimal(decimal).is_none() => Some(format!(
            "{decimal} is too large for SeaORM to read it from a column of SQLite"
        )),
        _ => None,
    }
}

/// The decimal that is read back from SQLite, where SeaORM takes it from a float.
pub(super) fn float_decimal(decimal: &Decimal) -> Option<Decimal> {
    let float: f64 = decimal.to_string().parse().ok()?;
    Decimal::try_from(float).ok()
}

/// The value to be bound for a value.
///
/// An instant bound for MariaDB as a `TIMESTAMP` is null when it is outside of 1970 to 2038, whatever the column's type, and
/// the null becomes the present time in a `TIMESTAMP` column. As a `DATETIME` it is checked against the column. Connections
/// are set to UTC.
pub(crate) fn bound(backend: DbBackend, value: Value) -> Value {
    if backend != DbBackend::MySql {
        return value;
    }
    match value {
        Value::ChronoDateTimeUtc(v) => Value::ChronoDateTime(v.map(|v| v.naive_utc())),
        Value::ChronoDateTimeLocal(v) => Value::ChronoDateTime(v.map(|v| v.naive_utc())),
        Value::TimeDateTimeWithTimeZone(v) => Value::TimeDateTime(v.map(|v| {
            let utc = v.to_offset(time::UtcOffset::UTC);
            time::PrimitiveDateTime::new(utc.date(), utc.time())
        })),
        other => other,
    }
}
