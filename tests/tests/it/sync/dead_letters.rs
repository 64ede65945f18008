//! What could not be read is kept whole, and tried again after an upgrade.

use grove_crdt::{
    Replica,
    sync::{PullRequest, PullResponse, PushRequest, PushResponse, Syncer, Transport, TransportError},
    transport::MemoryTransport,
};
use grove_crdt_tests::{START, TestDatabase, builder, replica_of, rows, run_all, written};
use sea_orm::EntityTrait;
use serde_json::json;

use crate::merge::{
    library::{SHELVES, book, books, library, put_book, put_shelf, shelf, shelves_of},
    support::parked,
};

/// A peer of a later version: what it tells has, beside the rest, a change of a kind that is not known here.
#[derive(Debug)]
struct Later {
    inner: MemoryTransport,
}

#[async_trait::async_trait]
impl Transport for Later {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        let mut answer = self.inner.pull(request).await?;
        if request.cursor.is_none() {
            let clock = json!({ "ts": START, "c": 0, "node": "later" });
            for change in [
                json!({ "table": "shelves", "pk": "s1", "field": "order", "crdt_type": "list", "epoch": 1,
                    "hlc": clock, "node_id": "later", "cell": "i1", "value": "x" }),
                json!({ "table": "shelves", "pk": "s9", "field": "", "crdt_type": "record", "epoch": 1,
                    "hlc": clock, "node_id": "later", "value": { "list": { "order": [] }, "lww": { "name": "n" } } }),
                json!({ "table": "shelves", "pk": "s1", "field": "name", "crdt_type": "lww", "epoch": 1,
                    "hlc": clock, "node_id": "later", "value": { "not": "a name" } }),
            ] {
                answer.changes.push(serde_json::from_value(change).unwrap());
            }
        }
        Ok(answer)
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        self.inner.push(request).await
    }
}

#[apply(on_each_database!)]
async fn a_kind_that_is_not_known_and_a_value_that_can_not_be_read_become_letters_and_block_nothing() {
    let (origin, _) = library("origin").await;
    put_shelf(&origin, "s1", "one").await;
    let (replica, _) = library("replica").await;
    let peer = Later {
        inner: MemoryTransport::new(&origin),
    };
    let syncer = Syncer::builder(&replica).peer(peer).build().unwrap();
    let report = syncer.sync().await.unwrap();
    assert_eq!((report.pulled, report.merged, report.rejected), (4, 1, 3));
    assert_eq!(shelves_of(&replica).await, ["s1=one"]);
    let letters = replica.dead_letters().await.unwrap();
    let mut codes: Vec<_> = letters.iter().map(|letter| letter.code.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["bad_value", "unknown_kind", "unknown_kind"]);
    assert!(
        letters
            .iter()
            .all(|letter| letter.inbound && letter.peer == "memory:origin")
    );
    // Kept whole.
    let list = letters.iter().find(|letter| letter.change.contains("\"i1\"")).unwrap();
    let change: serde_json::Value = serde_json::from_str(&list.change).unwrap();
    assert_eq!((&change["crdt_type"], &change["value"]), (&json!("list"), &json!("x")));
    // Tried again in each round, which writes nothing while it does not help.
    let before = written(&replica).await;
    syncer.sync().await.unwrap();
    assert_eq!(written(&replica).await, before);
    assert_eq!(replica.dead_letters().await.unwrap(), letters);
}

#[apply(on_each_database!)]
async fn a_table_that_the_peer_does_not_know_waits_there_until_it_does() {
    let (origin, _) = library("origin").await;
    put_shelf(&origin, "s1", "one").await;
    put_book(&origin, "b1", Some("s1")).await;
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    run_all(&db, &[SHELVES]).await;
    let open_old = async || {
        builder("hub")
            .0
            .entity::<shelf::Entity>()
            .open(database.connect().await)
            .await
            .unwrap()
    };
    let hub = open_old().await;
    // The push of the table comes back, change by change; what is known is taken.
    let changes = crate::merge::support::changes_of(&origin, &["books", "shelves"]).await;
    let response = crate::merge::support::push(&origin, &hub, &changes).await;
    assert_eq!((response.merged, response.rejected.len()), (1, 1));
    assert_eq!(response.rejected[0].code.as_str(), "unknown_table");
    assert!(response.rejected[0].code.can_pass_later());
    drop(hub);
    run_all(&db, &[&books("")]).await;
    let upgraded = builder("hub").0.entity::<shelf::Entity>().entity::<book::Entity>();
    let hub: Replica = upgraded.open(database.connect().await).await.unwrap();
    let syncer = Syncer::builder(&origin)
        .peer(MemoryTransport::new(&hub))
        .build()
        .unwrap();
    syncer.sync().await.unwrap();
    assert_eq!(parked(&hub).await, Vec::<String>::new());
    assert_eq!(book::Entity::find().all(&hub).await.unwrap().len(), 1);
}

#[apply(on_each_database!)]
async fn an_answer_about_tables_that_were_not_asked_for_is_not_taken() {
    use grove_crdt_tests::entities::document;
    let replica = replica_of::<document::Entity>("replica").await;
    let origin = replica_of::<document::Entity>("later").await;
    let peer = Later {
        inner: MemoryTransport::new(&origin),
    };
    let syncer = Syncer::builder(&replica).peer(peer).build().unwrap();
    // Tables that were not asked for: the answer as a whole makes no sense.
    assert!(syncer.sync().await.is_err());
    assert_eq!(replica.dead_letters().await.unwrap(), []);
    assert_eq!(rows::<document::Entity, _>(&replica).await, Vec::<String>::new());
}
