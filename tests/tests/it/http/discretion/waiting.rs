//! What waits for others for too long: it is told to come again, and not what it has waited for.

use std::time::Duration;

use grove_crdt::{
    Replica,
    server::{Limits, SyncServer},
};
use grove_crdt_tests::{TestDatabase, backend, execute};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbBackend, TransactionSession as _, TransactionTrait as _,
};
use serde_json::{Value as Json, json};
use url::Url;

use super::{Log, Told, birth, entries, ledger, push_body, serve};

/// A pool that has no patience with locks, nor with those who hold its connections.
async fn impatient(database: &TestDatabase, connections: u32) -> DatabaseConnection {
    let mut url: Url = database.url().parse().unwrap();
    if backend() == DbBackend::Postgres {
        url.query_pairs_mut().append_pair("options[lock_timeout]", "200");
    }
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(Duration::from_millis(500))
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| options.busy_timeout(Duration::from_millis(200)))
        .map_sqlx_mysql_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    use sea_orm::sqlx::Executor as _;
                    connection.execute("SET innodb_lock_wait_timeout = 1").await.map(drop)
                })
            })
        });
    Database::connect(options).await.unwrap()
}

async fn server(database: &TestDatabase, connections: u32, limits: Limits) -> (Replica, String) {
    let replica = ledger(impatient(database, connections).await, |builder| builder).await;
    let server = SyncServer::builder(&replica).limits(limits).allow_anonymous();
    (replica, serve(server.router()).await)
}

/// A push that changes the entry 1.
fn push() -> Json {
    let mut again = birth(1, json!({}));
    again["epoch"] = json!(3);
    push_body(&json!([again]))
}

/// Sees that a request had to wait, was told so, and is done later.
fn is_busy(told: &Told, log: &Log) {
    told.is(503, "busy");
    assert!(told.text.contains("retry-after: 10"), "{}", told.text);
    let log = log.take();
    assert!(log.contains("a sync request had to wait for too long"), "{log}");
}

#[apply(on_each_database!)]
async fn a_lock_that_another_process_holds() {
    let database = TestDatabase::new().await;
    let (_replica, url) = server(&database, 4, Limits::default()).await;
    assert_eq!(Told::post(&url, "pull", &entries()).await.status, 200);
    let other = database.connect().await;
    let (log, _logging) = Log::begin();
    let tx = other.begin().await.unwrap();
    execute(&tx, r#"UPDATE "entries" SET "small" = 2"#, []).await;

    is_busy(&Told::post(&url, "push", &push()).await, &log);

    tx.rollback().await.unwrap();
    assert_eq!(Told::post(&url, "push", &push()).await.status, 200);
}

#[apply(on_each_database!)]
async fn a_pool_without_a_free_connection() {
    let database = TestDatabase::new().await;
    let (replica, url) = server(&database, 1, Limits::default()).await;
    assert_eq!(Told::post(&url, "pull", &entries()).await.status, 200);
    let (log, _logging) = Log::begin();
    let tx = replica.connection().begin().await.unwrap();

    is_busy(&Told::post(&url, "pull", &entries()).await, &log);
    let streamed = Told::stream(&url, "tables=entries", "data: {").await;
    assert!(streamed.text.contains("busy"), "{}", streamed.text);

    tx.rollback().await.unwrap();
    assert_eq!(Told::post(&url, "pull", &entries()).await.status, 200);
}

/// On SQLite a replica lets its own transactions queue.
#[tokio::test]
async fn a_transaction_of_the_replicas_own() {
    let database = TestDatabase::new().await;
    let (replica, url) = server(&database, 4, Limits::default()).await;
    assert_eq!(Told::post(&url, "pull", &entries()).await.status, 200);
    let (log, _logging) = Log::begin();
    let tx = replica.begin().await.unwrap();

    is_busy(&Told::post(&url, "push", &push()).await, &log);

    tx.rollback().await.unwrap();
    assert_eq!(Told::post(&url, "push", &push()).await.status, 200);
}

#[apply(on_each_database!)]
async fn an_answer_that_takes_too_long() {
    let database = TestDatabase::new().await;
    let impatient = Limits::default().answer_timeout(Duration::from_millis(50));
    let (replica, url) = server(&database, 4, impatient).await;
    let tx = replica.begin().await.unwrap();
    super::entry(2).insert(&tx).await.unwrap();
    execute(&tx, r#"UPDATE "entries" SET "small" = 2"#, []).await;

    Told::post(&url, "push", &push()).await.is(503, "busy");

    tx.rollback().await.unwrap();
}
