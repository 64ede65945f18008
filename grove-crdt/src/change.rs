//! What travels between replicas: one change, and why one is refused.

mod omitted;
mod rejection;
#[cfg(feature = "openapi")]
mod schema;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use omitted::Omitted;
pub(crate) use omitted::size;
pub use rejection::{Rejection, RejectionCode};

use crate::clock::{Hlc, NodeId};

/// One changed cell, as JSON:
///
/// ```json
/// {"table":"documents","pk":"doc-1","field":"title","crdt_type":"lww","epoch":1,
///  "hlc":{"ts":1730000000000000,"c":0,"node":"node-1"},"node_id":"node-1","value":"Hello"}
/// ```
///
/// | `crdt_type` | `field` | `cell` | state |
/// |---|---|---|---|
/// | `record` | empty | – | `value`: the values at birth, by kind and field; `tombstone` when deleted |
/// | `lww` | the column | – | `value` |
/// | `counter` | the column | the node | `counter`: that node's totals, `{"inc":30,"dec":0}` |
/// | `set` | the column | the element's key | `value`: the element; `set`: per node `{"add":[ts,c],"rem":[ts,c]}`; `tombstone` when not present |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(expecting = "a change, which is a JSON object")]
pub struct Change {
    /// The table's name.
    pub table: String,
    /// The row's key as text.
    pub pk: String,
    /// The column, empty for the record itself.
    #[serde(default)]
    pub field: String,
    /// The cell within the field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cell: String,
    /// `record`, `lww`, `counter`, `set`, or a kind of a later version.
    pub crdt_type: String,
    /// The record's causal length at the time of writing.
    #[cfg_attr(feature = "openapi", schema(format = "uint32", maximum = 4_294_967_295_i64))]
    pub epoch: u32,
    /// When it was written.
    pub hlc: Hlc,
    /// Who wrote it: the node of `hlc`.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::clock::Writer))]
    pub node_id: NodeId,
    /// See the table above.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_json")]
    #[cfg_attr(feature = "openapi", schema(value_type = Value))]
    pub value: Option<Json>,
    /// See the table above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = schema::CounterTotals))]
    pub counter: Option<Json>,
    /// See the table above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = schema::SetTags))]
    pub set: Option<Json>,
    /// Whether the change says that something is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tombstone: bool,
}

/// Tells a value of `null` from no value.
fn some_json<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl Change {
    /// The value that the change gives to an `lww` field, be it the field's own change or the record's birth.
    ///
    /// ```
    /// use grove_crdt::Change;
    /// use serde_json::json;
    ///
    /// let birth: Change = serde_json::from_value(json!({
    ///     "table": "documents", "pk": "doc-1", "crdt_type": "record", "epoch": 1,
    ///     "hlc": {"ts": 1, "c": 0, "node": "a"}, "node_id": "a", "value": {"lww": {"title": "Hello"}},
    /// }))?;
    /// assert_eq!(birth.lww("title"), Some(&json!("Hello")));
    /// assert_eq!(birth.lww("author"), None);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn lww(&self, field: &str) -> Option<&Json> {
        match self.crdt_type.as_str() {
            "record" => self.value.as_ref()?.get("lww")?.get(field),
            "lww" if self.field == field => self.value.as_ref(),
            _ => None,
        }
    }

    /// The same value, to be altered by a [hook](crate::sync::SyncHook).
    pub fn lww_mut(&mut self, field: &str) -> Option<&mut Json> {
        match self.crdt_type.as_str() {
            "record" => self.value.as_mut()?.get_mut("lww")?.get_mut(field),
            "lww" if self.field == field => self.value.as_mut(),
            _ => None,
        }
    }

    /// Whether the change deletes the row.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        self.crdt_type == "record" && self.tombstone
    }

    /// No fewer bytes than it has as JSON, found out without writing it.
    pub(crate) fn at_most(&self) -> usize {
        const CLOCK_AND_NAMES: usize = 1 << 10;
        let texts = [&self.table, &self.pk, &self.field, &self.cell, &self.crdt_type];
        let texts = texts.into_iter().map(|text| text_at_most(text));
        let values = [&self.value, &self.counter, &self.set];
        let values = values.into_iter().flatten().map(json_at_most);
        texts.chain(values).fold(CLOCK_AND_NAMES, usize::saturating_add)
    }

    /// Whether the two are one write of one cell, whatever they say it holds.
    pub(crate) fn is_same_write(&self, other: &Self) -> bool {
        self.table == other.table
            && self.pk == other.pk
            && self.field == other.field
            && self.cell == other.cell
            && self.crdt_type == other.crdt_type
            && self.epoch == other.epoch
            && self.hlc == other.hlc
            && self.node_id == other.node_id
    }
}

/// A character may be written as `\u0001`.
fn text_at_most(text: &str) -> usize {
    text.len().saturating_mul(6).saturating_add(2)
}

fn json_at_most(value: &Json) -> usize {
    const NUMBER: usize = 32;
    match value {
        Json::String(text) => text_at_most(text),
        Json::Array(items) => items.iter().fold(2, |sum, item| sum + json_at_most(item) + 1),
        Json::Object(map) => map.iter().fold(2, |sum, (name, value)| {
            sum + text_at_most(name) + json_at_most(value) + 2
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) => NUMBER,
    }
}
