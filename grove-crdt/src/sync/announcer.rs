//! Telling a peer of this node's own presences.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    presence::{Filter, PresenceSubscription},
    replica::Replica,
    sync::{
        LIMIT_REACHED, NOT_SUPPORTED, PresenceRequest, RetryPolicy, TOO_LARGE, Transport, TransportError,
        TransportErrorKind,
        retry::Jitter,
        word::{Said, Word},
    },
};

/// How long presences stand at a peer that has not said so yet.
const TTL: Duration = Duration::from_secs(30);

/// How long an answer is waited for at least, however short presences stand.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a peer is waited for when there is only a leave to tell it of.
const FAREWELL: Duration = Duration::from_secs(2);

/// Tells a peer of this node's own presences, as they come, change and go, and again and again, as long as they stand.
///
/// A failure is logged, and everything is told anew once the peer answers. A presence that the peer refuses spoils no
/// other; one that there was no room for is offered again. Changes that come faster than the peer answers are told
/// together.
///
/// ```no_run
/// use grove_crdt::{Replica, sync::Announcer, transport::MemoryTransport};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example(replica: Replica, hub: Replica) -> Result<(), grove_crdt::Error> {
/// let here = replica.presence().join("documents:doc-1", "reading")?;
/// let stop = CancellationToken::new();
/// let announcer = Announcer::new(&replica, MemoryTransport::new(&hub));
/// announcer.run(stop).await;
/// # drop(here);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Announcer {
    replica: Replica,
    peer: Arc<dyn Transport>,
    retry: RetryPolicy,
    jitter: Arc<Jitter>,
}

impl Announcer {
    /// Tells `transport`'s peer of what `replica` [joins](crate::presence::Presences::join).
    #[must_use]
    pub fn new(replica: &Replica, transport: impl Transport + 'static) -> Self {
        Self::over(replica, Arc::new(transport))
    }

    /// The same, over a transport that others use as well.
    #[must_use]
    pub fn over(replica: &Replica, transport: Arc<dyn Transport>) -> Self {
        Self {
            replica: replica.clone(),
            peer: transport,
            retry: RetryPolicy::default(),
            jitter: Arc::new(Jitter::seeded(rand::random())),
        }
    }

    /// How long to pause after failures; [the default](RetryPolicy::default), unless set. However often it fails, it is
    /// tried again, and at least as often as presences have to be renewed, unless the peer asks for a longer pause.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Begins by telling all, and goes on until `stop` is cancelled; then tells the peer that this node leaves, unless that
    /// takes longer than two seconds. Dropped before, it tells nothing: the peer notices when the presences are not renewed.
    pub async fn run(&self, stop: CancellationToken) {
        let own = Filter::all().only_of(self.replica.node_id().clone());
        let mut telling = Telling {
            announcer: self,
            own: self.replica.core.presence.subscribe(own),
            word: Word::default(),
            ttl: TTL,
            renew: Instant::now(),
            failed: 0,
        };
        stop.run_until_cancelled(telling.go_on()).await;
        let farewell = telling.word.farewell();
        if !farewell.is_empty() && tokio::time::timeout(FAREWELL, self.send(&farewell)).await.is_err() {
            tracing::debug!(peer = self.peer.name(), "did not wait to tell that this node leaves");
        }
    }

    async fn send(&self, said: &Said) -> Result<Duration, TransportError> {
        let request = PresenceRequest {
            node_id: self.replica.node_id().clone(),
            replica_id: Some(self.replica.replica_id().to_owned()),
            topics: said.clone(),
        };
        let answer = self.peer.presence(&request).await?;
        Ok(Duration::from_millis(answer.ttl_ms))
    }
}

/// One run of an announcer.
struct Telling<'a> {
    announcer: &'a Announcer,
    own: PresenceSubscription,
    word: Word,
    ttl: Duration,
    /// When everything is to be told again.
    renew: Instant,
    /// How often in a row the peer could not be told.
    failed: u32,
}

