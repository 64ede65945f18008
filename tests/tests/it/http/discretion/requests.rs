//! Requests that can't be read, are too large, or from nobody.

use std::{io::Write as _, time::Duration};

use axum::http::request::Parts;
use flate2::{Compression, write::GzEncoder};
use grove_crdt::{
    server::{AuthError, Limits, Rate, SyncServer},
    sync::Peer,
};
use reqwest::{Client, Method, header::CONTENT_ENCODING};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Log, Told, entries, ledger, ledger_server, push_body, request, serve};
use grove_crdt_tests::new_database;

/// Bodies that are no message of the protocol, in many a way.
fn malformed() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "{",
        "null",
        "7",
        "[]",
        r#""text""#,
        "{}",
        r#"{"node_id":7}"#,
        r#"{"node_id":"no spaces"}"#,
        r#"{"node_id":"edge","replica_id":[],"tables":[],"changes":[],"topics":{}}"#,
        r#"{"node_id":"edge","replica_id":"e","tables":{},"changes":{},"topics":[]}"#,
        r#"{"node_id":"edge","replica_id":"e","tables":[7],"changes":0,"topics":{"t":{"x":}}}"#,
        r#"{"node_id":"edge","node_id":"edge","replica_id":"e","tables":[],"changes":[],"topics":{}}"#,
        r#"{"node_id":"edge","replica_id":"e","tables":[],"limit":-1,"changes":"x","topics":0}"#,
        r#"{"node_id":"edge","replica_id":"e","tables":[],"cursor":7,"changes":null,"topics":null}"#,
        "\u{feff}{}",
    ];
    let deep = format!(r#"{{"node_id":{}"#, "[".repeat(1_000));
    let mut bodies: Vec<_> = texts.map(|text| text.as_bytes().to_vec()).into();
    bodies.extend([deep.into_bytes(), b"{\"node_id\":\"\xff\"}".to_vec()]);
    bodies
}

#[apply(on_each_database!)]
async fn a_body_that_cannot_be_read() {
    let (_database, _, url) = ledger_server().await;
    for body in malformed() {
        for route in ["pull", "push", "presence"] {
            let asked = String::from_utf8_lossy(&body).into_owned();
            let told = Told::to(&asked, request(&format!("{url}/{route}")).body(body.clone())).await;
            told.is(400, "malformed");
        }
    }
}

#[apply(on_each_database!)]
async fn a_request_without_sense() {
    let (_database, replica, url) = ledger_server().await;
    let but = |field: &str, value: serde_json::Value| {
        let mut body = entries();
        body[field] = value;
        body
    };
    for (body, status, code) in [
        (but("tables", json!(["entries", "users"])), 400, "unknown_table"),
        (but("tables", json!(["_entries_crdt"])), 400, "unknown_table"),
        (but("tables", json!(["entries", "entries"])), 400, "bad_request"),
        (but("cursor", json!("nonsense")), 400, "bad_request"),
        (but("cursor", json!("")), 400, "bad_request"),
        (but("limit", json!(0)), 400, "bad_request"),
        (but("filter", json!({ "sql": "1 = 1" })), 400, "bad_request"),
        (but("replica_id", json!("")), 400, "bad_request"),
        (but("replica_id", json!(replica.replica_id())), 409, "node_conflict"),
        (but("node_id", json!("cloud")), 409, "node_conflict"),
    ] {
        Told::post(&url, "pull", &body).await.is(status, code);
    }
    assert_eq!(Told::post(&url, "pull", &entries()).await.status, 200);
    let other = but("replica_id", json!("another"));
    Told::post(&url, "pull", &other).await.is(409, "node_conflict");
    for query in [
        "",
        "tables=",
        "tables=users",
        "tables=entries,entries",
        "tables=entries&tables=entries",
        "tables=entries&cursor=nonsense",
        "tables=entries&limit=many",
        "tables=entries&limit=0",
        "tables=entries&node_id=a%20b",
        "tables=entries&replica_id=x",
        "tables=%ff",
        "tables=entries&topics=%00",
    ] {
        let told = Told::get(&url, &format!("stream?{query}")).await;
        assert_eq!(told.status, 400, "{query}: {}", told.text);
    }
    for query in [
        "presence",
        "presence?topic=",
        "presence?topic=%0a",
        "presence?topic=a&topic=b",
    ] {
        assert_eq!(Told::get(&url, query).await.status, 400);
    }
}

