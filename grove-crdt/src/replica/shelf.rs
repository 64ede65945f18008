//! Pages of commits that several readers take: whoever reads the same tables from the same place is given what another has
//! read. Of a commit that a thousand streams wait for, one reads.
//!
//! A page says what follows a place in the commit order, and stays right however old it gets: whoever goes on behind it comes
//! to what was committed since. It must only not be taken for the newest there is: see [`Taken::is_new`].
//!
//! What hooks make of a page, and what a peer may see of it, is not kept here: only what the database holds of tables that all
//! of a shelf's readers may read.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::{change::Change, clock::Hlc, store::peers::Position};

/// How many bytes the changes on a shelf may have together, as JSON.
const KEPT: usize = 2 << 20;

/// How many those on all shelves may have, of which there are as many as there are choices of tables.
const KEPT_IN_ALL: usize = 8 << 20;

/// How many pages are kept on a shelf.
const MOST: usize = 128;

/// What follows a place in the commit order.
#[derive(Debug)]
pub(crate) struct Reading {
    pub changes: Vec<Change>,
    /// Which replica each of them came from.
    pub came_from: Vec<Option<String>>,
    /// Where the page ends.
    pub position: Position,
    pub has_more: bool,
    /// Whether there is more that can't be taken yet.
    pub held_back: bool,
    /// The end of the page as a cursor.
    pub cursor: String,
    /// The newest clock value among the changes.
    pub latest_hlc: Option<Hlc>,
    /// The changes as JSON, for those who are told all of them.
    pub written: Box<RawValue>,
}

/// The shelves of a replica, by the tables whose pages are on them.
#[derive(Debug, Default)]
pub(crate) struct Shelves {
    shelves: Mutex<HashMap<Vec<String>, Weak<Shelf>>>,
    /// How many bytes are on all of them.
    bytes: Arc<AtomicUsize>,
}

impl Shelves {
    /// The shelf for these tables. It is there for as long as anybody has it.
    pub(crate) fn of(&self, tables: &[String]) -> Arc<Shelf> {
        // The order in which they are named is not that of what is read of them.
        let mut tables = tables.to_vec();
        tables.sort_unstable();
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = shelves.get(&tables).and_then(Weak::upgrade) {
            return shelf;
        }
        shelves.retain(|_, shelf| shelf.strong_count() > 0);
        let shelf = Arc::new(Shelf {
            moments: AtomicU64::default(),
            pages: Mutex::default(),
            bytes_in_all: self.bytes.clone(),
        });
        shelves.insert(tables, Arc::downgrade(&shelf));
        shelf
    }
}

/// Pages of the same tables.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// Moments, numbered in their order.
    moments: AtomicU64,
    pages: Mutex<Pages>,
    bytes_in_all: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Pages {
    /// Oldest first.
    places: Vec<Place>,
    /// How many bytes of those on all shelves are on this one.
    bytes: usize,
}

/// A moment; what comes later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// Where a page begins, and the page once it is read.
#[derive(Debug)]
struct Place {
    from: Position,
    /// The moment before the reading began.
    began: Moment,
    page: watch::Receiver<State>,
}

#[derive(Clone, Debug)]
enum State {
    BeingRead,
    Read(Arc<Reading>),
    Failed,
}

/// A page that was read, now or some time ago.
#[derive(Debug)]
pub(crate) struct Taken {
    pub page: Arc<Reading>,
    /// Whether it holds all that was there at the moment since which it was asked for. If not, there may be more behind it.
    pub is_new: bool,
}

/// What is to be done for a page.
enum Step {
    Take(Taken),
    /// Wait until another has read it.
    Wait(watch::Receiver<State>),
    /// Read it, for others too.
    Read(watch::Sender<State>),
    /// Read it for oneself.
    ReadAlone,
}

impl Shelf {
    /// Whether there is anybody to share with.
    pub(crate) fn is_shared(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment(self.moments.fetch_add(1, Ordering::SeqCst))
    }

