//! `GET /metrics`: what Prometheus is told.

use std::time::Instant;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::prometheus_text::CONTENT_TYPE as PROMETHEUS_TEXT,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{
    error::Error,
    replica::{Durations, durations, metrics},
    server::{SyncServer, error::ErrorAnswer, incoming::Caller},
    sync::Refusal,
};

/// The routes that are counted each by its name; anything else is counted as `other`.
const ROUTES: [&str; 7] = [
    "/pull",
    "/push",
    "/stream",
    "/presence",
    "/health",
    "/metrics",
    "/openapi.json",
];

/// What is counted of requests.
#[derive(Debug)]
pub(super) struct Meters {
    answers: Family<[(&'static str, String); 2], Counter>,
    durations: Durations<[(&'static str, &'static str); 1]>,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            answers: Family::default(),
            durations: durations(),
        }
    }
}

/// `GET /metrics`
pub(super) async fn show(State(server): State<SyncServer>, Caller { peer }: Caller) -> Result<Response, ErrorAnswer> {
    if !peer.sees_metrics() {
        return Err(ErrorAnswer::forbidden(
            "this peer may not see metrics; the server says who does, by `Peer::may_see_metrics`",
        ));
    }
    let asked = server.clone();
    let metrics = async move { asked.metrics().await.map_err(Refusal::from) };
    let text = server.running().to_the_end(metrics).await?;
    Ok(([(CONTENT_TYPE, PROMETHEUS_TEXT)], text).into_response())
}

impl SyncServer {
    /// What `GET /metrics` answers, for those who show it in another place: the [replica's metrics](crate::Replica::metrics), and
    ///
    /// | metric | |
    /// |---|---|
    /// | `grove_crdt_requests_total{route,status}` | requests answered |
    /// | `grove_crdt_request_seconds{route}` | how long it took until they were; of a stream, until it began |
    /// | `grove_crdt_streams` | streams that are open |
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn metrics(&self) -> Result<String, Error> {
        let mut registry = Registry::default();
        self.replica().register_metrics(&mut registry).await?;
        let own = registry.sub_registry_with_prefix(metrics::PREFIX);
        let meters = self.meters();
        own.register(
            "requests",
            "Requests answered, by route and status",
            meters.answers.clone(),
        );
        own.register_with_unit(
            "request",
            "How long it took until requests were answered; of a stream, until it began",
            Unit::Seconds,
            meters.durations.clone(),
        );
        let streams: Gauge = Gauge::default();
        streams.set(i64::try_from(self.streams().count()).unwrap_or(i64::MAX));
        own.register("streams", "Streams that are open", streams);
        Ok(metrics::text(&registry))
    }
}

/// Counts a request, and how long its answer took.
pub(super) async fn measure(State(server): State<SyncServer>, request: Request, next: Next) -> Response {
    let route = ROUTES.into_iter().find(|route| *route == request.uri().path());
    let route = route.unwrap_or("other");
    let begun = Instant::now();
    let response = next.run(request).await;
    server.meters().note(route, response.status(), begun);
    response
}

impl Meters {
    fn note(&self, route: &'static str, status: StatusCode, begun: Instant) {
        let labels = [("route", route.to_owned()), ("status", status.as_str().to_owned())];
        self.answers.get_or_create(&labels).inc();
        self.durations
            .get_or_create(&[("route", route)])
            .observe(begun.elapsed().as_secs_f64());
    }
}
