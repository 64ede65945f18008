//! Who is here, and what they are doing: a cursor, a name, a selection, by topic. Kept in memory only, and gone with the
//! node that said it.
//!
//! ```
//! use grove_crdt::Replica;
//! use serde_json::json;
//!
//! # async fn example(replica: &Replica) -> Result<(), grove_crdt::Error> {
//! let presences = replica.presence();
//! let mut others = presences.subscribe("documents:doc-1");
//! let here = presences.join("documents:doc-1", json!({ "name": "Ada", "line": 1 }))?;
//! here.update(json!({ "name": "Ada", "line": 2 }))?;
//! while let Some(item) = others.next().await {
//!     println!("{item:?}");
//! }
//! drop(here); // leaves
//! # Ok(())
//! # }
//! ```
//!
//! A presence is what one *node* tells under one *topic*, such as `documents:doc-1`. It rests on *claims*:
//!
//! - what this replica's own program says ([`Presences::join`]) stands until its guard is dropped;
//! - what a node posts here itself stands for the [TTL](PresenceLimits::ttl) unless it is posted again, and no longer than
//!   the last of the node's stream connections, if it has any;
//! - what a peer's stream tells of others stands as long as the stream.
//!
//! A presence is there as long as one claim is. Of several, the one that came the shortest way shows, then the newest.
//! Every presence that was passed on names the nodes it came by (`via`), and goes to none of them: so a presence that has
//! left can't live on in two nodes that tell each other of it.
//!
//! Every subscriber is given all that is there, then every event, in order. One that falls behind costs no memory: it is
//! given all that is there anew.

mod board;
mod claim;
mod connection;
mod data;
mod expiry;
mod filter;
mod guard;
mod item;
mod limits;
mod presences;
mod refused;
mod relay;
#[cfg(feature = "openapi")]
mod schema;
mod state;
mod subscription;

pub(crate) use board::Board;
pub(crate) use connection::Connection;
pub use data::PresenceData;
pub(crate) use filter::{Filter, table};
pub use guard::PresenceGuard;
pub use item::{Presence, PresenceEvent, PresenceItem, PresenceKind, PresenceSnapshot};
pub use limits::PresenceLimits;
pub use presences::Presences;
pub(crate) use refused::Refused;
pub use relay::PresenceRelay;
#[cfg(feature = "openapi")]
pub(crate) use schema::{Topic, said};
pub use subscription::PresenceSubscription;

#[cfg(test)]
mod tests;
