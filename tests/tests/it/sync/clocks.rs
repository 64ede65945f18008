//! Time: what is too far ahead waits, and what is written after a merge is above what was merged.

use std::time::Duration;

use grove_crdt::{FakeClock, Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{START, builder, cells, create_table, entities::document, new_database, rows, written};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};

use crate::merge::support::{carry, changes_of, push};

const TABLE: &[&str] = &["documents"];

async fn open(node: &str) -> (Replica, FakeClock) {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    let (builder, clock) = builder(node);
    (
        builder
            .entity::<document::Entity>()
            .max_drift(Duration::from_secs(10))
            .open(db)
            .await
            .unwrap(),
        clock,
    )
}

async fn put(replica: &Replica, id: &str) {
    let doc = document::ActiveModel {
        id: Set(id.into()),
        title: Set("first".into()),
        view_count: Set(0),
        tags: Set(grove_crdt::OrSet::from(["x".to_owned()])),
        author: Set(None),
    };
    doc.insert(replica).await.unwrap();
}

async fn edit(replica: &Replica, id: &str, with: impl FnOnce(&mut document::ActiveModel)) {
    let mut doc = document::Entity::find_by_id(id)
        .one(replica)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    with(&mut doc);
    doc.update(replica).await.unwrap();
}

#[apply(on_each_database!)]
async fn a_change_from_ahead_is_refused_and_taken_when_its_time_has_come() {
    let (ahead, clock) = open("ahead").await;
    let (replica, here) = open("replica").await;
    clock.set(START + 10_000_000);
    put(&ahead, "doc-1").await;
    clock.advance(Duration::from_micros(1));
    put(&ahead, "doc-2").await;
    let changes = changes_of(&ahead, TABLE).await;
    let response = push(&ahead, &replica, &changes).await;
    assert_eq!((response.merged, response.rejected.len()), (1, 1));
    assert_eq!(
        (response.rejected[0].index, response.rejected[0].code.as_str()),
        (1, "clock_ahead")
    );
    assert!(response.rejected[0].code.can_pass_later());
    here.advance(Duration::from_micros(1));
    let response = push(&ahead, &replica, &changes).await;
    assert_eq!((response.merged, response.rejected), (2, vec![]));
    assert_eq!(cells(&replica, "documents").await, cells(&ahead, "documents").await);
}

#[apply(on_each_database!)]
async fn a_syncer_keeps_what_was_ahead_and_brings_it_later_both_ways() {
    let (ahead, clock) = open("ahead").await;
    let (replica, here) = open("replica").await;
    clock.set(START + 11_000_000);
    put(&ahead, "doc-1").await;
    let push = Syncer::builder(&ahead)
        .peer(MemoryTransport::new(&replica))
        .build()
        .unwrap();
    let pull = Syncer::builder(&replica)
        .peer(MemoryTransport::new(&ahead))
        .build()
        .unwrap();
    assert_eq!(push.sync().await.unwrap().rejected, 1);
    assert_eq!(pull.sync().await.unwrap().rejected, 1);
    assert_eq!(rows::<document::Entity, _>(&replica).await, Vec::<String>::new());
    for (side, inbound) in [(&ahead, false), (&replica, true)] {
        let letters = side.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!((letters[0].code.as_str(), letters[0].inbound), ("clock_ahead", inbound));
    }
    // Waiting writes nothing.
    let before = (written(&ahead).await, written(&replica).await);
    push.sync().await.unwrap();
    pull.sync().await.unwrap();
    assert_eq!((written(&ahead).await, written(&replica).await), before);
    here.advance(Duration::from_secs(2));
    pull.sync().await.unwrap();
    push.sync().await.unwrap();
    assert_eq!(cells(&replica, "documents").await, cells(&ahead, "documents").await);
    assert_eq!(rows::<document::Entity, _>(&replica).await.len(), 1);
    assert_eq!(ahead.dead_letters().await.unwrap(), []);
    assert_eq!(replica.dead_letters().await.unwrap(), []);
}

#[apply(on_each_database!)]
async fn a_write_is_above_what_was_merged_though_the_clock_is_behind() {
    let (ahead, clock) = open("ahead").await;
    let (behind, here) = open("behind").await;
    clock.set(START + 9_000_000);
    put(&ahead, "doc-1").await;
    edit(&ahead, "doc-1", |doc| doc.title = Set("ahead".into())).await;
    carry(&ahead, &behind, TABLE).await;
    here.set(START - 3_600_000_000);
    edit(&behind, "doc-1", |doc| doc.title = Set("behind".into())).await;
    edit(&behind, "doc-1", |doc| {
        let mut tags = doc.tags.clone().unwrap();
        tags.remove(&"x".to_owned());
        doc.tags = Set(tags);
    })
    .await;
    carry(&behind, &ahead, TABLE).await;
    let doc = document::Entity::find_by_id("doc-1")
        .one(&ahead)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((doc.title.as_str(), doc.tags.len()), ("behind", 0));
    // A delete and a birth as well, and the first node's next write is above those.
    document::Entity::delete_by_id("doc-1").exec(&behind).await.unwrap();
    put(&behind, "doc-1").await;
    carry(&behind, &ahead, TABLE).await;
    clock.set(1);
    edit(&ahead, "doc-1", |doc| doc.title = Set("again".into())).await;
    here.set(START);
    carry(&ahead, &behind, TABLE).await;
    assert_eq!(cells(&behind, "documents").await, cells(&ahead, "documents").await);
    let doc = document::Entity::find_by_id("doc-1")
        .one(&behind)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(doc.title, "again");
}
