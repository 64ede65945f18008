//! What a replica tells Prometheus.

use std::{collections::BTreeMap, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::prometheus_text,
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{
    error::Error,
    replica::{
        Replica,
        audience::{Heard, Listener},
    },
    store::{
        dead_letters,
        lag::{self, Behind, Reader},
        parked, version,
    },
};

/// What the names of all metrics begin with.
pub(crate) const PREFIX: &str = "grove_crdt";

type OfPeers<G> = Family<[(&'static str, String); 2], G>;
type Seconds = Gauge<f64, AtomicU64>;

impl Replica {
    /// What this replica has exchanged with its peers since it was opened, what waits here, and how far its peers are behind,
    /// in the text format of Prometheus (`text/plain; version=0.0.4`). A [`SyncServer`](crate::server::SyncServer) gives
    /// this and more at `/metrics`.
    ///
    /// | metric | |
    /// |---|---|
    /// | `grove_crdt_changes_received_total{by}` | changes that came, by `pull`, `push` or `stream` |
    /// | `grove_crdt_changes_sent_total{by}` | changes given to peers |
    /// | `grove_crdt_changes_merged_total` | changes taken over, those known already included |
    /// | `grove_crdt_conflicts_total` | changes merged that lost to a newer state written elsewhere |
    /// | `grove_crdt_changes_skipped_total{direction}` | changes that a hook skipped, `in` or `out` |
    /// | `grove_crdt_changes_refused_total{code}` | changes refused here |
    /// | `grove_crdt_changes_refused_by_peers_total` | changes to be pushed that were refused |
    /// | `grove_crdt_merge_seconds` | how long merging a page took |
    /// | `grove_crdt_round_seconds{peer,result}` | how long rounds of syncers took |
    /// | `grove_crdt_clock_ahead_seconds` | the furthest that a clock value which came was ahead of this node's clock |
    /// | `grove_crdt_parked_rows` | rows that the database refuses at the moment |
    /// | `grove_crdt_dead_letters` | refused changes that are kept here |
    /// | `grove_crdt_peer_lag_changes{peer,node}` | how many changes a peer has not been told of, up to 100,000 of each table |
    /// | `grove_crdt_peer_lag_seconds{peer,node}` | for how long there have been some |
    ///
    /// Peers are those that have pulled or streamed from this replica since it was opened under a node id: the 1,000 told something last, when
    /// there are more. The lag of each is counted when it is asked for, with one statement for each table and fifty peers
    /// that are behind.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn metrics(&self) -> Result<String, Error> {
        let mut registry = Registry::default();
        self.register_metrics(&mut registry).await?;
        Ok(text(&registry))
    }

    /// Adds the metrics to a registry.
    pub(crate) async fn register_metrics(&self, registry: &mut Registry) -> Result<(), Error> {
        let core = &self.core;
        let registry = registry.sub_registry_with_prefix(PREFIX);
        core.meters.register(registry);
        let parked: Gauge = Gauge::default();
        parked.set(parked::count(&core.db).await?);
        registry.register("parked_rows", "Rows that the database refuses at the moment", parked);
        let letters: Gauge = Gauge::default();
        letters.set(dead_letters::count(&core.db).await?);
        registry.register("dead_letters", "Refused changes that are kept here", letters);
        let ahead = Seconds::default();
        ahead.set(seconds(core.meters.furthest_ahead()));
        registry.register_with_unit(
            "clock_ahead",
            "The furthest that a clock value which came was ahead of this node's clock",
            Unit::Seconds,
            ahead,
        );
        self.register_lag(registry).await
    }

    async fn register_lag(&self, registry: &mut Registry) -> Result<(), Error> {
        let (changes, time) = (OfPeers::<Gauge>::default(), OfPeers::<Seconds>::default());
        let now = self.core.clock.now_micros();
        for (Listener { peer, node }, behind, heard) in self.lag().await? {
            let labels = [("peer", peer), ("node", node)];
            changes.get_or_create(&labels).set(behind.cells);
            // A peer that asks seldom is behind since there is something; what was written long ago elsewhere came later.
            let oldest = behind.oldest.unwrap_or(now);
            let since = if behind.cells == 0 {
                now
            } else {
                heard.complete_at.max(oldest)
            };
            time.get_or_create(&labels).set(seconds(now.saturating_sub(since)));
        }
        registry.register(
            "peer_lag_changes",
            "How many changes a peer has not been told of",
            changes,
        );
        registry.register_with_unit(
            "peer_lag",
            "For how long there have been changes that a peer has not been told of",
            Unit::Seconds,
            time,
        );
        Ok(())
    }

    /// What each peer that has asked here has not been told of.
    async fn lag(&self) -> Result<Vec<(Listener, Behind, Heard)>, Error> {
        let core = &self.core;
        let mut peers: Vec<_> = core
            .audience
            .all()
            .into_iter()
            .map(|(listener, heard)| (listener, Behind::default(), heard))
            .collect();
        if peers.is_empty() {
            return Ok(peers);
        }
        let newest = version::newest(&core.db, &core.registry, core.numbering).await?;
        let mut readers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, (_, _, heard)) in peers.iter().enumerate() {
            if heard.version < newest {
                for table in &heard.tables {
                    readers.entry(table).or_default().push(index);
                }
            }
        }
        let mut found = Vec::new();
        for (name, places) in readers {
            let table = core.registry.require(name)?;
            let of_table: Vec<_> = places.iter().map(|place| reader(&peers[*place].2)).collect();
            let behind = lag::behind(&core.db, table, &of_table).await?;
            found.extend(places.into_iter().zip(behind));
        }
        for (place, more) in found {
            let (_, behind, _) = &mut peers[place];
            behind.cells += more.cells;
            behind.oldest = [behind.oldest, more.oldest].into_iter().flatten().min();
        }
        Ok(peers)
    }
}

/// A registry as text.
pub(crate) fn text(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = prometheus_text::encode(&mut text, registry);
    text
}

fn reader(heard: &Heard) -> Reader<'_> {
    Reader {
        version: heard.version,
        database: &heard.database,
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown, and exact for centuries")]
fn seconds(micros: i64) -> f64 {
    micros.max(0) as f64 / 1e6
}
