//! Changes that are refused.

use std::{sync::atomic::Ordering, time::Duration};

use grove_crdt::FakeClock;
use grove_crdt_tests::{START, written};

use super::{Line, pair, syncer};
use crate::notes;

#[apply(on_each_database!)]
async fn a_push_too_large_for_the_peer_goes_in_parts() {
    let (edge, hub, line) = pair().await;
    for note in 0..10 {
        notes::write(&edge, &format!("note-{note}"), "one").await;
    }
    line.0.capacity.store(3, Ordering::SeqCst);
    let report = syncer(&edge).peer(line.clone()).build().unwrap().sync().await.unwrap();
    assert_eq!(report.rejected, 0, "{report}");
    for note in 0..10 {
        assert!(notes::title(&hub, &format!("note-{note}")).await.is_some());
    }
}

#[apply(on_each_database!)]
async fn a_change_too_large_for_the_peer_blocks_no_other() {
    let (edge, _hub, line) = pair().await;
    notes::write(&edge, "a", "one").await;
    line.0.capacity.store(0, Ordering::SeqCst);
    let syncer = syncer(&edge).peer(line.clone()).build().unwrap();
    let report = syncer.sync().await.unwrap();
    assert!(report.rejected > 0 && report.pushed == 0, "{report}");
    let letters = edge.dead_letters().await.unwrap();
    assert_eq!(
        (letters.len(), letters[0].inbound, letters[0].message.as_str()),
        (report.rejected, false, "as told")
    );
    // It is not tried again by itself.
    assert_eq!(syncer.sync().await.unwrap().rejected, 0);
}

#[apply(on_each_database!)]
async fn a_change_ahead_of_the_clock_is_taken_once_the_clock_is_there() {
    const HOUR: Duration = Duration::from_hours(1);
    let (edge_clock, hub_clock) = (FakeClock::at(START), FakeClock::at(START));
    let edge = notes::replica_at("edge", &edge_clock).await;
    let hub = notes::replica_at("hub", &hub_clock).await;
    let syncer = syncer(&edge).peer(Line::to(&hub)).build().unwrap();

    // On the way out: the hub's clock is behind.
    edge_clock.advance(HOUR);
    notes::write(&edge, "a", "from edge").await;
    let refused = syncer.sync().await.unwrap();
    assert!(refused.rejected > 0 && refused.pushed == 0, "{refused}");
    let before = written(&edge).await;
    assert_eq!(
        syncer.sync().await.unwrap().rejected,
        refused.rejected,
        "it was tried again"
    );
    assert_eq!(written(&edge).await, before, "waiting writes nothing");
    hub_clock.advance(HOUR);
    let taken = syncer.sync().await.unwrap();
    assert_eq!((taken.rejected, taken.pushed), (0, refused.rejected), "{taken}");
    assert_eq!(notes::title(&hub, "a").await.as_deref(), Some("from edge"));
    assert!(edge.dead_letters().await.unwrap().is_empty());

    // On the way in: this side's clock is behind.
    hub_clock.advance(HOUR);
    notes::write(&hub, "b", "from hub").await;
    let refused = syncer.sync().await.unwrap();
    assert!(refused.rejected > 0 && refused.merged == 0, "{refused}");
    assert_eq!(edge.dead_letters().await.unwrap().len(), refused.rejected);
    edge_clock.advance(HOUR);
    let taken = syncer.sync().await.unwrap();
    assert_eq!(
        (taken.pulled, taken.rejected, taken.merged),
        (0, 0, refused.rejected),
        "{taken}"
    );
    assert_eq!(notes::title(&edge, "b").await.as_deref(), Some("from hub"));
    assert!(edge.dead_letters().await.unwrap().is_empty());
}

/// A change that was refused for good stayed behind for ever, although the peer was mended since.
#[apply(on_each_database!)]
async fn every_dead_letter_is_tried_again_by_a_new_syncer() {
    let (edge, hub, line) = pair().await;
    notes::write(&edge, "a", "one").await;
    line.0.capacity.store(0, Ordering::SeqCst);
    let old = syncer(&edge).peer(line.clone()).build().unwrap();
    assert!(old.sync().await.unwrap().rejected > 0);
    line.0.capacity.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(old.sync().await.unwrap().pushed, 0);
    let new = syncer(&edge).peer(line.clone()).build().unwrap();
    assert!(new.sync().await.unwrap().pushed > 0);
    assert_eq!(notes::title(&hub, "a").await.as_deref(), Some("one"));
    assert_eq!(edge.dead_letters().await.unwrap(), []);
}

#[apply(on_each_database!)]
async fn dead_letters_can_be_thrown_away() {
    let (edge, _hub, line) = pair().await;
    notes::write(&edge, "a", "one").await;
    line.0.capacity.store(0, Ordering::SeqCst);
    syncer(&edge).peer(line.clone()).build().unwrap().sync().await.unwrap();
    let ids: Vec<_> = edge
        .dead_letters()
        .await
        .unwrap()
        .into_iter()
        .map(|letter| letter.id)
        .collect();
    assert!(!ids.is_empty());
    assert_eq!(edge.discard_dead_letters(&ids).await.unwrap(), ids.len() as u64);
    assert_eq!(edge.dead_letters().await.unwrap(), []);
    assert_eq!(edge.discard_dead_letters(&ids).await.unwrap(), 0);
}
