//! Showing a record.

use grove_crdt::{Error, OrSet, RecordState, Replica};
use grove_crdt_tests::{builder, create_table, entities::document, execute, new_database, replica_of};
use sea_orm::{ActiveValue::Set, ActiveValue::Unchanged, ConnectionTrait, TransactionSession, TransactionTrait};
use serde_json::json;

async fn shown(replica: &Replica, id: &str) -> String {
    replica.inspect::<document::Entity>(id).await.unwrap().to_string()
}

fn doc() -> document::ActiveModel {
    document::ActiveModel {
        id: Set("doc-1".into()),
        title: Set("Hello World".into()),
        view_count: Set(30),
        tags: Set(OrSet::from(["go", "crdt"].map(String::from))),
        author: Set(None),
    }
}

#[apply(on_each_database!)]
async fn a_living_record() {
    let replica = replica_of::<document::Entity>("node-1").await;
    doc().insert(&replica).await.unwrap();
    document::ActiveModel::increment_view_count(&replica, "doc-1", -2)
        .await
        .unwrap();
    assert_eq!(
        shown(&replica, "doc-1").await,
        r#"CRDT State for documents[doc-1]
  title (lww): "Hello World" (node=node-1, hlc=HLC{ts:1700000000000000 c:0 node:node-1})
  view_count (counter): 28 [node-1: +30 -2]
  tags (set): ["crdt", "go"]"#
    );
}

#[apply(on_each_database!)]
async fn a_deleted_and_an_unknown_record() {
    let replica = replica_of::<document::Entity>("node-1").await;
    doc().insert(&replica).await.unwrap();
    doc().delete(&replica).await.unwrap();
    let expected =
        "CRDT State for documents[doc-1]\n  deleted (node=node-1, hlc=HLC{ts:1700000000000000 c:1 node:node-1})";
    assert_eq!(shown(&replica, "doc-1").await, expected);
    assert_eq!(shown(&replica, "x").await, "CRDT State for documents[x]\n  no record");
    let state = replica.inspect::<document::Entity>("x").await.unwrap();
    assert_eq!((state.state, state.epoch, state.hlc), (RecordState::Unknown, 0, None));
}

#[apply(on_each_database!)]
async fn two_nodes_and_a_baseline_in_one_counter() {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    db.execute_unprepared(r"INSERT INTO documents VALUES ('d', 't', 5, '[]', NULL)")
        .await
        .unwrap();
    for (node, by) in [("node-1", 30), ("node-2", 12)] {
        let replica = builder(node)
            .0
            .entity::<document::Entity>()
            .open(db.clone())
            .await
            .unwrap();
        document::ActiveModel::increment_view_count(&replica, "d", by)
            .await
            .unwrap();
    }
    let replica = builder("node-3").0.entity::<document::Entity>().open(db).await.unwrap();
    let shown = shown(&replica, "d").await;
    assert!(
        shown.contains("  view_count (counter): 47 [node-1: +30 -0] [node-2: +12 -0] [~: +5 -0]\n"),
        "{shown}"
    );
    assert!(
        shown.contains("title (lww): \"t\" (node=~, hlc=HLC{ts:0 c:0 node:~})"),
        "{shown}"
    );
    assert!(shown.ends_with("tags (set): []"), "{shown}");
}

#[apply(on_each_database!)]
async fn inside_a_transaction_it_shows_what_the_transaction_did() {
    let replica = replica_of::<document::Entity>("node-1").await;
    doc().insert(&replica).await.unwrap();
    let before = shown(&replica, "doc-1").await;
    let tx = replica.begin().await.unwrap();
    document::ActiveModel {
        id: Unchanged("doc-1".into()),
        title: Set("New".into()),
        ..Default::default()
    }
    .update(&tx)
    .await
    .unwrap();
    let inside = tx.inspect::<document::Entity>("doc-1").await.unwrap().to_string();
    assert!(inside.contains(r#"title (lww): "New" (node=node-1, hlc=HLC{ts:1700000000000000 c:1 node:node-1})"#));
    tx.rollback().await.unwrap();
    assert_eq!(shown(&replica, "doc-1").await, before);
}

#[apply(on_each_database!)]
async fn as_a_serde_value() {
    let replica = replica_of::<document::Entity>("node-1").await;
    doc().insert(&replica).await.unwrap();
    let state = replica.inspect::<document::Entity>("doc-1").await.unwrap();
    let hlc = json!({"ts": 1_700_000_000_000_000_i64, "c": 0, "node": "node-1"});
    let expected = json!({
        "table": "documents",
        "pk": "doc-1",
        "state": "alive",
        "epoch": 1,
        "hlc": hlc,
        "fields": [
            {"field": "title", "kind": "lww", "value": "Hello World", "hlc": hlc},
            {"field": "view_count", "kind": "counter", "value": 30, "hlc": hlc,
             "parts": [{"node": "node-1", "inc": 30, "dec": 0}]},
            {"field": "tags", "kind": "set", "value": ["crdt", "go"], "hlc": hlc},
        ],
    });
    assert_eq!(serde_json::to_value(&state).unwrap(), expected);
}

/// On SQLite, states are read together, as parts of one text.
#[apply(on_each_database!)]
async fn a_state_that_is_none_is_told_with_its_key() {
    let replica = replica_of::<document::Entity>("node-1").await;
    doc().insert(&replica).await.unwrap();
    let mut other = doc();
    other.id = Set("doc-2".into());
    other.insert(&replica).await.unwrap();
    for text in ["{", "", "1,2", "]", "not JSON", "[]", r#"{"lww":1}"#] {
        let set = "UPDATE \"_documents_crdt\" SET state = ? WHERE pk = 'doc-1'";
        assert_eq!(execute(replica.connection(), set, [text.into()]).await, 1);
        let error = replica.inspect::<document::Entity>("doc-1").await.unwrap_err();
        let Error::Corrupt { table, pk, .. } = &error else {
            panic!("{text}: {error}");
        };
        assert_eq!((table.as_str(), pk.as_str()), ("documents", "doc-1"), "{text}");
        assert!(shown(&replica, "doc-2").await.contains("Hello World"), "{text}");
    }
}
