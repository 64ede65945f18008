//! Who asks.

use async_trait::async_trait;
use axum::http::request::Parts;

use crate::sync::Peer;

/// Names the peer that a request comes from, before its body is read.
///
/// A closure from the request's head to a future is one. What the future needs of the head is taken out before:
///
/// ```
/// use axum::http::request::Parts;
/// use grove_crdt::{server::{AuthError, Authenticator}, sync::Peer};
///
/// fn by_api_key() -> impl Authenticator {
///     |head: &Parts| {
///         let key = head.headers.get("x-api-key").cloned();
///         async move {
///             match key {
///                 Some(key) if key == "secret" => Ok(Peer::new("edge")),
///                 _ => Err(AuthError::Unauthenticated("send your key as `x-api-key`".into())),
///             }
///         }
///     }
/// }
/// # let _ = by_api_key();
/// ```
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "a sync server has to know who may sync",
    label = "not an authenticator",
    note = "choose one with `.bearer_tokens(…)`, `.authenticator(…)` or `.allow_anonymous()`"
)]
pub trait Authenticator: Send + Sync + 'static {
    /// Names the peer.
    ///
    /// # Errors
    ///
    /// The request is refused.
    async fn authenticate(&self, head: &Parts) -> Result<Peer, AuthError>;
}

#[async_trait]
impl<F, A> Authenticator for F
where
    F: Fn(&Parts) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Peer, AuthError>> + Send + 'static,
{
    async fn authenticate(&self, head: &Parts) -> Result<Peer, AuthError> {
        self(head).await
    }
}

/// Why an [`Authenticator`] refuses a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The request does not say who it is from, or can't prove it: 401. The text is part of the answer.
    #[error("{0}")]
    Unauthenticated(String),
    /// It is known who it is from, and they may not sync: 403. The text is part of the answer.
    #[error("{0}")]
    Forbidden(String),
    /// It could not be found out: 500. The cause is logged, and not told.
    #[error("the peer can't be authenticated")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Takes everybody in, for any node id: for networks whose every member may read and write everything.
///
/// Nobody is named, so what [`Limits`](crate::server::Limits) say of one peer holds for none. To let in whoever comes from
/// a network that is not trusted so far, name them by their address in an [`Authenticator`] of your own.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct AllowAnonymous;

#[async_trait]
impl Authenticator for AllowAnonymous {
    async fn authenticate(&self, _head: &Parts) -> Result<Peer, AuthError> {
        Ok(Peer::anonymous())
    }
}
