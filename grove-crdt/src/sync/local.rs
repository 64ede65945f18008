//! What a replica gives to the exchange: its changes in commit order, and what it remembers of peers.

use std::time::Duration;

use sea_orm::DatabaseTransaction;
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    entity::Table,
    error::Error,
    replica::{Ending, Merged, Peer, Replica, merge, transact},
    store::{
        begin::begin,
        dead_letters::{self, Letter},
        dialect,
        peers::{self, Within},
        shadow::{self, Place, Versioned},
        version,
    },
    sync::{Change, Omitted, PeerState, Position, Rejection, RejectionCode},
    types::CellKey,
};

/// Changes in commit order.
#[derive(Debug)]
pub(crate) struct Page {
    pub changes: Vec<Change>,
    /// The replica that each of them came from.
    pub came_from: Vec<Option<String>>,
    pub position: Position,
    pub has_more: bool,
    /// Up to which version there is more that can't be taken yet, if there is: it is committed, but a transaction that began
    /// earlier is not.
    pub held_back: Option<i64>,
}

/// How long a reader that is held back looks again by itself, and how often. It would see more with the next commit anyway;
/// this spares it waiting for one.
const LOOK_AGAIN_FOR: Duration = Duration::from_secs(1);
/// The same for one who has something to give already: transactions are mostly short.
const LOOK_AGAIN_WITH_CHANGES_FOR: Duration = Duration::from_millis(50);
const LOOK_AGAIN_EVERY: Duration = Duration::from_millis(10);

/// Which way a refused change was going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "in",
            Self::Outbound => "out",
        }
    }
}

/// Which dead letters are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letters {
    /// Those that can pass without anybody mending anything.
    ThatCanPass,
    /// All: either side may have been upgraded since.
    All,
    /// None: a round comes soon that tries them.
    None,
}

/// What is kept of a change that was refused.
#[derive(Debug)]
pub(crate) enum Kept<'a> {
    Change(&'a Change),
    /// That it was too large to be had.
    Notice(Omitted),
}

/// A change that was refused and may pass now.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    pub id: String,
    /// Why it was refused last.
    pub code: RejectionCode,
    /// Whether it was for now only, whatever the code says.
    pub later: bool,
    pub change: Change,
}

/// A change that was refused, kept whole. See [`Replica::dead_letters`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// What to name it by in [`Replica::discard_dead_letters`].
    pub id: String,
    /// Whether the change came from the peer, rather than being refused by it.
    pub inbound: bool,
    /// The peer's name.
    pub peer: String,
    /// Why it was refused, for programs: a [`RejectionCode`] as it stands on the wire.
    pub code: String,
    /// Why it was refused, for people.
    pub message: String,
    /// Whether it is tried again in each round.
    pub can_pass_later: bool,
    /// The change as JSON text; that of an [`Omitted`](crate::sync::Omitted) where the change is too large to be had here.
    pub change: String,
    /// Since when, in microseconds since the Unix epoch.
    pub since: i64,
}

