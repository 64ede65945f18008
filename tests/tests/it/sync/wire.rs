//! What travels, literally: a change of each kind, and requests and answers.

use std::time::Duration;

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{builder, create_table, entities::document, new_database};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};
use serde_json::{Value as Json, json};

use crate::merge::support::{anyone, changes_of, pull, push, push_as};

const TABLE: &[&str] = &["documents"];

/// What a replica tells after a birth, a write of each kind, a removal and a death.
async fn told() -> (Replica, Vec<Json>) {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    let (builder, clock) = builder("node-1");
    let replica = builder.entity::<document::Entity>().open(db).await.unwrap();
    let doc = document::ActiveModel {
        id: Set("doc-1".into()),
        title: Set("Hello".into()),
        view_count: Set(i64::MAX - 1),
        tags: Set(OrSet::from(["go".to_owned(), "crdt".to_owned()])),
        author: Set(Some("nobody's business".into())),
    };
    let doc = doc.insert(&replica).await.unwrap();
    clock.advance(Duration::from_micros(5));
    let mut tags = doc.tags.clone();
    tags.remove(&"go".to_owned());
    tags.insert("rust".to_owned());
    let mut active = doc.into_active_model();
    (active.title, active.tags) = (Set("World".into()), Set(tags));
    active.update(&replica).await.unwrap();
    document::ActiveModel::increment_view_count(&replica, "doc-1", -7)
        .await
        .unwrap();
    document::Entity::insert(document::ActiveModel {
        id: Set("doc-2".into()),
        title: Set("adopted".into()),
        view_count: Set(0),
        tags: Set(OrSet::new()),
        author: Set(None),
    })
    .exec(&replica.untracked())
    .await
    .unwrap();
    replica.adopt::<document::Entity>().await.unwrap();
    document::ActiveModel {
        id: Set("doc-3".into()),
        title: Set("gone".into()),
        view_count: Set(0),
        tags: Set(OrSet::new()),
        author: Set(None),
    }
    .insert(&replica)
    .await
    .unwrap();
    document::Entity::delete_by_id("doc-3").exec(&replica).await.unwrap();
    let changes = changes_of(&replica, TABLE).await;
    (replica, changes)
}

