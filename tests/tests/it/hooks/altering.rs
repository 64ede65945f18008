//! What is taken in place of a change is a write of this node's, which wins over that change and over nothing later.

use std::time::Duration;

use grove_crdt::{Change, Replica, sync::Peer};
use grove_crdt_tests::{cells, entities::document, rows, written};
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::json;

use super::{Rules, letters, plain, replica, replica_at, retitle, sync, titles, write};
use crate::merge::support::push_as;

/// Titles are in capitals.
fn capitals(mut change: Change) -> Change {
    if let Some(title) = change.lww_mut("title") {
        *title = json!(title.as_str().unwrap_or_default().to_uppercase());
    }
    change
}

fn in_capitals() -> Rules {
    Rules::inbound(|_, change| Ok(Some(capitals(change))))
}

/// All of a replica's cells and rows.
async fn state(replica: &Replica) -> (Vec<String>, Vec<String>) {
    (
        cells(replica, "documents").await,
        rows::<document::Entity, _>(replica).await,
    )
}

#[apply(on_each_database!)]
async fn the_sender_and_everybody_else_get_what_the_hook_made_of_it() {
    let hub = replica("hub", in_capitals()).await;
    // Whose name is greater than the hub's, and whose is less.
    let (zoe, amy) = (plain("zoe").await, plain("amy").await);
    for (edge, id) in [(&zoe, "1"), (&amy, "2")] {
        write(edge, id, "one").await;
        retitle(edge, id, "two").await;
        document::ActiveModel::increment_view_count(edge, id, 3).await.unwrap();
    }
    for _ in 0..2 {
        for edge in [&zoe, &amy] {
            sync(edge, &hub).await;
        }
    }
    assert_eq!(titles(&hub).await, ["1=TWO", "2=TWO"]);
    let doc = document::Entity::find_by_id("1").one(&amy).await.unwrap().unwrap();
    assert_eq!((doc.view_count, doc.tags.len()), (5, 1), "counted and added once");
    let expected = state(&hub).await;
    assert_eq!(state(&zoe).await, expected);
    assert_eq!(state(&amy).await, expected);
    // Not a trace is left of what was altered.
    assert!(!expected.0.concat().contains("one"), "{expected:?}");
    // Cursors are moved once more, past what came from their owners.
    sync(&zoe, &hub).await;
    sync(&amy, &hub).await;
    let before = (written(&hub).await, written(&zoe).await, written(&amy).await);
    sync(&zoe, &hub).await;
    sync(&amy, &hub).await;
    assert_eq!(
        (written(&hub).await, written(&zoe).await, written(&amy).await),
        before,
        "all is quiet"
    );
}

#[apply(on_each_database!)]
async fn it_loses_to_what_was_written_later() {
    let (hub, hub_clock) = replica_at("hub", in_capitals()).await;
    let (edge, edge_clock) = replica_at("edge", Rules::default()).await;
    let (other, other_clock) = replica_at("other", Rules::default()).await;
    write(&edge, "1", "ONE").await;
    for replica in [&edge, &other] {
        sync(replica, &hub).await;
    }
    // The edge writes first, the other later; the hub hears of the later one first, and long after both.
    edge_clock.advance(Duration::from_secs(1));
    retitle(&edge, "1", "early").await;
    other_clock.advance(Duration::from_secs(2));
    retitle(&other, "1", "LATER").await;
    hub_clock.advance(Duration::from_secs(30));
    sync(&other, &hub).await;
    sync(&edge, &hub).await;
    assert_eq!(titles(&hub).await, ["1=LATER"]);
    // The edge goes on writing after it has pushed, before it has pulled.
    edge_clock.advance(Duration::from_secs(3));
    retitle(&edge, "1", "third").await;
    let pushed = super::syncer(&edge, &hub);
    pushed.push_now().await.unwrap();
    edge_clock.advance(Duration::from_secs(1));
    retitle(&edge, "1", "FOURTH").await;
    for replica in [&edge, &other, &edge] {
        sync(replica, &hub).await;
    }
    assert_eq!(titles(&hub).await, ["1=FOURTH"]);
    assert_eq!(state(&edge).await, state(&hub).await);
    assert_eq!(state(&other).await, state(&hub).await);
}

