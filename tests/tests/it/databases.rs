//! The databases that tests are given.

use grove_crdt_tests::{TestDatabase, create_table, entities::document, new_database, rows, run_all};
use sea_orm::EntityTrait as _;

use crate::capture::draft;

#[apply(on_each_database!)]
async fn each_is_new_and_can_be_connected_to_again() {
    let database = TestDatabase::new().await;
    create_table(&database.connect().await, document::Entity).await.unwrap();
    let documents = rows::<document::Entity, _>(&database.connect().await).await;
    assert_eq!(documents, Vec::<String>::new());
    create_table(&new_database().await, document::Entity).await.unwrap();
}

#[apply(on_each_database!)]
async fn a_copy_holds_what_was_there_and_goes_its_own_way() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    let child =
        "CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT, FOREIGN KEY (parent) REFERENCES documents (id))";
    run_all(&db, &[child]).await;
    document::Entity::insert(draft("a")).exec(&db).await.unwrap();
    run_all(&db, &["INSERT INTO children VALUES ('b', 'a')"]).await;
    let backup = database.copy().await;
    let copy = backup.connect().await;
    document::Entity::insert(draft("c")).exec(&db).await.unwrap();
    assert_eq!(rows::<document::Entity, _>(&copy).await.len(), 1);
    run_all(&copy, &["DELETE FROM children", "DELETE FROM documents"]).await;
    assert_eq!(rows::<document::Entity, _>(&db).await.len(), 2);
}