/// The text of one of them.
fn text(changes: &[Json], pk: &str, field: &str, cell: &str) -> String {
    let is =
        |change: &&Json| change["pk"] == pk && change["field"] == field && change.get("cell").is_none_or(|c| c == cell);
    let found: Vec<_> = changes.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{pk} {field} {cell}: {changes:#?}");
    let change: grove_crdt::Change = serde_json::from_value(found[0].clone()).unwrap();
    serde_json::to_string(&change).unwrap()
}

#[apply(on_each_database!)]
async fn a_change_of_each_kind_looks_like_this() {
    let (_, changes) = told().await;
    let expected = [
        (
            ("doc-1", "", ""),
            r#"{"table":"documents","pk":"doc-1","field":"","crdt_type":"record","epoch":1,"hlc":{"ts":1700000000000000,"c":0,"node":"node-1"},"node_id":"node-1","value":{"counter":{"view_count":"9223372036854775806"},"lww":{"title":"Hello"},"set":{"tags":["crdt","go"]}}}"#,
        ),
        (
            ("doc-1", "title", ""),
            r#"{"table":"documents","pk":"doc-1","field":"title","crdt_type":"lww","epoch":1,"hlc":{"ts":1700000000000005,"c":0,"node":"node-1"},"node_id":"node-1","value":"World"}"#,
        ),
        (
            ("doc-1", "view_count", "node-1"),
            r#"{"table":"documents","pk":"doc-1","field":"view_count","cell":"node-1","crdt_type":"counter","epoch":1,"hlc":{"ts":1700000000000005,"c":1,"node":"node-1"},"node_id":"node-1","counter":{"dec":7,"inc":"9223372036854775806"}}"#,
        ),
        (
            ("doc-1", "tags", "\"rust\""),
            r#"{"table":"documents","pk":"doc-1","field":"tags","cell":"\"rust\"","crdt_type":"set","epoch":1,"hlc":{"ts":1700000000000005,"c":0,"node":"node-1"},"node_id":"node-1","value":"rust","set":{"node-1":{"add":[1700000000000005,0]}}}"#,
        ),
        (
            ("doc-1", "tags", "\"go\""),
            r#"{"table":"documents","pk":"doc-1","field":"tags","cell":"\"go\"","crdt_type":"set","epoch":1,"hlc":{"ts":1700000000000005,"c":0,"node":"node-1"},"node_id":"node-1","value":"go","set":{"node-1":{"add":[1700000000000000,0],"rem":[1700000000000000,0]}},"tombstone":true}"#,
        ),
        (
            ("doc-2", "", ""),
            r#"{"table":"documents","pk":"doc-2","field":"","crdt_type":"record","epoch":1,"hlc":{"ts":0,"c":0,"node":"~"},"node_id":"~","value":{"counter":{"view_count":0},"lww":{"title":"adopted"},"set":{"tags":[]}}}"#,
        ),
        (
            ("doc-3", "", ""),
            r#"{"table":"documents","pk":"doc-3","field":"","crdt_type":"record","epoch":2,"hlc":{"ts":1700000000000005,"c":4,"node":"node-1"},"node_id":"node-1","tombstone":true}"#,
        ),
    ];
    for ((pk, field, cell), json) in expected {
        assert_eq!(text(&changes, pk, field, cell), json);
    }
    assert_eq!(changes.len(), expected.len());
    assert!(!format!("{changes:?}").contains("nobody's business"));
}

#[apply(on_each_database!)]
async fn a_pull_and_its_answer_look_like_this() {
    let (replica, _) = told().await;
    let request = r#"{"node_id":"node-2","replica_id":"database-2","tables":["documents"],"limit":1}"#;
    let parsed = serde_json::from_str(request).unwrap();
    let answer = grove_crdt::sync::respond::pull(&replica, &anyone(), &parsed)
        .await
        .unwrap();
    assert_eq!(serde_json::to_string(&parsed).unwrap(), request);
    let text = serde_json::to_string(&answer).unwrap();
    let text = text
        .replace(&answer.cursor, "CURSOR")
        .replace(replica.replica_id(), "DATABASE");
    assert_eq!(
        text,
        r#"{"replica_id":"DATABASE","node_id":"node-1","changes":[{"table":"documents","pk":"doc-1","field":"","crdt_type":"record","epoch":1,"hlc":{"ts":1700000000000000,"c":0,"node":"node-1"},"node_id":"node-1","value":{"counter":{"view_count":"9223372036854775806"},"lww":{"title":"Hello"},"set":{"tags":["crdt","go"]}}}],"cursor":"CURSOR","has_more":true,"latest_hlc":{"ts":1700000000000000,"c":0,"node":"node-1"}}"#
    );
    // An empty page says so in as few words.
    let asker = grove_crdt_tests::replica_of::<document::Entity>("node-3").await;
    let all = pull(&asker, &replica, TABLE, None, 100).await;
    let none = pull(&asker, &replica, TABLE, Some(&all.cursor), 100).await;
    let text = serde_json::to_string(&none).unwrap().replace(&none.cursor, "CURSOR");
    let text = text.replace(replica.replica_id(), "DATABASE");
    assert_eq!(
        text,
        r#"{"replica_id":"DATABASE","node_id":"node-1","changes":[],"cursor":"CURSOR","has_more":false}"#
    );
}

#[apply(on_each_database!)]
async fn a_push_and_its_answer_look_like_this() {
    let (origin, changes) = told().await;
    let replica = grove_crdt_tests::replica_of::<document::Entity>("node-2").await;
    let answer = push(&origin, &replica, &changes[..1]).await;
    let text = serde_json::to_string(&answer)
        .unwrap()
        .replace(replica.replica_id(), "DATABASE");
    assert_eq!(
        text,
        r#"{"replica_id":"DATABASE","node_id":"node-2","merged":1,"conflicts":0,"rejected":[],"latest_hlc":{"ts":1700000000000000,"c":0,"node":"node-1"}}"#
    );
    let mut bad = changes[0].clone();
    bad["table"] = json!("others");
    let answer = push_as("node-1", origin.replica_id(), &replica, &[bad, json!([])]).await;
    let text = serde_json::to_string(&answer)
        .unwrap()
        .replace(replica.replica_id(), "DATABASE");
    assert_eq!(
        text,
        r#"{"replica_id":"DATABASE","node_id":"node-2","merged":0,"conflicts":0,"rejected":[{"index":0,"code":"unknown_table","message":"table `others` is not replicated here"},{"index":1,"code":"malformed","message":"invalid length 0, expected a change, which is a JSON object"}]}"#
    );
}
