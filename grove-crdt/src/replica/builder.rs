use std::{path::PathBuf, sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, TransactionOptions};

use crate::{
    clock::{Clock, Hlc, NodeId, SystemClock, WallClock},
    entity::{CrdtEntity, Registry, Table},
    error::Error,
    presence::{Board, PresenceLimits},
    replica::{
        Core, HookChain, Replica, SyncHook,
        core::Parts,
        guard::NodeGuard,
        lease, news,
        occasion::{Due, Occasion},
        upgrade,
    },
    store::{
        begin::begin,
        catalog::{self, Catalog},
        dialect, driver, identity, inexact, parked, schema,
        server::{self, Server},
        shadow,
        version::{self, Numbering},
    },
};

/// Describes a replica before it is opened. See [`Replica::builder`].
#[must_use = "nothing happens before `open`"]
#[derive(Debug)]
pub struct ReplicaBuilder {
    node_id: String,
    tables: Vec<Result<Table, Error>>,
    wall: Arc<dyn WallClock>,
    max_drift: Duration,
    tombstone_ttl: Duration,
    node_lease: Duration,
    poll_interval: Duration,
    hooks: HookChain,
    presence: PresenceLimits,
}

impl ReplicaBuilder {
    pub(super) fn new(node_id: String) -> Self {
        Self {
            node_id,
            tables: Vec::new(),
            wall: Arc::new(SystemClock),
            max_drift: Duration::from_mins(1),
            tombstone_ttl: Duration::from_hours(168),
            node_lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            hooks: HookChain::default(),
            presence: PresenceLimits::default(),
        }
    }

    /// Replicates an entity's table.
    pub fn entity<E: CrdtEntity>(mut self) -> Self {
        self.tables.push(Table::of::<E>());
        self
    }

    /// How far ahead of this node's clock a remote change may be; one further ahead is refused, and taken when its time
    /// has come. 60 seconds by default.
    pub fn max_drift(mut self, drift: Duration) -> Self {
        self.max_drift = drift;
        self
    }

    /// How long deleted records and removed elements are to be remembered. 7 days by default. Nothing is forgotten at
    /// present, so for now it only states the intention.
    pub fn tombstone_ttl(mut self, ttl: Duration) -> Self {
        self.tombstone_ttl = ttl;
        self
    }

    /// On PostgreSQL, MySQL and MariaDB: how long this process holds its node id without renewing the claim, which it does
    /// three times as often. After a crash, the id is free again when that time has passed; a replica that can't reach
    /// the database for so long refuses to write until it can. 30 seconds by default, one at least. On SQLite the id is
    /// held by a file lock, which ends with the process.
    pub fn node_lease(mut self, lease: Duration) -> Self {
        self.node_lease = lease.max(Duration::from_secs(1));
        self
    }

    /// How often a stream, or a syncer that runs, looks for commits of other processes on the same database; those of this
    /// replica it notices at once. One second by default, a millisecond at least. On PostgreSQL, with the feature
    /// `postgres`, other processes tell of theirs at once, so this is for what gets lost.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Gives the application a say in what is exchanged with peers; none by default. Several hooks run in the order in which
    /// they are given.
    pub fn hook(mut self, hook: impl SyncHook) -> Self {
        self.hooks.add(hook);
        self
    }

    /// How long presences stand, and how many and how large they may be; see [`PresenceLimits`] for what holds unless set.
    pub fn presence(mut self, limits: PresenceLimits) -> Self {
        self.presence = limits;
        self
    }

    /// Where to read the time of day. The machine's clock by default.
    pub fn clock(mut self, clock: impl WallClock) -> Self {
        self.wall = Arc::new(clock);
        self
    }

    /// Opens the replica: creates what is missing of the shadow and bookkeeping tables, and goes on where the
    /// database's history ends. The users' tables must be there already. Beside a SQLite file, a lock file
    /// `<file>-grove-<node id>` is made, which keeps the node id from being opened twice; on a database server, a
    /// [lease](Self::node_lease) does.
    ///
    /// # Errors
    ///
    /// A bad node id, or one that is open on this database already; no entity, two of one table name, one whose table is
    /// missing or lacks a column, one whose field was of another kind before; a database of a newer layout or an
    /// unsupported or too old server; a failing database.
    pub async fn open(self, db: DatabaseConnection) -> Result<Replica, Error> {
        let node: NodeId = self.node_id.parse()?;
        let tables = self.tables.into_iter().collect::<Result<Vec<_>, _>>()?;
        if tables.is_empty() {
            return Err(Error::Invalid(
                "a replica without entities replicates nothing: add `.entity::<…>()`".into(),
            ));
        }
        let mut registry = Registry::new(tables)?;
        let busy_timeout = dialect::busy_timeout(&db).await?;
        let file = dialect::database_file(&db).await?;
        let server = Server::of(&db).await?;
        registry.note_room(server::room(&db).await?);
        let catalog = create_tables(&db, server, &registry).await?;
        let claim = Claim {
            node: &node,
            file,
            lease: (server != Server::Sqlite).then_some(self.node_lease),
        };
        let options = TransactionOptions {
            isolation_level: dialect::own_isolation(db.get_database_backend()),
            ..TransactionOptions::default()
        };
        let options = dialect::transaction(db.get_database_backend(), options);
        let (tx, ()) = begin(&db, options, ()).await?;
        let opened = match prepare(&tx, &mut registry, &catalog, claim).await {
            Ok(opened) => opened,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        };
        let guard = match opened.lease {
            Some(taken) => opened.guard.with_lease(taken, &db),
            None => opened.guard,
        };
        let core = Core::new(Parts {
            presence: Board::new(node.clone(), self.presence),
            clock: Clock::new(node, self.wall, self.max_drift, opened.newest_clock.as_ref()),
            replica_id: opened.replica_id,
            numbering: opened.numbering,
            has_parked: opened.has_parked,
            tombstone_ttl: self.tombstone_ttl,
            hooks: self.hooks,
            server,
            catalog,
            guard,
            db,
            registry,
            busy_timeout,
            poll_interval: self.poll_interval,
        });
        // In the same transaction: a field is noted as known when, and only when, it is shown.
        match upgrade::show_new_fields(&core, &tx, opened.new_fields).await {
            Ok(()) => tx.commit().await?,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        }
        let core = Arc::new(core);
        news::tell_others(&core);
        let anything = Occasion {
            tables: core.registry.iter().map(|table| table.name.clone()).collect(),
            others: true,
            ..Occasion::default()
        };
        // The process before may have been killed after it removed what rows waited for.
        if let Err(error) = Due::new(&core, anything).release().await {
            tracing::warn!(%error, "parked rows could not be tried");
        }
        Ok(Replica { core })
    }
}

