//! A client that is told when to ask again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::any,
};
use grove_crdt::{
    Replica,
    server::SyncServer,
    sync::{PullRequest, PushRequest, RetryPolicy, StreamRequest, StreamingTransport as _, Syncer, Transport as _},
    transport::HttpTransport,
};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{pull_body, push_body, serve};
use crate::notes;

#[apply(on_each_database!)]
async fn every_request_tells_when_to_ask_again() {
    let full = async || {
        (
            StatusCode::TOO_MANY_REQUESTS,
            [("retry-after", "7")],
            r#"{"error":{"code":"rate_limited","message":"too often"}}"#,
        )
    };
    let way = HttpTransport::new(&serve(Router::new().fallback(any(full))).await).unwrap();
    let pull: PullRequest = serde_json::from_value(pull_body()).unwrap();
    let push: PushRequest = serde_json::from_value(push_body(&json!([]))).unwrap();
    let presence = serde_json::from_value(json!({ "node_id": "edge", "topics": {} })).unwrap();
    for error in [
        way.pull(&pull).await.unwrap_err(),
        way.push(&push).await.unwrap_err(),
        way.stream(&StreamRequest::default()).await.err().unwrap(),
        way.presence(&presence).await.unwrap_err(),
        way.presences("x").await.unwrap_err(),
    ] {
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)), "{error}");
        assert_eq!(error.code.as_deref(), Some("rate_limited"));
    }
}

/// A server that asks to be left alone for a second when it is first asked for something, and when it was asked for what.
#[derive(Clone, Debug)]
struct Shy {
    of: &'static str,
    asked: Arc<Mutex<Vec<(String, Instant)>>>,
}

const SECOND: Duration = Duration::from_secs(1);

impl Shy {
    async fn server(hub: &Replica, of: &'static str) -> (Self, HttpTransport) {
        let shy = Self {
            of,
            asked: Arc::default(),
        };
        let routes = SyncServer::builder(hub).allow_anonymous().router();
        let url = serve(routes.layer(from_fn_with_state(shy.clone(), Self::answer))).await;
        (shy, HttpTransport::new(&url).unwrap())
    }

    async fn answer(State(shy): State<Self>, request: Request, next: Next) -> Response {
        let path = request.uri().path().to_owned();
        if shy.note(&path) {
            return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")]).into_response();
        }
        next.run(request).await
    }

    /// Whether this is the first time that it is asked for what it is shy of.
    fn note(&self, path: &str) -> bool {
        let mut asked = self.asked.lock().unwrap();
        let first = path.ends_with(self.of) && !asked.iter().any(|(other, _)| other == path);
        asked.push((path.to_owned(), Instant::now()));
        first
    }

    /// How long after the refusal it was asked again, for the same or for `any` thing.
    fn left_alone(&self, any: bool) -> Duration {
        let asked = self.asked.lock().unwrap();
        let refused = asked
            .iter()
            .position(|(path, _)| path.ends_with(self.of))
            .expect("a refusal");
        let (path, at) = &asked[refused];
        let mut later = asked[refused + 1..].iter().filter(|(other, _)| any || other == path);
        let (_, again) = later.next().expect("another request");
        again.duration_since(*at)
    }
}

/// One that would lose no time.
fn hasty(attempts: u32) -> RetryPolicy {
    let pause = Duration::from_millis(1);
    RetryPolicy::default()
        .attempts(attempts)
        .first_pause(pause)
        .max_pause(pause)
}

#[apply(on_each_database!)]
async fn a_round_waits_as_long_as_it_is_asked_to() {
    for of in ["/pull", "/push"] {
        let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
        notes::write(&edge, "a", "x").await;
        let (shy, way) = Shy::server(&hub, of).await;
        let syncer = Syncer::builder(&edge).peer(way).retry(hasty(2)).build().unwrap();
        syncer.sync().await.unwrap();
        assert!(shy.left_alone(true) >= SECOND, "{shy:?}");
        assert_eq!(notes::title(&hub, "a").await.as_deref(), Some("x"));
    }
}

/// Keeps up until a note of either side has come to the other.
async fn keep_up(hub: &Replica, edge: &Replica, way: HttpTransport) {
    let syncer = Syncer::builder(edge).peer(way).retry(hasty(1));
    let syncer = syncer.interval(Duration::from_millis(200)).build().unwrap();
    notes::write(hub, "of-hub", "x").await;
    notes::write(edge, "of-edge", "x").await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { syncer.run(stop).await }
    });
    while notes::title(hub, "of-edge").await.is_none() || notes::title(edge, "of-hub").await.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    running.await.unwrap();
}

#[apply(on_each_database!)]
async fn a_failed_round_leaves_the_peer_alone_with_everything() {
    for of in ["/pull", "/push"] {
        let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
        let (shy, way) = Shy::server(&hub, of).await;
        keep_up(&hub, &edge, way).await;
        assert!(shy.left_alone(true) >= SECOND, "{shy:?}");
    }
}

/// That there is no room for a stream is no reason not to pull and push.
#[apply(on_each_database!)]
async fn a_refused_stream_is_left_alone_by_itself() {
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let (shy, way) = Shy::server(&hub, "/stream").await;
    let syncer = Syncer::builder(&edge).peer(way).retry(hasty(1));
    let syncer = syncer.interval(Duration::from_millis(100)).build().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { syncer.run(stop).await }
    });
    let streams = || {
        shy.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|(path, _)| path.ends_with("/stream"))
            .count()
    };
    while streams() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    running.await.unwrap();
    assert!(shy.left_alone(false) >= SECOND, "{shy:?}");
    assert!(shy.left_alone(true) < shy.left_alone(false), "{shy:?}");
}
