//! How long a server waits for a request, and an asker for the answer.

use std::time::{Duration, Instant};

use grove_crdt::{
    Replica, ReplicaTransaction,
    server::{Limits, SyncServer},
    sync::Peer,
};
use sea_orm::{ActiveValue::Set, TransactionSession as _, TransactionTrait as _};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{Answer, push_body, request, serve, tokens};
use crate::notes;

/// A push of a title for the note `held`, newer than any.
pub(super) fn push_of(title: &str) -> Json {
    let hlc = json!({ "ts": grove_crdt_tests::START, "c": 0, "node": "edge" });
    push_body(&json!([{
        "table": "notes", "pk": "held", "field": "", "crdt_type": "record", "epoch": 3, "node_id": "edge",
        "hlc": hlc, "value": { "lww": { "title": title } }
    }]))
}

/// A transaction in which the note `held` is written, so that nobody else can write it before its end.
pub(super) async fn hold(replica: &Replica) -> ReplicaTransaction {
    notes::write(replica, "held", "at first").await;
    let tx = replica.begin().await.unwrap();
    let note = notes::ActiveModel {
        id: Set("held".to_owned()),
        title: Set("in between".to_owned()),
    };
    note.update(&tx).await.unwrap();
    tx
}

/// A server whose answers may take a tenth of a second, and how to end it.
async fn impatient_server(cloud: &Replica) -> (SyncServer, CancellationToken, String) {
    let stop = CancellationToken::new();
    let server = SyncServer::builder(cloud)
        .limits(Limits::default().answer_timeout(Duration::from_millis(100)))
        .shutdown(stop.clone())
        .allow_anonymous()
        .build();
    let push = serve(server.router()).await + "/push";
    (server, stop, push)
}

#[apply(on_each_database!)]
async fn what_takes_too_long_is_answered_and_goes_on() {
    let cloud = notes::replica("cloud").await;
    let (server, stop, push) = impatient_server(&cloud).await;
    let tx = hold(&cloud).await;

    let answer = Answer::to(request(&push).body(push_of("in the end").to_string())).await;

    answer.is_error(503, "busy");
    assert_eq!(answer.retry_after(), Some(10));
    tx.commit().await.unwrap();
    stop.cancel();
    server.drained().await;
    assert_eq!(notes::title(&cloud, "held").await.as_deref(), Some("in the end"));
}

#[apply(on_each_database!)]
async fn large_bodies_take_turns_and_small_ones_do_not_wait_for_them() {
    let cloud = notes::replica("cloud").await;
    let stop = CancellationToken::new();
    let limits = Limits::default().large_bodies(1);
    let server = SyncServer::builder(&cloud)
        .limits(limits.answer_timeout(Duration::from_millis(500)))
        .shutdown(stop.clone())
        .allow_anonymous()
        .build();
    let url = serve(server.router()).await;
    let small = || {
        let body = json!({ "node_id": "edge", "replica_id": "edge-database", "topics": { "here": 1 } });
        Answer::to(request(&format!("{url}/presence")).body(body.to_string()))
    };
    // Whose the node id is, is written down when it is first heard of.
    assert_eq!(small().await.status, 200);
    let tx = hold(&cloud).await;
    let large = |title: &str| {
        let body = push_of(title).to_string() + &" ".repeat(100_000);
        Answer::to(request(&format!("{url}/push")).body(body))
    };

    // It has its turn until it is merged, though its asker was answered before.
    large("the first").await.is_error(503, "busy");
    let behind = large("the second").await;
    behind.is_error(503, "busy");
    assert_eq!(behind.retry_after(), Some(10));
    let message = behind.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("large bodies"), "{message}");
    assert_eq!(small().await.status, 200);

    tx.commit().await.unwrap();
    while large("the first").await.status != 200 {}
    stop.cancel();
    server.drained().await;
    // The second was never looked at.
    assert_eq!(notes::title(&cloud, "held").await.as_deref(), Some("the first"));
}

#[apply(on_each_database!)]
async fn a_push_goes_on_when_its_asker_is_gone() {
    let cloud = notes::replica("cloud").await;
    let stop = CancellationToken::new();
    let server = SyncServer::builder(&cloud)
        .shutdown(stop.clone())
        .allow_anonymous()
        .build();
    let push = serve(server.router()).await + "/push";
    let tx = hold(&cloud).await;

    let asker = request(&push).timeout(Duration::from_millis(200));
    let gone = asker.body(push_of("in the end").to_string()).send().await.unwrap_err();

    assert!(gone.is_timeout(), "{gone}");
    tx.commit().await.unwrap();
    stop.cancel();
    server.drained().await;
    assert_eq!(notes::title(&cloud, "held").await.as_deref(), Some("in the end"));
}

/// Sends the head of a push, then its body in pieces and with pauses. Returns the answer and how long it took.
async fn dawdle(url: &str, token: &str, length: usize, body: &str) -> (String, Duration) {
    let address = url.trim_start_matches("http://").trim_end_matches("/sync");
    let begun = Instant::now();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /sync/push HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    for piece in std::iter::once(head.as_bytes()).chain(body.as_bytes().chunks(20)) {
        socket.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut answer = vec![0; 4_096];
    let read = socket.read(&mut answer).await.unwrap();
    answer.truncate(read);
    (String::from_utf8(answer).unwrap(), begun.elapsed())
}

#[apply(on_each_database!)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let cloud = notes::replica("cloud").await;
    let limits = Limits::default().read_timeout(Duration::from_millis(500));
    let builder = SyncServer::builder(&cloud).limits(limits);
    let url = serve(builder.bearer_tokens(tokens([Peer::new("a")])).unwrap().router()).await;
    for (token, status, code) in [("a-token", "408", "timeout"), ("guessed", "401", "unauthenticated")] {
        let (answer, took) = dawdle(&url, token, 100, "{").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
        assert!((500..10_000).contains(&took.as_millis()), "{took:?}");
    }
    let body = push_body(&json!([])).to_string();
    let (answer, _) = dawdle(&url, "a-token", body.len(), &body).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
