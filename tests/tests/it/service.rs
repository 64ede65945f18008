//! Replication as one part of an application: it starts, serves, and stops with it.

use std::time::Duration;

use axum::{Router, routing::get};
use grove_crdt::{
    Error, Replica, Service,
    server::SyncServer,
    sync::{Peer, Syncer, SyncerBuilder},
    transport::{HttpTransport, MemoryTransport},
};
use reqwest::Client;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{live::PATIENCE, notes};

/// Serves an application with a service in it, until that stops.
async fn serve(service: &Service) -> (String, JoinHandle<()>) {
    let app = Router::new()
        .route("/", get(async || "the application's own"))
        .merge(service.router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let until = service.stopping();
    let served = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(until).await.unwrap() });
    (url, served)
}

fn syncer_to(replica: &Replica, url: &str) -> SyncerBuilder {
    let peer = HttpTransport::new(url)
        .unwrap()
        .named("hub")
        .bearer_token("secret")
        .unwrap();
    Syncer::builder(replica).peer(peer).interval(Duration::from_hours(1))
}

async fn comes_to(replica: &Replica, id: &str, title: &str) {
    let begun = Instant::now();
    while notes::title(replica, id).await.as_deref() != Some(title) {
        assert!(begun.elapsed() < PATIENCE, "{id} does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ends(service: &Service) {
    tokio::time::timeout(PATIENCE, service.stop())
        .await
        .expect("the service ends");
}

async fn status(url: &str) -> u16 {
    Client::new().get(url).send().await.unwrap().status().as_u16()
}

#[apply(on_each_database!)]
async fn it_serves_and_keeps_up_and_stops_with_the_application() {
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let server = SyncServer::builder(&hub)
        .bearer_tokens([("secret", Peer::new("edge"))])
        .unwrap();
    let cloud = Service::builder(&hub).server(server).start().unwrap();
    let (url, served) = serve(&cloud).await;
    let at_edge = Service::builder(&edge)
        .syncer(syncer_to(&edge, &format!("{url}/sync")))
        .start()
        .unwrap();

    notes::write(&hub, "down", "from the hub").await;
    notes::write(&edge, "up", "from the edge").await;
    comes_to(&edge, "down", "from the hub").await;
    comes_to(&hub, "up", "from the edge").await;
    assert_eq!(status(&url).await, 200, "the application's own routes are there");
    assert_eq!(status(&format!("{url}/sync/health")).await, 200);
    assert_eq!(status(&format!("{url}/sync/metrics")).await, 401);

    ends(&at_edge).await;
    notes::write(&hub, "later", "from the hub").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(notes::title(&edge, "later").await, None, "the syncer has stopped");

    ends(&cloud).await;
    served.await.unwrap();
    assert!(Client::new().get(&url).send().await.is_err(), "nobody listens");
    // Stopping twice is stopping.
    ends(&cloud).await;
}

#[apply(on_each_database!)]
async fn a_service_may_serve_and_sync_at_once() {
    let (top, middle, leaf) = (
        notes::replica("top").await,
        notes::replica("middle").await,
        notes::replica("leaf").await,
    );
    let server = SyncServer::builder(&middle)
        .bearer_tokens([("secret", Peer::new("leaf"))])
        .unwrap();
    let service = Service::builder(&middle)
        .syncer(Syncer::builder(&middle).peer(MemoryTransport::new(&top)))
        .server(server)
        .start()
        .unwrap();
    let (url, _served) = serve(&service).await;
    let below = Service::builder(&leaf)
        .syncer(syncer_to(&leaf, &format!("{url}/sync")))
        .start()
        .unwrap();
    notes::write(&top, "down", "from the top").await;
    comes_to(&leaf, "down", "from the top").await;
    notes::write(&leaf, "up", "from the leaf").await;
    comes_to(&top, "up", "from the leaf").await;
    ends(&below).await;
    ends(&service).await;
}

#[tokio::test]
async fn the_routes_are_where_they_are_asked_for() {
    let hub = notes::replica("hub").await;
    for (prefix, path) in [("/api/v1/crdt", "/api/v1/crdt/health"), ("", "/health")] {
        let server = SyncServer::builder(&hub).allow_anonymous();
        let service = Service::builder(&hub).server(server).prefix(prefix).start().unwrap();
        let (url, _served) = serve(&service).await;
        assert_eq!(status(&format!("{url}{path}")).await, 200, "{prefix:?}");
        assert_eq!(status(&format!("{url}/sync/health")).await, 404, "{prefix:?}");
        ends(&service).await;
    }
}

#[tokio::test]
async fn a_token_of_the_application_stops_it() {
    let hub = notes::replica("hub").await;
    let (stop, ignored) = (CancellationToken::new(), CancellationToken::new());
    let server = SyncServer::builder(&hub).shutdown(ignored).allow_anonymous();
    let service = Service::builder(&hub)
        .server(server)
        .shutdown(stop.clone())
        .start()
        .unwrap();
    let (url, served) = serve(&service).await;
    assert_eq!(status(&format!("{url}/sync/health")).await, 200);
    stop.cancel();
    served.await.unwrap();
    ends(&service).await;
}

#[tokio::test]
async fn what_makes_no_service_is_refused() {
    let (hub, other) = (notes::replica("hub").await, notes::replica("other").await);
    let server = |replica: &Replica| SyncServer::builder(replica).allow_anonymous();
    let syncer = |replica: &Replica| Syncer::builder(replica).peer(MemoryTransport::new(&other));
    let refused = [
        (Service::builder(&hub), "does nothing"),
        (
            Service::builder(&hub).server(server(&other)),
            "the server is of another replica",
        ),
        (
            Service::builder(&hub).syncer(syncer(&other)),
            "the syncer is of another replica",
        ),
        (
            Service::builder(&hub).syncer(Syncer::builder(&hub)),
            "a syncer needs a peer",
        ),
    ];
    let prefixes = ["sync", "/", "/sync/", "/{id}", "//sync", "/a?b", "/*"];
    let prefixed = prefixes.map(|prefix| (Service::builder(&hub).server(server(&hub)).prefix(prefix), "is no path"));
    for (builder, message) in refused.into_iter().chain(prefixed) {
        match builder.start() {
            Err(Error::Invalid(text)) => assert!(text.contains(message), "{text}"),
            other => panic!("{other:?}, not {message:?}"),
        }
    }
}