#[apply(on_each_database!)]
async fn a_request_for_something_else() {
    let (_database, _, url) = ledger_server().await;
    for path in [
        "nothing",
        "pull/1",
        "%00",
        "..%2f..%2fetc%2fpasswd",
        "stream/",
        "health/db",
    ] {
        Told::get(&url, path).await.is(404, "not_found");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let told = Told::to("", Client::new().request(method, format!("{url}/push"))).await;
        told.is(405, "method_not_allowed");
    }
    let plain = Client::new().post(format!("{url}/pull")).body(entries().to_string());
    Told::to("entries", plain).await.is(415, "unsupported_media_type");
    for (name, value, code) in [
        ("grove-protocol", "2", "protocol_version"),
        ("content-encoding", "br", "unsupported_media_type"),
        ("content-encoding", "gzip", "malformed"),
        ("content-encoding", "zstd", "malformed"),
    ] {
        let request = request(&format!("{url}/pull")).header(name, value);
        let told = Told::to("entries", request.body(entries().to_string())).await;
        assert!(told.text.contains(code), "{}", told.text);
    }
}

#[apply(on_each_database!)]
async fn what_is_too_large_or_too_much() {
    let replica = ledger(new_database().await, |builder| builder).await;
    let limits = Limits::default()
        .body(10_000)
        .values(500)
        .changes_per_push(10)
        .streams(0);
    let url = serve(SyncServer::builder(&replica).limits(limits).allow_anonymous().router()).await;
    let many = push_body(&json!(vec![0; 11]));
    Told::post(&url, "push", &many).await.is(413, "too_large");
    let values = push_body(&json!(vec![0; 1_000]));
    Told::post(&url, "push", &values).await.is(413, "too_large");
    let long = push_body(&json!(["x".repeat(20_000)]));
    Told::post(&url, "push", &long).await.is(413, "too_large");
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 10_000_000]).unwrap();
    let bomb = request(&format!("{url}/push"))
        .header(CONTENT_ENCODING, "gzip")
        .body(bomb.finish().unwrap());
    Told::to("", bomb).await.is(413, "too_large");
    Told::get(&url, "stream?tables=entries")
        .await
        .is(429, "too_many_streams");
    let topics: serde_json::Map<_, _> = (0..101).map(|n| (format!("t{n}"), json!(1))).collect();
    let presence = json!({ "node_id": "edge", "topics": topics });
    Told::post(&url, "presence", &presence).await.is(429, "limit_reached");
    let data = json!({ "node_id": "edge", "topics": { "t": "x".repeat(5_000) } });
    Told::post(&url, "presence", &data).await.is(413, "too_large");
}

#[apply(on_each_database!)]
async fn a_request_from_somebody_who_is_not_let_in() {
    let (log, _logging) = Log::begin();
    let replica = ledger(new_database().await, |builder| builder).await;
    let doorman = |head: &Parts| {
        let token = head.headers.get("authorization").and_then(|token| token.to_str().ok());
        let token = token.unwrap_or_default().to_owned();
        async move {
            match token.trim_start_matches("Bearer ") {
                "reader" => Ok(Peer::new("reader").may_only_read(["seats"]).may_only_write(["seats"])),
                "bound" => Ok(Peer::new("bound").bound_to("another".parse().unwrap())),
                "fails" => Err(AuthError::Failed("a secret reason of sqlx".into())),
                "panics" => panic!("a secret reason of postgres"),
                _ => Err(AuthError::Unauthenticated("who are you?".into())),
            }
        }
    };
    let server = SyncServer::builder(&replica).limits(Limits::default().failure_rate(Rate::per_minute(1).burst(100)));
    let url = serve(server.authenticator(doorman).router()).await;
    for (token, status, code) in [
        ("nobody", 401, "unauthenticated"),
        ("reader", 403, "forbidden"),
        ("bound", 403, "wrong_node"),
        ("fails", 500, "internal"),
        ("panics", 500, "internal"),
    ] {
        let pull = request(&format!("{url}/pull"))
            .bearer_auth(token)
            .body(entries().to_string());
        Told::to("entries", pull).await.is(status, code);
        let stream = Client::new().get(format!("{url}/stream?tables=entries&node_id=edge"));
        Told::to("entries", stream.bearer_auth(token)).await.is(status, code);
    }
    let topic = Client::new()
        .get(format!("{url}/presence?topic=entries:7"))
        .bearer_auth("reader");
    Told::to("entries", topic).await.is(403, "forbidden");
    let log = log.take();
    for reason in ["a secret reason of sqlx", "a secret reason of postgres"] {
        assert!(log.contains(reason), "{log}");
    }
}

#[apply(on_each_database!)]
async fn a_server_that_ends() {
    let replica = ledger(new_database().await, |builder| builder).await;
    let stop = CancellationToken::new();
    let server = SyncServer::builder(&replica).shutdown(stop.clone()).allow_anonymous();
    let url = serve(server.router()).await;
    let stream = Told::open(&url, "tables=entries").await;
    stop.cancel();
    for route in ["pull", "push", "presence"] {
        Told::post(&url, route, &entries()).await.is(503, "shutting_down");
    }
    assert_eq!(Told::get(&url, "health").await.status, 503);
    let told = tokio::time::timeout(Duration::from_secs(30), stream.goes_on_to("never"))
        .await
        .unwrap();
    assert_eq!(told.status, 200);
}
