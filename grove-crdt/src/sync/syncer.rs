//! The asking side of the protocol: pulls from peers what is new there, and pushes what is new here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    replica::Replica,
    sync::{
        Letters, PeerFailure, RetryPolicy, SyncError, SyncReport, SyncerBuilder, Transport, live,
        retry::Jitter,
        round::{Extent, Round},
    },
};

/// Syncs a replica with its peers.
///
/// A sync with a peer first pulls, page by page, what has been committed there since the last time, then pushes what has
/// been committed here. Where it stands is kept in the replica's database, page by page, so a sync that is cut off goes
/// on from there, and whatever was sent twice is merged once.
///
/// A change that is refused, here or by the peer, blocks no other. It is kept here as a dead letter, and tried again with
/// every sync when it may be taken later, such as one whose clock is ahead.
///
/// A peer whose database was recreated, or restored from a backup, is noticed; the sync with it starts over, and gives it
/// back what it lost.
///
/// Clones are handles of one syncer.
///
/// ```no_run
/// use grove_crdt::{Replica, sync::Syncer, transport::MemoryTransport};
///
/// # async fn example(replica: Replica, hub: Replica) -> Result<(), Box<dyn std::error::Error>> {
/// let syncer = Syncer::builder(&replica).peer(MemoryTransport::new(&hub)).build()?;
/// let report = syncer.sync().await?;
/// println!("{report}"); // pulled=5 pushed=3 merged=5 conflicts=0
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Syncer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    peers: Vec<Peer>,
    interval: Duration,
}

/// What every round of a syncer goes by.
#[derive(Debug)]
pub(crate) struct Settings {
    pub replica: Replica,
    /// Sorted.
    pub tables: Vec<String>,
    pub page_size: usize,
    pub retry: RetryPolicy,
    pub jitter: Jitter,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub transport: Arc<dyn Transport>,
    /// Held during a round: two at once would send everything twice.
    pub turn: Mutex<()>,
    /// Whether a round has succeeded. Before the first, either side may have been upgraded since the last syncer.
    known: AtomicBool,
}

impl Peer {
    /// The dead letters to try again in a round.
    pub(super) fn letters(&self) -> Letters {
        if self.known.load(Ordering::Relaxed) {
            Letters::ThatCanPass
        } else {
            Letters::All
        }
    }

    /// Notes that a round has ended, well or not.
    pub(super) fn has_answered(&self, well: bool) {
        self.known.fetch_or(well, Ordering::Relaxed);
    }
}

impl Syncer {
    /// A syncer of `replica`; add at least one peer.
    pub fn builder(replica: &Replica) -> SyncerBuilder {
        SyncerBuilder::new(replica)
    }

    pub(crate) fn new(settings: Settings, peers: Vec<Arc<dyn Transport>>, interval: Duration) -> Self {
        let peers = peers
            .into_iter()
            .map(|transport| Peer {
                transport,
                turn: Mutex::new(()),
                known: AtomicBool::new(false),
            })
            .collect();
        Self(Arc::new(Inner {
            settings,
            peers,
            interval,
        }))
    }

    /// Pulls from and pushes to every peer, one after another, so that what comes from one goes on to the next.
    ///
    /// The future may be dropped at any time: no answer is waited for any longer, what is being written is written to its
    /// end, and the next sync goes on from there.
    ///
    /// # Errors
    ///
    /// The sync failed with at least one peer, after what the [`RetryPolicy`] allows. All others were synced all the
    /// same, and the error tells what was done.
    pub async fn sync(&self) -> Result<SyncReport, SyncError> {
        let syncer = self.clone();
        to_the_end(&CancellationToken::new(), async move |stop| {
            syncer.every_peer(Extent::PullAndPush, &stop).await
        })
        .await
    }

    /// Pushes to every peer what has been committed here, without pulling first.
    ///
    /// # Errors
    ///
    /// As [`Syncer::sync`].
    pub async fn push_now(&self) -> Result<SyncReport, SyncError> {
        let syncer = self.clone();
        to_the_end(&CancellationToken::new(), async move |stop| {
            syncer.every_peer(Extent::PushOnly, &stop).await
        })
        .await
    }

    /// Keeps up with every peer until `stop` is cancelled: syncs at once, then at every interval (give or take a tenth, so that
    /// many nodes don't come at once); between, takes over what peers [stream][StreamingTransport] as soon as it
    /// comes, and pushes what is committed here as soon as it is. Commits that come while a push is under way go together
    /// with the next.
    ///
    /// A failure is logged, and the next sync comes all the same. A stream that breaks is opened again with the pauses of the
    /// [`RetryPolicy`]; until it is, the syncs at every interval do its work. A push that fails is tried again
    /// with the same pauses, and takes along what was committed meanwhile.
    ///
    /// When `stop` is cancelled, or the future dropped, no answer is waited for any longer; what is being written is written
    /// to its end. The token is that of the `tokio-util` crate:
    ///
    /// ```no_run
    /// # async fn example(syncer: grove_crdt::sync::Syncer) {
    /// let stop = tokio_util::sync::CancellationToken::new();
    /// let until = stop.clone();
    /// let running = tokio::spawn(async move { syncer.run(until).await });
    /// // …
    /// stop.cancel();
    /// running.await.unwrap();
    /// # }
    /// ```
    ///
    /// [StreamingTransport]: crate::sync::StreamingTransport
    pub async fn run(&self, stop: CancellationToken) {
        let inner = self.0.clone();
        to_the_end(&stop, async move |stop| {
            let Inner {
                settings,
                peers,
                interval,
            } = &*inner;
            let each = peers.iter().map(|peer| live::keep_up(settings, peer, *interval, &stop));
            join_all(each).await;
        })
        .await;
    }

    async fn every_peer(&self, extent: Extent, stop: &CancellationToken) -> Result<SyncReport, SyncError> {
        let mut report = SyncReport::default();
        let mut failures = Vec::new();
        for peer in &self.0.peers {
            let Some(_turn) = stop.run_until_cancelled(peer.turn.lock()).await else {
                break;
            };
            let transport = &*peer.transport;
            let (done, result) = Round::carry_out(&self.0.settings, transport, extent, peer.letters(), stop).await;
            peer.has_answered(result.is_ok());
            report += done;
            if let Err(error) = result {
                let peer = transport.name().to_owned();
                failures.push(PeerFailure { peer, error });
            }
        }
        if failures.is_empty() {
            Ok(report)
        } else {
            Err(SyncError { report, failures })
        }
    }
}

/// Does some work that goes on to its end though nobody waits for it any longer; it is then told to stop. A statement that is
/// given up while it runs can leave its connection with a transaction that nobody ends.
async fn to_the_end<T, F>(stop: &CancellationToken, work: impl FnOnce(CancellationToken) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let stop = stop.child_token();
    let task = tokio::spawn(work(stop.clone()));
    let _told = stop.drop_guard();
    match task.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and with it whoever waits.
            Err(_) => std::future::pending().await,
        },
    }
}
