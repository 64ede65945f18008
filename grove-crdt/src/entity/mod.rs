//! What the derive says about an entity, and what the runtime makes of it.
//!
//! [`CrdtEntity`] is what `#[derive(Crdt)]` writes. A [`Table`] is its type-erased form, which everything below the
//! public API works with: rows are vectors of SeaORM values in column order, and [`codec`] gives each value its one JSON
//! form.

pub(crate) mod codec;
mod counter;
mod field;
pub(crate) mod key;
mod or_set;
mod origin;
mod registry;
mod table;

pub(crate) use codec::{is_unreadable, null_of};
pub use counter::{Counter, CounterField};
pub use field::{CrdtEntity, Field, LocalDefault, Operation, Remembered, SetStep};
pub use or_set::{OrSet, SetElement, SetOperationFallback, SetProbe};
pub(crate) use origin::note_relation;
pub(crate) use registry::Registry;
pub(crate) use table::{Column, Role, Row, Table};
