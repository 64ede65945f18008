//! Every way to write through a replica, and what its shadow says afterwards.

mod announced;
mod cancelled;
mod counters;
mod database_values;
mod foreign_keys;
mod foreign_keys_unreplicated;
mod keys;
mod manual;
mod nested;
mod random;
mod refusals;
mod sets;
mod transactions;
mod unannounced;
mod unrecorded;
mod upsert;

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{builder, create_table, entities::document, memory, replica_of};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DatabaseConnection, Statement, Value};

/// A replica of documents in memory.
pub async fn documents() -> Replica {
    replica_of::<document::Entity>("node-1").await
}

/// A replica of documents whose tables the caller has written to or added to before it was opened.
pub async fn documents_after(sql: &[&str]) -> Replica {
    let db = memory().await;
    create_table(&db, document::Entity).await.unwrap();
    run_all(&db, sql).await;
    builder("node-1").0.entity::<document::Entity>().open(db).await.unwrap()
}

/// Runs SQL on a bare database.
pub async fn run_all(db: &DatabaseConnection, sql: &[&str]) {
    for sql in sql {
        db.execute_unprepared(sql).await.unwrap();
    }
}

/// A document with a few values.
pub fn draft(id: &str) -> document::ActiveModel {
    document::ActiveModel {
        id: Set(id.to_owned()),
        title: Set(format!("title of {id}")),
        view_count: Set(10),
        tags: Set(OrSet::from(["a", "b"].map(String::from))),
        author: Set(Some("ann".to_owned())),
    }
}

/// A raw statement with its values.
pub fn sql<const N: usize>(text: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(sea_orm::DbBackend::Sqlite, text, values)
}

/// What an inspected record shows of a field.
pub async fn field(replica: &Replica, id: &str, name: &str) -> serde_json::Value {
    let state = replica.inspect::<document::Entity>(id).await.unwrap();
    state
        .fields
        .iter()
        .find(|f| f.field == name)
        .map(|f| f.value.clone())
        .unwrap_or_default()
}

/// The key and epoch of each record, dead ones included.
pub async fn epochs<C: ConnectionTrait>(conn: &C, table: &str) -> Vec<(String, i64)> {
    let text = format!("SELECT pk, epoch FROM \"_{table}_crdt\" WHERE field = '' ORDER BY pk");
    let rows = conn.query_all_raw(sql(&text, [])).await.unwrap();
    rows.iter()
        .map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap()))
        .collect()
}

/// Runs a raw statement, and returns how many rows it wrote.
pub async fn execute<C: ConnectionTrait, const N: usize>(conn: &C, text: &str, values: [Value; N]) -> u64 {
    conn.execute_raw(sql(text, values)).await.unwrap().rows_affected()
}
