//! What most programs need: `use grove_crdt::prelude::*;`.

#[cfg(feature = "client")]
pub use crate::transport::HttpTransport;
pub use crate::{
    Counter, Crdt, Error, NodeId, OrSet, Replica,
    sync::{Peer, SyncError, SyncReport, Syncer, Transport},
    transport::MemoryTransport,
};
#[cfg(feature = "server")]
pub use crate::{Service, server::SyncServer};
