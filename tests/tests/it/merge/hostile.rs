//! Pushes that mean harm, judged change by change: a clear refusal, nothing half-applied, no SQL told.

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{START, cells, entities::document, replica_of, rows};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::{Value as Json, json};

use super::support::{push_as, refusal, total_changes};

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
    let before = (cells(&replica, "documents").await, total_changes(&replica).await);
    for (what, change, code) in cases {
        let refused = refusal(&replica, change.clone())
            .await
            .unwrap_or_else(|| panic!("{what}: taken: {change}"));
        assert_eq!(refused.code.as_str(), code, "{what}: {}", refused.message);
        let message = refused.message.to_uppercase();
        for sql in ["SELECT", "INSERT", "UPDATE ", "SQLITE"] {
            assert!(!message.contains(sql), "{what}: {}", refused.message);
        }
        assert!(
            refused.message.len() <= 400,
            "{what}: {} bytes: {:.200}",
            refused.message.len(),
            refused.message
        );
    }
    let after = (cells(&replica, "documents").await, total_changes(&replica).await);
    assert_eq!(after, before);
    assert_eq!(replica.parked().await.unwrap(), []);
}

#[tokio::test]
async fn the_untouched_changes_are_taken() {
    let replica = victim().await;
    for change in [lww(), counter(), element(), birth(), death()] {
        assert_eq!(refusal(&replica, change).await, None);
    }
    assert_eq!(rows::<document::Entity, _>(&replica).await.len(), 1);
}

#[tokio::test]
async fn what_has_not_the_form_of_a_change_is_malformed() {
    let cases = vec![
        ("no object", json!(7), "malformed"),
        ("null", Json::Null, "malformed"),
        ("no table", with(&lww(), json!({ "table": null })), "malformed"),
        ("no key", with(&lww(), json!({ "pk": null })), "malformed"),
        ("a number as key", with(&lww(), json!({ "pk": 1 })), "malformed"),
        ("no clock", with(&lww(), json!({ "hlc": null })), "malformed"),
        ("a bad node id", with(&lww(), json!({ "node_id": "a b" })), "malformed"),
        ("epoch -1", with(&lww(), json!({ "epoch": -1 })), "malformed"),
        ("epoch 0", with(&lww(), json!({ "epoch": 0 })), "malformed"),
        ("an even epoch", with(&lww(), json!({ "epoch": 2 })), "malformed"),
        (
            "the greatest epoch",
            with(&lww(), json!({ "epoch": u32::MAX })),
            "malformed",
        ),
        (
            "an epoch beyond u32",
            with(&lww(), json!({ "epoch": 1_u64 << 32 })),
            "malformed",
        ),
        ("birth in epoch 0", with(&birth(), json!({ "epoch": 0 })), "malformed"),
        (
            "birth in an even epoch",
            with(&birth(), json!({ "epoch": 2 })),
            "malformed",
        ),
        (
            "death in an odd epoch",
            with(&death(), json!({ "epoch": 3 })),
            "malformed",
        ),
        (
            "a birth that says it is a death",
            with(&birth(), json!({ "tombstone": true })),
            "malformed",
        ),
        (
            "a death that says it is none",
            with(&death(), json!({ "tombstone": null })),
            "malformed",
        ),
        (
            "a death with a value",
            with(&death(), json!({ "value": {} })),
            "malformed",
        ),
        (
            "a birth without one",
            with(&birth(), json!({ "value": null })),
            "malformed",
        ),
        (
            "a record with a field",
            with(&birth(), json!({ "field": "title" })),
            "malformed",
        ),
        (
            "a record with a cell",
            with(&birth(), json!({ "cell": "x" })),
            "malformed",
        ),
        ("lww without value", with(&lww(), json!({ "value": null })), "malformed"),
        ("lww with a cell", with(&lww(), json!({ "cell": "x" })), "malformed"),
        (
            "lww that is gone",
            with(&lww(), json!({ "tombstone": true })),
            "malformed",
        ),
        (
            "lww with totals",
            with(&lww(), json!({ "counter": { "inc": 1, "dec": 0 } })),
            "malformed",
        ),
        ("lww without field", with(&lww(), json!({ "field": "" })), "malformed"),
        (
            "a field's name that is too long",
            with(&lww(), json!({ "field": "f".repeat(65) })),
            "malformed",
        ),
        (
            "a field's name that is none",
            with(&lww(), json!({ "field": "a\0b" })),
            "malformed",
        ),
        (
            "totals without totals",
            with(&counter(), json!({ "counter": null })),
            "malformed",
        ),
        (
            "totals with a value",
            with(&counter(), json!({ "value": 1 })),
            "malformed",
        ),
        (
            "totals that are gone",
            with(&counter(), json!({ "tombstone": true })),
            "malformed",
        ),
        (
            "an element without value",
            with(&element(), json!({ "value": null })),
            "malformed",
        ),
        (
            "an element without tags",
            with(&element(), json!({ "set": null })),
            "malformed",
        ),
        (
            "an element under another's key",
            with(&element(), json!({ "cell": "\"z\"" })),
            "malformed",
        ),
        (
            "an element under a key with a space",
            with(&element(), json!({ "cell": " \"y\"" })),
            "malformed",
        ),
        (
            "an element that says it is gone",
            with(&element(), json!({ "tombstone": true })),
            "malformed",
        ),
        (
            "an element that says it is not gone",
            with(
                &element(),
                json!({ "set": { "attacker": { "add": [START, 9], "rem": [START, 9] } } }),
            ),
            "malformed",
        ),
    ];
    assert_refused(cases).await;
}

