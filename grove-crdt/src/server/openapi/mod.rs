//! The routes as an OpenAPI document.
//!
//! The wire types say their own form: by derive, and by hand in a `schema.rs` beside them where a derive would not be true.
//! What is an error is taken from the answers that the server gives. `docs/openapi.json` in the repository is this document,
//! and the tests hold every answer that they get against it.
//!
//! It is the same for every server of this version, and says nothing of the one that serves it: no table, no peer, no limit
//! that was set. So it is told to anybody, as tools that read such documents expect.

mod document;
mod errors;
mod operations;
mod parameters;

pub use document::openapi;
pub(super) use document::serve;
