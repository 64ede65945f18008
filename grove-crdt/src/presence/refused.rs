use crate::{clock::NodeId, error::Error};

/// Why a presence was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{topic:?} is no topic: it has 1 to {limit} bytes, and no control characters")]
    Topic { topic: String, limit: usize },
    #[error("the data under topic `{topic}` has {bytes} bytes of JSON, and may have {limit}")]
    TooLarge { topic: String, bytes: usize, limit: usize },
    #[error("node `{node}` may be present under {limit} topics: leave some first")]
    TooManyTopics { node: NodeId, limit: usize },
    #[error("{limit} nodes may be present under one topic, and `{topic}` has them: try again when some have left")]
    TooManyNodes { topic: String, limit: usize },
    #[error("{limit} presences may be here at once, and are: try again when some have left")]
    TooManyPresences { limit: usize },
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Invalid(refused.to_string())
    }
}
