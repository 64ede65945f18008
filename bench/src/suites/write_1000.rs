use crate::{
    harness::{Bench, Target},
    suites::writes::{self, Kind, Plan, Transaction},
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let plan = Plan {
        transaction: Transaction::PerRound,
        rows: [bench.size(1_000, 20); 2],
        rounds: bench.rounds(1, 9),
        target: |kind| match kind {
            Kind::Insert => Some(Target::Times(1.2)),
            Kind::Update => Some(Target::Times(1.3)),
            Kind::Delete | Kind::Increment => None,
        },
    };
    writes::run(bench, plan).await
}
