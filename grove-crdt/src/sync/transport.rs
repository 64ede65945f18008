//! How requests reach a peer.

use std::{fmt, pin::Pin};

use async_trait::async_trait;
use futures_util::Stream;

pub use crate::error::{TransportError, TransportErrorKind};
use crate::presence::PresenceItem;
use crate::sync::{
    NOT_SUPPORTED, PresenceRequest, PresenceResponse, PullRequest, PullResponse, PushRequest, PushResponse,
    StreamRequest, TopicPresences,
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

    /// This way as one that can also stream, if it can. A syncer that runs streams where it can, and polls elsewhere.
    fn streaming(&self) -> Option<&dyn StreamingTransport> {
        None
    }

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

/// A way to one peer over which it tells by itself what happens there. Return `Some(self)` from
/// [`Transport::streaming`] as well.
#[async_trait]
pub trait StreamingTransport: Transport {
    /// Opens a stream. It ends with an error, or when the peer ends it; whoever reads it opens another then. The first event
    /// comes at once, with no changes when there are none.
    async fn stream(&self, request: &StreamRequest) -> Result<EventStream, TransportError>;
}

/// What a peer tells, in its commit order.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<StreamEvent, TransportError>> + Send>>;

/// One piece of what a peer tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// Changes, as a pull would have answered them.
    Changes(PullResponse),
    /// Who is present, and what becomes of it.
    Presence(PresenceItem),
}

fn no_presence(peer: &str) -> TransportError {
    TransportError {
        peer: peer.to_owned(),
        kind: TransportErrorKind::Refused,
        code: Some(NOT_SUPPORTED.to_owned()),
        message: "the transport carries no presence".into(),
        retry_after: None,
    }
}
