//! A reader that must wait for a transaction under way, and one that need not.

use std::time::{Duration, Instant};

use grove_crdt::Replica;
use grove_crdt_tests::{TestDatabase, execute, number, run_all};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, TransactionSession as _, TransactionTrait as _,
};

use super::tables;
use crate::merge::support::pull;

/// One who pulls.
#[derive(Clone)]
struct Reader {
    asker: Replica,
    of: Replica,
}

impl Reader {
    async fn of(source: &Replica) -> Self {
        Self {
            asker: tables::on_sqlite("asker").await,
            of: source.clone(),
        }
    }

    /// Pulls on from a cursor. Returns the keys that came, and the next cursor.
    async fn keys(&self, cursor: Option<&str>) -> (Vec<String>, String) {
        let page = pull(&self.asker, &self.of, &["folders"], cursor, 100).await;
        let keys = page.changes.into_iter().map(|change| change.pk).collect();
        (keys, page.cursor)
    }
}

/// What the commit order must never be made of: numbers that are given out early and committed late.
#[apply(on_postgres!)]
async fn a_plain_sequence_would_lose_what_is_committed_late() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    run_all(
        &db,
        &[
            "CREATE SEQUENCE versions",
            "CREATE TABLE plain (id TEXT PRIMARY KEY, version BIGINT NOT NULL DEFAULT nextval('versions'))",
        ],
    )
    .await;
    let write = async |tx: &DatabaseTransaction, id: &str| {
        execute(tx, "INSERT INTO plain (id) VALUES (?)", [id.into()]).await;
    };
    let (early, late) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    write(&early, "a").await;
    write(&late, "b").await;
    late.commit().await.unwrap();
    let seen = number(&db, "SELECT max(version) FROM plain").await;
    early.commit().await.unwrap();
    let newer = number(&db, &format!("SELECT count(*) FROM plain WHERE version > {seen}")).await;
    assert_eq!(
        (number(&db, "SELECT count(*) FROM plain").await, newer),
        (2, 0),
        "skipped for ever"
    );

    // The same, through a replica.
    let source = tables::replica(&database, "source", 4).await;
    let reader = Reader::of(&source).await;
    let (early, late) = (source.begin().await.unwrap(), source.begin().await.unwrap());
    tables::folder("a").insert(&early).await.unwrap();
    tables::folder("b").insert(&late).await.unwrap();
    late.commit().await.unwrap();
    let (first, cursor) = reader.keys(None).await;
    early.commit().await.unwrap();
    let (second, _) = reader.keys(Some(&cursor)).await;
    assert_eq!([first, second].concat().len(), 2);
}

/// And so is the version of a transaction that has written to its shadow already.
#[apply(on_each_server!)]
async fn what_was_written_early_and_committed_late_is_seen() {
    let database = TestDatabase::new().await;
    let source = tables::replica(&database, "source", 4).await;
    let reader = Reader::of(&source).await;
    tables::folder("0").insert(&source).await.unwrap();
    let (_, cursor) = reader.keys(None).await;
    let early = source.begin().await.unwrap();
    tables::folder("a").insert(&early).await.unwrap();
    // Its cells are written now, under its version.
    early.inspect::<tables::folder::Entity>("a").await.unwrap();
    let writing = tokio::spawn({
        let source = source.clone();
        async move { tables::folder("b").insert(&source).await.unwrap() }
    });
    let (first, cursor) = reader.keys(Some(&cursor)).await;
    early.commit().await.unwrap();
    writing.await.unwrap();
    let (second, _) = reader.keys(Some(&cursor)).await;
    let mut all = [first, second].concat();
    all.sort();
    assert_eq!(all, ["a", "b"]);
}

#[apply(on_postgres!)]
async fn a_reader_that_is_held_back_sees_more_soon_after() {
    let database = TestDatabase::new().await;
    let source = tables::replica(&database, "source", 4).await;
    let reader = Reader::of(&source).await;
    let early = source.begin().await.unwrap();
    tables::folder("a").insert(&early).await.unwrap();
    tables::folder("b").insert(&source).await.unwrap();
    let begun = Instant::now();
    let reading = tokio::spawn({
        let reader = reader.clone();
        async move { reader.keys(None).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!reading.is_finished(), "there is something to wait for");
    early.commit().await.unwrap();
    let (seen, cursor) = reading.await.unwrap();
    assert_eq!(seen, ["a", "b"]);
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());

    // One that does not end for so long lets the reader go, who comes again.
    let early = source.begin().await.unwrap();
    tables::folder("c").insert(&early).await.unwrap();
    tables::folder("d").insert(&source).await.unwrap();
    let (seen, cursor) = reader.keys(Some(&cursor)).await;
    assert_eq!(seen, [""; 0]);
    early.rollback().await.unwrap();
    let begun = Instant::now();
    let (seen, _) = reader.keys(Some(&cursor)).await;
    assert_eq!(seen, ["d"]);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[apply(on_each_database_with_threads!)]
async fn what_is_rolled_back_holds_nobody_back() {
    let database = TestDatabase::new().await;
    let source = tables::replica(&database, "source", 4).await;
    let reader = Reader::of(&source).await;
    let mut cursor = None;
    for round in 0..5 {
        let tx = source.begin().await.unwrap();
        tables::folder("void").insert(&tx).await.unwrap();
        tx.inspect::<tables::folder::Entity>("void").await.unwrap();
        tx.rollback().await.unwrap();
        tables::folder(round.to_string()).insert(&source).await.unwrap();
        let tx = source.begin().await.unwrap();
        tables::folder("void").insert(&tx).await.unwrap();
        tx.rollback().await.unwrap();
        let begun = Instant::now();
        let (seen, next) = reader.keys(cursor.as_deref()).await;
        assert_eq!(seen, [round.to_string()]);
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
        cursor = Some(next);
    }
}

/// Transactions of one cluster have one row of numbers, but those of another database can't have written here.
#[apply(on_postgres!)]
async fn a_transaction_in_another_database_holds_nobody_back() {
    let others: DatabaseConnection = TestDatabase::new().await.connect().await;
    run_all(&others, &["CREATE TABLE t (id TEXT)"]).await;
    let source = tables::replica(&TestDatabase::new().await, "source", 4).await;
    let reader = Reader::of(&source).await;
    let open = others.begin().await.unwrap();
    open.execute_unprepared("INSERT INTO t VALUES ('a')").await.unwrap();
    tables::folder("a").insert(&source).await.unwrap();
    let begun = Instant::now();
    let (seen, _) = reader.keys(None).await;
    assert_eq!(seen, ["a"]);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    open.rollback().await.unwrap();
}
