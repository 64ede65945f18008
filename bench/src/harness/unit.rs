use serde::{Deserialize, Serialize};

/// What is measured, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Seconds for one item, shown as a time.
    Time,
    /// Seconds for one item, shown as how many of these items a second.
    PerSecond(String),
    /// Bytes.
    Bytes,
}

impl Unit {
    pub(crate) fn per_second(items: &str) -> Self {
        Self::PerSecond(items.to_owned())
    }

    /// Whether more is better once it is shown.
    pub(crate) fn is_rate(&self) -> bool {
        matches!(self, Self::PerSecond(_))
    }

    /// A measured value as people read it.
    pub(crate) fn show(&self, value: f64) -> String {
        match self {
            Self::Time => scaled(value, &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]),
            Self::PerSecond(items) => format!("{} {items}/s", grouped(value.recip())),
            Self::Bytes => scaled(value, &[(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")]),
        }
    }
}

/// Three digits, in the largest unit that leaves one before the point; the last one when none does.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fitting = units.iter().find(|(size, _)| value.abs() >= *size);
    let Some((size, name)) = fitting.or(units.last()) else {
        return value.to_string();
    };
    let value = value / size;
    let digits = match value.abs() {
        value if value == 0.0 || value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {name}")
}

/// A whole number in groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_with_three_digits() {
        for (unit, value, shown) in [
            (Unit::Time, 0.000_140_4, "140 µs"),
            (Unit::Time, 0.014_04, "14.0 ms"),
            (Unit::Time, 2.5, "2.50 s"),
            (Unit::Time, 8.5e-10, "0.85 ns"),
            (Unit::Bytes, 0.0, "0 B"),
            (Unit::Bytes, 64e6, "64.0 MB"),
            (Unit::per_second("rows"), 1e-5, "100,000 rows/s"),
            (Unit::per_second("rows"), 0.002, "500 rows/s"),
        ] {
            assert_eq!(unit.show(value), shown);
        }
    }
}
