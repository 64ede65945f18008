//! Primary keys of every sort, and changes of them.

use grove_crdt::Replica;
use grove_crdt_tests::{assert_agrees, backend, cells, create_table, entities::document, new_database, replica_of};
use sea_orm::{
    ActiveValue::{NotSet, Set, Unchanged},
    ConnectionTrait, DbBackend, EntityTrait, ExprTrait as _, IntoActiveModel, ModelTrait, QueryFilter,
    TransactionSession, TransactionTrait,
    sea_query::Expr,
};

use super::{documents, draft, epochs, execute, sql};

mod seat {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    /// A composite key, renamed columns.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "Seat Map")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub row: i32,
        #[sea_orm(primary_key, auto_increment = false, column_name = "the place")]
        #[serde(rename = "the place")]
        pub place: String,
        #[sea_orm(column_name = "order")]
        #[serde(rename = "order")]
        #[crdt(lww)]
        pub name: String,
        #[sea_orm(column_name = "Visits")]
        #[serde(rename = "Visits")]
        #[crdt(counter)]
        pub visits: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod ticket {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "tickets")]
    #[crdt(allow_auto_increment)]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[crdt(lww)]
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

async fn seats() -> Replica {
    replica_of::<seat::Entity>("node-1").await
}

fn seat(row: i32, place: &str) -> seat::ActiveModel {
    seat::ActiveModel {
        row: Set(row),
        place: Set(place.into()),
        name: Set("n".into()),
        visits: Set(1),
    }
}

