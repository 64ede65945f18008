//! Taking over a write with other values than its writer gave it.
//!
//! Two replicas must never hold different values under one clock value. So what is taken in place of a write is a write of
//! its own: by the node that altered it, just after the one it replaces. It beats that one everywhere, at its writer's too,
//! and loses to whatever was written later.
//!
//! It is made only where the original would have come to stand. A write that has lost already stays lost, and one that was
//! replaced before is known by its replacement; so what is sent twice is altered once.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::{
    clock::NodeId,
    types::{Birth, Cell, CellKey, Change, Head, Kind, Record, State},
};

impl Record {
    /// Joins `altered` in place of `original`, which differs from it in the values of `lww` fields only, in the name of
    /// `node`. Returns the record as it would be with the original.
    pub(crate) fn merge_altered(&mut self, original: &Change, altered: &Change, node: &NodeId) -> Self {
        let mut plain = self.clone();
        plain.merge([original.clone()]);
        if plain == *self {
            return plain;
        }
        match (original, altered) {
            (Change::Cell(key, written), Change::Cell(_, cell)) => {
                self.merge([rewritten(key, written, cell.state.clone(), node)]);
            }
            (Change::Head(written), Change::Head(head)) => {
                *self = plain.clone();
                self.merge(reborn(&plain, written, head, node));
            }
            // Nobody makes the one of the other.
            (Change::Cell(..), Change::Head(_)) | (Change::Head(_), Change::Cell(..)) => {}
        }
        plain
    }
}

fn rewritten(key: &CellKey, written: &Cell, state: State, node: &NodeId) -> Change {
    let cell = Cell {
        epoch: written.epoch,
        hlc: written.hlc.just_above(node),
        state,
    };
    Change::Cell(key.clone(), cell)
}

/// What makes `plain`, which has the birth `written` in it, into what it is with the birth `altered`.
fn reborn(plain: &Record, written: &Head, altered: &Head, node: &NodeId) -> Vec<Change> {
    let (Some(given), Some(wanted)) = (&written.birth, &altered.birth) else {
        return Vec::new();
    };
    let stands = plain
        .head()
        .filter(|head| head.epoch == written.epoch && head.hlc == written.hlc);
    match stands.and_then(|head| head.birth.as_deref()) {
        Some(standing) => {
            let head = Head {
                epoch: written.epoch,
                hlc: written.hlc.just_above(node),
                birth: Some(Arc::new(birth(standing, given, wanted))),
            };
            vec![Change::Head(head)]
        }
        // Another birth stands, in which some of the fields may be missing.
        None => given
            .iter()
            .filter_map(|(field, value)| {
                let wanted = wanted.get(field).filter(|wanted| *wanted != value)?;
                let key = CellKey::new(field.as_str(), "");
                let cell = plain.cells().get(&key)?;
                let is_this = cell.epoch == written.epoch
                    && cell.hlc == written.hlc
                    && cell.state == State::Lww(value.value.clone());
                is_this.then(|| rewritten(&key, cell, State::Lww(wanted.value.clone()), node))
            })
            .collect(),
    }
}

