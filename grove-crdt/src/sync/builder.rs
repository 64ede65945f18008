use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    error::Error,
    replica::Replica,
    sync::{RetryPolicy, Syncer, Transport, retry::Jitter, syncer::Settings},
};

/// How many changes travel in one request, unless set otherwise.
const PAGE_SIZE: usize = 1_000;

/// The time between two syncs of [`Syncer::run`], unless set otherwise.
const INTERVAL: Duration = Duration::from_secs(30);

/// Makes a [`Syncer`]; see [`Syncer::builder`].
#[derive(Debug)]
#[must_use]
pub struct SyncerBuilder {
    replica: Replica,
    peers: Vec<Arc<dyn Transport>>,
    tables: Option<BTreeSet<String>>,
    interval: Duration,
    page_size: usize,
    retry: RetryPolicy,
    seed: Option<u64>,
}

impl SyncerBuilder {
    pub(crate) fn new(replica: &Replica) -> Self {
        Self {
            replica: replica.clone(),
            peers: Vec::new(),
            tables: None,
            interval: INTERVAL,
            page_size: PAGE_SIZE,
            retry: RetryPolicy::default(),
            seed: None,
        }
    }

    #[cfg(feature = "server")]
    pub(crate) fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Adds a peer. Peers are synced in the order they were added.
    pub fn peer(mut self, transport: impl Transport + 'static) -> Self {
        self.peers.push(Arc::new(transport));
        self
    }

    /// Syncs these tables only; every table the replica was opened with, unless set.
    ///
    /// Which tables were asked for is part of what is remembered of a peer: with another choice, the sync with it starts
    /// from the beginning.
    pub fn tables<T: Into<String>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.tables = Some(tables.into_iter().map(Into::into).collect());
        self
    }

    /// The time between two syncs of [`Syncer::run`], give or take a tenth; 30 seconds, unless set.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How many changes travel in one request; 1,000, unless set. A peer may answer with fewer.
    pub fn page_size(mut self, changes: usize) -> Self {
        self.page_size = changes;
        self
    }

    /// How patiently a peer that can't be reached is tried again; [the default](RetryPolicy::default), unless set.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Where the randomness of pauses begins, for tests that must come out the same twice; anywhere, unless set.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the syncer. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`] for a table the replica was not opened with; [`Error::Invalid`] when there is no peer, no
    /// table, two peers of one name, or when the page size or the interval is zero.
    pub fn build(self) -> Result<Syncer, Error> {
        self.check_peers()?;
        if self.page_size == 0 {
            return Err(Error::Invalid("a page size of zero would never send anything".into()));
        }
        if self.interval.is_zero() {
            return Err(Error::Invalid("an interval of zero would never rest".into()));
        }
        let settings = Settings {
            tables: self.chosen_tables()?,
            replica: self.replica,
            page_size: self.page_size,
            retry: self.retry,
            jitter: Jitter::seeded(self.seed.unwrap_or_else(rand::random)),
        };
        Ok(Syncer::new(settings, self.peers, self.interval))
    }

    fn check_peers(&self) -> Result<(), Error> {
        if self.peers.is_empty() {
            return Err(Error::Invalid("a syncer needs a peer: add `.peer(…)`".into()));
        }
        let mut names = BTreeSet::new();
        for peer in &self.peers {
            if !names.insert(peer.name()) {
                return Err(Error::Invalid(format!(
                    "two peers are named `{}`: what is remembered of one would be taken for the other's",
                    peer.name()
                )));
            }
        }
        Ok(())
    }

    /// The names of the tables to sync, sorted.
    fn chosen_tables(&self) -> Result<Vec<String>, Error> {
        let known: BTreeSet<_> = self.replica.table_names().into_iter().collect();
        let chosen = self.tables.as_ref().unwrap_or(&known);
        if let Some(unknown) = chosen.difference(&known).next() {
            return Err(Error::NotRegistered { table: unknown.clone() });
        }
        if chosen.is_empty() {
            return Err(Error::Invalid("there is no table to sync".into()));
        }
        Ok(chosen.iter().cloned().collect())
    }
}
