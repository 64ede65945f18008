//! Another process opens a database that this one writes to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use grove_crdt::{Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{TestDatabase, rows};

use super::tables::{self, folder};

/// Where versions are numbers of transactions, the one that opened the database was older than what others had written
/// meanwhile. It took that for a restored backup, and went on with versions far above theirs, which readers never saw
/// again.
#[apply(on_each_database_with_threads!)]
async fn what_is_written_while_others_open_the_database_is_not_skipped() {
    let database = TestDatabase::new().await;
    let first = tables::replica(&database, "first", 8).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        writers.spawn(write_until(first.clone(), writer, done.clone()));
    }
    let reader = tables::on_sqlite("reader").await;
    let syncer = Syncer::builder(&reader)
        .peer(MemoryTransport::new(&first))
        .build()
        .unwrap();
    let mut others = Vec::new();
    for number in 0..8 {
        let other = tables::builder(&format!("other-{number}"));
        let other = other.open(tables::connections(&database, 2).await).await.unwrap();
        tables::folder(format!("of-{number}")).insert(&other).await.unwrap();
        syncer.sync().await.unwrap();
        others.push(other);
    }
    done.store(true, Ordering::SeqCst);
    let written: usize = writers.join_all().await.into_iter().sum();
    tables::folder("last").insert(&first).await.unwrap();
    syncer.sync().await.unwrap();
    tables::assert_same(&first, &reader).await;
    let seen = rows::<folder::Entity, _>(&reader).await;
    assert_eq!(seen.len(), written + others.len() + 1);
}

async fn write_until(replica: Replica, writer: usize, done: Arc<AtomicBool>) -> usize {
    let mut written = 0;
    while !done.load(Ordering::SeqCst) {
        let id = format!("{writer}-{written}");
        tables::folder(id).insert(&replica).await.unwrap();
        written += 1;
    }
    written
}
