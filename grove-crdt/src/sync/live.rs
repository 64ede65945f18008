//! Keeping up with one peer: a whole round now and then, and between them what it streams and what is committed here, each as
//! soon as it comes.
//!
//! Rounds and the stream share the cursor that is remembered of the peer. A page from the stream is merged only when it
//! goes on exactly where the cursor stands; when a round, or another process, has moved it, the stream is opened
//! anew from there. So nothing is skipped, and nothing merged twice.
//!
//! While a stream is open, presence goes along: what the peer tells of others shows here, and it is told of this node.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::NodeId,
    error::Error,
    presence::PresenceRelay,
    replica::News,
    sync::{
        Announcer, Letters, PullResponse, StreamEvent, StreamRequest, SyncReport, Transport, TransportErrorKind,
        line::{Line, Step},
        round::{Ahead, Extent, Outcome, Round},
        syncer::{Peer, Settings},
    },
};

/// Exchanges with one peer until `stop`.
pub(super) async fn keep_up(settings: &Settings, peer: &Peer, interval: Duration, stop: &CancellationToken) {
    let mut live = Live {
        settings,
        peer,
        interval,
        stop,
        news: News::of(&settings.replica.core),
        line: Line::to(&*peer.transport),
        pushing: Pushing {
            unsent: false,
            failures: 0,
            not_before: Instant::now(),
        },
        quiet_until: Instant::now(),
        ahead: None,
        company: None,
    };
    while !stop.is_cancelled() {
        let next_round = Instant::now() + live.pause();
        live.round().await;
        live.follow(next_round).await;
    }
}

struct Live<'a> {
    settings: &'a Settings,
    peer: &'a Peer,
    interval: Duration,
    stop: &'a CancellationToken,
    news: News,
    line: Line<'a>,
    pushing: Pushing,
    /// Until when the peer has asked to be left alone.
    quiet_until: Instant,
    ahead: Option<Ahead>,
    company: Option<Company>,
}

/// When to push next.
struct Pushing {
    /// Whether a push has failed since the last that succeeded.
    unsent: bool,
    /// How often it has.
    failures: u32,
    /// Not to ask a peer again at once that could not take a push.
    not_before: Instant,
}

impl Pushing {
    /// Waits until there may be something to push, and the peer may be asked.
    async fn is_due(&self, news: &mut News) {
        tokio::time::sleep_until(self.not_before).await;
        if !self.unsent {
            news.changed().await;
        }
    }

    fn succeeded(&mut self) {
        self.unsent = false;
        self.failures = 0;
    }

    fn failed(&mut self, pause: impl FnOnce(u32) -> Duration) {
        self.unsent = true;
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now() + pause(self.failures);
    }

    /// The peer is there again, though it may want to be left alone until some time.
    fn hurry(&mut self, quiet_until: Instant) {
        self.not_before = Instant::now().max(quiet_until);
    }
}

/// Presence, while a stream is open: what the peer tells of others, and telling it of this node's own.
struct Company {
    relay: PresenceRelay,
    announcing: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Company {
    fn of(settings: &Settings, transport: &Arc<dyn Transport>, node: NodeId, stop: &CancellationToken) -> Self {
        let announcer = Announcer::over(&settings.replica, transport.clone()).retry(settings.retry.clone());
        let stop = stop.clone();
        Self {
            relay: settings.replica.presence().relay(node),
            announcing: Box::pin(async move { announcer.run(stop).await }),
        }
    }
}

/// Goes on telling the peer who is present here, while there is a stream.
async fn announce(company: &mut Option<Company>) {
    match company {
        Some(company) => company.announcing.as_mut().await,
        None => std::future::pending().await,
    }
}

impl<'a> Live<'a> {
    fn pause(&self) -> Duration {
        let tenth = self.interval / 10;
        let (shortest, longest) = (self.interval.saturating_sub(tenth), self.interval.saturating_add(tenth));
        self.settings.jitter.between(shortest, longest)
    }

    /// A whole round.
    async fn round(&mut self) {
        let Some(turn) = self.stop.run_until_cancelled(self.peer.turn.lock()).await else {
            return;
        };
        let mut round = match self.begin(self.peer.letters()).await {
            Ok(round) => round,
            Err(error) => return self.failed(&SyncReport::default(), &error),
        };
        let before = round.state.cursor.clone();
        let result = round.run(Extent::PullAndPush).await;
        let (report, after) = (round.report, round.state.cursor.clone());
        drop(turn);
        self.peer.has_answered(result.is_ok());
        match result {
            Ok(()) => {
                tracing::debug!(%report, "synced");
                self.pushing.succeeded();
            }
            Err(error) => self.failed(&report, &error),
        }
        if report.pulled == 0 && self.line.is_at(before.as_deref()) {
            self.line.has_come_to(after);
        }
    }

