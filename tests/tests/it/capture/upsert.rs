//! Inserts with a conflict clause: new rows are born, rows in conflict change.

use grove_crdt::Replica;
use grove_crdt_tests::{assert_agrees, backend, builder, cells, entities::document, new_database};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbBackend, EntityTrait, TryInsertResult, sea_query::OnConflict};
use serde_json::json;

use super::{documents, draft, epochs, execute, field, run_all, sql};

mod user {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "users")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[sea_orm(unique)]
        #[crdt(lww)]
        pub email: Option<String>,
        #[crdt(counter)]
        pub logins: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

async fn users() -> Replica {
    let db = new_database().await;
    let table = "CREATE TABLE users (id TEXT PRIMARY KEY NOT NULL, email TEXT UNIQUE DEFAULT 'none', logins BIGINT NOT NULL DEFAULT 0)";
    run_all(&db, &[table]).await;
    builder("node-1").0.entity::<user::Entity>().open(db).await.unwrap()
}

fn user(id: &str, email: Option<&str>) -> user::ActiveModel {
    user::ActiveModel {
        id: Set(id.into()),
        email: Set(email.map(str::to_owned)),
        logins: Set(1),
    }
}

fn titled(id: &str, title: &str) -> document::ActiveModel {
    document::ActiveModel {
        title: Set(title.to_owned()),
        ..draft(id)
    }
}

#[apply(on_each_database!)]
async fn do_nothing_leaves_what_is_there() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    // MySQL knows no other way to do nothing than to set the key to what it is.
    let conflict = match backend() {
        DbBackend::MySql => OnConflict::column(document::Column::Id)
            .do_nothing_on([document::Column::Id])
            .to_owned(),
        _ => OnConflict::column(document::Column::Id).do_nothing().to_owned(),
    };
    let rows = ["a", "b"].map(|id| titled(id, "new"));
    document::Entity::insert_many(rows)
        .on_conflict(conflict.clone())
        .exec_without_returning(&replica)
        .await
        .unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(field(&replica, "a", "title").await, json!("title of a"));
    assert_eq!(field(&replica, "b", "title").await, json!("new"));
    let before = cells(&replica, "documents").await;
    let again = document::Entity::insert(titled("a", "again"))
        .on_conflict(conflict)
        .try_insert()
        .exec(&replica)
        .await;
    // MySQL takes a row that it has left as it was for one that it has inserted.
    let conflicted = matches!(again, Ok(TryInsertResult::Conflicted));
    assert!(conflicted || backend() == DbBackend::MySql, "{again:?}");
    let ignore = match backend() {
        DbBackend::MySql => "INSERT IGNORE INTO documents VALUES ('a', 'ignored', 0, '[]', NULL)",
        DbBackend::Postgres => "INSERT INTO documents VALUES ('a', 'ignored', 0, '[]', NULL) ON CONFLICT DO NOTHING",
        _ => "INSERT OR IGNORE INTO documents VALUES ('a', 'ignored', 0, '[]', NULL)",
    };
    execute(&replica, ignore, []).await;
    assert_eq!(cells(&replica, "documents").await, before);
}

#[apply(on_each_database!)]
async fn do_update_changes_what_is_there() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let both = match backend() {
        DbBackend::MySql => "documents.view_count + VALUES(view_count)",
        _ => "documents.view_count + excluded.view_count",
    };
    let conflict = OnConflict::column(document::Column::Id)
        .update_columns([document::Column::Title])
        .value(document::Column::ViewCount, sea_orm::sea_query::Expr::cust(both))
        .to_owned();
    let rows = ["a", "b"].map(|id| titled(id, "new"));
    document::Entity::insert_many(rows)
        .on_conflict(conflict.clone())
        .exec(&replica)
        .await
        .unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    let shown = replica.inspect::<document::Entity>("a").await.unwrap().to_string();
    assert!(shown.contains("20 [node-1: +20 -0]"), "{shown}");
    assert_eq!(field(&replica, "a", "title").await, json!("new"));
    assert!(epochs(&replica, "documents").await.iter().all(|(_, epoch)| *epoch == 1));
    let row = document::Entity::insert(titled("a", "newer"))
        .on_conflict(conflict)
        .exec_with_returning(&replica)
        .await;
    assert_eq!(row.unwrap().view_count, 30);
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn a_conflict_of_another_unique_column_changes_that_row() {
    let replica = users().await;
    user("a", Some("a@x")).insert(&replica).await.unwrap();
    let conflict = OnConflict::column(user::Column::Email)
        .value(user::Column::Logins, sea_orm::sea_query::Expr::cust("users.logins + 1"))
        .to_owned();
    let rows = [user("b", Some("a@x")), user("c", Some("c@x"))];
    user::Entity::insert_many(rows)
        .on_conflict(conflict)
        .exec_without_returning(&replica)
        .await
        .unwrap();
    assert_agrees::<user::Entity, _>(&replica).await;
    let known: Vec<_> = epochs(&replica, "users").await.into_iter().map(|(pk, _)| pk).collect();
    assert_eq!(known, ["a", "c"]);
}

