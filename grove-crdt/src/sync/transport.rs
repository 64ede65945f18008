//! How requests reach a peer.

use std::fmt;

use async_trait::async_trait;

pub use crate::error::{TransportError, TransportErrorKind};
use crate::sync::{
    NOT_SUPPORTED, PresenceRequest, PresenceResponse, PullRequest, PullResponse, PushRequest, PushResponse,
    TopicPresences,
};

/// A way to one peer. Object safe; implement it to carry the protocol over something else, with the `async-trait`
/// crate. The other end answers with [`respond`](crate::sync::respond).
///
/// An error's kind decides what a syncer does: it tries again what is [`Unavailable`](TransportErrorKind::Unavailable),
/// and nothing else. The code `too_large` makes it send, or ask for, less at once.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// The peer's name, by which its cursors are remembered: for HTTP, its URL. It should stay the same from one start
    /// of the program to the next.
    fn name(&self) -> &str;

    /// Asks for changes.
    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError>;

    /// Delivers changes.
    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError>;

    /// Tells who is present. A transport that carries none need not have it.
    async fn presence(&self, request: &PresenceRequest) -> Result<PresenceResponse, TransportError> {
        let _ = request;
        Err(no_presence(self.name()))
    }

    /// Asks who is present under a topic. A transport that carries none need not have it.
    async fn presences(&self, topic: &str) -> Result<TopicPresences, TransportError> {
        let _ = topic;
        Err(no_presence(self.name()))
    }
}

fn no_presence(peer: &str) -> TransportError {
    TransportError {
        peer: peer.to_owned(),
        kind: TransportErrorKind::Refused,
        code: Some(NOT_SUPPORTED.to_owned()),
        message: "the transport carries no presence".into(),
    }
}
