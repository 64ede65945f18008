//! Statements that no hook has seen bind a value of a counter or set, and not what was done to it.

use grove_crdt_tests::{assert_agrees, backend, cells, run_all};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::Set,
    ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryFilter, TransactionSession, TransactionTrait,
    Value,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};

use super::{board, boards, draft, others_work, read, recorded};
use crate::capture::{execute, refused, sql};

/// What was read of `a`, with a step each.
fn stepped(stale: &board::Model) -> board::ActiveModel {
    let (mut views, mut tags) = (stale.views, stale.tags.clone());
    views += 1;
    tags.insert("w".to_owned());
    board::ActiveModel {
        views: Set(views),
        tags: Set(tags),
        ..stale.clone().into_active_model()
    }
}

fn only_views(stale: &board::Model) -> board::ActiveModel {
    board::ActiveModel {
        tags: stale.clone().into_active_model().tags,
        ..stepped(stale)
    }
}

fn only_tags(stale: &board::Model) -> board::ActiveModel {
    board::ActiveModel {
        views: stale.clone().into_active_model().views,
        ..stepped(stale)
    }
}

/// As the database takes an array that is bound.
fn array(text: &str) -> Value {
    match backend() {
        DbBackend::Postgres => serde_json::from_str::<serde_json::Value>(text).unwrap().into(),
        _ => text.into(),
    }
}

async fn statement<C: ConnectionTrait>(conn: &C, which: usize, stale: &board::Model) -> Result<(), DbErr> {
    let by_id = || OnConflict::column(board::Column::Id);
    let whole = || stepped(stale).reset_all();
    let raw = |text: &str, value: Value| {
        let statement = sql(text, [value]);
        async move { conn.execute_raw(statement).await.map(drop) }
    };
    let excluded = |column: &str| match backend() {
        DbBackend::MySql => format!("VALUES({column})"),
        _ => format!("excluded.{column}"),
    };
    match which {
        0 => board::Entity::update(only_views(stale)).exec(conn).await.map(drop),
        1 => board::Entity::update(only_tags(stale)).exec(conn).await.map(drop),
        2 => board::Entity::update_many()
            .set(only_views(stale))
            .exec(conn)
            .await
            .map(drop),
        3 => board::Entity::update_many()
            .set(only_tags(stale))
            .exec(conn)
            .await
            .map(drop),
        4 => board::Entity::update_many()
            .col_expr(board::Column::Views, Expr::val(stale.views))
            .exec(conn)
            .await
            .map(drop),
        5 => board::Entity::insert(whole())
            .on_conflict(by_id().update_columns([board::Column::Note, board::Column::Views]).to_owned())
            .exec_without_returning(conn)
            .await
            .map(drop),
        6 => board::Entity::insert_many([draft("new", 0, []), whole()])
            .on_conflict(by_id().update_column(board::Column::Tags).to_owned())
            .exec_without_returning(conn)
            .await
            .map(drop),
        7 => board::Entity::insert(whole())
            .on_conflict(by_id().value(board::Column::Views, Expr::val(6)).to_owned())
            .exec_without_returning(conn)
            .await
            .map(drop),
        8 => board::Entity::insert(whole())
            .on_conflict(
                by_id()
                    .value(board::Column::Views, Expr::cust(format!("coalesce({}, 0)", excluded("views"))))
                    .to_owned(),
            )
            .exec_without_returning(conn)
            .await
            .map(drop),
        9 => raw("UPDATE boards SET views = ?", 6.into()).await,
        10 => raw("UPDATE boards SET note = '', tags = (?)", array("[]")).await,
        11 => raw("UPDATE boards SET views = CASE id WHEN 'a' THEN ? ELSE views END", 6_i64.into()).await,
        12 if backend() == DbBackend::MySql => {
            raw("UPDATE boards SET views = CAST(? AS SIGNED)", 6_i64.into()).await
        }
        12 => raw("UPDATE boards SET (note, views) = ('', CAST(? AS BIGINT))", 6_i64.into()).await,
        _ if backend() == DbBackend::MySql => {
            raw(
                "INSERT INTO boards SET id = 'a', views = ?, tags = '[]', note = '' ON DUPLICATE KEY UPDATE views = VALUES(views)",
                6_i64.into(),
            )
            .await
        }
        _ => {
            raw(
                "INSERT INTO boards (id, views, tags, note) SELECT 'a', CAST(? AS BIGINT), '[]', '' WHERE true ON CONFLICT (id) DO UPDATE SET views = excluded.views",
                6_i64.into(),
            )
            .await
        }
    }
}

