//! The laws of merging, over arbitrary histories of three nodes: births, deletes, re-births, every kind of write, with
//! gossip in between.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::{
    clock::{Hlc, NodeId},
    types::{Birth, BirthValue, Change, Head, Kind, Record},
};

/// What one node does in one step.
#[derive(Clone, Debug)]
enum Step {
    Born(i64, Vec<u8>, bool),
    Adopted(i64, Vec<u8>),
    Died,
    Assign(i64),
    Increment(i64),
    Insert(u8),
    Remove(u8),
    /// Writes of a field that nodes of different versions take for different kinds.
    AssignOdd(i64),
    IncrementOdd(i64),
    InsertOdd(u8),
    /// Takes over everything another node has.
    Gossip(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let elements = prop::collection::vec(0..4u8, 0..3);
    prop_oneof![
        2 => (-5..5i64, elements.clone(), any::<bool>()).prop_map(|(n, e, t)| Step::Born(n, e, t)),
        1 => (-5..5i64, elements).prop_map(|(n, e)| Step::Adopted(n, e)),
        1 => Just(Step::Died),
        3 => (0..9i64).prop_map(Step::Assign),
        3 => (-9..9i64).prop_map(Step::Increment),
        3 => (0..4u8).prop_map(Step::Insert),
        3 => (0..4u8).prop_map(Step::Remove),
        1 => (0..9i64).prop_map(Step::AssignOdd),
        1 => (-9..9i64).prop_map(Step::IncrementOdd),
        1 => (0..4u8).prop_map(Step::InsertOdd),
        3 => (0..3usize).prop_map(Step::Gossip),
    ]
}

fn birth(value: i64, elements: &[u8], with_title: bool) -> Birth {
    let mut birth = Birth::new();
    let mut give = |field: &str, kind, value| {
        birth.insert(field.into(), BirthValue { kind, value });
    };
    if with_title {
        give("title", Kind::Lww, json!(value));
    }
    give("views", Kind::Counter, json!(value));
    let mut elements = elements.to_vec();
    elements.sort_unstable();
    elements.dedup();
    give("tags", Kind::Set, json!(elements));
    match value.rem_euclid(4) {
        0 => give("odd", Kind::Lww, json!(value)),
        1 => give("odd", Kind::Counter, json!(value)),
        2 => give("odd", Kind::Set, json!(elements)),
        _ => {}
    }
    birth
}

/// Everything the record holds, as it travels.
fn changes(record: &Record) -> Vec<Change> {
    let head = record.head().cloned().map(Change::Head);
    let cells = record.cells().iter();
    head.into_iter()
        .chain(cells.map(|(key, cell)| Change::Cell(key.clone(), cell.clone())))
        .collect()
}

/// Runs the steps on three nodes. Returns the nodes' records, and every change that was ever visible anywhere.
fn run(steps: &[(usize, Step)]) -> (Vec<Record>, Vec<Change>) {
    let mut nodes = vec![Record::default(); 3];
    let mut seen = Vec::new();
    let mut time = 0;
    for (node, step) in steps {
        time += 1;
        let at = Hlc {
            // Nodes' clocks differ, but each write is above what its record has.
            ts: time.max(nodes[*node].clock().map_or(0, |hlc| hlc.ts) + 1),
            counter: 0,
            node: ["a", "b", "c"][*node].parse::<NodeId>().unwrap(),
        };
        let gossip = match step {
            Step::Gossip(from) => changes(&nodes[*from]),
            _ => Vec::new(),
        };
        let record = &mut nodes[*node];
        match step {
            Step::Born(n, e, title) if !record.is_alive() => record.born(&at, birth(*n, e, *title)),
            Step::Adopted(n, e) if record.head().is_none() => record.adopted(birth(*n, e, true)),
            Step::Died if record.is_alive() => record.died(&at),
            Step::Assign(n) if record.is_alive() => record.assign("title", &at, json!(n)),
            Step::Increment(n) if record.is_alive() => record.increment("views", &at, *n).unwrap(),
            Step::Insert(e) if record.is_alive() => record.insert("tags", &at, json!(e)),
            Step::Remove(e) if record.is_alive() => record.remove("tags", &at, &json!(e)),
            Step::AssignOdd(n) if record.is_alive() => record.assign("odd", &at, json!(n)),
            Step::IncrementOdd(n) if record.is_alive() => record.increment("odd", &at, *n).unwrap(),
            Step::InsertOdd(e) if record.is_alive() => record.insert("odd", &at, json!(e)),
            Step::Gossip(_) => record.merge(gossip),
            _ => {}
        }
        seen.extend(changes(record));
    }
    (nodes, seen)
}

fn history() -> impl Strategy<Value = Vec<(usize, Step)>> {
    prop::collection::vec((0..3usize, step()), 1..30)
}

fn joined(a: &Record, b: &Record) -> Record {
    let mut record = a.clone();
    record.merge(changes(b));
    record
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(steps in history()) {
        let (nodes, _) = run(&steps);
        let [a, b, c] = [&nodes[0], &nodes[1], &nodes[2]];
        prop_assert_eq!(joined(a, b), joined(b, a));
        prop_assert_eq!(joined(&joined(a, b), c), joined(a, &joined(b, c)));
        prop_assert_eq!(joined(a, a), a.clone());
        prop_assert_eq!(joined(&joined(a, b), b), joined(a, b));
    }

    #[test]
    fn any_order_duplication_and_batching_gives_the_same_cells(
        steps in history(),
        seed in any::<u64>(),
        batch in 1..5usize,
    ) {
        let (nodes, seen) = run(&steps);
        let everything = joined(&joined(&nodes[0], &nodes[1]), &nodes[2]);
        // Every change of the history, twice, in an order drawn from the seed.
        let mut shuffled: Vec<_> = seen.iter().chain(&seen).cloned().enumerate().collect();
        shuffled.sort_by_key(|(index, _)| (*index as u64 ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut record = Record::default();
        for chunk in shuffled.chunks(batch) {
            record.merge(chunk.iter().map(|(_, change)| change.clone()));
        }
        prop_assert_eq!(record, everything);
    }

    #[test]
    fn a_merge_never_loses_an_increment(
        a in prop::collection::vec(-9..9i64, 0..6),
        b in prop::collection::vec(-9..9i64, 0..6),
    ) {
        let mut origin = Record::default();
        origin.adopted(birth(3, &[], true));
        let write = |node: &str, steps: &[i64]| {
            let mut record = origin.clone();
            for (time, by) in (1..).zip(steps) {
                let at = Hlc { ts: time, counter: 0, node: node.parse().unwrap() };
                record.increment("views", &at, *by).unwrap();
            }
            record
        };
        let both = joined(&write("a", &a), &write("b", &b));
        let expected = 3 + a.iter().sum::<i64>() + b.iter().sum::<i64>();
        prop_assert_eq!(both.value("views", Kind::Counter).unwrap(), Some(json!(expected)));
    }
}

fn at(ts: i64, node: &str) -> Hlc {
    Hlc {
        ts,
        counter: 0,
        node: node.parse().unwrap(),
    }
}

fn value(record: &Record, field: &str, kind: Kind) -> Json {
    record.value(field, kind).unwrap().unwrap_or_default()
}

#[test]
fn a_delete_beats_edits_that_had_not_seen_it() {
    let mut here = Record::default();
    here.born(&at(1, "a"), birth(1, &[], true));
    let mut there = here.clone();
    here.died(&at(2, "a"));
    there.assign("title", &at(9, "b"), json!("late"));
    there.increment("views", &at(10, "b"), 5).unwrap();
    assert!(!joined(&here, &there).is_alive());
    assert!(joined(&here, &there).cells().is_empty());
}

#[test]
fn a_rebirth_starts_clean() {
    let mut record = Record::default();
    record.born(&at(1, "a"), birth(7, &[1], true));
    record.increment("views", &at(2, "a"), 5).unwrap();
    record.died(&at(3, "a"));
    record.born(&at(4, "a"), birth(2, &[2], false));
    assert_eq!(record.epoch(), 3);
    assert_eq!(value(&record, "views", Kind::Counter), json!(2));
    assert_eq!(value(&record, "tags", Kind::Set), json!([2]));
    assert_eq!(record.value("title", Kind::Lww), Ok(None));
}

#[test]
fn when_two_births_meet_totals_and_elements_of_both_count() {
    let mut here = Record::default();
    here.born(&at(1, "a"), birth(5, &[1], true));
    here.increment("views", &at(3, "a"), 1).unwrap();
    let mut there = Record::default();
    there.born(&at(2, "b"), birth(7, &[2], false));
    let both = joined(&here, &there);
    assert_eq!(value(&both, "views", Kind::Counter), json!(13));
    assert_eq!(value(&both, "tags", Kind::Set), json!([1, 2]));
    // A field that only the older birth had is kept, at the older clock.
    assert_eq!(value(&both, "title", Kind::Lww), json!(5));
    assert_eq!(both.head().unwrap().hlc, at(2, "b"));
}

#[test]
fn the_same_data_adopted_twice_is_one_history() {
    let mut here = Record::default();
    here.adopted(birth(10, &[1, 2], true));
    let there = here.clone();
    assert_eq!(joined(&here, &there), here);
    let mut other = Record::default();
    other.adopted(birth(9, &[2, 3], true));
    let both = joined(&here, &other);
    assert_eq!(both, joined(&other, &here));
    assert_eq!(value(&both, "views", Kind::Counter), json!(10));
    assert_eq!(value(&both, "title", Kind::Lww), json!(10));
    assert_eq!(value(&both, "tags", Kind::Set), json!([1, 2, 3]));
}

#[test]
fn a_cell_that_comes_before_its_head_waits() {
    let mut origin = Record::default();
    origin.born(&at(1, "a"), birth(1, &[], true));
    origin.assign("title", &at(2, "a"), json!("x"));
    let (head, cells): (Vec<_>, Vec<_>) = changes(&origin)
        .into_iter()
        .partition(|change| matches!(change, Change::Head(Head { .. })));
    let mut record = Record::default();
    record.merge(cells);
    assert!(!record.is_alive());
    record.merge(head);
    assert_eq!(record, origin);
}

#[test]
fn cells_of_a_later_life_wait_through_whatever_happens_to_the_earlier_ones() {
    let mut origin = Record::default();
    origin.born(&at(1, "a"), birth(1, &[1], true));
    let first = changes(&origin);
    origin.assign("title", &at(2, "a"), json!("first life"));
    origin.died(&at(3, "a"));
    let death = changes(&origin);
    origin.born(&at(4, "a"), birth(2, &[2], true));
    let reborn = changes(&origin);
    origin.assign("title", &at(5, "a"), json!("second life"));
    origin.increment("views", &at(6, "a"), 3).unwrap();
    origin.insert("tags", &at(7, "a"), json!(3));
    let cells = changes(&origin)
        .into_iter()
        .filter(|change| matches!(change, Change::Cell(..)));
    let mut record = Record::default();
    record.merge(cells);
    assert_eq!((record.epoch(), record.cells().len()), (0, 3));
    record.merge(first);
    // The first life is shown without what belongs to the second.
    assert_eq!(value(&record, "title", Kind::Lww), json!(1));
    assert_eq!(value(&record, "views", Kind::Counter), json!(1));
    record.assign("title", &at(8, "b"), json!("late, of the first life"));
    record.merge(death);
    assert!(!record.is_alive());
    assert_eq!(record.cells().len(), 3);
    record.merge(reborn);
    assert_eq!(record, origin);
    assert_eq!(value(&record, "title", Kind::Lww), json!("second life"));
    assert_eq!(value(&record, "views", Kind::Counter), json!(5));
    assert_eq!(value(&record, "tags", Kind::Set), json!([2, 3]));
}

#[test]
fn a_field_that_two_nodes_take_for_different_kinds_spoils_neither_and_nothing_else() {
    let mut here = Record::default();
    here.born(&at(1, "a"), birth(4, &[1], true));
    let mut there = here.clone();
    here.assign("odd", &at(2, "a"), json!("text"));
    there.increment("odd", &at(3, "b"), 7).unwrap();
    let both = joined(&here, &there);
    assert_eq!(both, joined(&there, &here));
    assert_eq!(value(&both, "odd", Kind::Lww), json!("text"));
    assert_eq!(value(&both, "odd", Kind::Counter), json!(7));
    assert_eq!(value(&both, "views", Kind::Counter), json!(4));
}

#[test]
fn what_was_removed_at_birth_and_added_again_elsewhere_is_there() {
    let mut here = Record::default();
    here.born(&at(1, "a"), birth(0, &[1, 2], true));
    let mut there = here.clone();
    here.remove("tags", &at(2, "a"), &json!(1));
    there.insert("tags", &at(3, "b"), json!(1));
    there.remove("tags", &at(4, "b"), &json!(2));
    let both = joined(&here, &there);
    assert_eq!(value(&both, "tags", Kind::Set), json!([1]));
    assert_eq!(both, joined(&there, &here));
}
