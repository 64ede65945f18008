//! A transaction that has read before others wrote: on MySQL it goes on reading what was, and yet it writes what is.

use grove_crdt_tests::{apply, assert_agrees, backend, entities::document, on_each_database};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, TransactionSession as _, TransactionTrait as _};

use super::{documents_in, raw};

#[apply(on_each_database!)]
async fn what_others_wrote_is_recorded_as_it_is() {
    if backend() == DbBackend::Sqlite {
        return;
    }
    let text = |postgres, mysql| {
        if backend() == DbBackend::Postgres {
            postgres
        } else {
            mysql
        }
    };
    let documents = text(
        "CREATE TABLE documents (id text PRIMARY KEY, title text NOT NULL, view_count bigint NOT NULL, tags jsonb NOT NULL, author text)",
        "CREATE TABLE documents (id varchar(100) PRIMARY KEY, title varchar(100) NOT NULL, view_count bigint NOT NULL, tags json NOT NULL, author varchar(100))",
    );
    let replica = documents_in(&[
        documents,
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, document VARCHAR(100))",
    ])
    .await;
    for (fresh, write) in [
        (
            "INSERT INTO notes VALUES (1, 'a')",
            "UPDATE documents SET view_count = view_count + 1 WHERE id IN (SELECT document FROM notes)",
        ),
        (
            "UPDATE notes SET document = 'b'",
            "UPDATE documents SET title = 'x' WHERE EXISTS (SELECT 1 FROM notes WHERE document = documents.id)",
        ),
        (
            "UPDATE notes SET document = 'n'",
            "INSERT INTO documents SELECT document, 'new', 1, '[]', 'me' FROM notes",
        ),
        (
            "UPDATE documents SET author = 'z' WHERE id = 'c'",
            "UPDATE documents SET id = concat(id, author) WHERE author = 'z'",
        ),
        (
            "UPDATE documents SET title = 'gone' WHERE id = 'cz'",
            "DELETE FROM documents WHERE id = (SELECT max(id) FROM (SELECT id FROM documents WHERE title = 'gone') AS x)",
        ),
    ] {
        let tx = replica.begin().await.unwrap();
        tx.query_all_raw(raw("SELECT * FROM documents, notes", Vec::new()))
            .await
            .unwrap();
        replica.execute_raw(raw(fresh, Vec::new())).await.unwrap();
        let done = tx.execute_raw(raw(write, Vec::new())).await;
        let done = done.unwrap_or_else(|error| panic!("{write}: {error}"));
        assert_eq!(done.rows_affected(), 1, "{write}");
        tx.commit().await.unwrap();
        assert_agrees::<document::Entity, _>(&replica).await;
    }
    assert_eq!(document::Entity::find().all(&replica).await.unwrap().len(), 3);
}
