use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, TransactionOptions};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::{
    clock::Clock,
    entity::Registry,
    error::Error,
    presence::Board,
    replica::{
        HookChain, audience::Audience, guard::NodeGuard, meters::Meters, news::Bulletin, occasion::Occasion,
        parsed::ParsedWrites, session::Session, shelf::Shelves,
    },
    store::{
        begin::begin,
        catalog::Catalog,
        dialect,
        ended::Doubt,
        parked,
        server::Server,
        shadow::Texts,
        statistics::{self, Statistics},
        version::Numbering,
    },
};

/// What all clones of a replica share.
#[derive(Debug)]
pub(crate) struct Core {
    pub db: DatabaseConnection,
    pub registry: Registry,
    pub clock: Clock,
    pub replica_id: String,
    pub numbering: Numbering,
    server: Server,
    #[expect(dead_code, reason = "read by tombstone expiry")]
    pub tombstone_ttl: Duration,
    pub commits: watch::Sender<u64>,
    pub(super) bulletin: Bulletin,
    pub presence: Board,
    pub meters: Meters,
    pub audience: Audience,
    /// Pages that several streams take.
    pub shelves: Shelves,
    parkings: Parkings,
    /// After what nobody has tried the parked rows.
    pub(super) untried: std::sync::Mutex<Occasion>,
    /// Where among the parked rows to go on trying, when there are more than are tried at once.
    pub parked_turn: AtomicUsize,
    pub statistics: Statistics,
    catalog: RwLock<Option<Arc<Catalog>>>,
    pub(super) parsed: ParsedWrites,
    pub texts: Texts,
    /// SQLite has one writer at a time. Queueing for it here is fair; SQLite's own waiting is not.
    write_gate: Arc<Mutex<()>>,
    busy_timeout: Duration,
    /// Whether SQLite may have ended a transaction by itself.
    pub doubt: Doubt,
    guard: NodeGuard,
    pub hooks: HookChain,
}

/// Does some work in a transaction of the replica's own, and again when another transaction got in its way. The work is a
/// block that gives an [`Ending`], and may use `?` on what fails with this crate's error.
// A function that takes the work as a closure would not be `Send`: the compiler can't tell for every lifetime.
macro_rules! transact {
    ($core:expr, |$tx:ident| $work:block) => {{
        let mut attempts = $crate::store::retry::Attempts::default();
        loop {
            let (transaction, session) = $core.begin_own().await?;
            let ending: Result<$crate::replica::Ending<_>, $crate::error::Error> = async {
                let $tx = &transaction;
                $work
            }
            .await;
            let failed: $crate::error::Error = match ending {
                Ok($crate::replica::Ending::Commit(value)) => match transaction.commit().await {
                    Ok(()) => {
                        session.note_end();
                        break value;
                    }
                    Err(error) => error.into(),
                },
                Ok($crate::replica::Ending::RollBack(value)) => {
                    transaction.rollback().await?;
                    session.note_end();
                    break value;
                }
                Err(error) => {
                    // What failed tells more than how its rollback did.
                    if transaction.rollback().await.is_ok() {
                        session.note_end();
                    }
                    error
                }
            };
            drop(session);
            attempts.after(failed).await?;
        }
    }};
}
pub(crate) use transact;

/// How a transaction ends that has done what it was to do.
pub(crate) enum Ending<T> {
    Commit(T),
    /// There was nothing to write.
    RollBack(T),
}

/// Whether there may be parked rows: "yes" when there are none does no harm, "no" when this process parked some would leave
/// them parked.
#[derive(Debug)]
struct Parkings {
    /// How often rows were parked.
    count: AtomicU64,
    /// Of how many of these times none is left.
    none_left_of: AtomicU64,
}

impl Parkings {
    fn new(any: bool) -> Self {
        Self {
            count: AtomicU64::new(any.into()),
            none_left_of: AtomicU64::new(0),
        }
    }

    fn may_have_left_some(&self) -> bool {
        self.none_left_of.load(Ordering::SeqCst) < self.count.load(Ordering::SeqCst)
    }
}

/// What [`Core::new`] needs.
pub(super) struct Parts {
    pub db: DatabaseConnection,
    pub registry: Registry,
    pub clock: Clock,
    pub replica_id: String,
    pub numbering: Numbering,
    pub server: Server,
    pub tombstone_ttl: Duration,
    pub busy_timeout: Duration,
    pub poll_interval: Duration,
    pub presence: Board,
    pub catalog: Catalog,
    pub has_parked: bool,
    pub guard: NodeGuard,
    pub hooks: HookChain,
}

