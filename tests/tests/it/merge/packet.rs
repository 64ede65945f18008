//! MySQL and MariaDB end the connection when a statement is larger than `max_allowed_packet`. What would be is foreseen.

use grove_crdt::{
    Change, Replica,
    sync::{PullRequest, PullResponse, PushRequest, PushResponse, Syncer, Transport, TransportError},
    transport::MemoryTransport,
};
use grove_crdt_tests::START;
use sea_orm::{ActiveValue::Set, ConnectionTrait as _, DbBackend, EntityTrait as _, Statement};
use serde_json::{Value as Json, json};

use super::support::{changes_of, parked, push_as, replica_over};

mod page {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "pages")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub head: String,
        #[crdt(lww)]
        pub body: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

const DDL: &str = "CREATE TABLE pages (id varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, \
                   head longtext NOT NULL, body longtext NOT NULL)";

async fn replica(node: &str) -> Replica {
    replica_over(node, &[DDL], grove_crdt::ReplicaBuilder::entity::<page::Entity>)
        .await
        .0
}

/// The largest statement that the server takes, in bytes.
async fn packet(replica: &Replica) -> usize {
    let sql = "SELECT CAST(@@max_allowed_packet AS CHAR)";
    let row = replica
        .query_one_raw(Statement::from_string(DbBackend::MySql, sql))
        .await
        .unwrap();
    let text: String = row.unwrap().try_get_by_index(0).unwrap();
    text.parse().unwrap()
}

/// A record that is born with these texts.
fn birth(pk: &str, head: &str, body: &str) -> Json {
    json!({ "table": "pages", "pk": pk, "field": "", "crdt_type": "record", "epoch": 1,
        "hlc": { "ts": START, "c": 0, "node": "edge" }, "node_id": "edge",
        "value": { "lww": { "head": head, "body": body } } })
}

/// A text that is written to a field afterwards.
fn written(pk: &str, field: &str, text: &str) -> Json {
    json!({ "table": "pages", "pk": pk, "field": field, "crdt_type": "lww", "epoch": 1,
        "hlc": { "ts": START + 1, "c": 0, "node": "edge" }, "node_id": "edge", "value": text })
}

/// The rows, with how long their texts are.
async fn rows(replica: &Replica) -> Vec<(String, u64, u64)> {
    let sql = "SELECT id, CAST(length(head) AS UNSIGNED), CAST(length(body) AS UNSIGNED) FROM pages ORDER BY id";
    let rows = replica
        .query_all_raw(Statement::from_string(DbBackend::MySql, sql))
        .await
        .unwrap();
    let read = |row: &sea_orm::QueryResult| {
        let length = |index| row.try_get_by_index::<u64>(index).unwrap();
        (row.try_get_by_index(0).unwrap(), length(1), length(2))
    };
    rows.iter().map(read).collect()
}

fn row(id: &str, head: usize, body: usize) -> (String, u64, u64) {
    (id.to_owned(), head as u64, body as u64)
}

async fn push(to: &Replica, changes: &[Json]) -> PushResponse {
    push_as("edge", "the-edge's-database", to, changes).await
}

#[apply(on_mysql!)]
async fn a_change_larger_than_a_packet_is_refused_alone() {
    let hub = replica("hub").await;
    let large = "x".repeat(packet(&hub).await + 1);
    let changes = [
        birth("a", "h", "b"),
        birth("large", "h", &large),
        birth("c", "h", "b"),
        written("c", "body", &large),
        written("c", "head", "new"),
        birth("d", "h", "b"),
    ];
    let answer = push(&hub, &changes).await;
    let refused: Vec<_> = answer
        .rejected
        .iter()
        .map(|rejection| (rejection.index, rejection.code.as_str()))
        .collect();
    assert_eq!(refused, [(1, "unstorable"), (3, "unstorable")]);
    for rejection in &answer.rejected {
        assert!(
            rejection.message.starts_with("a change of `pages`, field `body`, has "),
            "{rejection:?}"
        );
    }
    assert_eq!(answer.merged, 4);
    assert_eq!(rows(&hub).await, [row("a", 1, 1), row("c", 3, 1), row("d", 1, 1)]);
    assert_eq!(parked(&hub).await, Vec::<String>::new());
}

/// A peer whose second record is larger than it is there.
#[derive(Debug)]
struct Larger(MemoryTransport, String);

#[async_trait::async_trait]
impl Transport for Larger {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        let mut answer = self.0.pull(request).await?;
        for change in answer
            .changes
            .iter_mut()
            .filter(|change| change.pk.starts_with("large"))
        {
            if let Some(body) = change.lww_mut("body") {
                *body = self.1.as_str().into();
            }
        }
        Ok(answer)
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        self.0.push(request).await
    }
}

