//! A version is given out once in a database, by whichever process writes.

use grove_crdt::ReplicaBuilder;
use grove_crdt_tests::{TestDatabase, backend, builder, number, run_all};
use sea_orm::{DatabaseConnection, DbBackend};

use crate::notes::{self, draft};

async fn newest(db: &DatabaseConnection, table: &str) -> i64 {
    number(db, &format!("SELECT coalesce(max(version), 0) FROM \"_{table}_crdt\"")).await
}

/// A process that replicated fewer tables took versions again that another had given out for those it did not know, so
/// that what it wrote lay below cursors which had passed them.
#[apply(on_each_database!)]
async fn a_process_with_fewer_tables_goes_on_above_the_others() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    for table in ["notes", "drafts"] {
        let table = format!("CREATE TABLE {table} (id TEXT PRIMARY KEY, title TEXT NOT NULL)");
        run_all(&db, &[&table]).await;
    }
    let both: fn(ReplicaBuilder) -> ReplicaBuilder =
        |builder| builder.entity::<notes::Entity>().entity::<draft::Entity>();
    let one = both(builder("node-1").0).open(db.clone()).await.unwrap();
    let two = builder("node-2")
        .0
        .entity::<notes::Entity>()
        .open(database.connect().await)
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
    let first = newest(&db, "notes").await;
    notes::write(&one, "m", "a note").await;
    let second = newest(&db, "notes").await;
    // On PostgreSQL it is the number of a transaction, of which there are others.
    if backend() == DbBackend::Postgres {
        assert!(drafts < first && first < second, "{drafts} {first} {second}");
    } else {
        assert_eq!([first, second], [drafts + 1, drafts + 2]);
    }
}
