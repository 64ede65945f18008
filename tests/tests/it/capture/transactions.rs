//! Transactions and savepoints: what is rolled back was never recorded.

use grove_crdt::ReplicaTransaction;
use grove_crdt_tests::{assert_agrees, backend, cells, entities::document};
use sea_orm::{
    AccessMode, ActiveValue::Set, ActiveValue::Unchanged, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    TransactionError, TransactionSession, TransactionTrait,
};

use super::{documents, draft, epochs, execute, sql};

async fn known(replica: &grove_crdt::Replica) -> Vec<String> {
    epochs(replica, "documents")
        .await
        .into_iter()
        .map(|(pk, _)| pk)
        .collect()
}

#[apply(on_each_database!)]
async fn commit_records_rollback_does_not() {
    let replica = documents().await;
    let tx = replica.begin().await.unwrap();
    draft("a").insert(&tx).await.unwrap();
    execute(&tx, "UPDATE documents SET view_count = view_count + 1", []).await;
    assert_agrees::<document::Entity, _>(&tx).await;
    tx.rollback().await.unwrap();
    assert!(cells(&replica, "documents").await.is_empty());
    let tx = replica.begin().await.unwrap();
    draft("b").insert(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(known(&replica).await, ["b"]);
}

#[apply(on_each_database!)]
async fn a_dropped_transaction_never_was_and_frees_the_way() {
    let replica = documents().await;
    let tx = replica.begin().await.unwrap();
    draft("a").insert(&tx).await.unwrap();
    assert_agrees::<document::Entity, _>(&tx).await;
    drop(tx);
    draft("b").insert(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(known(&replica).await, ["b"]);
}

#[apply(on_each_database!)]
async fn an_inner_rollback_takes_back_only_the_inner() {
    let replica = documents().await;
    for way in ["rollback", "drop"] {
        let tx = replica.begin().await.unwrap();
        draft(&format!("{way}-outer")).insert(&tx).await.unwrap();
        let inner = tx.begin().await.unwrap();
        draft(&format!("{way}-inner")).insert(&inner).await.unwrap();
        execute(&inner, "UPDATE documents SET view_count = view_count + 1", []).await;
        let innermost = inner.begin().await.unwrap();
        draft(&format!("{way}-innermost")).insert(&innermost).await.unwrap();
        innermost.commit().await.unwrap();
        if way == "drop" {
            drop(inner);
        } else {
            inner.rollback().await.unwrap();
        }
        draft(&format!("{way}-after")).insert(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_agrees::<document::Entity, _>(&replica).await;
    }
    assert_eq!(
        known(&replica).await,
        ["drop-after", "drop-outer", "rollback-after", "rollback-outer"]
    );
}

#[apply(on_each_database!)]
async fn an_inner_commit_stands_or_falls_with_the_outer() {
    let replica = documents().await;
    for commit in [false, true] {
        let tx = replica.begin().await.unwrap();
        let inner = tx.begin().await.unwrap();
        draft(&format!("{commit}")).insert(&inner).await.unwrap();
        inner.commit().await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        assert_agrees::<document::Entity, _>(&replica).await;
    }
    assert_eq!(known(&replica).await, ["true"]);
}

#[apply(on_each_database!)]
async fn what_was_looked_at_inside_a_savepoint_goes_with_it() {
    let replica = documents().await;
    let tx = replica.begin().await.unwrap();
    draft("before").insert(&tx).await.unwrap();
    let inner = tx.begin().await.unwrap();
    draft("inner").insert(&inner).await.unwrap();
    assert_agrees::<document::Entity, _>(&inner).await;
    inner.rollback().await.unwrap();
    draft("after").insert(&tx).await.unwrap();
    assert_agrees::<document::Entity, _>(&tx).await;
    let inner = tx.begin().await.unwrap();
    document::ActiveModel {
        id: Unchanged("before".into()),
        title: Set("new".into()),
        ..Default::default()
    }
    .update(&inner)
    .await
    .unwrap();
    assert_agrees::<document::Entity, _>(&inner).await;
    inner.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&tx).await;
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(known(&replica).await, ["after", "before"]);
}

/// A savepoint that ended before those in it left the shadow with rows that the database had taken back: it knows
/// savepoints by their depth only, and takes back the innermost.
#[apply(on_each_database!)]
async fn savepoints_that_end_out_of_order_spoil_the_transaction() {
    let replica = documents().await;
    let tx = replica.begin().await.unwrap();
    let first = tx.begin().await.unwrap();
    draft("a").insert(&first).await.unwrap();
    assert_agrees::<document::Entity, _>(&first).await;
    let second = first.begin().await.unwrap();
    draft("b").insert(&second).await.unwrap();
    drop(first);
    draft("c").insert(&tx).await.unwrap();
    drop(second);
    let error = tx.commit().await.unwrap_err().to_string();
    assert!(error.contains("reverse order"), "{error}");
    assert_agrees::<document::Entity, _>(&replica).await;
    assert!(cells(&replica, "documents").await.is_empty());
}

async fn insert_many(tx: &ReplicaTransaction, from: usize, to: usize) {
    for start in (from..to).step_by(5_000) {
        let rows = (start..(start + 5_000).min(to)).map(|n| draft(&format!("{n:06}")));
        document::Entity::insert_many(rows)
            .exec_without_returning(tx)
            .await
            .unwrap();
    }
}

/// More than is kept as it is until the commit.
#[apply(on_each_database!)]
async fn very_much_is_recorded_as_a_little_is() {
    let replica = documents().await;
    draft("old").insert(&replica).await.unwrap();
    let before = cells(&replica, "documents").await;
    let tx = replica.begin().await.unwrap();
    execute(&tx, "UPDATE documents SET title = 'x', view_count = view_count + 1", []).await;
    insert_many(&tx, 0, 15_000).await;
    let inner = tx.begin().await.unwrap();
    insert_many(&inner, 15_000, 25_000).await;
    execute(&inner, "DELETE FROM documents WHERE id < '000010'", []).await;
    inner.rollback().await.unwrap();
    execute(&tx, "UPDATE documents SET title = 'x' WHERE id < '000100'", []).await;
    insert_many(&tx, 30_000, 36_000).await;
    execute(&tx, "DELETE FROM documents WHERE id >= '010000' AND id < '030000'", []).await;
    execute(&tx, "DELETE FROM documents WHERE id < '000050'", []).await;
    insert_many(&tx, 0, 50).await;
    execute(
        &tx,
        "UPDATE documents SET title = 'title of old', view_count = view_count - 1 WHERE id = 'old'",
        [],
    )
    .await;
    tx.commit().await.unwrap();
    assert_eq!(document::Entity::find().all(&replica).await.unwrap().len(), 16_001);
    let epochs = epochs(&replica, "documents").await;
    assert!(epochs.len() == 16_001 && epochs.iter().all(|(_, epoch)| *epoch == 1));
    let after = cells(&replica, "documents").await;
    // Each is one birth, with the title that the row had in the end.
    assert_eq!(after.len(), 16_001);
    assert!(after.contains(&before[0]));
    let titles = after.iter().filter(|cell| cell.contains("\"x\"")).count();
    assert_eq!(titles, 50);
}

#[apply(on_each_database!)]
async fn one_transaction_is_one_version_and_one_clock_value() {
    let replica = documents().await;
    let tx = replica.begin().await.unwrap();
    draft("a").insert(&tx).await.unwrap();
    draft("b").insert(&tx).await.unwrap();
    tx.commit().await.unwrap();
    let distinct = "SELECT count(DISTINCT version), count(DISTINCT hlc_ts || '.' || hlc_counter), max(version) FROM _documents_crdt";
    let counts = async || {
        let row = replica.query_one_raw(sql(distinct, [])).await.unwrap().unwrap();
        [0, 1, 2].map(|column| row.try_get_by_index::<i64>(column).unwrap())
    };
    let [versions, clocks, first] = counts().await;
    assert_eq!((versions, clocks), (1, 1));
    draft("c").insert(&replica).await.unwrap();
    let [versions, clocks, second] = counts().await;
    assert_eq!((versions, clocks), (2, 2));
    // On PostgreSQL it is the number of a transaction, of which there are others.
    if backend() == DbBackend::Postgres {
        assert!(first < second, "{first} {second}");
    } else {
        assert_eq!([first, second], [1, 2]);
    }
}

#[apply(on_each_database!)]
async fn a_closure_commits_on_ok_and_rolls_back_on_err() {
    let replica = documents().await;
    replica
        .transaction::<_, (), DbErr>(|tx| {
            Box::pin(async move {
                draft("a").insert(tx).await?;
                let inner: Result<(), TransactionError<DbErr>> = tx
                    .transaction(|tx| {
                        Box::pin(async move {
                            draft("b").insert(tx).await?;
                            Err(DbErr::Custom("no".into()))
                        })
                    })
                    .await;
                assert!(inner.is_err());
                Ok(())
            })
        })
        .await
        .unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(known(&replica).await, ["a"]);
}

/// A write that a hook had announced went through a read-only transaction: only the others were looked at.
#[apply(on_each_database!)]
async fn a_read_only_transaction_writes_nothing() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let tx = replica
        .begin_with_config(None, Some(AccessMode::ReadOnly))
        .await
        .unwrap();
    assert_eq!(document::Entity::find().all(&tx).await.unwrap().len(), 1);
    let error = draft("b").insert(&tx).await.unwrap_err().to_string();
    assert!(error.contains("read-only transaction"), "{error}");
    let error = tx
        .execute_unprepared("DELETE FROM documents")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("read-only transaction"), "{error}");
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(known(&replica).await, ["a"]);
}

#[apply(on_each_database!)]
async fn what_is_looked_at_has_the_version_of_the_rest() {
    let replica = documents().await;
    let tx = replica.begin().await.unwrap();
    for id in ["a", "b", "c"] {
        draft(id).insert(&tx).await.unwrap();
        assert_agrees::<document::Entity, _>(&tx).await;
    }
    tx.commit().await.unwrap();
    let versions = "SELECT count(DISTINCT version), count(*) FROM _documents_crdt";
    let row = replica.query_one_raw(sql(versions, [])).await.unwrap().unwrap();
    assert_eq!(
        (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap()),
        (1_i64, 3_i64)
    );
}
