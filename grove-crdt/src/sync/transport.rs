//! How requests reach a peer.

use std::fmt;

use async_trait::async_trait;

use crate::sync::{PullRequest, PullResponse, PushRequest, PushResponse};

/// A way to one peer. Object safe; implement it to carry the protocol over something else.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// The peer's name, by which its cursors are remembered: for HTTP, its URL.
    fn name(&self) -> &str;

    /// Asks for changes.
    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError>;

    /// Delivers changes.
    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError>;
}

/// Why a request had no answer that could be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("peer `{peer}`: {message}")]
pub struct TransportError {
    /// The peer's name.
    pub peer: String,
    /// What happened, and whether it can pass.
    pub kind: TransportErrorKind,
    /// The answer's code, when the peer answered with an error.
    pub code: Option<String>,
    /// For people.
    pub message: String,
}

/// What kind of failure a [`TransportError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection, no answer in time, or an answer of 429 or 5xx: try again.
    Unavailable,
    /// The peer refused the request as such: not authenticated, not allowed, malformed, another protocol version. Trying
    /// again the same way is of no use.
    Refused,
    /// The answer is not of the protocol's form.
    Garbled,
}

impl TransportError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn can_pass(&self) -> bool {
        self.kind == TransportErrorKind::Unavailable
    }
}