impl Telling<'_> {
    async fn go_on(&mut self) {
        loop {
            while let Some(item) = self.own.next_now() {
                self.word.hear(item);
            }
            let began = Instant::now();
            let renewing = began >= self.renew;
            let said = if renewing { self.word.all() } else { self.word.news() };
            if said.is_empty() {
                if !self.wait().await {
                    return;
                }
                continue;
            }
            match self.tell(said).await {
                Ok(()) if renewing => {
                    self.failed = 0;
                    self.renew = began + self.announcer.jitter.between(self.ttl / 4, self.ttl / 3);
                }
                Ok(()) => self.failed = 0,
                Err(error) if error.code.as_deref() == Some(NOT_SUPPORTED) => {
                    tracing::debug!(%error, "presence is not told");
                    return;
                }
                Err(error) => self.pause(&error).await,
            }
        }
    }

    /// Waits until there may be something to tell. Returns whether there ever can be.
    async fn wait(&mut self) -> bool {
        let renew = async {
            if self.word.is_empty() {
                std::future::pending::<()>().await;
            } else {
                tokio::time::sleep_until(self.renew).await;
            }
        };
        tokio::select! {
            item = self.own.next() => match item {
                Some(item) => self.word.hear(item),
                None => return false,
            },
            () = renew => {}
        }
        true
    }

    /// Tells all of it; what the peer refuses is narrowed down to the topics that it is about.
    async fn tell(&mut self, said: Said) -> Result<(), TransportError> {
        let patience = PATIENCE.max(self.ttl / 3);
        let mut parts = vec![said];
        while let Some(mut part) = parts.pop() {
            self.word.telling(&part);
            let answer = match tokio::time::timeout(patience, self.announcer.send(&part)).await {
                Ok(answer) => answer,
                Err(_) => Err(self.unanswered(patience)),
            };
            match answer {
                Ok(ttl) => {
                    self.ttl = ttl.max(Duration::from_millis(1));
                    self.word.told(part);
                }
                Err(error) if is_about_a_topic(&error) && part.len() > 1 => {
                    let middle = part.keys().nth(part.len() / 2).cloned();
                    let rest = middle.map(|middle| part.split_off(&middle));
                    parts.extend(rest);
                    parts.push(part);
                }
                Err(error) if is_about_a_topic(&error) => {
                    tracing::warn!(topics = ?part.keys(), %error, "a presence was refused");
                    self.word.refused(part, error.can_pass());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// After a failure, nothing is known of what the peer has.
    async fn pause(&mut self, error: &TransportError) {
        self.failed = self.failed.saturating_add(1);
        if self.failed == 1 {
            tracing::warn!(%error, "presence could not be told; trying on");
        } else {
            tracing::debug!(%error, self.failed, "presence could not be told");
        }
        self.word.forget();
        self.renew = Instant::now();
        let longest = self.ttl / 3;
        let pause = if error.can_pass() {
            self.announcer.retry.pause(self.failed).min(longest)
        } else {
            longest
        };
        let Announcer { retry, jitter, .. } = self.announcer;
        let pause = jitter.between(pause / 2, pause).max(retry.asked(jitter, error));
        tokio::time::sleep(pause).await;
    }

    fn unanswered(&self, patience: Duration) -> TransportError {
        TransportError {
            peer: self.announcer.peer.name().to_owned(),
            kind: TransportErrorKind::Unavailable,
            code: None,
            message: format!("no answer in {patience:?}"),
            retry_after: None,
        }
    }
}

/// Whether less than the whole request may have been the reason.
fn is_about_a_topic(error: &TransportError) -> bool {
    let code = error.code.as_deref();
    code.is_some_and(|code| [TOO_LARGE, LIMIT_REACHED, "forbidden", "bad_request", "malformed"].contains(&code))
}
