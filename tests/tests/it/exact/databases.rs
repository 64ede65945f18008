//! Replicas on databases of different kinds in one test.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use grove_crdt::{CrdtEntity, Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{builder, cells as cells_of};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, EntityTrait, Schema};
use url::Url;

use super::sample;

/// How long the transactions of other tests are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A new database that is dropped by [`Given::drop`].
#[derive(Debug)]
pub(super) struct Given {
    db: DatabaseConnection,
    /// Where to drop it, and its name.
    server: Option<(String, String)>,
}

/// The kinds of database that are to be tested, but for those that can't be reached.
pub(super) async fn kinds() -> Vec<DbBackend> {
    let mut kinds = vec![DbBackend::Sqlite];
    for kind in [DbBackend::Postgres, DbBackend::MySql] {
        match connect(&server(kind)).await {
            Ok(_) => kinds.push(kind),
            Err(error) if std::env::var("GROVE_REQUIRE_DATABASES").is_ok_and(|required| required == "1") => {
                panic!("{}: {error}", server(kind));
            }
            Err(error) => println!("skipped: {}: {error}", server(kind)),
        }
    }
    kinds
}

fn server(kind: DbBackend) -> String {
    let (variable, default) = match kind {
        DbBackend::Postgres => (
            "GROVE_TEST_POSTGRES_URL",
            "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable",
        ),
        _ => ("GROVE_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test"),
    };
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

async fn connect(url: &str) -> Result<DatabaseConnection, sea_orm::DbErr> {
    let mut options = ConnectOptions::new(url);
    // One of SQLite's connections sees nothing of another one's memory.
    let most = if url.starts_with("sqlite:") { 1 } else { 4 };
    options.max_connections(most).sqlx_logging(false);
    Database::connect(options).await
}

impl Given {
    /// A new, empty database.
    pub(super) async fn new(kind: DbBackend) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if kind == DbBackend::Sqlite {
            return Self {
                db: connect("sqlite::memory:").await.expect("a database in memory"),
                server: None,
            };
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("grove_test_{}_exact{number}", std::process::id());
        let server = server(kind);
        let admin = connect(&server).await.expect("the server");
        let create = match kind {
            DbBackend::MySql => format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"),
            _ => format!("CREATE DATABASE {name}"),
        };
        admin.execute_unprepared(&create).await.expect("a database");
        let mut url: Url = server.parse().expect("a URL");
        url.set_path(&name);
        let db = connect(url.as_str()).await.expect("the database");
        Self {
            db,
            server: Some((server, name)),
        }
    }

    async fn create_table(&self) {
        let schema = Schema::new(self.db.get_database_backend());
        // Two columns have it.
        if let Some(native) = schema.create_enum_from_entity(sample::Entity).first() {
            self.db.execute(native).await.expect("the enum");
        }
        let table = schema.create_table_from_entity(sample::Entity);
        self.db.execute(&table).await.expect("the table");
    }

    /// Creates a table.
    async fn create(&self, table: &str) {
        self.db.execute_unprepared(table).await.expect("the table");
    }

    /// A replica of the samples.
    pub(super) async fn replica(&self, node: &str) -> Replica {
        self.create_table().await;
        let builder = builder(node).0.entity::<sample::Entity>();
        builder.open(self.db.clone()).await.expect("a replica")
    }

    /// Drops the database.
    pub(super) async fn drop(self) {
        let Some((server, name)) = self.server else { return };
        let force = if self.db.get_database_backend() == DbBackend::Postgres {
            " WITH (FORCE)"
        } else {
            ""
        };
        self.db.close().await.expect("closed");
        let admin = connect(&server).await.expect("the server");
        let drop = format!("DROP DATABASE {name}{force}");
        admin.execute_unprepared(&drop).await.expect("dropped");
    }
}

/// A replica of one entity, whose table is created by this statement.
pub(super) async fn open<E: CrdtEntity>(given: &Given, node: &str, table: &str) -> Replica {
    given.create(table).await;
    let builder = builder(node).0.entity::<E>();
    builder.open(given.db.clone()).await.expect("a replica")
}

/// Takes over all that the other has of a table. Returns how many rows are parked then.
///
/// PostgreSQL tells of nothing that was committed after the oldest transaction which is still open anywhere on the server,
/// and other tests have theirs: the rest comes when those have ended.
pub(super) async fn pull(here: &Replica, there: &Replica, table: &str) -> usize {
    let syncer = Syncer::builder(here).peer(MemoryTransport::new(there)).build().unwrap();
    let begun = Instant::now();
    loop {
        let report = syncer.sync().await.unwrap();
        assert_eq!(report.rejected, 0, "{:?}", here.dead_letters().await);
        if cells_of(here, table).await == cells_of(there, table).await || begun.elapsed() > PATIENCE {
            return here.parked().await.unwrap().len();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The rows by their numbers.
pub(super) async fn rows(replica: &Replica) -> Vec<sample::Model> {
    let mut rows = sample::Entity::find().all(replica).await.unwrap();
    rows.sort_by_key(|row| row.id);
    rows
}

/// The cells of the samples, in one order whatever the database's.
pub(super) async fn cells(replica: &Replica) -> Vec<String> {
    let columns = ["pk", "field", "cell", "node_id", "state"];
    let select = sea_orm::sea_query::Query::select()
        .columns(columns)
        .columns(["hlc_ts", "hlc_counter"])
        .from("_samples_crdt")
        .take();
    let rows = replica.connection().query_all(&select).await.unwrap();
    let mut cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let texts: Vec<String> = (0..columns.len()).map(|at| row.try_get_by_index(at).unwrap()).collect();
            let numbers: [i64; 2] = [5, 6].map(|at| row.try_get_by_index(at).unwrap());
            format!("{texts:?} {numbers:?}")
        })
        .collect();
    cells.sort();
    cells
}
