//! What one subscriber is sent: first what there is after its cursor, then what comes, in commit order.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::NodeId,
    error::Error,
    replica::{
        Listener, News, Replica, ToldUpTo, Way,
        shelf::{Reading, Shelf, Taken},
    },
    store::identity::History,
    sync::{
        Peer, Position, PullResponse, Refusal, StreamFrame,
        fit::{Fitted, fit},
        outgoing, respond,
        subscription::{self, Told},
    },
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
    shelf: Arc<Shelf>,
    /// How many changes the next page has at most, and any page.
    page: usize,
    largest_page: usize,
    /// The largest event, in bytes.
    max_bytes: Option<usize>,
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
    pub max_bytes: Option<usize>,
}

/// What the subscriber is sent of a page.
enum Sent {
    /// Nothing, of a page that has nothing for the subscriber.
    Nothing,
    /// This, which tells of so many changes.
    Frame(StreamFrame, usize),
    /// What is too large to be sent at once: no more than so many of the changes fit.
    TooLarge(usize),
}

impl Feed {
    pub(super) fn new(replica: &Replica, start: Start) -> Self {
        Self {
            shelf: replica.core.shelves.of(&start.tables),
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
            max_bytes: start.max_bytes,
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
        let (Taken { page, is_new }, sent) = loop {
            let taken = self.take().await?;
            match self.frame(&taken).await? {
                Sent::TooLarge(fits) => self.page = fits,
                sent => break (taken, sent),
            }
        };
        self.next = match self.next {
            _ if page.has_more || !is_new => Next::Now,
            Next::After(pause) if page.held_back => Next::After((pause * 2).min(LOOK_AGAIN.1)),
            _ if page.held_back => Next::After(LOOK_AGAIN.0),
            _ => Next::WithNews,
        };
        self.position = page.position.clone();
        self.opening = None;
        let mine = self.mine(&page);
        let Sent::Frame(frame, sent) = sent else {
            self.untold += mine;
            return Ok(None);
        };
        self.untold = 0;
        self.replica.core.meters.sent(Way::Stream, sent);
        self.size_next_page(mine, frame.data.len(), page.has_more);
        Ok(Some(frame))
    }

    /// A page as it is sent.
    async fn frame(&self, taken: &Taken) -> Result<Sent, Refusal> {
        let Taken { page, is_new } = taken;
        let mine = self.mine(page);
        if mine == 0 && self.opening.is_none() {
            return Ok(Sent::Nothing);
        }
        let told = Told {
            has_more: page.has_more || !is_new,
            restarted: self.opening.unwrap_or(false),
        };
        if mine == page.changes.len() && self.replica.core.hooks.is_empty() {
            let frame = StreamFrame::written(&self.replica, page, told)?;
            if self.max_bytes.is_none_or(|most| frame.bytes() <= most) {
                return Ok(Sent::Frame(frame, mine));
            }
        }
        let answer = match self.answer(page, told).await? {
            Fitted::Whole(answer) => answer,
            Fitted::Only(fits) => return Ok(Sent::TooLarge(fits)),
        };
        let says_nothing = answer.changes.is_empty() && answer.omitted.is_empty();
        if says_nothing && self.opening.is_none() && self.untold + mine < TELL_AFTER {
            return Ok(Sent::Nothing);
        }
        Ok(Sent::Frame(StreamFrame::changes(&answer)?, answer.changes.len()))
    }

    /// The page that comes next: read, or one that another has read.
    async fn take(&self) -> Result<Taken, Refusal> {
        if !self.shelf.is_shared() {
            return self.read_page(self.via.as_deref()).await.map(Taken::own);
        }
        let since = self.shelf.moment();
        // Who comes late is served in large pages, rather than in those of every commit.
        let old = self.opening.is_none();
        // What came from one is for the others, so all of it is read.
        let read = self.read_page(None);
        self.shelf.take(&self.position, since, old, self.page, read).await
    }

    async fn read_page(&self, not_via: Option<&str>) -> Result<Reading, Refusal> {
        let replica = &self.replica;
        let page = replica
            .page_now(&self.tables, &self.position, not_via, self.page)
            .await?;
        let history = History::load(&replica.core.db).await.map_err(Error::from)?;
        Ok(Reading {
            cursor: respond::cursor(replica, &history, page.position.clone()),
            latest_hlc: page.changes.iter().map(|change| &change.hlc).max().cloned(),
            written: subscription::write(&page.changes)?,
            changes: page.changes,
            came_from: page.came_from,
            position: page.position,
            has_more: page.has_more,
            held_back: page.held_back.is_some(),
        })
    }

    /// How many changes of a page are not the subscriber's own.
    fn mine(&self, page: &Reading) -> usize {
        page.came_from.iter().filter(|via| self.is_told(via.as_deref())).count()
    }

    /// Whether the subscriber is told of what came from there.
    fn is_told(&self, via: Option<&str>) -> bool {
        via.is_none() || via != self.via.as_deref()
    }

    /// What the subscriber is told of a page, when it is no larger than may be.
    async fn answer(&self, page: &Reading, told: Told) -> Result<Fitted, Refusal> {
        let changes = page.changes.iter().zip(&page.came_from);
        let changes = changes.filter(|(_, via)| self.is_told(via.as_deref()));
        let changes = changes.map(|(change, _)| change.clone()).collect();
        let changes = outgoing::told(&self.replica, &self.peer, changes).await?;
        let answer = PullResponse {
            restarted: told.restarted,
            ..respond::response(&self.replica, page.cursor.clone(), told.has_more)
        };
        Ok(fit(answer, changes, self.max_bytes))
    }

    fn size_next_page(&mut self, changes: usize, bytes: usize, was_full: bool) {
        if bytes > LARGE {
            self.page = (changes / 2).max(1);
        } else if bytes < SMALL.min(self.max_bytes.map_or(SMALL, |most| most / 2)) && was_full {
            self.page = (self.page * 2).min(self.largest_page);
        }
    }

    /// Notes that the subscriber has taken what was read.
    pub(super) fn note_taken(&self) {
        // Not before the first page, which says where it stands.
        if let (Some(listener), None) = (&self.listener, self.opening) {
            let core = &self.replica.core;
            let told = ToldUpTo {
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
