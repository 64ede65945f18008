//! What has not the form of a change, and what speaks for another.

use grove_crdt_tests::START;
use serde_json::{Value as Json, json};

use super::{assert_refused, birth, counter, death, element, hlc, lww, with};

#[apply(on_each_database!)]
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

#[apply(on_each_database!)]
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
