//! The exchange between replicas: what travels, who asks, who answers.
//!
//! A [`Syncer`](crate::Syncer) pulls a peer's changes page by page from where it stopped last time, merges them, and pushes
//! its own. The answering side is [`respond`], which knows no HTTP; a [`Transport`] carries requests there.

mod cursor;
mod local;
mod protocol;
pub mod respond;
mod transport;

pub use local::DeadLetter;
pub(crate) use local::{Direction, PeerState, Position, Retry};
pub use protocol::{
    Change, ErrorBody, ErrorDetail, PROTOCOL_VERSION, PullRequest, PullResponse, PushRequest, PushResponse, Rejection,
    RejectionCode,
};
pub use transport::{Transport, TransportError, TransportErrorKind};
