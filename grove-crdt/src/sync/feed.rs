//! What one subscriber is sent: first what there is after its cursor, then what comes, in commit order.

use std::time::Duration;

use crate::{
    clock::NodeId,
    error::Error,
    replica::{Listener, News, Replica, Told, Way},
    store::identity::History,
    sync::{Peer, Position, PullResponse, Refusal, StreamFrame, respond},
};

/// How many changes the first page has at most. Pages grow while they are small in bytes, so that a subscriber that is far
/// behind is served in large ones, and large values don't fill the memory.
const FIRST_PAGE: usize = 100;
/// Below this many bytes, a full page is followed by one of twice as many changes.
const SMALL: usize = 128 << 10;
/// Above this many bytes, a page is followed by one of half as many changes.
const LARGE: usize = 1 << 20;

/// A subscriber from whom hooks keep everything is told where it stands after so many changes, so that it need not pass over
/// them again.
const TELL_AFTER: usize = 1_000;

/// How long to wait before looking again for what is held back by a transaction still under way: at first, and at most.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// Reads a replica's changes for one subscriber.
#[derive(Debug)]
pub(super) struct Feed {
    replica: Replica,
    peer: Peer,
    /// Who is told, for what is counted; `None` when the subscriber does not name its node.
    listener: Option<Listener>,
    tables: Vec<String>,
    /// The subscriber's database: what came from it is not sent back.
    via: Option<String>,
    position: Position,
    news: News,
    /// How many changes the next page has at most, and any page.
    page: usize,
    largest_page: usize,
    /// Set until the first page was read: whether it starts over. It is sent even when it has no changes, to say so, and who
    /// answers.
    opening: Option<bool>,
    next: Next,
    /// How many changes were read, and kept back by hooks, since the subscriber was last told where it stands.
    untold: usize,
}

/// When to read the next page.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// There is more.
    Now,
    /// Something is held back by a transaction still under way.
    After(Duration),
    /// When something is committed.
    WithNews,
}

/// Where a feed begins, and for whom.
pub(super) struct Start {
    pub peer: Peer,
    pub node: Option<NodeId>,
    pub tables: Vec<String>,
    pub via: Option<String>,
    pub position: Position,
    pub restarted: bool,
    pub largest_page: usize,
}

impl Feed {
    pub(super) fn new(replica: &Replica, start: Start) -> Self {
        Self {
            replica: replica.clone(),
            listener: start.node.map(|node| Listener {
                peer: start.peer.name.clone(),
                node: node.to_string(),
            }),
            peer: start.peer,
            tables: start.tables,
            via: start.via,
            position: start.position,
            news: News::of(&replica.core),
            page: FIRST_PAGE.min(start.largest_page),
            largest_page: start.largest_page,
            opening: Some(start.restarted),
            next: Next::Now,
            untold: 0,
        }
    }

    /// The next page, unless there is nothing at the moment. To be run to its end: it is in the middle of statements.
    ///
    /// # Errors
    ///
    /// A hook refuses the page; or the database fails.
    pub(super) async fn read(&mut self) -> Result<Option<StreamFrame>, Refusal> {
        let via = self.via.as_deref();
        let page = self
            .replica
            .page_now(&self.tables, &self.position, via, self.page)
            .await?;
        self.next = match self.next {
            _ if page.has_more => Next::Now,
            Next::After(pause) if page.held_back => Next::After((pause * 2).min(LOOK_AGAIN.1)),
            _ if page.held_back => Next::After(LOOK_AGAIN.0),
            _ => Next::WithNews,
        };
        self.position = page.position.clone();
        let opening = self.opening.take();
        if page.changes.is_empty() && opening.is_none() {
            return Ok(None);
        }
        let history = History::load(&self.replica.core.db).await.map_err(Error::from)?;
        let has_more = page.has_more;
        self.untold += page.changes.len();
        let answer = respond::answer(&self.replica, &self.peer, &history, page, opening.unwrap_or(false)).await?;
        if answer.changes.is_empty() && opening.is_none() && self.untold < TELL_AFTER {
            return Ok(None);
        }
        self.untold = 0;
        let frame = StreamFrame::changes(&answer)?;
        self.replica.core.meters.sent(Way::Stream, answer.changes.len());
        self.size_next_page(&answer, frame.data.len(), has_more);
        Ok(Some(frame))
    }

    fn size_next_page(&mut self, answer: &PullResponse, bytes: usize, was_full: bool) {
        if bytes > LARGE {
            self.page = (answer.changes.len() / 2).max(1);
        } else if bytes < SMALL && was_full {
            self.page = (self.page * 2).min(self.largest_page);
        }
    }

    /// Notes that the subscriber has taken what was read.
    pub(super) fn note_taken(&self) {
        // Not before the first page, which says where it stands.
        if let (Some(listener), None) = (&self.listener, self.opening) {
            let core = &self.replica.core;
            let told = Told {
                database: self.via.as_deref().unwrap_or_default(),
                tables: &self.tables,
                version: self.position.version,
                everything: !matches!(self.next, Next::Now),
            };
            core.audience.told(listener, told, core.clock.now_micros());
        }
    }

    /// Waits until there may be something to read.
    pub(super) async fn wait(&mut self) {
        match self.next {
            Next::Now => {}
            Next::After(pause) => tokio::time::sleep(pause).await,
            Next::WithNews => self.news.changed().await,
        }
    }
}
