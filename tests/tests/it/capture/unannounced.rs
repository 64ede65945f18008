//! Writes that no hook sees: captured by what they did.

use futures_util::TryStreamExt as _;
use grove_crdt_tests::{
    TestDatabase, assert_agrees, backend, builder, cells, create_table, entities::document, worded,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait as _, QueryFilter, Statement, StreamTrait,
    TransactionSession, TransactionTrait, sea_query::Expr,
};
use serde_json::json;

use super::{documents, draft, epochs, execute, field, refused, sql};

#[apply(on_each_database!)]
async fn entity_insert_and_insert_many() {
    let replica = documents().await;
    let result = document::Entity::insert(draft("a")).exec(&replica).await.unwrap();
    assert_eq!(result.last_insert_id, "a");
    document::Entity::insert(draft("b"))
        .exec_with_returning(&replica)
        .await
        .unwrap();
    document::Entity::insert(draft("c"))
        .exec_without_returning(&replica)
        .await
        .unwrap();
    document::Entity::insert_many(["d", "e"].map(draft))
        .exec(&replica)
        .await
        .unwrap();
    let more = document::Entity::insert_many(["f", "g"].map(draft));
    if backend().support_returning() {
        assert_eq!(more.exec_with_returning(&replica).await.unwrap().len(), 2);
    } else {
        more.exec_without_returning(&replica).await.unwrap();
    }
    document::Entity::insert_many(["h", "i"].map(draft))
        .exec_without_returning(&replica)
        .await
        .unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(cells(&replica, "documents").await.len(), 9);
}

/// One text with other values, and then where a trigger makes something else of it.
#[tokio::test]
async fn a_text_means_what_the_schema_has_it_mean() {
    let replica = documents().await;
    let insert = async |id: &str, title: &str| {
        let sql = "INSERT INTO documents (id, title, view_count, tags) VALUES (?, ?, 0, '[]')";
        assert_eq!(execute(&replica, sql, [id.into(), title.into()]).await, 1);
        assert_agrees::<document::Entity, _>(&replica).await;
        field(&replica, id, "title").await
    };
    assert_eq!(insert("a", "first").await, "first");
    assert_eq!(insert("b", "second").await, "second");
    let shout = "CREATE TRIGGER shout AFTER INSERT ON documents \
         BEGIN UPDATE documents SET title = upper(title) WHERE id = new.id; END";
    replica.execute_unprepared(shout).await.unwrap();
    assert_eq!(insert("c", "third").await, "THIRD");
    replica.execute_unprepared("DROP TRIGGER shout").await.unwrap();
    assert_eq!(insert("d", "fourth").await, "fourth");
}

