use crate::{
    harness::{Bench, Target},
    suites::writes::{self, Kind, Plan, Transaction},
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let plan = Plan {
        transaction: Transaction::PerRow,
        rows: bench.size(100, 5),
        rounds: bench.rounds(3, 25),
        target: |kind| {
            Some(Target::Times(match kind {
                Kind::Insert => 1.4,
                Kind::Update | Kind::Delete | Kind::Increment => 1.7,
            }))
        },
    };
    writes::run(bench, plan).await
}
