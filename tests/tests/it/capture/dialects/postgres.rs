//! PostgreSQL's words.

use std::sync::Arc;

use grove_crdt_tests::{apply, assert_agrees, cells, entities::document, on_postgres};
use sea_orm::{ConnectionTrait, EntityTrait};

use super::{captured, documents_in, raw, refused};

const DOCUMENTS: &str = "CREATE TABLE documents (id text PRIMARY KEY, title text NOT NULL, view_count bigint NOT NULL, \
                         tags jsonb NOT NULL, author text, UNIQUE (author, title))";
const NOTES: &str = "CREATE TABLE notes (id int PRIMARY KEY, document text, body jsonb)";

#[apply(on_postgres!)]
async fn writes_in_its_own_words() {
    let replica = documents_in(&[DOCUMENTS, NOTES]).await;
    let note = r#"INSERT INTO notes VALUES (1, 'a', '{"x": [1]}'), (2, 'b', '{"y": "it''s"}')"#;
    replica.execute_unprepared(note).await.unwrap();
    captured(
        &replica,
        vec![
            (r"UPDATE documents SET title = E'it\'s \\' WHERE id = 'a'", vec![]),
            (r"UPDATE documents SET title = '\' WHERE title = E'it\'s \\'", vec![]),
            ("UPDATE documents SET title = $$don't -- $1$$ WHERE title = '\\'", vec![]),
            ("UPDATE documents SET title = $2 WHERE id = $1 AND title <> $2", vec!["a".into(), "n".into()]),
            (
                "UPDATE documents SET view_count = view_count + $2 WHERE id = ANY(ARRAY[$1, 'b']::text[])",
                vec!["a".into(), 2_i64.into()],
            ),
            ("UPDATE documents SET tags = tags || '[\"z\"]'::jsonb WHERE tags ? 'a' AND tags @> '[\"b\"]'", vec![]),
            ("UPDATE documents SET title = title || '!' WHERE title ILIKE 'TITLE%' AND tags->>0 = 'a'", vec![]),
            ("UPDATE ONLY public.documents AS d SET title = d.id WHERE now() > now() - INTERVAL '1 day'", vec![]),
            (
                "UPDATE documents AS d SET title = n.body->>'y' FROM notes n WHERE n.document = d.id AND n.body ? 'y'",
                vec![],
            ),
            (
                "UPDATE public.documents SET view_count = v.n FROM (VALUES ('a', 70), ('c', 80)) AS v(id, n) \
                 WHERE public.documents.id = v.id",
                vec![],
            ),
            (
                "UPDATE documents SET title = 'q' WHERE id = (SELECT id FROM documents ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)",
                vec![],
            ),
            ("UPDATE documents SET id = id || $1, view_count = 3 WHERE id = 'a'", vec!["2".into()]),
            (
                "INSERT INTO documents SELECT n::text, 't', n, '[]' FROM generate_series(1, 3) AS n WHERE n <> $1",
                vec![2_i32.into()],
            ),
            (
                "INSERT INTO documents (id, title, view_count, tags, author) \
                 SELECT id, 'x', 1, tags, 'ann' FROM documents WHERE id = 'b' \
                 ON CONFLICT (ID) DO UPDATE SET title = EXCLUDED.title || 'u' WHERE documents.view_count > 0",
                vec![],
            ),
            (
                "INSERT INTO documents AS d VALUES ('new', 'xu', 5, '[]', 'ann') \
                 ON CONFLICT (author, title) DO UPDATE SET view_count = d.view_count + 1",
                vec![],
            ),
            ("INSERT INTO documents VALUES ($$k$$, 't', 1, '[]', DEFAULT) ON CONFLICT DO NOTHING", vec![]),
        ],
    )
    .await;
    captured(
        &replica,
        vec![
            (
                "DELETE FROM documents d USING notes AS n WHERE n.document = d.id AND n.id = $1",
                vec![2_i32.into()],
            ),
            (
                "DELETE FROM ONLY \"documents\" WHERE id ~ '^[0-9]' RETURNING id",
                vec![],
            ),
        ],
    )
    .await;
}