/// The hub's name above and below the writer's, all within one microsecond.
#[apply(on_each_database!)]
async fn it_loses_to_the_writers_next_write_in_the_same_moment() {
    let hub = replica("hub", in_capitals()).await;
    for (edge, id) in [(plain("zoe").await, "1"), (plain("amy").await, "2")] {
        write(&edge, id, "one").await;
        super::syncer(&edge, &hub).push_now().await.unwrap();
        retitle(&edge, id, "TWO").await;
        for _ in 0..2 {
            sync(&edge, &hub).await;
        }
        assert_eq!(state(&edge).await, state(&hub).await);
    }
    assert_eq!(titles(&hub).await, ["1=TWO", "2=TWO"]);
}

#[apply(on_each_database!)]
async fn what_is_sent_again_is_altered_once() {
    let hub = replica("hub", in_capitals()).await;
    let edge = plain("edge").await;
    write(&edge, "1", "one").await;
    let birth = crate::merge::support::changes_of(&edge, &["documents"]).await;
    retitle(&edge, "1", "two").await;
    let both = crate::merge::support::changes_of(&edge, &["documents"]).await;
    for changes in [&birth, &both] {
        push_as("edge", edge.replica_id(), &hub, changes).await;
    }
    let before = (written(&hub).await, state(&hub).await);
    for changes in [&birth, &both, &birth] {
        let answer = push_as("edge", edge.replica_id(), &hub, changes).await;
        assert_eq!((answer.merged, answer.rejected.len()), (changes.len(), 0));
    }
    // From somebody else too.
    push_as("gossip", "gossip-database", &hub, &both).await;
    assert_eq!(state(&hub).await, before.1);
}

#[apply(on_each_database!)]
async fn two_hubs_that_alter_alike_come_to_rest() {
    let hubs = [
        replica("hub-1", in_capitals()).await,
        replica("hub-2", in_capitals()).await,
    ];
    let edge = plain("edge").await;
    write(&edge, "1", "one").await;
    for _ in 0..3 {
        sync(&edge, &hubs[0]).await;
        sync(&edge, &hubs[1]).await;
        sync(&hubs[0], &hubs[1]).await;
    }
    let report = sync(&hubs[0], &hubs[1]).await;
    assert_eq!(report.to_string(), "pulled=0 pushed=0 merged=0 conflicts=0");
    assert_eq!(titles(&edge).await, ["1=ONE"]);
    assert_eq!(state(&hubs[0]).await, state(&edge).await);
    assert_eq!(state(&hubs[1]).await, state(&edge).await);
}

type Alteration = fn(&mut Change);

/// A hook alters what a change holds at its `value`, and no more.
#[apply(on_each_database!)]
async fn what_is_its_writers_can_not_be_altered() {
    let alterations: [(&str, Alteration); 10] = [
        ("table", |change| change.table = "others".into()),
        ("pk", |change| change.pk = "2".into()),
        ("field", |change| change.field = "author".into()),
        ("epoch", |change| change.epoch += 2),
        ("clock", |change| change.hlc.ts += 1),
        ("node", |change| change.node_id = "hub".parse().unwrap()),
        ("kind", |change| change.crdt_type = "set".into()),
        ("counter", |change| {
            if change.crdt_type == "record" {
                change.value.as_mut().unwrap()["counter"]["view_count"] = json!(99);
            }
            change.counter = change.counter.as_ref().map(|_| json!({ "inc": 99, "dec": 0 }));
        }),
        ("left-out field", |change| {
            let value = change.value.as_mut().and_then(|value| value.as_object_mut());
            value.and_then(|value| value.remove("set"));
        }),
        ("bad value", |change| {
            change.value = Some(json!({ "lww": { "title": 7 } }));
        }),
    ];
    for (what, alter) in alterations {
        let hub = replica(
            "hub",
            Rules::inbound(move |_, mut change| {
                if change.pk == "1" && change.field.is_empty() {
                    alter(&mut change);
                }
                Ok(Some(change))
            }),
        )
        .await;
        let edge = plain("edge").await;
        write(&edge, "1", "one").await;
        write(&edge, "3", "three").await;
        let report = sync(&edge, &hub).await;
        assert_eq!((report.pushed, report.rejected), (1, 1), "{what}: {report}");
        assert!(
            letters(&edge).await[0].contains("hook_failed: a hook altered"),
            "{what}"
        );
        assert_eq!(titles(&hub).await, ["3=three"]);
        assert!(
            edge.dead_letters().await.unwrap()[0].can_pass_later,
            "the hook can be mended"
        );
    }
}