    /// Does what comes until it is time for a round.
    async fn follow(&mut self, next_round: Instant) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep_until(next_round.max(self.quiet_until)) => return,
                () = announce(&mut self.company) => return,
                () = self.pushing.is_due(&mut self.news) => self.push().await,
                step = self.line.next() => match step {
                    Step::IsDown => self.open_line().await,
                    Step::Opened => self.pushing.hurry(self.quiet_until),
                    Step::Event(StreamEvent::Presence(item)) => {
                        if let Some(company) = &mut self.company {
                            company.relay.apply(item);
                        }
                    }
                    Step::Event(StreamEvent::Changes(page)) => {
                        self.meet(&page);
                        if self.take(page).await == Outcome::Forgotten {
                            return;
                        }
                    }
                    Step::Lost(error) => {
                        self.company = None;
                        tracing::debug!(%error, "the stream is lost");
                        let again = self.interval;
                        let refused = error.kind == TransportErrorKind::Refused;
                        let Settings { retry, jitter, .. } = self.settings;
                        let asked = retry.asked(jitter, &error);
                        self.line.reopen_after(|failures| {
                            let pause = if refused { again } else { retry.backoff(jitter, failures) };
                            pause.max(asked)
                        });
                    }
                },
            }
        }
    }

    /// With a stream comes its company, once it is known who streams.
    fn meet(&mut self, page: &PullResponse) {
        let Peer { transport, .. } = self.peer;
        self.company
            .get_or_insert_with(|| Company::of(self.settings, transport, page.node_id.clone(), self.stop));
    }

    /// Opens the stream where the last round, or the stream before, has ended.
    async fn open_line(&mut self) {
        let replica = &self.settings.replica;
        match self.begin(Letters::None).await {
            Ok(round) => self.line.open(StreamRequest {
                topics: None,
                tables: self.settings.tables.clone(),
                cursor: round.state.cursor,
                node_id: Some(replica.node_id().clone()),
                replica_id: Some(replica.replica_id().to_owned()),
                limit: Some(self.settings.page_size),
                max_bytes: None,
            }),
            Err(error) => self.gave_up(&error),
        }
    }

    /// Pushes what has been committed.
    async fn push(&mut self) {
        let Some(_turn) = self.stop.run_until_cancelled(self.peer.turn.lock()).await else {
            return;
        };
        let mut round = match self.begin(Letters::None).await {
            Ok(round) => round,
            Err(error) => return self.failed(&SyncReport::default(), &error),
        };
        round.ahead = self.ahead.take();
        let result = round.run(Extent::PushOnly).await;
        let report = round.report;
        self.ahead = round.ahead.take();
        match result {
            Ok(()) => self.pushing.succeeded(),
            Err(error) => self.failed(&report, &error),
        }
    }

    /// Merges a page of the stream, unless the cursor has been moved meanwhile. When the peer has another database than it had,
    /// it takes a whole round to find out what to do.
    async fn take(&mut self, page: PullResponse) -> Outcome {
        let Some(_turn) = self.stop.run_until_cancelled(self.peer.turn.lock()).await else {
            return Outcome::Done;
        };
        let mut round = match self.begin(Letters::None).await {
            Ok(round) => round,
            Err(error) => {
                self.gave_up(&error);
                return Outcome::Done;
            }
        };
        if !self.line.is_at(round.state.cursor.as_deref()) {
            self.reopen();
            return Outcome::Done;
        }
        let outcome = round.take_streamed(page).await;
        let cursor = round.state.cursor.take();
        match outcome {
            Ok(Outcome::Done) => self.line.has_come_to(cursor),
            Ok(Outcome::Forgotten) => {
                self.reopen();
                return Outcome::Forgotten;
            }
            Err(error) => self.gave_up(&error),
        }
        Outcome::Done
    }

    fn reopen(&mut self) {
        self.line.reopen();
        self.line.not_before(self.quiet_until);
        self.company = None;
    }

    /// Leaves the stream alone for a while.
    fn gave_up(&mut self, error: &Error) {
        self.company = None;
        self.warn(&SyncReport::default(), error);
        let Settings { retry, jitter, .. } = self.settings;
        self.line.reopen_after(|failures| retry.backoff(jitter, failures));
    }

    // No `async fn`, whose future would hold on to `self`, of which only one thread may know.
    fn begin(&self, letters: Letters) -> impl Future<Output = Result<Round<'a>, Error>> + use<'a> {
        Round::begin(self.settings, &*self.peer.transport, letters, self.stop)
    }

    /// A round or a push has failed: what is to be sent is sent again after a pause.
    fn failed(&mut self, report: &SyncReport, error: &Error) {
        self.warn(report, error);
        let Settings { retry, jitter, .. } = self.settings;
        let asked = match error {
            Error::Transport(error) => retry.asked(jitter, error),
            _ => Duration::ZERO,
        };
        self.pushing
            .failed(|failures| retry.backoff(jitter, failures).max(asked));
        // Whoever has no time for a request has none for a stream; the other way round it is another matter.
        self.quiet_until = self.quiet_until.max(Instant::now() + asked);
        self.line.not_before(self.quiet_until);
    }

    fn warn(&self, report: &SyncReport, error: &Error) {
        if !self.stop.is_cancelled() {
            tracing::warn!(peer = self.peer.transport.name(), %report, "the exchange failed: {error}");
        }
    }
}
