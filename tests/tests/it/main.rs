//! Integration tests through the public API.

mod layers;
mod smoke;