impl Core {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            db: parts.db,
            registry: parts.registry,
            clock: parts.clock,
            replica_id: parts.replica_id,
            numbering: parts.numbering,
            server: parts.server,
            tombstone_ttl: parts.tombstone_ttl,
            commits: watch::Sender::new(0),
            bulletin: Bulletin::new(parts.poll_interval),
            presence: parts.presence,
            meters: Meters::default(),
            audience: Audience::default(),
            shelves: Shelves::default(),
            parkings: Parkings::new(parts.has_parked),
            untried: std::sync::Mutex::default(),
            parked_turn: AtomicUsize::new(0),
            statistics: Statistics::default(),
            catalog: RwLock::new(Some(Arc::new(parts.catalog))),
            parsed: ParsedWrites::default(),
            texts: Texts::default(),
            write_gate: Arc::new(Mutex::new(())),
            busy_timeout: parts.busy_timeout,
            doubt: Doubt::default(),
            guard: parts.guard,
            hooks: parts.hooks,
        }
    }

    /// Begins a transaction that may write, with the session that will collect what it does.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        options: TransactionOptions,
    ) -> Result<(DatabaseTransaction, Session), Error> {
        let read_only = options.access_mode == Some(sea_orm::AccessMode::ReadOnly);
        if !read_only {
            self.may_write()?;
        }
        let backend = self.db.get_database_backend();
        let queue = dialect::has_one_writer(backend) && !read_only;
        let turn = if queue { Some(self.turn().await?) } else { None };
        self.doubt.settle(&self.db).await;
        let (tx, turn) = begin(&self.db, dialect::transaction(backend, options), turn).await?;
        if let Some(setting) = dialect::set_up_transaction(self.server) {
            tx.execute_unprepared(setting).await?;
        }
        Ok((tx, Session::new(self.clone(), read_only, turn)))
    }

    /// Whether this process still holds its node id.
    ///
    /// # Errors
    ///
    /// It does not: what it writes under it could be another's.
    pub(crate) fn may_write(&self) -> Result<(), Error> {
        self.guard.check()
    }

    /// Whether other processes may have this database open, at the moment or a moment ago.
    pub(super) fn has_company(&self) -> bool {
        self.guard.has_company()
    }

    /// Begins a transaction of the replica's own, at the isolation level that its way of locking is made for.
    pub(crate) async fn begin_own(self: &Arc<Self>) -> Result<(DatabaseTransaction, Session), Error> {
        let isolation_level = dialect::own_isolation(self.db.get_database_backend());
        self.begin(TransactionOptions {
            isolation_level,
            ..TransactionOptions::default()
        })
        .await
    }

    async fn turn(&self) -> Result<OwnedMutexGuard<()>, Error> {
        let gate = self.write_gate.clone().lock_owned();
        tokio::time::timeout(self.busy_timeout, gate)
            .await
            .map_err(|_| {
                Error::Busy(format!(
                    "another transaction of this replica has been open for the whole busy timeout ({:?}); a task that holds a transaction must write through it, not through the replica",
                    self.busy_timeout
                ))
            })
    }

    /// The catalog as it is now: one read when a statement has changed the schema since.
    pub(crate) async fn catalog<C: sea_orm::ConnectionTrait>(&self, conn: &C) -> Result<Arc<Catalog>, DbErr> {
        let known = self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(catalog) = known {
            return Ok(catalog);
        }
        let catalog = Arc::new(Catalog::load(conn).await?);
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Some(catalog.clone());
        Ok(catalog)
    }

    /// Forgets the catalog, because a statement may have changed the schema.
    pub(crate) fn forget_catalog(&self) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Tells whoever waits for it that something was committed.
    pub(crate) fn committed(self: &Arc<Self>) {
        self.commits.send_modify(|count| *count += 1);
        self.bulletin.post();
        let grown = self.statistics.take_due();
        if !grown.is_empty() && statistics::are_late(self.db.get_database_backend()) {
            let core = self.clone();
            tokio::spawn(async move {
                if let Err(error) = statistics::count(&core.db, &core.registry, &grown).await {
                    // It does so by itself some time.
                    tracing::debug!(%error, "the database does not count shadow tables");
                }
            });
        }
    }

    pub(crate) fn may_have_parked(&self) -> bool {
        self.parkings.may_have_left_some()
    }

    /// Notes that rows are being parked. To be called before the transaction is committed, or a write that comes right
    /// after it might not look; and after that, since others may have looked in between.
    pub(crate) fn parks(&self) {
        self.parkings.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes note of rows that another process may have parked. `told` is whether there are any, when what was read along
    /// with the cells said so.
    pub(crate) async fn look_for_parked(&self, tx: &DatabaseTransaction, told: Option<bool>) -> Result<(), DbErr> {
        if self.may_have_parked() {
            return Ok(());
        }
        let any = match told {
            Some(any) => any,
            None => parked::any_now(tx).await?,
        };
        if any {
            self.parks();
        }
        Ok(())
    }

    /// To be asked for before parked rows are read, and given to [`Self::none_parked`] when there were none.
    pub(crate) fn parkings(&self) -> u64 {
        self.parkings.count.load(Ordering::SeqCst)
    }

    /// Notes that there were no parked rows.
    pub(crate) fn none_parked(&self, parkings: u64) {
        self.parkings.none_left_of.fetch_max(parkings, Ordering::SeqCst);
    }
}
