//! The syncer: what it remembers, what it tries again, and what it tells when a peer fails.

mod failures;
mod pipeline;
mod refused;
mod rounds;
mod run;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use grove_crdt::{
    Replica,
    sync::{
        PullRequest, PullResponse, PushRequest, PushResponse, RetryPolicy, Syncer, SyncerBuilder, Transport,
        TransportError, TransportErrorKind,
    },
    transport::MemoryTransport,
};

use crate::notes;

/// A way to a replica that counts, and fails when told to.
#[derive(Clone, Debug)]
struct Line(Arc<LineState>);

#[derive(Debug)]
struct LineState {
    name: String,
    peer: Mutex<MemoryTransport>,
    /// How the next requests end; those beyond are answered.
    failures: Mutex<VecDeque<Option<TransportErrorKind>>>,
    /// Seconds that a pull takes.
    pause: AtomicU64,
    pulls: AtomicUsize,
    pushes: AtomicUsize,
    /// The most changes taken in one push.
    capacity: AtomicUsize,
}

impl Line {
    fn to(peer: &Replica) -> Self {
        Self(Arc::new(LineState {
            name: format!("line-to-{}", peer.node_id()),
            peer: Mutex::new(MemoryTransport::new(peer)),
            failures: Mutex::default(),
            pause: AtomicU64::new(0),
            pulls: AtomicUsize::new(0),
            pushes: AtomicUsize::new(0),
            capacity: AtomicUsize::new(usize::MAX),
        }))
    }

    /// From now on another database answers under the same name.
    fn lead_to(&self, peer: &Replica) {
        *self.0.peer.lock().unwrap() = MemoryTransport::new(peer);
    }

    /// The next requests fail, one with each of these.
    fn fail(&self, kinds: impl IntoIterator<Item = TransportErrorKind>) {
        self.0.failures.lock().unwrap().extend(kinds.into_iter().map(Some));
    }

    /// The next `requests` are answered, and the one after them fails.
    fn fail_after(&self, requests: usize, kind: TransportErrorKind) {
        let answered = std::iter::repeat_n(None, requests);
        self.0.failures.lock().unwrap().extend(answered.chain([Some(kind)]));
    }

    /// Pulls and pushes since the last time.
    fn requests(&self) -> (usize, usize) {
        (
            self.0.pulls.swap(0, Ordering::SeqCst),
            self.0.pushes.swap(0, Ordering::SeqCst),
        )
    }

    fn peer(&self) -> MemoryTransport {
        self.0.peer.lock().unwrap().clone()
    }

    fn next_failure(&self) -> Result<(), TransportError> {
        match self.0.failures.lock().unwrap().pop_front().flatten() {
            Some(kind) => Err(self.error(kind, None)),
            None => Ok(()),
        }
    }

    fn error(&self, kind: TransportErrorKind, code: Option<&str>) -> TransportError {
        TransportError {
            peer: self.0.name.clone(),
            kind,
            code: code.map(str::to_owned),
            message: "as told".into(),
            retry_after: None,
        }
    }
}

#[async_trait]
impl Transport for Line {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        self.0.pulls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(self.0.pause.load(Ordering::SeqCst))).await;
        self.next_failure()?;
        self.peer().pull(request).await
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        self.0.pushes.fetch_add(1, Ordering::SeqCst);
        self.next_failure()?;
        if request.changes.len() > self.0.capacity.load(Ordering::SeqCst) {
            return Err(self.error(TransportErrorKind::Refused, Some("too_large")));
        }
        self.peer().push(request).await
    }
}

/// A syncer that loses no time.
fn syncer(replica: &Replica) -> SyncerBuilder {
    Syncer::builder(replica).retry(RetryPolicy::default().first_pause(Duration::from_millis(1)))
}

/// Two replicas and the line from the first to the second.
async fn pair() -> (Replica, Replica, Line) {
    let (edge, hub) = (notes::replica("edge").await, notes::replica("hub").await);
    let line = Line::to(&hub);
    (edge, hub, line)
}
