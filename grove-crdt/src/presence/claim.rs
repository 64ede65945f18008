//! What a presence rests on.

use std::{cmp::Reverse, sync::Arc};

use tokio::time::Instant;

use crate::{clock::NodeId, presence::PresenceData};

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The node itself, by a request to this replica.
    Posted,
    /// This replica's own program, with the guard of this number.
    Guard(u64),
    /// A peer, with the relay of this number.
    Relay(u64),
}

/// What is seen of a presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub data: PresenceData,
    /// The nodes it came by, the node's first neighbour first; none when the node said it here.
    pub via: Arc<[NodeId]>,
}

#[derive(Debug)]
struct Claim {
    source: Source,
    shown: Shown,
    /// Grows with every claim that says something new.
    age: u64,
    expires: Option<Instant>,
}

/// What is claimed of one node under one topic, each source claiming one thing.
#[derive(Debug, Default)]
pub(super) struct Claims(Vec<Claim>);

impl Claims {
    /// The claim that came the shortest way; of those, the newest.
    ///
    /// The shortest way has to win, not the newest claim: nodes that prefer what they heard last could chase one another's
    /// echo round a ring.
    pub(super) fn shown(&self) -> Option<&Shown> {
        let best = self
            .0
            .iter()
            .min_by_key(|claim| (claim.shown.via.len(), Reverse(claim.age)));
        best.map(|claim| &claim.shown)
    }

    /// Takes a claim in the place of its source's last one. Returns when that would have expired.
    pub(super) fn set(&mut self, source: Source, shown: Shown, age: u64, expires: Option<Instant>) -> Option<Instant> {
        let claim = Claim {
            source,
            shown,
            age,
            expires,
        };
        let Some(own) = self.0.iter_mut().find(|claim| claim.source == source) else {
            self.0.push(claim);
            return None;
        };
        let expired = own.expires;
        if own.shown == claim.shown {
            own.expires = claim.expires;
        } else {
            *own = claim;
        }
        expired
    }

    /// Takes back a source's claim. Returns when it would have expired, if there was one that would have.
    pub(super) fn remove(&mut self, source: Source) -> Option<Instant> {
        let place = self.0.iter().position(|claim| claim.source == source)?;
        self.0.swap_remove(place).expires
    }

    /// Whether this source's claim is there, and the only one.
    pub(super) fn rest_on(&self, source: Source) -> bool {
        matches!(&*self.0, [only] if only.source == source)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
