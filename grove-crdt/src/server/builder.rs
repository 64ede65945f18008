use std::{sync::Arc, time::Duration};

use axum::Router;

use crate::{
    error::Error,
    replica::Replica,
    server::{AllowAnonymous, Authenticator, BearerTokens, Limits, SyncServer},
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
    replica: Replica,
    limits: Limits,
    keep_alive: Duration,
    authenticator: A,
}

impl SyncServerBuilder {
    pub(super) fn new(replica: &Replica) -> Self {
        Self {
            replica: replica.clone(),
            limits: Limits::default(),
            keep_alive: KEEP_ALIVE,
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
        let Self {
            replica,
            limits,
            keep_alive,
            authenticator: NoAuthenticator,
        } = self;
        SyncServerBuilder {
            replica,
            limits,
            keep_alive,
            authenticator,
        }
    }
}

impl<A> SyncServerBuilder<A> {
    /// How much is taken and given at once; see [`Limits`] for what holds unless set.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// After how long a stream that had nothing to tell sends a comment, so that neither side nor anything between takes it
    /// for broken; 15 seconds, unless set. Clients give up after three times as long.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }
}

impl<A: Authenticator> SyncServerBuilder<A> {
    /// The server's routes, to nest anywhere.
    pub fn router(self) -> Router {
        SyncServer::new(self.replica, self.limits, Arc::new(self.authenticator), self.keep_alive).router()
    }
}
