//! What an application has a say in when changes are exchanged.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    change::Change,
    replica::{HookError, Peer},
};

/// Sees, alters, skips and refuses what is exchanged with peers.
///
/// Hooks are given to [`ReplicaBuilder::hook`](crate::ReplicaBuilder::hook), and run on every path: for what peers push and
/// pull, for what a [`Syncer`](crate::sync::Syncer) pulls and pushes, for streams, and for
/// `Model::merge_remote`. What this node itself writes passes them on its way out only. All methods are
/// optional; each is told who the other side is.
///
/// From the outside in, a change passes [`before_inbound`](Self::before_inbound), [`before_merge`](Self::before_merge), the
/// merge, [`after_merge`](Self::after_merge) and [`after_inbound`](Self::after_inbound); on its way out
/// [`before_outbound`](Self::before_outbound), and [`before_page`](Self::before_page) with all that goes with it.
///
/// The answer to a change is one of four:
///
/// - `Ok(Some(change))`, with the change as it was: it goes on.
/// - `Ok(Some(change))` with another `value`: it is altered. Nothing else of an inbound change may be altered, and only the
///   values of `lww` fields, be it one's own change or in a record's birth: what counters and sets hold is their writers'.
///   What is taken in place of an inbound change is a write by this node, just after the one it replaces: it wins
///   everywhere, at its sender's too, but for what was written later. So alter only what needs it: when two replicas with
///   such hooks sync, each must leave alone what the other has made.
/// - `Ok(None)`: it is skipped. Nothing is stored or sent, the cursor moves on, and it is counted as `skipped`.
/// - `Err`: it is refused with the error's code and message, and no other change is. It is kept as a
///   [dead letter](crate::Replica::dead_letters).
///
/// Several hooks make a chain: each is given what the one before has made of the change, and when one skips or refuses it,
/// those after it don't see it. A hook that panics refuses the change for now, with the code `hook_failed`.
///
/// ```
/// use async_trait::async_trait;
/// use grove_crdt::{Change, sync::{HookError, Peer, SyncHook}};
///
/// /// Takes no title of more than 80 characters.
/// struct ShortTitles;
///
/// #[async_trait]
/// impl SyncHook for ShortTitles {
///     async fn before_inbound(&self, _: &Peer, change: Change) -> Result<Option<Change>, HookError> {
///         match change.lww("title").and_then(|title| title.as_str()) {
///             Some(title) if title.chars().count() > 80 => {
///                 Err(HookError::new("title_too_long", "a title has 80 characters at most"))
///             }
///             _ => Ok(Some(change)),
///         }
///     }
/// }
///
/// # fn example(builder: grove_crdt::ReplicaBuilder) -> grove_crdt::ReplicaBuilder {
/// builder.hook(ShortTitles)
/// # }
/// ```
#[async_trait]
#[expect(unused_variables, reason = "the names are for those who implement the methods")]
pub trait SyncHook: Send + Sync + 'static {
    /// A change has come that could be merged; one that is malformed was refused before. No lock is held, so this is the
    /// place to look things up.
    async fn before_inbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        Ok(Some(change))
    }

    /// A change is about to be merged with what is there: `local` is the state of its cell before the changes that came with
    /// it, if it has one. For a field that was not written since the record's birth, that is what the birth gave it.
    ///
    /// This runs inside the transaction that merges, with the record locked: it must be quick, and must not use the
    /// database, which on SQLite would wait for itself. The transaction is tried again when another gets in its way, and
    /// then this runs again, with the newer state.
    async fn before_merge(
        &self,
        peer: &Peer,
        remote: Change,
        local: Option<&Change>,
    ) -> Result<Option<Change>, HookError> {
        Ok(Some(remote))
    }

    /// A change has been merged, and what came of it is committed. Also told of a change that changed nothing, because it
    /// was known already or lost to a newer one.
    ///
    /// Like [`after_inbound`](Self::after_inbound), this may be told twice of a change that was sent twice, and never of one
    /// after whose commit the process ended or the request was cancelled.
    async fn after_merge(&self, peer: &Peer, merge: MergeEvent<'_>) {}

    /// A change, as the hooks before have left it, has been taken, and what came of it is committed. Not told of changes that
    /// were skipped or refused.
    async fn after_inbound(&self, peer: &Peer, change: &Change) {}

    /// A change is about to be told to a peer. What is altered here is altered for that peer alone, under the clock value it
    /// has. Such a peer must sync with nobody else, and not write back what was altered for it: see
    /// [`Peer::may_only_write`].
    async fn before_outbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        Ok(Some(change))
    }

    /// A page is about to be told to a peer: all the changes together, to look up at once what takes looking up, and leave
    /// out what the peer must not see. An error refuses the whole page: a pull is answered with it, a stream ends, a push
    /// does not take place. Whatever comes after it waits until it passes.
    async fn before_page(&self, peer: &Peer, page: &mut OutboundPage) -> Result<(), HookError> {
        Ok(())
    }
}

/// A merge of one change; see [`SyncHook::after_merge`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MergeEvent<'a> {
    /// What was there before; `None` when the cell had no state.
    pub local: Option<&'a Change>,
    /// What came, as the hooks before have left it.
    pub remote: &'a Change,
    /// What is there now; `None` when the record was deleted, and the change with it.
    pub result: Option<&'a Change>,
}

/// Changes that are about to be told to a peer, in commit order; see [`SyncHook::before_page`].
#[derive(Debug)]
pub struct OutboundPage {
    /// The changes, and the place of each among those that were to be told.
    changes: Vec<(usize, Change)>,
}

impl OutboundPage {
    pub(crate) fn new(changes: Vec<(usize, Change)>) -> Self {
        Self { changes }
    }

    /// The changes, in commit order.
    #[must_use]
    pub fn changes(&self) -> impl ExactSizeIterator<Item = &Change> {
        self.changes.iter().map(|(_, change)| change)
    }

    /// Leaves out the changes for which `keep` is false. They count as skipped.
    pub fn retain(&mut self, mut keep: impl FnMut(&Change) -> bool) {
        self.changes.retain(|(_, change)| keep(change));
    }

    pub(crate) fn into_changes(self) -> Vec<(usize, Change)> {
        self.changes
    }
}

#[async_trait]
impl<H: SyncHook + ?Sized> SyncHook for Arc<H> {
    async fn before_inbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        (**self).before_inbound(peer, change).await
    }

    async fn before_merge(
        &self,
        peer: &Peer,
        remote: Change,
        local: Option<&Change>,
    ) -> Result<Option<Change>, HookError> {
        (**self).before_merge(peer, remote, local).await
    }

    async fn after_merge(&self, peer: &Peer, merge: MergeEvent<'_>) {
        (**self).after_merge(peer, merge).await;
    }

    async fn after_inbound(&self, peer: &Peer, change: &Change) {
        (**self).after_inbound(peer, change).await;
    }

    async fn before_outbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        (**self).before_outbound(peer, change).await
    }

    async fn before_page(&self, peer: &Peer, page: &mut OutboundPage) -> Result<(), HookError> {
        (**self).before_page(peer, page).await
    }
}
