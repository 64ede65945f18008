//! What requests and answers are marked with, over every transport alike.

use crate::sync::respond::Refusal;

/// The header that names the version of the protocol.
pub const PROTOCOL_HEADER: &str = "grove-protocol";

/// The code of the answer when a body, or a page, is larger than the other side takes.
pub(crate) const TOO_LARGE: &str = "too_large";

impl Refusal {
    /// The refusal's code as it stands on the wire.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::WrongNode { .. } => "wrong_node",
            Self::NodeConflict(_) => "node_conflict",
            Self::UnknownTable(_) => "unknown_table",
            Self::Forbidden(_) => "forbidden",
            Self::Hook(error) => error.code(),
            Self::Internal(_) => "internal",
        }
    }
}
