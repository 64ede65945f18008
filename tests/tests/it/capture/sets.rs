//! Sets: those that remember their steps, and plain JSON arrays.

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{assert_agrees, backend, cells, entities::document, replica_of};
use sea_orm::{
    ActiveValue::Set, ActiveValue::Unchanged, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter,
    TransactionSession, TransactionTrait, sea_query::Expr,
};
use serde_json::{Value as Json, json};

use super::{documents, draft, execute, field, sql};

mod labelled {
    use grove_crdt::Crdt;
    use sea_orm::{FromJsonQueryResult, entity::prelude::*};
    use serde::{Deserialize, Serialize};

    /// A user's own JSON array.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
    pub struct Labels(pub Vec<String>);

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Crdt)]
    #[sea_orm(table_name = "labelled")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(set)]
        pub labels: Labels,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

use labelled::Labels;

fn labels(labels: &[&str]) -> Labels {
    Labels(labels.iter().map(|label| (*label).to_owned()).collect())
}

/// The array in a column, in its order.
async fn stored(replica: &Replica, table: &str, column: &str) -> Json {
    let text = if backend() == DbBackend::MySql { "CHAR" } else { "TEXT" };
    let query = format!("SELECT CAST({column} AS {text}) FROM {table} ORDER BY id LIMIT 1");
    let row = replica.query_one_raw(sql(&query, [])).await.unwrap().unwrap();
    serde_json::from_str(&row.try_get_by_index::<String>(0).unwrap()).unwrap()
}

/// An array as raw SQL binds it: PostgreSQL takes no text for it.
fn array(text: &str) -> sea_orm::Value {
    if backend() == DbBackend::Postgres {
        serde_json::from_str::<Json>(text).unwrap().into()
    } else {
        text.into()
    }
}

async fn tags(replica: &Replica) -> Json {
    assert_agrees::<document::Entity, _>(replica).await;
    field(replica, "a", "tags").await
}

#[apply(on_each_database!)]
async fn a_stale_set_adds_and_removes_only_what_was_done_to_it() {
    let replica = documents().await;
    let stale = draft("a").insert(&replica).await.unwrap();
    let change = |add: &str, remove: &str| {
        let mut tags = stale.tags.clone();
        tags.insert(add.to_owned());
        tags.remove(&remove.to_owned());
        document::ActiveModel {
            tags: Set(tags),
            ..stale.clone().into_active_model()
        }
    };
    change("c", "a").update(&replica).await.unwrap();
    let saved = change("d", "none").update(&replica).await.unwrap();
    assert_eq!(saved.tags, OrSet::from(["b", "c", "d"].map(String::from)));
    assert_eq!(tags(&replica).await, json!(["b", "c", "d"]));
    change("a", "b").update_without_returning(&replica).await.unwrap();
    assert_eq!(tags(&replica).await, json!(["a", "c", "d"]));
}

#[apply(on_each_database!)]
async fn steps_of_one_transaction_add_up() {
    let replica = documents().await;
    let stale = draft("a").insert(&replica).await.unwrap();
    let tx = replica.begin().await.unwrap();
    for (add, remove) in [("c", "a"), ("a", "c"), ("d", "b")] {
        let mut tags = stale.tags.clone();
        tags.insert(add.to_owned());
        tags.remove(&remove.to_owned());
        let change = document::ActiveModel {
            tags: Set(tags),
            ..stale.clone().into_active_model()
        };
        change.update(&tx).await.unwrap();
        assert_agrees::<document::Entity, _>(&tx).await;
    }
    tx.commit().await.unwrap();
    assert_eq!(tags(&replica).await, json!(["a", "c", "d"]));
}

#[apply(on_each_database!)]
async fn a_set_made_anew_is_made_so() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let change = document::ActiveModel {
        id: Unchanged("a".into()),
        tags: Set(OrSet::from(["z", "b"].map(String::from))),
        ..Default::default()
    };
    change.update(&replica).await.unwrap();
    assert_eq!(tags(&replica).await, json!(["b", "z"]));
    let removed = cells(&replica, "documents").await;
    assert!(
        removed
            .iter()
            .any(|cell| cell.contains("\"a\"") && cell.contains("rem")),
        "{removed:?}"
    );
}

