//! JSON has a null of its own, which is another value than no value.

use grove_crdt::Replica;
use grove_crdt_tests::{cells, replica_of};
use sea_orm::{
    ActiveValue::Set, EntityTrait, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, prelude::*, sea_query::Expr,
};
use serde_json::{Value as Json, json};

use crate::merge::support::{carry, changes_of};

mod noted {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "noted")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub note: Option<Json>,
        #[sea_orm(column_type = "JsonBinary", nullable)]
        #[crdt(lww)]
        pub binary: Option<Json>,
        #[crdt(lww)]
        pub always: Json,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

const TABLES: &[&str] = &["noted"];

/// Each is another value.
fn values() -> Vec<Option<Json>> {
    let mark = |inner: Json| json!({ "$json": inner });
    vec![
        None,
        Some(Json::Null),
        Some(mark(Json::Null)),
        Some(mark(mark(Json::Null))),
        Some(mark(json!(1))),
        Some(json!({ "$json": null, "more": null })),
        Some(json!([null])),
        Some(json!("null")),
    ]
}

fn row(id: usize, note: Option<Json>) -> noted::Model {
    noted::Model {
        id: format!("n-{id}"),
        binary: note.clone(),
        always: note.clone().unwrap_or_default(),
        note,
    }
}

async fn rows(replica: &Replica) -> Vec<noted::Model> {
    let rows = noted::Entity::find().order_by_asc(noted::Column::Id);
    rows.all(replica).await.unwrap()
}

async fn assert_no_edit(replica: &Replica) {
    let before = cells(replica, "noted").await;
    let found = replica.adopt::<noted::Entity>().await.unwrap();
    assert_eq!((found.adopted, found.changed, found.deleted), (0, 0, 0), "{found}");
    for row in rows(replica).await {
        row.into_active_model().reset_all().update(replica).await.unwrap();
    }
    assert_eq!(cells(replica, "noted").await, before);
}

/// What is born, changed and adopted arrives as what it was.
#[apply(on_each_database!)]
async fn the_null_of_json_arrives_as_itself() {
    let [a, b] = [
        replica_of::<noted::Entity>("a").await,
        replica_of::<noted::Entity>("b").await,
    ];
    let mut models: Vec<_> = values()
        .into_iter()
        .enumerate()
        .map(|(id, note)| row(id, note))
        .collect();
    for model in &models {
        model.clone().into_active_model().reset_all().insert(&a).await.unwrap();
    }
    carry(&a, &b, TABLES).await;
    assert_eq!(rows(&a).await, models);
    assert_eq!(rows(&b).await, models);

    // Each takes another's values.
    let count = models.len();
    for (id, model) in models.iter_mut().enumerate() {
        *model = row(id, values().swap_remove((id + 1) % count));
        model.clone().into_active_model().reset_all().update(&b).await.unwrap();
    }
    carry(&b, &a, TABLES).await;
    assert_eq!(rows(&a).await, models);
    assert_eq!(rows(&b).await, models);
    assert_eq!(cells(&a, "noted").await, cells(&b, "noted").await);
    for replica in [&a, &b] {
        assert_no_edit(replica).await;
    }
    for change in changes_of(&a, TABLES)
        .await
        .iter()
        .filter(|change| change["field"] == "note")
    {
        let inspected = a
            .inspect::<noted::Entity>(change["pk"].as_str().unwrap())
            .await
            .unwrap();
        assert_eq!(inspected.fields[0].value, change["value"]);
    }

    // By statements that nobody announces, and behind the replica's back.
    for (id, note) in [("n-0", json!(2)), ("n-1", Json::Null)] {
        let update = noted::Entity::update_many()
            .col_expr(noted::Column::Note, Expr::val(Some(note)))
            .filter(noted::Column::Id.eq(id));
        update.exec(&a).await.unwrap();
    }
    for (id, note) in [("n-2", None), ("n-3", Some(Json::Null))] {
        let change = noted::ActiveModel {
            id: Set(id.to_owned()),
            note: Set(note),
            ..Default::default()
        };
        noted::Entity::update(change).exec(&a.untracked()).await.unwrap();
    }
    let adopted = a.adopt::<noted::Entity>().await.unwrap();
    assert_eq!((adopted.adopted, adopted.changed), (0, 2), "{adopted}");
    models[0].note = Some(json!(2));
    models[1].note = Some(Json::Null);
    models[2].note = None;
    models[3].note = Some(Json::Null);
    carry(&a, &b, TABLES).await;
    assert_eq!(rows(&a).await, models);
    assert_eq!(rows(&b).await, models);
}

/// What was written by a version that knew one null only.
#[apply(on_each_database!)]
async fn a_plain_null_is_taken_for_no_value_where_a_column_can_have_none() {
    let replica = replica_of::<noted::Entity>("b").await;
    let birth = json!({ "lww": { "note": null, "binary": null, "always": null } });
    let change = json!({
        "table": "noted", "pk": "n-0", "field": "", "crdt_type": "record", "epoch": 1, "node_id": "a",
        "hlc": { "ts": grove_crdt_tests::START, "c": 0, "node": "a" }, "value": birth,
    });
    let response = crate::merge::support::push_as("a", "the-database-of-a", &replica, &[change]).await;
    assert_eq!(response.rejected, []);
    let rows = noted::Entity::find().all(&replica).await.unwrap();
    assert_eq!(rows, [row(0, None)]);
}
