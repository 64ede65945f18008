use serde::{Deserialize, Serialize};

/// What several runs came to: the median, and between `low` and `high` the middle half of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) runs: usize,
}

impl Summary {
    /// `None` of no run.
    pub(crate) fn of(runs: &[f64]) -> Option<Self> {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        if sorted.is_empty() {
            return None;
        }
        Some(Self {
            median: quantile(&sorted, 0.5),
            low: quantile(&sorted, 0.25),
            high: quantile(&sorted, 0.75),
            runs: runs.len(),
        })
    }

    /// The reciprocal of each figure.
    pub(crate) fn inverse(self) -> Self {
        Self {
            median: self.median.recip(),
            low: self.high.recip(),
            high: self.low.recip(),
            runs: self.runs,
        }
    }

    /// Each figure so many times as large.
    pub(crate) fn scaled(self, by: f64) -> Self {
        Self {
            median: self.median * by,
            low: self.low * by,
            high: self.high * by,
            runs: self.runs,
        }
    }
}

/// The value below which this share of the sorted values lies, between two of them when need be.
///
/// # Panics
///
/// There are no values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among the values"
)]
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * super::timer::count(sorted.len() - 1);
    let (below, above) = (place.floor(), place.ceil());
    let (low, high) = (sorted[below as usize], sorted[above as usize]);
    low + (high - low) * (place - below)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these are exact")]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle_of_the_middle_half() {
        let summary = Summary::of(&[90.0, 1.0, 4.0, 2.0, 6.0]).unwrap();
        assert_eq!((summary.low, summary.median, summary.high), (2.0, 4.0, 6.0));
        assert_eq!(Summary::of(&[4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn a_quantile_is_taken_between_two_values() {
        let values: Vec<_> = (0..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.99), 99.0);
        assert_eq!(quantile(&[0.0, 10.0], 0.25), 2.5);
    }

    #[test]
    fn the_inverse_of_the_lowest_is_the_highest() {
        let inverse = Summary::of(&[1.0, 1.0, 2.0, 4.0, 4.0]).unwrap().inverse();
        assert_eq!((inverse.low, inverse.median, inverse.high), (0.25, 0.5, 1.0));
    }
}
