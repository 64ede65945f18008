use std::{fs, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{
    harness::{Bench, Built, Comparison},
    report::machine::Machine,
};

/// Figures as they are kept in a file, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) machine: Machine,
    pub(crate) built: Built,
    pub(crate) comparisons: Vec<Comparison>,
}

impl Figures {
    /// What this program has measured on this machine.
    pub(crate) fn of(bench: Bench) -> Self {
        Self {
            machine: Machine::this(),
            built: bench.built(),
            comparisons: bench.into_comparisons(),
        }
    }

    /// Reads a file.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} holds no figures", file.display()))
    }

    /// Writes a file. Of one that is there, the figures of other suites stay, if they come from the same machine and build.
    pub(crate) fn write(mut self, file: &Path) -> anyhow::Result<()> {
        if file.exists() {
            self.add(Self::read(file)?);
        }
        let text = serde_json::to_string_pretty(&self)? + "\n";
        fs::write(file, text).with_context(|| format!("can't write {}", file.display()))
    }

    fn add(&mut self, older: Self) {
        if (&older.machine, older.built) != (&self.machine, self.built) {
            return;
        }
        let is_new = |suite: &str| self.comparisons.iter().any(|new| new.suite == suite);
        let mut kept = older.comparisons;
        kept.retain(|old| !is_new(&old.suite));
        self.comparisons.splice(0..0, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Unit;

    fn measured(quick: bool, suite: &'static str, value: f64) -> Figures {
        let mut bench = Bench::new(quick);
        bench.begin(suite, "");
        bench.record_alone("case", Unit::Bytes, None, &[value]);
        Figures::of(bench)
    }

    fn suites(figures: &Figures) -> Vec<(&str, f64)> {
        let comparisons = figures.comparisons.iter();
        comparisons
            .map(|case| (case.suite.as_str(), case.ours.median))
            .collect()
    }

    #[test]
    fn a_file_keeps_the_figures_of_other_suites() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::remove_file(file.path()).unwrap();
        for (suite, value) in [("one", 1.0), ("two", 2.0), ("one", 3.0)] {
            measured(false, suite, value).write(file.path()).unwrap();
        }
        let figures = Figures::read(file.path()).unwrap();
        assert_eq!(suites(&figures), [("two", 2.0), ("one", 3.0)]);
        measured(true, "three", 4.0).write(file.path()).unwrap();
        assert_eq!(suites(&Figures::read(file.path()).unwrap()), [("three", 4.0)]);
    }
}
