//! How often is too often.

use std::net::SocketAddr;

use axum::Router;
use grove_crdt::{
    server::{Limits, Rate, SyncServer},
    sync::Peer,
};

use super::{Answer, open_server, pull_body, request, send, serve, tokens};
use crate::notes;

/// Two at once, and then one in half a minute.
fn two() -> Rate {
    Rate::per_minute(2)
}

/// A server that peers `a` and `b` may sync with, and its routes.
async fn server(limits: Limits) -> Router {
    let cloud = notes::replica("cloud").await;
    let builder = SyncServer::builder(&cloud).limits(limits);
    let peers = tokens([Peer::new("a"), Peer::new("b")]);
    builder.bearer_tokens(peers).unwrap().router()
}

/// Asks `url` for changes with a token.
async fn pull(url: &str, token: &str) -> Answer {
    let request = request(&format!("{url}/pull")).bearer_auth(token);
    Answer::to(request.body(pull_body().to_string())).await
}

fn is_too_early(answer: &Answer) {
    answer.is_error(429, "rate_limited");
    let pause = answer.retry_after().unwrap();
    assert!((1..=30).contains(&pause), "{pause}");
}

#[apply(on_each_database!)]
async fn each_peer_may_ask_so_often_and_no_more() {
    let url = serve(server(Limits::default().request_rate(two())).await).await;
    for _ in 0..2 {
        assert_eq!(pull(&url, "a-token").await.status, 200);
    }
    is_too_early(&pull(&url, "a-token").await);
    assert_eq!(pull(&url, "b-token").await.status, 200);
    // What is asked for does not matter, nor whether it makes sense.
    let push = request(&format!("{url}/push")).bearer_auth("a-token").body("{");
    is_too_early(&Answer::to(push).await);
}

#[apply(on_each_database!)]
async fn without_a_rate_and_without_a_name_nobody_asks_too_often() {
    let url = serve(server(Limits::default().request_rate(None)).await).await;
    for _ in 0..300 {
        assert_eq!(pull(&url, "a-token").await.status, 200);
    }
    let (_, url) = open_server(Limits::default().request_rate(two())).await;
    for _ in 0..5 {
        assert_eq!(send(&format!("{url}/pull"), &pull_body()).await.status, 200);
    }
}

/// Nothing tells who fails, so nobody who does not may suffer from it.
#[apply(on_each_database!)]
async fn failures_from_anywhere_shut_out_nobody() {
    let url = serve(server(Limits::default().failure_rate(two())).await).await;
    for _ in 0..2 {
        pull(&url, "guessed").await.is_error(401, "unauthenticated");
    }
    is_too_early(&pull(&url, "guessed").await);
    assert_eq!(pull(&url, "a-token").await.status, 200);
}

#[apply(on_each_database!)]
async fn an_address_with_too_many_failures_is_refused_unseen() {
    let routes = server(Limits::default().failure_rate(two())).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    for _ in 0..2 {
        pull(&url, "guessed").await.is_error(401, "unauthenticated");
    }
    assert_eq!(pull(&url, "a-token").await.status, 200);
    is_too_early(&pull(&url, "guessed").await);
    // Whoever guesses right now does not learn of it.
    is_too_early(&pull(&url, "a-token").await);
}

#[apply(on_each_database!)]
async fn without_a_rate_of_failures_each_is_told_why() {
    let url = serve(server(Limits::default().failure_rate(None)).await).await;
    for _ in 0..100 {
        pull(&url, "guessed").await.is_error(401, "unauthenticated");
    }
}
