use compact_str::CompactString;
use serde_json::Value as Json;

use crate::{
    clock::{Hlc, NodeId},
    types::{Element, Kind, Totals, lww},
};

/// Where a cell stands within its record. The head has neither field nor cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CellKey {
    // Mostly as short as they can be within a key, with no place of their own to be given out and back.
    pub field: CompactString,
    pub cell: CompactString,
}

impl CellKey {
    pub(crate) fn new(field: impl Into<CompactString>, cell: impl Into<CompactString>) -> Self {
        Self {
            field: field.into(),
            cell: cell.into(),
        }
    }
}

/// A cell of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    /// The epoch of the record that the cell belongs to.
    pub epoch: u32,
    /// The newest clock value in the state.
    pub hlc: Hlc,
    pub state: State,
}

/// What a cell of each kind holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    Lww(Json),
    Counter(Totals),
    Set(Element),
}

impl State {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Lww(_) => Kind::Lww,
            Self::Counter(_) => Kind::Counter,
            Self::Set(_) => Kind::Set,
        }
    }
}

impl Cell {
    /// Joins `other` into this cell. `key` is the cell's key within its field.
    pub(super) fn join(&mut self, key: &str, other: Self) {
        if other.epoch != self.epoch {
            if other.epoch > self.epoch {
                *self = other;
            }
            return;
        }
        match (&mut self.state, other.state) {
            (State::Lww(value), State::Lww(theirs)) => {
                lww::join(&mut self.hlc, value, other.hlc, theirs);
                return;
            }
            (State::Counter(totals), State::Counter(theirs)) => {
                *totals = if NodeId::is_baseline_text(key) {
                    totals.join_baseline(theirs)
                } else {
                    totals.join(theirs)
                };
            }
            (State::Set(element), State::Set(theirs)) => element.join(theirs),
            // A field has one kind, checked on entry; the order of kinds keeps even this a join.
            (mine, theirs) => {
                if theirs.kind() > mine.kind() {
                    self.state = theirs;
                    self.hlc = other.hlc;
                }
                return;
            }
        }
        if other.hlc > self.hlc {
            self.hlc = other.hlc;
        }
    }
}
