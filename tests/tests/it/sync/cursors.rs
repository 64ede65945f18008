//! Cursors: opaque, and of one database's one history.

use grove_crdt::{Replica, sync::Refusal, sync::respond};
use grove_crdt_tests::{TestDatabase, builder, create_table, entities::document, replica_of, run_all};
use sea_orm::ActiveValue::Set;
use serde_json::json;

use crate::merge::{
    library::{SHELVES, TABLES, book, books, put_book, put_shelf, shelf},
    support::{anyone, pull},
};

const TABLE: &[&str] = &["documents"];

async fn put(replica: &Replica, id: &str) {
    let doc = document::ActiveModel {
        id: Set(id.into()),
        title: Set(id.into()),
        view_count: Set(0),
        tags: Set(grove_crdt::OrSet::new()),
        author: Set(None),
    };
    doc.insert(replica).await.unwrap();
}

fn keys(page: &grove_crdt::sync::PullResponse) -> Vec<&str> {
    page.changes.iter().map(|change| change.pk.as_str()).collect()
}

async fn refused(replica: &Replica, request: serde_json::Value) -> Refusal {
    let request = serde_json::from_value(request).unwrap();
    respond::pull(replica, &anyone(), &request).await.unwrap_err()
}

#[apply(on_each_database!)]
async fn what_is_no_cursor_is_a_bad_request() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let replica = replica_of::<document::Entity>("a").await;
    put(&replica, "doc-1").await;
    let own = replica.replica_id();
    let forged = [
        String::new(),
        "x".into(),
        "' OR 1=1 --".into(),
        "A".repeat(100_000),
        BASE64.encode("null"),
        BASE64.encode("{}"),
        BASE64.encode(vec![b'['; 10_000]),
        BASE64.encode(json!({ "r": own, "i": "x", "p": { "v": "1" } }).to_string()),
        BASE64.encode(json!({ "r": own, "i": "x", "p": { "v": -1 } }).to_string()),
        BASE64.encode(json!({ "r": own, "i": "x", "p": { "v": 1e300 } }).to_string()),
    ];
    // No key has this character, which PostgreSQL can't hold: it once failed over it.
    let asker = replica_of::<document::Entity>("asker").await;
    let honest = pull(&asker, &replica, TABLE, None, 10).await.cursor;
    let honest: serde_json::Value = serde_json::from_slice(&BASE64.decode(honest).unwrap()).unwrap();
    let nul = (1..4).map(|part| {
        let mut cursor = honest.clone();
        cursor["p"] = json!({ "v": 0, "k": ["documents", "doc-1", "", ""] });
        cursor["p"]["k"][part] = json!("a\0");
        BASE64.encode(cursor.to_string())
    });
    for cursor in forged.into_iter().chain(nul) {
        let request = json!({ "node_id": "b", "replica_id": "b's", "tables": TABLE, "cursor": cursor });
        let refusal = refused(&replica, request).await;
        assert!(matches!(refusal, Refusal::BadRequest(_)), "{cursor:.40}: {refusal:?}");
        assert!(refusal.to_string().contains("`cursor`"), "{refusal}");
    }
    // One that reads like a cursor, but points nowhere, starts over instead of failing.
    for (position, expected) in [
        (json!({ "v": i64::MAX }), None),
        (json!({ "v": i64::MAX, "k": ["documents", "doc-1", "", ""] }), None),
        (json!({ "v": 0, "k": ["' --", "x", "", ""] }), Some("doc-1")),
        (json!({ "v": 0, "k": ["documents", "doc-0", "", ""] }), Some("doc-1")),
    ] {
        let mut cursor = honest.clone();
        cursor["p"] = position.clone();
        let cursor = BASE64.encode(cursor.to_string());
        let page = pull(&asker, &replica, TABLE, Some(&cursor), 10).await;
        assert_eq!(
            page.changes.first().map(|change| change.pk.as_str()),
            expected,
            "{position}"
        );
    }
}

