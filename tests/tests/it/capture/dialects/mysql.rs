//! The words of MySQL and MariaDB.

use grove_crdt_tests::{Kind, apply, assert_agrees, cells, entities::document, kind, on_mysql};
use sea_orm::{ConnectionTrait, EntityTrait, TransactionSession as _, TransactionTrait as _};

use super::{captured, documents_in, raw, refused};

const DOCUMENTS: &str = "CREATE TABLE documents (id varchar(100) PRIMARY KEY, title varchar(100) NOT NULL DEFAULT 't', \
                         view_count bigint NOT NULL, tags json NOT NULL, author varchar(100), \
                         UNIQUE KEY by_name (author, title))";
const NOTES: &str = "CREATE TABLE notes (id int PRIMARY KEY, document varchar(100))";

#[apply(on_mysql!)]
async fn writes_in_its_own_words() {
    let replica = documents_in(&[DOCUMENTS, NOTES]).await;
    replica
        .execute_unprepared("INSERT INTO notes VALUES (1, 'a'), (2, 'b')")
        .await
        .unwrap();
    captured(
        &replica,
        vec![
            (r"UPDATE documents SET title = 'it\'s \\' WHERE id = 'a'", vec![]),
            (r#"UPDATE documents SET title = "say ""hi""" WHERE title = 'it\'s \\'"#, vec![]),
            (r"UPDATE LOW_PRIORITY documents SET title = '50%' WHERE title LIKE 'say %' AND title NOT LIKE '\%'", vec![]),
            ("UPDATE IGNORE `documents` AS d SET d.title = CONCAT(d.id, ?) WHERE d.id IN (?, 'b') # why", vec![
                "x".into(),
                "a".into(),
            ]),
            ("UPDATE documents SET view_count = view_count + 1 ORDER BY id DESC LIMIT 2", vec![]),
            ("UPDATE documents SET view_count = ? WHERE id IN (SELECT document FROM notes WHERE id < ?)", vec![
                5_i64.into(),
                2.into(),
            ]),
            (
                "UPDATE documents SET tags = JSON_ARRAY_APPEND(tags, '$', 'z'), title = BINARY 'b' \
                 WHERE JSON_CONTAINS(tags, '\"a\"') AND NOW() > NOW() - INTERVAL 1 DAY AND id = 'c'",
                vec![],
            ),
            ("UPDATE documents SET id = CONCAT(id, '2'), title = id WHERE id = 'a'", vec![]),
            ("INSERT documents SET id = 's', view_count = 1, tags = '[]', author = 'sue'", vec![]),
            ("INSERT INTO documents VALUE ('v', DEFAULT, 1, '[]', NULL)", vec![]),
            ("INSERT IGNORE INTO documents VALUES ('v', 'x', 1, '[]', NULL), ('w', 'x', 1, '[]', NULL)", vec![]),
            // The row of the same author and title has another key.
            (
                "INSERT INTO documents (id, view_count, tags, author) VALUES ('n', 1, '[]', 'sue'), ('o', 1, '[]', 'tom') \
                 ON DUPLICATE KEY UPDATE view_count = documents.view_count + VALUES(view_count)",
                vec![],
            ),
            (
                "INSERT INTO documents (id, title, view_count, tags, author) \
                 SELECT CONCAT('x', n.id), d.title, 7, '[]', d.author FROM notes n JOIN documents d ON d.id = 's' \
                 ON DUPLICATE KEY UPDATE `documents`.`id` = `documents`.`id`, view_count = 70",
                vec![],
            ),
            ("DELETE LOW_PRIORITY QUICK FROM documents WHERE id = 'v'", vec![]),
            ("DELETE FROM documents ORDER BY id LIMIT ?", vec![1_i64.into()]),
        ],
    )
    .await;
    let row = document::Entity::find_by_id("s").one(&replica).await.unwrap().unwrap();
    assert_eq!(row.view_count, 70);
}

#[apply(on_mysql!)]
async fn what_cannot_be_captured() {
    let replica = documents_in(&[DOCUMENTS, NOTES]).await;
    refused(
        &replica,
        &[
            ("/*!50000 DELETE FROM documents */", "comments that are executed"),
            ("/*M!100000 DELETE FROM documents */", "comments that are executed"),
            (
                "UPDATE notes n JOIN documents d ON d.id = n.document SET d.title = 'x'",
                "joined",
            ),
            ("UPDATE notes, documents SET documents.title = 'x'", "can't be parsed"),
            ("DELETE documents FROM notes JOIN documents", "joined"),
            ("DELETE n, d FROM notes n, documents d", "joined"),
            ("DELETE FROM documents USING documents JOIN notes", "joined"),
            ("REPLACE documents SET id = 'a', view_count = 1, tags = '[]'", "REPLACE"),
            ("LOAD DATA INFILE '/x' INTO TABLE documents", "LOAD"),
            ("CALL clean()", "kept in the database"),
            ("EXECUTE IMMEDIATE 'DELETE FROM documents'", "kept in the database"),
            ("BEGIN NOT ATOMIC DELETE FROM documents; END", "can't be"),
            ("IF 1 THEN DELETE FROM documents; END IF", "inside a query"),
            ("ANALYZE FORMAT=JSON DELETE FROM documents", "analyzed"),
            (
                "SET STATEMENT max_statement_time = 1 FOR DELETE FROM documents",
                "SET STATEMENT",
            ),
            ("SET @@session.autocommit = 0", "transaction control"),
            ("SET sql_mode = 'NO_BACKSLASH_ESCAPES'", "how strings"),
            ("LOCK TABLES documents WRITE", "transaction control"),
            ("XA START 'x'", "transaction control"),
            ("START TRANSACTION", "transaction control"),
            ("TRUNCATE documents", "TRUNCATE"),
            ("DELETE FROM documents WHERE RAND() < 2", "at random"),
            (
                "UPDATE documents SET title = 'x' WHERE (@n := @n + 1) IS NULL",
                "at random",
            ),
            ("UPDATE documents SET title = 'q', id = title", "assign the key first"),
            (
                "INSERT INTO documents (id, view_count, tags) VALUES (UUID(), 1, '[]')",
                "computed key",
            ),
            (
                "INSERT INTO documents VALUES ('z', 't', 1, '[]', 'ann') ON DUPLICATE KEY UPDATE id = 'q'",
                "changes the key",
            ),
            (
                "INSERT INTO documents VALUES ('z', LOWER('T'), 1, '[]', 'ann') ON DUPLICATE KEY UPDATE view_count = 2",
                "unique value",
            ),
        ],
    )
    .await;
}

#[apply(on_mysql!)]
async fn what_matters_to_nobody() {
    let replica = documents_in(&[DOCUMENTS, NOTES]).await;
    let before = cells(&replica, "documents").await;
    for text in [
        "SET NAMES utf8mb4",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SHOW TABLES",
        "DESCRIBE documents",
        "DO SLEEP(0)",
        "ANALYZE TABLE documents",
        "SELECT count(*) INTO @n FROM documents",
        "UPDATE notes SET document = 'documents' WHERE id IN (SELECT view_count FROM documents)",
        "CREATE TRIGGER tr BEFORE INSERT ON notes FOR EACH ROW SET NEW.document = 'documents'",
        "ALTER TABLE documents COMMENT = 'x'",
    ] {
        // MySQL prepares no CREATE TRIGGER.
        let done = replica.execute_unprepared(text).await;
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert_eq!(cells(&replica, "documents").await, before);
    assert_agrees::<document::Entity, _>(&replica).await;
}

/// A change of the schema commits the transaction. What it had written was committed without its record, and lost when the
/// commit itself failed or never came.
#[apply(on_mysql!)]
async fn a_change_of_the_schema_does_not_part_rows_and_records() {
    let replica = documents_in(&[DOCUMENTS, NOTES]).await;
    let before = document::Entity::find().all(&replica).await.unwrap();
    let insert = |id: &str| {
        let text = "INSERT INTO documents (id, view_count, tags) VALUES (?, 1, '[]')";
        raw(text, vec![id.into()])
    };
    for change in [
        "CREATE TABLE other (id int)",
        "ALTER TABLE notes COMMENT = 'x'",
        "TRUNCATE TABLE notes",
    ] {
        let tx = replica.begin().await.unwrap();
        tx.execute_raw(insert("new")).await.unwrap();
        let error = tx.execute_raw(raw(change, Vec::new())).await.unwrap_err().to_string();
        assert!(error.contains("outside of the transaction"), "{error}");
        tx.rollback().await.unwrap();
        assert_eq!(document::Entity::find().all(&replica).await.unwrap(), before);

        let tx = replica.begin().await.unwrap();
        tx.execute_raw(raw("ALTER TABLE notes COMMENT = 'y'", Vec::new()))
            .await
            .unwrap();
        let error = tx.execute_raw(insert("new")).await.unwrap_err().to_string();
        assert!(error.contains("outside of the transaction"), "{error}");
        tx.commit().await.unwrap();
    }
    let tx = replica.begin().await.unwrap();
    let again = match kind() {
        Kind::MariaDb => "CREATE OR REPLACE TEMPORARY TABLE t (id int)",
        _ => "CREATE TEMPORARY TABLE IF NOT EXISTS t (id int)",
    };
    for text in ["CREATE TEMPORARY TABLE t (id int)", again] {
        tx.execute_raw(insert(text)).await.unwrap();
        tx.execute_raw(raw(text, Vec::new())).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(
        document::Entity::find().all(&replica).await.unwrap().len(),
        before.len() + 2
    );
}
