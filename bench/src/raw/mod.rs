//! The baseline without an ORM: prepared statements through rusqlite, on the very rows that a replica has.
//!
//! What a replica's file holds after it has done something is read back, whatever its shadow looks like, and a [`Script`] is
//! made that writes or reads just that.

mod script;
mod scripts;
mod table;

pub(crate) use script::Script;
pub(crate) use scripts::{creates, extracts, inserts, reads, updates};