impl Replica {
    /// The changes that were refused, here or by a peer. Those that can pass later are tried again in each round of a
    /// [`Syncer`](crate::sync::Syncer); all of them in its first, since either side may have been upgraded.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        let letters = dead_letters::list(&self.core.db, None).await?.into_iter();
        let public = letters.map(|(id, letter)| DeadLetter {
            id,
            inbound: letter.direction == Direction::Inbound.as_str(),
            peer: letter.peer,
            can_pass_later: letter.later || RejectionCode::from(letter.code.as_str()).can_pass_later(),
            code: letter.code,
            message: letter.message,
            change: letter.change,
            since: letter.since,
        });
        Ok(public.collect())
    }

    /// Throws dead letters away, and returns how many there were: changes that need not reach the other side any more.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn discard_dead_letters(&self, ids: &[String]) -> Result<u64, Error> {
        Ok(transact!(self.core, |tx| {
            Ok(Ending::Commit(dead_letters::remove(tx, ids).await?))
        }))
    }

    pub(crate) fn table_names(&self) -> Vec<String> {
        self.core.registry.iter().map(|table| table.name.clone()).collect()
    }

    /// Counts, from 0 at its opening, the commits of this replica that recorded something, merges included: to push, or
    /// to refresh a view, right after one.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.core.commits.subscribe()
    }

    pub(crate) async fn peer_state(&self, peer: &str, scope: &str) -> Result<PeerState, Error> {
        peers::load(&self.core.db, peer, scope).await
    }

    pub(crate) async fn save_peer_state(&self, peer: &str, scope: &str, state: &PeerState) -> Result<(), Error> {
        transact!(self.core, |tx| {
            Ok(Ending::Commit(peers::save(tx, peer, scope, state).await?))
        });
        Ok(())
    }

    /// Merges changes of any tables that a peer sent. `from_replica` is the identity of the database they came from.
    pub(crate) async fn merge_changes(
        &self,
        peer: &Peer,
        changes: &[Change],
        from_replica: &str,
    ) -> Result<Merged, Error> {
        merge(&self.core, peer, changes, from_replica).await
    }

    pub(crate) async fn keep_dead_letters(
        &self,
        direction: Direction,
        peer: &str,
        letters: &[(Kept<'_>, Rejection)],
    ) -> Result<(), Error> {
        let letters: Vec<_> = letters
            .iter()
            .map(|(kept, rejection)| Letter {
                direction: direction.as_str().to_owned(),
                peer: peer.to_owned(),
                code: rejection.code.as_str().to_owned(),
                message: rejection.message.clone(),
                later: rejection.later,
                change: match kept {
                    Kept::Change(change) => dead_letters::text(change, self.core.registry.room()),
                    Kept::Notice(notice) => serde_json::to_string(notice).unwrap_or_default(),
                },
                since: self.core.clock.now_micros(),
            })
            .collect();
        transact!(self.core, |tx| {
            Ok(Ending::Commit(
                dead_letters::put(tx, &letters, self.core.registry.room()).await?,
            ))
        });
        Ok(())
    }

    /// The dead letters of one direction and peer that are worth another try.
    pub(crate) async fn dead_letters_to_retry(
        &self,
        direction: Direction,
        peer: &str,
        which: Letters,
    ) -> Result<Vec<Retry>, Error> {
        if which == Letters::None {
            return Ok(Vec::new());
        }
        let letters = dead_letters::list(&self.core.db, Some((direction.as_str(), peer))).await?;
        let retries = letters.into_iter().filter_map(|(id, letter)| {
            let (code, later) = (RejectionCode::from(letter.code.as_str()), letter.later);
            // One that is a notice only can't be tried.
            let change = serde_json::from_str(&letter.change).ok()?;
            let worth_it = which == Letters::All || later || code.can_pass_later();
            worth_it.then_some(Retry {
                id,
                code,
                later,
                change,
            })
        });
        Ok(retries.collect())
    }

    /// The changes of `tables` after a position, in commit order, but for those that came from the replica `not_via`. A
    /// page holds whole transactions, unless one alone is larger than `limit`.
    ///
    /// When a transaction still under way holds something back, it looks again for a moment. What is committed meanwhile is not
    /// waited for: where many write, there is always something.
    pub(crate) async fn changes_after(
        &self,
        tables: &[String],
        after: &Position,
        not_via: Option<&str>,
        limit: usize,
    ) -> Result<Page, Error> {
        let mut waited = Duration::ZERO;
        let mut awaited = None;
        loop {
            let page = self.page_now(tables, after, not_via, limit).await?;
            let patience = if page.changes.is_empty() {
                LOOK_AGAIN_FOR
            } else {
                LOOK_AGAIN_WITH_CHANGES_FOR
            };
            let Some(held_back) = page.held_back else {
                return Ok(page);
            };
            if page.position.version >= *awaited.get_or_insert(held_back) || waited >= patience {
                return Ok(page);
            }
            tokio::time::sleep(LOOK_AGAIN_EVERY).await;
            waited += LOOK_AGAIN_EVERY;
        }
    }

    /// The same, as it is at this moment.
    pub(crate) async fn page_now(
        &self,
        tables: &[String],
        after: &Position,
        not_via: Option<&str>,
        limit: usize,
    ) -> Result<Page, Error> {
        // One snapshot for all tables, or a transaction would be seen in parts.
        self.core.doubt.settle(&self.core.db).await;
        let options = dialect::one_snapshot(self.core.db.get_database_backend());
        let (tx, ()) = begin(&self.core.db, options, ()).await?;
        let page = self.page_in(&tx, tables, after, not_via, limit.max(1)).await;
        tx.rollback().await?;
        page
    }

    async fn page_in(
        &self,
        tx: &DatabaseTransaction,
        tables: &[String],
        after: &Position,
        not_via: Option<&str>,
        limit: usize,
    ) -> Result<Page, Error> {
        let settled = version::settled(tx, &self.core.registry, self.core.numbering).await?;
        let mut found: Vec<Versioned> = Vec::new();
        for name in tables {
            let table = self.core.registry.require(name)?;
            let key = after
                .within
                .as_ref()
                .map(|within| CellKey::new(within.2.clone(), within.3.clone()));
            let place = place_in(table, after, key.as_ref());
            let cells = shadow::page(tx, table, &place, settled.below, not_via, limit + 1).await?;
            found.extend(cells);
        }
        found.sort_by(|a, b| place_of(a).cmp(&place_of(b)));
        let mut page = cut(found, settled.newest.max(after.version), limit);
        page.held_back = settled.held_back.filter(|_| !page.has_more);
        Ok(page)
    }
}

/// Where to go on in one table: tables are passed through in the order of their names within a version.
fn place_in<'a>(table: &Table, after: &'a Position, key: Option<&'a CellKey>) -> Place<'a> {
    let whole = |version| Place { version, after: None };
    match (&after.within, key) {
        (Some(within), Some(key)) => match table.name.cmp(&within.0) {
            std::cmp::Ordering::Less => whole(after.version.saturating_add(1)),
            std::cmp::Ordering::Equal => Place {
                version: after.version.saturating_add(1),
                after: Some((&within.1, key)),
            },
            std::cmp::Ordering::Greater => whole(after.version),
        },
        _ => whole(after.version),
    }
}

/// A change's place in the commit order.
fn place_of(found: &Versioned) -> (i64, [&str; 4]) {
    let change = &found.change;
    (found.version, [&change.table, &change.pk, &change.field, &change.cell])
}

/// Cuts off what is beyond the limit, at the end of a transaction when there is one.
fn cut(mut found: Vec<Versioned>, newest: i64, limit: usize) -> Page {
    if found.len() <= limit {
        let newest = found.last().map_or(newest, |last| newest.max(last.version));
        let end = Position {
            version: newest,
            within: None,
        };
        return page_of(found, end, false);
    }
    let beyond = found[limit].version;
    let whole = found.iter().take_while(|found| found.version < beyond).count();
    let end = if whole > 0 {
        found.truncate(whole);
        Position {
            version: found[whole - 1].version,
            within: None,
        }
    } else {
        found.truncate(limit);
        Position {
            version: beyond - 1,
            within: found.last().map(|Versioned { change, .. }| {
                let [table, pk, field, cell] = [&change.table, &change.pk, &change.field, &change.cell];
                Within(table.clone(), pk.clone(), field.clone(), cell.clone())
            }),
        }
    };
    page_of(found, end, true)
}

fn page_of(found: Vec<Versioned>, position: Position, has_more: bool) -> Page {
    let (changes, came_from) = found.into_iter().map(|found| (found.change, found.via)).unzip();
    Page {
        changes,
        came_from,
        position,
        has_more,
        held_back: None,
    }
}
