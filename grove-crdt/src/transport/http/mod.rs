//! The protocol over HTTP, as the server of this crate speaks it.

mod answer;
mod events;
mod retry_after;
mod transport;

pub use transport::HttpTransport;
