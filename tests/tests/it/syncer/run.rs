//! Syncing in the background.

use std::{sync::atomic::Ordering, time::Duration};

use grove_crdt::sync::{RetryPolicy, TransportErrorKind};
use tokio_util::sync::CancellationToken;

use super::{pair, syncer};
use crate::notes;

#[apply(on_each_database!)]
async fn run_syncs_at_every_interval_through_failures_until_it_is_stopped() {
    let (edge, hub, line) = pair().await;
    let interval = Duration::from_millis(20);
    // Only the interval brings another request.
    let never = Duration::from_hours(1);
    let syncer = syncer(&edge)
        .peer(line.clone())
        .retry(RetryPolicy::never().first_pause(never).max_pause(never))
        .interval(interval)
        .build()
        .unwrap();
    let stop = CancellationToken::new();
    line.fail([TransportErrorKind::Unavailable; 3]);
    notes::write(&edge, "a", "from edge").await;
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { syncer.run(stop).await }
    });
    while notes::title(&hub, "a").await.is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (pulls, pushes) = line.requests();
    assert!(pulls >= 4 && pushes == 1, "{pulls} pulls, {pushes} pushes");
    stop.cancel();
    running.await.unwrap();
    line.requests();
    tokio::time::sleep(interval * 3).await;
    assert_eq!(line.requests(), (0, 0));
}

#[apply(on_each_database!)]
async fn run_stops_while_a_peer_takes_its_time() {
    let (edge, _hub, line) = pair().await;
    line.0.pause.store(3_600, Ordering::SeqCst);
    let syncer = syncer(&edge).peer(line.clone()).build().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { syncer.run(stop).await }
    });
    while line.requests().0 == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap()
        .unwrap();
}
