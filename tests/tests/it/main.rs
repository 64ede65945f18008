//! Integration tests through the public API.

mod smoke;
