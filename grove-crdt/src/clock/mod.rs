//! Hybrid logical time: what orders writes of different nodes.
//!
//! Every write is stamped with an [`Hlc`]: microseconds of the wall clock, a counter for writes within one microsecond
//! (or while the wall clock stands still or goes back), and the id of the node that wrote. A node's [`Clock`] never
//! repeats and never goes back.
//!
//! Source: Kulkarni, Demirbas, Madeppa, Avva, Leone: *Logical Physical Clocks and Consistent Snapshots in Globally
//! Distributed Databases*, 2014.

mod hlc;
mod hybrid;
mod node_id;
#[cfg(feature = "openapi")]
mod schema;
mod wall;

pub use hlc::Hlc;
#[cfg(feature = "openapi")]
pub(crate) use hlc::MAX_TS;
pub(crate) use hybrid::Clock;
pub use node_id::NodeId;
#[cfg(feature = "openapi")]
pub(crate) use schema::Writer;
pub use wall::{FakeClock, SystemClock, WallClock};
