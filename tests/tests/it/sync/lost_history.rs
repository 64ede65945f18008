//! A database that was restored from an older copy: whoever had seen more starts over from what both have in common.

use grove_crdt::{
    Replica,
    sync::{
        PullRequest, PullResponse, PushRequest, PushResponse, Syncer, Transport, TransportError, TransportErrorKind,
    },
    transport::MemoryTransport,
};
use grove_crdt_tests::{TestDatabase, builder, cells, create_table, entities::document, replica_of, rows};
use sea_orm::ActiveValue::Set;

use crate::merge::support::pull;

const TABLE: &[&str] = &["documents"];

async fn put(replica: &Replica, id: &str) {
    let doc = document::ActiveModel {
        id: Set(id.into()),
        title: Set(id.into()),
        view_count: Set(1),
        tags: Set(grove_crdt::OrSet::from([id.to_owned()])),
        author: Set(None),
    };
    doc.insert(replica).await.unwrap();
}

fn keys(page: &PullResponse) -> Vec<&str> {
    page.changes.iter().map(|change| change.pk.as_str()).collect()
}

async fn open(database: &TestDatabase, node: &str) -> Replica {
    builder(node)
        .0
        .entity::<document::Entity>()
        .open(database.connect().await)
        .await
        .unwrap()
}

#[apply(on_each_database!)]
async fn a_peer_that_saw_more_than_was_restored_goes_on_from_the_common_point_and_misses_nothing() {
    let asker = replica_of::<document::Entity>("asker").await;
    let database = TestDatabase::new().await;
    create_table(&database.connect().await, document::Entity).await.unwrap();
    let replica = open(&database, "a").await;
    put(&replica, "doc-1").await;
    put(&replica, "doc-2").await;
    let common = pull(&asker, &replica, TABLE, None, 1).await;
    let backup = database.copy().await;
    put(&replica, "doc-3").await;
    put(&replica, "doc-4").await;
    let ahead = pull(&asker, &replica, TABLE, Some(&common.cursor), 10).await;
    assert_eq!(keys(&ahead), ["doc-2", "doc-3", "doc-4"]);
    drop(replica);
    let restored = open(&backup, "a").await;
    // As many transactions as were lost, and more.
    for id in ["doc-5", "doc-6", "doc-7"] {
        put(&restored, id).await;
    }
    let page = pull(&asker, &restored, TABLE, Some(&ahead.cursor), 10).await;
    assert_eq!((keys(&page), page.restarted), (vec!["doc-5", "doc-6", "doc-7"], true));
    // A cursor from before the copy was made is as good as ever.
    let page = pull(&asker, &restored, TABLE, Some(&common.cursor), 10).await;
    assert_eq!(
        (keys(&page), page.restarted),
        (vec!["doc-2", "doc-5", "doc-6", "doc-7"], false)
    );
    // Restored again, from the same copy, and reopened on the way: an incarnation that is not known at all.
    let newer = pull(&asker, &restored, TABLE, None, 10).await;
    drop(restored);
    let untouched = open(&backup, "a").await;
    let again = backup.copy().await;
    put(&untouched, "doc-8").await;
    drop(untouched);
    let replica = open(&again, "a").await;
    put(&replica, "doc-9").await;
    let page = pull(&asker, &replica, TABLE, Some(&newer.cursor), 10).await;
    assert_eq!((keys(&page), page.restarted), (vec!["doc-9"], false));
}

#[apply(on_each_database!)]
async fn a_history_that_this_database_never_had_starts_from_the_beginning() {
    let asker = replica_of::<document::Entity>("asker").await;
    let database = TestDatabase::new().await;
    create_table(&database.connect().await, document::Entity).await.unwrap();
    let replica = open(&database, "a").await;
    put(&replica, "doc-1").await;
    let backup = database.copy().await;
    drop(replica);
    let reopened = open(&database, "a").await;
    let page = pull(&asker, &reopened, TABLE, None, 10).await;
    drop(reopened);
    let restored = open(&backup, "a").await;
    let page = pull(&asker, &restored, TABLE, Some(&page.cursor), 10).await;
    assert_eq!((keys(&page), page.restarted), (vec!["doc-1"], true));
}

/// A way on which, for once, nothing can be pushed.
#[derive(Debug)]
struct OneWay(MemoryTransport);

#[async_trait::async_trait]
impl Transport for OneWay {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        self.0.pull(request).await
    }

    async fn push(&self, _: &PushRequest) -> Result<PushResponse, TransportError> {
        Err(TransportError {
            peer: self.name().to_owned(),
            kind: TransportErrorKind::Refused,
            code: None,
            message: "not now".into(),
            retry_after: None,
        })
    }
}

#[apply(on_each_database!)]
async fn what_the_restored_database_lost_comes_back_from_its_peers() {
    let peer = replica_of::<document::Entity>("peer").await;
    let database = TestDatabase::new().await;
    create_table(&database.connect().await, document::Entity).await.unwrap();
    let sync = async |from: &Replica, with: &Replica| {
        let syncer = Syncer::builder(from).peer(MemoryTransport::new(with)).build().unwrap();
        syncer.sync().await.unwrap()
    };
    let replica = open(&database, "a").await;
    put(&replica, "doc-1").await;
    put(&peer, "doc-2").await;
    sync(&replica, &peer).await;
    sync(&peer, &replica).await;
    let backup = database.copy().await;
    put(&replica, "doc-3").await;
    document::ActiveModel::increment_view_count(&replica, "doc-1", 5)
        .await
        .unwrap();
    sync(&replica, &peer).await;
    sync(&peer, &replica).await;
    drop(replica);
    let restored = open(&backup, "a").await;
    // The peer hears of the loss, but can't help at once.
    let one_way = OneWay(MemoryTransport::new(&restored));
    Syncer::builder(&peer)
        .peer(one_way)
        .build()
        .unwrap()
        .sync()
        .await
        .unwrap_err();
    assert_eq!(rows::<document::Entity, _>(&restored).await.len(), 2);
    sync(&peer, &restored).await;
    sync(&restored, &peer).await;
    assert_eq!(cells(&restored, "documents").await, cells(&peer, "documents").await);
    assert_eq!(
        rows::<document::Entity, _>(&restored).await,
        rows::<document::Entity, _>(&peer).await
    );
    assert_eq!(rows::<document::Entity, _>(&restored).await.len(), 3);
    // And goes on counting from there.
    document::ActiveModel::increment_view_count(&restored, "doc-1", 1)
        .await
        .unwrap();
    let report = sync(&restored, &peer).await;
    assert_eq!(report.rejected, 0);
    assert_eq!(cells(&restored, "documents").await, cells(&peer, "documents").await);
}
