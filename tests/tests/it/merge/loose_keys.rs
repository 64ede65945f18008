//! Keys that a column takes for equal, though they are different texts: both rows are replicated, and one is shown.

use grove_crdt::Replica;
use grove_crdt_tests::{Kind, assert_agrees, entities::document, execute, kind};
use sea_orm::EntityTrait as _;

use super::support::{carry, changes_of, parked, push, replica_over};
use crate::capture::draft;

/// Documents by keys of which a letter's case does not matter.
async fn documents(node: &str) -> Replica {
    let key = match kind() {
        Kind::Sqlite => "TEXT COLLATE NOCASE",
        Kind::Postgres => "TEXT COLLATE nocase",
        // By default.
        Kind::MySql | Kind::MariaDb => "TEXT",
    };
    let collation = "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
    let table = format!(
        "CREATE TABLE documents (id {key} PRIMARY KEY NOT NULL, title TEXT NOT NULL, view_count BIGINT NOT NULL,
            tags JSON_TEXT NOT NULL, author TEXT)"
    );
    let ddl = [collation, &table];
    let ddl = if kind() == Kind::Postgres { &ddl[..] } else { &ddl[1..] };
    let (replica, _) = replica_over(node, ddl, grove_crdt::ReplicaBuilder::entity::<document::Entity>).await;
    replica
}

/// The row of one key waits, since that of the other is there. Returns the replica, and another that has the other row alone.
async fn contested() -> (Replica, Replica) {
    let (here, there, other) = (
        documents("here").await,
        documents("there").await,
        documents("other").await,
    );
    draft("Key").insert(&other).await.unwrap();
    carry(&other, &here, &["documents"]).await;
    draft("kEY").insert(&there).await.unwrap();
    carry(&there, &here, &["documents"]).await;
    assert_eq!(parked(&here).await, ["documents kEY Unique"]);
    assert_eq!(here.parked().await.unwrap()[0].holder.as_deref(), Some("Key"));
    (here, other)
}

async fn shown(replica: &Replica) -> Vec<String> {
    let rows = document::Entity::find().all(replica).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

#[apply(on_each_database!)]
async fn a_row_is_written_when_the_one_of_an_equal_key_is_deleted() {
    let (here, _) = contested().await;
    document::Entity::delete_by_id("Key").exec(&here).await.unwrap();
    assert_eq!(
        (parked(&here).await, shown(&here).await),
        (vec![], vec!["kEY".to_owned()])
    );
    assert_agrees::<document::Entity, _>(&here).await;
}

#[apply(on_each_database!)]
async fn a_row_is_written_when_the_one_of_an_equal_key_takes_another() {
    let (here, _) = contested().await;
    execute(&here, "UPDATE documents SET id = 'new' WHERE id = 'Key'", []).await;
    assert_eq!(parked(&here).await, Vec::<String>::new());
    let mut shown = shown(&here).await;
    shown.sort_unstable();
    assert_eq!(shown, ["kEY", "new"]);
    assert_agrees::<document::Entity, _>(&here).await;
}

#[apply(on_each_database!)]
async fn a_row_is_written_when_the_one_of_an_equal_key_is_deleted_elsewhere() {
    let (here, other) = contested().await;
    document::Entity::delete_by_id("Key").exec(&other).await.unwrap();
    carry(&other, &here, &["documents"]).await;
    assert_eq!(
        (parked(&here).await, shown(&here).await),
        (vec![], vec!["kEY".to_owned()])
    );
    assert_agrees::<document::Entity, _>(&here).await;
}

#[apply(on_each_database!)]
async fn one_page_with_a_delete_and_a_row_of_an_equal_key_parks_nothing() {
    let (here, there, other) = (
        documents("here").await,
        documents("there").await,
        documents("other").await,
    );
    draft("Key").insert(&other).await.unwrap();
    carry(&other, &here, &["documents"]).await;
    document::Entity::delete_by_id("Key").exec(&other).await.unwrap();
    draft("kEY").insert(&there).await.unwrap();
    let mut page = changes_of(&there, &["documents"]).await;
    page.extend(changes_of(&other, &["documents"]).await);
    let response = push(&there, &here, &page).await;
    assert_eq!(response.rejected, []);
    assert_eq!(
        (parked(&here).await, shown(&here).await),
        (vec![], vec!["kEY".to_owned()])
    );
    assert_agrees::<document::Entity, _>(&here).await;
}
