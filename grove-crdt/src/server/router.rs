use std::{fmt, sync::Arc};

use axum::{Router, routing::post};
use tower_http::compression::CompressionLayer;

use crate::{
    replica::Replica,
    server::{Authenticator, Limits, SyncServerBuilder, error::ErrorAnswer, presence, pull::pull, push::push},
};

/// Answers pulls, pushes and presence over HTTP; see the [module](crate::server) for the routes.
#[derive(Clone)]
pub struct SyncServer(Arc<Inner>);

struct Inner {
    replica: Replica,
    limits: Limits,
    authenticator: Arc<dyn Authenticator>,
}

impl SyncServer {
    /// A server of `replica`. Choose who may sync, then take the [`router`](SyncServerBuilder::router).
    pub fn builder(replica: &Replica) -> SyncServerBuilder {
        SyncServerBuilder::new(replica)
    }

    pub(super) fn new(replica: Replica, limits: Limits, authenticator: Arc<dyn Authenticator>) -> Self {
        Self(Arc::new(Inner {
            replica,
            limits,
            authenticator,
        }))
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/pull", post(pull))
            .route("/push", post(push))
            .route("/presence", post(presence::tell).get(presence::ask))
            .method_not_allowed_fallback(async || ErrorAnswer::method_not_allowed())
            .fallback(async || ErrorAnswer::not_found())
            .layer(CompressionLayer::new())
            .with_state(self)
    }

    pub(super) fn replica(&self) -> &Replica {
        &self.0.replica
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(super) fn authenticator(&self) -> &dyn Authenticator {
        &*self.0.authenticator
    }
}

impl fmt::Debug for SyncServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncServer")
            .field("replica", &self.0.replica)
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}
