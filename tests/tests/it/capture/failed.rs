//! Statements that SQLite leaves half done when they fail: a trigger says `RAISE(FAIL)`, or a constraint `ON CONFLICT FAIL`.
//! Elsewhere a failed statement has done nothing.

use grove_crdt::{Replica, ReplicaTransaction};
use grove_crdt_tests::{assert_agrees, builder, cells, entities::document, new_database, run_all};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, TransactionSession, TransactionTrait,
};

use super::{documents, documents_after, draft, epochs, execute};

/// Fails once something was done to the row `c`.
const TRIGGERS: [&str; 3] = [
    "CREATE TRIGGER i AFTER INSERT ON documents WHEN NEW.id = 'c' BEGIN SELECT RAISE(FAIL, 'half way'); END",
    "CREATE TRIGGER u AFTER UPDATE ON documents WHEN NEW.id = 'c' BEGIN SELECT RAISE(FAIL, 'half way'); END",
    "CREATE TRIGGER d AFTER DELETE ON documents WHEN OLD.id = 'c' BEGIN SELECT RAISE(FAIL, 'half way'); END",
];

async fn known(replica: &Replica) -> Vec<String> {
    assert_agrees::<document::Entity, _>(replica).await;
    let epochs = epochs(replica, "documents").await;
    epochs.iter().map(|(pk, epoch)| format!("{pk}{epoch}")).collect()
}

fn is_told<T: std::fmt::Debug>(result: Result<T, DbErr>) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains("half way"), "{error}");
}

async fn run<C: ConnectionTrait>(conn: &C, text: &str) -> Result<u64, DbErr> {
    conn.execute_unprepared(text).await.map(|result| result.rows_affected())
}

