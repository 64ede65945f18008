//! What can't be captured is refused, in words that say what to do, and nothing is written.

use grove_crdt_tests::{backend, cells, entities::document, new_database, rows, worded};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, DbBackend, EntityTrait, TransactionSession, TransactionTrait,
};

use super::{documents, draft, sql};

#[apply(on_each_database!)]
async fn statements_that_cannot_be_captured() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let before = (
        rows::<document::Entity, _>(&replica).await,
        cells(&replica, "documents").await,
    );
    let common = [
        (
            "DELETE FROM documents; DELETE FROM documents",
            "several statements in one string",
        ),
        ("SELECT 1; DELETE FROM documents", "several statements in one string"),
        (
            "CREATE TABLE x (id INT); UPDATE documents SET title = 'x'",
            "several statements in one string",
        ),
        (
            "WITH x AS (SELECT 'a' AS id) DELETE FROM documents WHERE id IN (SELECT id FROM x)",
            "inside a query",
        ),
        (
            "WITH x AS (SELECT 'a' AS id) UPDATE documents SET title = 'x'",
            "inside a query",
        ),
        (
            "WITH x AS (DELETE FROM documents RETURNING id) SELECT * FROM x",
            "inside a query",
        ),
        ("TRUNCATE documents", "TRUNCATE of `documents`"),
        ("DROP TABLE documents", "DROP TABLE of `documents`"),
        (
            "DROP TABLE IF EXISTS _documents_crdt",
            "DROP TABLE of `_documents_crdt`",
        ),
        ("BEGIN", "transaction control"),
        ("COMMIT", "transaction control"),
        ("ROLLBACK", "transaction control"),
        ("SAVEPOINT x", "transaction control"),
        ("RELEASE SAVEPOINT x", "transaction control"),
        ("DELETE FROM _documents_crdt", "a write of `_documents_crdt`"),
        (
            "INSERT INTO _grove_peers VALUES ('p', '', NULL, NULL, '')",
            "a write of `_grove_peers`",
        ),
        (
            "ALTER TABLE _documents_crdt ADD COLUMN x INT",
            "a write of `_documents_crdt`",
        ),
        ("UPDATE documents SET title = ? WHERE id = 'a'", "has no value"),
        ("UPDATE documents SET SET title", "can't be parsed"),
    ];
    let replace = ("REPLACE INTO documents VALUES ('a', '', 0, '[]', NULL)", "REPLACE");
    let own = match backend() {
        DbBackend::MySql => vec![
            replace,
            ("START TRANSACTION", "transaction control"),
            ("DELETE FROM documents WHERE rand() < 0.5", "chosen at random"),
            ("DELETE FROM documents ORDER BY RAND() LIMIT 1", "chosen at random"),
        ],
        DbBackend::Postgres => vec![
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", "transaction control"),
            ("DELETE FROM documents WHERE random() < 0.5", "chosen at random"),
            (
                "UPDATE documents SET title = 'x' WHERE id IN (SELECT id FROM documents ORDER BY RANDOM() LIMIT 1)",
                "chosen at random",
            ),
        ],
        _ => vec![
            replace,
            (
                "INSERT OR REPLACE INTO documents VALUES ('a', '', 0, '[]', NULL)",
                "REPLACE",
            ),
            ("UPDATE OR REPLACE documents SET id = 'b'", "UPDATE OR"),
            ("BEGIN IMMEDIATE", "transaction control"),
            ("UPDATE _DOCUMENTS_crdt SET version = 0", "a write of `_DOCUMENTS_crdt`"),
            ("DELETE FROM documents WHERE abs(random()) % 2 = 0", "chosen at random"),
            (
                "UPDATE documents SET title = 'x' WHERE id IN (SELECT id FROM documents ORDER BY RANDOM() LIMIT 1)",
                "chosen at random",
            ),
            ("UPDATE documents SET title = :t WHERE id = 'a'", "has no value"),
        ],
    };
    for (text, says) in common.into_iter().chain(own) {
        let worded = worded(backend(), text);
        let error = replica.execute_unprepared(&worded).await.expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert!(error.contains("can't be captured: "), "{text}: {error}");
        assert!(error.contains("`replica.untracked()`"), "{text}: {error}");
        let tx = replica.begin().await.unwrap();
        tx.query_all_raw(sql(text, [])).await.expect_err(text);
        tx.commit().await.unwrap();
        let after = (
            rows::<document::Entity, _>(&replica).await,
            cells(&replica, "documents").await,
        );
        assert_eq!(after, before, "{text}");
    }
}

#[apply(on_each_database!)]
async fn a_hook_on_a_bare_connection() {
    let db = new_database().await;
    grove_crdt_tests::create_table(&db, document::Entity).await.unwrap();
    for error in [
        draft("a").insert(&db).await.unwrap_err(),
        ActiveModelTrait::insert(draft("a"), &db).await.unwrap_err(),
        draft("a").delete(&db).await.unwrap_err(),
        document::ActiveModel::increment_view_count(&db, "a", 1)
            .await
            .unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(
            error.contains("on a connection that is no replica can't be captured: pass the `Replica`"),
            "{error}"
        );
    }
    assert!(rows::<document::Entity, _>(&db).await.is_empty());
}

