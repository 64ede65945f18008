//! SeaORM tables that are written on many nodes at once, offline included, and come together again without losing a thing.
mod clock;
mod entity;
mod error;
pub mod hooks;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod replica;
mod store;
pub mod sync;
mod types;

pub use clock::{FakeClock, Hlc, NodeId, SystemClock, WallClock};
pub use entity::{Counter, CrdtEntity, OrSet};
pub use error::Error;
pub use grove_crdt_derive::Crdt;
pub use replica::*;
pub use sync::Change;
pub use types::Kind;