/// Creates what is missing of the tables, and returns the catalog as it was before. A transaction of its own: on MySQL,
/// every table that is created ends one.
async fn create_tables(db: &DatabaseConnection, server: Server, registry: &Registry) -> Result<Catalog, Error> {
    let options = dialect::transaction(db.get_database_backend(), TransactionOptions::default());
    let (tx, ()) = begin(db, options, ()).await?;
    let created = async {
        dialect::open_alone(&tx).await?;
        let catalog = Catalog::load(&tx).await?;
        let replacing = catalog::replacing(&tx).await?;
        for table in registry.iter() {
            check_table(table, &catalog)?;
            check_types(table, tx.get_database_backend())?;
            if replacing.contains(&table.name) {
                return Err(Error::Schema {
                    table: table.name.clone(),
                    detail: "a constraint of it says `ON CONFLICT REPLACE`, by which the database deletes rows unseen; leave that out of the table, and say it in the statements with `on_conflict`".into(),
                });
            }
        }
        schema::create_bookkeeping(&tx, server, &catalog).await?;
        for table in registry.iter() {
            schema::create_shadow(&tx, server, &catalog, table).await?;
        }
        Ok(catalog)
    };
    match created.await {
        Ok(catalog) => {
            tx.commit().await?;
            Ok(catalog)
        }
        Err(error) => {
            tx.rollback().await?;
            Err(error)
        }
    }
}

struct Opened {
    replica_id: String,
    numbering: Numbering,
    newest_clock: Option<Hlc>,
    has_parked: bool,
    guard: NodeGuard,
    lease: Option<lease::Taken>,
    new_fields: Vec<upgrade::NewField>,
}

/// How a node id is claimed.
struct Claim<'a> {
    node: &'a NodeId,
    file: Option<PathBuf>,
    lease: Option<Duration>,
}

async fn prepare(
    tx: &DatabaseTransaction,
    registry: &mut Registry,
    catalog: &Catalog,
    claim: Claim<'_>,
) -> Result<Opened, Error> {
    dialect::open_alone(tx).await?;
    let replica_id = identity::replica_id(tx).await?;
    let guard = NodeGuard::take(&replica_id, claim.node, claim.file.as_deref())?;
    let lease = match claim.lease {
        Some(length) => Some(lease::take(tx, claim.node, length).await?),
        None => None,
    };
    let mut newest_clock = None;
    let mut new_fields = Vec::new();
    for table in registry.iter() {
        new_fields.extend(upgrade::note_fields(tx, table).await?);
        inexact::sweep(tx, table).await?;
        newest_clock = newest_clock.max(shadow::newest_clock(tx, table).await?);
    }
    registry.note_other_shadows(version::other_shadows(tx, registry, catalog).await?);
    let numbering = Numbering::of(tx, registry).await?;
    let newest_version = version::newest(tx, registry, numbering).await?;
    identity::begin_incarnation(tx, newest_version).await?;
    Ok(Opened {
        has_parked: parked::any(tx).await?,
        replica_id,
        numbering,
        newest_clock,
        guard,
        lease,
        new_fields,
    })
}

fn check_types(table: &Table, backend: DbBackend) -> Result<(), Error> {
    for column in &table.columns {
        driver::check_type(backend, &column.value_type).map_err(|detail| Error::Schema {
            table: table.name.clone(),
            detail: format!("column `{}`: {detail}", column.name),
        })?;
    }
    Ok(())
}

fn check_table(table: &Table, catalog: &Catalog) -> Result<(), Error> {
    let refuse = |detail: String| {
        Err(Error::Schema {
            table: table.name.clone(),
            detail,
        })
    };
    // The catalog is that of the main schema; another one's tables show up when they are first used.
    if table.schema.is_some() {
        return Ok(());
    }
    let Some(columns) = catalog.columns(&table.name) else {
        return refuse(
            "the database has no such table; create it (in a migration, say) before opening the replica".into(),
        );
    };
    for column in &table.columns {
        if !columns.contains(column.name.as_str()) {
            return refuse(format!(
                "the table has no column `{}`, which the entity has; add it in a migration, or rename the field with `column_name`",
                column.name
            ));
        }
    }
    Ok(())
}
