use crate::harness::{Bench, Case, Target, Unit};

/// How much dearer a change may be at the large end.
const MOST: f64 = 1.5;

/// The seconds that one change takes where it is made, where it is read to be told, and where it is merged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stages {
    pub(super) write: f64,
    pub(super) extract: f64,
    pub(super) merge: f64,
}

/// Takes note of changes at the large end and, right beside each, at the small one.
pub(super) fn record(bench: &mut Bench, large: &str, small: &str, pairs: &[(Stages, Stages)]) {
    for (index, name) in ["write", "extract", "merge"].into_iter().enumerate() {
        let stage = |stages: Stages| [stages.write, stages.extract, stages.merge][index];
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(large, small)| (stage(*large), stage(*small)))
            .collect();
        bench.record(case(format!("{name}, {large}"), small), &pairs);
    }
}

/// A case at the large end, held against the small end.
pub(super) fn case(name: String, small: &str) -> Case {
    Case::new(name, Unit::Time, small).target(Target::Times(MOST))
}
