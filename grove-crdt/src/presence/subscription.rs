use std::sync::{Arc, Weak};

use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};

use crate::presence::{
    Filter, Presence, PresenceEvent, PresenceItem, PresenceKind, PresenceSnapshot,
    board::Inner,
    state::{Change, Seen},
};

/// Tells who is present: first all that are, then every event, in order.
///
/// A subscriber that is more than 1,024 events of the whole board behind is told all that is there anew, in a snapshot that
/// says so, and goes on from there. However slow it is, it costs no memory.
pub struct PresenceSubscription {
    board: Weak<Inner>,
    filter: Filter,
    /// What was there when the receiver began to hear, until it was given out.
    first: Option<Vec<Seen>>,
    receiver: Receiver<Arc<Change>>,
}

impl PresenceSubscription {
    pub(super) fn new(board: Weak<Inner>, filter: Filter, first: Vec<Seen>, receiver: Receiver<Arc<Change>>) -> Self {
        Self {
            board,
            filter,
            first: Some(first),
            receiver,
        }
    }

    /// The next item; `None` once the replica is closed. The future may be dropped: nothing is lost.
    pub async fn next(&mut self) -> Option<PresenceItem> {
        if let Some(first) = self.first.take() {
            return Some(snapshot(first, false));
        }
        loop {
            match self.receiver.recv().await {
                Ok(change) => {
                    if let Some(event) = self.filter.event(&change) {
                        return Some(PresenceItem::Event(event));
                    }
                }
                Err(RecvError::Lagged(_)) => return self.anew(),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next item, if there is one already.
    pub(crate) fn next_now(&mut self) -> Option<PresenceItem> {
        if let Some(first) = self.first.take() {
            return Some(snapshot(first, false));
        }
        loop {
            match self.receiver.try_recv() {
                Ok(change) => {
                    if let Some(event) = self.filter.event(&change) {
                        return Some(PresenceItem::Event(event));
                    }
                }
                Err(TryRecvError::Lagged(_)) => return self.anew(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    fn anew(&mut self) -> Option<PresenceItem> {
        let (seen, receiver) = self.board.upgrade()?.watch(&self.filter);
        self.receiver = receiver;
        Some(snapshot(seen, true))
    }
}

impl std::fmt::Debug for PresenceSubscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresenceSubscription")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

impl Filter {
    /// What a change is to one who is shown what this filter shows: one who hears by several ways may come into sight, or
    /// go out of it, without coming or leaving.
    fn event(&self, change: &Change) -> Option<PresenceEvent> {
        if !self.covers(&change.topic) {
            return None;
        }
        let visible = |shown: &Option<_>| shown.clone().filter(|shown| self.shows(&change.node, shown));
        let (before, after) = (visible(&change.before), visible(&change.after));
        let kind = match (&before, &after) {
            (None, None) => return None,
            (None, Some(_)) => PresenceKind::Join,
            (Some(_), Some(_)) => PresenceKind::Update,
            (Some(_), None) if change.expired => PresenceKind::Expire,
            (Some(_), None) => PresenceKind::Leave,
        };
        let (data, via) = after.map_or_else(|| (None, Vec::new()), |shown| (Some(shown.data), shown.via.to_vec()));
        Some(PresenceEvent {
            kind,
            topic: change.topic.as_ref().to_owned(),
            node_id: change.node.clone(),
            data,
            via,
        })
    }
}

fn snapshot(seen: Vec<Seen>, resync: bool) -> PresenceItem {
    PresenceItem::Snapshot(PresenceSnapshot {
        presences: seen.into_iter().map(Presence::from).collect(),
        resync,
        more: false,
    })
}
