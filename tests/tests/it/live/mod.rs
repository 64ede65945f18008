//! Streams: what a server sends as it happens, and a syncer that keeps up with it.

mod cut;
mod elsewhere;
mod events;
mod keeping_up;
mod latency;
mod presence;
mod slow;
mod stream;

use std::time::Duration;

use grove_crdt::Replica;
use grove_crdt_tests::rows;
use tokio::time::Instant;

use crate::notes;

/// How long anything here may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The notes and drafts of a replica.
async fn tables(replica: &Replica) -> (Vec<String>, Vec<String>) {
    (
        rows::<notes::Entity, _>(replica).await,
        rows::<notes::draft::Entity, _>(replica).await,
    )
}

/// Waits until both have the same rows.
#[track_caller]
fn equal(one: &Replica, other: &Replica) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        while tables(one).await != tables(other).await {
            assert!(begun.elapsed() < PATIENCE, "they don't become equal, {caller}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
