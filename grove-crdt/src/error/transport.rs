//! The failure of a way to a peer.

use std::time::Duration;

/// Why a request had no answer that could be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("peer `{peer}`: {message}")]
pub struct TransportError {
    /// The peer's name.
    pub peer: String,
    /// What happened, and whether it can pass.
    pub kind: TransportErrorKind,
    /// The answer's code, when the peer answered with an error; `too_large` also when the request or the answer is
    /// larger than the transport carries, upon which less is sent, or asked for, at once.
    pub code: Option<String>,
    /// For people.
    pub message: String,
    /// For how long the peer asks to be left alone, if it does.
    pub retry_after: Option<Duration>,
}

/// What kind of failure a [`TransportError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection, no answer in time, or an answer of 408, 429 or 5xx: try again.
    Unavailable,
    /// The peer refused the request as such: not authenticated, not allowed, malformed, another protocol version. Trying
    /// again the same way is of no use.
    Refused,
    /// The answer is not of the protocol's form, or larger than the asker reads. Trying again is of no use either.
    Garbled,
}

impl TransportError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn can_pass(&self) -> bool {
        self.kind == TransportErrorKind::Unavailable
    }
}
