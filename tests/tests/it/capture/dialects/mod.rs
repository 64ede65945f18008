//! Statements in the words of one database.

mod mysql;
mod postgres;
mod stale;
mod texts;

use grove_crdt::Replica;
use grove_crdt_tests::{assert_agrees, backend, builder, cells, entities::document, new_database};
use sea_orm::{ConnectionTrait, EntityTrait, Statement, Value};

use super::{draft, run_all};

/// A statement as it is.
fn raw(text: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(backend(), text, values)
}

/// A replica of the documents `a`, `b` and `c`, in a table of this definition.
async fn documents_in(tables: &[&str]) -> Replica {
    let db = new_database().await;
    run_all(&db, tables).await;
    let replica = builder("node-1").0.entity::<document::Entity>().open(db).await.unwrap();
    document::Entity::insert_many(["a", "b", "c"].map(draft))
        .exec_without_returning(&replica)
        .await
        .unwrap();
    replica
}

/// Runs statements that each write something, and looks whether all is recorded.
async fn captured(replica: &Replica, cases: Vec<(&str, Vec<Value>)>) {
    for (text, values) in cases {
        let before = cells(replica, "documents").await;
        let result = replica.execute_raw(raw(text, values)).await;
        let result = result.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(result.rows_affected() > 0, "{text}");
        assert_agrees::<document::Entity, _>(replica).await;
        assert_ne!(cells(replica, "documents").await, before, "{text}");
    }
}

/// Looks whether statements are refused in these words, and write nothing.
async fn refused(replica: &Replica, cases: &[(&str, &str)]) {
    let before = cells(replica, "documents").await;
    for (text, says) in cases {
        let error = replica.execute_raw(raw(text, Vec::new())).await;
        let error = error.expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert_agrees::<document::Entity, _>(replica).await;
        assert_eq!(cells(replica, "documents").await, before, "{text}");
    }
}