/// The value went into the row as it was, over what others had done to it, and was recorded as if that were meant.
#[apply(on_each_database!)]
async fn a_statement_without_hooks_undoes_nobodys_steps() {
    let replica = boards().await;
    let stale = read(&replica, "a").await;
    others_work(&replica).await;
    let before = cells(&replica, "boards").await;
    for which in 0..14 {
        let column = if [1, 3, 6, 10].contains(&which) {
            "tags"
        } else {
            "views"
        };
        let outside = statement(&replica, which, &stale).await.expect_err(&which.to_string());
        let tx = replica.begin().await.unwrap();
        let inside = refused(&tx, async |tx| statement(tx, which, &stale).await).await;
        tx.commit().await.unwrap();
        for error in [outside, inside] {
            let error = error.to_string();
            assert!(error.contains(&format!("`{column}` of `boards`")), "{which}: {error}");
            assert!(error.contains("own `update` or `save`"), "{which}: {error}");
            assert!(error.contains("increment_") || column == "tags", "{which}: {error}");
        }
        assert_eq!(cells(&replica, "boards").await, before, "{which}");
    }
    recorded(&replica, "a", 110, ["x", "y", "z"]).await;
    stepped(&stale).update(&replica).await.unwrap();
    recorded(&replica, "a", 111, ["w", "x", "y", "z"]).await;
}

#[apply(on_each_database!)]
async fn what_a_statement_works_out_or_writes_out_is_made_so() {
    let replica = boards().await;
    let stale = read(&replica, "a").await;
    others_work(&replica).await;
    board::Entity::update_many()
        .col_expr(board::Column::Views, Expr::col(board::Column::Views).add(5))
        .col_expr(board::Column::Note, Expr::val("n"))
        .filter(sea_orm::ColumnTrait::eq(&board::Column::Id, "a"))
        .exec(&replica)
        .await
        .unwrap();
    recorded(&replica, "a", 115, ["x", "y", "z"]).await;
    let added = match backend() {
        DbBackend::MySql => "boards.views + VALUES(views)",
        _ => "boards.views + excluded.views",
    };
    let conflict = OnConflict::column(board::Column::Id)
        .update_column(board::Column::Note)
        .value(board::Column::Views, Expr::cust(added))
        .to_owned();
    let rows = [stepped(&stale).reset_all(), draft("c", 7, ["q"])];
    board::Entity::insert_many(rows)
        .on_conflict(conflict)
        .exec_without_returning(&replica)
        .await
        .unwrap();
    recorded(&replica, "a", 126, ["x", "y", "z"]).await;
    recorded(&replica, "c", 7, ["q"]).await;
    execute(
        &replica,
        r#"UPDATE boards SET views = 0, tags = '["o"]' WHERE id = ?"#,
        ["a".into()],
    )
    .await;
    recorded(&replica, "a", 0, ["o"]).await;
}

/// A row whose children follow a changed column was taken for one that nobody had to look at first.
#[apply(on_each_database!)]
async fn steps_count_where_other_rows_follow_the_same_update() {
    mod followed {
        use grove_crdt::{Counter, Crdt};
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
        #[sea_orm(table_name = "followed")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: String,
            #[crdt(lww)]
            pub code: String,
            #[crdt(counter)]
            pub views: Counter,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}
    }
    let db = grove_crdt_tests::new_database().await;
    let tables = [
        "CREATE TABLE followed (id VARCHAR(20) PRIMARY KEY NOT NULL, code VARCHAR(20) NOT NULL UNIQUE, views BIGINT NOT NULL)",
        "CREATE TABLE following (id VARCHAR(20) PRIMARY KEY NOT NULL, code VARCHAR(20), \
         FOREIGN KEY (code) REFERENCES followed (code) ON UPDATE CASCADE)",
    ];
    run_all(&db, &tables).await;
    let builder = grove_crdt_tests::builder("node-1").0.entity::<followed::Entity>();
    let replica = builder.open(db).await.unwrap();
    let row = followed::ActiveModel {
        id: Set("a".into()),
        code: Set("one".into()),
        views: Set(10.into()),
    };
    let mut stale = row.insert(&replica).await.unwrap();
    execute(&replica, "INSERT INTO following VALUES ('f', 'one')", []).await;
    followed::ActiveModel::increment_views(&replica, "a", 100)
        .await
        .unwrap();
    stale.views += 1;
    let change = followed::ActiveModel {
        code: Set("two".into()),
        views: Set(stale.views),
        ..stale.into_active_model()
    };
    assert_eq!(change.update(&replica).await.unwrap().views, 111);
    assert_agrees::<followed::Entity, _>(&replica).await;
    let row = replica
        .query_one_raw(sql("SELECT code FROM following", []))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "two");
}

/// What is changed after the hook is captured by what it does; the steps are in the value by then.
#[apply(on_each_database!)]
async fn an_update_that_was_changed_after_the_hook_keeps_its_steps() {
    let replica = boards().await;
    let stale = read(&replica, "a").await;
    others_work(&replica).await;
    let tx = replica.begin().await.unwrap();
    let mut ready = grove_crdt::hooks::before_save(stepped(&stale), &tx, false)
        .await
        .unwrap();
    ready.note = Set("changed".to_owned());
    board::Entity::update(ready).exec(&tx).await.unwrap();
    tx.commit().await.unwrap();
    recorded(&replica, "a", 111, ["w", "x", "y", "z"]).await;
    assert_eq!(read(&replica, "a").await.note, "changed");
}
