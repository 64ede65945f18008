//! Of a set, only the elements are read that are touched, and what its column shows is what all of them come to.

use std::collections::HashMap;

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{START, assert_agrees, cells, entities::document, execute, replica_of};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    EntityTrait as _, IntoActiveModel as _,
};
use serde_json::json;

use super::support::{carry, pull, push, push_as};
use crate::capture::draft;

const TABLES: &[&str] = &["documents"];

mod mixed {
    use grove_crdt::Crdt;
    use sea_orm::{FromJsonQueryResult, entity::prelude::*};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
    pub struct Values(pub Vec<Json>);

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "mixed")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Which PostgreSQL keeps as `jsonb`, where numbers are of one type.
        #[sea_orm(column_type = "JsonBinary")]
        #[crdt(set)]
        pub values: Values,
        #[crdt(lww)]
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

async fn document(replica: &Replica) -> document::Model {
    document::Entity::find_by_id("a").one(replica).await.unwrap().unwrap()
}

async fn tags(replica: &Replica) -> Vec<String> {
    document(replica).await.tags.iter().cloned().collect()
}

async fn change(replica: &Replica, add: &str, remove: &str) {
    let doc = document(replica).await;
    let mut tags = doc.tags.clone();
    tags.insert(add.to_owned());
    tags.remove(&remove.to_owned());
    let mut doc = doc.into_active_model();
    doc.tags = Set(tags);
    doc.update(replica).await.unwrap();
}

/// Two replicas of one document with some tags, and a cursor behind all that `b` knows of `a`.
async fn two() -> (Replica, Replica, String) {
    let (a, b) = (
        replica_of::<document::Entity>("a").await,
        replica_of::<document::Entity>("b").await,
    );
    draft("a").insert(&a).await.unwrap();
    change(&a, "old", "none").await;
    let cursor = carry_new(&a, &b, TABLES, None).await;
    (a, b, cursor)
}

/// Takes from `a` to `b` what is behind the cursor, and returns where that ends.
async fn carry_new(a: &Replica, b: &Replica, tables: &[&str], cursor: Option<&str>) -> String {
    let page = pull(b, a, tables, cursor, 1_000).await;
    let changes: Vec<_> = page
        .changes
        .iter()
        .map(|change| serde_json::to_value(change).unwrap())
        .collect();
    assert_eq!(push(a, b, &changes).await.rejected, []);
    page.cursor
}

#[apply(on_each_database!)]
async fn elements_that_are_not_touched_are_not_read() {
    let (a, b, cursor) = two().await;
    let before = cells(&a, "documents").await;
    let state = before.iter().find(|cell| cell.contains("\"old\"")).unwrap();
    let state = state[state.find('{').unwrap()..].to_owned();
    let set = async |text: &str| {
        for replica in [&a, &b] {
            let set = "UPDATE \"_documents_crdt\" SET state = ? WHERE cell LIKE '%old%'";
            assert_eq!(execute(replica.connection(), set, [text.into()]).await, 1);
        }
    };

    // Nobody could read it.
    set("{").await;
    change(&a, "new", "b").await;
    document::ActiveModel::increment_view_count(&a, "a", 1).await.unwrap();
    carry_new(&a, &b, TABLES, Some(&cursor)).await;

    set(&state).await;
    for replica in [&a, &b] {
        assert_eq!(tags(replica).await, ["a", "new", "old"]);
        assert_agrees::<document::Entity, _>(replica).await;
    }
    assert_eq!(cells(&a, "documents").await, cells(&b, "documents").await);
}

#[apply(on_each_database!)]
async fn a_row_that_is_gone_comes_back_with_all_elements() {
    let (a, b, cursor) = two().await;
    document::Entity::delete_by_id("a").exec(&b.untracked()).await.unwrap();
    change(&a, "new", "b").await;
    carry_new(&a, &b, TABLES, Some(&cursor)).await;
    assert_eq!(tags(&b).await, ["a", "new", "old"]);
    assert_eq!(document(&b).await.title, document(&a).await.title);
    assert_agrees::<document::Entity, _>(&b).await;
}

