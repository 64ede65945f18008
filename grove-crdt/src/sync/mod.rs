//! The exchange between replicas: what travels, who asks, who answers.
//!
//! A [`Syncer`] pulls a peer's changes page by page from where it stopped last time, merges them, and pushes its own.
//! The answering side is [`respond`], which knows no HTTP; a [`Transport`] carries requests there.

mod announcer;
mod builder;
mod code;
mod cursor;
mod feed;
mod fit;
mod letters;
mod line;
mod live;
mod local;
mod outgoing;
mod presence;
mod protocol;
mod pull;
mod push;
mod report;
pub mod respond;
mod retry;
mod round;
#[cfg(feature = "openapi")]
pub(crate) mod schema;
mod subscription;
mod syncer;
mod transport;
mod word;

pub(crate) use crate::store::peers::{PeerState, Position};
pub use crate::{
    change::{Change, Omitted, Rejection, RejectionCode},
    replica::{HookError, MergeEvent, OutboundPage, Peer, SyncHook},
};
pub use announcer::Announcer;
pub use builder::SyncerBuilder;
#[cfg(feature = "server")]
pub(crate) use code::BUSY;
pub use code::PROTOCOL_HEADER;
pub(crate) use code::{LIMIT_REACHED, NOT_SUPPORTED, TOO_LARGE};
pub use local::DeadLetter;
pub(crate) use local::{Direction, Kept, Letters, Retry};
pub use presence::{NodePresence, PresenceRequest, PresenceResponse, PresenceStream, TopicPresences};
pub use protocol::{
    ErrorBody, ErrorDetail, PROTOCOL_VERSION, PullRequest, PullResponse, PushRequest, PushResponse, PushedChange,
    StreamRequest,
};
pub use report::{PeerFailure, SyncError, SyncReport};
pub use respond::Refusal;
pub use retry::RetryPolicy;
pub use subscription::{StreamFrame, Subscription};
pub use syncer::Syncer;
pub use transport::{EventStream, StreamEvent, StreamingTransport, Transport, TransportError, TransportErrorKind};
