use std::fmt;

use serde::{Deserialize, Serialize};

use crate::harness::{Summary, Unit};

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// At most so many times what the baseline takes.
    Times(f64),
    /// At least this share of the baseline's speed.
    Share(f64),
    /// At most so much, in the case's own unit.
    AtMost(f64),
}

/// A case that was measured, as it is printed and kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) suite: String,
    pub(crate) case: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Summary,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<Baseline>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
}

/// What a case is held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    pub(crate) name: String,
    pub(crate) figure: Summary,
    /// Of runs that followed each other: what is measured, divided by the baseline.
    pub(crate) ratio: Summary,
}

impl Comparison {
    /// Whether the target was reached. `None` when there is none.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let ratio = self.baseline.as_ref().map(|baseline| baseline.ratio.median);
        match self.target? {
            Target::Times(most) => Some(ratio? <= most),
            Target::Share(least) => Some(ratio?.recip() >= least),
            Target::AtMost(most) => Some(self.ours.median <= most),
        }
    }

    pub(crate) fn show_ours(&self) -> String {
        spread(self.ours, self.unit.is_rate(), |value| self.unit.show(value))
    }

    pub(crate) fn show_baseline(&self) -> String {
        let Some(baseline) = &self.baseline else {
            return String::new();
        };
        spread(baseline.figure, self.unit.is_rate(), |value| self.unit.show(value))
    }

    /// The ratio in the terms of the target: a share where that is one.
    pub(crate) fn show_ratio(&self) -> String {
        let Some(baseline) = &self.baseline else {
            return String::new();
        };
        if matches!(self.target, Some(Target::Share(_))) {
            spread(baseline.ratio.inverse(), false, percent)
        } else {
            spread(baseline.ratio, false, times)
        }
    }

    pub(crate) fn show_target(&self) -> String {
        match self.target {
            None => String::new(),
            Some(Target::Times(most)) => format!("≤ {}", times(most)),
            Some(Target::Share(least)) => format!("≥ {}", percent(least)),
            Some(Target::AtMost(most)) => format!("≤ {}", self.unit.show(most)),
        }
    }

    pub(crate) fn show_verdict(&self) -> &'static str {
        match self.is_met() {
            None => "",
            Some(true) => "hit",
            Some(false) => "miss",
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:44} {:>36}", self.case, self.show_ours())?;
        if let Some(baseline) = &self.baseline {
            write!(f, "  {}: {}", baseline.name, self.show_baseline())?;
            write!(f, "  {}", self.show_ratio())?;
        }
        if self.target.is_some() {
            write!(f, "  target {}", self.show_target())?;
        }
        Ok(())
    }
}

/// The median, and in brackets between what half of the runs lie.
fn spread(summary: Summary, reversed: bool, show: impl Fn(f64) -> String) -> String {
    let median = show(summary.median);
    let (low, high) = (show(summary.low), show(summary.high));
    if low == high {
        median
    } else if reversed {
        format!("{median} ({high} to {low})")
    } else {
        format!("{median} ({low} to {high})")
    }
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}×")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn against(ratio: f64, target: Target) -> Comparison {
        let exact = |value| Summary::of(&[value]).unwrap();
        Comparison {
            suite: "suite".into(),
            case: "case".into(),
            unit: Unit::Time,
            ours: exact(ratio),
            baseline: Some(Baseline {
                name: "raw".into(),
                figure: exact(1.0),
                ratio: exact(ratio),
            }),
            target: Some(target),
        }
    }

    #[test]
    fn a_target_is_met_up_to_and_at_its_limit() {
        for (ratio, target, met) in [
            (1.4, Target::Times(1.4), true),
            (1.41, Target::Times(1.4), false),
            (2.0, Target::Share(0.5), true),
            (2.01, Target::Share(0.5), false),
            (0.015, Target::AtMost(0.015), true),
            (0.016, Target::AtMost(0.015), false),
        ] {
            assert_eq!(against(ratio, target).is_met(), Some(met), "{ratio} {target:?}");
        }
    }

    #[test]
    fn a_share_is_shown_as_one() {
        let case = against(4.0, Target::Share(0.5));
        assert_eq!(
            (case.show_ratio(), case.show_target()),
            ("25 %".into(), "≥ 50 %".into())
        );
        assert_eq!(against(4.0, Target::Times(2.0)).show_ratio(), "4.00×");
    }

    #[test]
    fn rates_are_shown_from_the_least_to_the_most() {
        let case = Comparison {
            unit: Unit::per_second("rows"),
            ours: Summary::of(&[0.1, 0.1, 0.2, 0.25, 0.25]).unwrap(),
            ..against(1.0, Target::Times(1.0))
        };
        assert_eq!(case.show_ours(), "5 rows/s (4 rows/s to 10 rows/s)");
    }
}