#[tokio::test]
async fn nobody_speaks_for_another_node() {
    let cases = vec![
        (
            "another node than its clock's",
            with(&lww(), json!({ "node_id": "victim" })),
            "malformed",
        ),
        (
            "a clock of another node",
            with(&lww(), json!({ "hlc": hlc(START, "victim") })),
            "malformed",
        ),
        (
            "the victim's totals",
            with(&counter(), json!({ "cell": "victim" })),
            "malformed",
        ),
        (
            "totals of the baseline",
            with(&counter(), json!({ "cell": "~" })),
            "malformed",
        ),
        ("totals of nobody", with(&counter(), json!({ "cell": "" })), "malformed"),
    ];
    assert_refused(cases).await;
}

#[tokio::test]
async fn a_clock_value_must_have_come_from_a_clock_and_not_be_ahead() {
    let ahead = START + 60_000_001;
    let cases = vec![
        ("zero", with(&lww(), json!({ "hlc": hlc(0, "attacker") })), "bad_clock"),
        (
            "negative",
            with(&lww(), json!({ "hlc": hlc(-1, "attacker") })),
            "bad_clock",
        ),
        (
            "beyond 2^53",
            with(&lww(), json!({ "hlc": hlc((1 << 53) + 1, "attacker") })),
            "bad_clock",
        ),
        (
            "the end of time",
            with(&lww(), json!({ "hlc": hlc(i64::MAX, "attacker") })),
            "bad_clock",
        ),
        (
            "a baseline with a clock",
            with(&lww(), json!({ "hlc": hlc(START, "~"), "node_id": "~" })),
            "bad_clock",
        ),
        (
            "a baseline with a counter",
            with(&lww(), json!({ "hlc": hlc(0, "~"), "node_id": "~" })),
            "bad_clock",
        ),
        (
            "a baseline's death",
            with(
                &death(),
                json!({ "hlc": { "ts": 0, "c": 0, "node": "~" }, "node_id": "~" }),
            ),
            "bad_clock",
        ),
        (
            "a counter beyond u32",
            with(&lww(), json!({ "hlc": { "ts": 1, "c": 1_u64 << 32, "node": "a" } })),
            "malformed",
        ),
        (
            "a fraction",
            with(&lww(), json!({ "hlc": { "ts": 1.5, "c": 0, "node": "a" } })),
            "malformed",
        ),
        (
            "a cell ahead",
            with(&lww(), json!({ "hlc": hlc(ahead, "attacker") })),
            "clock_ahead",
        ),
        (
            "a birth ahead",
            with(&birth(), json!({ "hlc": hlc(ahead, "attacker") })),
            "clock_ahead",
        ),
        (
            "a death ahead",
            with(&death(), json!({ "hlc": hlc(ahead, "attacker") })),
            "clock_ahead",
        ),
        (
            "a tag ahead",
            with(&element(), json!({ "set": { "victim": { "add": [ahead, 0] } } })),
            "bad_clock",
        ),
        (
            "a tag above its cell",
            with(&element(), json!({ "set": { "attacker": { "add": [START, 10] } } })),
            "bad_clock",
        ),
        (
            "a removal of what was not added",
            with(
                &element(),
                json!({ "tombstone": true, "set": { "victim": { "rem": [START, 1] } } }),
            ),
            "bad_clock",
        ),
        (
            "a removal above the addition",
            with(
                &element(),
                json!({ "tombstone": true, "set": { "victim": { "add": [1, 0], "rem": [2, 0] } } }),
            ),
            "bad_clock",
        ),
        (
            "a tag at zero",
            with(&element(), json!({ "set": { "victim": { "add": [0, 0] } } })),
            "bad_clock",
        ),
        (
            "a negative tag",
            with(&element(), json!({ "set": { "victim": { "add": [-5, 0] } } })),
            "bad_clock",
        ),
        (
            "a baseline's tag with a clock",
            with(&element(), json!({ "set": { "~": { "add": [5, 0] } } })),
            "bad_clock",
        ),
    ];
    assert_refused(cases).await;
}