#[apply(on_each_database!)]
async fn requests_that_make_no_sense_are_refused_with_a_reason() {
    let replica = replica_of::<document::Entity>("a").await;
    let base = json!({ "node_id": "b", "replica_id": "b's", "tables": TABLE });
    let with = |name: &str, value: serde_json::Value| {
        let mut request = base.clone();
        request[name] = value;
        request
    };
    let cases = [
        (with("tables", json!(["users"])), "unknown_table"),
        (with("tables", json!(["x".repeat(10_000)])), "unknown_table"),
        (with("tables", json!(["documents", "documents"])), "bad_request"),
        (with("filter", json!({})), "bad_request"),
        (with("node_id", json!("~")), "bad_request"),
        (with("replica_id", json!("")), "bad_request"),
        (with("replica_id", json!("r".repeat(65))), "bad_request"),
        (with("replica_id", json!(replica.replica_id())), "node_conflict"),
        (with("node_id", json!("a")), "node_conflict"),
    ];
    for (request, code) in cases {
        let refusal = refused(&replica, request).await;
        assert_eq!(refusal.code(), code, "{refusal}");
        assert!(refusal.to_string().len() < 300, "{refusal}");
    }
    // A node that another database speaks for.
    respond::pull(&replica, &anyone(), &serde_json::from_value(base.clone()).unwrap())
        .await
        .unwrap();
    let refusal = refused(&replica, with("replica_id", json!("another's"))).await;
    assert_eq!(refusal.code(), "node_conflict");
    assert!(refusal.to_string().contains("`b`"), "{refusal}");
    // Nothing is asked for, and nothing is told.
    let empty = pull(&replica_of::<document::Entity>("c").await, &replica, &[], None, 10).await;
    assert_eq!((empty.changes.len(), empty.has_more), (0, false));
}

#[apply(on_each_database!)]
async fn a_cursor_of_another_database_starts_over() {
    let asker = replica_of::<document::Entity>("asker").await;
    let first = replica_of::<document::Entity>("a").await;
    let second = replica_of::<document::Entity>("b").await;
    for replica in [&first, &second] {
        put(replica, "doc-1").await;
        put(replica, "doc-2").await;
    }
    let page = pull(&asker, &first, TABLE, None, 1).await;
    assert!(!page.restarted);
    let page = pull(&asker, &second, TABLE, Some(&page.cursor), 10).await;
    assert_eq!((keys(&page), page.restarted), (vec!["doc-1", "doc-2"], true));
}

#[apply(on_each_database!)]
async fn reopening_is_no_new_history() {
    let asker = replica_of::<document::Entity>("asker").await;
    let database = TestDatabase::new().await;
    create_table(&database.connect().await, document::Entity).await.unwrap();
    let open = async || {
        builder("a")
            .0
            .entity::<document::Entity>()
            .open(database.connect().await)
            .await
            .unwrap()
    };
    let replica = open().await;
    put(&replica, "doc-1").await;
    let page = pull(&asker, &replica, TABLE, None, 10).await;
    drop(replica);
    drop(open().await);
    let replica = open().await;
    put(&replica, "doc-2").await;
    let page = pull(&asker, &replica, TABLE, Some(&page.cursor), 10).await;
    assert_eq!((keys(&page), page.restarted), (vec!["doc-2"], false));
}

#[apply(on_each_database!)]
async fn a_table_that_is_left_out_for_a_while_does_not_turn_versions_back() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    run_all(&db, &[SHELVES, &books("")]).await;
    let both = async || {
        let builder = builder("a").0.entity::<shelf::Entity>().entity::<book::Entity>();
        builder.open(database.connect().await).await.unwrap()
    };
    let asker = replica_of::<document::Entity>("asker").await;
    let replica = both().await;
    put_shelf(&replica, "s1", "one").await;
    for n in 0..5 {
        put_book(&replica, &format!("b{n}"), None).await;
    }
    let page = pull(&asker, &replica, TABLES, None, 100).await;
    assert_eq!(page.changes.len(), 6);
    drop(replica);
    let alone = builder("a")
        .0
        .entity::<shelf::Entity>()
        .open(database.connect().await)
        .await
        .unwrap();
    put_shelf(&alone, "s2", "two").await;
    drop(alone);
    let replica = both().await;
    let page = pull(&asker, &replica, TABLES, Some(&page.cursor), 100).await;
    assert_eq!((keys(&page), page.restarted), (vec!["s2"], false));
}
