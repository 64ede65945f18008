//! The description of the routes, and whether they are as it says. What other tests get for an answer is held against it as
//! well: see `Answer::to`.

use std::time::Duration;

use futures_util::StreamExt as _;
use grove_crdt::{
    Replica,
    prelude::*,
    presence::PresenceItem,
    server::SyncServer,
    sync::{EventStream, Peer, StreamEvent, StreamRequest, StreamingTransport as _},
};
use grove_crdt_tests::{entities::document, replica_of};
use reqwest::Client;
use sea_orm::{ActiveValue::Set, EntityTrait as _};
use serde_json::{Value as Json, json};

use super::{guarded_server, serve, tokens};
use crate::described::{DOCUMENT, watched};

#[tokio::test]
async fn the_description_is_told_to_anybody_beside_the_routes() {
    let (_, url) = guarded_server().await;
    let answer = Client::new().get(format!("{url}/openapi.json")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let text = answer.text().await.unwrap();
    assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), *DOCUMENT);
}

/// A document with this id, with something in every field.
async fn write(replica: &Replica, id: &str, views: i64) {
    let document = document::ActiveModel {
        id: Set(id.to_owned()),
        title: Set("at first".to_owned()),
        view_count: Set(views),
        tags: Set(OrSet::from(["one".to_owned(), "two".to_owned()])),
        author: Set(None),
    };
    document.insert(replica).await.unwrap();
}

/// A change of every kind.
async fn change(replica: &Replica, node: &str) {
    let id = |name: &str| format!("{name} of {node}");
    write(replica, &id("kept"), 0).await;
    write(replica, &id("gone"), 0).await;
    // More than a JSON number is exact for.
    write(replica, &id("popular"), i64::MAX).await;
    document::ActiveModel::increment_view_count(replica, &id("kept"), 3)
        .await
        .unwrap();
    document::ActiveModel::increment_view_count(replica, &id("popular"), -3)
        .await
        .unwrap();
    let kept = document::Entity::find_by_id(id("kept"))
        .one(replica)
        .await
        .unwrap()
        .unwrap();
    let mut tags = kept.tags.clone();
    tags.remove(&"one".to_owned());
    tags.insert("three".to_owned());
    let mut kept = document::ActiveModel::from(kept);
    (kept.title, kept.tags) = (Set("then".to_owned()), Set(tags));
    kept.update(replica).await.unwrap();
    document::Entity::delete_by_id(id("gone")).exec(replica).await.unwrap();
}

/// The next event of a stream.
async fn next(events: &mut EventStream) -> StreamEvent {
    let next = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
    next.expect("an event").expect("a stream").expect("no error")
}

#[tokio::test]
async fn what_a_client_sends_and_is_told_is_as_described() {
    let hub = replica_of::<document::Entity>("hub").await;
    let edge = replica_of::<document::Entity>("edge").await;
    let server = SyncServer::builder(&hub).bearer_tokens(tokens([Peer::new("edge")]));
    let (routes, log) = watched(server.unwrap().router());
    let url = serve(routes).await;
    // What is compressed can't be looked at.
    let way = HttpTransport::new(&url).unwrap().compress(false);
    let way = way.bearer_token("edge-token").unwrap();
    change(&hub, "hub").await;
    change(&edge, "edge").await;

    // Both ways, and once more with a cursor.
    let syncer = Syncer::builder(&edge).peer(way.clone()).build().unwrap();
    for _ in 0..2 {
        let report = syncer.sync().await.unwrap();
        assert_eq!(report.rejected, 0, "{report}");
    }
    assert!(log.count("POST /pull") >= 2 && log.count("POST /push") >= 1, "{log:?}");

    let said =
        json!({ "node_id": "edge", "replica_id": edge.replica_id(), "topics": { "lobby": { "x": [1] }, "x": null } });
    way.presence(&serde_json::from_value(said).unwrap()).await.unwrap();
    way.presences("lobby").await.unwrap();
    assert_eq!((log.count("POST /presence"), log.count("GET /presence")), (1, 1));

    let mut events = way
        .stream(&StreamRequest {
            tables: vec!["documents".to_owned()],
            node_id: Some("edge".parse().unwrap()),
            replica_id: Some(edge.replica_id().to_owned()),
            limit: Some(10),
            topics: Some(vec!["lobby".to_owned(), "documents:1".to_owned()]),
            ..StreamRequest::default()
        })
        .await
        .unwrap();
    let here = hub.presence().join("lobby", "hello").unwrap();
    here.update("and").unwrap();
    drop(here);
    let mut kinds = Vec::new();
    while !kinds.contains(&"Leave".to_owned()) {
        kinds.push(match next(&mut events).await {
            StreamEvent::Presence(PresenceItem::Event(event)) => format!("{:?}", event.kind),
            StreamEvent::Presence(_) => "Snapshot".to_owned(),
            _ => "Changes".to_owned(),
        });
    }
    for kind in ["Changes", "Snapshot", "Join", "Update"] {
        assert!(kinds.contains(&kind.to_owned()), "{kind} is not among {kinds:?}");
    }
    assert!(
        log.count("event changes") >= 1 && log.count("event presence") >= 4,
        "{log:?}"
    );
    assert_eq!(log.wrong(), [""; 0]);
}
