use crate::{
    harness::{Bench, Target},
    suites::writes::{self, Kind, Plan, Transaction},
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let plan = Plan {
        transaction: Transaction::PerRow,
        // On a file so many that the write-ahead log is brought in at least once, which is part of what writes cost.
        rows: [bench.size(250, 5), bench.size(50, 5)],
        rounds: bench.rounds(2, 25),
        target: |kind| {
            Some(Target::Times(match kind {
                Kind::Insert => 1.4,
                Kind::Update | Kind::Delete | Kind::Increment => 1.7,
            }))
        },
    };
    writes::run(bench, plan).await
}
