//! The PN-counter: one cell per node, holding that node's totals.
//!
//! Source: Shapiro, Preguiça, Baquero, Zawirski: *A comprehensive study of Convergent and Commutative Replicated Data
//! Types*, 2011, specification 7.

use serde::{Deserialize, Serialize};

/// What one node has added and taken away, ever. Neither goes beyond [`LIMIT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub inc: u128,
    pub dec: u128,
}

/// So far beyond what a value can be that a counter may swing from one end of `i64` to the other billions of times; and so far
/// below what an `i128` holds that the totals of all nodes can be added up.
const LIMIT: u128 = 1 << 96;

impl Totals {
    /// Totals that make up `value`.
    pub(crate) fn of(value: impl Into<i128>) -> Self {
        let value = value.into();
        let size = value.unsigned_abs();
        if value >= 0 {
            Self { inc: size, dec: 0 }
        } else {
            Self { inc: 0, dec: size }
        }
    }

    /// The totals after one more step, or `None` when one would leave its range.
    pub(crate) fn plus(self, by: i128) -> Option<Self> {
        let step = Self::of(by);
        let sum = Self {
            inc: self.inc.checked_add(step.inc)?,
            dec: self.dec.checked_add(step.dec)?,
        };
        (sum.inc <= LIMIT && sum.dec <= LIMIT).then_some(sum)
    }

    pub(crate) fn net(self) -> i128 {
        self.inc.cast_signed() - self.dec.cast_signed()
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

/// What totals come to, which may be more than a counter can show.
pub(crate) fn sum(totals: impl IntoIterator<Item = Totals>) -> i128 {
    totals.into_iter().map(Totals::net).sum()
}

/// JSON of totals: `{"inc":30,"dec":0}`, integers beyond 2^53 as strings.
impl Serialize for Totals {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut object = serializer.serialize_struct("Totals", 2)?;
        object.serialize_field("inc", &super::u128_json(self.inc))?;
        object.serialize_field("dec", &super::u128_json(self.dec))?;
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
            super::exact_u128(value).filter(|total| *total <= LIMIT).ok_or_else(|| {
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
        let full = Totals { inc: LIMIT - 1, dec: 0 };
        assert_eq!(full.plus(2), None);
        assert_eq!(full.plus(1).map(|totals| totals.inc), Some(LIMIT));
        assert_eq!(full.plus(-1).map(Totals::net), Some(full.net() - 1));
        assert_eq!(Totals { inc: 0, dec: LIMIT }.plus(-1), None);
        assert_eq!(full.plus(i128::MIN), None);
    }

    /// The totals of a counter that went to the end of its range and back were full, though its value was 0.
    #[test]
    fn a_counter_swings_between_the_ends() {
        let (low, high) = (i128::from(i64::MIN), i128::from(i64::MAX));
        let mut totals = Totals::default();
        for _ in 0..1_000 {
            for by in [high, low - high, -low] {
                totals = totals.plus(by).unwrap();
            }
        }
        assert_eq!(totals.net(), 0);
        let text = serde_json::to_string(&totals).unwrap();
        assert_eq!(serde_json::from_str::<Totals>(&text).unwrap(), totals);
    }

    /// A birth with the least integer once made totals that could be written and not read.
    #[test]
    fn every_value_has_totals_that_can_be_read_back() {
        for value in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            let totals = Totals::of(value);
            let text = serde_json::to_string(&totals).unwrap();
            assert_eq!(serde_json::from_str::<Totals>(&text).unwrap(), totals, "{value}");
            assert_eq!(sum([totals]), i128::from(value));
        }
    }

    #[test]
    fn totals_add_up_beyond_every_value() {
        assert_eq!(sum([Totals::of(5), Totals::of(-7)]), -2);
        let beyond = [Totals::of(i64::MAX), Totals::of(1)];
        assert_eq!(sum(beyond), i128::from(i64::MAX) + 1);
        assert_eq!(sum(vec![Totals { inc: LIMIT, dec: 0 }; 1_000]), 1_000 << 96);
    }

    #[test]
    fn json_is_exact_and_refuses_what_is_no_total() {
        for (totals, text) in [
            (
                Totals { inc: LIMIT, dec: 3 },
                r#"{"inc":"79228162514264337593543950336","dec":3}"#,
            ),
            (
                Totals {
                    inc: 1 << 63,
                    dec: 1 << 53,
                },
                r#"{"inc":"9223372036854775808","dec":9007199254740992}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&totals).unwrap(), text);
            assert_eq!(serde_json::from_str::<Totals>(text).unwrap(), totals);
        }
        for bad in [
            r#"{"inc":-1,"dec":0}"#,
            r#"{"inc":"-1","dec":0}"#,
            r#"{"inc":1.5,"dec":0}"#,
            r#"{"inc":"79228162514264337593543950337","dec":0}"#,
            r#"{"inc":"0079228162514264337593543950336","dec":0}"#,
            r#"{"inc":1}"#,
            r#"{"inc":1,"dec":0,"x":1}"#,
        ] {
            assert!(serde_json::from_str::<Totals>(bad).is_err(), "{bad}");
        }
    }
}