#[apply(on_mysql!)]
async fn what_is_pulled_of_it_is_a_letter_without_the_value() {
    let (origin, edge) = (replica("origin").await, replica("edge").await);
    for id in ["a", "large", "z"] {
        put(&origin, id, "b").await.unwrap();
    }
    let large = "x".repeat(packet(&edge).await + 1);
    let peer = Larger(MemoryTransport::new(&origin), large);
    let syncer = Syncer::builder(&edge).peer(peer).build().unwrap();
    let report = syncer.sync().await.unwrap();
    assert_eq!((report.pulled, report.merged, report.rejected), (3, 2, 1), "{report}");
    assert_eq!(rows(&edge).await, [row("a", 1, 1), row("z", 1, 1)]);
    let letters = edge.dead_letters().await.unwrap();
    assert_eq!(
        (letters.len(), letters[0].code.as_str(), letters[0].inbound),
        (1, "unstorable", true)
    );
    let notice: Json = serde_json::from_str(&letters[0].change).unwrap();
    assert_eq!(
        (&notice["table"], &notice["pk"], &notice["fields"], &notice["value"]),
        (&json!("pages"), &json!("large"), &json!(["body"]), &Json::Null)
    );
    assert!(letters[0].message.contains("field `body`"), "{letters:?}");
    // The cursor stands behind it, and the letter can't be tried.
    for syncer in [
        &syncer,
        &Syncer::builder(&edge)
            .peer(MemoryTransport::new(&origin))
            .build()
            .unwrap(),
    ] {
        let report = syncer.sync().await.unwrap();
        assert_eq!((report.pulled, report.rejected), (0, 0), "{report}");
    }
}

/// Each of them goes into a statement, and all together do not.
#[apply(on_mysql!)]
async fn letters_too_large_together_are_kept_by_several_statements() {
    let (origin, edge) = (replica("origin").await, replica("edge").await);
    let length = packet(&edge).await * 2 / 5;
    let large = "x".repeat(length);
    let stray = |n: usize| {
        let mut change = written("large", "body", &large);
        change["crdt_type"] = json!("list");
        change["hlc"]["c"] = json!(n);
        serde_json::from_value::<Change>(change).unwrap()
    };
    let peer = Strays(MemoryTransport::new(&origin), (0..3).map(stray).collect());
    let report = Syncer::builder(&edge).peer(peer).build().unwrap().sync().await.unwrap();
    assert_eq!(report.rejected, 3, "{report}");
    let letters = edge.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 3);
    assert!(
        letters
            .iter()
            .all(|letter| letter.change.len() > length && letter.code == "unknown_kind")
    );
}

/// A peer that tells this in its first answer.
#[derive(Debug)]
struct Strays(MemoryTransport, Vec<Change>);

#[async_trait::async_trait]
impl Transport for Strays {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        let mut answer = self.0.pull(request).await?;
        if request.cursor.is_none() {
            answer.changes.clone_from(&self.1);
        }
        Ok(answer)
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        self.0.push(request).await
    }
}

/// The cells go into statements of their own; the row does not. One that is there is written in parts.
#[apply(on_mysql!)]
async fn a_row_larger_than_a_packet_is_parked_unless_it_can_be_written_in_parts() {
    let hub = replica("hub").await;
    let length = packet(&hub).await * 3 / 5;
    let large = "x".repeat(length);
    let changes = [birth("a", "h", "b"), birth("there", &large, "b"), birth("z", "h", "b")];
    assert_eq!(push(&hub, &changes).await.rejected, []);
    let changes = [
        written("there", "body", &large),
        birth("new", "h", &large),
        written("new", "head", &large),
        written("z", "head", "new"),
    ];
    assert_eq!(push(&hub, &changes).await.rejected, []);
    assert_eq!(
        rows(&hub).await,
        [row("a", 1, 1), row("there", length, length), row("z", 3, 1)]
    );
    assert_eq!(parked(&hub).await, ["pages new Value"]);
    let waiting = hub.parked().await.unwrap();
    assert!(waiting[0].detail.contains("max_allowed_packet"), "{waiting:?}");
    // What waits goes on to others.
    assert_eq!(changes_of(&hub, &["pages"]).await.len(), 7);
}

async fn put(replica: &Replica, id: &str, body: &str) -> Result<(), sea_orm::DbErr> {
    let page = page::ActiveModel {
        id: Set(id.to_owned()),
        head: Set("h".to_owned()),
        body: Set(body.to_owned()),
    };
    page.insert(replica).await.map(drop)
}

/// A text may be six times as long as JSON.
#[apply(on_mysql!)]
async fn a_write_whose_record_is_too_large_fails_as_a_whole_and_says_why() {
    let replica = replica("node").await;
    let packet = packet(&replica).await;
    let long_as_json = "\u{1}".repeat(packet / 5);
    put(&replica, "a", "b").await.unwrap();
    let error = put(&replica, "c", &long_as_json).await.unwrap_err().to_string();
    assert!(error.contains("table `pages`, field `body`: row `c`"), "{error}");
    assert!(error.contains("max_allowed_packet"), "{error}");
    let change = page::ActiveModel {
        id: Set("a".to_owned()),
        body: Set(long_as_json),
        ..Default::default()
    };
    let error = change.update(&replica).await.unwrap_err().to_string();
    assert!(error.contains("table `pages`, field `body`: row `a`"), "{error}");
    assert_eq!(rows(&replica).await, [row("a", 1, 1)]);
    assert_eq!(changes_of(&replica, &["pages"]).await.len(), 1);

    // What goes into one statement is recorded, though some ways to record it would take the value twice.
    let length = packet * 3 / 5;
    let change = page::ActiveModel {
        id: Set("a".to_owned()),
        body: Set("x".repeat(length)),
        ..Default::default()
    };
    change.update(&replica).await.unwrap();
    assert_eq!(rows(&replica).await, [row("a", 1, length)]);
    assert_eq!(changes_of(&replica, &["pages"]).await.len(), 2);
    let found = page::Entity::find_by_id("a").one(&replica).await.unwrap().unwrap();
    assert_eq!(found.body.len(), length);
}