/// When one of several inserted rows had a null in the unique column, none was looked up, and the update of a row that
/// another of them met was not recorded.
#[apply(on_each_database!)]
async fn a_null_in_one_row_hides_no_conflict_of_another() {
    let replica = users().await;
    user("a", Some("a@x")).insert(&replica).await.unwrap();
    let upsert = "INSERT INTO users (id, email, logins) VALUES ('n', NULL, 1), ('b', 'a@x', 1), ('m', ?, 2) \
                  ON CONFLICT (email) DO UPDATE SET logins = users.logins + 1";
    execute(&replica, upsert, [sea_orm::Value::String(None)]).await;
    assert_agrees::<user::Entity, _>(&replica).await;
    let row = user::Entity::find_by_id("a").one(&replica).await.unwrap().unwrap();
    assert_eq!(row.logins, 2);
}

/// A column in conflict that was left to its default was taken for a null.
#[apply(on_each_database!)]
async fn a_conflict_over_a_default_is_refused() {
    let replica = users().await;
    user("a", Some("none")).insert(&replica).await.unwrap();
    let before = cells(&replica, "users").await;
    let upsert = "INSERT INTO users (id) VALUES ('b') ON CONFLICT (email) DO UPDATE SET logins = 9";
    match replica.execute_raw(sql(upsert, [])).await {
        // MySQL names no columns in conflict, so that none can be left out; the row is found in another way, or not at all.
        Ok(_) => assert_eq!(backend(), DbBackend::MySql),
        Err(error) => {
            assert!(error.to_string().contains("default"), "{error}");
            assert_eq!(cells(&replica, "users").await, before);
        }
    }
    assert_agrees::<user::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn upserts_that_cannot_be_followed_are_refused() {
    let replica = users().await;
    user("a", Some("a@x")).insert(&replica).await.unwrap();
    let common = [
        (
            "INSERT INTO users VALUES ('b', 'a@x', 0) ON CONFLICT (email) DO UPDATE SET id = 'c'",
            "changes the key",
        ),
        ("INSERT INTO users VALUES ('x' || 'y', 'e', 0)", "computed key"),
    ];
    let replace = ("REPLACE INTO users VALUES ('b', 'a@x', 0)", "REPLACE");
    let no_columns = (
        "INSERT INTO users VALUES ('a', 'z', 0) ON CONFLICT DO UPDATE SET logins = 5",
        "columns in conflict",
    );
    let own = match backend() {
        DbBackend::MySql => vec![replace, ("INSERT INTO users SELECT hex(rand()), 'e', 0", "random")],
        DbBackend::Postgres => vec![
            no_columns,
            ("INSERT INTO users SELECT md5(random()::text), 'e', 0", "random"),
        ],
        _ => vec![
            replace,
            ("INSERT OR REPLACE INTO users VALUES ('b', 'a@x', 0)", "REPLACE"),
            no_columns,
            ("INSERT INTO users SELECT hex(randomblob(4)), 'e', 0", "random"),
        ],
    };
    for (text, says) in common.into_iter().chain(own) {
        let error = replica.execute_raw(sql(text, [])).await.expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert!(error.contains("untracked()"), "{text}: {error}");
        assert_agrees::<user::Entity, _>(&replica).await;
        assert_eq!(user::Entity::find().all(&replica).await.unwrap().len(), 1, "{text}");
    }
}

#[apply(on_each_database!)]
async fn an_upsert_from_a_query() {
    let replica = users().await;
    for (id, email) in [("a", "a@x"), ("b", "b@x")] {
        user(id, Some(email)).insert(&replica).await.unwrap();
    }
    let upsert = "INSERT INTO users (id, email, logins) SELECT id || ?, email, 7 FROM users WHERE id < ? UNION ALL SELECT 'n', NULL, 1 \
                  ON CONFLICT (email) DO UPDATE SET logins = excluded.logins";
    let result = replica.execute_raw(sql(upsert, ["2".into(), "b".into()])).await;
    // SQLite takes `ON` for a join unless the query has a WHERE at its end.
    if result.is_err() {
        let upsert = "INSERT INTO users (id, email, logins) SELECT id || ?, email, 7 FROM users WHERE id < ? \
                      ON CONFLICT (email) DO UPDATE SET logins = excluded.logins";
        execute(&replica, upsert, ["2".into(), "b".into()]).await;
    }
    assert_agrees::<user::Entity, _>(&replica).await;
    assert_eq!(
        user::Entity::find_by_id("a")
            .one(&replica)
            .await
            .unwrap()
            .unwrap()
            .logins,
        7
    );
}
