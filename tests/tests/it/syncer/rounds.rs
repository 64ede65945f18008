//! Round after round, with a peer that may not be the one it was.

use std::time::Duration;

use grove_crdt::sync::{Syncer, SyncerBuilder, TransportErrorKind};
use grove_crdt_tests::{TestDatabase, written};

use super::{Line, pair, syncer};
use crate::notes;

#[apply(on_each_database!)]
async fn an_idle_sync_moves_and_writes_nothing() {
    let (edge, hub, line) = pair().await;
    notes::write(&edge, "a", "from edge").await;
    notes::write(&hub, "b", "from hub").await;
    let syncer = syncer(&edge).peer(line.clone()).build().unwrap();
    syncer.sync().await.unwrap();
    // What was pushed moved the hub's cursor on; this sync takes note of it.
    syncer.sync().await.unwrap();
    let before = (written(&edge).await, written(&hub).await);
    line.requests();

    let idle = syncer.sync().await.unwrap();

    assert_eq!(idle.to_string(), "pulled=0 pushed=0 merged=0 conflicts=0");
    assert_eq!((written(&edge).await, written(&hub).await), before);
    assert_eq!(line.requests(), (1, 0), "one pull is what it takes to know");
}

#[apply(on_each_database!)]
async fn nothing_goes_back_where_it_came_from() {
    let (edge, hub, line) = pair().await;
    notes::write(&hub, "a", "from hub").await;
    let syncer = syncer(&edge).peer(line.clone()).build().unwrap();
    let report = syncer.sync().await.unwrap();
    assert!(report.pulled > 0);
    assert_eq!((report.pushed, line.requests()), (0, (1, 0)));
    assert_eq!(
        syncer.sync().await.unwrap().to_string(),
        "pulled=0 pushed=0 merged=0 conflicts=0"
    );
}

#[apply(on_each_database!)]
async fn pages_are_taken_until_there_are_no_more() {
    let (edge, hub, line) = pair().await;
    for note in 0..7 {
        notes::write(&edge, &format!("edge-{note}"), "one").await;
        notes::write(&hub, &format!("hub-{note}"), "one").await;
    }
    let syncer = syncer(&edge).peer(line.clone()).page_size(2).build().unwrap();
    syncer.sync().await.unwrap();
    for note in 0..7 {
        assert!(notes::title(&edge, &format!("hub-{note}")).await.is_some());
        assert!(notes::title(&hub, &format!("edge-{note}")).await.is_some());
    }
    let (pulls, pushes) = line.requests();
    assert!(pulls >= 4 && pushes >= 4, "{pulls} pulls, {pushes} pushes");
}

#[apply(on_each_database!)]
async fn a_recreated_peer_is_given_everything_again() {
    let (edge, hub, line) = pair().await;
    notes::write(&edge, "a", "from edge").await;
    notes::write(&hub, "b", "from hub").await;
    let syncer = syncer(&edge).peer(line.clone()).page_size(1).build().unwrap();
    syncer.sync().await.unwrap();

    let again = notes::replica("hub-2").await;
    notes::write(&again, "c", "from the new one").await;
    line.lead_to(&again);
    syncer.sync().await.unwrap();

    for (id, title) in [("a", "from edge"), ("b", "from hub"), ("c", "from the new one")] {
        assert_eq!(notes::title(&again, id).await.as_deref(), Some(title), "{id}");
        assert_eq!(notes::title(&edge, id).await.as_deref(), Some(title), "{id}");
    }
}

/// The hub comes back from a backup. It has lost what others sent it since, and what it had written itself and given to
/// others: it gets back both.
#[apply(on_each_database!)]
async fn a_restored_peer_is_given_back_what_it_lost() {
    let database = TestDatabase::new().await;
    let edge = notes::replica("edge").await;
    let hub = notes::replica_in(&database, "hub").await;
    let line = Line::to(&hub);
    let syncer = syncer(&edge).peer(line.clone()).page_size(2).build().unwrap();
    notes::write(&edge, "before", "from edge").await;
    syncer.sync().await.unwrap();
    let backup = database.copy().await;
    for note in 0..5 {
        notes::write(&edge, &format!("edge-{note}"), "from edge").await;
        notes::write(&hub, &format!("hub-{note}"), "from hub").await;
    }
    syncer.sync().await.unwrap();

    line.lead_to(&edge);
    drop(hub);
    let restored = notes::replica_in(&backup, "hub").await;
    assert_eq!(notes::title(&restored, "edge-0").await, None);
    line.lead_to(&restored);
    // The first round is cut off, and notices nothing that the second would not.
    line.fail_after(3, TransportErrorKind::Refused);
    syncer.sync().await.unwrap_err();
    syncer.sync().await.unwrap();

    for note in 0..5 {
        assert!(
            notes::title(&restored, &format!("edge-{note}")).await.is_some(),
            "edge-{note}"
        );
        assert!(
            notes::title(&restored, &format!("hub-{note}")).await.is_some(),
            "hub-{note}"
        );
    }
}

#[apply(on_each_database!)]
async fn a_peer_recreated_between_pull_and_push_is_noticed() {
    let (edge, hub, line) = pair().await;
    let syncer = syncer(&edge).peer(line.clone()).build().unwrap();
    notes::write(&edge, "a", "first").await;
    syncer.sync().await.unwrap();

    let again = notes::replica("hub-2").await;
    line.lead_to(&again);
    notes::write(&edge, "b", "second").await;
    syncer.push_now().await.unwrap();

    assert_eq!(notes::title(&again, "a").await.as_deref(), Some("first"));
    assert_eq!(notes::title(&again, "b").await.as_deref(), Some("second"));
    assert_eq!(notes::title(&hub, "b").await, None);
}

#[apply(on_each_database!)]
async fn push_now_pushes_and_does_not_pull() {
    let (edge, hub, line) = pair().await;
    notes::write(&edge, "a", "from edge").await;
    notes::write(&hub, "b", "from hub").await;
    let syncer = syncer(&edge).peer(line.clone()).build().unwrap();
    syncer.push_now().await.unwrap();
    assert_eq!(line.requests(), (0, 1));
    assert_eq!(notes::title(&hub, "a").await.as_deref(), Some("from edge"));
    assert_eq!(notes::title(&edge, "b").await, None);
    syncer.push_now().await.unwrap();
    assert_eq!(line.requests(), (0, 0), "there was nothing new");
}

#[apply(on_each_database!)]
async fn a_syncer_that_could_not_work_is_not_built() {
    let (edge, hub, line) = pair().await;
    let why = |builder: SyncerBuilder| builder.build().unwrap_err().to_string();
    assert_eq!(why(Syncer::builder(&edge)), "a syncer needs a peer: add `.peer(…)`");
    let twice = Syncer::builder(&edge).peer(line.clone()).peer(Line::to(&hub));
    assert!(why(twice).starts_with("two peers are named `line-to-hub`"));
    let one = || Syncer::builder(&edge).peer(line.clone());
    assert!(why(one().page_size(0)).contains("page size"));
    assert!(why(one().interval(Duration::ZERO)).contains("interval"));
    assert!(why(one().tables(["notes", "absent"])).contains("`absent`"));
    assert!(why(one().tables([""; 0])).contains("no table"));
}
