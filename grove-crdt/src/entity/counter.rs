//! The exact column type of a counter.

use std::{
    fmt,
    ops::{AddAssign, SubAssign},
};

use sea_orm::{
    ActiveValue, ColIdx, DbErr, IntoActiveValue, QueryResult, TryFromU64, TryGetError, TryGetable, Value,
    sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr},
};
use serde::{Deserialize, Serialize};

use crate::entity::{Operation, Remembered, origin::Origin};

/// An integer column that remembers what was added since it was read.
///
/// Under `#[crdt(counter)]`, `doc.views += 1` is one increment however stale `doc` is: what is saved is the step, not the
/// sum. A counter made with [`Counter::new`] carries no step and means "make it so": the difference to what the row holds. So
/// does one that was read from another row than the one it is saved to.
///
/// ```
/// use grove_crdt::Counter;
///
/// let mut views = Counter::new(41);
/// views += 1;
/// assert_eq!(views.get(), 42);
/// assert_eq!(views, 42);
/// ```
///
/// Steps saturate at the ends of `i64`. Equality and order are those of the value alone.
#[derive(Clone, Copy, Default)]
pub struct Counter {
    value: i64,
    /// The sum of the steps since the value was read; `None` when it was not read.
    moved: Option<i64>,
    /// The row that it was read from.
    origin: Option<Origin>,
}

impl Counter {
    /// A counter that is to hold `value`, whatever it held before.
    #[must_use]
    pub fn new(value: i64) -> Self {
        Self {
            value,
            moved: None,
            origin: None,
        }
    }

    /// The value, steps included.
    #[must_use]
    pub fn get(self) -> i64 {
        self.value
    }

    fn read(value: i64, origin: Option<Origin>) -> Self {
        Self {
            value,
            moved: Some(0),
            origin,
        }
    }
}

impl AddAssign<i64> for Counter {
    fn add_assign(&mut self, by: i64) {
        self.value = self.value.saturating_add(by);
        self.moved = self.moved.map(|moved| moved.saturating_add(by));
    }
}

impl SubAssign<i64> for Counter {
    fn sub_assign(&mut self, by: i64) {
        self.value = self.value.saturating_sub(by);
        self.moved = self.moved.map(|moved| moved.saturating_sub(by));
    }
}

impl From<i64> for Counter {
    fn from(value: i64) -> Self {
        Self::new(value)
    }
}

impl From<Counter> for i64 {
    fn from(counter: Counter) -> Self {
        counter.value
    }
}

impl PartialEq for Counter {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Counter {}

impl PartialEq<i64> for Counter {
    fn eq(&self, other: &i64) -> bool {
        self.value == *other
    }
}

impl PartialOrd for Counter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Counter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl std::hash::Hash for Counter {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value, f)
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)
    }
}

impl Serialize for Counter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.value)
    }
}

impl<'de> Deserialize<'de> for Counter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self::new)
    }
}

impl From<Counter> for Value {
    fn from(counter: Counter) -> Self {
        Value::BigInt(Some(counter.value))
    }
}

impl TryGetable for Counter {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        i64::try_get_by(row, index).map(|value| Self::read(value, Origin::of(row, index)))
    }
}

impl ValueType for Counter {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <i64 as ValueType>::try_from(value).map(Self::new)
    }

    fn type_name() -> String {
        "Counter".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::BigInt
    }

    fn column_type() -> ColumnType {
        ColumnType::BigInteger
    }
}

impl Nullable for Counter {
    fn null() -> Value {
        Value::BigInt(None)
    }
}

impl IntoActiveValue<Counter> for Counter {
    fn into_active_value(self) -> ActiveValue<Counter> {
        ActiveValue::Set(self)
    }
}

impl TryFromU64 for Counter {
    fn try_from_u64(value: u64) -> Result<Self, DbErr> {
        i64::try_from_u64(value).map(Self::new)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A column type that `#[crdt(counter)]` can be put on: [`Counter`], `i64`, `i32`, `i16` or `i8`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a counter",
    label = "`#[crdt(counter)]` takes a signed integer (`i8` to `i64`) or `grove_crdt::Counter`, and no `Option`; use `#[crdt(lww)]` for other types"
)]
pub trait CounterField: sealed::Sealed {
    /// Whether the type remembers steps.
    const REMEMBERS: bool;

    /// What the value remembers, if it remembers.
    fn remembered(&self) -> Option<Remembered>;
}

impl sealed::Sealed for Counter {}

impl CounterField for Counter {
    const REMEMBERS: bool = true;

    fn remembered(&self) -> Option<Remembered> {
        Some(Remembered {
            operation: Operation::Increment(self.moved?),
            origin: self.origin,
        })
    }
}

macro_rules! plain_integers {
    ($($integer:ty),*) => {$(
        impl sealed::Sealed for $integer {}

        impl CounterField for $integer {
            const REMEMBERS: bool = false;

            fn remembered(&self) -> Option<Remembered> {
                None
            }
        }
    )*};
}

plain_integers!(i8, i16, i32, i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_that_was_read_remembers_steps() {
        let mut read = Counter::read(10, None);
        read += 5;
        read -= 2;
        assert_eq!(read.get(), 13);
        let remembered = read.remembered().unwrap();
        assert_eq!(remembered.operation, Operation::Increment(3));
        let mut fresh = Counter::new(10);
        fresh += 5;
        assert_eq!(fresh.remembered(), None);
    }

    #[test]
    fn json_is_the_value() {
        assert_eq!(serde_json::to_string(&Counter::new(3)).unwrap(), "3");
        assert_eq!(serde_json::from_str::<Counter>("3").unwrap(), 3);
    }
}
