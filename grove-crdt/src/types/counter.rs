//! The PN-counter: one cell per node, holding that node's totals.
//!
//! Source: Shapiro, Preguiça, Baquero, Zawirski: *A comprehensive study of Convergent and Commutative Replicated Data
//! Types*, 2011, specification 7.

use serde::{Deserialize, Serialize};

/// What one node has added and taken away, ever. Neither goes beyond 2^63, the size of the least `i64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub inc: u64,
    pub dec: u64,
}

/// The size of the least `i64`, so that each `i64` is the value of some totals.
const LIMIT: u64 = i64::MIN.unsigned_abs();

impl Totals {
    /// Totals that make up `value`.
    pub(crate) fn of(value: i64) -> Self {
        let size = value.unsigned_abs();
        if value >= 0 {
            Self { inc: size, dec: 0 }
        } else {
            Self { inc: 0, dec: size }
        }
    }

    /// The totals after one more step, or `None` when one would leave its range.
    pub(crate) fn plus(self, by: i64) -> Option<Self> {
        let step = Self::of(by);
        let sum = Self {
            inc: self.inc.checked_add(step.inc)?,
            dec: self.dec.checked_add(step.dec)?,
        };
        (sum.inc <= LIMIT && sum.dec <= LIMIT).then_some(sum)
    }

    pub(crate) fn net(self) -> i128 {
        i128::from(self.inc) - i128::from(self.dec)
    }

    /// The join of one node's totals: they only grow, so the greater of each is the newer.
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            inc: self.inc.max(other.inc),
            dec: self.dec.max(other.dec),
        }
    }

    /// The join of two baselines. They are values, not steps of one writer: the greater value wins, whole.
    pub(super) fn join_baseline(self, other: Self) -> Self {
        if (other.net(), other.inc) > (self.net(), self.inc) {
            other
        } else {
            self
        }
    }
}

/// The counter's value, or `None` when it leaves the range of `i64`.
pub(crate) fn checked_value(totals: impl IntoIterator<Item = Totals>) -> Option<i64> {
    let sum: i128 = totals.into_iter().map(Totals::net).sum();
    i64::try_from(sum).ok()
}

/// JSON of totals: `{"inc":30,"dec":0}`, integers beyond 2^53 as strings.
impl Serialize for Totals {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut object = serializer.serialize_struct("Totals", 2)?;
        object.serialize_field("inc", &super::u64_json(self.inc))?;
        object.serialize_field("dec", &super::u64_json(self.dec))?;
        object.end()
    }
}

impl<'de> Deserialize<'de> for Totals {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[serde(expecting = "a counter's totals, which are a JSON object")]
        struct Raw {
            inc: serde_json::Value,
            dec: serde_json::Value,
        }
        let raw = Raw::deserialize(deserializer)?;
        let total = |value: &serde_json::Value| {
            super::exact_u64(value).filter(|total| *total <= LIMIT).ok_or_else(|| {
                serde::de::Error::custom(format!("a counter total is an integer from 0 to {LIMIT}, not {value}"))
            })
        };
        Ok(Self {
            inc: total(&raw.inc)?,
            dec: total(&raw.dec)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_beyond_the_range_is_refused() {
        let full = Totals::of(i64::MAX);
        assert_eq!(full.plus(2), None);
        assert_eq!(full.plus(-1).map(Totals::net), Some(i128::from(i64::MAX) - 1));
        assert_eq!(Totals::of(i64::MIN).plus(-1), None);
    }

    /// A birth with the least integer once made totals that could be written and not read.
    #[test]
    fn every_value_has_totals_that_can_be_read_back() {
        for value in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            let totals = Totals::of(value);
            let text = serde_json::to_string(&totals).unwrap();
            assert_eq!(serde_json::from_str::<Totals>(&text).unwrap(), totals, "{value}");
            assert_eq!(checked_value([totals]), Some(value));
        }
    }

    #[test]
    fn the_value_is_checked() {
        assert_eq!(checked_value([Totals::of(5), Totals::of(-7)]), Some(-2));
        assert_eq!(checked_value([Totals::of(i64::MAX), Totals::of(1)]), None);
        assert_eq!(
            checked_value([Totals::of(i64::MAX), Totals::of(1), Totals::of(-1)]),
            Some(i64::MAX)
        );
    }

    #[test]
    fn json_is_exact_and_refuses_what_is_no_total() {
        let totals = Totals { inc: LIMIT, dec: 3 };
        let text = serde_json::to_string(&totals).unwrap();
        assert_eq!(text, r#"{"inc":"9223372036854775808","dec":3}"#);
        assert_eq!(serde_json::from_str::<Totals>(&text).unwrap(), totals);
        for bad in [
            r#"{"inc":-1,"dec":0}"#,
            r#"{"inc":1.5,"dec":0}"#,
            r#"{"inc":"9223372036854775809","dec":0}"#,
            r#"{"inc":1}"#,
            r#"{"inc":1,"dec":0,"x":1}"#,
        ] {
            assert!(serde_json::from_str::<Totals>(bad).is_err(), "{bad}");
        }
    }
}
