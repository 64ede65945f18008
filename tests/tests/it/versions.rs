//! A version is given out once in a database, by whichever process writes.

use grove_crdt::ReplicaBuilder;
use grove_crdt_tests::{TestDatabase, backend, builder, number, run_all};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait as _, TransactionSession as _,
    TransactionTrait, sea_query::Expr,
};

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

async fn insert_note<C: ConnectionTrait + TransactionTrait>(db: &C, id: &str) {
    let (id, title) = (Set(id.to_owned()), Set("a note".to_owned()));
    notes::ActiveModel { id, title }.insert(db).await.unwrap();
}

async fn insert_draft<C: ConnectionTrait + TransactionTrait>(db: &C, id: &str) {
    let (id, title) = (Set(id.to_owned()), Set("a draft".to_owned()));
    draft::ActiveModel { id, title }.insert(db).await.unwrap();
}

/// The version of a savepoint's rows was taken for the transaction's own when they were gone; then it was that of the
/// transaction before, which readers had passed.
#[apply(on_each_database!)]
async fn what_follows_a_savepoint_that_was_rolled_back_is_above_what_was_there() {
    let replica = notes::replica("node").await;
    insert_note(&replica, "before").await;
    let before = newest(replica.connection(), "notes").await;
    let tx = replica.begin().await.unwrap();
    let savepoint = tx.begin().await.unwrap();
    insert_note(&savepoint, "lost").await;
    // It looks into the shadow, so what was done is written there first.
    savepoint.inspect::<notes::Entity>("lost").await.unwrap();
    savepoint.rollback().await.unwrap();
    insert_note(&tx, "kept").await;
    tx.commit().await.unwrap();
    let after = newest(replica.connection(), "notes").await;
    assert!(after > before, "{before} {after}");
}

/// New rows are written without reading anything, and others are not; either may come first.
#[apply(on_each_database!)]
async fn what_one_transaction_inserts_and_changes_has_one_version() {
    let replica = notes::replica("node").await;
    insert_note(&replica, "there").await;
    insert_draft(&replica, "there").await;
    let retitled = Expr::value("changed");
    for round in ["draft first", "note first"] {
        let db = replica.connection();
        let before = newest(db, "notes").await.max(newest(db, "drafts").await);
        let tx = replica.begin().await.unwrap();
        if round == "draft first" {
            let change = draft::Entity::update_many().col_expr(draft::Column::Title, retitled.clone());
            change.exec(&tx).await.unwrap();
            insert_note(&tx, round).await;
        } else {
            let change = notes::Entity::update_many().col_expr(notes::Column::Title, retitled.clone());
            change.exec(&tx).await.unwrap();
            insert_draft(&tx, round).await;
        }
        tx.commit().await.unwrap();
        let [note, draft] = [newest(db, "notes").await, newest(db, "drafts").await];
        assert!(note == draft && note > before, "{round}: {before}, {note} {draft}");
    }
}
