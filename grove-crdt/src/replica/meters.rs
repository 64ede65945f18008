//! What a replica counts of its exchange with peers, from its opening on.

use std::{
    hash::Hash,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{change::Change, clock::Clock, replica::MergeReport};

/// Names and values of labels.
type Labels<const N: usize> = [(&'static str, String); N];

/// How changes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Pull,
    Push,
    Stream,
}

/// The counts.
#[derive(Debug)]
pub(crate) struct Meters {
    received: Family<Labels<1>, Counter>,
    sent: Family<Labels<1>, Counter>,
    merged: Counter,
    conflicts: Counter,
    skipped: Family<Labels<1>, Counter>,
    refused: Family<Labels<1>, Counter>,
    refused_by_peers: Counter,
    merges: Histogram,
    rounds: Durations<Labels<2>>,
    /// How far the clock value furthest ahead that came was ahead of this node's clock, in microseconds; zero when none was.
    ahead: AtomicI64,
}

/// How long things took, by labels.
pub(crate) type Durations<S> = Family<S, Histogram, fn() -> Histogram>;

/// From a millisecond to half a minute and beyond.
fn duration() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

/// None so far.
pub(crate) fn durations<S: Clone + Eq + Hash>() -> Durations<S> {
    Family::new_with_constructor(duration)
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            received: Family::default(),
            sent: Family::default(),
            merged: Counter::default(),
            conflicts: Counter::default(),
            skipped: Family::default(),
            refused: Family::default(),
            refused_by_peers: Counter::default(),
            merges: duration(),
            rounds: durations(),
            ahead: AtomicI64::new(0),
        }
    }
}

impl Meters {
    /// Peers have sent changes, or this node has fetched them.
    pub(crate) fn received(&self, by: Way, changes: usize) {
        self.received.get_or_create(&[("by", by.name())]).inc_by(changes as u64);
    }

    /// Changes were given to peers.
    pub(crate) fn sent(&self, by: Way, changes: usize) {
        self.sent.get_or_create(&[("by", by.name())]).inc_by(changes as u64);
    }

    /// Changes were merged.
    pub(crate) fn merged(&self, report: &MergeReport, took: Duration) {
        self.merged.inc_by(report.merged as u64);
        self.conflicts.inc_by(report.conflicts as u64);
        self.skipped("in", report.skipped);
        for rejection in &report.rejected {
            let code = rejection.code.as_str().to_owned();
            self.refused.get_or_create(&[("code", code)]).inc();
        }
        self.merges.observe(took.as_secs_f64());
    }

    /// Hooks kept changes from a peer.
    pub(crate) fn kept_back(&self, changes: usize) {
        self.skipped("out", changes);
    }

    /// Changes that were to be pushed were refused.
    pub(crate) fn refused_elsewhere(&self, changes: usize) {
        self.refused_by_peers.inc_by(changes as u64);
    }

    /// A round with a peer has ended.
    pub(crate) fn round(&self, peer: &str, ok: bool, took: Duration) {
        let result = if ok { "ok" } else { "failed" };
        let labels = [("peer", peer.to_owned()), ("result", result.to_owned())];
        self.rounds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Takes note of how far ahead the clocks of changes are that have come.
    pub(crate) fn clocks_seen(&self, clock: &Clock, changes: &[Change]) {
        if let Some(newest) = changes.iter().map(|change| change.hlc.ts).max() {
            let ahead = newest.saturating_sub(clock.now_micros());
            self.ahead.fetch_max(ahead, Ordering::Relaxed);
        }
    }

    /// How far ahead of this node's clock the clock value furthest ahead was, in microseconds; zero when none was.
    pub(crate) fn furthest_ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    fn skipped(&self, direction: &'static str, changes: usize) {
        let labels = [("direction", direction.to_owned())];
        self.skipped.get_or_create(&labels).inc_by(changes as u64);
    }

    /// Adds the counts to a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "changes_received",
            "Changes that came from peers, fetched or pushed; those known already included",
            self.received.clone(),
        );
        registry.register("changes_sent", "Changes given to peers", self.sent.clone());
        registry.register(
            "changes_merged",
            "Changes taken over, those known already included",
            self.merged.clone(),
        );
        registry.register(
            "conflicts",
            "Changes merged that lost to a newer state written elsewhere",
            self.conflicts.clone(),
        );
        registry.register(
            "changes_skipped",
            "Changes that a hook skipped, of those that came (in) and those to be given (out)",
            self.skipped.clone(),
        );
        registry.register(
            "changes_refused",
            "Changes refused here, by the code of the refusal",
            self.refused.clone(),
        );
        registry.register(
            "changes_refused_by_peers",
            "Changes that were to be pushed and that the peer, or a hook of this node, refused",
            self.refused_by_peers.clone(),
        );
        registry.register_with_unit(
            "merge",
            "How long merging a page took",
            Unit::Seconds,
            self.merges.clone(),
        );
        registry.register_with_unit(
            "round",
            "How long rounds of this node's syncers took, by peer and result",
            Unit::Seconds,
            self.rounds.clone(),
        );
    }
}

impl Way {
    fn name(self) -> String {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Stream => "stream",
        }
        .to_owned()
    }
}
