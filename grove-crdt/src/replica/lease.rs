//! Holding a node id on a database server: a lease that is renewed until the replica is closed, and runs out when its
//! process dies.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{DatabaseConnection, DatabaseTransaction};
use tokio::task::JoinHandle;

use crate::{clock::NodeId, error::Error, store::lease};

/// A node id held by this process.
#[derive(Debug)]
pub(super) struct Lease {
    state: Arc<State>,
    renewing: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    node: NodeId,
    holder: String,
    length: Duration,
    /// Until when the id is held for sure, by this process's clock; `None` when another has taken it.
    until: Mutex<Option<Instant>>,
    /// Whether anybody else held an id on this database when the lease was taken or renewed last.
    company: AtomicBool,
}

/// A lease that is taken in a transaction not yet committed.
#[derive(Debug)]
pub(super) struct Taken(Arc<State>);

/// Tells the openings of this process apart.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Takes the id. One that this process has held before is free as soon as its replica is closed.
///
/// # Errors
///
/// Another process holds it.
pub(super) async fn take(tx: &DatabaseTransaction, node: &NodeId, length: Duration) -> Result<Taken, Error> {
    let process = process();
    let before = Instant::now();
    if let Some(other) = lease::holder(tx, node.as_str()).await?
        && other.remaining > 0
        && !other.name.starts_with(process)
    {
        let remaining = Duration::from_micros(other.remaining.unsigned_abs());
        return Err(Error::NodeInUse {
            node: node.to_string(),
            detail: format!(
                "another process has it open on this database; close that one, or give this one an id of its own; if the other has crashed, its lease ends in {remaining:.1?}"
            ),
        });
    }
    let holder = format!("{process}:{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    lease::take(tx, node.as_str(), &holder, micros).await?;
    let company = lease::others(tx, node.as_str()).await?;
    Ok(Taken(Arc::new(State {
        node: node.clone(),
        holder,
        length,
        until: Mutex::new(Some(before + length)),
        company: AtomicBool::new(company),
    })))
}

/// A name for this process that no other has.
fn process() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| uuid::Uuid::new_v4().simple().to_string())
}

impl Taken {
    /// Goes on renewing the lease, once the transaction is committed.
    pub(super) fn keep(self, db: &DatabaseConnection) -> Lease {
        let (state, db) = (self.0.clone(), db.clone());
        Lease {
            renewing: Some(tokio::spawn(async move { state.keep_renewing(&db).await })),
            state: self.0,
        }
    }
}

impl State {
    async fn keep_renewing(&self, db: &DatabaseConnection) {
        let micros = i64::try_from(self.length.as_micros()).unwrap_or(i64::MAX);
        loop {
            tokio::time::sleep(self.length / 3).await;
            let before = Instant::now();
            match lease::renew(db, self.node.as_str(), &self.holder, micros).await {
                Ok(true) => {
                    *self.until() = Some(before + self.length);
                    // Not knowing, it goes by what it knew.
                    if let Ok(company) = lease::others(db, self.node.as_str()).await {
                        self.company.store(company, Ordering::Relaxed);
                    }
                }
                Ok(false) => {
                    tracing::error!(node = %self.node, "another process has taken this node id: this replica writes no more");
                    *self.until() = None;
                    return;
                }
                Err(error) => {
                    tracing::warn!(node = %self.node, %error, "the lease of this node id could not be renewed");
                }
            }
        }
    }

    fn until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Whether the id is still held.
    ///
    /// # Errors
    ///
    /// It was not renewed in time, or another process has taken it: a write now could be the second of one clock value.
    pub(super) fn check(&self) -> Result<(), Error> {
        let detail = match *self.state.until() {
            Some(until) if Instant::now() < until => return Ok(()),
            Some(_) => {
                "its lease has run out, because the database could not be reached in time; it is renewed as soon as it can be"
            }
            None => "another process has taken it, since its lease had run out here; open the replica anew",
        };
        Err(Error::NodeInUse {
            node: self.state.node.to_string(),
            detail: detail.into(),
        })
    }

    /// Whether anybody else holds an id on this database, as of the last renewal.
    pub(super) fn has_company(&self) -> bool {
        self.state.company.load(Ordering::Relaxed)
    }

    /// Stops renewing, and gives the id back as soon as the runtime gets to it; else the lease runs out by itself.
    pub(super) fn give_back(&mut self, db: &DatabaseConnection) {
        if let Some(renewing) = self.renewing.take() {
            renewing.abort();
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (state, db) = (self.state.clone(), db.clone());
            runtime.spawn(async move {
                let given_back = lease::give_back(&db, state.node.as_str(), &state.holder).await;
                if let Err(error) = given_back {
                    tracing::debug!(node = %state.node, %error, "a node id was not given back; its lease will run out");
                }
            });
        }
    }
}