/// PostgreSQL makes an integer of 1e17, which is another element.
#[apply(on_each_database!)]
async fn elements_that_a_column_shows_as_others_stay_what_they_are() {
    let replica = replica_of::<mixed::Entity>("b").await;
    let row = mixed::ActiveModel {
        id: Set("a".into()),
        values: Set(mixed::Values::default()),
        title: Set("at first".into()),
    };
    row.insert(&replica).await.unwrap();
    let values = [json!(1e17), json!("x"), json!({ "n": [1e18] }), json!(-2.5)];
    for (ts, value) in (START..).zip(&values) {
        let change = json!({
            "table": "mixed", "pk": "a", "field": "values", "cell": value.to_string(), "crdt_type": "set", "epoch": 1,
            "node_id": "a", "hlc": { "ts": ts, "c": 0, "node": "a" }, "value": value, "set": { "a": { "add": [ts, 0] } },
        });
        let response = push_as("a", "the-database-of-a", &replica, &[change]).await;
        assert_eq!(response.rejected, []);
        let found = replica.adopt::<mixed::Entity>().await.unwrap();
        assert_eq!((found.adopted, found.changed), (0, 0), "{value}: {found}");
    }
    let cells = cells(&replica, "mixed").await;
    for value in &values {
        let cell = format!("a values {value} ");
        assert!(
            cells.iter().any(|known| known.starts_with(&cell)),
            "{value}: {cells:#?}"
        );
    }
}

fn numbered(prefix: &str) -> OrSet<String> {
    // Some elements are longer than a key may be.
    let text = |number| match number % 100 {
        0 => format!("{prefix} {number} {}", "x".repeat(200)),
        _ => format!("{prefix} {number}"),
    };
    (0..4_000).map(text).collect()
}

/// For each element that was touched, all that were given at birth were gone through: minutes for as many as these.
#[apply(on_each_database!)]
async fn a_large_set_given_at_birth_is_replaced_taken_from_and_emptied() {
    let (a, b) = (
        replica_of::<document::Entity>("a").await,
        replica_of::<document::Entity>("b").await,
    );
    for id in ["emptied", "replaced", "taken from"] {
        let doc = document::ActiveModel {
            tags: Set(numbered("old")),
            ..draft(id)
        };
        doc.insert(&a).await.unwrap();
    }
    carry(&a, &b, TABLES).await;

    for (id, tags) in [("emptied", OrSet::new()), ("replaced", numbered("new"))] {
        let doc = document::ActiveModel {
            id: Unchanged(id.to_owned()),
            tags: Set(tags),
            ..Default::default()
        };
        doc.update(&a).await.unwrap();
    }
    let doc = document::Entity::find_by_id("taken from")
        .one(&a)
        .await
        .unwrap()
        .unwrap();
    let mut doc = doc.into_active_model();
    let mut left = doc.tags.take().unwrap();
    for tag in numbered("old").iter().filter(|tag| *tag != "old 1") {
        assert!(left.remove(tag), "{tag}");
    }
    doc.tags = Set(left);
    doc.update(&a).await.unwrap();
    carry(&a, &b, TABLES).await;

    for replica in [&a, &b] {
        let docs = document::Entity::find().all(replica).await.unwrap();
        let tags: HashMap<_, _> = docs.into_iter().map(|doc| (doc.id, doc.tags)).collect();
        assert!(tags["emptied"].is_empty());
        assert!(tags["replaced"] == numbered("new"));
        assert_eq!(tags["taken from"], OrSet::from(["old 1".to_owned()]));
        assert_agrees::<document::Entity, _>(replica).await;
    }
    assert!(cells(&a, "documents").await == cells(&b, "documents").await);
}
