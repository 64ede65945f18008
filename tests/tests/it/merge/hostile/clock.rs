//! Clock values that have not come from a clock, or not from now.

use grove_crdt_tests::START;
use serde_json::json;

use super::{assert_refused, birth, death, element, hlc, lww, with};

#[apply(on_each_database!)]
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