#[apply(on_each_database!)]
async fn composite_keys_and_renamed_columns_by_active_models() {
    let replica = seats().await;
    let one = seat(1, "a \"x\"").insert(&replica).await.unwrap();
    seat(2, "a").insert(&replica).await.unwrap();
    seat::ActiveModel {
        name: Set("other".into()),
        visits: Set(5),
        ..one.into_active_model()
    }
    .update(&replica)
    .await
    .unwrap();
    seat::ActiveModel::increment_visits(&replica, (2, "a".to_owned()), 2)
        .await
        .unwrap();
    assert_agrees::<seat::Entity, _>(&replica).await;
    let keys: Vec<_> = epochs(&replica, "Seat Map")
        .await
        .into_iter()
        .map(|(pk, _)| pk)
        .collect();
    assert_eq!(keys, [r#"[1,"a \"x\""]"#, r#"[2,"a"]"#]);
    seat::Entity::find_by_id((2, "a".to_owned()))
        .one(&replica)
        .await
        .unwrap()
        .unwrap()
        .delete(&replica)
        .await
        .unwrap();
    assert_agrees::<seat::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn composite_keys_and_renamed_columns_by_other_writes() {
    let replica = seats().await;
    let rows = [(1, "a"), (1, "b"), (2, "a")].map(|(row, place)| seat(row, place));
    seat::Entity::insert_many(rows).exec(&replica).await.unwrap();
    seat::Entity::update_many()
        .col_expr(seat::Column::Visits, Expr::col(seat::Column::Visits).add(4))
        .filter(sea_orm::ColumnTrait::eq(&seat::Column::Row, 1))
        .exec(&replica)
        .await
        .unwrap();
    execute(
        &replica,
        r#"UPDATE "Seat Map" AS s SET "order" = ? WHERE s."the place" = ?"#,
        ["q".into(), "a".into()],
    )
    .await;
    assert_agrees::<seat::Entity, _>(&replica).await;
    seat::Entity::delete_by_id((1, "a".to_owned()))
        .exec(&replica)
        .await
        .unwrap();
    assert_agrees::<seat::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn a_changed_key_is_a_delete_and_a_birth() {
    let replica = documents().await;
    document::Entity::insert_many(["a", "b"].map(draft))
        .exec(&replica)
        .await
        .unwrap();
    execute(
        &replica,
        "UPDATE documents SET id = ? || id, title = 'moved' WHERE id = ?",
        ["new-".into(), "a".into()],
    )
    .await;
    assert_agrees::<document::Entity, _>(&replica).await;
    let expected = [("a", 2), ("b", 1), ("new-a", 1)].map(|(pk, epoch)| (pk.to_owned(), epoch));
    assert_eq!(epochs(&replica, "documents").await, expected);
    document::Entity::update_many()
        .col_expr(document::Column::Id, Expr::val("a"))
        .filter(sea_orm::ColumnTrait::eq(&document::Column::Id, "b"))
        .exec(&replica)
        .await
        .unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    let expected = [("a", 3), ("b", 2), ("new-a", 1)].map(|(pk, epoch)| (pk.to_owned(), epoch));
    assert_eq!(epochs(&replica, "documents").await, expected);
}

#[apply(on_each_database!)]
async fn keys_that_move_up_one_by_one() {
    let replica = seats().await;
    for row in [1, 2, 3] {
        seat::ActiveModel {
            name: Set(row.to_string()),
            ..seat(row, "a")
        }
        .insert(&replica)
        .await
        .unwrap();
    }
    // From the top, so that no key is taken when it is given; SQLite checks row by row.
    let tx = replica.begin().await.unwrap();
    for row in [3, 2, 1] {
        execute(
            &tx,
            r#"UPDATE "Seat Map" SET "row" = "row" + 1 WHERE "row" = ?"#,
            [row.into()],
        )
        .await;
        assert_agrees::<seat::Entity, _>(&tx).await;
    }
    tx.commit().await.unwrap();
    assert_agrees::<seat::Entity, _>(&replica).await;
    execute(&replica, r#"UPDATE "Seat Map" SET "row" = -"row""#, []).await;
    assert_agrees::<seat::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn keys_that_the_database_makes() {
    let replica = replica_of::<ticket::Entity>("node-1").await;
    let ticket = |title: &str| ticket::ActiveModel {
        id: NotSet,
        title: Set(title.to_owned()),
    };
    let one = ticket("one").insert(&replica).await.unwrap();
    let saved = ticket("two").save(&replica).await.unwrap();
    assert_eq!((one.id, saved.id), (1, Unchanged(2)));
    ticket::Entity::insert(ticket("three")).exec(&replica).await.unwrap();
    ticket::Entity::insert(ticket("four"))
        .exec_without_returning(&replica)
        .await
        .unwrap();
    execute(&replica, "INSERT INTO tickets (title) VALUES ('nine')", []).await;
    let several = backend().support_returning();
    // Without RETURNING there is no telling which keys were given to several rows.
    if several {
        ticket::Entity::insert_many([ticket("five"), ticket("six")])
            .exec(&replica)
            .await
            .unwrap();
        let rows = ticket::Entity::insert_many([ticket("seven"), ticket("eight")])
            .exec_with_returning(&replica)
            .await
            .unwrap();
        assert_eq!(rows[1].id, rows[0].id + 1);
    }
    assert_agrees::<ticket::Entity, _>(&replica).await;
    let expected = if several { 9 } else { 5 };
    assert_eq!(epochs(&replica, "tickets").await.len(), expected);
}

/// A key bound as a null is one that the database makes; the row went by unseen. To PostgreSQL a null is a null.
/// Not on PostgreSQL, where a null key is refused.
#[apply(on_sqlite_and_mysql!)]
async fn a_null_key_is_one_that_the_database_makes() {
    let replica = replica_of::<ticket::Entity>("node-1").await;
    execute(
        &replica,
        "INSERT INTO tickets (id, title) VALUES (?, ?)",
        [sea_orm::Value::Int(None), "one".into()],
    )
    .await;
    assert_agrees::<ticket::Entity, _>(&replica).await;
    execute(&replica, "INSERT INTO tickets VALUES (NULL, 'two')", []).await;
    assert_agrees::<ticket::Entity, _>(&replica).await;
    assert_eq!(epochs(&replica, "tickets").await.len(), 2);
    if backend().support_returning() {
        let both = sql(
            "INSERT INTO tickets VALUES (NULL, 'three'), (7, 'seven') RETURNING id",
            [],
        );
        replica.query_all_raw(both).await.unwrap();
        assert_agrees::<ticket::Entity, _>(&replica).await;
        assert_eq!(epochs(&replica, "tickets").await.len(), 4);
    }
}

#[apply(on_each_database!)]
async fn several_keys_that_nobody_tells_are_refused() {
    let replica = replica_of::<ticket::Entity>("node-1").await;
    let listed = "INSERT INTO tickets (title) VALUES ('a'), ('b')";
    let queried = "INSERT INTO tickets (title) SELECT 'a' UNION SELECT 'b'";
    let null = "INSERT INTO tickets SELECT NULL, 'a' UNION SELECT NULL, 'b'";
    let texts = match backend() {
        DbBackend::Sqlite => vec![listed, queried, null],
        DbBackend::Postgres => vec![listed, queried],
        // MySQL tells the first key of a list of rows, and gives the others those that follow it.
        _ => {
            execute(&replica, listed, []).await;
            assert_eq!(epochs(&replica, "tickets").await.len(), 2);
            assert_agrees::<ticket::Entity, _>(&replica).await;
            ticket::Entity::delete_many().exec(&replica).await.unwrap();
            vec![queried, null]
        }
    };
    let before = cells(&replica, "tickets").await;
    for text in texts {
        let error = replica.execute_raw(sql(text, [])).await.expect_err(text).to_string();
        assert!(error.contains("whose keys the database makes"), "{text}: {error}");
        let tx = replica.begin().await.unwrap();
        tx.execute_raw(sql(text, [])).await.unwrap_err();
        tx.commit().await.unwrap();
    }
    assert_eq!(cells(&replica, "tickets").await, before);
    assert!(ticket::Entity::find().all(&replica).await.unwrap().is_empty());
}

#[apply(on_each_database!)]
async fn two_tables_written_in_one_transaction() {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    create_table(&db, seat::Entity).await.unwrap();
    let replica = grove_crdt_tests::builder("n")
        .0
        .entity::<document::Entity>()
        .entity::<seat::Entity>();
    let replica = replica.open(db).await.unwrap();
    let tx = replica.begin().await.unwrap();
    draft("a").insert(&tx).await.unwrap();
    seat(1, "a").insert(&tx).await.unwrap();
    execute(
        &tx,
        "UPDATE documents SET view_count = (SELECT sum(\"Visits\") FROM \"Seat Map\")",
        [],
    )
    .await;
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_agrees::<seat::Entity, _>(&replica).await;
}

/// A key that the database finds by another text than its own: the write was recorded for a row that there is not.
#[apply(on_each_database!)]
async fn a_key_that_is_found_whatever_its_case() {
    let db = new_database().await;
    let collation = match backend() {
        DbBackend::MySql => "utf8mb4_general_ci",
        _ => "NOCASE",
    };
    if backend() == DbBackend::Postgres {
        let create = "CREATE COLLATION NOCASE (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
        super::run_all(&db, &[create]).await;
    }
    let table = format!(
        "CREATE TABLE documents (id TEXT COLLATE {collation} PRIMARY KEY NOT NULL, title TEXT NOT NULL,
            view_count BIGINT NOT NULL, tags JSON_TEXT NOT NULL, author TEXT)"
    );
    super::run_all(&db, &[&table]).await;
    let replica = grove_crdt_tests::builder("n")
        .0
        .entity::<document::Entity>()
        .open(db)
        .await
        .unwrap();
    draft("Key").insert(&replica).await.unwrap();
    let change = |title: &str| document::ActiveModel {
        id: Unchanged("kEY".into()),
        title: Set(title.to_owned()),
        ..Default::default()
    };
    change("one").update(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    change("two").update_without_returning(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    document::ActiveModel::increment_view_count(&replica, "KEY", 1)
        .await
        .unwrap();
    execute(
        &replica,
        "UPDATE documents SET view_count = view_count + 1 WHERE id = 'key'",
        [],
    )
    .await;
    let upsert =
        "INSERT INTO documents VALUES ('key', 'x', 0, '[]', NULL) ON CONFLICT (id) DO UPDATE SET title = 'three'";
    execute(&replica, upsert, []).await;
    assert_agrees::<document::Entity, _>(&replica).await;
    draft("key").delete(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(epochs(&replica, "documents").await, [("Key".to_owned(), 2)]);
}