#[tokio::test]
async fn values_must_be_of_the_fields_type_and_kind() {
    let cases = vec![
        (
            "an unknown table",
            with(&lww(), json!({ "table": "users" })),
            "unknown_table",
        ),
        (
            "the shadow",
            with(&lww(), json!({ "table": "_documents_crdt" })),
            "unknown_table",
        ),
        (
            "bookkeeping",
            with(&lww(), json!({ "table": "_grove_replica" })),
            "unknown_table",
        ),
        (
            "SQL as table",
            with(&lww(), json!({ "table": "documents\"; DROP TABLE documents; --" })),
            "unknown_table",
        ),
        (
            "a huge table name",
            with(&lww(), json!({ "table": "t".repeat(100_000) })),
            "unknown_table",
        ),
        (
            "an unknown kind",
            with(&lww(), json!({ "crdt_type": "list" })),
            "unknown_kind",
        ),
        (
            "a huge kind",
            with(&lww(), json!({ "crdt_type": "k".repeat(100_000) })),
            "unknown_kind",
        ),
        (
            "lww of a counter",
            with(&lww(), json!({ "field": "view_count", "value": 1 })),
            "wrong_kind",
        ),
        (
            "counter of an lww",
            with(&counter(), json!({ "field": "title" })),
            "wrong_kind",
        ),
        (
            "set of an lww",
            with(&element(), json!({ "field": "title" })),
            "wrong_kind",
        ),
        (
            "the key as a field",
            with(&lww(), json!({ "field": "id", "value": "doc-9" })),
            "wrong_kind",
        ),
        (
            "a birth of another kind",
            with(&birth(), json!({ "value": { "lww": { "view_count": 1 } } })),
            "wrong_kind",
        ),
        (
            "a birth with a key",
            with(&birth(), json!({ "value": { "lww": { "id": "x" } } })),
            "wrong_kind",
        ),
        (
            "a birth of an unknown kind",
            with(&birth(), json!({ "value": { "list": { "x": 1 } } })),
            "unknown_kind",
        ),
        ("a number as text", with(&lww(), json!({ "value": 7 })), "bad_value"),
        (
            "an object as text",
            with(&lww(), json!({ "value": { "$ne": 1 } })),
            "bad_value",
        ),
        (
            "a huge value of the wrong type",
            with(&lww(), json!({ "value": ["x".repeat(100_000)] })),
            "bad_value",
        ),
        (
            "a birth with one",
            with(
                &birth(),
                json!({ "value": { "lww": { "title": ["x".repeat(100_000)] } } }),
            ),
            "bad_value",
        ),
        (
            "a birth that is a list",
            with(&birth(), json!({ "value": [] })),
            "bad_value",
        ),
        (
            "a birth with lists",
            with(&birth(), json!({ "value": { "lww": [] } })),
            "bad_value",
        ),
        (
            "a field twice",
            with(
                &birth(),
                json!({ "value": { "lww": { "u": 1 }, "counter": { "u": 1 } } }),
            ),
            "bad_value",
        ),
        (
            "a counter born with text",
            with(&birth(), json!({ "value": { "counter": { "view_count": "x" } } })),
            "bad_value",
        ),
        (
            "one beyond i64",
            with(&birth(), json!({ "value": { "counter": { "view_count": 1e30 } } })),
            "bad_value",
        ),
        (
            "a set born as text",
            with(&birth(), json!({ "value": { "set": { "tags": "x" } } })),
            "bad_value",
        ),
        (
            "a set of numbers",
            with(&birth(), json!({ "value": { "set": { "tags": [1] } } })),
            "bad_value",
        ),
        (
            "a negative total",
            with(&counter(), json!({ "counter": { "inc": -1, "dec": 0 } })),
            "bad_value",
        ),
        (
            "a total beyond i64",
            with(&counter(), json!({ "counter": { "inc": 0, "dec": 1_u64 << 63 } })),
            "bad_value",
        ),
        (
            "a fraction",
            with(&counter(), json!({ "counter": { "inc": 1.5, "dec": 0 } })),
            "bad_value",
        ),
        (
            "one total",
            with(&counter(), json!({ "counter": { "inc": 1 } })),
            "bad_value",
        ),
        (
            "a third total",
            with(&counter(), json!({ "counter": { "inc": 1, "dec": 0, "x": 0 } })),
            "bad_value",
        ),
        (
            "totals as text",
            with(&counter(), json!({ "counter": "1".repeat(100_000) })),
            "bad_value",
        ),
        (
            "an element of another type",
            with(&element(), json!({ "value": 1, "cell": "1" })),
            "bad_value",
        ),
        (
            "tags of no node",
            with(&element(), json!({ "set": { "a b": { "add": [1, 0] } } })),
            "bad_value",
        ),
        (
            "tags that are no points",
            with(&element(), json!({ "set": { "a": { "add": 1 } } })),
            "bad_value",
        ),
        (
            "tags with more",
            with(&element(), json!({ "set": { "a": { "add": [1, 0], "x": 1 } } })),
            "bad_value",
        ),
        (
            "no tag at all",
            with(&element(), json!({ "set": {}, "tombstone": true })),
            "bad_value",
        ),
    ];
    assert_refused(cases).await;
}

