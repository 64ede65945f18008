use serde::{Deserialize, Serialize};

use crate::harness::{Baseline, Comparison, Summary, Target, Unit};

/// What a suite is run with: the sizes to choose, and where its results go.
#[derive(Debug)]
pub(crate) struct Bench {
    quick: bool,
    suite: &'static str,
    comparisons: Vec<Comparison>,
}

/// What program measures, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Built {
    pub(crate) optimised: bool,
    pub(crate) quick: bool,
}

impl Built {
    /// Whether the figures mean anything.
    pub(crate) fn measures(self) -> bool {
        self.optimised && !self.quick
    }
}

/// A case before it is measured.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    name: String,
    unit: Unit,
    baseline: String,
    target: Option<Target>,
}

impl Case {
    /// A case that is held against the named baseline.
    pub(crate) fn new(name: impl Into<String>, unit: Unit, baseline: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            unit,
            baseline: baseline.into(),
            target: None,
        }
    }

    pub(crate) fn target(mut self, target: impl Into<Option<Target>>) -> Self {
        self.target = target.into();
        self
    }
}

/// How often a case is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    /// Not counted: caches fill, statements are prepared, connections made.
    pub(crate) warm_up: usize,
    pub(crate) counted: usize,
}

impl Bench {
    pub(crate) fn new(quick: bool) -> Self {
        Self {
            quick,
            suite: "",
            comparisons: Vec::new(),
        }
    }

    /// Begins a suite.
    pub(crate) fn begin(&mut self, suite: &'static str, about: &str) {
        println!("\n{suite}: {about}");
        self.suite = suite;
    }

    /// A size: the first one to measure with, the second to see that everything works.
    pub(crate) fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// So many rounds; one when it only has to work.
    pub(crate) fn rounds(&self, warm_up: usize, counted: usize) -> Rounds {
        if self.quick {
            Rounds { warm_up: 0, counted: 1 }
        } else {
            Rounds { warm_up, counted }
        }
    }

    /// Runs a case and its baseline in turn. Each is given the number of the round and returns what it measured, in the unit of
    /// the case; they swap places from round to round, so that neither always runs into the other's leavings.
    pub(crate) async fn compare(
        &mut self,
        case: Case,
        rounds: Rounds,
        mut ours: impl AsyncFnMut(usize) -> anyhow::Result<f64>,
        mut baseline: impl AsyncFnMut(usize) -> anyhow::Result<f64>,
    ) -> anyhow::Result<()> {
        let mut pairs = Vec::with_capacity(rounds.counted);
        for round in 0..rounds.warm_up + rounds.counted {
            let pair = if round % 2 == 0 {
                let ours = ours(round).await?;
                (ours, baseline(round).await?)
            } else {
                let baseline = baseline(round).await?;
                (ours(round).await?, baseline)
            };
            if round >= rounds.warm_up {
                pairs.push(pair);
            }
        }
        self.record(case, &pairs);
        Ok(())
    }

    /// Takes note of pairs of runs: what is measured, and its baseline right beside it.
    pub(crate) fn record(&mut self, case: Case, pairs: &[(f64, f64)]) {
        let (ours, baselines): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let ratios: Vec<_> = pairs.iter().map(|(ours, baseline)| ours / baseline).collect();
        let baseline = Summary::of(&baselines).zip(Summary::of(&ratios));
        let baseline = baseline.map(|(figure, ratio)| Baseline {
            name: case.baseline.clone(),
            figure,
            ratio,
        });
        self.note(case, &ours, baseline);
    }

    /// Takes note of runs that are held against nothing but a target.
    pub(crate) fn record_alone(&mut self, name: impl Into<String>, unit: Unit, target: Option<Target>, runs: &[f64]) {
        self.note(Case::new(name, unit, "").target(target), runs, None);
    }

    fn note(&mut self, case: Case, ours: &[f64], baseline: Option<Baseline>) {
        let Some(ours) = Summary::of(ours) else { return };
        let comparison = Comparison {
            suite: self.suite.to_owned(),
            case: case.name,
            unit: case.unit,
            ours,
            baseline,
            target: case.target,
        };
        // What a debug build or a quick run takes is held against nothing.
        match comparison.show_verdict() {
            verdict if !verdict.is_empty() && self.built().measures() => println!("{comparison}: {verdict}"),
            _ => println!("{comparison}"),
        }
        self.comparisons.push(comparison);
    }

    /// What is measured with.
    pub(crate) fn built(&self) -> Built {
        Built {
            optimised: !cfg!(debug_assertions),
            quick: self.quick,
        }
    }

    /// Everything that was measured.
    pub(crate) fn into_comparisons(self) -> Vec<Comparison> {
        self.comparisons
    }
}

/// Says that something is not measured, and why.
pub(crate) fn skip(what: &str, why: &anyhow::Error) {
    println!("  {what} skipped: {why:#}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::float_cmp, reason = "these are exact")]
    async fn runs_take_turns_and_warm_ups_do_not_count() {
        let mut bench = Bench::new(false);
        let order = std::cell::RefCell::new(Vec::new());
        let rounds = bench.rounds(1, 2);
        let run = async |who: char, round: usize, took: f64| {
            order.borrow_mut().push((who, round));
            Ok(took)
        };
        bench
            .compare(
                Case::new("case", Unit::Time, "raw").target(Target::Times(2.0)),
                rounds,
                async |round| run('o', round, if round == 0 { 9.0 } else { 3.0 }).await,
                async |round| run('b', round, 2.0).await,
            )
            .await
            .unwrap();
        assert_eq!(
            order.into_inner(),
            [('o', 0), ('b', 0), ('b', 1), ('o', 1), ('o', 2), ('b', 2)]
        );
        let comparison = bench.into_comparisons().remove(0);
        assert_eq!((comparison.ours.high, comparison.ours.runs), (3.0, 2));
        assert_eq!(comparison.baseline.unwrap().ratio.median, 1.5);
    }
}
