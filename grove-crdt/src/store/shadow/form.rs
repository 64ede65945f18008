//! Cells in the form in which they are stored.

use std::{borrow::Cow, sync::Arc};

use sea_orm::sea_query::Expr;
use serde_json::Value as Json;

use crate::{
    change::{self, Change},
    clock::{Hlc, NodeId},
    entity::Table,
    error::Error,
    store::{
        outgoing::Plain,
        shadow::{Content, Stored, raw::Raw},
        version::Version,
    },
    types::{
        Cell, CellKey, Head, Kind, State, birth_text, canonical, check_birth, element_key, element_of_key, parse_birth,
        parse_element, parse_totals, tags_json,
    },
};

/// A cell as it is to be stored.
#[derive(Debug)]
pub(super) struct Put {
    pub pk: String,
    pub key: CellKey,
    epoch: u32,
    hlc: Hlc,
    state: String,
    via: Option<String>,
}

impl Put {
    pub(super) fn head(pk: &str, head: &Head, via: Option<String>) -> Self {
        Self {
            pk: pk.to_owned(),
            key: CellKey::new("", ""),
            epoch: head.epoch,
            hlc: head.hlc.clone(),
            state: head.birth.as_deref().map_or_else(|| "null".to_owned(), birth_text),
            via,
        }
    }

    pub(super) fn cell(table: &Table, pk: &str, key: &CellKey, cell: &Cell, via: Option<String>) -> Self {
        Self {
            pk: pk.to_owned(),
            key: key.clone(),
            epoch: cell.epoch,
            hlc: cell.hlc.clone(),
            state: state_text(table, key, cell),
            via,
        }
    }

    /// The values of a row with the columns of [`COLUMNS`](super::COLUMNS).
    pub(super) fn into_values(self, version: Version) -> [Expr; 10] {
        [
            Expr::val(self.pk),
            Expr::val(self.key.field.as_str()),
            Expr::val(self.key.cell.as_str()),
            Expr::val(i64::from(self.epoch)),
            Expr::val(self.hlc.ts),
            Expr::val(i64::from(self.hlc.counter)),
            Expr::val(self.hlc.node.as_str()),
            Expr::val(self.state),
            version.expr(),
            Expr::val(self.via),
        ]
    }

    /// The error for one that is larger than a statement has room for.
    pub(super) fn too_large(&self, table: &Table, room: usize) -> Error {
        let field = match self.key.field.as_str() {
            "" => largest_field(&self.state).unwrap_or_default(),
            field => field.to_owned(),
        };
        let (pk, bytes) = (&self.pk, self.size());
        table.value_error(
            &field,
            format!(
                "row `{pk}`: what is recorded of it has {bytes} bytes as JSON, more than the {room} that the database takes in one statement (see `max_allowed_packet`)"
            ),
        )
    }

    /// About how many bytes it takes in a statement.
    pub(super) fn size(&self) -> usize {
        let texts = [self.pk.as_str(), &self.key.field, &self.key.cell, &self.state];
        texts.iter().map(|text| text.len() + 8).sum::<usize>() + 64
    }
}

/// The field of a birth's text that takes the most of it.
fn largest_field(birth: &str) -> Option<String> {
    let kinds: serde_json::Map<String, Json> = serde_json::from_str(birth).ok()?;
    let fields = kinds.into_iter().filter_map(|(_, fields)| match fields {
        Json::Object(fields) => Some(fields),
        _ => None,
    });
    let largest = fields.flatten().max_by_key(|(_, value)| change::size(value));
    largest.map(|(field, _)| field)
}

/// A state as text. Of a field this node does not know, it says its kind too.
fn state_text(table: &Table, key: &CellKey, cell: &Cell) -> String {
    let plain = match &cell.state {
        State::Lww(value) => Cow::Borrowed(value),
        State::Counter(totals) => Cow::Owned(serde_json::to_value(totals).unwrap_or_default()),
        State::Set(element) => {
            let mut state = serde_json::Map::from_iter([("n".to_owned(), tags_json(element))]);
            if element_of_key(&key.cell).is_none() {
                state.insert("v".to_owned(), element.value.clone());
            }
            Cow::Owned(Json::Object(state))
        }
    };
    let kind = cell.state.kind();
    if table.kind_of(&key.field) == Some(kind) {
        canonical(&plain)
    } else {
        canonical(&serde_json::json!({ format!("${kind}"): plain }))
    }
}

