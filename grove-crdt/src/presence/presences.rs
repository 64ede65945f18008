use serde::Serialize;

use crate::{
    clock::NodeId,
    error::Error,
    presence::{Board, Filter, Presence, PresenceGuard, PresenceRelay, PresenceSubscription},
};

/// Who is present, as this replica knows it; see [`Replica::presence`](crate::Replica::presence).
///
/// What this replica's program joins, its peers are told by a syncer that is connected to them, or by an
/// [`Announcer`](crate::sync::Announcer).
#[derive(Clone, Debug)]
pub struct Presences {
    board: Board,
}

impl Presences {
    pub(crate) fn new(board: Board) -> Self {
        Self { board }
    }

    /// Makes this node present under a topic, such as `documents:doc-1`, until the guard is dropped. Whoever may not read a
    /// table is not told of topics that begin with its name.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what has no JSON form, for `null`, and when a
    /// [limit](crate::presence::PresenceLimits) would be passed.
    pub fn join(&self, topic: &str, data: impl Serialize) -> Result<PresenceGuard, Error> {
        self.board.join(topic, &data)
    }

    /// Who is present under a topic now, this node included, by node.
    #[must_use]
    pub fn snapshot(&self, topic: &str) -> Vec<Presence> {
        self.board.snapshot(&Filter::topics([topic]))
    }

    /// Tells who is present under a topic, this node included, and then who comes, changes and goes.
    #[must_use]
    pub fn subscribe(&self, topic: &str) -> PresenceSubscription {
        self.board.subscribe(Filter::topics([topic]))
    }

    /// The same of every topic.
    #[must_use]
    pub fn subscribe_all(&self) -> PresenceSubscription {
        self.board.subscribe(Filter::all())
    }

    /// Takes over what a peer's stream tells of who is present there, for as long as what is returned lives: for a
    /// transport of your own that carries streams. `peer` is the node that answers.
    pub fn relay(&self, peer: NodeId) -> PresenceRelay {
        self.board.relay(peer)
    }
}
