//! What hooks leave of the changes that are to be told to a peer.

use crate::{
    change::Change,
    replica::{HookError, OutboundPage, Peer, Replica},
    sync::{Refusal, letters::Refused},
};

/// Changes on their way out.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub changes: Vec<Change>,
    /// Where each of them stood among those that were to be told; empty when all are told.
    places: Vec<usize>,
    /// How many were skipped.
    pub skipped: usize,
    /// Those that were refused, by where they stood.
    pub refused: Refused,
}

impl Outgoing {
    /// Where a change stood among those that were to be told.
    pub(super) fn place(&self, index: usize) -> usize {
        self.places.get(index).copied().unwrap_or(index)
    }
}

/// Asks the hooks about changes that are to be told to a peer. Costs nothing when there are none.
///
/// # Errors
///
/// A hook refuses the page as a whole.
pub(super) async fn outgoing(replica: &Replica, peer: &Peer, changes: Vec<Change>) -> Result<Outgoing, HookError> {
    let hooks = &replica.core.hooks;
    let mut outgoing = Outgoing::default();
    if hooks.is_empty() || changes.is_empty() {
        outgoing.changes = changes;
        return Ok(outgoing);
    }
    let count = changes.len();
    let mut passing = Vec::with_capacity(count);
    for (index, change) in changes.into_iter().enumerate() {
        match hooks.before_outbound(peer, change).await {
            (_, Ok(Some(change))) => passing.push((index, change)),
            (_, Ok(None)) => {}
            (change, Err(error)) => drop(outgoing.refused.insert(index, (change, error.rejection(index)))),
        }
    }
    let mut page = OutboundPage::new(passing);
    hooks.before_page(peer, &mut page).await?;
    (outgoing.places, outgoing.changes) = page.into_changes().into_iter().unzip();
    outgoing.skipped = count - outgoing.changes.len() - outgoing.refused.len();
    replica.core.meters.kept_back(outgoing.skipped);
    Ok(outgoing)
}

/// What a peer that asks is told of a page. It can't be told what was refused, so that is logged.
///
/// # Errors
///
/// [`Refusal::Hook`]: a hook refuses the page as a whole.
pub(crate) async fn told(replica: &Replica, peer: &Peer, changes: Vec<Change>) -> Result<Vec<Change>, Refusal> {
    let outgoing = outgoing(replica, peer, changes).await?;
    for (change, rejection) in outgoing.refused.values() {
        let Change { table, pk, field, .. } = change;
        tracing::warn!(
            peer = peer.name,
            table,
            pk,
            field,
            code = rejection.code.as_str(),
            "a hook refused to tell of a change: {}",
            rejection.message
        );
    }
    if outgoing.skipped > 0 {
        tracing::debug!(peer = peer.name, skipped = outgoing.skipped, "hooks skipped changes");
    }
    Ok(outgoing.changes)
}
