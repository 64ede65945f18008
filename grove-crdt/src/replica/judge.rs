//! Judging changes that come from elsewhere, one by one: nothing is taken that can't be read, or can't be true.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::{
    change::{Change, RejectionCode},
    clock::NodeId,
    entity::{Role, Table, key},
    error::Error,
    replica::Core,
    store::schema::MAX_FIELD,
    types::{
        self, BadBirth, Birth, BirthValue, Cell, CellKey, Element, Head, Kind, MAX_DEPTH, State, birth_values,
        canonical, check_birth, element_key, exact_i64, is_too_deep, parse_element, parse_totals,
    },
};

/// A change that can be merged.
#[derive(Debug)]
pub(super) struct Judged {
    pub table: Arc<Table>,
    pub pk: String,
    pub change: types::Change,
}

type Refused = (RejectionCode, String);

/// The change in the form that is merged, or why it is refused.
pub(super) fn judge(core: &Core, change: &Change) -> Result<Judged, Refused> {
    let Some(table) = core.registry.get(&change.table) else {
        return Err((
            RejectionCode::UnknownTable,
            format!("table `{}` is not replicated here", change.table),
        ));
    };
    key::parse(table, &change.pk).map_err(bad_key)?;
    judge_clock(core, change)?;
    let judged = if change.crdt_type == "record" {
        no_other_parts(change, "a record", [change.counter.is_some(), change.set.is_some()])?;
        types::Change::Head(head(table, change)?)
    } else {
        let (key, cell) = cell(core, table, change)?;
        types::Change::Cell(key, cell)
    };
    Ok(Judged {
        table: table.clone(),
        pk: change.pk.clone(),
        change: judged,
    })
}

fn malformed(detail: impl Into<String>) -> Refused {
    (RejectionCode::Malformed, detail.into())
}

/// The key's columns have names that are not on the wire, so they are left out.
fn bad_key(error: Error) -> Refused {
    let detail = match error {
        Error::Value { detail, .. } => detail,
        _ => "the key is none of this table".to_owned(),
    };
    (RejectionCode::BadKey, detail)
}

fn bad_value(detail: impl Into<String>) -> Refused {
    (RejectionCode::BadValue, detail.into())
}

/// Refuses parts of a change that a change of its kind does not have: whoever sends them means something else by it.
fn no_other_parts<const N: usize>(change: &Change, what: &str, others: [bool; N]) -> Result<(), Refused> {
    if others.contains(&true) {
        return Err(malformed(format!(
            "{what} has no such parts as this `{}` change has",
            change.crdt_type
        )));
    }
    Ok(())
}

fn judge_clock(core: &Core, change: &Change) -> Result<(), Refused> {
    if !change.hlc.is_plausible() {
        return Err((
            RejectionCode::BadClock,
            format!("{} can't have come from a clock", change.hlc),
        ));
    }
    if change.node_id != change.hlc.node {
        return Err(malformed(format!(
            "`node_id` is `{}`, but the clock value is of `{}`",
            change.node_id, change.hlc.node
        )));
    }
    if let Some(micros) = core.clock.ahead(&change.hlc) {
        return Err((
            RejectionCode::ClockAhead,
            format!(
                "{} is {micros} µs further ahead of this node's clock than is allowed",
                change.hlc
            ),
        ));
    }
    // i32 is what every database's integer holds.
    if change.epoch == 0 || i32::try_from(change.epoch).is_err() {
        return Err(malformed(format!("epoch {} is out of range", change.epoch)));
    }
    Ok(())
}

fn head(table: &Table, change: &Change) -> Result<Head, Refused> {
    if !change.field.is_empty() || !change.cell.is_empty() {
        return Err(malformed("a record has neither field nor cell"));
    }
    let alive = change.epoch % 2 == 1;
    if alive == change.tombstone {
        return Err(malformed(
            "a record is alive in odd epochs and a tombstone in even ones",
        ));
    }
    if !alive && change.hlc.node.is_baseline() {
        return Err((
            RejectionCode::BadClock,
            "a deletion is a write, and has its writer's clock value".into(),
        ));
    }
    let birth = match (alive, &change.value) {
        (false, None) => None,
        (true, Some(value)) => Some(Arc::new(birth(table, value)?)),
        _ => return Err(malformed("a record that lives has a `value`, and a dead one has none")),
    };
    Ok(Head {
        epoch: change.epoch,
        hlc: change.hlc.clone(),
        birth,
    })
}

fn birth(table: &Table, value: &Json) -> Result<Birth, Refused> {
    check_birth(value).map_err(|bad| match bad {
        BadBirth::UnknownKind(_) => (RejectionCode::UnknownKind, bad.to_string()),
        BadBirth::Malformed(detail) => bad_value(detail),
    })?;
    let mut birth = Birth::new();
    for (kind, field, value) in birth_values(value) {
        not_too_deep(value)?;
        let value = if known_kind(table, field, kind)? {
            canonical_value(table, field, kind, value.clone())?
        } else {
            value.clone()
        };
        birth.insert(field.into(), BirthValue { kind, value });
    }
    Ok(birth)
}

/// Whether this node knows the field. One it does not know is kept and passed on as it is, and so is one that has no tag
/// here: the other node may be of a version that has given it one.
fn known_kind(table: &Table, field: &str, kind: Kind) -> Result<bool, Refused> {
    let wrong = |detail: String| Err((RejectionCode::WrongKind, detail));
    match table.column(field).map(|(_, column)| &column.role) {
        Some(Role::Replicated(known)) if *known == kind => Ok(true),
        Some(Role::Replicated(known)) => wrong(format!(
            "field `{field}` of `{}` is {known} here, not {kind}",
            table.name
        )),
        Some(Role::Key) => wrong(format!("field `{field}` of `{}` is part of the key", table.name)),
        Some(Role::Local(_)) | None => {
            if field.is_empty() || field.len() > MAX_FIELD || field.chars().any(char::is_control) {
                return Err(malformed(format!(
                    "a field's name has 1 to {MAX_FIELD} bytes, none of them a control character"
                )));
            }
            Ok(false)
        }
    }
}

