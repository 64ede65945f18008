use std::sync::Arc;

use serde::Serialize;

use crate::{
    error::Error,
    presence::{Board, PresenceData, claim::Source},
};

/// This node is present under a topic, until this is dropped. See [`Presences::join`](crate::presence::Presences::join).
///
/// Of several under one topic, the one that was updated last shows, and the node leaves with the last of them.
#[derive(Debug)]
#[must_use = "the node leaves when this is dropped"]
pub struct PresenceGuard {
    board: Board,
    topic: Arc<str>,
    number: u64,
}

impl PresenceGuard {
    pub(super) fn new(board: Board, topic: Arc<str>, number: u64) -> Self {
        Self { board, topic, number }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Tells something else from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what has no JSON form, `null`, and data that is too large. What was told before stands.
    pub fn update(&self, data: impl Serialize) -> Result<(), Error> {
        self.board.say(&self.topic, self.number, &PresenceData::new(&data)?)?;
        Ok(())
    }
}

impl Drop for PresenceGuard {
    fn drop(&mut self) {
        let source = Source::Guard(self.number);
        self.board
            .change(|state, _| state.withdraw(&self.topic, self.board.node(), source, false));
    }
}
