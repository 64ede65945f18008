//! A refusal spoils no other change, and what is refused is kept.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use grove_crdt::sync::HookError;
use grove_crdt_tests::{TestDatabase, builder, create_table, entities::document, run_all, written};

use super::{Rules, Verdict, letters, plain, replica, sync, syncer, titles, write};

/// Refuses what is bad, for good or for now, for as long as `bars` is set.
fn refusing(
    bars: &Arc<AtomicBool>,
    for_now: bool,
) -> impl Fn(&grove_crdt::sync::Peer, grove_crdt::Change) -> Verdict + use<> {
    let bars = bars.clone();
    move |_, change| {
        if !change.pk.starts_with("bad") || !bars.load(Ordering::SeqCst) {
            return Ok(Some(change));
        }
        let error = HookError::new("bad", format!("{} is bad", change.pk));
        Err(if for_now { error.for_now() } else { error })
    }
}

async fn write_some(replica: &grove_crdt::Replica) {
    for n in 0..6 {
        write(replica, &format!("good {n}"), "g").await;
        write(replica, &format!("bad {n}"), "b").await;
    }
}

#[apply(on_each_database!)]
async fn an_error_refuses_one_change_of_a_page_and_no_other_in_each_direction() {
    let bars = Arc::new(AtomicBool::new(true));
    for inbound in [true, false] {
        let rule = refusing(&bars, false);
        let rules = if inbound {
            Rules::inbound(rule)
        } else {
            Rules::outbound(rule)
        };
        // Pushed to the one with the hook, and pulled from it.
        let (edge, hub) = (plain("edge").await, replica("hub", rules).await);
        write_some(if inbound { &edge } else { &hub }).await;
        let report = sync(&edge, &hub).await;
        let taker = if inbound { &hub } else { &edge };
        assert_eq!(titles(taker).await.len(), 6, "{report}");
        // Who pulls is not told of what is kept from it.
        assert_eq!(report.rejected, if inbound { 6 } else { 0 });
        assert_eq!(letters(&edge).await.len(), report.rejected);
        assert_eq!(letters(&hub).await.len(), 0);
        // Pulled by the one with the hook, and pushed by it.
        let rule = refusing(&bars, false);
        let rules = if inbound {
            Rules::inbound(rule)
        } else {
            Rules::outbound(rule)
        };
        let (edge, hub) = (replica("edge", rules).await, plain("hub").await);
        write_some(if inbound { &hub } else { &edge }).await;
        let report = sync(&edge, &hub).await;
        let taker = if inbound { &edge } else { &hub };
        assert_eq!((titles(taker).await.len(), report.rejected), (6, 6), "{report}");
        let way = if inbound { "in" } else { "out" };
        assert_eq!(letters(&edge).await[0], format!("{way} bad 0  bad: bad 0 is bad"));
        let idle = sync(&edge, &hub).await;
        assert_eq!((idle.pulled, idle.pushed), (0, 0), "{idle}");
    }
}

#[apply(on_each_database!)]
async fn what_is_refused_for_good_waits_for_a_new_syncer() {
    let bars = Arc::new(AtomicBool::new(true));
    let hub = replica("hub", Rules::inbound(refusing(&bars, false))).await;
    let edge = plain("edge").await;
    write(&edge, "bad", "b").await;
    let old = syncer(&edge, &hub);
    assert_eq!(old.sync().await.unwrap().rejected, 1);
    bars.store(false, Ordering::SeqCst);
    assert_eq!(old.sync().await.unwrap().pushed, 0);
    assert!(!edge.dead_letters().await.unwrap()[0].can_pass_later);
    assert_eq!(syncer(&edge, &hub).sync().await.unwrap().pushed, 1);
    assert_eq!(titles(&hub).await, ["bad=b"]);
    assert_eq!(letters(&edge).await, Vec::<String>::new());
}

#[apply(on_each_database!)]
async fn what_is_refused_for_now_is_tried_with_every_sync_in_each_direction() {
    for (inbound, hook_at_edge) in [(true, false), (true, true), (false, true)] {
        let bars = Arc::new(AtomicBool::new(true));
        let rule = refusing(&bars, true);
        let rules = if inbound {
            Rules::inbound(rule)
        } else {
            Rules::outbound(rule)
        };
        let (edge, hub) = if hook_at_edge {
            (replica("edge", rules).await, plain("hub").await)
        } else {
            (plain("edge").await, replica("hub", rules).await)
        };
        let writes_edge = inbound != hook_at_edge;
        let (writer, taker) = if writes_edge { (&edge, &hub) } else { (&hub, &edge) };
        write(writer, "bad", "b").await;
        let syncer = syncer(&edge, &hub);
        assert_eq!(syncer.sync().await.unwrap().rejected, 1);
        let before = written(&edge).await;
        assert_eq!(syncer.sync().await.unwrap().rejected, 1, "it was tried again");
        assert_eq!(written(&edge).await, before, "waiting writes nothing");
        assert!(edge.dead_letters().await.unwrap()[0].can_pass_later);
        bars.store(false, Ordering::SeqCst);
        syncer.sync().await.unwrap();
        assert_eq!(titles(taker).await, ["bad=b"]);
        assert_eq!(letters(&edge).await, Vec::<String>::new());
    }
}

/// What a hook skips of the letters must not be taken for another that the peer refuses.
#[apply(on_each_database!)]
async fn letters_keep_their_places_when_some_are_skipped() {
    let (skips, bars) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let skipping = skips.clone();
    let rule = Rules::outbound(move |_, change| {
        let skipped = change.pk == "bad 1" && skipping.load(Ordering::SeqCst);
        Ok((!skipped).then_some(change))
    });
    let edge = replica("edge", rule).await;
    let hub = replica("hub", Rules::inbound(refusing(&bars, true))).await;
    for id in ["bad 1", "bad 2"] {
        write(&edge, id, "b").await;
    }
    let syncer = syncer(&edge, &hub);
    assert_eq!(syncer.sync().await.unwrap().rejected, 2);
    // Whichever of the two comes first.
    skips.store(true, Ordering::SeqCst);
    assert_eq!(syncer.sync().await.unwrap().rejected, 1);
    assert_eq!(letters(&edge).await, ["out bad 2  bad: bad 2 is bad"]);
    bars.store(false, Ordering::SeqCst);
    syncer.sync().await.unwrap();
    assert_eq!(titles(&hub).await, ["bad 2=b"]);
}

/// The column that says so came after the table: a database of before has none.
#[apply(on_each_database!)]
async fn a_database_of_before_learns_to_keep_what_is_refused_for_now() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    let open = async || {
        let builder = builder("edge").0.entity::<document::Entity>();
        builder.open(database.connect().await).await.unwrap()
    };
    drop(open().await);
    let drop_column = "ALTER TABLE _grove_dead_letters DROP COLUMN later";
    run_all(&db, &[drop_column]).await;
    let edge = open().await;
    let bars = Arc::new(AtomicBool::new(true));
    let hub = replica("hub", Rules::inbound(refusing(&bars, true))).await;
    write(&edge, "bad", "b").await;
    assert_eq!(sync(&edge, &hub).await.rejected, 1);
    assert!(edge.dead_letters().await.unwrap()[0].can_pass_later);
}
