//! What happens when parked rows are released, and to those who write them meanwhile.

use grove_crdt::{Replica, ReplicaBuilder};
use grove_crdt_tests::cells;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, IntoActiveModel};

use super::{
    library::{SHELVES, TABLES, book, books, books_of, library, put_book, put_shelf, shelf, shelves_of},
    support::{carry, changes_of, meet, parked, push, replica_over},
};

async fn copies(replica: &Replica, id: &str) -> i64 {
    book::Entity::find_by_id(id).one(replica).await.unwrap().unwrap().copies
}

/// A plain integer was taken as a difference to the record, which of a parked row is not what its writer saw: five copies
/// added elsewhere were taken away again.
#[apply(on_each_database!)]
async fn setting_a_counter_of_a_parked_row_counts_from_what_the_row_shows() {
    let (a, _) = library("a").await;
    let (b, _) = library("b").await;
    put_book(&a, "b1", None).await;
    carry(&a, &b, TABLES).await;
    put_shelf(&a, "s1", "x").await;
    let mut moved = book::Entity::find_by_id("b1")
        .one(&a)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    moved.shelf = Set(Some("s1".into()));
    moved.update(&a).await.unwrap();
    book::ActiveModel::increment_copies(&a, "b1", 5).await.unwrap();
    let books = changes_of(&a, &["books"]).await;
    push(&a, &b, &books).await;
    assert_eq!(parked(&b).await, ["books b1 ForeignKey"]);
    assert_eq!(copies(&b, "b1").await, 1);

    let mut seen = book::Entity::find_by_id("b1")
        .one(&b)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    seen.copies = Set(2);
    seen.update(&b).await.unwrap();
    meet(&a, &b, TABLES).await;
    assert_eq!(parked(&b).await, Vec::<String>::new());
    assert_eq!((copies(&a, "b1").await, copies(&b, "b1").await), (7, 7));
    assert_eq!(cells(&a, "books").await, cells(&b, "books").await);
}

/// Shelves that are held by pins, in a table that is not replicated.
async fn pinned(node: &str) -> Replica {
    let books = books("ON DELETE CASCADE");
    let pins = "CREATE TABLE pins (shelf TEXT NOT NULL, FOREIGN KEY (shelf) REFERENCES shelves (id))";
    let entities = |builder: ReplicaBuilder| builder.entity::<shelf::Entity>().entity::<book::Entity>();
    replica_over(node, &[SHELVES, &books, pins], entities).await.0
}

/// The delete of a parent waited for a row of another table. When that went, nothing was tried; and when it was, the rows
/// that the delete took along were gone without a word.
#[apply(on_each_database!)]
async fn a_delete_that_waited_for_an_unreplicated_row_parks_what_it_takes_along() {
    let (a, b) = (pinned("a").await, pinned("b").await);
    put_shelf(&a, "s1", "x").await;
    carry(&a, &b, TABLES).await;
    b.execute_unprepared("INSERT INTO pins VALUES ('s1')").await.unwrap();
    shelf::Entity::delete_by_id("s1").exec(&a).await.unwrap();
    carry(&a, &b, TABLES).await;
    assert_eq!(parked(&b).await, ["shelves s1 ForeignKey"]);
    put_book(&b, "b2", Some("s1")).await;

    b.execute_unprepared("DELETE FROM pins").await.unwrap();
    assert_eq!(shelves_of(&b).await, Vec::<String>::new());
    assert_eq!(books_of(&b).await, Vec::<String>::new());
    assert_eq!(parked(&b).await, ["books b2 ForeignKey"]);

    put_shelf(&a, "s1", "again").await;
    meet(&a, &b, TABLES).await;
    assert_eq!(books_of(&a).await, ["b2@s1"]);
    assert_eq!(books_of(&b).await, ["b2@s1"]);
    assert_eq!(parked(&b).await, Vec::<String>::new());
}

/// A child of a table that is not replicated was shown only with the next write of its own table.
#[apply(on_each_database!)]
async fn a_row_that_waits_for_an_unreplicated_parent_is_shown_with_it() {
    let (a, _) = library("a").await;
    put_shelf(&a, "s1", "x").await;
    put_book(&a, "b1", Some("s1")).await;
    let (b, _) = replica_over("b", &[SHELVES, &books("")], ReplicaBuilder::entity::<book::Entity>).await;
    carry(&a, &b, &["books"]).await;
    assert_eq!(parked(&b).await, ["books b1 ForeignKey"]);
    b.execute_unprepared("INSERT INTO shelves VALUES ('s1', 'x', NULL)")
        .await
        .unwrap();
    assert_eq!(books_of(&b).await, ["b1@s1"]);
    assert_eq!(parked(&b).await, Vec::<String>::new());
}
