//! Transactions that SQLite ends by itself: there is no room left, or a trigger says so. What is written on their connection
//! afterwards is committed when it says so.

use grove_crdt::{
    Replica,
    sync::{PushRequest, Rejection, respond},
};
use grove_crdt_tests::{TestDatabase, number, run_all};
use sea_orm::{
    ActiveValue::Set, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, EntityTrait,
    QueryOrder as _, TransactionSession as _, TransactionTrait as _,
};
use serde_json::{Value as Json, json};

use crate::{
    merge::support::{anyone, carry, changes_of},
    notes,
};

const NOTES: &[&str] = &["notes"];

/// A note that does not fit into a page.
fn note(id: &str) -> notes::ActiveModel {
    notes::ActiveModel {
        id: Set(id.to_owned()),
        title: Set("t".repeat(10_000)),
    }
}

async fn insert_one(replica: &Replica, id: &str) -> Result<(), String> {
    let inserted = notes::Entity::insert(note(id)).exec(replica).await;
    inserted.map(drop).map_err(|error| error.to_string())
}

/// The same by an active model.
async fn save(replica: &Replica, id: &str) -> Result<(), String> {
    let saved: Result<_, DbErr> = note(id).insert(replica).await;
    saved.map(drop).map_err(|error| error.to_string())
}

async fn insert_many(replica: &Replica, id: &str) -> Result<(), String> {
    let notes = (0..50).map(|n| note(&format!("{id}-{n}")));
    let inserted = notes::Entity::insert_many(notes).exec(replica).await;
    inserted.map(drop).map_err(|error| error.to_string())
}

/// Returns the codes of those that were rejected.
async fn merge(replica: &Replica, changes: &[Json]) -> Result<Vec<String>, String> {
    let request: PushRequest = serde_json::from_value(json!({
        "node_id": "origin", "replica_id": "the-origin's", "changes": changes,
    }))
    .unwrap();
    let merged = respond::push(replica, &anyone(), &request).await;
    let codes = |rejected: Vec<Rejection>| rejected.into_iter().map(|rejection| rejection.code.to_string());
    merged
        .map(|response| codes(response.rejected).collect())
        .map_err(|error| format!("{error:?}"))
}

/// Lets the database grow to so many pages.
async fn limit(replica: &Replica, pages: i64) {
    let limit = format!("PRAGMA max_page_count = {pages}");
    run_all(replica.connection(), &[limit.as_str()]).await;
}

/// The notes that somebody sees, without their long titles.
async fn ids<C: ConnectionTrait>(conn: &C) -> Vec<String> {
    let notes = notes::Entity::find()
        .order_by_asc(notes::Column::Id)
        .all(conn)
        .await
        .unwrap();
    notes.into_iter().map(|note| note.id).collect()
}

/// A replica in a file, with one connection, and another connection to the file.
async fn alone(database: &TestDatabase) -> (Replica, DatabaseConnection) {
    let mut options = ConnectOptions::new(database.url());
    options.max_connections(1).sqlx_logging(false);
    let other = database.connect().await;
    let db = Database::connect(options).await.unwrap();
    (notes::replica_on(db, "edge").await, other)
}

/// Sees that everybody sees what the replica sees; and that it ends transactions as they should end, whatever came before.
async fn nothing_is_left_open(replica: &Replica, other: &DatabaseConnection) {
    let tx = replica.begin().await.unwrap();
    tx.rollback().await.unwrap();
    changes_of(replica, NOTES).await;
    save(replica, &format!("last-{}", rand::random::<u64>())).await.unwrap();
    assert_eq!(ids(other).await, ids(replica).await);
    // Nobody holds the lock.
    run_all(other, &["BEGIN IMMEDIATE; ROLLBACK"]).await;
}

/// Runs a write while the database has no room, then once it has.
async fn without_and_with_room(
    (replica, other): (&Replica, &DatabaseConnection),
    write: impl AsyncFn() -> Result<(), String>,
) {
    let pages = number(replica.connection(), "SELECT page_count FROM pragma_page_count");
    limit(replica, pages.await).await;
    let error = write().await.unwrap_err();
    assert!(error.contains("full"), "{error}");
    limit(replica, 1 << 30).await;
    nothing_is_left_open(replica, other).await;
    assert_eq!(write().await, Ok(()));
    nothing_is_left_open(replica, other).await;
}

