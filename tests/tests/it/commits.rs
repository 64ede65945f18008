//! `Replica::commits` counts the commits that recorded something.

use grove_crdt::{Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{entities::document, replica_of};
use sea_orm::{ActiveValue::Set, EntityTrait, TransactionSession, TransactionTrait};

fn draft(id: &str) -> document::ActiveModel {
    document::ActiveModel {
        id: Set(id.into()),
        title: Set("a title".into()),
        view_count: Set(0),
        tags: Set([].into()),
        author: Set(None),
    }
}

async fn sync(from: &Replica, to: &Replica) {
    let syncer = Syncer::builder(to).peer(MemoryTransport::new(from)).build().unwrap();
    syncer.sync().await.unwrap();
}

#[apply(on_each_database!)]
async fn writes_and_merges_count_and_reads_and_rollbacks_do_not() {
    let a = replica_of::<document::Entity>("a").await;
    let b = replica_of::<document::Entity>("b").await;
    let (mut of_a, mut of_b) = (a.commits(), b.commits());

    document::Entity::find().all(&a).await.unwrap();
    let tx = a.begin().await.unwrap();
    draft("1").insert(&tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert!(!of_a.has_changed().unwrap());

    draft("1").insert(&a).await.unwrap();
    assert!(of_a.has_changed().unwrap());
    of_a.mark_unchanged();

    sync(&a, &b).await;
    assert!(of_b.has_changed().unwrap());
    assert!(!of_a.has_changed().unwrap(), "what is sent is not written again");
    of_b.mark_unchanged();

    sync(&a, &b).await;
    assert!(!of_b.has_changed().unwrap(), "a merge of what is known writes nothing");
}
