//! Futures that are dropped before their end. Not on MySQL: there sqlx waits for ever on a connection on which a statement
//! was given up before it was sent.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use grove_crdt_tests::{
    TestDatabase, assert_agrees, backend, builder, cells, create_table, entities::document, number,
};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DbBackend, IsolationLevel, TransactionSession,
    TransactionTrait,
};

use super::{documents, draft, execute};
use crate::merge::support::changes_of;

/// Polls a future a number of times with pauses between, and drops it. Returns whether it ended.
async fn poll_for(times: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        let mut context = Context::from_waker(Waker::noop());
        if future.as_mut().poll(&mut context).is_ready() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    false
}

/// A write whose future was dropped half way, say by a timeout, had run in the database and was never recorded.
#[apply(on_sqlite_and_postgres!)]
async fn a_cancelled_write_is_not_committed_unrecorded() {
    for times in 1..12 {
        let replica = documents().await;
        draft("a").insert(&replica).await.unwrap();
        let tx = replica.begin().await.unwrap();
        let raw = times % 2 == 0;
        let ended = if raw {
            poll_for(
                times,
                tx.execute_unprepared("UPDATE documents SET view_count = view_count + 1"),
            )
            .await
        } else {
            poll_for(times, draft("b").insert(&tx)).await
        };
        let committed = tx.commit().await;
        assert!(!ended || committed.is_ok());
        if let Err(error) = committed {
            assert!(error.to_string().contains("cancelled"), "{error}");
        }
        assert_agrees::<document::Entity, _>(&replica).await;
    }
}

/// A look into a transaction, given up half way, had written out some of what the transaction did; the commit wrote it out
/// again, and increments counted twice.
#[apply(on_sqlite_and_postgres!)]
async fn a_cancelled_look_into_a_transaction_writes_nothing_twice() {
    for times in 1..24 {
        let replica = documents().await;
        for id in ["a", "b", "c"] {
            draft(id).insert(&replica).await.unwrap();
        }
        let tx = replica.begin().await.unwrap();
        tx.execute_unprepared("UPDATE documents SET view_count = view_count + 1")
            .await
            .unwrap();
        let ended = poll_for(times, tx.inspect::<document::Entity>("a")).await;
        let committed = tx.commit().await;
        assert!(!ended || committed.is_ok());
        assert_agrees::<document::Entity, _>(&replica).await;
    }
}

#[apply(on_sqlite_and_postgres!)]
async fn a_cancelled_write_can_be_rolled_back_to_a_savepoint() {
    for times in 1..8 {
        let replica = documents().await;
        let tx = replica.begin().await.unwrap();
        draft("a").insert(&tx).await.unwrap();
        let inner = tx.begin().await.unwrap();
        poll_for(times, draft("b").insert(&inner)).await;
        inner.rollback().await.unwrap();
        tx.commit().await.unwrap();
        assert_agrees::<document::Entity, _>(&replica).await;
        assert_eq!(cells(&replica, "documents").await.len(), 1);
    }
}

#[apply(on_sqlite_and_postgres!)]
async fn a_cancelled_write_of_its_own_happened_whole_or_not_at_all() {
    // A cancelled statement may cost its connection, and a database in memory goes with it.
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    let replica = builder("node-1").0.entity::<document::Entity>().open(db).await.unwrap();
    for times in 1..20 {
        poll_for(times, draft(&times.to_string()).insert(&replica)).await;
        // The database takes back what was begun, and the way is free again.
        document::ActiveModel::increment_view_count(&replica, times.to_string(), 1)
            .await
            .ok();
        // What was given up may be committed at any moment, so rows and records are looked at as they were at one.
        let (level, mode) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
        let moment = replica.begin_with_config(Some(level), Some(mode)).await.unwrap();
        assert_agrees::<document::Entity, _>(&moment).await;
        moment.rollback().await.unwrap();
    }
}

/// The connection on which a `BEGIN` was given up, say because a request was cancelled, stayed in a transaction: what was
/// written by it alone was not committed, and the next to want a snapshot was refused.
#[apply(on_each_database!)]
async fn a_transaction_whose_begin_was_given_up_is_not_left_open() {
    let database = TestDatabase::new().await;
    let other = database.connect().await;
    create_table(&other, document::Entity).await.unwrap();
    let mut options = ConnectOptions::new(database.url());
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.unwrap();
    let replica = builder("node-1").0.entity::<document::Entity>().open(db).await.unwrap();
    let snapshot = || replica.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly));
    // On MySQL, other statements must not be given up.
    let kinds = if backend() == DbBackend::MySql { 2 } else { 3 };
    let mut written = 0;
    for (times, kind) in (1..8).flat_map(|times| (0..kinds).map(move |kind| (times, kind))) {
        match kind {
            0 => poll_for(times, replica.begin()).await,
            1 => poll_for(times, snapshot()).await,
            _ => poll_for(times, changes_of(&replica, &["documents"])).await,
        };
        // There is one connection, and this is written by it.
        let insert = format!("INSERT INTO documents VALUES ('{times}-{kind}', 't', 0, '[]', NULL)");
        execute(replica.connection(), &insert, []).await;
        written += 1;
        let seen = number(&other, "SELECT count(*) FROM documents").await;
        assert_eq!(seen, written, "{times} {kind}");
        snapshot().await.unwrap().rollback().await.unwrap();
    }
}

#[apply(on_sqlite_and_postgres!)]
async fn a_savepoint_whose_end_was_cancelled_is_not_committed_unrecorded() {
    for times in 1..6 {
        let replica = documents().await;
        let tx = replica.begin().await.unwrap();
        let inner = tx.begin().await.unwrap();
        draft("a").insert(&inner).await.unwrap();
        poll_for(times, inner.commit()).await;
        tx.commit().await.ok();
        assert_agrees::<document::Entity, _>(&replica).await;
    }
}
