//! Pushes that mean harm, judged change by change: a clear refusal, nothing half-applied, no SQL told.

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{START, cells, entities::document, replica_of, rows, written};
use sea_orm::ActiveValue::Set;
use serde_json::{Value as Json, json};

use super::support::{push_as, refusal};

mod abuse;
mod clock;
mod form;
mod keys;
mod values;

/// A replica with one document, which `victim` made.
async fn victim() -> Replica {
    let replica = replica_of::<document::Entity>("victim").await;
    let doc = document::ActiveModel {
        id: Set("doc-1".into()),
        title: Set("title".into()),
        view_count: Set(10),
        tags: Set(OrSet::from(["x".to_owned()])),
        author: Set(None),
    };
    doc.insert(&replica).await.unwrap();
    document::ActiveModel::increment_view_count(&replica, "doc-1", 5)
        .await
        .unwrap();
    // Admits the attacker, so that nothing else is written later.
    push_as("attacker", "the-attacker's-database", &replica, &[]).await;
    replica
}

/// `base` with the fields of `change` in place of its own; `null` takes a field away.
fn with(base: &Json, change: Json) -> Json {
    let mut changed = base.clone();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Json::Null => drop(changed.as_object_mut().unwrap().remove(name)),
            value => changed[name] = value.clone(),
        }
    }
    changed
}

fn hlc(ts: i64, node: &str) -> Json {
    json!({ "ts": ts, "c": 9, "node": node })
}

fn lww() -> Json {
    json!({
        "table": "documents", "pk": "doc-1", "field": "title", "crdt_type": "lww", "epoch": 1,
        "hlc": hlc(START, "attacker"), "node_id": "attacker", "value": "taken",
    })
}

fn counter() -> Json {
    with(
        &lww(),
        json!({
            "field": "view_count", "crdt_type": "counter", "cell": "attacker", "value": null,
            "counter": { "inc": 1, "dec": 0 },
        }),
    )
}

fn element() -> Json {
    with(
        &lww(),
        json!({
            "field": "tags", "crdt_type": "set", "cell": "\"y\"", "value": "y",
            "set": { "attacker": { "add": [START, 9] } },
        }),
    )
}

fn birth() -> Json {
    with(
        &lww(),
        json!({
            "pk": "doc-2", "field": "", "crdt_type": "record",
            "value": { "lww": { "title": "t" }, "counter": { "view_count": 1 }, "set": { "tags": ["a"] } },
        }),
    )
}

fn death() -> Json {
    with(
        &birth(),
        json!({ "pk": "doc-1", "epoch": 2, "tombstone": true, "value": null }),
    )
}

/// Each change is refused with its code, and nothing is written.
async fn assert_refused(cases: Vec<(&str, Json, &str)>) {
    let replica = victim().await;
    let before = (cells(&replica, "documents").await, written(&replica).await);
    for (what, change, code) in cases {
        let refused = refusal(&replica, change.clone())
            .await
            .unwrap_or_else(|| panic!("{what}: taken: {change}"));
        assert_eq!(refused.code.as_str(), code, "{what}: {}", refused.message);
        let message = refused.message.to_uppercase();
        for sql in ["SELECT", "INSERT", "UPDATE ", "SQLITE", "POSTGRES", "MYSQL", "MARIADB"] {
            assert!(!message.contains(sql), "{what}: {}", refused.message);
        }
        assert!(
            refused.message.len() <= 400,
            "{what}: {} bytes: {:.200}",
            refused.message.len(),
            refused.message
        );
    }
    let after = (cells(&replica, "documents").await, written(&replica).await);
    assert_eq!(after, before);
    assert_eq!(replica.parked().await.unwrap(), []);
}

#[apply(on_each_database!)]
async fn the_untouched_changes_are_taken() {
    let replica = victim().await;
    for change in [lww(), counter(), element(), birth(), death()] {
        assert_eq!(refusal(&replica, change).await, None);
    }
    assert_eq!(rows::<document::Entity, _>(&replica).await.len(), 1);
}
