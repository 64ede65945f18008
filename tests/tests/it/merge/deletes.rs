//! Deletes that meet rows which refer to what is deleted.

use grove_crdt::Replica;
use grove_crdt_tests::cells;
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};

use super::{
    library::{TABLES, book, books, books_of, library_with, put_book, put_shelf, shelf, shelves_of},
    support::{meet, parked},
};

/// `a` has deleted a shelf, while `b` put the book b2 on it.
async fn deleted_under_a_book(on_delete: &str) -> (Replica, Replica) {
    let (a, _) = library_with("a", &books(on_delete)).await;
    let (b, _) = library_with("b", &books(on_delete)).await;
    put_shelf(&a, "s1", "one").await;
    put_shelf(&a, "s2", "two").await;
    meet(&a, &b, TABLES).await;
    put_book(&b, "b2", Some("s1")).await;
    let deleted = shelf::Entity::delete_by_id("s1").exec(&a).await.unwrap();
    assert_eq!(deleted.rows_affected, 1);
    meet(&a, &b, TABLES).await;
    assert_same_cells(&a, &b).await;
    (a, b)
}

async fn assert_same_cells(a: &Replica, b: &Replica) {
    for table in TABLES {
        assert_eq!(cells(a, table).await, cells(b, table).await, "{table}");
    }
}

async fn assert_settled(a: &Replica, b: &Replica, books: &[&str], shelves: &[&str]) {
    assert_same_cells(a, b).await;
    for replica in [a, b] {
        assert_eq!(parked(replica).await, Vec::<String>::new(), "{}", replica.node_id());
        assert_eq!(books_of(replica).await, books, "{}", replica.node_id());
        assert_eq!(shelves_of(replica).await, shelves, "{}", replica.node_id());
    }
}

#[apply(on_each_database!)]
async fn a_cascade_onto_a_row_that_lives_parks_it_and_a_rebirth_brings_it_back() {
    let (a, b) = deleted_under_a_book("ON DELETE CASCADE").await;
    for replica in [&a, &b] {
        assert_eq!(parked(replica).await, ["books b2 ForeignKey"], "{}", replica.node_id());
        assert_eq!(shelves_of(replica).await, ["s2=two"]);
        assert_eq!(books_of(replica).await, Vec::<String>::new());
    }
    let detail = &b.parked().await.unwrap()[0].detail;
    assert!(detail.contains("shelves"), "{detail}");
    put_shelf(&b, "s1", "again").await;
    assert_eq!(books_of(&b).await, ["b2@s1"]);
    meet(&a, &b, TABLES).await;
    assert_settled(&a, &b, &["b2@s1"], &["s1=again", "s2=two"]).await;
}

#[apply(on_each_database!)]
async fn a_cascade_that_was_captured_is_no_news() {
    let (a, _) = library_with("a", &books("ON DELETE CASCADE")).await;
    let (b, _) = library_with("b", &books("ON DELETE CASCADE")).await;
    put_shelf(&a, "s1", "one").await;
    for n in 0..5 {
        put_book(&a, &format!("b{n}"), Some("s1")).await;
    }
    meet(&a, &b, TABLES).await;
    shelf::Entity::delete_by_id("s1").exec(&a).await.unwrap();
    meet(&a, &b, TABLES).await;
    assert_settled(&a, &b, &[], &[]).await;
}

#[apply(on_each_database!)]
async fn a_reference_that_is_set_null_behind_a_living_row_parks_it() {
    let (a, b) = deleted_under_a_book("ON DELETE SET NULL").await;
    for replica in [&a, &b] {
        assert_eq!(parked(replica).await, ["books b2 ForeignKey"], "{}", replica.node_id());
        assert_eq!(shelves_of(replica).await, ["s2=two"]);
    }
    // It is still there on the node that has it; moving it settles the matter on both.
    let mut book = book::Entity::find_by_id("b2")
        .one(&b)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    book.shelf = Set(Some("s2".into()));
    book.update(&b).await.unwrap();
    meet(&a, &b, TABLES).await;
    assert_settled(&a, &b, &["b2@s2"], &["s2=two"]).await;
}

#[apply(on_each_database!)]
async fn a_dead_row_that_is_referred_to_stays_until_the_child_goes() {
    for on_delete in ["", "ON DELETE RESTRICT"] {
        let (a, b) = deleted_under_a_book(on_delete).await;
        assert_eq!(parked(&a).await, ["books b2 ForeignKey"]);
        assert_eq!(parked(&b).await, ["shelves s1 ForeignKey"]);
        assert_eq!(shelves_of(&b).await, ["s1=one", "s2=two"]);
        assert_eq!(books_of(&b).await, ["b2@s1"]);
        book::Entity::delete_by_id("b2").exec(&b).await.unwrap();
        assert_eq!(shelves_of(&b).await, ["s2=two"]);
        meet(&a, &b, TABLES).await;
        assert_settled(&a, &b, &[], &["s2=two"]).await;
    }
}

#[apply(on_each_database!)]
async fn a_dead_row_goes_when_its_child_moves_away() {
    let (a, b) = deleted_under_a_book("").await;
    let mut book = book::Entity::find_by_id("b2")
        .one(&b)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    book.shelf = Set(None);
    book.update(&b).await.unwrap();
    meet(&a, &b, TABLES).await;
    assert_settled(&a, &b, &["b2@-"], &["s2=two"]).await;
}

#[apply(on_each_database!)]
async fn a_write_of_a_row_that_waits_to_go_brings_it_back_to_life() {
    let (a, b) = deleted_under_a_book("").await;
    let mut shelf = shelf::Entity::find_by_id("s1")
        .one(&b)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    shelf.name = Set("kept".into());
    shelf.update(&b).await.unwrap();
    assert_eq!(parked(&b).await, Vec::<String>::new());
    meet(&a, &b, TABLES).await;
    assert_settled(&a, &b, &["b2@s1"], &["s1=kept", "s2=two"]).await;
}

#[apply(on_each_database!)]
async fn parents_and_children_deleted_apart_are_deleted_together() {
    let (a, _) = library_with("a", &books("ON DELETE RESTRICT")).await;
    let (b, _) = library_with("b", &books("ON DELETE RESTRICT")).await;
    put_shelf(&a, "s1", "one").await;
    super::library::put_shelf_within(&a, "s2", "two", Some("s1")).await;
    super::library::put_shelf_within(&a, "s0", "three", Some("s2")).await;
    put_book(&a, "b1", Some("s0")).await;
    meet(&a, &b, TABLES).await;
    book::Entity::delete_by_id("b1").exec(&a).await.unwrap();
    for id in ["s0", "s2", "s1"] {
        shelf::Entity::delete_by_id(id).exec(&a).await.unwrap();
    }
    // Parents first, one by one: each waits for its children.
    for pk in ["s1", "s2", "s0", "b1"] {
        let changes = super::support::changes_of(&a, TABLES).await;
        let of: Vec<_> = changes.into_iter().filter(|change| change["pk"] == pk).collect();
        assert_eq!(super::support::push(&a, &b, &of).await.rejected, []);
    }
    assert_settled(&a, &b, &[], &[]).await;
}
