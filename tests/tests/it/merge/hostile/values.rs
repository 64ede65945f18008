//! Values that are not of their field.

use grove_crdt_tests::{START, cells};
use serde_json::json;

use super::{assert_refused, birth, counter, element, lww, victim, with};
use crate::merge::support::refusal;

#[apply(on_each_database!)]
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
            with(
                &counter(),
                json!({ "counter": { "inc": 0, "dec": "79228162514264337593543950337" } }),
            ),
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

#[apply(on_each_database!)]
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
