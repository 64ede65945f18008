//! What the integration tests share: databases, entities, nodes.

pub mod chinook;
pub mod entities;
pub mod serve;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use grove_crdt::{CrdtEntity, FakeClock, Inspection, RecordState, Replica, ReplicaBuilder, ReplicaTransaction};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, EntityTrait, ModelTrait, PrimaryKeyTrait,
    Schema, sea_query::FromValueTuple,
};

/// Where fake time starts: 2023-11-14T22:13:20Z.
pub const START: i64 = 1_700_000_000_000_000;

/// A SQLite file in a directory of its own, which goes with it.
#[derive(Debug)]
pub struct TempDb {
    dir: tempfile::TempDir,
}

impl TempDb {
    /// A new, empty database.
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory for the database"),
        }
    }

    /// The database's file.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("test.db")
    }

    /// A pool of connections to it.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.path()).await
    }
}

impl Default for TempDb {
    fn default() -> Self {
        Self::new()
    }
}

/// A pool of connections to a SQLite file in WAL mode.
pub async fn connect(path: &Path) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    options.max_connections(8).sqlx_logging(false);
    let db = Database::connect(options).await.expect("a SQLite database");
    db.execute_unprepared("PRAGMA journal_mode = WAL")
        .await
        .expect("WAL mode");
    db.execute_unprepared("PRAGMA synchronous = NORMAL")
        .await
        .expect("synchronous NORMAL");
    db
}

/// A database in memory: one connection, so that all see the same.
pub async fn memory() -> DatabaseConnection {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.expect("a SQLite database in memory")
}

/// Creates an entity's table.
pub async fn create_table<E: EntityTrait>(db: &DatabaseConnection, entity: E) -> Result<(), DbErr> {
    let schema = Schema::new(db.get_database_backend());
    db.execute(&schema.create_table_from_entity(entity)).await.map(drop)
}

/// A builder whose clock stands at [`START`] until it is moved.
pub fn builder(node: &str) -> (ReplicaBuilder, FakeClock) {
    let clock = FakeClock::at(START);
    (Replica::builder(node).clock(clock.clone()), clock)
}

/// A replica of one entity in a database of its own in memory.
pub async fn replica_of<E: CrdtEntity + Default>(node: &str) -> Replica {
    let db = memory().await;
    create_table(&db, E::default()).await.expect("the table");
    builder(node).0.entity::<E>().open(db).await.expect("a replica")
}

/// All rows of an entity, as text, in the order of their text: what two replicas that have seen the same must share.
pub async fn rows<E: EntityTrait, C: ConnectionTrait>(conn: &C) -> Vec<String>
where
    E::Model: std::fmt::Debug,
{
    let mut rows: Vec<_> = E::find()
        .all(conn)
        .await
        .expect("the rows")
        .iter()
        .map(|row| format!("{row:?}"))
        .collect();
    rows.sort();
    rows
}

/// A table's cells as text, without what is local to the replica (version and via).
pub async fn cells<C: ConnectionTrait>(conn: &C, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT pk || ' ' || field || ' ' || cell || ' ' || epoch || ' ' || hlc_ts || '.' || hlc_counter || ' ' || node_id || ' ' || state \
         FROM \"_{table}_crdt\" ORDER BY pk, field, cell"
    );
    let statement = sea_orm::Statement::from_string(conn.get_database_backend(), sql);
    let rows = conn.query_all_raw(statement).await.expect("the cells");
    rows.iter()
        .map(|row| row.try_get_by_index(0).expect("a cell"))
        .collect()
}

/// The statements that a database was sent; BEGIN, COMMIT and savepoints are not among them.
#[derive(Clone, Debug, Default)]
pub struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    /// A database in memory, and the statements it is going to be sent.
    pub async fn of_memory() -> (DatabaseConnection, Self) {
        let (mut db, statements) = (memory().await, Self::default());
        let log = statements.clone();
        db.set_metric_callback(move |info| log.0.lock().expect("the log").push(info.statement.sql.clone()));
        (db, statements)
    }

    /// The statements since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("the log"))
    }
}

/// Whatever can show the state of a record.
pub trait Inspect: ConnectionTrait {
    /// Whether all that was done is in the shadow. A transaction writes it out when it is asked for a record.
    const SETTLED: bool;

    /// The state of one record.
    fn state<E: CrdtEntity>(
        &self,
        key: <E::PrimaryKey as PrimaryKeyTrait>::ValueType,
    ) -> impl Future<Output = Inspection>;
}

impl Inspect for Replica {
    const SETTLED: bool = true;

    async fn state<E: CrdtEntity>(&self, key: <E::PrimaryKey as PrimaryKeyTrait>::ValueType) -> Inspection {
        self.inspect::<E>(key).await.expect("the state")
    }
}

impl Inspect for ReplicaTransaction {
    const SETTLED: bool = false;

    async fn state<E: CrdtEntity>(&self, key: <E::PrimaryKey as PrimaryKeyTrait>::ValueType) -> Inspection {
        self.inspect::<E>(key).await.expect("the state")
    }
}

/// Asserts that each row is what its record says, and that there is no living record without a row.
#[track_caller]
pub fn assert_agrees<E, C>(conn: &C) -> impl Future<Output = ()> + '_
where
    E: CrdtEntity,
    E::Model: serde::Serialize + ModelTrait<Entity = E>,
    C: Inspect,
{
    let caller = std::panic::Location::caller();
    async move {
        let models = E::find().all(conn).await.expect("the rows");
        for model in &models {
            let key = <E::PrimaryKey as PrimaryKeyTrait>::ValueType::from_value_tuple(model.get_primary_key_value());
            let state = conn.state::<E>(key).await;
            let row = serde_json::to_value(model).expect("a row as JSON");
            assert_eq!(state.state, RecordState::Alive, "{caller}: the record of {row}");
            for field in &state.fields {
                assert_eq!(field.value, row[&field.field], "{caller}: {row} and\n{state}");
            }
        }
        if models.is_empty() && !C::SETTLED {
            return;
        }
        let sql = format!(
            "SELECT count(*) FROM \"_{}_crdt\" WHERE field = '' AND epoch % 2 = 1",
            E::default().table_name()
        );
        let statement = sea_orm::Statement::from_string(conn.get_database_backend(), sql);
        let alive: i64 = conn
            .query_one_raw(statement)
            .await
            .unwrap()
            .unwrap()
            .try_get_by_index(0)
            .unwrap();
        assert_eq!(
            usize::try_from(alive).unwrap(),
            models.len(),
            "{caller}: living records and rows"
        );
    }
}