/// The rows are known from the values that were bound, unless a column makes something else of one.
#[apply(on_each_database!)]
async fn what_is_bound_is_what_is_recorded() {
    let replica = documents().await;
    let sql = "INSERT INTO documents (id, title, view_count, tags) VALUES (?, ?, ?, ?), (?, ?, ?, ?)";
    let tags = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap().into();
    let rows: [sea_orm::Value; 8] = [
        "a".into(),
        "in order".into(),
        3_i64.into(),
        tags(r#"["x", "y"]"#),
        "b".into(),
        "not in order".into(),
        (-3_i64).into(),
        tags(r#"["y", "x", "y"]"#),
    ];
    assert_eq!(execute(&replica, sql, rows).await, 2);
    assert_agrees::<document::Entity, _>(&replica).await;
    for (id, count) in [("a", 3), ("b", -3)] {
        assert_eq!(field(&replica, id, "tags").await, json!(["x", "y"]));
        assert_eq!(field(&replica, id, "view_count").await, count);
    }
}

#[apply(on_each_database!)]
async fn a_failing_insert_many_leaves_no_trace() {
    let replica = documents().await;
    draft("b").insert(&replica).await.unwrap();
    let before = cells(&replica, "documents").await;
    document::Entity::insert_many(["a", "b"].map(draft))
        .exec(&replica)
        .await
        .unwrap_err();
    assert_eq!(cells(&replica, "documents").await, before);
    let tx = replica.begin().await.unwrap();
    refused(&tx, async |tx| {
        document::Entity::insert_many(["a", "b"].map(draft)).exec(tx).await
    })
    .await;
    draft("c").insert(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn update_many_with_expressions_is_what_it_does_to_each_row() {
    let replica = documents().await;
    document::Entity::insert_many(["a", "b", "c"].map(draft))
        .exec(&replica)
        .await
        .unwrap();
    let result = document::Entity::update_many()
        .col_expr(
            document::Column::ViewCount,
            Expr::col(document::Column::ViewCount).add(1),
        )
        .col_expr(document::Column::Title, Expr::cust("title || id"))
        .filter(document::Column::Id.is_in(["a", "c", "x"]))
        .exec(&replica)
        .await
        .unwrap();
    assert_eq!(result.rows_affected, 2);
    assert_agrees::<document::Entity, _>(&replica).await;
    let shown = replica.inspect::<document::Entity>("c").await.unwrap().to_string();
    assert!(shown.contains("view_count (counter): 11 [node-1: +11 -0]"), "{shown}");
    let retag = document::Entity::update_many()
        .col_expr(document::Column::Tags, Expr::cust(r#"'["b"]'"#))
        .filter(document::Column::ViewCount.gt(10));
    let retagged = if backend().support_returning() {
        retag.exec_with_returning(&replica).await.unwrap().len()
    } else {
        usize::try_from(retag.exec(&replica).await.unwrap().rows_affected).unwrap()
    };
    assert_eq!(retagged, 2);
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(field(&replica, "c", "tags").await, json!(["b"]));
}

#[apply(on_each_database!)]
async fn updates_that_match_or_change_nothing_leave_no_trace() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let before = cells(&replica, "documents").await;
    for update in [
        "UPDATE documents SET title = 'x' WHERE id = 'none'",
        "UPDATE documents SET title = title, view_count = view_count + 0, author = 'new'",
        "DELETE FROM documents WHERE view_count > 1000",
        "INSERT INTO documents SELECT * FROM documents WHERE 1 = 0",
    ] {
        execute(&replica, update, []).await;
        assert_eq!(cells(&replica, "documents").await, before, "{update}");
    }
}

#[apply(on_each_database!)]
async fn delete_many_and_delete_by_id() {
    let replica = documents().await;
    document::Entity::insert_many(["a", "b", "c", "d"].map(draft))
        .exec(&replica)
        .await
        .unwrap();
    document::Entity::delete_by_id("a").exec(&replica).await.unwrap();
    document::Entity::delete_by_id("x").exec(&replica).await.unwrap();
    let delete = document::Entity::delete_many().filter(document::Column::Id.gt("b"));
    let gone = if backend().support_returning() {
        delete.exec_with_returning(&replica).await.unwrap().len()
    } else {
        usize::try_from(delete.exec(&replica).await.unwrap().rows_affected).unwrap()
    };
    assert_eq!(gone, 2);
    assert_agrees::<document::Entity, _>(&replica).await;
    let expected = [("a", 2), ("b", 1), ("c", 2), ("d", 2)].map(|(pk, epoch)| (pk.to_owned(), epoch));
    assert_eq!(epochs(&replica, "documents").await, expected);
    document::Entity::delete_many().exec(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn raw_sql_with_bound_values_in_every_form() {
    let replica = documents().await;
    document::Entity::insert_many(["a", "b", "c"].map(draft))
        .exec(&replica)
        .await
        .unwrap();
    let schema = if backend() == DbBackend::Postgres {
        "public"
    } else {
        "main"
    };
    let qualified = format!("UPDATE {schema}.documents SET title = 'main' WHERE id = ?");
    let common: [(&str, Vec<sea_orm::Value>); 5] = [
        (
            "UPDATE documents SET title = ?, view_count = view_count - ? WHERE id = ?",
            vec!["t".into(), 3.into(), "a".into()],
        ),
        (
            "UPDATE documents AS d SET title = d.id || ? WHERE d.id IN (?, ?)",
            vec!["!".into(), "a".into(), "c".into()],
        ),
        (
            r#"UPDATE "documents" SET "title" = 'it''s; fine' WHERE "documents"."id" = ?"#,
            vec!["a".into()],
        ),
        (
            "INSERT INTO documents SELECT id || ?, title, view_count, tags, author FROM documents WHERE id < ?",
            vec!["2".into(), "c".into()],
        ),
        (
            "INSERT INTO documents VALUES (?, ?, -5, '[]', NULL), ('z', 'z', 0, '[\"q\"]', ?)",
            vec!["y".into(), "why".into(), "me".into()],
        ),
    ];
    let beyond_mysql: [(&str, Vec<sea_orm::Value>); 7] = [
        (
            "UPDATE documents SET title = ?2 WHERE id = ?1",
            vec!["b".into(), "numbered".into()],
        ),
        ("update Documents set TITLE = 'case' where ID = ?", vec!["c".into()]),
        (&qualified, vec!["b".into()]),
        (
            "UPDATE documents SET view_count = (SELECT max(view_count) + ? FROM documents) \
             WHERE id IN (SELECT id FROM documents WHERE title LIKE ? ORDER BY id LIMIT ?)",
            vec![1.into(), "%a%".into(), 2.into()],
        ),
        (
            "UPDATE documents SET (title, view_count) = (?, 5) WHERE id = 'a'",
            vec!["tuple".into()],
        ),
        (
            "UPDATE documents SET title = o.title || ? FROM documents AS o WHERE o.id = ? AND documents.id <> o.id",
            vec!["~".into(), "a".into()],
        ),
        (
            "DELETE FROM documents AS d WHERE EXISTS (SELECT 1 FROM documents AS o WHERE o.id = d.id || ?)",
            vec!["2".into()],
        ),
    ];
    let own = match backend() {
        DbBackend::MySql => vec![],
        _ => beyond_mysql.into(),
    };
    for (text, values) in common.into_iter().chain(own) {
        let before = cells(&replica, "documents").await;
        let statement = Statement::from_sql_and_values(backend(), worded(backend(), text), values);
        let result = replica
            .execute_raw(statement)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(result.rows_affected() > 0, "{text}");
        assert_agrees::<document::Entity, _>(&replica).await;
        assert_ne!(cells(&replica, "documents").await, before, "{text}");
    }
}

#[apply(on_each_database!)]
async fn comments_case_and_whitespace_hide_nothing() {
    let replica = documents().await;
    let quoted = match backend() {
        DbBackend::Sqlite => "[documents]",
        DbBackend::MySql => "`documents`",
        _ => "\"documents\"",
    };
    let quoted = format!("INSERT INTO {quoted} VALUES ('3', '', 0, '[]', NULL)");
    for (n, text) in [
        "-- a comment\nINSERT INTO documents VALUES ('0', '', 0, '[]', NULL)",
        "/* SELECT */ INSERT INTO documents VALUES ('1', '', 0, '[]', NULL);",
        "\n\t insert\ninto\ndocuments values ('2', '', 0, '[]', null) ; ",
        &quoted,
        &worded(backend(), "INSERT INTO \"documents\" VALUES ('4', '', 0, '[]', NULL)"),
        "INSERT INTO documents (title, tags, view_count, id) VALUES ('', '[]', 0, '5')",
    ]
    .into_iter()
    .enumerate()
    {
        replica
            .execute_unprepared(text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_agrees::<document::Entity, _>(&replica).await;
        assert_eq!(epochs(&replica, "documents").await.len(), n + 1, "{text}");
    }
}

#[apply(on_sqlite_and_postgres!)]
async fn a_query_that_writes_gives_its_rows_and_is_recorded() {
    let replica = documents().await;
    document::Entity::insert_many(["a", "b"].map(draft))
        .exec(&replica)
        .await
        .unwrap();
    let update = || {
        sql(
            "UPDATE documents SET view_count = view_count + 1 RETURNING view_count",
            [],
        )
    };
    let one = replica.query_one_raw(update()).await.unwrap().unwrap();
    assert_eq!(one.try_get_by_index::<i64>(0).unwrap(), 11);
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(replica.query_all_raw(update()).await.unwrap().len(), 2);
    let streamed: Vec<_> = replica.stream_raw(update()).await.unwrap().try_collect().await.unwrap();
    assert_eq!(streamed.len(), 2);
    assert_agrees::<document::Entity, _>(&replica).await;
    let tx = replica.begin().await.unwrap();
    let streamed: Vec<_> = tx.stream_raw(update()).await.unwrap().try_collect().await.unwrap();
    assert_eq!(streamed.len(), 2);
    let read: Vec<_> = document::Entity::find()
        .stream(&tx)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(read[1].view_count, 14);
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn a_table_that_is_not_replicated_is_left_alone() {
    let replica = super::documents_after(&["CREATE TABLE notes (id INTEGER PRIMARY KEY, documents TEXT)"]).await;
    execute(&replica, "INSERT INTO notes VALUES (1, 'documents')", []).await;
    if backend() != DbBackend::Postgres {
        let replace = "REPLACE INTO notes (id, documents) SELECT 1, id FROM documents";
        execute(&replica, replace, []).await;
    }
    // Not MariaDB's.
    if backend() != DbBackend::MySql {
        let delete = "WITH d AS (SELECT 1 AS id) DELETE FROM notes WHERE id IN (SELECT id FROM d)";
        execute(&replica, delete, []).await;
    }
    replica
        .execute_unprepared("CREATE TABLE other (id INTEGER); CREATE INDEX others ON other (id)")
        .await
        .unwrap();
    assert!(cells(&replica, "documents").await.is_empty());
}

/// A query that begins with WITH was run in a transaction for writers: it queued behind them, and one made by a task that
/// held a transaction never came.
#[apply(on_each_database!)]
async fn a_read_waits_for_no_writer() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    let replica = builder("n").0.entity::<document::Entity>().open(db).await.unwrap();
    let tx = replica.begin().await.unwrap();
    draft("a").insert(&tx).await.unwrap();
    let mut texts = vec![
        "SELECT count(*) FROM documents",
        "WITH d AS (SELECT * FROM documents) SELECT count(*) FROM d",
        "/* how many */ SELECT count(*) FROM documents WHERE id <> ';'",
    ];
    // MySQL and MariaDB word it differently.
    if backend() != DbBackend::MySql {
        texts.push("VALUES (CAST(0 AS BIGINT))");
    }
    for text in texts {
        let read = tokio::time::timeout(
            std::time::Duration::from_millis(500),
            replica.query_one_raw(sql(text, [])),
        );
        let row = read.await.unwrap_or_else(|_| panic!("{text} waits")).unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 0);
    }
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}
