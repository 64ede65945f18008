//! What is posted and asked: answered, or refused with a code.

use std::time::{Duration, Instant};

use grove_crdt::presence::PresenceLimits;
use grove_crdt_tests::Statements;
use reqwest::{Method, header::ALLOW};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_node_joins_changes_and_leaves_and_is_seen_by_all() {
    let hub = Hub::open(PresenceLimits::default()).await;
    let mut local = hub.replica.presence().subscribe("documents:doc-1");
    assert_eq!(next(&mut local).await, "snapshot of 0");

    let joined = hub.say("b", "documents:doc-1", json!({ "cursor": 1 })).await;
    joined.is(json!({ "ttl_ms": 30_000 }));
    assert_eq!(next(&mut local).await, r#"join b documents:doc-1 {"cursor":1}"#);
    hub.say("a", "documents:doc-1", json!("here")).await;
    hub.say("b", "documents:doc-1", json!({ "cursor": 2 })).await;
    hub.say("c", "documents:doc-2", json!(1)).await;
    let asked = Answer::to(hub.ask("?topic=documents:doc-1")).await;
    asked.is(json!({
        "topic": "documents:doc-1",
        "presences": [
            { "node_id": "a", "data": "here" },
            { "node_id": "b", "data": { "cursor": 2 } },
        ],
    }));

    hub.say("b", "documents:doc-1", json!(null))
        .await
        .is(json!({ "ttl_ms": 30_000 }));
    let asked = Answer::to(hub.ask("?topic=documents%3Adoc-1&other=1")).await;
    assert_eq!(asked.body["presences"], json!([{ "node_id": "a", "data": "here" }]));
    let nobody = Answer::to(hub.ask("?topic=nothing+there")).await;
    nobody.is(json!({ "topic": "nothing there", "presences": [] }));
}

#[tokio::test]
async fn one_request_speaks_of_many_topics() {
    let hub = Hub::open(PresenceLimits::default()).await;
    hub.say("a", "x", json!(1)).await;
    let many = json!({ "node_id": "a", "topics": { "x": null, "y": 2, "z": [3] } });
    Answer::to(hub.post(&many)).await.is(json!({ "ttl_ms": 30_000 }));
    assert_eq!(
        [hub.there("x"), hub.there("y"), hub.there("z")].concat(),
        ["a 2", "a [3]"]
    );
    let none = json!({ "node_id": "a", "topics": {} });
    Answer::to(hub.post(&none)).await.is(json!({ "ttl_ms": 30_000 }));
}

#[tokio::test]
async fn what_is_not_said_again_expires() {
    let ttl = Duration::from_millis(300);
    let hub = Hub::open(PresenceLimits::default().ttl(ttl)).await;
    let mut local = hub.replica.presence().subscribe("doc");
    next(&mut local).await;
    let began = Instant::now();
    hub.say("a", "doc", json!(1)).await.is(json!({ "ttl_ms": 300 }));
    assert_eq!(next(&mut local).await, "join a doc 1");
    assert_eq!(next(&mut local).await, "expire a doc");
    assert!(began.elapsed() >= ttl);
    let asked = Answer::to(hub.ask("?topic=doc")).await;
    asked.is(json!({ "topic": "doc", "presences": [] }));
}

#[tokio::test]
async fn only_the_owner_of_a_node_id_speaks_for_it() {
    let hub = Hub::guarded().await;
    let say = |node: &str, token: &str| {
        let body = json!({ "node_id": node, "topics": { "doc": token } });
        Answer::to(hub.post(&body).bearer_auth(token))
    };
    assert_eq!(say("a", "a").await.status, 200);
    say("b", "a").await.is_error(403, "wrong_node");
    assert_eq!(say("b", "any").await.status, 200);
    say("hub", "any").await.is_error(409, "node_conflict");
    let reserved = json!({ "node_id": "~", "topics": { "doc": 1 } });
    Answer::to(hub.post(&reserved).bearer_auth("any"))
        .await
        .is_error(400, "bad_request");
    assert_eq!(hub.there("doc"), [r#"a "a""#, r#"b "any""#]);
}

#[apply(on_each_database!)]
async fn a_node_with_a_database_is_spoken_for_by_that_database_only() {
    let hub = Hub::open(PresenceLimits::default()).await;
    let say = |database: Option<&str>| {
        let mut body = json!({ "node_id": "edge", "topics": { "doc": database } });
        if let Some(database) = database {
            body["replica_id"] = json!(database);
        }
        Answer::to(hub.post(&body))
    };
    assert_eq!(say(None).await.status, 200);
    assert_eq!(say(Some("first")).await.status, 200);
    say(Some("second")).await.is_error(409, "node_conflict");
    say(None).await.is_error(409, "node_conflict");
    say(Some("")).await.is_error(400, "bad_request");
    say(Some(hub.replica.replica_id())).await.is_error(409, "node_conflict");
    assert_eq!(hub.there("doc"), [r#"edge "first""#]);
}

/// Those that move a cursor post many times a second.
#[tokio::test]
async fn the_database_is_asked_whose_a_node_is_once_while_the_node_is_here() {
    let (db, statements) = Statements::of_new_database().await;
    let replica = notes::replica_on(db, "hub").await;
    let routes = SyncServer::builder(&replica).allow_anonymous().router();
    let hub = Hub::at(replica, routes).await;
    let say = |database: &str, data: Json| {
        let body = json!({ "node_id": "edge", "replica_id": database, "topics": { "doc": data } });
        Answer::to(hub.post(&body))
    };
    assert_eq!(say("first", json!(0)).await.status, 200);
    statements.take();
    for line in 1..10 {
        assert_eq!(say("first", json!(line)).await.status, 200);
    }
    assert_eq!(statements.take(), [""; 0]);
    say("second", json!(1)).await.is_error(409, "node_conflict");
    assert_eq!(say("first", json!(null)).await.status, 200);
    say("second", json!(1)).await.is_error(409, "node_conflict");
    assert_eq!(say("first", json!(1)).await.status, 200);
    hub.replica.forget_node(&"edge".parse().unwrap()).await.unwrap();
    assert_eq!(say("second", json!(1)).await.status, 200);
    say("first", json!(1)).await.is_error(409, "node_conflict");
}

#[tokio::test]
async fn a_bound_peer_need_not_name_the_database_of_its_node() {
    let hub = Hub::guarded().await;
    let mut body = json!({ "node_id": "a", "replica_id": "database", "topics": {} });
    assert_eq!(Answer::to(hub.post(&body).bearer_auth("a")).await.status, 200);
    body.as_object_mut().unwrap().remove("replica_id");
    assert_eq!(Answer::to(hub.post(&body).bearer_auth("a")).await.status, 200);
    let other = Answer::to(hub.post(&body).bearer_auth("any")).await;
    other.is_error(409, "node_conflict");
}

#[tokio::test]
async fn nobody_is_told_or_tells_of_a_table_they_may_not_read() {
    let hub = Hub::guarded().await;
    let _here = hub.replica.presence().join("notes:1", "secret").unwrap();
    for topic in ["notes:1", "notes", "notes:"] {
        let asked = Answer::to(hub.ask(&format!("?topic={topic}")).bearer_auth("reader")).await;
        asked.is_error(403, "forbidden");
        assert!(!asked.body.to_string().contains("secret"));
        let body = json!({ "node_id": "r", "topics": { topic: 1, "drafts:1": 1 } });
        Answer::to(hub.post(&body).bearer_auth("reader"))
            .await
            .is_error(403, "forbidden");
    }
    assert_eq!(hub.there("drafts:1"), [""; 0]);
    for topic in ["drafts:1", "notesbook:1", "lobby"] {
        let asked = Answer::to(hub.ask(&format!("?topic={topic}")).bearer_auth("reader")).await;
        assert_eq!(asked.status, 200, "{topic}");
    }
    let asked = Answer::to(hub.ask("?topic=notes:1").bearer_auth("any")).await;
    assert_eq!(asked.body["presences"], json!([{ "node_id": "hub", "data": "secret" }]));
}

#[tokio::test]
async fn both_routes_ask_who_it_is() {
    let hub = Hub::guarded().await;
    hub.say("a", "doc", json!(1)).await.is_error(401, "unauthenticated");
    Answer::to(hub.ask("?topic=doc")).await.is_error(401, "unauthenticated");
    // Before anything else is looked at.
    Answer::to(hub.ask("")).await.is_error(401, "unauthenticated");
    Answer::to(hub.ask("?topic=doc").bearer_auth("unknown"))
        .await
        .is_error(401, "unauthenticated");
    let version = hub.ask("?topic=doc").bearer_auth("a").header("grove-protocol", "2");
    Answer::to(version).await.is_error(400, "protocol_version");
}

#[tokio::test]
async fn limits_have_codes() {
    let limits = PresenceLimits::default().topics_per_node(2).nodes_per_topic(2).data(10);
    let hub = Hub::open(limits).await;
    let large = hub.say("a", "doc", json!("a".repeat(9))).await;
    large.is_error(413, "too_large");
    let message = "the data under topic `doc` has 11 bytes of JSON, and may have 10";
    assert_eq!(large.body["error"]["message"], message);
    for topic in ["1", "2"] {
        assert_eq!(hub.say("a", topic, json!("a".repeat(8))).await.status, 200);
    }
    hub.say("a", "3", json!(1)).await.is_error(429, "limit_reached");
    assert_eq!(hub.say("b", "1", json!(1)).await.status, 200);
    hub.say("c", "1", json!(1)).await.is_error(429, "limit_reached");
    for topic in ["", "a\nb", &"x".repeat(257)] {
        hub.say("b", topic, json!(1)).await.is_error(400, "bad_request");
        hub.say("b", topic, json!(null)).await.is_error(400, "bad_request");
    }
}

#[tokio::test]
async fn blanks_do_not_count_and_deep_data_is_refused() {
    let hub = Hub::open(PresenceLimits::default()).await;
    let post = |body: String| Answer::to(hub.post(&json!(null)).body(body));
    let spacious = format!(r#"{{"node_id":"a","topics":{{"doc":[{} 1]}}}}"#, "\n ".repeat(10_000));
    assert_eq!(post(spacious).await.status, 200);
    assert_eq!(hub.there("doc"), ["a [1]"]);
    let deep = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"node_id":"a","topics":{{"doc":{open}{close}}}}}"#)
    };
    assert_eq!(post(deep(100)).await.status, 200);
    post(deep(101)).await.is_error(400, "malformed");
    post(deep(100_000)).await.is_error(400, "malformed");
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let hub = Hub::open(PresenceLimits::default()).await;
    for body in [
        json!(null),
        json!({}),
        json!({ "node_id": "a" }),
        json!({ "node_id": "a", "topics": null }),
        json!({ "node_id": "a", "topics": ["doc"] }),
        json!({ "node_id": "a b", "topics": {} }),
        json!({ "node_id": 1, "topics": {} }),
        json!({ "node_id": "a", "topic": "doc", "data": 1 }),
        json!({ "node_id": "a", "replica_id": 1, "topics": {} }),
    ] {
        Answer::to(hub.post(&body)).await.is_error(400, "malformed");
    }
    for query in [
        "",
        "?",
        "?topic",
        "?topic=",
        "?other=x",
        "?topic=a&topic=b",
        "?topic=%ff",
        "?topic=a%00",
    ] {
        Answer::to(hub.ask(query)).await.is_error(400, "bad_request");
    }
    let untyped = hub.client.post(format!("{}/presence", hub.url)).body("{}");
    Answer::to(untyped).await.is_error(415, "unsupported_media_type");
    for method in [Method::PUT, Method::DELETE] {
        let response = hub.client.request(method, format!("{}/presence", hub.url)).send();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 405);
        let allowed = response.headers()[ALLOW].to_str().unwrap().to_owned();
        assert!(allowed.contains("POST") && allowed.contains("GET"), "{allowed}");
    }
}
