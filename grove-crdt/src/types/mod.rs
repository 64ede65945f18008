//! The algebra: what a replicated record is, and how two states of it become one.
//!
//! A record is a set of *cells*, the smallest things that merge alone. The head cell (field `""`) says whether the record
//! lives and holds the values it was born with; the other cells hold what changed since. Every merge is a join:
//! commutative, associative, idempotent. Nothing here does I/O or knows SQL.
//!
//! # Definitions
//!
//! - *Epoch*: the causal length of a record's life (1 born, 2 deleted, 3 born again). A higher epoch beats a lower one
//!   whatever the clocks say. Source: Yu, Elvinger, Ignat: *A Generic Undo Support for State-Based CRDTs*, 2019.
//! - *Contribution* of a birth: the cell that each value given at birth stands for: a write of an `lww` field at the
//!   birth's clock; an increment of the born node's total; an addition of each element of a set.
//! - *State of a field*: the join of the birth's contribution and the stored cells of the same epoch.
//!
//! # Invariants
//!
//! - A stored cell is the whole state of its place: birth's contribution joined in. When it says no more than the
//!   contribution alone, it is not stored. So one history has one representation, byte for byte.
//! - When two births of one epoch meet, the newer one stays and the older one's contributions become cells. Totals and
//!   elements of both count; of two `lww` values the newer stays.
//! - A cell of a lower epoch than the head's is gone; one of a higher epoch waits for its head.

mod altered;
mod birth;
mod cell;
mod counter;
mod encode;
mod json;
mod kind;
#[cfg(test)]
mod laws;
mod lww;
mod places;
mod record;
mod set;

pub(crate) use birth::{Birth, BirthValue, Head};
pub(crate) use cell::{Cell, CellKey, State};
pub(crate) use counter::Totals;
pub(crate) use encode::{
    BadBirth, birth_json, birth_member, birth_text, birth_values, check_birth, element_of_key, ordered_birth_text,
    parse_birth, parse_element, parse_totals, tags_json,
};
pub(crate) use json::{
    MAX_DEPTH, canonical, exact_i64, exact_u64, exact_u128, i64_json, is_same, is_too_deep, u64_json, u128_json,
};
pub use kind::Kind;
pub(crate) use record::{Change, Record};
pub(crate) use set::{Element, Tags, element_key};
