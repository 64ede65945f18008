//! Changes that are refused, and rows that the database does not take.

use serde_json::{Value as Json, json};

use super::{Told, birth, entries, ledger_server, push_body};

/// A change of one field of entry 1.
fn lww(field: &str, value: Json) -> Json {
    json!({
        "table": "entries", "pk": "1", "field": field, "crdt_type": "lww", "epoch": 1, "node_id": "edge",
        "hlc": { "ts": grove_crdt_tests::START, "c": 0, "node": "edge" }, "value": value,
    })
}

fn with(mut change: Json, field: &str, value: Json) -> Json {
    change[field] = value;
    change
}

/// A change of a seat with this key.
fn seat(pk: &str) -> Json {
    let change = with(lww("guest", json!("Ada")), "table", json!("seats"));
    with(change, "pk", json!(pk))
}

/// Changes of every form that is refused, and with which code.
fn refused() -> Vec<(Json, &'static str)> {
    let mut refused = vec![
        (json!(null), "malformed"),
        (json!([]), "malformed"),
        (json!({}), "malformed"),
        (json!("text"), "malformed"),
        (with(lww("paid", json!(true)), "table", json!("users")), "unknown_table"),
        (with(lww("paid", json!(true)), "epoch", json!("one")), "malformed"),
        (with(lww("paid", json!(true)), "epoch", json!(-1)), "malformed"),
        (with(lww("paid", json!(true)), "hlc", json!(7)), "malformed"),
        (with(lww("paid", json!(true)), "hlc", json!({ "ts": 1 })), "malformed"),
        (with(lww("paid", json!(true)), "node_id", json!("a b")), "malformed"),
        (with(lww("paid", json!(true)), "cell", json!("x")), "malformed"),
        (
            with(lww("paid", json!(true)), "crdt_type", json!("list")),
            "unknown_kind",
        ),
        (with(lww("hits", json!(1)), "crdt_type", json!("lww")), "wrong_kind"),
        (lww("hits", json!(1)), "wrong_kind"),
        (
            with(
                lww("paid", json!(true)),
                "hlc",
                json!({ "ts": 1_i64 << 53, "c": 0, "node": "edge" }),
            ),
            "clock_ahead",
        ),
        (
            with(
                lww("paid", json!(true)),
                "hlc",
                json!({ "ts": -1, "c": 0, "node": "edge" }),
            ),
            "bad_clock",
        ),
        (birth(7, json!({ "small": "x" })), "bad_value"),
        (
            with(birth(7, json!({})), "value", json!({ "counter": { "hits": "many" } })),
            "bad_value",
        ),
        (
            with(birth(7, json!({})), "value", json!({ "set": { "marks": [7] } })),
            "bad_value",
        ),
        (
            with(birth(7, json!({})), "value", json!({ "set": { "marks": {} } })),
            "bad_value",
        ),
        (with(birth(7, json!({})), "value", json!([])), "bad_value"),
    ];
    let wrong = [
        (
            "voucher",
            vec![json!(7), json!(null), json!({ "a": [] }), json!("a\u{0}b")],
        ),
        ("small", vec![json!("x"), json!(100_000), json!(1.5), json!(null)]),
        ("booked_on", vec![json!("2024-02-30"), json!("x"), json!(7)]),
        ("noted_at", vec![json!("2024-02-29"), json!(0)]),
        ("amount", vec![json!(1.5), json!("1,5"), json!("1e400")]),
        ("token", vec![json!("x"), json!(1)]),
        ("paid", vec![json!("yes"), json!(1)]),
        ("share", vec![json!("x"), json!([])]),
        ("scan", vec![json!("§"), json!(1)]),
    ];
    for (field, values) in wrong {
        refused.extend(values.into_iter().map(|value| (lww(field, value), "bad_value")));
    }
    let counter = with(
        with(lww("hits", json!(null)), "crdt_type", json!("counter")),
        "cell",
        json!("edge"),
    );
    let mut counter = counter;
    counter.as_object_mut().unwrap().remove("value");
    refused.push((counter.clone(), "malformed"));
    for totals in [
        json!(7),
        json!([]),
        json!({}),
        json!({ "inc": -1, "dec": 0 }),
        json!({ "inc": 1, "dec": 0, "x": 1 }),
    ] {
        refused.push((with(counter.clone(), "counter", totals), "bad_value"));
    }
    let element = with(
        with(lww("marks", json!("x")), "crdt_type", json!("set")),
        "cell",
        json!("\"x\""),
    );
    refused.push((element.clone(), "malformed"));
    for tags in [
        json!(7),
        json!({ "a b": {} }),
        json!({ "edge": { "add": [1] } }),
        json!({ "edge": { "at": [1, 2] } }),
    ] {
        refused.push((with(element.clone(), "set", tags), "bad_value"));
    }
    let long = "1".repeat(600);
    for pk in ["x", "", "01", "1.0", "99999999999", "null", "[1]", &long] {
        refused.push((with(lww("paid", json!(true)), "pk", json!(pk)), "bad_key"));
    }
    for pk in [
        "x",
        "[]",
        "[1]",
        r#"["a","b"]"#,
        r#"[1,"b"]"#,
        "[1,null]",
        r#"[ 1, "00000000-0000-0000-0000-000000000000"]"#,
    ] {
        refused.push((seat(pk), "bad_key"));
    }
    refused
}

#[apply(on_each_database!)]
async fn a_change_that_is_refused() {
    let (_database, _, url) = ledger_server().await;
    for (change, code) in refused() {
        let told = Told::post(&url, "push", &push_body(&json!([change]))).await;
        told.is(200, code);
    }
    // The entry has no counter's cell yet, so the totals have to be known before they can go back.
    let at = |ts: i64, inc: i64| {
        json!({
            "table": "entries", "pk": "1", "field": "hits", "cell": "edge", "crdt_type": "counter", "epoch": 1, "node_id": "edge",
            "hlc": { "ts": grove_crdt_tests::START + ts, "c": 0, "node": "edge" }, "counter": { "inc": inc, "dec": 0 },
        })
    };
    assert_eq!(
        Told::post(&url, "push", &push_body(&json!([at(1, 5)]))).await.status,
        200
    );
    let regressed = Told::post(&url, "push", &push_body(&json!([at(2, 3)]))).await;
    regressed.is(200, "counter_regressed");
}

#[apply(on_each_database!)]
async fn a_row_that_the_database_refuses() {
    let (_database, replica, url) = ledger_server().await;
    let broken = [
        birth(2, json!({ "voucher": "v-1" })),
        birth(3, json!({ "small": 101 })),
        birth(4, json!({ "place": "nowhere" })),
        birth(5, json!({ "voucher": "long ".repeat(100) })),
        birth(6, json!({ "amount": "123456789012345678901234.50" })),
    ];
    let told = Told::post(&url, "push", &push_body(&json!(broken))).await;
    assert_eq!(told.status, 200, "{}", told.text);
    assert!(told.text.contains("\"merged\":5"), "{}", told.text);
    let parked = replica.parked().await.unwrap();
    assert!(parked.len() >= 3, "{parked:?}");
    let asked = json!(broken).to_string();
    let pull = super::request(&format!("{url}/pull")).body(entries().to_string());
    assert_eq!(Told::to(&asked, pull).await.status, 200);
    assert_eq!(Told::stream(&url, "tables=entries", "v-1").await.status, 200);
}
