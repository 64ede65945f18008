use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::broadcast, time::Instant};

use crate::{
    clock::NodeId,
    error::Error,
    presence::{
        Filter, Presence, PresenceData, PresenceGuard, PresenceLimits, PresenceSubscription, Refused,
        claim::{Shown, Source},
        connection::Connection,
        expiry,
        relay::PresenceRelay,
        state::{Change, Seen, State},
    },
};

/// How many events are kept for subscribers that are behind. One further behind is given all that is there instead.
const RING: usize = 1_024;

/// Everything that is known of who is present. Clones are handles of one board.
#[derive(Clone)]
pub(crate) struct Board(Arc<Inner>);

pub(super) struct Inner {
    node: NodeId,
    limits: PresenceLimits,
    state: Mutex<State>,
    changes: broadcast::Sender<Arc<Change>>,
}

impl Board {
    /// A board of this node.
    pub(crate) fn new(node: NodeId, limits: PresenceLimits) -> Self {
        Self(Arc::new(Inner {
            node,
            limits,
            state: Mutex::default(),
            changes: broadcast::Sender::new(RING),
        }))
    }

    /// The node whose board it is.
    pub(crate) fn node(&self) -> &NodeId {
        &self.0.node
    }

    /// How long what is posted stands.
    pub(crate) fn ttl(&self) -> Duration {
        self.0.limits.ttl
    }

    pub(crate) fn limits(&self) -> &PresenceLimits {
        &self.0.limits
    }

    /// Takes what a node says of itself, by topic: data to join, to change it or to stay; nothing to leave. All of it or
    /// nothing.
    ///
    /// # Errors
    ///
    /// The first limit that would be passed.
    pub(crate) fn post(&self, node: &NodeId, said: &BTreeMap<String, Option<PresenceData>>) -> Result<(), Refused> {
        self.change(|state, now| {
            let each = said.iter().map(|(topic, data)| (topic.as_str(), data.as_ref()));
            state.check(&self.0.limits, node, Source::Posted, each.clone())?;
            for (topic, data) in each {
                match data {
                    Some(data) => {
                        let shown = said_here(data.clone());
                        state.claim(topic, node, Source::Posted, shown, Some(now + self.ttl()));
                    }
                    None => state.withdraw(topic, node, Source::Posted, false),
                }
            }
            Ok(())
        })
    }

    /// Remembers which database a node has, for as long as the node is here: those that move a cursor say who they are many
    /// times a second.
    pub(crate) fn note_database(&self, node: &NodeId, database: &str) {
        self.change(|state, _| state.note_database(node, database));
    }

    /// Forgets which database a node has.
    pub(crate) fn forget_database(&self, node: &NodeId) {
        self.change(|state, _| state.forget_database(node));
    }

    /// Whether this is remembered to be a node's database.
    pub(crate) fn has_database(&self, node: &NodeId, database: &str) -> bool {
        self.change(|state, _| state.has_database(node, database))
    }

    /// Takes what this node's own program says, for as long as the guard lives.
    ///
    /// # Errors
    ///
    /// What is no data, and the first limit that would be passed.
    pub(crate) fn join(&self, topic: &str, data: &(impl Serialize + ?Sized)) -> Result<PresenceGuard, Error> {
        let data = PresenceData::new(data)?;
        let number = self.change(|state, _| state.number());
        let topic = self.say(topic, number, &data)?;
        Ok(PresenceGuard::new(self.clone(), topic, number))
    }

    /// Takes what the guard of this number says.
    ///
    /// # Errors
    ///
    /// The first limit that would be passed.
    pub(super) fn say(&self, topic: &str, number: u64, data: &PresenceData) -> Result<Arc<str>, Refused> {
        let (node, source) = (&self.0.node, Source::Guard(number));
        self.change(|state, _| {
            let said = std::iter::once((topic, Some(data)));
            state.check(&self.0.limits, node, source, said)?;
            Ok(state.claim(topic, node, source, said_here(data.clone()), None))
        })
    }

    /// Counts a connection of a node, until what is returned is dropped. When the last of a node's goes, all that the node
    /// posted leaves.
    pub(crate) fn connect(&self, node: &NodeId) -> Connection {
        self.change(|state, _| state.connect(node));
        Connection::new(self.clone(), node.clone())
    }

    /// What takes the events of a peer's stream, and takes them back when it is dropped. `peer` is the node that answers.
    pub(crate) fn relay(&self, peer: NodeId) -> PresenceRelay {
        let number = self.change(|state, _| state.number());
        PresenceRelay::new(self.clone(), peer, number)
    }

    /// All that is there now, by topic and node.
    pub(crate) fn snapshot(&self, filter: &Filter) -> Vec<Presence> {
        let seen = self.change(|state, _| state.seen(filter));
        seen.into_iter().map(Presence::from).collect()
    }

    /// All that is there, and then what happens.
    pub(crate) fn subscribe(&self, filter: Filter) -> PresenceSubscription {
        let (seen, receiver) = self.0.watch(&filter);
        PresenceSubscription::new(self.downgrade(), filter, seen, receiver)
    }

    pub(super) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.0)
    }

    /// Changes the board, and tells of it.
    pub(super) fn change<T>(&self, work: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = Instant::now();
        let mut state = self.0.up_to_date(now);
        let result = work(&mut state, now);
        self.0.tell(&mut state);
        expiry::keep_going(self, &mut state);
        result
    }
}

impl Inner {
    /// What is there, and where to hear what happens next: nothing is missing between the two, and nothing twice.
    pub(super) fn watch(&self, filter: &Filter) -> (Vec<Seen>, broadcast::Receiver<Arc<Change>>) {
        let state = self.up_to_date(Instant::now());
        (state.seen(filter), self.changes.subscribe())
    }

    /// The state, without what has expired.
    pub(super) fn up_to_date(&self, now: Instant) -> MutexGuard<'_, State> {
        // No step between two that belong together can panic.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.expire(now);
        self.tell(&mut state);
        state
    }

    /// Tells of what has changed, with the state locked, so that all are told in the order in which it happened.
    fn tell(&self, state: &mut State) {
        for change in state.changes.drain(..) {
            // Nobody listens: then nobody misses it.
            let _ = self.changes.send(Arc::new(change));
        }
    }
}

fn said_here(data: PresenceData) -> Shown {
    Shown {
        data,
        via: Arc::default(),
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(expiring) = state.expiring.take() {
            expiring.abort();
        }
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board")
            .field("node", &self.0.node)
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}
