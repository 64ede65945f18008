use std::time::Duration;

use axum::Router;
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    replica::Replica,
    server::{AllowAnonymous, Authenticator, BearerTokens, Limits, SyncServer, cors, router::Settings},
    sync::Peer,
};

/// How long a stream may be silent, unless set otherwise.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Stands for the authenticator until one is chosen.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NoAuthenticator;

/// Makes a [`SyncServer`]; see [`SyncServer::builder`].
///
/// There is no [`router`](Self::router) until it is decided who may sync:
///
/// ```compile_fail
/// # fn example(replica: grove_crdt::Replica) {
/// grove_crdt::server::SyncServer::builder(&replica).router();
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct SyncServerBuilder<A = NoAuthenticator> {
    settings: Settings,
    authenticator: A,
}

impl SyncServerBuilder {
    pub(super) fn new(replica: &Replica) -> Self {
        Self {
            settings: Settings {
                replica: replica.clone(),
                limits: Limits::default(),
                shutdown: CancellationToken::new(),
                cors: None,
                keep_alive: KEEP_ALIVE,
            },
            authenticator: NoAuthenticator,
        }
    }

    /// Lets in who sends one of these tokens as `Authorization: Bearer …`. [Bind](Peer::bound_to) each peer to its node
    /// id, so that none asks in another's name. What a peer passes on may be of any node all the same: whoever may push
    /// is trusted with every replicated table.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an empty token, and for two equal ones.
    pub fn bearer_tokens<T: AsRef<str>>(
        self,
        tokens: impl IntoIterator<Item = (T, Peer)>,
    ) -> Result<SyncServerBuilder<BearerTokens>, Error> {
        Ok(self.authenticator(BearerTokens::new(tokens)?))
    }

    /// Lets in everybody, for any node id.
    pub fn allow_anonymous(self) -> SyncServerBuilder<AllowAnonymous> {
        self.authenticator(AllowAnonymous)
    }

    /// Lets in whom an authenticator of your own names, such as a closure over the request's head; see [`Authenticator`].
    pub fn authenticator<A: Authenticator>(self, authenticator: A) -> SyncServerBuilder<A> {
        SyncServerBuilder {
            settings: self.settings,
            authenticator,
        }
    }
}

impl<A> SyncServerBuilder<A> {
    pub(crate) fn replica(&self) -> &Replica {
        &self.settings.replica
    }

    /// How much is taken and given at once; see [`Limits`] for what holds unless set.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// After how long a stream that had nothing to tell sends a comment, so that neither side nor anything between takes it
    /// for broken; 15 seconds, unless set. Clients give up after three times as long.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.settings.keep_alive = interval;
        self
    }

    /// The token that tells the server to end. Once it is cancelled, new requests are answered with 503, streams end, and
    /// what is under way is finished, which [`SyncServer::drained`] waits for:
    ///
    /// ```no_run
    /// use grove_crdt::{Replica, server::SyncServer};
    /// use tokio_util::sync::CancellationToken;
    ///
    /// # async fn example(replica: Replica, listener: tokio::net::TcpListener) -> std::io::Result<()> {
    /// let stop = CancellationToken::new();
    /// let sync = SyncServer::builder(&replica).shutdown(stop.clone()).allow_anonymous().build();
    /// let app = axum::Router::new().nest("/sync", sync.router());
    /// // Whoever cancels `stop` ends both.
    /// axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await?;
    /// sync.drained().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(mut self, token: CancellationToken) -> Self {
        self.settings.shutdown = token;
        self
    }

    /// Lets web pages of these origins sync, such as `https://app.example`; no page may, unless set. What the protocol
    /// needs is allowed: its methods, its headers, a token in `Authorization`, and no cookies. For anything else, put a
    /// layer of your own around the routes.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what no browser would send as an origin.
    pub fn cors_origins(mut self, origins: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        self.settings.cors = Some(cors::allow(origins)?);
        Ok(self)
    }
}

impl<A: Authenticator> SyncServerBuilder<A> {
    /// The server's routes, to nest anywhere.
    pub fn router(self) -> Router {
        self.build().router()
    }

    /// The server, for those who want more of it than its routes.
    pub fn build(self) -> SyncServer {
        SyncServer::new(self.settings, self.authenticator)
    }
}
