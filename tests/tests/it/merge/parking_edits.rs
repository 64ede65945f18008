//! Edits of rows that waited once: what a row showed then says nothing of it now.

use grove_crdt::Replica;
use grove_crdt_tests::cells;
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel, TransactionSession as _, TransactionTrait as _};

use super::{
    library::{TABLES, book, books, books_of, library, library_with, put_book, put_shelf, shelf},
    support::{changes_of, cut_off_after_commit, meet, parked, push},
};

async fn move_to(replica: &Replica, id: &str, shelf: &str) {
    let book = book::Entity::find_by_id(id).one(replica).await.unwrap().unwrap();
    let mut book = book.into_active_model();
    book.shelf = Set(Some(shelf.into()));
    book.update(replica).await.unwrap();
}

/// `b` shows the book b1 on the shelf s1, since the shelf s0 that `a` has moved it to is not there yet. Another book waits
/// all the time.
async fn waiting_on_the_old_shelf(on_delete: &str) -> (Replica, Replica) {
    let (a, _) = library_with("a", &books(on_delete)).await;
    let (b, _) = library_with("b", &books(on_delete)).await;
    put_shelf(&a, "s1", "one").await;
    put_book(&a, "b1", Some("s1")).await;
    meet(&a, &b, TABLES).await;
    put_shelf(&a, "s9", "nine").await;
    put_book(&a, "b9", Some("s9")).await;
    put_shelf(&a, "s0", "zero").await;
    move_to(&a, "b1", "s0").await;
    push(&a, &b, &changes_of(&a, &["books"]).await).await;
    assert_eq!(parked(&b).await, ["books b1 ForeignKey", "books b9 ForeignKey"]);
    assert_eq!(books_of(&b).await, ["b1@s1"]);
    (a, b)
}

/// Takes one shelf to `b`.
async fn bring_shelf(a: &Replica, b: &Replica, id: &str) {
    let mut shelves = changes_of(a, &["shelves"]).await;
    shelves.retain(|change| change["pk"] == id);
    push(a, b, &shelves).await;
}

async fn assert_on_the_old_shelf_everywhere(a: &Replica, b: &Replica) {
    meet(a, b, TABLES).await;
    for replica in [a, b] {
        assert_eq!(books_of(replica).await, ["b1@s1", "b9@s9"], "{}", replica.node_id());
        let record = replica.inspect::<book::Entity>("b1").await.unwrap();
        assert!(record.fields.iter().any(|field| field.value == "s1"), "{record}");
    }
    assert_eq!(cells(a, "books").await, cells(b, "books").await);
}

/// What a row showed while it waited was noted, so that writing it back would be no edit, and the note outlived the waiting.
/// A comment that was later moved back to the document where it had stood was there in its row, but not in its record: no one
/// else heard of it.
#[apply(on_each_database!)]
async fn to_move_a_row_back_to_where_it_waited_is_an_edit() {
    let (a, b) = waiting_on_the_old_shelf("").await;
    bring_shelf(&a, &b, "s0").await;
    assert_eq!(books_of(&b).await, ["b1@s0"]);
    move_to(&b, "b1", "s1").await;
    assert_on_the_old_shelf_everywhere(&a, &b).await;
}

/// The same before anybody has tried the row again.
#[tokio::test]
async fn to_move_a_row_back_is_an_edit_before_it_has_been_tried_again() {
    let (a, b) = waiting_on_the_old_shelf("").await;
    let tx = b.begin().await.unwrap();
    let zero = shelf::ActiveModel {
        id: Set("s0".into()),
        name: Set("zero".into()),
        within: Set(None),
    };
    zero.insert(&tx).await.unwrap();
    let update = book::ActiveModel {
        id: Set("b1".into()),
        shelf: Set(Some("s0".into())),
        ..Default::default()
    };
    update.update(&tx).await.unwrap();
    cut_off_after_commit(&b, tx.commit()).await;
    assert_eq!(parked(&b).await, ["books b1 ForeignKey", "books b9 ForeignKey"]);
    move_to(&b, "b1", "s1").await;
    assert_on_the_old_shelf_everywhere(&a, &b).await;
}

/// Nor does it say anything of a row that is not there any more, and is inserted.
#[apply(on_each_database!)]
async fn to_insert_a_row_as_it_stood_while_it_waited_is_an_edit() {
    let (a, b) = waiting_on_the_old_shelf("ON DELETE CASCADE").await;
    let (c, _) = library("c").await;
    meet(&b, &c, &["shelves"]).await;
    shelf::Entity::delete_by_id("s1").exec(&c).await.unwrap();
    meet(&b, &c, &["shelves"]).await;
    assert_eq!(books_of(&b).await, Vec::<String>::new());
    put_shelf(&b, "s1", "one").await;
    put_book(&b, "b1", Some("s1")).await;
    assert_on_the_old_shelf_everywhere(&a, &b).await;
}

/// A row that waits may be there on one node, as it was before, and not on another, where what it referred to went from under
/// it. Only when it waits no more are the two the same.
#[apply(on_each_database!)]
async fn a_row_that_waits_everywhere_may_stand_on_one_node_and_be_gone_on_the_other() {
    let (a, _) = library_with("a", &books("ON DELETE CASCADE")).await;
    let (b, _) = library_with("b", &books("ON DELETE CASCADE")).await;
    for (id, name) in [("s1", "one"), ("s2", "two")] {
        put_shelf(&a, id, name).await;
    }
    put_book(&a, "b1", Some("s1")).await;
    meet(&a, &b, TABLES).await;
    move_to(&a, "b1", "s2").await;
    shelf::Entity::delete_by_id("s2").exec(&b).await.unwrap();
    meet(&a, &b, TABLES).await;
    for table in TABLES {
        assert_eq!(cells(&a, table).await, cells(&b, table).await, "{table}");
    }
    for replica in [&a, &b] {
        assert_eq!(parked(replica).await, ["books b1 ForeignKey"], "{}", replica.node_id());
    }
    assert_eq!(books_of(&a).await, Vec::<String>::new());
    assert_eq!(books_of(&b).await, ["b1@s1"]);
    put_shelf(&b, "s2", "again").await;
    meet(&a, &b, TABLES).await;
    for replica in [&a, &b] {
        assert_eq!(parked(replica).await, Vec::<String>::new(), "{}", replica.node_id());
        assert_eq!(books_of(replica).await, ["b1@s2"], "{}", replica.node_id());
    }
}