/// Makes cells of rows.
pub(in crate::store) struct Reader<'a> {
    table: &'a Table,
    /// The writer of the last one: mostly that of the next.
    writer: Option<NodeId>,
}

impl<'a> Reader<'a> {
    pub(in crate::store) fn new(table: &'a Table) -> Self {
        Self { table, writer: None }
    }

    /// The cell that a row with the columns of [`COLUMNS`](super::COLUMNS) has, by what its field is known as.
    pub(super) fn read(&mut self, row: Raw) -> Result<Stored, Error> {
        let known = self.known(&row);
        self.read_as(known, row)
    }

    /// The same, with the kind that the cell's field is known as.
    pub(in crate::store) fn read_as(&mut self, known: Option<Kind>, row: Raw) -> Result<Stored, Error> {
        let plain = self.plain(row)?;
        self.understand(known, plain)
    }

    /// The same, as it travels.
    pub(super) fn read_change(&mut self, row: Raw) -> Result<Change, Error> {
        let known = self.known(&row);
        let plain = self.plain(row)?;
        if plain.travels_as_it_is(known) {
            if plain.field.is_empty() && !plain.state.is_null() {
                check_birth(&plain.state).map_err(|bad| corrupt(self.table, &plain.pk, bad.to_string()))?;
            }
            return Ok(plain.into_change(self.table));
        }
        Ok(self.understand(known, plain)?.into_change(self.table))
    }

    fn known(&self, row: &Raw) -> Option<Kind> {
        row.field.as_deref().and_then(|field| self.table.kind_of(field))
    }

    fn plain(&mut self, row: Raw) -> Result<Plain, Error> {
        let pk = row.pk.unwrap_or_default();
        let corrupt = |detail: String| corrupt(self.table, &pk, detail);
        let missing = |column: &str| corrupt(format!("`{column}` is null"));
        let number = |value: Option<i64>, column| {
            let value = value.ok_or_else(|| missing(column))?;
            u32::try_from(value).map_err(|_| corrupt(format!("{value} is out of range")))
        };
        let field = row.field.ok_or_else(|| missing("field"))?;
        let cell = row.cell.ok_or_else(|| missing("cell"))?;
        let node = row.node_id.ok_or_else(|| missing("node_id"))?;
        let node = match &self.writer {
            Some(writer) if writer.as_str() == node => writer.clone(),
            _ => NodeId::stored(&node)?,
        };
        let state = row.state.ok_or_else(|| missing("state"))?;
        let plain = Plain {
            field,
            cell,
            epoch: number(row.epoch, "epoch")?,
            hlc: Hlc {
                ts: row.hlc_ts.ok_or_else(|| missing("hlc_ts"))?,
                counter: number(row.hlc_counter, "hlc_counter")?,
                node: node.clone(),
            },
            state: state.into_json().map_err(|error| corrupt(error.to_string()))?,
            pk,
        };
        self.writer = Some(node);
        Ok(plain)
    }

    fn understand(&self, known: Option<Kind>, plain: Plain) -> Result<Stored, Error> {
        let Plain {
            pk,
            field,
            cell,
            epoch,
            hlc,
            state,
        } = plain;
        let key = CellKey::new(field, cell);
        let corrupt = |detail: String| corrupt(self.table, &pk, detail);
        let content = if key.field.is_empty() {
            let birth = match state {
                Json::Null => None,
                state => Some(Arc::new(parse_birth(state).map_err(|bad| corrupt(bad.to_string()))?)),
            };
            Content::Head(Head { epoch, hlc, birth })
        } else {
            let state = parse_state(known, &key, state).map_err(corrupt)?;
            Content::Cell(Cell { epoch, hlc, state })
        };
        Ok(Stored { pk, key, content })
    }
}

fn corrupt(table: &Table, pk: &str, detail: String) -> Error {
    Error::Corrupt {
        table: table.name.clone(),
        pk: pk.to_owned(),
        detail,
    }
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
