//! Whether one change costs the same however much there is already.

mod peers;
mod sets;
mod stages;
mod tables;
mod tagged;

use crate::harness::Bench;

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    Box::pin(tables::run(bench)).await?;
    Box::pin(sets::run(bench)).await?;
    Box::pin(peers::run(bench)).await
}
