//! Users' rows, written so that they agree with their records.
//!
//! Merges, retries of parked rows, adoptions and new fields call [`write_rows`] with the rows that records ask for, which are
//! locked. Whatever order the writer of the changes used, the final state is what counts: a row is parked only when the final state
//! of all rows breaks a rule of the database, and no row keeps others from being written.
//!
//! Most pages take a few statements ([`writer`]): writes parents first, then deletes, children first. What is refused that way,
//! though other rows of the page could make room for it, is written in steps that no order alone allows ([`rearrange`]): unique
//! values are given up before others take them, references wait until their parents are there.

mod along;
mod delete;
mod lift;
mod order;
mod orphans;
mod rearrange;
mod savepoint;
mod target;
mod vacate;
mod writer;

pub(super) use order::parents_first;
pub(crate) use target::RowTarget;
pub(crate) use writer::{RowWriter, write_rows};
