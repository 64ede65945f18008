//! Ways to reach a peer: in the same process, and over HTTP.
//!
//! Each is a [`Transport`](crate::sync::Transport); whatever else can carry two requests can be one.

#[cfg(feature = "client")]
mod http;
mod memory;

#[cfg(feature = "client")]
pub use http::HttpTransport;
pub use memory::MemoryTransport;