#[tokio::test]
async fn a_database_that_was_full_is_written_again_when_there_is_room() {
    let database = TestDatabase::new().await;
    let (replica, file) = alone(&database).await;
    let origin = notes::replica("origin").await;
    insert_many(&origin, "from afar").await.unwrap();
    let changes = changes_of(&origin, NOTES).await;
    let both = (&replica, &file);
    without_and_with_room(both, async || save(&replica, "saved").await).await;
    without_and_with_room(both, async || insert_one(&replica, "inserted").await).await;
    without_and_with_room(both, async || insert_many(&replica, "many").await).await;
    without_and_with_room(both, async || merge(&replica, &changes).await.map(drop)).await;
    // What was not written is not recorded either.
    assert_eq!(ids(&replica).await.len(), 102 + 8);
    let other = notes::replica("other").await;
    carry(&replica, &other, NOTES).await;
    assert_eq!(ids(&other).await, ids(&replica).await);
}

/// The same, where a trigger rolls back whoever inserts `bad`.
async fn alone_with_a_trigger(database: &TestDatabase) -> (Replica, DatabaseConnection) {
    let (replica, file) = alone(database).await;
    let trigger = "CREATE TRIGGER no_bad BEFORE INSERT ON notes WHEN NEW.id = 'bad' \
                   BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END";
    run_all(&file, &[trigger]).await;
    (replica, file)
}

#[tokio::test]
async fn a_trigger_that_rolls_back_stops_no_later_write() {
    let database = TestDatabase::new().await;
    let (replica, file) = alone_with_a_trigger(&database).await;
    for refused in [save(&replica, "bad").await, insert_one(&replica, "bad").await] {
        assert!(
            refused.as_ref().is_err_and(|error| error.contains("not this one")),
            "{refused:?}"
        );
        nothing_is_left_open(&replica, &file).await;
    }
}

#[tokio::test]
async fn nothing_of_a_transaction_that_sqlite_has_ended_is_committed() {
    let database = TestDatabase::new().await;
    let (replica, file) = alone_with_a_trigger(&database).await;
    let tx = replica.begin().await.unwrap();
    notes::Entity::insert(note("before")).exec(&tx).await.unwrap();
    notes::Entity::insert(note("bad")).exec(&tx).await.unwrap_err();
    notes::Entity::insert(note("afterwards")).exec(&tx).await.unwrap();
    let error = tx.commit().await.unwrap_err().to_string();
    assert!(error.contains("SQLite has rolled back all of it"), "{error}");
    assert_eq!(ids(&file).await, Vec::<String>::new());
    nothing_is_left_open(&replica, &file).await;
}

#[tokio::test]
async fn a_savepoint_ends_with_the_transaction_that_sqlite_has_ended() {
    let database = TestDatabase::new().await;
    let (replica, file) = alone_with_a_trigger(&database).await;
    let tx = replica.begin().await.unwrap();
    let savepoint = tx.begin().await.unwrap();
    notes::Entity::insert(note("bad")).exec(&savepoint).await.unwrap_err();
    drop(savepoint);
    drop(tx);
    nothing_is_left_open(&replica, &file).await;
}

#[tokio::test]
async fn a_row_for_which_sqlite_ends_a_merge_keeps_no_others_away() {
    let database = TestDatabase::new().await;
    let (replica, file) = alone_with_a_trigger(&database).await;
    let origin = notes::replica("origin").await;
    for id in ["a", "bad", "z"] {
        save(&origin, id).await.unwrap();
    }
    let rejected = merge(&replica, &changes_of(&origin, NOTES).await).await.unwrap();
    assert_eq!(rejected, ["unstorable"]);
    assert_eq!(ids(&file).await, ["a", "z"]);
    assert_eq!(changes_of(&replica, NOTES).await.len(), 2);
    nothing_is_left_open(&replica, &file).await;
}