#[tokio::test]
async fn what_an_insert_has_left_that_failed_is_recorded() {
    let rows = || ["a", "b", "c", "d"].map(draft);
    for returning in [false, true] {
        let replica = documents_after(&TRIGGERS[..1]).await;
        let tx = replica.begin().await.unwrap();
        let insert = document::Entity::insert_many(rows());
        if returning {
            is_told(insert.exec_with_returning(&tx).await);
        } else {
            is_told(insert.exec_without_returning(&tx).await);
        }
        draft("e").insert(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(known(&replica).await, ["a1", "b1", "c1", "e1"]);
        // Alone, it is taken back as a whole.
        run_all(
            replica.connection(),
            &["DELETE FROM documents", "DELETE FROM \"_documents_crdt\""],
        )
        .await;
        let insert = document::Entity::insert_many(rows());
        is_told(insert.exec_without_returning(&replica).await);
        assert_eq!(known(&replica).await, [""; 0]);
    }
}

/// Four documents, and the triggers.
async fn four() -> Replica {
    let replica = documents_after(&TRIGGERS[1..]).await;
    document::Entity::insert_many(["a", "b", "c", "d"].map(draft))
        .exec(&replica)
        .await
        .unwrap();
    replica
}

#[tokio::test]
async fn what_an_update_and_a_delete_have_left_that_failed_is_recorded() {
    for text in [
        "UPDATE documents SET view_count = view_count + 1, title = id || view_count",
        "UPDATE documents SET title = 'x'",
        "UPDATE documents SET title = 'x' RETURNING id",
        "DELETE FROM documents",
    ] {
        let replica = four().await;
        let tx = replica.begin().await.unwrap();
        is_told(run(&tx, text).await);
        tx.commit().await.unwrap();
        let dead = if text.starts_with("DELETE") { 2 } else { 1 };
        let mut expected = Vec::from(["a", "b", "c"].map(|id| format!("{id}{dead}")));
        expected.push("d1".to_owned());
        assert_eq!(known(&replica).await, expected, "{text}");
        is_told(run(&four().await, text).await);
    }
}

#[tokio::test]
async fn what_a_failed_statement_has_left_goes_with_its_savepoint() {
    let replica = four().await;
    let before = cells(&replica, "documents").await;
    let tx = replica.begin().await.unwrap();
    let inner = tx.begin().await.unwrap();
    is_told(run(&inner, "DELETE FROM documents").await);
    inner.rollback().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(cells(&replica, "documents").await, before);
    assert_agrees::<document::Entity, _>(&replica).await;
}

/// One row, of which the hooks tell what will be done to it. Of the triggers, made by somebody else, the replica does not know.
#[tokio::test]
async fn what_an_announced_write_has_left_that_failed_is_recorded() {
    async fn in_transaction(replica: &Replica, write: impl AsyncFnOnce(&ReplicaTransaction)) {
        let tx = replica.begin().await.unwrap();
        write(&tx).await;
        tx.commit().await.unwrap();
    }
    let replica = documents().await;
    run_all(replica.connection(), &TRIGGERS).await;
    in_transaction(&replica, async |tx| is_told(draft("c").insert(tx).await)).await;
    assert_eq!(known(&replica).await, ["c1"]);
    let change = || document::ActiveModel {
        id: Unchanged("c".into()),
        title: Set("x".into()),
        ..Default::default()
    };
    in_transaction(&replica, async |tx| is_told(change().update(tx).await)).await;
    assert_eq!(known(&replica).await, ["c1"]);
    in_transaction(&replica, async |tx| {
        is_told(document::ActiveModel::increment_view_count(tx, "c", 1).await);
    })
    .await;
    assert_eq!(known(&replica).await, ["c1"]);
    let row = document::Entity::find_by_id("c").one(&replica).await.unwrap().unwrap();
    assert_eq!((row.title.as_str(), row.view_count), ("x", 11));
    in_transaction(&replica, async |tx| {
        is_told(row.clone().into_active_model().delete(tx).await);
    })
    .await;
    assert_eq!(known(&replica).await, ["c2"]);
    // Alone, it is taken back as a whole.
    is_told(draft("c").insert(&replica).await);
    assert_eq!(known(&replica).await, ["c2"]);
}

/// The row at which it fails was there before, and is not new.
#[tokio::test]
async fn what_a_conflict_has_left_is_recorded() {
    const TABLE: &str = "CREATE TABLE documents (id TEXT PRIMARY KEY ON CONFLICT FAIL, title TEXT NOT NULL, \
         view_count INTEGER NOT NULL, tags TEXT NOT NULL, author TEXT)";
    for (adopted, last_too) in [(true, false), (false, false), (true, true)] {
        let db = new_database().await;
        run_all(&db, &[TABLE]).await;
        let replica = builder("node-1").0.entity::<document::Entity>().open(db).await.unwrap();
        draft("z").insert(&replica).await.unwrap();
        if adopted {
            draft("c").insert(&replica).await.unwrap();
        } else {
            run_all(
                replica.connection(),
                &["INSERT INTO documents VALUES ('c', 't', 5, '[]', NULL)"],
            )
            .await;
        }
        let before = cells(&replica, "documents").await;
        let last = if last_too { "z" } else { "d" };
        let tx = replica.begin().await.unwrap();
        let insert = document::Entity::insert_many(["a", "b", "c", last].map(draft));
        insert.exec_without_returning(&tx).await.unwrap_err();
        tx.commit().await.unwrap();
        let after = cells(&replica, "documents").await;
        let new: Vec<_> = after
            .iter()
            .filter(|cell| !before.contains(cell))
            .map(|cell| &cell[..1])
            .collect();
        assert_eq!(new, ["a", "b"], "{after:?}");
        assert_eq!(after.len(), before.len() + 2);
        // It goes on, as if nothing else had been done to the rows.
        execute(&replica, "UPDATE documents SET view_count = view_count + 1", []).await;
        assert_agrees::<document::Entity, _>(&replica).await;
    }
}

#[tokio::test]
async fn a_statement_that_failed_and_left_nothing_records_nothing() {
    let replica = documents().await;
    draft("c").insert(&replica).await.unwrap();
    let before = cells(&replica, "documents").await;
    let tx = replica.begin().await.unwrap();
    let insert = document::Entity::insert_many(["a", "b", "c", "d"].map(draft));
    insert.exec_without_returning(&tx).await.unwrap_err();
    draft("c").insert(&tx).await.unwrap_err();
    tx.commit().await.unwrap();
    assert_eq!(cells(&replica, "documents").await, before);
    assert_agrees::<document::Entity, _>(&replica).await;
}
