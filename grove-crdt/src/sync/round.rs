//! One round with one peer: where it stands, and whom it is with. Pulling, pushing and dead letters lie beside it.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::{
    clock::NodeId,
    error::Error,
    sync::{
        Letters, Peer, PeerState, Position, SyncReport, Transport, TransportError, TransportErrorKind, syncer::Settings,
    },
};

/// How often a peer may turn out to have another database within one round. A real one does so once.
const MAX_RESTARTS: usize = 1;

/// What a round consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    PullAndPush,
    PushOnly,
}

/// What has been looked through for a peer beyond what is remembered: there was nothing to push. It is not worth a write, but
/// need not be looked through again, as long as what is remembered stays the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ahead {
    pub(super) remembered: PeerState,
    pub(super) position: Position,
}

/// Whether what was asked for has been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Outcome {
    Done,
    /// The peer has another database than the one its cursors belong to. They are forgotten: start over.
    Forgotten,
}

/// The way to the peer. It does not depend on where the round stands, so that the peer can be asked while something else is
/// being done.
#[derive(Clone, Copy)]
pub(super) struct Wire<'a> {
    pub(super) peer: &'a dyn Transport,
    settings: &'a Settings,
    /// Ends the waiting for the peer.
    stop: &'a CancellationToken,
}

impl Wire<'_> {
    /// Waits for an answer, trying again what can pass.
    ///
    /// Only this waiting is cut short when the sync is stopped. What is done in the database is done to its end, which is
    /// soon: a connection that is abandoned halfway is closed, and with it goes a database in memory.
    pub(super) async fn answer<T, F>(self, request: impl FnMut() -> F) -> Result<T, TransportError>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let Settings { retry, jitter, .. } = self.settings;
        match self.stop.run_until_cancelled(retry.send(jitter, request)).await {
            Some(answer) => answer,
            None => Err(self.failure(TransportErrorKind::Unavailable, "the sync was stopped")),
        }
    }

    fn failure(self, kind: TransportErrorKind, message: impl Into<String>) -> TransportError {
        TransportError {
            peer: self.peer.name().to_owned(),
            kind,
            code: None,
            message: message.into(),
            retry_after: None,
        }
    }
}

/// One round with one peer.
pub(crate) struct Round<'a> {
    pub(super) settings: &'a Settings,
    pub(super) wire: Wire<'a>,
    /// The peer as hooks are told of it.
    pub(super) who: Peer,
    /// The name under which the peer is remembered together with the choice of tables.
    scope: String,
    pub(super) state: PeerState,
    /// What the database holds of `state`.
    saved: PeerState,
    restarts: usize,
    pub(super) letters: Letters,
    /// How many changes to ask for at once: fewer once a page has turned out to be too large in bytes.
    pub(super) page_size: usize,
    /// Whether the peer has lost what it had, so that it is sent even what came from it. Nothing is remembered until it
    /// has been sent everything: a round that is cut off before has to notice the loss again.
    pub(super) resend: bool,
    pub(super) ahead: Option<Ahead>,
    pub(super) report: SyncReport,
}

impl<'a> Round<'a> {
    /// Tells what was done also when it failed on the way.
    pub(crate) async fn carry_out(
        settings: &'a Settings,
        peer: &'a dyn Transport,
        extent: Extent,
        letters: Letters,
        stop: &'a CancellationToken,
    ) -> (SyncReport, Result<(), Error>) {
        let mut round = match Self::begin(settings, peer, letters, stop).await {
            Ok(round) => round,
            Err(error) => return (SyncReport::default(), Err(error)),
        };
        let result = round.run(extent).await;
        (round.report, result)
    }

    /// Takes up what is remembered of the peer.
    pub(super) async fn begin(
        settings: &'a Settings,
        peer: &'a dyn Transport,
        letters: Letters,
        stop: &'a CancellationToken,
    ) -> Result<Self, Error> {
        let scope = settings.tables.join(",");
        let state = settings.replica.peer_state(peer.name(), &scope).await?;
        Ok(Self {
            settings,
            wire: Wire { peer, settings, stop },
            who: Peer::new(peer.name()),
            scope,
            saved: state.clone(),
            state,
            restarts: 0,
            letters,
            page_size: settings.page_size,
            resend: false,
            ahead: None,
            report: SyncReport::default(),
        })
    }

    pub(super) async fn run(&mut self, extent: Extent) -> Result<(), Error> {
        let begun = Instant::now();
        let result = self.pull_and_push(extent).await;
        let meters = &self.settings.replica.core.meters;
        meters.round(self.wire.peer.name(), result.is_ok(), begun.elapsed());
        tracing::debug!(peer = self.wire.peer.name(), report = %self.report, ok = result.is_ok(), "round ended");
        result
    }

    async fn pull_and_push(&mut self, extent: Extent) -> Result<(), Error> {
        loop {
            if extent == Extent::PullAndPush {
                self.pull().await?;
            }
            if self.push(extent).await? == Outcome::Done {
                return Ok(());
            }
        }
    }

    /// Compares who answered with who is remembered under the peer's name, and forgets that one when it is another.
    pub(super) fn recognise(&mut self, replica_id: &str, node: &NodeId, restarted: bool) -> Result<Outcome, Error> {
        let own = &self.settings.replica;
        if node == own.node_id() && replica_id != own.replica_id() {
            return Err(Error::NodeInUse {
                node: node.to_string(),
                detail: format!(
                    "peer `{}` writes under it too, into another database; give one of them another id",
                    self.wire.peer.name()
                ),
            });
        }
        self.who.node = Some(node.clone());
        let known = self.state.replica_id.get_or_insert_with(|| replica_id.to_owned());
        if known == replica_id && !restarted {
            return Ok(Outcome::Done);
        }
        self.restarts += 1;
        if self.restarts > MAX_RESTARTS {
            let message = "it answers with one database now and with another then";
            return Err(self.failure(TransportErrorKind::Garbled, message).into());
        }
        tracing::info!(
            peer = self.wire.peer.name(),
            "the peer's database is another one, or restored: starting over"
        );
        self.state = PeerState {
            replica_id: Some(replica_id.to_owned()),
            ..PeerState::default()
        };
        self.resend = true;
        Ok(Outcome::Forgotten)
    }

    /// Remembers where the round stands. Writes nothing when it stands where it stood.
    pub(super) async fn save(&mut self) -> Result<(), Error> {
        if !self.resend && self.state != self.saved {
            let replica = &self.settings.replica;
            replica
                .save_peer_state(self.wire.peer.name(), &self.scope, &self.state)
                .await?;
            self.saved = self.state.clone();
        }
        Ok(())
    }

    pub(super) fn failure(&self, kind: TransportErrorKind, message: impl Into<String>) -> TransportError {
        self.wire.failure(kind, message)
    }
}
