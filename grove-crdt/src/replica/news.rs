//! Noticing that something was committed: by this replica, at once; by other processes on the same database, as soon as
//! the database tells of it, or the next time it is looked at.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use sea_orm::DbBackend;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    replica::Core,
    store::{notify, version},
};

/// How often other processes are told at most: a burst of commits is one piece of news.
const TELL_EVERY: Duration = Duration::from_millis(5);

/// Where it is posted that something may have been committed.
#[derive(Debug)]
pub(super) struct Bulletin {
    posts: watch::Sender<()>,
    /// How often to look for what other processes have committed.
    interval: Duration,
    /// Held by those who wait for news: while there are some, other processes are watched.
    watch: Mutex<Weak<DropGuard>>,
}

impl Bulletin {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            posts: watch::Sender::new(()),
            interval,
            watch: Mutex::new(Weak::new()),
        }
    }

    pub(super) fn post(&self) {
        self.posts.send_replace(());
    }
}

/// What one waits for who wants to know of commits.
#[derive(Debug)]
pub(crate) struct News {
    posts: watch::Receiver<()>,
    _watch: Arc<DropGuard>,
}

impl News {
    /// News of what may be committed to the database from now on.
    pub(crate) fn of(core: &Arc<Core>) -> Self {
        let mut watch = core.bulletin.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let watching = watch.upgrade().unwrap_or_else(|| {
            let stop = CancellationToken::new();
            tokio::spawn(watch_others(Arc::downgrade(core), stop.clone(), core.bulletin.interval));
            let guard = Arc::new(stop.drop_guard());
            *watch = Arc::downgrade(&guard);
            guard
        });
        Self {
            posts: core.bulletin.posts.subscribe(),
            _watch: watching,
        }
    }

    /// Waits until something may have been committed since the last time.
    pub(crate) async fn changed(&mut self) {
        if self.posts.changed().await.is_err() {
            // Whoever waits holds the replica, so this is not reached; it must not be a busy loop all the same.
            std::future::pending::<()>().await;
        }
    }
}

/// Posts what other processes commit, until `stop`. Only waiting is cut off, never a statement.
async fn watch_others(core: Weak<Core>, stop: CancellationToken, interval: Duration) {
    let mut known = None;
    let mut ear = notify::Ear::default();
    loop {
        let Some(strong) = core.upgrade() else { return };
        ear.open(&strong.db, &strong.replica_id).await;
        match version::newest(&strong.db, &strong.registry, strong.numbering).await {
            Ok(newest) => {
                if known.replace(newest) != Some(newest) {
                    strong.bulletin.post();
                }
            }
            Err(error) => tracing::debug!(%error, "other processes' commits can't be looked for at the moment"),
        }
        let own = strong.clock.node().clone();
        drop(strong);
        let next_look = tokio::time::sleep(interval);
        tokio::pin!(next_look);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = &mut next_look => break,
                () = ear.hear(&own) => match core.upgrade() {
                    Some(core) => core.bulletin.post(),
                    None => return,
                },
            }
        }
    }
}

/// On PostgreSQL, tells the other processes on this database of every commit, for as long as the replica is open. It is done
/// after the commit, since a transaction that notifies commits under a lock of the whole database.
pub(super) fn tell_others(core: &Arc<Core>) {
    if core.db.get_database_backend() != DbBackend::Postgres {
        return;
    }
    let mut commits = core.commits.subscribe();
    let core = Arc::downgrade(core);
    tokio::spawn(async move {
        while commits.changed().await.is_ok() {
            let Some(core) = core.upgrade() else { return };
            if core.has_company()
                && let Err(error) = notify::tell(&core.db, &core.replica_id, core.clock.node()).await
            {
                tracing::debug!(%error, "other processes could not be told of a commit; they will look for it");
            }
            drop(core);
            tokio::time::sleep(TELL_EVERY).await;
        }
    });
}
