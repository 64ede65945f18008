//! Columns without a tag stay on their node.

use grove_crdt::{Change, OrSet};
use grove_crdt_tests::{entities::document, replica_of};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};

use super::{
    library::{TABLES, book, library, put_book},
    support::{carry, changes_of},
};

#[apply(on_each_database!)]
async fn a_row_that_arrives_new_takes_defaults_and_keeps_what_is_written_here() {
    let (origin, _) = library("origin").await;
    put_book(&origin, "b1", None).await;
    let (replica, _) = library("replica").await;
    carry(&origin, &replica, TABLES).await;
    let book = async |replica| book::Entity::find_by_id("b1").one(replica).await.unwrap().unwrap();
    let arrived = book(&replica).await;
    // `#[crdt(default = 7)]`, and `Default`.
    assert_eq!((arrived.pages, arrived.note), (7, None));
    let mut here = book(&replica).await.into_active_model();
    (here.pages, here.note) = (Set(3), Set(Some("mine".into())));
    here.update(&replica).await.unwrap();
    let mut there = book(&origin).await.into_active_model();
    (there.title, there.note) = (Set(Some("new".into())), Set(Some("theirs".into())));
    there.update(&origin).await.unwrap();
    carry(&origin, &replica, TABLES).await;
    let merged = book(&replica).await;
    assert_eq!(
        (merged.title.as_deref(), merged.pages, merged.note.as_deref()),
        (Some("new"), 3, Some("mine"))
    );
    // Nor do they travel back.
    let before = changes_of(&origin, TABLES).await;
    carry(&replica, &origin, TABLES).await;
    assert_eq!(changes_of(&origin, TABLES).await, before);
    assert_eq!(book(&origin).await.note.as_deref(), Some("theirs"));
}

#[apply(on_each_database!)]
async fn merge_remote_takes_changes_of_its_entity_only() {
    let origin = replica_of::<document::Entity>("origin").await;
    let doc = document::ActiveModel {
        id: Set("doc-1".into()),
        title: Set("t".into()),
        view_count: Set(2),
        tags: Set(OrSet::from(["x".to_owned()])),
        author: Set(Some("me".into())),
    };
    doc.insert(&origin).await.unwrap();
    let json = changes_of(&origin, &["documents"]).await;
    let mut changes: Vec<Change> = json
        .into_iter()
        .map(|json| serde_json::from_value(json).unwrap())
        .collect();
    let replica = replica_of::<document::Entity>("replica").await;
    let report = document::Model::merge_remote(&replica, &changes).await.unwrap();
    assert_eq!(
        (report.merged, report.conflicts, report.parked, report.rejected.len()),
        (1, 0, 0, 0)
    );
    let arrived = document::Entity::find_by_id("doc-1")
        .one(&replica)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (arrived.title.as_str(), arrived.view_count, arrived.author),
        ("t", 2, None)
    );
    changes[0].table = "others".into();
    let error = document::Model::merge_remote(&replica, &changes).await.unwrap_err();
    assert!(error.to_string().contains("`others`"), "{error}");
}
