//! A version is given out once in a database, by whichever process writes.

use grove_crdt::ReplicaBuilder;
use grove_crdt_tests::{TempDb, builder};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::notes::{self, draft};

async fn newest(db: &DatabaseConnection, table: &str) -> i64 {
    let sql = format!("SELECT coalesce(max(version), 0) FROM \"_{table}_crdt\"");
    let row = db
        .query_one_raw(Statement::from_string(db.get_database_backend(), sql))
        .await
        .unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

/// A process that replicated fewer tables took versions again that another had given out for those it did not know, so
/// that what it wrote lay below cursors which had passed them.
#[tokio::test]
async fn a_process_with_fewer_tables_goes_on_above_the_others() {
    let file = TempDb::new();
    let db = file.connect().await;
    for table in ["notes", "drafts"] {
        let sql = format!("CREATE TABLE {table} (id TEXT PRIMARY KEY, title TEXT NOT NULL)");
        db.execute_unprepared(&sql).await.unwrap();
    }
    let both: fn(ReplicaBuilder) -> ReplicaBuilder =
        |builder| builder.entity::<notes::Entity>().entity::<draft::Entity>();
    let one = both(builder("node-1").0).open(db.clone()).await.unwrap();
    let two = builder("node-2")
        .0
        .entity::<notes::Entity>()
        .open(file.connect().await)
        .await
        .unwrap();
    for id in ["a", "b", "c"] {
        let draft = draft::ActiveModel {
            id: sea_orm::ActiveValue::Set(id.into()),
            title: sea_orm::ActiveValue::Set("a draft".into()),
        };
        draft.insert(&one).await.unwrap();
    }
    let drafts = newest(&db, "drafts").await;
    assert!(drafts > 0);
    notes::write(&two, "n", "a note").await;
    assert_eq!(newest(&db, "notes").await, drafts + 1);
    notes::write(&one, "m", "a note").await;
    assert_eq!(newest(&db, "notes").await, drafts + 2);
}