    /// The page that follows `from`, of `most` changes or fewer: one whose reading began after `since`, or, when an `old` one
    /// will do, one that has something in it. When there is none, `read` reads it.
    ///
    /// # Errors
    ///
    /// Those of `read`. That another could not read it is no reason to fail.
    pub(crate) async fn take<E>(
        &self,
        from: &Position,
        since: Moment,
        old: bool,
        most: usize,
        read: impl Future<Output = Result<Reading, E>>,
    ) -> Result<Taken, E> {
        loop {
            match self.step(from, since, old, most) {
                Step::Take(taken) => return Ok(taken),
                Step::Wait(mut page) => {
                    let state = page.wait_for(|state| !matches!(state, State::BeingRead)).await;
                    let was_read = state.is_ok_and(|state| matches!(*state, State::Read(_)));
                    if !was_read {
                        return read.await.map(Taken::own);
                    }
                }
                Step::Read(reader) => return self.read(from, reader, read).await,
                Step::ReadAlone => return read.await.map(Taken::own),
            }
        }
    }

    fn step(&self, from: &Position, since: Moment, old: bool, most: usize) -> Step {
        let places = &mut self.pages().places;
        if let Some(index) = places.iter().rposition(|place| place.from == *from) {
            let place = &places[index];
            let is_new = place.began >= since;
            match &*place.page.borrow() {
                // Whoever reads it may be gone.
                State::BeingRead if place.page.has_changed().is_ok() => return Step::Wait(place.page.clone()),
                State::Read(page) if page.changes.len() > most => return Step::ReadAlone,
                State::Read(page) if is_new || old && !page.changes.is_empty() => {
                    let page = page.clone();
                    return Step::Take(Taken { page, is_new });
                }
                _ => {}
            }
            places.remove(index);
        }
        let (reader, page) = watch::channel(State::BeingRead);
        places.push(Place {
            from: from.clone(),
            began: self.moment(),
            page,
        });
        Step::Read(reader)
    }

    async fn read<E>(
        &self,
        from: &Position,
        reader: watch::Sender<State>,
        read: impl Future<Output = Result<Reading, E>>,
    ) -> Result<Taken, E> {
        let page = match read.await {
            Ok(page) => Arc::new(page),
            Err(error) => {
                self.pages().places.retain(|place| place.from != *from);
                reader.send_replace(State::Failed);
                return Err(error);
            }
        };
        reader.send_replace(State::Read(page.clone()));
        self.make_room();
        Ok(Taken { page, is_new: true })
    }

    /// Forgets the oldest pages beyond what is kept.
    fn make_room(&self) {
        let mut pages = self.pages();
        let others = self.bytes_in_all.load(Ordering::SeqCst).saturating_sub(pages.bytes);
        let most = KEPT.min(KEPT_IN_ALL.saturating_sub(others));
        let (mut bytes, mut kept) = (0, 0);
        pages.places.reverse();
        pages.places.retain(|place| match &*place.page.borrow() {
            State::Read(page) => {
                let more = bytes + page.written.get().len();
                kept += 1;
                let fits = more <= most && kept <= MOST;
                bytes = if fits { more } else { bytes };
                fits
            }
            State::BeingRead => true,
            State::Failed => false,
        });
        pages.places.reverse();
        self.bytes_in_all.fetch_add(bytes, Ordering::SeqCst);
        self.bytes_in_all
            .fetch_sub(std::mem::replace(&mut pages.bytes, bytes), Ordering::SeqCst);
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // No step between two that belong together can panic.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let bytes = self.pages().bytes;
        self.bytes_in_all.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Taken {
    /// One that was read just now, for nobody else.
    pub(crate) fn own(page: Reading) -> Self {
        Self {
            page: Arc::new(page),
            is_new: true,
        }
    }
}

#[cfg(test)]
mod tests;
