use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::{
    change::Change,
    clock::{Hlc, NodeId},
    error::Error,
    presence::PresenceItem,
    replica::{Replica, shelf::Reading},
    sync::{
        PresenceStream, PullResponse, Refusal, StreamEvent,
        feed::{Feed, Start},
    },
};

/// The kind of the events that hold changes.
const CHANGES: &str = "changes";
/// The kind of those that tell who is present.
const PRESENCE: &str = "presence";

/// What stands around the data and the id of an event, in bytes: names, and the ends of lines.
const AROUND: usize = 64;

/// The most bytes of presences in one event, about.
const PRESENCE_PART: usize = 256 << 10;

/// The events for one subscriber of a replica, in the order in which they are to be sent; see
/// [`respond::stream`](crate::sync::respond::stream). It ends only with an error, and stops when it is dropped.
///
/// Nothing is read before there is room for it, so a subscriber that takes nothing costs no more than one page.
#[derive(Debug)]
pub struct Subscription(mpsc::Receiver<Result<StreamFrame, Refusal>>);

/// One event of a stream, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamFrame {
    /// What kind of event it is: `changes` or `presence`.
    pub event: &'static str,
    /// Where to go on after it, of `changes`: a cursor.
    pub id: Option<String>,
    /// JSON on one line: of `changes`, a [`PullResponse`]; of `presence`, a [`PresenceItem`].
    pub data: String,
}

/// What an event says of a page beside the page itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub has_more: bool,
    pub restarted: bool,
}

/// A [`PullResponse`] whose changes are written already.
#[derive(Serialize)]
struct Written<'a> {
    replica_id: &'a str,
    node_id: &'a NodeId,
    changes: &'a RawValue,
    cursor: &'a str,
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_hlc: Option<&'a Hlc>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    restarted: bool,
}

fn unwritable(error: &serde_json::Error) -> Error {
    Error::Invalid(format!("a page can't be written as JSON: {error}"))
}

/// Writes changes, to be sent as often as need be.
pub(super) fn write(changes: &[Change]) -> Result<Box<RawValue>, Error> {
    serde_json::value::to_raw_value(changes).map_err(|error| unwritable(&error))
}

impl StreamFrame {
    pub(super) fn changes(answer: &PullResponse) -> Result<Self, Error> {
        let data = serde_json::to_string(answer).map_err(|error| unwritable(&error))?;
        Ok(Self::page(answer.cursor.clone(), data))
    }

    /// The same, for one who is told all of a page.
    pub(super) fn written(replica: &Replica, page: &Reading, told: Told) -> Result<Self, Error> {
        let answer = Written {
            replica_id: replica.replica_id(),
            node_id: replica.node_id(),
            changes: &page.written,
            cursor: &page.cursor,
            has_more: told.has_more,
            latest_hlc: page.latest_hlc.as_ref(),
            restarted: told.restarted,
        };
        let data = serde_json::to_string(&answer).map_err(|error| unwritable(&error))?;
        Ok(Self::page(page.cursor.clone(), data))
    }

    /// How many bytes the event has as it is sent, about.
    pub(super) fn bytes(&self) -> usize {
        self.data.len() + self.id.as_ref().map_or(0, String::len) + AROUND
    }

    fn page(cursor: String, data: String) -> Self {
        Self {
            event: CHANGES,
            id: Some(cursor),
            data,
        }
    }

    fn presence(item: &PresenceItem) -> Result<Self, Error> {
        let data = serde_json::to_string(item)
            .map_err(|error| Error::Invalid(format!("presences can't be written as JSON: {error}")))?;
        Ok(Self {
            event: PRESENCE,
            id: None,
            data,
        })
    }
}

impl StreamEvent {
    /// What an event says, by its kind and data; `None` when it is one of a later version, to be passed over.
    ///
    /// # Errors
    ///
    /// The data is not of the form that the kind has.
    pub fn parse(event: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        match event {
            CHANGES => serde_json::from_str(data).map(|page| Some(Self::Changes(page))),
            PRESENCE => serde_json::from_str(data).map(|item| Some(Self::Presence(item))),
            _ => Ok(None),
        }
    }
}

impl Subscription {
    pub(super) fn begin(replica: &Replica, start: Start, presence: PresenceStream) -> Self {
        let feed = Feed::new(replica, start);
        let (sender, receiver) = mpsc::channel(1);
        // A task of its own, since the subscriber may go at any time, and a statement is not to be cut off.
        tokio::spawn(feed_on(feed, presence, sender));
        Self(receiver)
    }
}

async fn feed_on(mut feed: Feed, mut presence: PresenceStream, sender: mpsc::Sender<Result<StreamFrame, Refusal>>) {
    // Changes come first: they tell who answers.
    let mut told = false;
    let mut presences = VecDeque::new();
    while let Ok(room) = sender.reserve().await {
        feed.note_taken();
        let frame = loop {
            if let Some(item) = presences.pop_front() {
                break StreamFrame::presence(&item).map_err(Refusal::from);
            }
            tokio::select! {
                () = feed.wait() => match feed.read().await {
                    Ok(Some(frame)) => {
                        told = true;
                        break Ok(frame);
                    }
                    Ok(None) => feed.note_taken(),
                    Err(refusal) => break Err(refusal),
                },
                item = presence.next(), if told => match item {
                    Some(item) => presences.extend(item.parts(PRESENCE_PART)),
                    None => return,
                },
                () = sender.closed() => return,
            }
        };
        let failed = frame.is_err();
        room.send(frame);
        if failed {
            return;
        }
    }
}

impl Stream for Subscription {
    type Item = Result<StreamFrame, Refusal>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