fn not_too_deep(value: &Json) -> Result<(), Refused> {
    if is_too_deep(value) {
        return Err(bad_value(format!("a value is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}

/// The one form of a value of a known field.
fn canonical_value(table: &Table, field: &str, kind: Kind, value: Json) -> Result<Json, Refused> {
    let Some((_, column)) = table.column(field) else {
        return Ok(value);
    };
    let named = |detail: String| bad_value(format!("field `{field}`: {detail}"));
    match (kind, value) {
        (Kind::Set, Json::Array(mut elements)) => {
            elements.sort_by_cached_key(canonical);
            elements.dedup();
            let value = Json::Array(elements);
            column.decode(&value).map_err(named)?;
            Ok(value)
        }
        (Kind::Set, other) => Err(named(format!("{other} is no array"))),
        (Kind::Counter, value) => {
            let number = exact_i64(&value).ok_or_else(|| named(format!("{value} is no integer")))?;
            column.decode(&value).map_err(named)?;
            Ok(types::i64_json(number))
        }
        (Kind::Lww, value) => column.normal(value).map_err(named),
    }
}

fn cell(core: &Core, table: &Table, change: &Change) -> Result<(CellKey, Cell), Refused> {
    let kind: Kind = change.crdt_type.parse().map_err(|()| {
        (
            RejectionCode::UnknownKind,
            format!("kind `{}` is not known here", change.crdt_type),
        )
    })?;
    if change.epoch.is_multiple_of(2) {
        return Err(malformed(
            "a field's cell belongs to an odd epoch, in which the record is alive",
        ));
    }
    let known = known_kind(table, &change.field, kind)?;
    let state = match kind {
        Kind::Lww => lww(table, change, known)?,
        Kind::Counter => counter(change)?,
        Kind::Set => State::Set(element(core, table, change, known)?),
    };
    let cell = Cell {
        epoch: change.epoch,
        hlc: change.hlc.clone(),
        state,
    };
    Ok((CellKey::new(change.field.as_str(), change.cell.as_str()), cell))
}

fn lww(table: &Table, change: &Change, known: bool) -> Result<State, Refused> {
    let Some(value) = change.value.clone() else {
        return Err(malformed("an lww change has a `value`"));
    };
    if !change.cell.is_empty() {
        return Err(malformed("an lww field has no cells within it"));
    }
    no_other_parts(
        change,
        "an lww field",
        [change.counter.is_some(), change.set.is_some(), change.tombstone],
    )?;
    not_too_deep(&value)?;
    let value = if known {
        canonical_value(table, &change.field, Kind::Lww, value)?
    } else {
        value
    };
    Ok(State::Lww(value))
}

fn counter(change: &Change) -> Result<State, Refused> {
    // One cell is one node's totals, which that node alone writes.
    if change.cell != change.hlc.node.as_str() {
        return Err(malformed(format!(
            "the totals of node `{}` can't have been written by `{}`",
            change.cell, change.hlc.node
        )));
    }
    no_other_parts(
        change,
        "a counter",
        [change.value.is_some(), change.set.is_some(), change.tombstone],
    )?;
    let totals = change
        .counter
        .as_ref()
        .ok_or_else(|| malformed("a counter change has `counter`"))?;
    Ok(State::Counter(parse_totals(totals).map_err(bad_value)?))
}

fn element(core: &Core, table: &Table, change: &Change, known: bool) -> Result<Element, Refused> {
    let (Some(value), Some(tags)) = (change.value.clone(), &change.set) else {
        return Err(malformed("a set change has a `value` and `set`"));
    };
    no_other_parts(change, "an element", [change.counter.is_some()])?;
    not_too_deep(&value)?;
    not_too_deep(tags)?;
    if known {
        canonical_value(table, &change.field, Kind::Set, Json::Array(vec![value.clone()]))?;
    }
    if element_key(&value) != change.cell {
        return Err(malformed(format!("`cell` is not the key of element {value}")));
    }
    let element = parse_element(value, tags).map_err(bad_value)?;
    judge_tags(core, change, &element)?;
    if element.is_present() == change.tombstone {
        return Err(malformed(
            "an element is a tombstone when, and only when, all its additions are removed",
        ));
    }
    Ok(element)
}

/// Whoever removes an element has seen its addition, and whoever wrote a cell wrote nothing later than it.
fn judge_tags(core: &Core, change: &Change, element: &Element) -> Result<(), Refused> {
    if element.nodes.is_empty() {
        return Err(bad_value("an element has been added by some node"));
    }
    for (node, tags) in &element.nodes {
        if tags.add.is_none() || tags.rem > tags.add {
            return Err((
                RejectionCode::BadClock,
                format!("node `{node}`: what was removed is not what was added"),
            ));
        }
        for (ts, counter) in tags.add.into_iter().chain(tags.rem) {
            let point = point(node, ts, counter);
            if !point.is_plausible() || point > change.hlc && !node.is_baseline() {
                return Err((
                    RejectionCode::BadClock,
                    format!("{point} is later than the change itself, or no clock value"),
                ));
            }
            if core.clock.ahead(&point).is_some() {
                return Err((RejectionCode::ClockAhead, format!("{point} is too far ahead")));
            }
        }
    }
    Ok(())
}

fn point(node: &NodeId, ts: i64, counter: u32) -> crate::clock::Hlc {
    crate::clock::Hlc {
        ts,
        counter,
        node: node.clone(),
    }
}
