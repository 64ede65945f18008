//! The last-writer-wins register: the value with the higher clock stays.

use std::cmp::Ordering;

use serde_json::Value as Json;

use crate::{clock::Hlc, types::json};

/// Joins `other`, written at `other_hlc`, into `value`, written at `hlc`. Equal clocks occur between baselines, and
/// between writers that share a node id: the greater value wins, so that the outcome is the same everywhere.
pub(super) fn join(hlc: &mut Hlc, value: &mut Json, other_hlc: Hlc, other: Json) {
    let newer = match other_hlc.cmp(hlc) {
        Ordering::Less => false,
        Ordering::Equal => json::compare(&other, value).is_gt(),
        Ordering::Greater => true,
    };
    if newer {
        *hlc = other_hlc;
        *value = other;
    }
}
