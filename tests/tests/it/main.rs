//! Integration tests through the public API.

mod http;
mod layers;
mod notes;
mod quickstart;
mod syncer;
