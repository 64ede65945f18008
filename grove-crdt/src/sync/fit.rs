//! Answers that are no larger than their asker reads.

use crate::{
    change::{self, Omitted},
    clock::Hlc,
    sync::{Change, PullResponse},
};

/// What an answer has beside its changes, its cursor and who answers, in bytes: names, the newest clock value, and what stands
/// around an event of a stream.
const AROUND: usize = 384;

/// What becomes of the changes of a page.
#[derive(Debug)]
pub(super) enum Fitted {
    /// The answer.
    Whole(PullResponse),
    /// No more than so many of them fit. At least one, and not all.
    Only(usize),
}

/// The answer with these changes, of which those that are too large alone are named only. `answer` is without changes. A single
/// change makes an answer whatever it takes, so that every page gets further.
pub(super) fn fit(answer: PullResponse, changes: Vec<Change>, max_bytes: Option<usize>) -> Fitted {
    let Some(max_bytes) = max_bytes else {
        return Fitted::Whole(with(answer, changes, Vec::new()));
    };
    // The cursor is also the id of an event.
    let room = max_bytes.saturating_sub(change::size(&answer) + answer.cursor.len() + AROUND);
    // Mostly there is room, and no need to count exactly.
    let at_most = changes.iter().map(Change::at_most).fold(0, usize::saturating_add);
    if at_most <= room {
        return Fitted::Whole(with(answer, changes, Vec::new()));
    }
    let mut taken = 0_usize;
    let mut omitted = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let mut bytes = change::size(change);
        if bytes > room {
            let notice = Omitted::of(change, bytes);
            bytes = change::size(&notice);
            omitted.push((index, notice));
        }
        // And a comma.
        taken = taken.saturating_add(bytes + 1);
        if taken > room && changes.len() > 1 {
            return Fitted::Only(index.max(1));
        }
    }
    let mut left_out = omitted.iter().map(|(index, _)| *index).peekable();
    let sent = changes.into_iter().enumerate();
    let sent = sent.filter(|(index, _)| left_out.next_if_eq(index).is_none());
    let sent = sent.map(|(_, change)| change).collect();
    Fitted::Whole(with(
        answer,
        sent,
        omitted.into_iter().map(|(_, notice)| notice).collect(),
    ))
}

fn with(answer: PullResponse, changes: Vec<Change>, omitted: Vec<Omitted>) -> PullResponse {
    PullResponse {
        latest_hlc: newest(&changes),
        changes,
        omitted,
        ..answer
    }
}

fn newest(changes: &[Change]) -> Option<Hlc> {
    changes.iter().map(|change| &change.hlc).max().cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(title: usize) -> Change {
        serde_json::from_value(json!({
            "table": "notes", "pk": "a", "field": "title", "crdt_type": "lww", "epoch": 1,
            "hlc": { "ts": 1, "c": 0, "node": "n" }, "node_id": "n", "value": "x".repeat(title),
        }))
        .unwrap()
    }

    fn answer() -> PullResponse {
        serde_json::from_value(json!({
            "replica_id": "r", "node_id": "n", "changes": [], "cursor": "here", "has_more": false,
        }))
        .unwrap()
    }

    /// How many changes and notices an answer has, or how many changes fit.
    fn fitted(titles: &[usize], max_bytes: Option<usize>) -> Result<(usize, usize), usize> {
        let changes = titles.iter().map(|title| change(*title)).collect();
        match fit(answer(), changes, max_bytes) {
            Fitted::Whole(answer) => {
                let bytes = change::size(&answer);
                assert!(max_bytes.is_none_or(|most| most < 1_000 || bytes <= most), "{bytes}");
                Ok((answer.changes.len(), answer.omitted.len()))
            }
            Fitted::Only(changes) => Err(changes),
        }
    }

    #[test]
    fn what_is_too_large_alone_is_named_and_the_rest_is_sent() {
        assert_eq!(fitted(&[10, 5_000, 10], None), Ok((3, 0)));
        assert_eq!(fitted(&[10, 5_000, 10], Some(10_000)), Ok((3, 0)));
        assert_eq!(fitted(&[10, 5_000, 10], Some(4_000)), Ok((2, 1)));
        assert_eq!(fitted(&[5_000, 5_000], Some(4_000)), Ok((0, 2)));
    }

    #[test]
    fn a_page_that_is_too_large_is_to_be_shorter() {
        assert_eq!(fitted(&[1_000; 10], Some(4_000)), Err(3));
        assert_eq!(fitted(&[1_000; 2], Some(4_000)), Ok((2, 0)));
    }

    #[test]
    fn a_page_of_one_is_one_however_little_is_read() {
        for max_bytes in [0, 1, 100] {
            assert_eq!(fitted(&[10; 3], Some(max_bytes)), Err(1));
            assert_eq!(fitted(&[10], Some(max_bytes)), Ok((0, 1)));
        }
        assert_eq!(fitted(&[], Some(0)), Ok((0, 0)));
    }
}
