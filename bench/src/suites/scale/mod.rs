//! Whether one change costs the same however much there is already.

mod born;
mod peers;
mod sets;
mod stages;
mod tables;
mod tagged;

use crate::harness::Bench;

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    Box::pin(tables::run(bench)).await?;
    Box::pin(sets::run(bench)).await?;
    Box::pin(born::run(bench)).await?;
    Box::pin(peers::run(bench)).await
}

/// Does both, the one or the other first: what comes second finds the machine in another state.
async fn in_turn<T>(
    round: usize,
    large: impl Future<Output = anyhow::Result<T>>,
    small: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, T)> {
    if round.is_multiple_of(2) {
        let large = large.await?;
        Ok((large, small.await?))
    } else {
        let small = small.await?;
        Ok((large.await?, small))
    }
}
