//! Many tasks at one database.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{TestDatabase, assert_agrees, backend, builder, create_table, entities::document};
use sea_orm::{
    ActiveValue::Set, ConnectOptions, ConnectionTrait, Database, DbBackend, EntityTrait, QuerySelect as _,
    TransactionSession, TransactionTrait,
};

use crate::capture::draft;

const TASKS: usize = 32;

/// How many writes each of them makes. SQLite does not wait for the disk with each of them.
fn steps() -> usize {
    if backend() == DbBackend::Sqlite { 200 } else { 25 }
}

async fn open(database: &TestDatabase) -> Replica {
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    builder("node-1").0.entity::<document::Entity>().open(db).await.unwrap()
}

fn empty(id: usize) -> document::ActiveModel {
    document::ActiveModel {
        id: Set(id.to_string()),
        title: Set(String::new()),
        view_count: Set(0),
        tags: Set(OrSet::new()),
        author: Set(None),
    }
}

/// Lets every task make its increments on one of `rows` rows.
async fn increment(rows: usize) {
    let database = TestDatabase::new().await;
    let replica = open(&database).await;
    document::Entity::insert_many((0..rows).map(empty))
        .exec_without_returning(&replica)
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    let steps = steps();
    for task in 0..TASKS {
        let replica = replica.clone();
        tasks.spawn(async move {
            for step in 0..steps {
                let id = ((task * steps + step) % rows).to_string();
                document::ActiveModel::increment_view_count(&replica, id, 1)
                    .await
                    .unwrap();
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    assert_agrees::<document::Entity, _>(&replica).await;
    let rows = document::Entity::find().all(&replica).await.unwrap();
    let sum: i64 = rows.iter().map(|row| row.view_count).sum();
    assert_eq!(sum, i64::try_from(TASKS * steps).unwrap());
}

#[apply(on_each_database_with_threads!)]
async fn no_increment_of_one_row_is_lost() {
    increment(1).await;
}

#[apply(on_each_database_with_threads!)]
async fn no_increment_of_a_thousand_rows_is_lost() {
    increment(1_000).await;
}

#[apply(on_each_database_with_threads!)]
async fn writes_of_every_sort_side_by_side_are_never_locked_out() {
    let database = TestDatabase::new().await;
    let replica = open(&database).await;
    document::Entity::insert_many((0..10).map(empty))
        .exec(&replica)
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    let total = std::sync::Arc::new(AtomicUsize::new(0));
    for task in 0..TASKS {
        let (replica, total) = (replica.clone(), total.clone());
        tasks.spawn(async move {
            for step in 0..20 {
                let id = ((task + step) % 10).to_string();
                match task % 4 {
                    0 => {
                        let update = "UPDATE documents SET view_count = view_count + 1 WHERE id = ?";
                        crate::capture::execute(&replica, update, [id.into()]).await;
                    }
                    1 => {
                        // Reads first, then writes: what fails in SQLite unless the transaction began as a writer. The
                        // others let two transactions read the same, unless it is read in order to be written.
                        let tx = replica.begin().await.unwrap();
                        let doc = document::Entity::find_by_id(&id).lock_exclusive();
                        let mut doc: document::ActiveModel = doc.one(&tx).await.unwrap().unwrap().into();
                        doc.view_count = Set(doc.view_count.unwrap() + 1);
                        doc.update(&tx).await.unwrap();
                        tx.commit().await.unwrap();
                    }
                    2 => {
                        let tx = replica.begin().await.unwrap();
                        document::ActiveModel::increment_view_count(&tx, id, 1).await.unwrap();
                        if step % 2 == 0 {
                            drop(tx);
                            continue;
                        }
                        tx.commit().await.unwrap();
                    }
                    _ => {
                        let tx = replica.untracked().begin().await.unwrap();
                        document::Entity::find_by_id(&id).one(&tx).await.unwrap();
                        // One row: the order in which a statement locks several is the database's own.
                        crate::capture::execute(&tx, "UPDATE documents SET author = 'x' WHERE id = ?", [id.into()])
                            .await;
                        tx.commit().await.unwrap();
                        continue;
                    }
                }
                total.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    assert_agrees::<document::Entity, _>(&replica).await;
    let rows = document::Entity::find().all(&replica).await.unwrap();
    let sum: i64 = rows.iter().map(|row| row.view_count).sum();
    assert_eq!(sum, i64::try_from(total.load(Ordering::SeqCst)).unwrap());
}

/// On SQLite, where there is one writer at a time; elsewhere the two don't wait for each other.
#[tokio::test]
async fn a_task_that_waits_for_itself_is_told_so() {
    let database = TestDatabase::new().await;
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", database.path().display()));
    options.max_connections(4).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|options| options.busy_timeout(Duration::from_secs(1)));
    let db = Database::connect(options).await.unwrap();
    db.execute_unprepared("PRAGMA journal_mode = WAL").await.unwrap();
    create_table(&db, document::Entity).await.unwrap();
    let replica = builder("node-1").0.entity::<document::Entity>().open(db).await.unwrap();
    let tx = replica.begin().await.unwrap();
    draft("a").insert(&tx).await.unwrap();
    let error = draft("b").insert(&replica).await.unwrap_err().to_string();
    assert!(
        error.contains("a task that holds a transaction must write through it, not through the replica"),
        "{error}"
    );
    tx.commit().await.unwrap();
    draft("b").insert(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn a_dropped_transaction_frees_the_write_gate() {
    let database = TestDatabase::new().await;
    let replica = open(&database).await;
    for n in 0..20 {
        let tx = replica.begin().await.unwrap();
        draft("dropped").insert(&tx).await.unwrap();
        let inner = tx.begin().await.unwrap();
        draft("inner").insert(&inner).await.unwrap();
        drop(inner);
        drop(tx);
        let soon = tokio::time::timeout(Duration::from_secs(2), draft(&n.to_string()).insert(&replica));
        soon.await.expect("the gate is free").unwrap();
    }
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn a_panic_in_a_transaction_frees_the_write_gate() {
    let database = TestDatabase::new().await;
    let replica = open(&database).await;
    let task = tokio::spawn({
        let replica = replica.clone();
        async move {
            let tx = replica.begin().await.unwrap();
            draft("a").insert(&tx).await.unwrap();
            panic!("in the middle");
        }
    });
    assert!(task.await.is_err());
    draft("a").insert(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

/// On SQLite each replica queues its own writers; between two of them only the database does, and there a transaction that
/// reads first and then writes fails at once, unless it began as a writer.
#[apply(on_each_database_with_threads!)]
async fn two_replicas_on_one_database_never_lock_each_other_out() {
    let database = TestDatabase::new().await;
    let first = open(&database).await;
    let second = builder("node-2").0.entity::<document::Entity>();
    let second = second.open(database.connect().await).await.unwrap();
    document::Entity::insert_many((0..5).map(empty))
        .exec(&first)
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let replica = if task % 2 == 0 { first.clone() } else { second.clone() };
        tasks.spawn(async move {
            for step in 0..25 {
                let id = ((task + step) % 5).to_string();
                let tx = replica.begin().await.unwrap();
                let doc = document::Entity::find_by_id(&id).lock_exclusive();
                let mut doc: document::ActiveModel = doc.one(&tx).await.unwrap().unwrap().into();
                tokio::task::yield_now().await;
                doc.view_count = Set(doc.view_count.unwrap() + 1);
                doc.update(&tx).await.unwrap();
                tx.commit().await.unwrap();
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    assert_agrees::<document::Entity, _>(&first).await;
    let rows = document::Entity::find().all(&second).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.view_count).sum::<i64>(), 200);
}
