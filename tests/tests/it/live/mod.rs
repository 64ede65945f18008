//! Streams: what a server sends as it happens, and a syncer that keeps up with it.

mod cut;
mod elsewhere;
mod events;
mod keeping_up;
mod latency;
mod many;
mod presence;
mod shared;
mod slow;
mod stream;

use std::time::Duration;

use grove_crdt::{
    Replica,
    sync::{RetryPolicy, Syncer, SyncerBuilder},
};
use grove_crdt_tests::rows;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::notes;

/// How long anything here may take, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

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

/// An interval that does not come while a test runs: what is seen was streamed, or pushed at once.
pub(crate) const NEVER: Duration = Duration::from_hours(1);

/// A syncer that runs until dropped.
pub(crate) struct Running {
    task: JoinHandle<()>,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Running {
    /// One that loses no time over failures.
    pub(crate) fn new(builder: SyncerBuilder) -> Self {
        let patience = RetryPolicy::default()
            .attempts(1)
            .first_pause(Duration::from_millis(2))
            .max_pause(Duration::from_millis(20));
        let syncer = builder.retry(patience).build().unwrap();
        Self::of(syncer)
    }

    fn of(syncer: Syncer) -> Self {
        let stop = CancellationToken::new();
        let until = stop.clone();
        Self {
            task: tokio::spawn(async move { syncer.run(until).await }),
            _guard: stop.clone().drop_guard(),
            stop,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}