#[apply(on_each_database!)]
async fn an_entity_that_is_not_registered() {
    mod stranger {
        use grove_crdt::Crdt;
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
        #[sea_orm(table_name = "strangers")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: String,
            #[crdt(counter)]
            pub n: i64,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}
    }
    let replica = super::documents_after(&["CREATE TABLE strangers (id TEXT PRIMARY KEY, n BIGINT)"]).await;
    let error = stranger::ActiveModel {
        id: Set("a".into()),
        n: Set(0),
    }
    .insert(&replica)
    .await
    .unwrap_err();
    let says = "table `strangers` is not replicated here: add `.entity::<…>()`";
    assert!(error.to_string().contains(says), "{error}");
    let error = replica.inspect::<stranger::Entity>("a").await.unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    let error = replica.adopt::<stranger::Entity>().await.unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    assert!(stranger::Entity::find().all(&replica).await.unwrap().is_empty());
}

#[apply(on_each_database!)]
async fn keys_that_cannot_be_kept() {
    // A String of an entity is at most 255 characters long on MySQL.
    let wide = match backend() {
        DbBackend::MySql => &["ALTER TABLE documents MODIFY id VARCHAR(600) NOT NULL"][..],
        _ => &[],
    };
    let replica = super::documents_after(wide).await;
    let long = "x".repeat(513);
    let draft = |id: &str| document::ActiveModel {
        title: Set("short".to_owned()),
        ..draft(id)
    };
    let error = draft(&long).insert(&replica).await.unwrap_err().to_string();
    assert!(
        error.contains("513 bytes long") && error.contains("at most 512"),
        "{error}"
    );
    let error = document::Entity::insert(draft(&long))
        .exec(&replica)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("513 bytes long"), "{error}");
    assert!(rows::<document::Entity, _>(&replica).await.is_empty());
    draft(&long[1..]).insert(&replica).await.unwrap();
}

#[apply(on_each_database!)]
async fn untracked_lets_through_what_is_refused() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let before = cells(&replica, "documents").await;
    let untracked = replica.untracked();
    untracked
        .execute_unprepared("UPDATE documents SET title = 'x'; UPDATE documents SET author = 'y'")
        .await
        .unwrap();
    draft("b").insert(&untracked).await.unwrap();
    let tx = untracked.begin().await.unwrap();
    document::ActiveModel::increment_view_count(&tx, "a", 1).await.unwrap();
    let inner = tx.begin().await.unwrap();
    draft("b").delete(&inner).await.unwrap();
    inner.rollback().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(cells(&replica, "documents").await, before);
    let row = document::Entity::find_by_id("a").one(&replica).await.unwrap().unwrap();
    assert_eq!((row.title.as_str(), row.view_count), ("x", 11));
}

/// Rows chosen by the time of day were not the same when the statement ran as just before, when they were read. In
/// functions of SQLite, of which each call looks at the clock.
#[tokio::test]
async fn rows_that_change_with_the_time_are_recorded_or_refused() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let mut refused = 0;
    for n in 0..300 {
        let text = match n % 3 {
            0 => "UPDATE documents SET view_count = view_count + 1 WHERE strftime('%f', 'now') * 1000 % 2 < 1",
            1 => "INSERT INTO documents SELECT 'i' || strftime('%s.%f', 'now'), '', 0, '[]', NULL",
            _ => "DELETE FROM documents WHERE strftime('%f', 'now') * 1000 % 2 < 1 AND id LIKE 'i%'",
        };
        if let Err(error) = replica.execute_raw(sql(text, [])).await {
            let error = error.to_string();
            assert!(
                error.contains("name the rows by values that stay the same") || error.contains("UNIQUE"),
                "{error}"
            );
            refused += 1;
        }
    }
    grove_crdt_tests::assert_agrees::<document::Entity, _>(&replica).await;
    println!("{refused} of 300 refused");
}

/// A key that the statement computes was looked for under the text it is computed from, and the row went by unseen. In
/// words of SQLite, which takes text for a number and makes of it what it can.
#[tokio::test]
async fn keys_that_are_not_what_they_say_are_refused() {
    let replica = documents().await;
    for text in [
        "INSERT INTO documents VALUES (CAST('7x' AS INTEGER), '', 0, '[]', NULL)",
        "INSERT OR IGNORE INTO documents VALUES (CAST('8x' AS INTEGER), '', 0, '[]', NULL)",
        "INSERT OR IGNORE INTO documents SELECT strftime('%f', 'now'), '', 0, '[]', NULL",
        "INSERT OR IGNORE INTO documents SELECT CURRENT_TIMESTAMP, '', 0, '[]', NULL",
    ] {
        let error = replica.execute_raw(sql(text, [])).await.expect_err(text).to_string();
        assert!(error.contains("can't be captured"), "{text}: {error}");
    }
    assert!(rows::<document::Entity, _>(&replica).await.is_empty());
}
