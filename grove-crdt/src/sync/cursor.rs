//! The opaque text of a cursor: where in which history.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};

use crate::{store::peers::Within, sync::Position};

/// What a cursor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The identity of the database that gave it out.
    #[serde(rename = "r")]
    pub replica_id: String,
    /// That database's incarnation at the time.
    #[serde(rename = "i")]
    pub incarnation: String,
    #[serde(rename = "p")]
    pub position: Position,
}

impl Cursor {
    pub(super) fn encode(&self) -> String {
        BASE64.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// `None` when the text is none of ours.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let cursor: Self = serde_json::from_slice(&BASE64.decode(text).ok()?).ok()?;
        let Position { version, within } = &cursor.position;
        // No key has this character, and PostgreSQL fails over it.
        let is_key = |text: &String| !text.contains('\0');
        let within = within.as_ref();
        let is_place =
            within.is_none_or(|Within(table, pk, field, cell)| [table, pk, field, cell].into_iter().all(is_key));
        (*version >= 0 && is_place).then_some(cursor)
    }
}