#[apply(on_each_database!)]
async fn an_array_type_of_the_users_own_is_put_in_order_and_made_so() {
    let replica = replica_of::<labelled::Entity>("node-1").await;
    let row = labelled::ActiveModel {
        id: Set("a".into()),
        labels: Set(labels(&["z", "b", "z", "a"])),
    };
    let row = row.insert(&replica).await.unwrap();
    assert_eq!(row.labels, labels(&["a", "b", "z"]));
    assert_eq!(stored(&replica, "labelled", "labels").await, json!(["a", "b", "z"]));
    labelled::ActiveModel {
        labels: Set(labels(&["y", "a"])),
        ..row.into_active_model()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_agrees::<labelled::Entity, _>(&replica).await;
    assert_eq!(stored(&replica, "labelled", "labels").await, json!(["a", "y"]));
}

#[apply(on_each_database!)]
async fn raw_sql_writes_a_set_in_order_too() {
    let replica = documents().await;
    let insert = "INSERT INTO documents (id, title, view_count, tags) VALUES ('a', '', 0, ?)";
    execute(&replica, insert, [array(r#"["b","a", "b"]"#)]).await;
    assert_eq!(stored(&replica, "documents", "tags").await, json!(["a", "b"]));
    assert_eq!(tags(&replica).await, json!(["a", "b"]));
    let update = r#"UPDATE documents SET tags = '["d","c"]' WHERE id = 'a'"#;
    execute(&replica, update, []).await;
    assert_eq!(stored(&replica, "documents", "tags").await, json!(["c", "d"]));
    assert_eq!(tags(&replica).await, json!(["c", "d"]));
    let nested = match backend() {
        DbBackend::Postgres => r#"UPDATE documents SET tags = tags::jsonb || '["a"]' WHERE id = 'a'"#,
        DbBackend::MySql => "UPDATE documents SET tags = json_array_append(tags, '$', 'a') WHERE id = 'a'",
        _ => "UPDATE documents SET tags = json_insert(tags, '$[#]', 'a') WHERE id = 'a'",
    };
    execute(&replica, nested, []).await;
    assert_eq!(tags(&replica).await, json!(["a", "c", "d"]));
}

#[apply(on_each_database!)]
async fn an_array_that_a_statement_binds_is_put_in_order_too() {
    let replica = replica_of::<labelled::Entity>("node-1").await;
    execute(&replica, r#"INSERT INTO labelled VALUES ('a', '["b"]')"#, []).await;
    labelled::Entity::update_many()
        .col_expr(labelled::Column::Labels, Expr::val(array(r#"["d","c"]"#)))
        .filter(sea_orm::ColumnTrait::eq(&labelled::Column::Id, "a"))
        .exec(&replica)
        .await
        .unwrap();
    assert_agrees::<labelled::Entity, _>(&replica).await;
    assert_eq!(stored(&replica, "labelled", "labels").await, json!(["c", "d"]));
}

#[apply(on_each_database!)]
async fn what_is_no_array_is_refused_and_nothing_written() {
    let replica = replica_of::<labelled::Entity>("node-1").await;
    execute(&replica, r#"INSERT INTO labelled VALUES ('a', '["b"]')"#, []).await;
    let before = cells(&replica, "labelled").await;
    for bad in [array(r#"{"a":1}"#), "not json".into()] {
        let update = sql("UPDATE labelled SET labels = ?", [bad]);
        replica.execute_raw(update).await.unwrap_err();
    }
    assert_eq!(cells(&replica, "labelled").await, before);
    assert_eq!(stored(&replica, "labelled", "labels").await, json!(["b"]));
}

/// Reordering went row by row.
#[apply(on_each_database!)]
async fn rows_are_put_in_order_set_wise() {
    let (db, statements) = grove_crdt_tests::Statements::of_new_database().await;
    grove_crdt_tests::create_table(&db, labelled::Entity).await.unwrap();
    let replica = grove_crdt_tests::builder("n")
        .0
        .entity::<labelled::Entity>()
        .open(db)
        .await
        .unwrap();
    let mut counts = Vec::new();
    for (prefix, rows) in [("a", 5), ("b", 500)] {
        statements.take();
        let rows = (0..rows).map(|n| labelled::ActiveModel {
            id: Set(format!("{prefix}{n}")),
            labels: Set(labels(&["z", "a"])),
        });
        labelled::Entity::insert_many(rows)
            .exec_without_returning(&replica)
            .await
            .unwrap();
        counts.push(statements.take().len());
        assert_agrees::<labelled::Entity, _>(&replica).await;
    }
    assert_eq!(stored(&replica, "labelled", "labels").await, json!(["a", "z"]));
    assert_eq!(counts[0], counts[1], "{counts:?}");
}
