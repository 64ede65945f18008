use std::{any::Any, fmt, sync::Arc, time::Duration};

use axum::{
    Router,
    http::request::Parts,
    middleware::from_fn_with_state,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, cors::CorsLayer};

use crate::{
    replica::Replica,
    server::{
        Authenticator, Limits, SyncServerBuilder,
        error::ErrorAnswer,
        health::{Health, health},
        identify::Door,
        metrics::{self, Meters},
        presence,
        pull::pull,
        push::push,
        running::{self, Running},
        stream::stream,
        streams::Streams,
        turns::Turns,
    },
    sync::Peer,
};

/// Answers pulls, pushes, streams and presence over HTTP; see the [module](crate::server) for the routes.
#[derive(Clone)]
pub struct SyncServer(Arc<Inner>);

struct Inner {
    replica: Replica,
    door: Door,
    running: Running,
    streams: Streams,
    turns: Turns,
    limits: Limits,
    cors: Option<CorsLayer>,
    keep_alive: Duration,
    health: Health,
    meters: Meters,
}

/// What a server is made with, but for who may sync.
#[derive(Debug)]
pub(super) struct Settings {
    pub replica: Replica,
    pub limits: Limits,
    pub shutdown: CancellationToken,
    pub cors: Option<CorsLayer>,
    pub keep_alive: Duration,
}

impl SyncServer {
    /// A server of `replica`. Choose who may sync, then take the [`router`](SyncServerBuilder::router).
    pub fn builder(replica: &Replica) -> SyncServerBuilder {
        SyncServerBuilder::new(replica)
    }

    pub(super) fn new(settings: Settings, authenticator: impl Authenticator) -> Self {
        let Settings {
            replica,
            limits,
            shutdown,
            cors,
            keep_alive,
        } = settings;
        let running = Running::new(shutdown, limits.answer_timeout);
        Self(Arc::new(Inner {
            door: Door::new(authenticator, &limits),
            streams: Streams::new(&limits, &running),
            turns: Turns::new(&limits),
            replica,
            running,
            limits,
            cors,
            keep_alive,
            health: Health::default(),
            meters: Meters::default(),
        }))
    }

    /// The server's routes, to nest anywhere.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            .route("/pull", post(pull))
            .route("/push", post(push))
            .route("/stream", get(stream))
            .route("/presence", post(presence::tell).get(presence::ask))
            .route("/metrics", get(metrics::show))
            .route_layer(from_fn_with_state(self.clone(), running::count))
            // Not counted: it tells of the server's end.
            .route("/health", get(health));
        #[cfg(feature = "openapi")]
        let routes = routes.route("/openapi.json", get(crate::server::openapi::serve));
        let routes = routes
            .method_not_allowed_fallback(async || ErrorAnswer::method_not_allowed())
            .fallback(async || ErrorAnswer::not_found())
            .layer(CatchPanicLayer::custom(panicked))
            .layer(CompressionLayer::new())
            .layer(from_fn_with_state(self.clone(), metrics::measure))
            .with_state(self.clone());
        match &self.0.cors {
            Some(cors) => routes.layer(cors.clone()),
            None => routes,
        }
    }

    /// Waits until the server was told to end, by the token given to [`shutdown`](SyncServerBuilder::shutdown), and has:
    /// until every request is answered, every push merged, also those whose askers are gone, and every stream closed. Only
    /// then close the database. Without such a token, it waits for ever.
    pub async fn drained(&self) {
        self.0.running.drained().await;
    }

    /// Names the peer that a request comes from.
    ///
    /// # Errors
    ///
    /// Whoever asks is not known, or asks too often.
    pub(super) async fn identify(&self, head: &Parts) -> Result<Peer, ErrorAnswer> {
        self.0.door.identify(head).await
    }

    pub(super) fn replica(&self) -> &Replica {
        &self.0.replica
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// How long a stream may be silent.
    pub(super) fn keep_alive(&self) -> Duration {
        self.0.keep_alive
    }

    pub(super) fn health(&self) -> &Health {
        &self.0.health
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// What is under way.
    pub(super) fn running(&self) -> &Running {
        &self.0.running
    }

    /// Cancelled when the server is to end; streams end then.
    pub(super) fn shutdown_token(&self) -> &CancellationToken {
        self.0.running.shutdown()
    }

    /// Whose turn it is, of large bodies.
    pub(super) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    /// The streams that are open.
    pub(super) fn streams(&self) -> &Streams {
        &self.0.streams
    }
}

/// A panic is answered like every other failure, rather than by closing the connection.
#[expect(clippy::needless_pass_by_value, reason = "the layer gives it away")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    ErrorAnswer::panicked(&*panic).into_response()
}

impl fmt::Debug for SyncServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncServer")
            .field("replica", &self.0.replica)
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}
