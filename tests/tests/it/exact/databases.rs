//! Replicas on databases of different kinds in one test.

use std::time::{Duration, Instant};

use grove_crdt::{CrdtEntity, Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{
    Kind, builder, cells as cells_of,
    database::{available, go_on_with, run},
    new_database,
};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, EntityTrait, Schema};

use super::sample;

/// How long the transactions of other tests are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test that begins with this kind of database with each kind that can be reached.
pub(super) fn with_each<F: Future<Output = ()>>(kind: Kind, test: impl Fn(Kind, Kind) -> F) {
    for other in Kind::ALL {
        if available(other) {
            println!("{kind:?} and {other:?}");
            run(kind, || test(kind, other));
        }
    }
}

/// A new, empty database of this kind.
pub(super) async fn given(kind: Kind) -> DatabaseConnection {
    go_on_with(kind);
    new_database().await
}

/// A replica of the samples, on a new database of this kind.
pub(super) async fn replica(kind: Kind, node: &str) -> Replica {
    let db = given(kind).await;
    let schema = Schema::new(db.get_database_backend());
    // Two columns have it.
    if let Some(native) = schema.create_enum_from_entity(sample::Entity).first() {
        db.execute(native).await.expect("the enum");
    }
    let table = schema.create_table_from_entity(sample::Entity);
    db.execute(&table).await.expect("the table");
    let builder = builder(node).0.entity::<sample::Entity>();
    builder.open(db).await.expect("a replica")
}

/// A replica of one entity, whose table is created by this statement.
pub(super) async fn open<E: CrdtEntity>(kind: Kind, node: &str, table: &str) -> Replica {
    let db = given(kind).await;
    db.execute_unprepared(table).await.expect("the table");
    let builder = builder(node).0.entity::<E>();
    builder.open(db).await.expect("a replica")
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
