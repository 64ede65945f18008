//! Counters whose sum leaves the range, though no node's part does.

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{cells, entities::document, replica_of, rows};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};

use super::support::{carry, meet, parked};

const TABLE: &[&str] = &["documents"];

async fn views(replica: &Replica) -> i64 {
    document::Entity::find_by_id("doc-1")
        .one(replica)
        .await
        .unwrap()
        .unwrap()
        .view_count
}

/// Both have counted the last step to the top, each for itself.
async fn beyond() -> (Replica, Replica) {
    let a = replica_of::<document::Entity>("a").await;
    let b = replica_of::<document::Entity>("b").await;
    let doc = document::ActiveModel {
        id: Set("doc-1".into()),
        title: Set("t".into()),
        view_count: Set(i64::MAX - 1),
        tags: Set(OrSet::new()),
        author: Set(None),
    };
    doc.insert(&a).await.unwrap();
    carry(&a, &b, TABLE).await;
    document::ActiveModel::increment_view_count(&a, "doc-1", 1)
        .await
        .unwrap();
    document::ActiveModel::increment_view_count(&b, "doc-1", 1)
        .await
        .unwrap();
    meet(&a, &b, TABLE).await;
    for replica in [&a, &b] {
        assert_eq!(
            parked(replica).await,
            ["documents doc-1 Value"],
            "{}",
            replica.node_id()
        );
        assert_eq!(views(replica).await, i64::MAX);
        let detail = &replica.parked().await.unwrap()[0].detail;
        assert!(detail.contains("view_count"), "{detail}");
    }
    assert_eq!(cells(&a, "documents").await, cells(&b, "documents").await);
    (a, b)
}

#[apply(on_each_database!)]
async fn a_sum_beyond_i64_parks_on_both_sides_and_a_step_back_releases() {
    let (a, b) = beyond().await;
    document::ActiveModel::increment_view_count(&b, "doc-1", -3)
        .await
        .unwrap();
    assert_eq!(views(&b).await, i64::MAX - 2);
    assert_eq!(parked(&b).await, Vec::<String>::new());
    meet(&a, &b, TABLE).await;
    assert_eq!(parked(&a).await, Vec::<String>::new());
    assert_eq!(
        rows::<document::Entity, _>(&a).await,
        rows::<document::Entity, _>(&b).await
    );
    assert_eq!(cells(&a, "documents").await, cells(&b, "documents").await);
}

#[apply(on_each_database!)]
async fn other_fields_of_the_row_can_be_written_meanwhile() {
    let (a, b) = beyond().await;
    let mut doc = document::Entity::find_by_id("doc-1")
        .one(&a)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    doc.title = Set("written".into());
    doc.update(&a).await.unwrap();
    meet(&a, &b, TABLE).await;
    document::ActiveModel::increment_view_count(&a, "doc-1", -9)
        .await
        .unwrap();
    meet(&a, &b, TABLE).await;
    for replica in [&a, &b] {
        let doc = document::Entity::find_by_id("doc-1")
            .one(replica)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((doc.title.as_str(), doc.view_count), ("written", i64::MAX - 8));
        assert_eq!(parked(replica).await, Vec::<String>::new());
    }
}