/// A second birth in place of `standing`. What that one gave to counters and sets counts as it is, and is not given again.
fn birth(standing: &Birth, given: &Birth, wanted: &Birth) -> Birth {
    let mut birth = standing.clone();
    for (field, value) in wanted {
        let overruled = standing.get(field) != given.get(field);
        if value.kind == Kind::Lww && !overruled {
            birth.insert(field.clone(), value.clone());
        }
    }
    for value in birth.values_mut() {
        match value.kind {
            Kind::Lww => {}
            Kind::Counter => value.value = Json::from(0),
            Kind::Set => value.value = Json::Array(Vec::new()),
        }
    }
    birth
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{clock::Hlc, types::BirthValue};

    fn at(ts: i64, node: &str) -> Hlc {
        Hlc {
            ts,
            counter: 0,
            node: node.parse().unwrap(),
        }
    }

    fn birth_of(title: &str, views: i64, tags: &[&str]) -> Birth {
        let given = |kind, value| BirthValue { kind, value };
        Birth::from([
            ("title".into(), given(Kind::Lww, json!(title))),
            ("views".into(), given(Kind::Counter, json!(views))),
            ("tags".into(), given(Kind::Set, json!(tags))),
        ])
    }

    fn head(ts: i64, node: &str, birth: Birth) -> Change {
        Change::Head(Head {
            epoch: 1,
            hlc: at(ts, node),
            birth: Some(Arc::new(birth)),
        })
    }

    fn title(ts: i64, node: &str, title: &str) -> Change {
        let cell = Cell {
            epoch: 1,
            hlc: at(ts, node),
            state: State::Lww(json!(title)),
        };
        Change::Cell(CellKey::new("title", ""), cell)
    }

    fn record(changes: impl IntoIterator<Item = Change>) -> Record {
        let mut record = Record::default();
        record.merge(changes);
        record
    }

    fn everything(record: &Record) -> Vec<Change> {
        let cells = record.cells().iter();
        let cells = cells.map(|(key, cell)| Change::Cell(key.clone(), cell.clone()));
        record
            .head()
            .cloned()
            .map(Change::Head)
            .into_iter()
            .chain(cells)
            .collect()
    }

    fn values(record: &Record) -> [Json; 3] {
        let value = |field, kind| record.value(field, kind).unwrap().unwrap_or_default();
        [
            value("title", Kind::Lww),
            value("views", Kind::Counter),
            value("tags", Kind::Set),
        ]
    }

    fn hub() -> NodeId {
        "hub".parse().unwrap()
    }

    #[test]
    fn an_altered_birth_counts_and_adds_what_it_did_and_wins_at_its_writers() {
        let written = head(10, "z", birth_of("bad", 5, &["x"]));
        let altered = head(10, "z", birth_of("good", 5, &["x"]));
        let mut here = Record::default();
        here.merge_altered(&written, &altered, &hub());
        assert_eq!(values(&here), [json!("good"), json!(5), json!(["x"])]);
        let mut there = record([written.clone()]);
        there.increment("views", &at(11, "z"), 3).unwrap();
        let increment = everything(&there);
        there.merge(everything(&here));
        here.merge_altered(&increment[0], &altered, &hub());
        here.merge(increment.into_iter().skip(1));
        assert_eq!(values(&here), [json!("good"), json!(8), json!(["x"])]);
        assert_eq!(there, here);
        assert!(!format!("{here:?}").contains("bad"));
        // What is sent again changes nothing.
        let before = here.clone();
        here.merge_altered(&written, &altered, &hub());
        assert_eq!(here, before);
    }

    #[test]
    fn what_was_written_later_stays() {
        let mut here = record([head(1, "a", birth_of("first", 0, &[])), title(20, "b", "later")]);
        let before = here.clone();
        here.merge_altered(&title(10, "z", "bad"), &title(10, "z", "good"), &hub());
        assert_eq!(here, before);
        // A birth that wins takes no field from a later write.
        let written = head(10, "z", birth_of("bad", 5, &[]));
        here.merge_altered(&written, &head(10, "z", birth_of("good", 5, &[])), &hub());
        assert_eq!(values(&here)[..2], [json!("later"), json!(5)]);
        // And the writer's next edit beats what was made of the one before.
        let mut edited = record([title(10, "z", "bad")]);
        edited.merge_altered(&title(12, "z", "bad"), &title(12, "z", "good"), &hub());
        edited.merge([title(13, "a", "edit"), head(10, "z", Birth::new())]);
        assert_eq!(values(&edited)[0], json!("edit"));
    }

    #[test]
    fn a_birth_that_lost_has_its_left_over_fields_altered() {
        let mut without_title = birth_of("", 1, &[]);
        without_title.remove("title");
        let mut here = record([head(20, "a", without_title)]);
        let written = head(10, "z", birth_of("bad", 5, &["x"]));
        here.merge_altered(&written, &head(10, "z", birth_of("good", 5, &["x"])), &hub());
        assert_eq!(values(&here), [json!("good"), json!(6), json!(["x"])]);
        assert!(!format!("{here:?}").contains("bad"));
    }

    #[test]
    fn an_altered_baseline_is_a_write() {
        let baseline = |title| {
            let birth = Some(Arc::new(birth_of(title, 2, &["x"])));
            let hlc = Hlc::baseline();
            Change::Head(Head { epoch: 1, hlc, birth })
        };
        let mut here = record([baseline("own")]);
        here.merge_altered(&baseline("sent"), &baseline("altered"), &hub());
        let mut there = record([baseline("sent")]);
        there.merge(everything(&here));
        assert_eq!(values(&here), [json!("altered"), json!(2), json!(["x"])]);
        assert_eq!(there, here);
    }
}
