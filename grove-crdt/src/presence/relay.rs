use std::{collections::BTreeSet, sync::Arc};

use crate::{
    clock::NodeId,
    presence::{
        Board, Presence, PresenceItem, PresenceKind,
        claim::{Shown, Source},
        state::{State, Topic},
    },
};

/// Through how many nodes a presence may have come. What comes farther is not taken.
const FARTHEST: usize = 16;

/// Takes what a peer's stream tells of who is present there, and takes it back when it is dropped; see
/// [`Presences::relay`](crate::presence::Presences::relay).
#[derive(Debug)]
#[must_use = "what came from the peer leaves when this is dropped"]
pub struct PresenceRelay {
    board: Board,
    peer: NodeId,
    source: Source,
    /// What the board has from here.
    held: BTreeSet<(Topic, NodeId)>,
    /// What a snapshot has told so far whose last part is still to come.
    arriving: BTreeSet<(Topic, NodeId)>,
}

impl PresenceRelay {
    pub(super) fn new(board: Board, peer: NodeId, number: u64) -> Self {
        Self {
            board,
            peer,
            source: Source::Relay(number),
            held: BTreeSet::new(),
            arriving: BTreeSet::new(),
        }
    }

    /// Takes one item of the peer's stream. What it tells of this node itself, what came by this node, and what passes a
    /// limit is not taken.
    pub fn apply(&mut self, item: PresenceItem) {
        let board = self.board.clone();
        board.change(|state, _| match item {
            PresenceItem::Event(event) => match event.data {
                Some(data) => {
                    let (topic, node_id, via) = (event.topic, event.node_id, event.via);
                    self.take(
                        state,
                        Presence {
                            topic,
                            node_id,
                            data,
                            via,
                        },
                    );
                }
                None => self.give_up(state, &event.topic, &event.node_id, event.kind == PresenceKind::Expire),
            },
            PresenceItem::Snapshot(snapshot) => {
                for presence in snapshot.presences {
                    if let Some(taken) = self.take(state, presence) {
                        self.arriving.insert(taken);
                    }
                }
                if !snapshot.more {
                    let arrived = std::mem::take(&mut self.arriving);
                    let gone: Vec<_> = self.held.difference(&arrived).cloned().collect();
                    for (topic, node) in gone {
                        self.give_up(state, &topic, &node, false);
                    }
                }
            }
        });
    }

    /// Takes a presence, or gives up what was there of it.
    fn take(&mut self, state: &mut State, presence: Presence) -> Option<(Topic, NodeId)> {
        let Presence {
            topic,
            node_id,
            data,
            mut via,
        } = presence;
        let own = self.board.node();
        let limits = self.board.limits();
        let said = std::iter::once((topic.as_str(), Some(&data)));
        let echo = node_id == *own || via.contains(own);
        let reason = if echo || node_id.is_baseline() || via.len() >= FARTHEST {
            None
        } else {
            Some(state.check(limits, &node_id, self.source, said))
        };
        if let Some(Ok(())) = reason {
            via.push(self.peer.clone());
            let via = Arc::from(via);
            let topic = state.claim(&topic, &node_id, self.source, Shown { data, via }, None);
            self.held.insert((topic.clone(), node_id.clone()));
            return Some((topic, node_id));
        }
        if let Some(Err(refused)) = reason {
            tracing::debug!(peer = %self.peer, node = %node_id, %refused, "a presence was not taken");
        }
        self.give_up(state, &topic, &node_id, false);
        None
    }

    fn give_up(&mut self, state: &mut State, topic: &str, node: &NodeId, expired: bool) {
        state.withdraw(topic, node, self.source, expired);
        self.held.remove(&(topic.into(), node.clone()));
    }
}

impl Drop for PresenceRelay {
    fn drop(&mut self) {
        self.board.change(|state, _| {
            for (topic, node) in &self.held {
                state.withdraw(topic, node, self.source, false);
            }
        });
    }
}
