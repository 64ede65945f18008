//! Every way to write through a replica, and what its shadow says afterwards.

mod announced;
mod blind;
mod cancelled;
mod counters;
mod database_values;
mod dialects;
mod failed;
mod folded;
mod foreign_keys;
mod foreign_keys_unreplicated;
mod keys;
mod manual;
mod nested;
mod once;
mod random;
mod refusals;
mod sets;
mod stale;
mod transactions;
mod unannounced;
mod unrecorded;
mod upsert;

use grove_crdt::ReplicaTransaction;
use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{backend, builder, create_table, entities::document, new_database, replica_of};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbBackend, TransactionSession as _, TransactionTrait as _};

pub use grove_crdt_tests::{execute, run_all, sql};

/// A replica of documents.
pub async fn documents() -> Replica {
    replica_of::<document::Entity>("node-1").await
}

/// A replica of documents whose tables the caller has written to or added to before it was opened.
pub async fn documents_after(sql: &[&str]) -> Replica {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    run_all(&db, sql).await;
    builder("node-1").0.entity::<document::Entity>().open(db).await.unwrap()
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
    let text = format!("SELECT pk, concat(epoch, '') FROM \"_{table}_crdt\" WHERE field = ''");
    let rows = conn.query_all_raw(sql(&text, [])).await.unwrap();
    let mut epochs: Vec<(String, i64)> = rows
        .iter()
        .map(|row| {
            let epoch: String = row.try_get_by_index(1).unwrap();
            (row.try_get_by_index(0).unwrap(), epoch.parse().unwrap())
        })
        .collect();
    epochs.sort();
    epochs
}

/// Does something in a transaction that the database refuses, and gives its error. On PostgreSQL a transaction is of no
/// use after an error, unless it was in a savepoint; there it is put into one.
pub async fn refused<T: std::fmt::Debug, E: std::fmt::Debug>(
    tx: &ReplicaTransaction,
    work: impl AsyncFnOnce(&ReplicaTransaction) -> Result<T, E>,
) -> E {
    if backend() != DbBackend::Postgres {
        return work(tx).await.unwrap_err();
    }
    let inner = tx.begin().await.unwrap();
    let error = work(&inner).await.unwrap_err();
    inner.rollback().await.unwrap();
    error
}