#[apply(on_postgres!)]
async fn what_cannot_be_captured() {
    let replica = documents_in(&[DOCUMENTS, NOTES]).await;
    refused(
        &replica,
        &[
            (
                "MERGE INTO documents d USING notes n ON d.id = n.document WHEN MATCHED THEN DELETE",
                "MERGE",
            ),
            ("COPY documents FROM STDIN", "COPY of"),
            ("COPY (DELETE FROM documents RETURNING id) TO STDOUT", "inside a query"),
            ("DO $$ BEGIN DELETE FROM documents; END $$", "a block of code"),
            (
                "DO $$ BEGIN EXECUTE 'DELETE FROM docu' || 'ments'; END $$",
                "kept in the database",
            ),
            ("CALL clean()", "kept in the database"),
            ("PREPARE p AS DELETE FROM documents", "inside a query"),
            ("EXECUTE p", "kept in the database"),
            ("TRUNCATE ONLY documents CASCADE", "TRUNCATE"),
            ("EXPLAIN (ANALYZE, VERBOSE) DELETE FROM documents", "inside a query"),
            ("EXPLAIN ANALYSE DELETE FROM documents", "can't be parsed"),
            (
                "CREATE TABLE x AS WITH d AS (DELETE FROM documents RETURNING id) SELECT id FROM d",
                "inside a query",
            ),
            ("END", "transaction control"),
            ("ABORT", "transaction control"),
            ("PREPARE TRANSACTION 'x'", "transaction control"),
            ("SET standard_conforming_strings = off", "how strings"),
            (
                "DELETE FROM documents WHERE view_count < extract(epoch FROM clock_timestamp())",
                "at random",
            ),
            (
                "INSERT INTO documents VALUES (gen_random_uuid()::text, '', 0, '[]')",
                "computed key",
            ),
            (
                "INSERT INTO documents (id, title, view_count, tags) SELECT gen_random_uuid()::text, '', 0, '[]'",
                "random",
            ),
            (
                "INSERT INTO documents VALUES ('a', '', 0, '[]') ON CONFLICT ON CONSTRAINT documents_pkey \
                 DO UPDATE SET title = 'x'",
                "columns in conflict",
            ),
        ],
    )
    .await;
}

#[apply(on_postgres!)]
async fn what_matters_to_nobody() {
    let replica = documents_in(&[DOCUMENTS, NOTES, "CREATE TABLE \"Documents\" (id int)"]).await;
    let before = cells(&replica, "documents").await;
    for text in [
        "SET statement_timeout = 60000",
        "SET TIME ZONE 'UTC'",
        "SHOW search_path",
        "LOCK TABLE documents",
        "SELECT id INTO copied FROM documents",
        "INSERT INTO \"Documents\" VALUES (1)",
        "DO $$ BEGIN CREATE TYPE mood AS ENUM ('ok'); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM documents; RETURN NULL; END $$",
        "COMMENT ON TABLE documents IS 'x'",
        "NOTIFY documents",
        "WITH n AS (DELETE FROM notes RETURNING id) SELECT count(*) FROM n, documents",
    ] {
        let done = replica.execute_raw(raw(text, Vec::new())).await;
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert_eq!(cells(&replica, "documents").await, before);
}

/// Of two rows of which the first in order is taken, another may be the first when the update runs than was when its row
/// was looked up; and it is one row as before.
#[apply(on_postgres!)]
async fn a_queue_that_others_put_rows_into() {
    let replica = documents_in(&[DOCUMENTS]).await;
    let replica = Arc::new(replica);
    let writer = {
        let replica = replica.clone();
        tokio::spawn(async move {
            for n in (100..200).rev() {
                let insert = format!("INSERT INTO documents VALUES ('0{n}', '', 0, '[]')");
                replica.execute_raw(raw(&insert, Vec::new())).await.unwrap();
            }
        })
    };
    let mut taken = 0;
    let take = "UPDATE documents SET view_count = view_count + 1 \
                WHERE id = (SELECT min(id) FROM documents WHERE view_count < 1000)";
    while !writer.is_finished() {
        match replica.execute_raw(raw(take, Vec::new())).await {
            Ok(_) => taken += 1,
            Err(error) => assert!(error.to_string().contains("run it again"), "{error}"),
        }
    }
    writer.await.unwrap();
    assert!(taken > 0);
    assert_agrees::<document::Entity, _>(&*replica).await;
    let rows = document::Entity::find().all(&*replica).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.view_count).sum::<i64>(), 30 + taken);
}

/// A column whose name differs from a field's in letters' case only was taken for the field.
#[apply(on_postgres!)]
async fn columns_that_differ_in_case_only_are_told_apart() {
    let with_title = DOCUMENTS.replace("author text,", "author text, \"Title\" text,");
    let replica = documents_in(&[&with_title]).await;
    let tags = serde_json::json!(["x"]);
    captured(
        &replica,
        vec![
            (
                "UPDATE documents SET \"Title\" = $1, view_count = $2 WHERE id = 'a'",
                vec!["other".into(), 7_i64.into()],
            ),
            (
                "INSERT INTO documents (\"Title\", id, title, view_count, tags) VALUES ($1, $2, $3, $4, $5)",
                vec!["other".into(), "d".into(), "its own".into(), 1_i64.into(), tags.into()],
            ),
        ],
    )
    .await;
}
