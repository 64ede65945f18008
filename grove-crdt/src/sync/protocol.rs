//! What travels between replicas.
//!
//! One [`Change`] is one cell. A pull asks for the changes after a cursor, a push delivers changes; both are idempotent,
//! so a lost answer is repeated safely.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Number, Value as Json, value::RawValue};

#[cfg(feature = "openapi")]
use crate::sync::schema;
use crate::{
    change::{Change, Omitted, Rejection},
    clock::{Hlc, NodeId},
};

/// The version of the protocol that this library speaks, sent as the header `grove-protocol`.
pub const PROTOCOL_VERSION: u32 = 1;

/// The body of `POST /pull`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(expecting = "a pull, which is a JSON object")]
pub struct PullRequest {
    /// Who asks.
    pub node_id: NodeId,
    /// The identity of the asker's database.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::ReplicaId))]
    pub replica_id: String,
    /// The tables to be told of.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::tables))]
    pub tables: Vec<String>,
    /// Where the last answer ended; from the beginning when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many changes to answer with at most; the answerer may give fewer. When absent, the answerer chooses.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "whole")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub limit: Option<usize>,
    /// The largest answer that the asker reads, in bytes before compression. The answer has fewer changes then, and a change
    /// that is larger by itself is left out: see `omitted` there. As large as it gets, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "whole")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub max_bytes: Option<usize>,
    /// Reserved: a filter is refused, not ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::nothing))]
    pub filter: Option<Json>,
}

/// A number without a fraction, however it is written: JSON knows no integers, and some that write it put `1000.0`. One that is
/// larger than any is the largest.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    if let Some(number) = number.as_u64() {
        return Ok(Some(usize::try_from(number).unwrap_or(usize::MAX)));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and not negative, and what is too large becomes the largest"
    )]
    match number.as_f64() {
        Some(number) if number >= 0.0 && number.fract() == 0.0 => Ok(Some(number as usize)),
        _ => Err(D::Error::custom(format!(
            "a number of changes or bytes is a whole one, not {number}"
        ))),
    }
}

/// The answer to a pull.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PullResponse {
    /// The identity of the answerer's database.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::ReplicaId))]
    pub replica_id: String,
    /// The answerer's node.
    pub node_id: NodeId,
    /// The changes, in the answerer's commit order.
    pub changes: Vec<Change>,
    /// Where this answer ends.
    pub cursor: String,
    /// Whether there is more after `cursor`.
    pub has_more: bool,
    /// The newest clock value among `changes`; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub latest_hlc: Option<Hlc>,
    /// The cursor was not of this database's history (it was recreated or restored): this answer starts over, and what
    /// the asker has pushed before has to be pushed again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
    /// Notices of the changes that belong here, and are larger than the asker reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<Omitted>,
    /// More changes than these would be larger than the asker reads: it had better ask for no more at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
}

/// The body of `POST /push`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(expecting = "a push, which is a JSON object")]
pub struct PushRequest {
    /// Who pushes.
    pub node_id: NodeId,
    /// The identity of the pusher's database.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::ReplicaId))]
    pub replica_id: String,
    /// The changes. Each is judged alone; they are parsed one by one, so that one that can't be read spoils no other.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::pushed))]
    pub changes: Vec<PushedChange>,
}

/// A [`Change`] as it is pushed: a JSON text, which may turn out to be none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PushedChange(Box<RawValue>);

impl PushedChange {
    /// The text of a change.
    ///
    /// # Errors
    ///
    /// It can't be written as JSON.
    pub fn new(change: &Change) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(change).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The change, or why it is none.
    pub(crate) fn read(&self) -> Result<Change, String> {
        serde_json::from_str(self.as_str()).map_err(|error| {
            let message = error.to_string();
            // The place is one in this text alone, which nobody sees.
            let place = format!(" at line {} column {}", error.line(), error.column());
            message.strip_suffix(&place).unwrap_or(&message).to_owned()
        })
    }
}

impl PartialEq for PushedChange {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// The answer to a push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushResponse {
    /// The identity of the answerer's database.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::ReplicaId))]
    pub replica_id: String,
    /// The answerer's node.
    pub node_id: NodeId,
    /// How many changes were taken over, those known already included.
    pub merged: usize,
    /// How many of these lost to a newer state.
    pub conflicts: usize,
    /// How many changes were skipped: they were neither taken nor refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: usize,
    /// The changes that were refused.
    pub rejected: Vec<Rejection>,
    /// The newest clock value among the changes taken; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub latest_hlc: Option<Hlc>,
}

/// What `GET /stream` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRequest {
    /// The tables to be told of.
    pub tables: Vec<String>,
    /// Where the last event ended; from the beginning when absent.
    pub cursor: Option<String>,
    /// Who asks; absent for one who only looks on.
    pub node_id: Option<NodeId>,
    /// The identity of the asker's database: what came from there is left out. Only with `node_id`.
    pub replica_id: Option<String>,
    /// How many changes an event has at most; the answerer may give fewer. When absent, the answerer chooses.
    pub limit: Option<usize>,
    /// The largest event that the asker reads, in bytes; as for a pull.
    pub max_bytes: Option<usize>,
    /// The topics to be told of who is present; all that the asker may be told of, when absent.
    pub topics: Option<Vec<String>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The body of every answer that is an error: `{"error":{"code":"…","message":"…"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What an [`ErrorBody`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(description = "What an error says."))]
pub struct ErrorDetail {
    /// For programs.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z0-9_]{1,64}$"))]
    pub code: String,
    /// For people.
    #[cfg_attr(feature = "openapi", schema(max_length = 300))]
    pub message: String,
}
