//! What most programs need: `use grove_crdt::prelude::*;`.

#[cfg(feature = "server")]
pub use crate::server::SyncServer;
#[cfg(feature = "client")]
pub use crate::transport::HttpTransport;
pub use crate::{
    Counter, Crdt, NodeId, OrSet, Replica,
    sync::{Peer, SyncReport, Syncer, Transport},
    transport::MemoryTransport,
};
