use std::{path::PathBuf, sync::Arc, time::Duration};

use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionOptions, TransactionTrait};

use crate::{
    clock::{Clock, Hlc, NodeId, SystemClock, WallClock},
    entity::{CrdtEntity, Registry, Table},
    error::Error,
    replica::{Core, Replica, core::Parts, guard::NodeGuard, upgrade},
    store::{
        catalog::{self, Catalog},
        dialect, identity, parked, schema, shadow, version,
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
}

impl ReplicaBuilder {
    pub(super) fn new(node_id: String) -> Self {
        Self {
            node_id,
            tables: Vec::new(),
            wall: Arc::new(SystemClock),
            max_drift: Duration::from_mins(1),
            tombstone_ttl: Duration::from_hours(168),
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

    /// Where to read the time of day. The machine's clock by default.
    pub fn clock(mut self, clock: impl WallClock) -> Self {
        self.wall = Arc::new(clock);
        self
    }

    /// Opens the replica: creates what is missing of the shadow and bookkeeping tables, and goes on where the
    /// database's history ends. The users' tables must be there already. Beside a SQLite file, a lock file
    /// `<file>-grove-<node id>` is made, which keeps the node id from being opened twice.
    ///
    /// # Errors
    ///
    /// A bad node id, or one that is open on this database already; no entity, two of one table name, one whose table is
    /// missing or lacks a column, one whose field was of another kind before; a database of a newer layout or an
    /// unsupported kind; a failing database.
    pub async fn open(self, db: DatabaseConnection) -> Result<Replica, Error> {
        let node: NodeId = self.node_id.parse()?;
        dialect::check_backend(db.get_database_backend())?;
        let tables = self.tables.into_iter().collect::<Result<Vec<_>, _>>()?;
        if tables.is_empty() {
            return Err(Error::Invalid(
                "a replica without entities replicates nothing: add `.entity::<…>()`".into(),
            ));
        }
        let mut registry = Registry::new(tables)?;
        let busy_timeout = dialect::busy_timeout(&db).await?;
        let file = dialect::database_file(&db).await?;
        let options = dialect::transaction(db.get_database_backend(), TransactionOptions::default());
        let tx = db.begin_with_options(options).await?;
        let opened = match prepare(&tx, &mut registry, &node, file).await {
            Ok(opened) => opened,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        };
        let core = Core::new(Parts {
            clock: Clock::new(node, self.wall, self.max_drift, opened.newest_clock.as_ref()),
            replica_id: opened.replica_id,
            catalog: opened.catalog,
            has_parked: opened.has_parked,
            guard: opened.guard,
            tombstone_ttl: self.tombstone_ttl,
            db,
            registry,
            busy_timeout,
        });
        // In the same transaction: a field is noted as known when, and only when, it is shown.
        match upgrade::show_new_fields(&core, &tx, opened.new_fields).await {
            Ok(()) => tx.commit().await?,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        }
        Ok(Replica { core: Arc::new(core) })
    }
}

struct Opened {
    replica_id: String,
    catalog: Catalog,
    newest_clock: Option<Hlc>,
    has_parked: bool,
    guard: NodeGuard,
    new_fields: Vec<upgrade::NewField>,
}

async fn prepare(
    tx: &DatabaseTransaction,
    registry: &mut Registry,
    node: &NodeId,
    file: Option<PathBuf>,
) -> Result<Opened, Error> {
    let catalog = Catalog::load(tx).await?;
    let replacing = catalog::replacing(tx).await?;
    for table in registry.iter() {
        check_table(table, &catalog)?;
        if replacing.contains(&table.name) {
            return Err(Error::Schema {
                table: table.name.clone(),
                detail: "a constraint of it says `ON CONFLICT REPLACE`, by which the database deletes rows unseen; leave that out of the table, and say it in the statements with `on_conflict`".into(),
            });
        }
    }
    schema::create_bookkeeping(tx).await?;
    let replica_id = identity::replica_id(tx).await?;
    let guard = NodeGuard::take(&replica_id, node, file.as_deref())?;
    let mut newest_clock = None;
    let mut new_fields = Vec::new();
    for table in registry.iter() {
        schema::create_shadow(tx, table).await?;
        new_fields.extend(upgrade::note_fields(tx, table).await?);
        newest_clock = newest_clock.max(shadow::newest_clock(tx, table).await?);
    }
    registry.note_other_shadows(version::other_shadows(tx, registry, &catalog).await?);
    let newest_version = version::newest(tx, registry).await?;
    identity::begin_incarnation(tx, newest_version).await?;
    Ok(Opened {
        has_parked: parked::any(tx).await?,
        replica_id,
        catalog,
        newest_clock,
        guard,
        new_fields,
    })
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