#[apply(on_each_database!)]
async fn a_counters_totals_and_a_sets_elements_can_not_be_altered() {
    let hub = replica(
        "hub",
        Rules::inbound(|_, mut change| {
            if change.crdt_type == "counter" {
                change.counter = Some(json!({ "inc": 99, "dec": 0 }));
            } else if change.crdt_type == "set" {
                change.tombstone = !change.tombstone;
            }
            Ok(Some(change))
        }),
    )
    .await;
    let edge = plain("edge").await;
    write(&edge, "1", "one").await;
    document::ActiveModel::increment_view_count(&edge, "1", 1)
        .await
        .unwrap();
    let doc = document::Entity::find_by_id("1").one(&edge).await.unwrap().unwrap();
    let mut tags = doc.tags.clone();
    tags.insert("another".to_owned());
    let mut doc = doc.into_active_model();
    doc.tags = sea_orm::ActiveValue::Set(tags);
    doc.update(&edge).await.unwrap();
    let report = sync(&edge, &hub).await;
    assert_eq!((report.pushed, report.rejected), (1, 2), "{report}");
}

#[apply(on_each_database!)]
async fn a_birth_may_be_given_what_its_sender_left_out() {
    // A field that only the hub's tables know yet travels like any other.
    let hub = replica(
        "hub",
        Rules::inbound(|_, mut change| {
            if let Some(lww) = change.value.as_mut().and_then(|value| value.get_mut("lww")) {
                lww["checked_by"] = json!("hub");
            }
            Ok(Some(change))
        }),
    )
    .await;
    let edge = plain("edge").await;
    write(&edge, "1", "one").await;
    for _ in 0..2 {
        sync(&edge, &hub).await;
    }
    assert!(format!("{:?}", state(&edge).await).contains("checked_by"));
    assert_eq!(state(&edge).await, state(&hub).await);
}

/// What is altered on the way out is one peer's view.
#[apply(on_each_database!)]
async fn an_outbound_alteration_is_for_that_peer_alone() {
    let hub = replica(
        "hub",
        Rules::outbound(|peer, change| {
            if peer.attribute("role") == Some("full") {
                return Ok(Some(change));
            }
            Ok(Some(capitals(change)))
        }),
    )
    .await;
    write(&hub, "1", "one").await;
    let before = state(&hub).await;
    let (full, other) = (plain("full").await, plain("other").await);
    let line =
        grove_crdt::transport::MemoryTransport::new(&hub).asking_as(Peer::new("full").with_attribute("role", "full"));
    let syncer = grove_crdt::sync::Syncer::builder(&full).peer(line).build().unwrap();
    syncer.sync().await.unwrap();
    sync(&other, &hub).await;
    assert_eq!(
        (titles(&full).await, titles(&other).await),
        (vec!["1=one".into()], vec!["1=ONE".into()])
    );
    assert_eq!(state(&hub).await, before);
    assert_eq!(state(&full).await, before);
}

#[apply(on_each_database!)]
async fn an_outbound_alteration_into_another_change_is_refused() {
    let edge = replica(
        "edge",
        Rules::outbound(|_, mut change| {
            if change.pk == "1" {
                change.hlc.ts += 1;
            }
            Ok(Some(change))
        }),
    )
    .await;
    let hub = plain("hub").await;
    write(&edge, "1", "one").await;
    write(&edge, "2", "two").await;
    let report = sync(&edge, &hub).await;
    assert_eq!((report.pushed, report.rejected), (1, 1), "{report}");
    assert!(letters(&edge).await[0].starts_with("out 1  hook_failed: a hook made another change of it"));
}

/// Before a merge, a hook alters as it does before that.
#[apply(on_each_database!)]
async fn before_a_merge_it_is_the_same() {
    let hub = replica("hub", Rules::merge(|_, remote, _| Ok(Some(capitals(remote))))).await;
    let edge = plain("edge").await;
    write(&edge, "1", "one").await;
    for _ in 0..2 {
        sync(&edge, &hub).await;
    }
    assert_eq!(titles(&edge).await, ["1=ONE"]);
    assert_eq!(state(&edge).await, state(&hub).await);
}
