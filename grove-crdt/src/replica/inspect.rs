//! Showing what a record holds.

use std::fmt;

use sea_orm::{ConnectionTrait, DatabaseTransaction, PrimaryKeyTrait, sea_query::IntoValueTuple};
use serde::Serialize;
use serde_json::Value as Json;

use crate::{
    clock::{Hlc, NodeId},
    entity::{CrdtEntity, Table, key},
    error::Error,
    replica::{Core, session::Session},
    store::shadow,
    types::{Kind, Record, State, u128_json},
};

/// The state of one record. `Display` is for people, `Serialize` for programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The table's name.
    pub table: String,
    /// The row's key as text.
    pub pk: String,
    /// What became of the record.
    pub state: RecordState,
    /// The record's causal length; 0 when there is none.
    pub epoch: u32,
    /// The clock value of the birth or the death.
    pub hlc: Option<Hlc>,
    /// The replicated fields, in the entity's order. Empty unless the record is alive.
    pub fields: Vec<FieldState>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RecordState {
    /// Nothing is known of it.
    Unknown,
    /// It is there.
    Alive,
    /// It was deleted.
    Deleted,
}

/// The state of one field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FieldState {
    /// The column.
    pub field: String,
    /// How it merges.
    pub kind: Kind,
    /// Its value; `null` also when a counter's value is out of range.
    pub value: Json,
    /// The newest write; absent when the field has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hlc: Option<Hlc>,
    /// Of a counter, what each node did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<CounterPart>,
}

/// What one node did to a counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CounterPart {
    /// The node; `~` for what was there before replication.
    pub node: NodeId,
    /// What it added; as JSON, beyond 2^53 a string of digits.
    #[serde(serialize_with = "exact")]
    pub inc: u128,
    /// What it took away; likewise.
    #[serde(serialize_with = "exact")]
    pub dec: u128,
}

fn exact<S: serde::Serializer>(total: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    u128_json(*total).serialize(serializer)
}

pub(super) async fn inspect<E: CrdtEntity, C: ConnectionTrait>(
    core: &Core,
    conn: &C,
    key: <E::PrimaryKey as PrimaryKeyTrait>::ValueType,
) -> Result<Inspection, Error> {
    let (table, pk) = place::<E>(core, key)?;
    let record = stored(core, conn, table, &pk).await?;
    Ok(describe(table, pk, &record))
}

/// As it will be once a transaction is committed. Nothing is written.
pub(super) async fn inspect_within<E: CrdtEntity>(
    session: &Session,
    tx: &DatabaseTransaction,
    key: <E::PrimaryKey as PrimaryKeyTrait>::ValueType,
) -> Result<Inspection, Error> {
    let core = &session.core;
    let (table, pk) = place::<E>(core, key)?;
    let record = match session.preview(tx, table, &pk).await? {
        Some(record) => record,
        None => stored(core, tx, table, &pk).await?,
    };
    Ok(describe(table, pk, &record))
}

fn place<E: CrdtEntity>(
    core: &Core,
    key: <E::PrimaryKey as PrimaryKeyTrait>::ValueType,
) -> Result<(&Table, String), Error> {
    let table: &Table = core.registry.require(E::default().table_name())?;
    let values: Vec<_> = key.into_value_tuple().into_iter().collect();
    Ok((table, key::of_values(table, &values)?))
}

async fn stored<C: ConnectionTrait>(core: &Core, conn: &C, table: &Table, pk: &str) -> Result<Record, Error> {
    let mut loaded = shadow::read(conn, &core.registry, table, &[pk.to_owned()]).await?;
    Ok(loaded.records.remove(pk).unwrap_or_default())
}

fn describe(table: &Table, pk: String, record: &Record) -> Inspection {
    let state = match record.head() {
        None => RecordState::Unknown,
        Some(head) if head.birth.is_some() => RecordState::Alive,
        Some(_) => RecordState::Deleted,
    };
    let fields = table
        .replicated()
        .map(|(_, column, kind)| field(record, &column.name, kind));
    Inspection {
        table: table.name.clone(),
        pk,
        state,
        epoch: record.epoch(),
        hlc: record.head().map(|head| head.hlc.clone()),
        fields: if record.is_alive() {
            fields.collect()
        } else {
            Vec::new()
        },
    }
}

fn field(record: &Record, name: &str, kind: Kind) -> FieldState {
    let cells = record.field(name);
    let parts = cells.iter().filter_map(|(key, cell)| match cell.state {
        State::Counter(totals) => Some(CounterPart {
            node: NodeId::stored(key).ok()?,
            inc: totals.inc,
            dec: totals.dec,
        }),
        _ => None,
    });
    FieldState {
        field: name.to_owned(),
        kind,
        value: record.value(name, kind).ok().flatten().unwrap_or_default(),
        hlc: cells.values().map(|cell| &cell.hlc).max().cloned(),
        parts: parts.collect(),
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CRDT State for {}[{}]", self.table, self.pk)?;
        match (self.state, &self.hlc) {
            (RecordState::Deleted, Some(hlc)) => write!(f, "\n  deleted (node={}, hlc={hlc})", hlc.node)?,
            (RecordState::Alive, _) => {}
            _ => write!(f, "\n  no record")?,
        }
        for field in &self.fields {
            write!(f, "\n  {field}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): ", self.field, self.kind)?;
        match (self.kind, &self.value, &self.hlc) {
            (Kind::Set, Json::Array(elements), _) => {
                let elements: Vec<_> = elements.iter().map(Json::to_string).collect();
                write!(f, "[{}]", elements.join(", "))
            }
            (Kind::Counter, value, _) => {
                match value {
                    Json::String(digits) => f.write_str(digits)?,
                    Json::Null => f.write_str("out of range")?,
                    number => write!(f, "{number}")?,
                }
                for part in &self.parts {
                    write!(f, " [{}: +{} -{}]", part.node, part.inc, part.dec)?;
                }
                Ok(())
            }
            (_, value, Some(hlc)) => write!(f, "{value} (node={}, hlc={hlc})", hlc.node),
            (_, value, None) => write!(f, "{value}"),
        }
    }
}
