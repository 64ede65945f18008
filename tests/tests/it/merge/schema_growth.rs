//! Nodes of different versions of a schema: what one does not know it keeps, passes on, and shows once it does.

use grove_crdt::Replica;
use grove_crdt_tests::{START, TestDatabase, builder, cells, number, rows, run_all};
use sea_orm::{ActiveValue::Set, DatabaseConnection, EntityTrait, IntoActiveModel};
use serde_json::{Value as Json, json};

use super::support::{changes_of, parked, push, refusal};

mod old {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "notes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
        /// Replicated later.
        pub colour: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod new {
    use grove_crdt::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "notes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
        #[crdt(lww)]
        pub colour: Option<String>,
        #[crdt(lww)]
        pub subtitle: Option<String>,
        #[crdt(counter)]
        pub likes: i64,
        #[crdt(set)]
        pub labels: OrSet<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

const TABLE: &[&str] = &["notes"];
const OLD: &str = "CREATE TABLE notes (id TEXT PRIMARY KEY, title TEXT NOT NULL, colour TEXT)";
const GROW: [&str; 3] = [
    "ALTER TABLE notes ADD COLUMN subtitle TEXT",
    "ALTER TABLE notes ADD COLUMN likes BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE notes ADD COLUMN labels JSON_TEXT NOT NULL DEFAULT ('[]')",
];

struct Node {
    database: TestDatabase,
    name: &'static str,
}

impl Node {
    async fn at(name: &'static str) -> Self {
        let node = Self {
            database: TestDatabase::new().await,
            name,
        };
        run_all(&node.db().await, &[OLD]).await;
        node
    }

    async fn grown(name: &'static str) -> Self {
        let node = Self::at(name).await;
        node.grow().await;
        node
    }

    async fn grow(&self) {
        run_all(&self.db().await, &GROW).await;
    }

    async fn db(&self) -> DatabaseConnection {
        self.database.connect().await
    }

    async fn open_old(&self) -> Replica {
        builder(self.name)
            .0
            .entity::<old::Entity>()
            .open(self.db().await)
            .await
            .unwrap()
    }

    async fn open_new(&self) -> Replica {
        builder(self.name)
            .0
            .entity::<new::Entity>()
            .open(self.db().await)
            .await
            .unwrap()
    }
}

fn note(id: &str) -> new::ActiveModel {
    new::ActiveModel {
        id: Set(id.into()),
        title: Set(format!("title of {id}")),
        colour: Set(Some("red".into())),
        subtitle: Set(Some("born with".into())),
        likes: Set(3),
        labels: Set(grove_crdt::OrSet::from(["a".to_owned(), "x".repeat(200)])),
    }
}

/// Writes every field it can.
async fn write_all(replica: &Replica, id: &str) {
    let note = new::Entity::find_by_id(id).one(replica).await.unwrap().unwrap();
    let mut labels = note.labels.clone();
    labels.insert("b".into());
    labels.insert("y".repeat(200));
    labels.remove(&"a".to_owned());
    let mut active = note.into_active_model();
    active.subtitle = Set(Some("{\"$lww\":1}".into()));
    active.colour = Set(Some("blue".into()));
    active.labels = Set(labels);
    active.update(replica).await.unwrap();
    new::ActiveModel::increment_likes(replica, id, 4).await.unwrap();
}

fn sorted(mut changes: Vec<Json>) -> Vec<Json> {
    changes.sort_by_key(Json::to_string);
    changes
}

async fn rows_of(replica: &Replica) -> Vec<String> {
    rows::<new::Entity, _>(replica).await
}

#[apply(on_each_database!)]
async fn fields_a_node_does_not_know_pass_through_it_unchanged_and_show_once_it_does() {
    let origin_node = Node::grown("origin").await;
    let origin = origin_node.open_new().await;
    note("n1").insert(&origin).await.unwrap();
    note("n2").insert(&origin).await.unwrap();
    write_all(&origin, "n2").await;
    let told = sorted(changes_of(&origin, TABLE).await);
    let middle_node = Node::at("middle").await;
    let middle = middle_node.open_old().await;
    assert_eq!(push(&origin, &middle, &told).await.rejected, []);
    assert_eq!(sorted(changes_of(&middle, TABLE).await), told);
    let titles = rows::<old::Entity, _>(&middle).await;
    assert_eq!(titles.len(), 2);
    // An untagged column keeps to itself: nothing of what others replicate under its name is shown.
    assert!(titles.iter().all(|row| row.contains("colour: None")), "{titles:?}");
    let last_node = Node::grown("last").await;
    let last = last_node.open_new().await;
    assert_eq!(push(&middle, &last, &told).await.rejected, []);
    assert_eq!(rows_of(&last).await, rows_of(&origin).await);
    assert_eq!(cells(&last, "notes").await, cells(&origin, "notes").await);
    // The node in the middle learns.
    drop(middle);
    middle_node.grow().await;
    let middle = middle_node.open_new().await;
    assert_eq!(rows_of(&middle).await, rows_of(&origin).await);
    assert_eq!(cells(&middle, "notes").await, cells(&origin, "notes").await);
    assert_eq!(sorted(changes_of(&middle, TABLE).await), told);
    write_all(&middle, "n1").await;
    push(&middle, &origin, &changes_of(&middle, TABLE).await).await;
    assert_eq!(rows_of(&middle).await, rows_of(&origin).await);
}

#[apply(on_each_database!)]
async fn unknown_fields_of_a_birth_that_loses_become_cells() {
    let origin_node = Node::grown("origin").await;
    let origin = origin_node.open_new().await;
    note("n1").insert(&origin).await.unwrap();
    let middle_node = Node::at("middle").await;
    let (builder, clock) = builder("middle");
    clock.set(START + 1_000);
    let middle = builder
        .entity::<old::Entity>()
        .open(middle_node.db().await)
        .await
        .unwrap();
    let mine = old::ActiveModel {
        id: Set("n1".into()),
        title: Set("newer".into()),
        colour: Set(None),
    };
    mine.insert(&middle).await.unwrap();
    push(&origin, &middle, &changes_of(&origin, TABLE).await).await;
    push(&middle, &origin, &changes_of(&middle, TABLE).await).await;
    assert_eq!(
        sorted(changes_of(&middle, TABLE).await),
        sorted(changes_of(&origin, TABLE).await)
    );
    let note = new::Entity::find_by_id("n1").one(&origin).await.unwrap().unwrap();
    assert_eq!((note.title.as_str(), note.likes, note.labels.len()), ("newer", 3, 2));
    assert_eq!(note.subtitle.as_deref(), Some("born with"));
    drop(middle);
    middle_node.grow().await;
    let middle = middle_node.open_new().await;
    assert_eq!(rows_of(&middle).await, rows_of(&origin).await);
    assert_eq!(cells(&middle, "notes").await, cells(&origin, "notes").await);
}

#[apply(on_each_database!)]
async fn a_field_that_an_entity_drops_and_takes_up_again_loses_nothing() {
    let node = Node::grown("a").await;
    let replica = node.open_new().await;
    note("n1").insert(&replica).await.unwrap();
    write_all(&replica, "n1").await;
    let told = sorted(changes_of(&replica, TABLE).await);
    let shown = rows_of(&replica).await;
    drop(replica);
    let replica = node.open_old().await;
    assert_eq!(sorted(changes_of(&replica, TABLE).await), told);
    let mut old = old::Entity::find_by_id("n1")
        .one(&replica)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    old.title = Set("written meanwhile".into());
    old.update(&replica).await.unwrap();
    drop(replica);
    let replica = node.open_new().await;
    assert_eq!(
        rows_of(&replica).await,
        [shown[0].replace("title of n1", "written meanwhile")]
    );
}

#[apply(on_each_database!)]
async fn a_field_that_turns_out_to_be_of_another_kind_than_was_kept_does_not_spoil_its_record() {
    let node = Node::at("a").await;
    let replica = node.open_old().await;
    let origin_node = Node::grown("origin").await;
    let origin = origin_node.open_new().await;
    note("n1").insert(&origin).await.unwrap();
    push(&origin, &replica, &changes_of(&origin, TABLE).await).await;
    let stray = json!({
        "table": "notes", "pk": "n1", "field": "likes", "crdt_type": "lww", "epoch": 1,
        "hlc": { "ts": START, "c": 5, "node": "attacker" }, "node_id": "attacker", "value": "many",
    });
    assert_eq!(refusal(&replica, stray).await, None);
    drop(replica);
    node.grow().await;
    let replica = node.open_new().await;
    assert_eq!(rows_of(&replica).await, rows_of(&origin).await);
    write_all(&replica, "n1").await;
    push(&replica, &origin, &changes_of(&replica, TABLE).await).await;
    assert_eq!(rows_of(&replica).await, rows_of(&origin).await);
    assert_eq!(cells(&replica, "notes").await, cells(&origin, "notes").await);
    // What could not be read is kept, and says so.
    let letters = replica.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].code, "wrong_kind");
    assert!(letters[0].change.contains("many"));
}

#[apply(on_each_database!)]
async fn a_new_column_that_breaks_a_rule_parks_its_row_instead_of_keeping_the_replica_shut() {
    let node = Node::at("a").await;
    let replica = node.open_old().await;
    let origin_node = Node::grown("origin").await;
    let origin = origin_node.open_new().await;
    note("n1").insert(&origin).await.unwrap();
    push(&origin, &replica, &changes_of(&origin, TABLE).await).await;
    drop(replica);
    let db = node.db().await;
    for statement in GROW {
        let statement = statement.replace("subtitle TEXT", "subtitle TEXT CHECK (length(subtitle) < 5)");
        run_all(&db, &[&statement]).await;
    }
    let replica = node.open_new().await;
    assert_eq!(parked(&replica).await, ["notes n1 Check"]);
    assert_eq!(number(&replica, "SELECT count(*) FROM notes").await, 1);
}
