//! What requests and answers are marked with, over every transport alike.

use crate::{store::retry::is_busy, sync::respond::Refusal};

/// The header that names the version of the protocol.
pub const PROTOCOL_HEADER: &str = "grove-protocol";

/// The code of the answer when a body, or a page, is larger than the other side takes.
pub(crate) const TOO_LARGE: &str = "too_large";

/// The code of the answer when there are as many of something as there may be.
pub(crate) const LIMIT_REACHED: &str = "limit_reached";

/// The code of the answer when what was asked for could not be done for all else that is done.
pub(crate) const BUSY: &str = "busy";

/// The code of a transport's own answer to what it can't carry.
pub(crate) const NOT_SUPPORTED: &str = "not_supported";

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
            Self::TooLarge(_) => TOO_LARGE,
            Self::LimitReached(_) => LIMIT_REACHED,
            Self::Internal(error) if is_busy(error) => BUSY,
            Self::Internal(_) => "internal",
        }
    }
}