#[tokio::test]
async fn totals_that_go_back_while_their_clock_goes_on_are_refused() {
    let replica = victim().await;
    let full = with(&counter(), json!({ "counter": { "inc": 50, "dec": 3 } }));
    assert_eq!(refusal(&replica, full.clone()).await, None);
    let before = cells(&replica, "documents").await;
    for totals in [
        json!({ "inc": 49, "dec": 3 }),
        json!({ "inc": 60, "dec": 2 }),
        json!({ "inc": 0, "dec": 0 }),
    ] {
        let back = with(
            &full,
            json!({ "counter": totals, "hlc": { "ts": START, "c": 10, "node": "attacker" } }),
        );
        assert_eq!(
            refusal(&replica, back).await.unwrap().code.as_str(),
            "counter_regressed"
        );
    }
    // An older state of the same history is no regression.
    let older = with(
        &counter(),
        json!({ "hlc": { "ts": START, "c": 8, "node": "attacker" } }),
    );
    assert_eq!(refusal(&replica, older).await, None);
    assert_eq!(cells(&replica, "documents").await, before);
}

#[tokio::test]
async fn strings_full_of_sql_are_nothing_but_strings() {
    const SQL: &str = "'); DROP TABLE documents; -- \" ; DELETE FROM _documents_crdt; /* $1 ? :x %s";
    let replica = victim().await;
    let born = with(
        &birth(),
        json!({
            "pk": SQL,
            "value": {
                "lww": { "title": SQL, "' OR 1=1 --": SQL }, "set": { "tags": [SQL] }, "counter": { "\"; --": 1 },
            },
        }),
    );
    let cell = with(&lww(), json!({ "pk": SQL, "field": "x' --", "value": SQL }));
    let tag = with(
        &element(),
        json!({ "pk": SQL, "field": "\" --", "value": SQL, "cell": json!(SQL).to_string() }),
    );
    for change in [born, cell, tag] {
        assert_eq!(refusal(&replica, change).await, None);
    }
    let doc = document::Entity::find_by_id(SQL).one(&replica).await.unwrap().unwrap();
    assert_eq!((doc.title.as_str(), doc.tags.contains(&SQL.to_owned())), (SQL, true));
    // And it can be passed on.
    let other = replica_of::<document::Entity>("other").await;
    super::support::carry(&replica, &other, &["documents"]).await;
    assert_eq!(cells(&other, "documents").await, cells(&replica, "documents").await);
}

#[tokio::test]
async fn ten_thousand_bad_changes_spoil_nothing_of_the_good_ones_among_them() {
    let replica = victim().await;
    let mut changes: Vec<_> = (0..10_000).map(|n| with(&lww(), json!({ "value": n }))).collect();
    changes[5_000] = lww();
    changes.push(birth());
    let response = push_as("attacker", "the-attacker's-database", &replica, &changes).await;
    assert_eq!((response.merged, response.rejected.len()), (2, 9_999));
    assert_eq!((response.rejected[0].index, response.rejected[9_998].index), (0, 9_999));
    assert!(response.rejected.iter().all(|rejection| rejection.index != 5_000));
    let titles = rows::<document::Entity, _>(&replica).await;
    assert!(titles[0].contains("taken") && titles.len() == 2, "{titles:?}");
    assert_eq!(
        serde_json::to_value(response.latest_hlc).unwrap(),
        hlc(START, "attacker")
    );
}

#[tokio::test]
async fn json_nested_too_deep_is_refused_wherever_it_stands() {
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let flat = (0..20).fold(json!(1), |inner, _| json!([inner]));
    let cases = vec![
        (
            "a value of an unknown field",
            with(&lww(), json!({ "field": "unknown", "value": deep })),
            "bad_value",
        ),
        (
            "one at birth",
            with(&birth(), json!({ "value": { "lww": { "unknown": deep } } })),
            "bad_value",
        ),
        (
            "an element",
            with(
                &element(),
                json!({ "field": "unknown", "value": deep, "cell": "sha256:00" }),
            ),
            "bad_value",
        ),
        ("tags", with(&element(), json!({ "set": deep })), "bad_value"),
        ("totals", with(&counter(), json!({ "counter": deep })), "bad_value"),
    ];
    assert_refused(cases).await;
    let replica = victim().await;
    assert_eq!(
        refusal(&replica, with(&lww(), json!({ "field": "unknown", "value": flat }))).await,
        None
    );
}
