//! Joining the changes of one record into what is there.

use crate::{
    change::{Rejection, RejectionCode},
    clock::NodeId,
    replica::{incoming::Incoming, merge::MergeReport},
    types::{self, Record, State},
};

/// Joins the changes of one record, refusing those that can't be true, and tells which were taken. `node` is the one that
/// writes what is taken in place of altered changes.
pub(super) fn join<'a>(
    before: &Record,
    changes: &'a [Incoming],
    node: &NodeId,
    report: &mut MergeReport,
) -> (Record, Vec<&'a Incoming>) {
    let mut taken = Vec::with_capacity(changes.len());
    for incoming in changes {
        if let Some(message) = regression(before, &incoming.change) {
            let code = RejectionCode::CounterRegressed;
            report.rejected.push(Rejection::new(incoming.index, code, message));
            continue;
        }
        report.merged += 1;
        taken.push(incoming);
    }
    let mut after = before.clone();
    let unaltered = || taken.iter().filter(|incoming| incoming.altered.is_none());
    after.merge(unaltered().map(|incoming| incoming.change.clone()));
    // The others come last, so that what is made of them counts the writes that beat them.
    for incoming in &taken {
        if let Some(altered) = &incoming.altered {
            let with_original = after.merge_altered(&incoming.change, altered, node);
            report.conflicts += usize::from(lost(&with_original, &incoming.change));
        }
    }
    report.conflicts += unaltered().filter(|incoming| lost(&after, &incoming.change)).count();
    (after, taken)
}

/// Totals only grow. A node whose clock went on while its totals went back was set up anew under its old id.
fn regression(before: &Record, change: &types::Change) -> Option<String> {
    let types::Change::Cell(key, cell) = change else {
        return None;
    };
    let State::Counter(theirs) = &cell.state else {
        return None;
    };
    let mine = before.current(key)?;
    let State::Counter(known) = mine.state else { return None };
    let went_back = theirs.inc < known.inc || theirs.dec < known.dec;
    (went_back && mine.epoch == cell.epoch && cell.hlc > mine.hlc).then(|| {
        format!(
            "counter `{}` of node `{}` went back from +{} -{} to +{} -{}: the node lost its history and needs a new id",
            key.field, key.cell, known.inc, known.dec, theirs.inc, theirs.dec
        )
    })
}

/// Whether a change's own value is not what came of the merge.
fn lost(after: &Record, change: &types::Change) -> bool {
    match change {
        types::Change::Head(head) => after
            .head()
            .is_some_and(|mine| mine.epoch > head.epoch || mine.hlc > head.hlc),
        types::Change::Cell(key, cell) => {
            let older_life = after.epoch() > cell.epoch;
            let overwritten = matches!(cell.state, State::Lww(_)) && after.is_overwritten(&key.field, &cell.hlc);
            older_life || overwritten
        }
    }
}
