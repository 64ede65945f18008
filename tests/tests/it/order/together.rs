//! What was one transaction there is one here: nobody sees a part of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use grove_crdt::Replica;
use grove_crdt_tests::{TestDatabase, backend, number};
use sea_orm::{ConnectionTrait as _, TransactionSession as _, TransactionTrait as _};

use super::{
    program::{Log, sync},
    schema::{Schema, Table, When},
    tables::{CODE, register},
};

const ROWS: usize = 120;

async fn open(node: &str, database: &TestDatabase, schema: &Schema) -> Replica {
    let db = database.connect().await;
    for statement in schema.ddl(backend()) {
        db.execute_unprepared(&statement).await.unwrap();
    }
    let builder = register(grove_crdt_tests::builder(node).0, schema.numbers());
    builder.open(db).await.unwrap()
}

/// Has somebody look at the receiver again and again while it merges `changes`, which are one transaction. They are to see so
/// many rows with a code, each time.
async fn seen_whole(changes: &[String]) {
    let mut table = Table::plain(0);
    table.unique.push((vec![CODE], When::AtOnce));
    let schema = Schema(vec![table]);
    let (here, there) = (TestDatabase::new().await, TestDatabase::new().await);
    let sender = open("sender", &there, &schema).await;
    let receiver = open("receiver", &here, &schema).await;
    let rows: Vec<_> = (0..ROWS).map(|n| format!("('m{n:03}', 'code {n}')")).collect();
    let insert = format!("INSERT INTO t1 (id, code) VALUES {}", rows.join(", "));
    sender.execute_unprepared(&insert).await.unwrap();
    let log = Log::default();
    sync(&receiver, &sender, 1_000, &log).await.unwrap();
    let tx = sender.begin().await.unwrap();
    for change in changes {
        tx.execute_unprepared(change).await.unwrap();
    }
    tx.commit().await.unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let looking = tokio::spawn({
        let (db, done) = (here.connect().await, done.clone());
        async move {
            let mut seen = Vec::new();
            loop {
                let last = done.load(Ordering::SeqCst);
                seen.push(number(&db, "SELECT count(*) FROM t1 WHERE code LIKE 'code %'").await);
                if last {
                    return seen;
                }
            }
        }
    });
    sync(&receiver, &sender, 1_000, &log).await.unwrap();
    done.store(true, Ordering::SeqCst);
    let mut seen = looking.await.unwrap();
    let looks = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [i64::try_from(ROWS).unwrap()], "in {looks} looks");
    assert_eq!(receiver.parked().await.unwrap(), []);
}

#[apply(on_each_database_with_threads!)]
async fn codes_of_deleted_rows_that_others_take_are_never_missing() {
    let mut changes = Vec::new();
    for n in 0..ROWS {
        changes.push(format!("DELETE FROM t1 WHERE id = 'm{n:03}'"));
        // Some come before the old ones, some after.
        let key = if n % 2 == 0 { "a" } else { "z" };
        changes.push(format!("INSERT INTO t1 (id, code) VALUES ('{key}{n:03}', 'code {n}')"));
    }
    seen_whole(&changes).await;
}

#[apply(on_each_database_with_threads!)]
async fn codes_that_new_rows_take_are_never_missing() {
    let mut changes = Vec::new();
    for n in 0..ROWS {
        changes.push(format!("UPDATE t1 SET code = 'old {n}' WHERE id = 'm{n:03}'"));
        let key = if n % 2 == 0 { "a" } else { "z" };
        changes.push(format!("INSERT INTO t1 (id, code) VALUES ('{key}{n:03}', 'code {n}')"));
    }
    seen_whole(&changes).await;
}

#[apply(on_each_database_with_threads!)]
async fn codes_that_go_round_are_never_missing() {
    let mut changes = vec!["UPDATE t1 SET code = 'none' WHERE id = 'm000'".to_owned()];
    for n in 1..ROWS {
        changes.push(format!("UPDATE t1 SET code = 'code {}' WHERE id = 'm{n:03}'", n - 1));
    }
    changes.push(format!("UPDATE t1 SET code = 'code {}' WHERE id = 'm000'", ROWS - 1));
    seen_whole(&changes).await;
}
