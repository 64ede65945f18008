//! Cells in the form in which they are stored.

use sea_orm::{QueryResult, sea_query::Expr};
use serde_json::Value as Json;

use crate::{
    clock::{Hlc, NodeId},
    entity::Table,
    error::Error,
    store::{
        shadow::{Content, Stored},
        version::Version,
    },
    types::{
        Cell, CellKey, Head, Kind, State, birth_json, canonical, element_key, element_of_key, parse_birth,
        parse_element, parse_totals, tags_json,
    },
};

/// What a cell is in a row with the columns of [`COLUMNS`](super::COLUMNS).
pub(super) fn values(table: &Table, stored: &Stored, version: Version, via: Option<&str>) -> [Expr; 10] {
    let (epoch, hlc, state) = match &stored.content {
        Content::Head(head) => {
            let state = head.birth.as_ref().map_or(Json::Null, birth_json);
            (head.epoch, &head.hlc, canonical(&state))
        }
        Content::Cell(cell) => (cell.epoch, &cell.hlc, state_text(table, &stored.key, cell)),
    };
    [
        Expr::val(stored.pk.as_str()),
        Expr::val(stored.key.field.as_str()),
        Expr::val(stored.key.cell.as_str()),
        Expr::val(i64::from(epoch)),
        Expr::val(hlc.ts),
        Expr::val(i64::from(hlc.counter)),
        Expr::val(hlc.node.as_str()),
        Expr::val(state),
        version.expr(),
        Expr::val(via.map(str::to_owned)),
    ]
}

/// A state as text. Of a field this node does not know, it says its kind too.
fn state_text(table: &Table, key: &CellKey, cell: &Cell) -> String {
    let plain = match &cell.state {
        State::Lww(value) => value.clone(),
        State::Counter(totals) => serde_json::to_value(totals).unwrap_or_default(),
        State::Set(element) => {
            let mut state = serde_json::Map::from_iter([("n".to_owned(), tags_json(element))]);
            if element_of_key(&key.cell).is_none() {
                state.insert("v".to_owned(), element.value.clone());
            }
            Json::Object(state)
        }
    };
    let kind = cell.state.kind();
    if table.kind_of(&key.field) == Some(kind) {
        canonical(&plain)
    } else {
        canonical(&serde_json::json!({ format!("${kind}"): plain }))
    }
}

/// A cell from a row with the columns of [`COLUMNS`].
pub(crate) fn parse(table: &Table, pk: String, row: &QueryResult) -> Result<Stored, Error> {
    let field: String = row.try_get_by_index(1)?;
    parse_as(table.kind_of(&field), table, pk, row)
}

/// The same, with the kind that the cell's field is known as.
pub(in crate::store) fn parse_as(
    known: Option<Kind>,
    table: &Table,
    pk: String,
    row: &QueryResult,
) -> Result<Stored, Error> {
    let corrupt = |detail: String| Error::Corrupt {
        table: table.name.clone(),
        pk: pk.clone(),
        detail,
    };
    let key = CellKey::new(row.try_get_by_index::<String>(1)?, row.try_get_by_index::<String>(2)?);
    let number = |index| -> Result<u32, Error> {
        let value: i64 = row.try_get_by_index(index)?;
        u32::try_from(value).map_err(|_| corrupt(format!("{value} is out of range")))
    };
    let hlc = Hlc {
        ts: row.try_get_by_index(4)?,
        counter: number(5)?,
        node: NodeId::stored(&row.try_get_by_index::<String>(6)?)?,
    };
    let epoch = number(3)?;
    let text: String = row.try_get_by_index(7)?;
    let state: Json = serde_json::from_str(&text).map_err(|e| corrupt(e.to_string()))?;
    let content = if key.field.is_empty() {
        let birth = match &state {
            Json::Null => None,
            state => Some(parse_birth(state).map_err(|bad| corrupt(bad.to_string()))?),
        };
        Content::Head(Head { epoch, hlc, birth })
    } else {
        let state = parse_state(known, &key, state).map_err(corrupt)?;
        Content::Cell(Cell { epoch, hlc, state })
    };
    Ok(Stored { pk, key, content })
}

fn parse_state(known: Option<Kind>, key: &CellKey, state: Json) -> Result<State, String> {
    let (kind, state) = match known {
        Some(kind) => (kind, state),
        None => tagged(state).ok_or_else(|| format!("field `{}` has no kind", key.field))?,
    };
    Ok(match kind {
        Kind::Lww => State::Lww(state),
        Kind::Counter => State::Counter(parse_totals(&state)?),
        Kind::Set => {
            let value = match state.get("v") {
                Some(value) => value.clone(),
                None => element_of_key(&key.cell).ok_or_else(|| format!("element `{}` has no value", key.cell))?,
            };
            debug_assert_eq!(element_key(&value), key.cell);
            State::Set(parse_element(value, &state["n"])?)
        }
    })
}

/// The kind and the state of a field that was not known when it was stored.
pub(in crate::store) fn tagged(state: Json) -> Option<(Kind, Json)> {
    let Json::Object(map) = state else {
        return None;
    };
    let (tag, state) = map.into_iter().next()?;
    Some((tag.strip_prefix('$')?.parse().ok()?, state))
}

/// About how many bytes a row's values take in a statement.
pub(super) fn size(row: &[Expr; 10]) -> usize {
    row.iter()
        .map(|value| match value {
            Expr::Value(sea_orm::Value::String(Some(text))) => text.len() + 8,
            _ => 8,
        })
        .sum()
}
