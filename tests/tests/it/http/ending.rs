//! A server that ends finishes what it has begun.

use std::time::Duration;

use axum::Router;
use grove_crdt::server::SyncServer;
use sea_orm::TransactionSession as _;
use tokio_util::sync::CancellationToken;

use super::{
    Answer,
    patience::{hold, push_of},
    pull_body, request, send, serve,
};
use crate::notes;

#[apply(on_each_database!)]
async fn what_is_under_way_is_finished_and_nothing_new_is_begun() {
    let cloud = notes::replica("cloud").await;
    let stop = CancellationToken::new();
    let server = SyncServer::builder(&cloud)
        .shutdown(stop.clone())
        .allow_anonymous()
        .build();
    let url = serve(server.router()).await;
    let tx = hold(&cloud).await;
    let push = request(&format!("{url}/push")).body(push_of("in the end").to_string());
    let push = tokio::spawn(Answer::to(push));
    tokio::time::sleep(Duration::from_millis(200)).await;

    stop.cancel();

    for (route, body) in [("pull", pull_body()), ("push", push_of("too late"))] {
        let refused = send(&format!("{url}/{route}"), &body).await;
        refused.is_error(503, "shutting_down");
        assert_eq!(refused.retry_after(), Some(5));
    }
    let drained = tokio::time::timeout(Duration::from_millis(200), server.drained()).await;
    assert!(drained.is_err(), "a push is under way");
    tx.commit().await.unwrap();
    server.drained().await;
    let answer = push.await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(notes::title(&cloud, "held").await.as_deref(), Some("in the end"));
}

#[apply(on_each_database!)]
async fn one_token_ends_the_listener_and_the_server() {
    let cloud = notes::replica("cloud").await;
    let stop = CancellationToken::new();
    let server = SyncServer::builder(&cloud)
        .shutdown(stop.clone())
        .allow_anonymous()
        .build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sync", listener.local_addr().unwrap());
    let app = Router::new().nest("/sync", server.router());
    let until = stop.clone().cancelled_owned();
    let served = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(until).await });
    assert_eq!(send(&format!("{url}/pull"), &pull_body()).await.status, 200);
    let tx = hold(&cloud).await;
    let push = tokio::spawn(Answer::to(
        request(&format!("{url}/push")).body(push_of("in the end").to_string()),
    ));
    tokio::time::sleep(Duration::from_millis(200)).await;

    stop.cancel();
    tx.commit().await.unwrap();

    assert_eq!(push.await.unwrap().status, 200);
    served.await.unwrap().unwrap();
    server.drained().await;
    assert!(request(&format!("{url}/pull")).send().await.is_err(), "nobody listens");
}
