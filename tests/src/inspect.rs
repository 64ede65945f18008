//! Looking at what a replica holds.

use std::fmt::Write as _;

use grove_crdt::{CrdtEntity, Inspection, RecordState, Replica, ReplicaTransaction};
use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, ModelTrait, PrimaryKeyTrait, QueryResult, Statement,
    sea_query::FromValueTuple,
};

use crate::{number, worded};

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
    let text = format!(
        "SELECT pk, field, cell, concat(epoch, ' ', hlc_ts, '.', hlc_counter, ' ', node_id, ' ', state) \
         FROM \"_{table}_crdt\""
    );
    let mut cells: Vec<_> = query(conn, &text)
        .await
        .iter()
        .map(|row| [0, 1, 2, 3].map(|column| row.try_get_by_index::<String>(column).expect("a text")))
        .collect();
    // Not by the database, since each has its own order of texts.
    cells.sort();
    cells.iter().map(|cell| cell.join(" ")).collect()
}

/// A text that is another one after whatever was written to the database of this replica, be it what was there already.
/// The lease of a node id on a server is left out, as it is renewed from time to time whatever else happens.
///
/// SQLite counts what a connection writes, and PostgreSQL gives each row that is written a place and the writer's number.
/// MySQL tells of neither: there it is what the tables hold, and who writes the same again goes unnoticed.
pub async fn written(replica: &Replica) -> String {
    let db = replica.connection();
    match db.get_database_backend() {
        DbBackend::Postgres => {
            let tables = query(
                db,
                "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_grove_leases' ORDER BY 1",
            );
            let mut all = String::new();
            for table in first_column(&tables.await) {
                let rows = format!("SELECT concat(xmin, ' ', ctid) FROM \"{table}\"");
                let rows = first_column(&query(db, &rows).await);
                writeln!(all, "{table}: {rows:?}").expect("a text takes everything");
            }
            all
        }
        DbBackend::MySql => {
            let tables = "SELECT table_name FROM information_schema.tables \
                 WHERE table_schema = database() AND table_name <> '_grove_leases' ORDER BY 1";
            let tables = first_column(&query(db, tables).await);
            let sums = query(db, &format!("CHECKSUM TABLE \"{}\"", tables.join("\", \""))).await;
            let sums = sums
                .iter()
                .map(|row| row.try_get_by_index::<Option<i64>>(1).expect("a sum"));
            format!("{:?}", tables.iter().zip(sums).collect::<Vec<_>>())
        }
        _ => number(db, "SELECT total_changes()").await.to_string(),
    }
}

async fn query<C: ConnectionTrait>(conn: &C, text: &str) -> Vec<QueryResult> {
    let backend = conn.get_database_backend();
    let rows = conn.query_all_raw(Statement::from_string(backend, worded(backend, text)));
    rows.await.unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn first_column(rows: &[QueryResult]) -> Vec<String> {
    let texts = rows.iter().map(|row| row.try_get_by_index(0).expect("a text"));
    texts.collect()
}

/// Whatever can show the state of a record.
pub trait Inspect: ConnectionTrait {
    /// Whether all that was done is in the shadow. What a transaction does is written there by its commit.
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

/// Asserts that each row is what its record says, and, but for a transaction under way, that there is no living record without
/// a row.
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
        if !C::SETTLED {
            return;
        }
        let alive = format!(
            "SELECT count(*) FROM \"_{}_crdt\" WHERE field = '' AND epoch % 2 = 1",
            E::default().table_name()
        );
        let alive = number(conn, &alive).await;
        assert_eq!(
            usize::try_from(alive),
            Ok(models.len()),
            "{caller}: living records and rows"
        );
    }
}
