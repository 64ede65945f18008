//! A unique value taken on two nodes: both rows are replicated, each node shows one of them, and giving way on either
//! side shows both everywhere.

use grove_crdt::Replica;
use grove_crdt_tests::cells;
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel, TransactionSession as _, TransactionTrait as _};

use super::{
    library::{TABLES, library, put_book, put_shelf, shelf, shelves_of},
    support::{carry, changes_of, meet, parked, push},
};

async fn rename<C: sea_orm::ConnectionTrait + sea_orm::TransactionTrait>(replica: &C, id: &str, name: &str) {
    let mut shelf = shelf::Entity::find_by_id(id)
        .one(replica)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    shelf.name = Set(name.into());
    shelf.update(replica).await.unwrap();
}

/// Two replicas that have both named a shelf `x`, and heard of each other.
async fn contested() -> (Replica, Replica) {
    let (a, _) = library("a").await;
    let (b, _) = library("b").await;
    put_shelf(&a, "s1", "x").await;
    put_shelf(&b, "s2", "x").await;
    meet(&a, &b, TABLES).await;
    assert_eq!(parked(&a).await, ["shelves s2 Unique"]);
    assert_eq!(parked(&b).await, ["shelves s1 Unique"]);
    for (replica, holder) in [(&a, "s1"), (&b, "s2")] {
        let waiting = replica.parked().await.unwrap();
        assert_eq!(waiting[0].holder.as_deref(), Some(holder));
        let constraint = waiting[0].constraint.as_deref().expect("its name");
        assert!(constraint.contains("name"), "{constraint}");
    }
    assert_eq!(cells(&a, "shelves").await, cells(&b, "shelves").await);
    (a, b)
}

/// A row that is tried in vain was sent to everybody again, each time.
#[apply(on_each_database!)]
async fn trying_a_row_in_vain_is_no_change() {
    let (a, _b) = contested().await;
    let before = changes_of(&a, TABLES).await;
    for name in ["y", "z"] {
        put_shelf(&a, name, name).await;
    }
    assert_eq!(parked(&a).await, ["shelves s2 Unique"]);
    let after = changes_of(&a, TABLES).await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), before.len() + 2);
}

async fn assert_settled(a: &Replica, b: &Replica, shelves: &[&str]) {
    for replica in [a, b] {
        assert_eq!(parked(replica).await, Vec::<String>::new(), "{}", replica.node_id());
        assert_eq!(shelves_of(replica).await, shelves, "{}", replica.node_id());
    }
    assert_eq!(cells(a, "shelves").await, cells(b, "shelves").await);
}

#[apply(on_each_database!)]
async fn both_sides_go_on_working_meanwhile() {
    let (a, b) = contested().await;
    put_shelf(&a, "s3", "y").await;
    put_book(&b, "b1", Some("s2")).await;
    rename(&b, "s2", "x").await;
    meet(&a, &b, TABLES).await;
    assert_eq!(shelves_of(&a).await, ["s1=x", "s3=y"]);
    assert_eq!(shelves_of(&b).await, ["s2=x", "s3=y"]);
    // The book stands on a shelf that is not shown on `a`.
    assert_eq!(parked(&a).await, ["books b1 ForeignKey", "shelves s2 Unique"]);
    rename(&a, "s1", "z").await;
    meet(&a, &b, TABLES).await;
    assert_settled(&a, &b, &["s1=z", "s2=x", "s3=y"]).await;
}

#[apply(on_each_database!)]
async fn giving_way_on_either_side_releases_both_rows_everywhere() {
    let (a, b) = contested().await;
    rename(&a, "s1", "y").await;
    assert_eq!(shelves_of(&a).await, ["s1=y", "s2=x"]);
    meet(&a, &b, TABLES).await;
    assert_settled(&a, &b, &["s1=y", "s2=x"]).await;
    let (a, b) = contested().await;
    rename(&b, "s2", "y").await;
    meet(&a, &b, TABLES).await;
    assert_settled(&a, &b, &["s1=x", "s2=y"]).await;
}

#[apply(on_each_database!)]
async fn deleting_gives_way_too() {
    let (a, b) = contested().await;
    shelf::Entity::delete_by_id("s1").exec(&a).await.unwrap();
    assert_eq!(shelves_of(&a).await, ["s2=x"]);
    meet(&a, &b, TABLES).await;
    assert_settled(&a, &b, &["s2=x"]).await;
}

#[apply(on_each_database!)]
async fn a_value_that_the_same_page_frees_is_free() {
    let (origin, _) = library("origin").await;
    put_shelf(&origin, "s2", "x").await;
    put_shelf(&origin, "s3", "y").await;
    let (replica, _) = library("replica").await;
    carry(&origin, &replica, TABLES).await;
    // Freed by a row that comes later in key order, and by a delete.
    rename(&origin, "s2", "z").await;
    put_shelf(&origin, "s1", "x").await;
    shelf::Entity::delete_by_id("s3").exec(&origin).await.unwrap();
    put_shelf(&origin, "s4", "y").await;
    let response = carry(&origin, &replica, TABLES).await;
    assert_eq!(response.merged, 5);
    assert_settled(&origin, &replica, &["s1=x", "s2=z", "s4=y"]).await;
}

#[apply(on_each_database!)]
async fn values_that_change_places_are_written_though_no_order_of_updates_would_do() {
    let (origin, _) = library("origin").await;
    for (id, name) in [("s1", "one"), ("s2", "two"), ("s3", "three"), ("s4", "four")] {
        put_shelf(&origin, id, name).await;
    }
    put_book(&origin, "b1", Some("s1")).await;
    let (replica, _) = library("replica").await;
    carry(&origin, &replica, TABLES).await;
    let tx = origin.begin().await.unwrap();
    for (id, name) in [("s1", "-"), ("s2", "one"), ("s3", "two"), ("s1", "three"), ("s4", "5")] {
        rename(&tx, id, name).await;
    }
    tx.commit().await.unwrap();
    carry(&origin, &replica, TABLES).await;
    assert_settled(&origin, &replica, &["s1=three", "s2=one", "s3=two", "s4=5"]).await;
    // As two pages, so that the first can't be written when it comes.
    let tx = origin.begin().await.unwrap();
    for (id, name) in [("s1", "-"), ("s2", "three"), ("s1", "one")] {
        rename(&tx, id, name).await;
    }
    tx.commit().await.unwrap();
    for change in changes_of(&origin, TABLES).await {
        push(&origin, &replica, &[change]).await;
    }
    assert_settled(&origin, &replica, &["s1=one", "s2=three", "s3=two", "s4=5"]).await;
    assert_eq!(super::library::books_of(&replica).await, ["b1@s1"]);
}
