//! The stream that one peer sends: open, lost, or being opened.

use std::{fmt, future::Future, pin::Pin};

use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::sync::{EventStream, StreamEvent, StreamRequest, Transport, TransportError, TransportErrorKind};

/// A stream from a peer, and where it stands.
pub(super) struct Line<'a> {
    peer: &'a dyn Transport,
    state: State<'a>,
    /// How often it was lost, or could not be opened, since it last got somewhere.
    failures: u32,
}

enum State<'a> {
    /// The peer does not stream.
    Never,
    /// To be opened.
    Down {
        since: Instant,
    },
    Opening {
        answer: Pin<Box<dyn Future<Output = Result<EventStream, TransportError>> + Send + 'a>>,
        from: Option<String>,
    },
    Open {
        events: EventStream,
        at: Option<String>,
    },
}

/// What has become of a line.
#[derive(Debug)]
pub(super) enum Step {
    /// It is time to open it: see [`Line::open`].
    IsDown,
    /// It is open again.
    Opened,
    Event(StreamEvent),
    /// It is lost, or could not be opened.
    Lost(TransportError),
}

impl<'a> Line<'a> {
    /// A line to be opened at once, when the peer can stream.
    pub(super) fn to(peer: &'a dyn Transport) -> Self {
        let state = match peer.streaming() {
            Some(_) => State::Down { since: Instant::now() },
            None => State::Never,
        };
        Self {
            peer,
            state,
            failures: 0,
        }
    }

    /// Waits until something becomes of it. May be given up and called again at any time.
    pub(super) async fn next(&mut self) -> Step {
        match &mut self.state {
            State::Never => std::future::pending().await,
            State::Down { since } => {
                tokio::time::sleep_until(*since).await;
                Step::IsDown
            }
            State::Opening { answer, from } => match answer.await {
                Ok(events) => {
                    self.state = State::Open {
                        events,
                        at: from.take(),
                    };
                    Step::Opened
                }
                Err(error) => Step::Lost(error),
            },
            State::Open { events, .. } => match events.next().await {
                Some(Ok(event)) => Step::Event(event),
                Some(Err(error)) => Step::Lost(error),
                None => Step::Lost(TransportError {
                    peer: self.peer.name().to_owned(),
                    kind: TransportErrorKind::Unavailable,
                    code: None,
                    message: "the peer has ended the stream".into(),
                    retry_after: None,
                }),
            },
        }
    }

    /// Begins to open it.
    pub(super) fn open(&mut self, request: StreamRequest) {
        if let Some(peer) = self.peer.streaming() {
            self.state = State::Opening {
                from: request.cursor.clone(),
                answer: Box::pin(async move { peer.stream(&request).await }),
            };
        }
    }

    /// Is to be opened again, after a pause that depends on how often it has failed.
    pub(super) fn reopen_after(&mut self, pause: impl FnOnce(u32) -> tokio::time::Duration) {
        self.failures = self.failures.saturating_add(1);
        self.state = State::Down {
            since: Instant::now() + pause(self.failures),
        };
    }

    /// Is not to be opened before this time, if it is to be opened.
    pub(super) fn not_before(&mut self, time: Instant) {
        if let State::Down { since } = &mut self.state {
            *since = time.max(*since);
        }
    }

    /// Is to be opened again at once, from another place.
    pub(super) fn reopen(&mut self) {
        if !matches!(self.state, State::Never) {
            self.state = State::Down { since: Instant::now() };
        }
    }

    /// Whether what comes next goes on from this cursor.
    pub(super) fn is_at(&self, cursor: Option<&str>) -> bool {
        matches!(&self.state, State::Open { at, .. } if at.as_deref() == cursor)
    }

    /// Takes note that there is nothing for this side between where the line stands and a cursor, or that it has come there.
    pub(super) fn has_come_to(&mut self, cursor: Option<String>) {
        if let State::Open { at, .. } = &mut self.state
            && *at != cursor
        {
            *at = cursor;
            self.failures = 0;
        }
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Never => "never",
            State::Down { .. } => "down",
            State::Opening { .. } => "opening",
            State::Open { .. } => "open",
        };
        f.debug_struct("Line")
            .field("peer", &self.peer.name())
            .field("state", &state)
            .field("failures", &self.failures)
            .finish()
    }
}
