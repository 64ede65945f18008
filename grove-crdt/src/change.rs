//! What travels between replicas: one change, and why one is refused.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

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
    pub epoch: u32,
    /// When it was written.
    pub hlc: Hlc,
    /// Who wrote it: the node of `hlc`.
    pub node_id: NodeId,
    /// See the table above.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_json")]
    pub value: Option<Json>,
    /// See the table above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<Json>,
    /// See the table above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Json>,
    /// Whether the change says that something is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tombstone: bool,
}

/// Tells a value of `null` from no value.
fn some_json<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// Why one change was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The change's place in the request.
    pub index: usize,
    /// What kind of refusal it is.
    pub code: RejectionCode,
    /// What was wrong with it.
    pub message: String,
}

impl Rejection {
    /// The longest message, in bytes: a refusal must not carry back a whole hostile value.
    const MAX_MESSAGE: usize = 300;

    pub(crate) fn new(index: usize, code: RejectionCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > Self::MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(Self::MAX_MESSAGE));
            message.push('…');
        }
        Self { index, code, message }
    }
}

/// The kinds of refusal of a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectionCode {
    /// The change is not of the protocol's form, or contradicts itself.
    Malformed,
    /// The table is not replicated there.
    UnknownTable,
    /// The kind is not known there; it may be after an upgrade.
    UnknownKind,
    /// The field has another kind there, or is part of the key.
    WrongKind,
    /// The key is not one of that table.
    BadKey,
    /// A value is not one of the field's type, or nested too deeply.
    BadValue,
    /// The clock value can't have come from a clock.
    BadClock,
    /// The clock value is too far ahead of the receiver's clock.
    ClockAhead,
    /// A counter's totals went back while its clock went on: its node was reset.
    CounterRegressed,
    /// The sender may not write the table.
    Forbidden,
    /// A code of a later version; or, kept by a sender, a change that is too large to be sent even alone.
    #[serde(other)]
    Other,
}

impl RejectionCode {
    /// Whether the same change can be taken later, without anybody mending it.
    #[must_use]
    pub fn can_pass_later(&self) -> bool {
        matches!(self, Self::ClockAhead | Self::UnknownTable | Self::UnknownKind)
    }

    /// The code as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownTable => "unknown_table",
            Self::UnknownKind => "unknown_kind",
            Self::WrongKind => "wrong_kind",
            Self::BadKey => "bad_key",
            Self::BadValue => "bad_value",
            Self::BadClock => "bad_clock",
            Self::ClockAhead => "clock_ahead",
            Self::CounterRegressed => "counter_regressed",
            Self::Forbidden => "forbidden",
            Self::Other => "other",
        }
    }
}
