//! Local writes on and around rows that wait.

use grove_crdt::Replica;
use grove_crdt_tests::cells;
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel, TransactionSession as _, TransactionTrait as _};

use super::{
    library::{TABLES, book, books, books_of, library, library_with, put_book, put_shelf},
    support::{changes_of, meet, parked, push},
};

const LONG: &str = "a title with more than twenty characters";

async fn book_of(replica: &Replica, id: &str) -> Option<book::Model> {
    book::Entity::find_by_id(id).one(replica).await.unwrap()
}

async fn edit(replica: &Replica, id: &str, with: impl FnOnce(&mut book::ActiveModel)) {
    let mut book = book_of(replica, id).await.unwrap().into_active_model();
    with(&mut book);
    book.update(replica).await.unwrap();
}

/// A book without its shelf: it waits, and is not to be seen.
async fn waiting_for_a_shelf() -> (Replica, Replica) {
    let (origin, _) = library("origin").await;
    put_shelf(&origin, "s1", "one").await;
    put_book(&origin, "b1", Some("s1")).await;
    let (replica, _) = library("replica").await;
    push(&origin, &replica, &changes_of(&origin, &["books"]).await).await;
    assert_eq!(parked(&replica).await, ["books b1 ForeignKey"]);
    (origin, replica)
}

/// A book whose new title does not pass the check here: its row stays as it was.
async fn waiting_for_a_title() -> (Replica, Replica) {
    let (origin, _) = library_with("origin", &books("").replace("length(title) <= 20", "1 = 1")).await;
    put_book(&origin, "b1", None).await;
    let (replica, _) = library("replica").await;
    meet(&origin, &replica, TABLES).await;
    edit(&origin, "b1", |book| book.title = Set(Some(LONG.into()))).await;
    meet(&origin, &replica, TABLES).await;
    assert_eq!(parked(&replica).await, ["books b1 Check"]);
    (origin, replica)
}

async fn assert_settled(a: &Replica, b: &Replica) {
    for table in TABLES {
        assert_eq!(cells(a, table).await, cells(b, table).await);
    }
    assert_eq!(parked(b).await, Vec::<String>::new());
    assert_eq!(books_of(a).await, books_of(b).await);
}

#[apply(on_each_database!)]
async fn an_insert_under_the_key_of_a_row_that_waits_says_what_the_row_is_to_be() {
    let (origin, replica) = waiting_for_a_shelf().await;
    put_book(&replica, "b1", None).await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    assert_eq!(books_of(&replica).await, ["b1@-"]);
    meet(&origin, &replica, TABLES).await;
    assert_settled(&origin, &replica).await;
    // One birth of one copy each, met: the insert said one copy, and so it is.
    assert_eq!(book_of(&origin, "b1").await.unwrap().copies, 1);
}

#[apply(on_each_database!)]
async fn a_row_that_waits_takes_writes_of_its_other_fields() {
    let (origin, replica) = waiting_for_a_title().await;
    edit(&replica, "b1", |book| book.copies = Set(5)).await;
    book::ActiveModel::increment_copies(&replica, "b1", 2).await.unwrap();
    assert_eq!(parked(&replica).await, ["books b1 Check"]);
    meet(&origin, &replica, TABLES).await;
    assert_eq!(book_of(&origin, "b1").await.unwrap().copies, 7);
    assert_eq!(book_of(&replica, "b1").await.unwrap().copies, 7);
    assert_eq!(cells(&origin, "books").await, cells(&replica, "books").await);
}

#[apply(on_each_database!)]
async fn a_write_of_what_it_waits_for_releases_it() {
    let (origin, replica) = waiting_for_a_title().await;
    edit(&replica, "b1", |book| book.title = Set(Some("short".into()))).await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    meet(&origin, &replica, TABLES).await;
    assert_settled(&origin, &replica).await;
    assert_eq!(book_of(&origin, "b1").await.unwrap().title.as_deref(), Some("short"));
}

#[apply(on_each_database!)]
async fn what_comes_for_other_fields_of_a_row_that_waits_is_written_with_it() {
    let (origin, replica) = waiting_for_a_title().await;
    edit(&origin, "b1", |book| book.copies = Set(9)).await;
    meet(&origin, &replica, TABLES).await;
    assert_eq!(parked(&replica).await, ["books b1 Check"]);
    edit(&origin, "b1", |book| book.title = Set(Some("short".into()))).await;
    meet(&origin, &replica, TABLES).await;
    assert_settled(&origin, &replica).await;
    assert_eq!(book_of(&replica, "b1").await.unwrap().copies, 9);
}

#[apply(on_each_database!)]
async fn deleting_a_row_that_waits_settles_it_everywhere() {
    let (origin, replica) = waiting_for_a_title().await;
    book::Entity::delete_by_id("b1").exec(&replica).await.unwrap();
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    meet(&origin, &replica, TABLES).await;
    assert_settled(&origin, &replica).await;
    assert_eq!(books_of(&origin).await, Vec::<String>::new());
}

#[apply(on_each_database!)]
async fn a_write_that_is_rolled_back_releases_nothing() {
    let (_, replica) = waiting_for_a_shelf().await;
    let tx = replica.begin().await.unwrap();
    let shelf = super::library::shelf::ActiveModel {
        id: Set("s1".into()),
        name: Set("x".into()),
        within: Set(None),
    };
    shelf.clone().insert(&tx).await.unwrap();
    // The book is released by the commit only.
    tx.inspect::<book::Entity>("b1").await.unwrap();
    assert_eq!(book::Entity::find().all(&tx).await.unwrap().len(), 0);
    tx.rollback().await.unwrap();
    assert_eq!(parked(&replica).await, ["books b1 ForeignKey"]);
    assert_eq!(books_of(&replica).await, Vec::<String>::new());
    // The same in a savepoint.
    let tx = replica.begin().await.unwrap();
    let inner = tx.begin().await.unwrap();
    shelf.clone().insert(&inner).await.unwrap();
    inner.inspect::<book::Entity>("b1").await.unwrap();
    inner.rollback().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(parked(&replica).await, ["books b1 ForeignKey"]);
    shelf.insert(&replica).await.unwrap();
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    assert_eq!(books_of(&replica).await, ["b1@s1"]);
}

#[apply(on_each_database!)]
async fn an_adoption_takes_a_row_that_waits_for_what_it_is() {
    let (origin, replica) = waiting_for_a_title().await;
    let before = cells(&replica, "books").await;
    let report = replica.adopt::<book::Entity>().deletions(true).await.unwrap();
    assert_eq!((report.changed, report.adopted, report.deleted), (0, 0, 0));
    assert_eq!(cells(&replica, "books").await, before);
    let (_, replica) = waiting_for_a_shelf().await;
    let report = replica.adopt::<book::Entity>().deletions(true).await.unwrap();
    assert_eq!(report.deleted, 0);
    drop(origin);
}
