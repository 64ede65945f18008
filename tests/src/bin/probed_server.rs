//! A server for programs that probe it: documents in a new database, behind one token. It prints its URL, and serves until it
//! is killed.

use axum::Router;
use grove_crdt::{
    prelude::*,
    server::{Limits, SyncServer},
    sync::{Peer, respond},
};
use grove_crdt_tests::{connect, create_table, entities::document};
use sea_orm::ActiveValue::Set;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let [url, token] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .expect("the URL of a new database, and a token");
    let db = connect(&url).await;
    create_table(&db, document::Entity).await.expect("a new database");
    let replica = Replica::builder("hub")
        .entity::<document::Entity>()
        .open(db)
        .await
        .expect("a replica");
    for number in 1..=10 {
        write(&replica, number).await;
    }
    claim(&replica).await;
    // Whoever probes asks often, and fails often to say who it is.
    let limits = Limits::default().request_rate(None).failure_rate(None);
    let routes = SyncServer::builder(&replica)
        .limits(limits)
        .bearer_tokens([(token, Peer::new("prober").may_see_metrics())])
        .expect("a token")
        .router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("http://{}/sync", listener.local_addr().expect("its address"));
    let app = Router::new().nest("/sync", routes);
    axum::serve(listener, app).await.expect("a server");
}

/// Lets the node of the description's examples be that of the database in them, before anybody names it with another one.
async fn claim(replica: &Replica) {
    let description = serde_json::to_value(grove_crdt::server::openapi()).expect("a description");
    let example = "/paths/~1pull/post/requestBody/content/application~1json/example";
    let example = description.pointer(example).expect("an example").clone();
    let request = serde_json::from_value(example).expect("a pull");
    let pulled = respond::pull(replica, &Peer::anonymous(), &request).await;
    pulled.expect("an answer");
}

/// A document with something in every field.
async fn write(replica: &Replica, number: i64) {
    let document = document::ActiveModel {
        id: Set(format!("doc-{number}")),
        title: Set("Hello".to_owned()),
        view_count: Set(number),
        tags: Set(OrSet::from(["probed".to_owned()])),
        author: Set(None),
    };
    document.insert(replica).await.expect("a document");
    document::ActiveModel::increment_view_count(replica, format!("doc-{number}"), 1)
        .await
        .expect("a view");
}
