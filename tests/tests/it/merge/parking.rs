//! Rows that the database refuses wait, the rest of the page goes in, and they come as soon as they can.

use grove_crdt::{ParkedReason, Replica};
use grove_crdt_tests::{TestDatabase, backend, builder, cells, number, run_all, written};
use sea_orm::{ActiveValue::Set, ConnectionTrait as _, DbBackend, EntityTrait, IntoActiveModel};
use serde_json::Value as Json;

use super::{
    library::{
        SHELVES, TABLES, book, books, books_of, library, library_with, put_book, put_shelf, put_shelf_within, shelf,
        shelves_of,
    },
    support::{carry, changes_of, parked, push},
};

/// The changes of one table, or of the other.
fn of(table: &str, changes: &[Json]) -> Vec<Json> {
    changes
        .iter()
        .filter(|change| change["table"] == table)
        .cloned()
        .collect()
}

async fn assert_same(a: &Replica, b: &Replica) {
    for table in TABLES {
        assert_eq!(cells(a, table).await, cells(b, table).await, "{table}");
    }
    assert_eq!(books_of(a).await, books_of(b).await);
    assert_eq!(shelves_of(a).await, shelves_of(b).await);
}

#[apply(on_each_database!)]
async fn a_child_that_comes_before_its_parent_waits_for_it_and_the_rest_of_the_page_goes_in() {
    let (origin, _) = library("origin").await;
    put_shelf(&origin, "s1", "one").await;
    put_book(&origin, "b1", Some("s1")).await;
    put_book(&origin, "b2", None).await;
    let changes = changes_of(&origin, TABLES).await;
    let (replica, clock) = library("replica").await;
    let response = push(&origin, &replica, &of("books", &changes)).await;
    assert_eq!((response.merged, response.rejected), (2, vec![]));
    assert_eq!(books_of(&replica).await, ["b2@-"]);
    let waiting = replica.parked().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].table.as_str(), waiting[0].pk.as_str()), ("books", "b1"));
    assert_eq!(waiting[0].reason, ParkedReason::ForeignKey);
    assert!(
        waiting[0].detail.to_lowercase().contains("foreign key"),
        "{}",
        waiting[0].detail
    );
    assert_eq!(waiting[0].since, grove_crdt::WallClock::now_micros(&clock));
    // Its cells are here and go on replicating.
    let mut there = changes_of(&replica, &["books"]).await;
    there.sort_by_key(|change| change["pk"].to_string());
    assert_eq!(there, of("books", &changes));
    push(&origin, &replica, &of("shelves", &changes)).await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    assert_same(&origin, &replica).await;
}

#[apply(on_each_database!)]
async fn one_page_with_child_and_parent_in_any_order_parks_nothing() {
    let (origin, _) = library("origin").await;
    for n in 0..20 {
        put_shelf(&origin, &format!("s{n}"), &format!("shelf {n}")).await;
        put_book(&origin, &format!("b{n}"), Some(&format!("s{n}"))).await;
    }
    let mut changes = changes_of(&origin, TABLES).await;
    changes.reverse();
    let (replica, _) = library("replica").await;
    push(&origin, &replica, &changes).await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    assert_same(&origin, &replica).await;
}

#[apply(on_each_database!)]
async fn a_chain_of_references_within_one_table_comes_in_whatever_the_order() {
    let (origin, _) = library("origin").await;
    // The further down, the earlier in key order.
    put_shelf(&origin, "s9", "root").await;
    for n in (0..9).rev() {
        put_shelf_within(
            &origin,
            &format!("s{n}"),
            &format!("shelf {n}"),
            Some(&format!("s{}", n + 1)),
        )
        .await;
    }
    put_book(&origin, "b", Some("s0")).await;
    let changes = changes_of(&origin, TABLES).await;
    // All at once, and one by one from the leaf up: each waits for the next.
    let (at_once, _) = library("at-once").await;
    push(&origin, &at_once, &changes).await;
    assert_same(&origin, &at_once).await;
    assert_eq!(parked(&at_once).await, Vec::<String>::new());
    let (one_by_one, _) = library("one-by-one").await;
    let mut ordered = changes.clone();
    ordered.sort_by_key(|change| change["pk"].as_str().unwrap().to_owned());
    for (index, change) in ordered.iter().enumerate() {
        assert_eq!(parked(&one_by_one).await.len(), index);
        push(&origin, &one_by_one, std::slice::from_ref(change)).await;
    }
    assert_eq!(parked(&one_by_one).await, Vec::<String>::new());
    assert_same(&origin, &one_by_one).await;
}

#[apply(on_each_database!)]
async fn a_row_that_refers_to_itself_is_no_riddle() {
    let (origin, _) = library("origin").await;
    put_shelf_within(&origin, "s1", "one", Some("s1")).await;
    let (replica, _) = library("replica").await;
    carry(&origin, &replica, TABLES).await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    assert_same(&origin, &replica).await;
}

#[apply(on_each_database!)]
async fn a_local_commit_releases_as_a_merge_does() {
    let (origin, _) = library("origin").await;
    put_shelf(&origin, "s1", "one").await;
    put_book(&origin, "b1", Some("s1")).await;
    let changes = changes_of(&origin, &["books"]).await;
    let (replica, _) = library("replica").await;
    push(&origin, &replica, &changes).await;
    assert_eq!(parked(&replica).await, ["books b1 ForeignKey"]);
    put_shelf(&replica, "s1", "made here").await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    assert_eq!(books_of(&replica).await, ["b1@s1"]);
    // Without hearing of it: the parent is put there behind the replica's back.
    let (other, _) = library("other").await;
    push(&origin, &other, &changes).await;
    other
        .connection()
        .execute_unprepared("INSERT INTO shelves (id, name) VALUES ('s1', 'x')")
        .await
        .unwrap();
    assert_eq!(other.release_parked().await.unwrap(), 1);
    assert_eq!(books_of(&other).await, ["b1@s1"]);
    assert_eq!(other.release_parked().await.unwrap(), 0);
}

#[apply(on_each_database!)]
async fn what_waits_survives_reopening() {
    let database = TestDatabase::new().await;
    let open = async || {
        let db = database.connect().await;
        builder("replica")
            .0
            .entity::<shelf::Entity>()
            .entity::<book::Entity>()
            .open(db)
            .await
            .unwrap()
    };
    let db = database.connect().await;
    run_all(&db, &[SHELVES, &books("")]).await;
    let (origin, _) = library("origin").await;
    put_shelf(&origin, "s1", "one").await;
    put_book(&origin, "b1", Some("s1")).await;
    let replica = open().await;
    push(&origin, &replica, &changes_of(&origin, &["books"]).await).await;
    let before = replica.parked().await.unwrap();
    assert_eq!(before.len(), 1);
    drop(replica);
    let replica = open().await;
    assert_eq!(replica.parked().await.unwrap(), before);
    push(&origin, &replica, &changes_of(&origin, &["shelves"]).await).await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    assert_eq!(books_of(&replica).await, ["b1@s1"]);
}

#[apply(on_each_database!)]
async fn a_check_that_fails_parks_and_a_later_value_releases() {
    let (origin, _) = library_with("origin", &books("").replace("length(title) <= 20", "1 = 1")).await;
    put_book(&origin, "b1", None).await;
    put_book(&origin, "b2", None).await;
    let (replica, _) = library("replica").await;
    carry(&origin, &replica, TABLES).await;
    let retitle = async |title: &str| {
        let mut book = book::Entity::find_by_id("b1")
            .one(&origin)
            .await
            .unwrap()
            .unwrap()
            .into_active_model();
        book.title = Set(Some(title.into()));
        book.update(&origin).await.unwrap();
    };
    retitle("a title with more than twenty characters").await;
    carry(&origin, &replica, TABLES).await;
    assert_eq!(parked(&replica).await, ["books b1 Check"]);
    // The row stays as it was, and can still be used.
    let title = async || {
        book::Entity::find_by_id("b1")
            .one(&replica)
            .await
            .unwrap()
            .unwrap()
            .title
    };
    assert_eq!(title().await.as_deref(), Some("Title of b1"));
    retitle("short").await;
    carry(&origin, &replica, TABLES).await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    assert_eq!(title().await.as_deref(), Some("short"));
}

#[apply(on_each_database!)]
async fn a_missing_value_parks_as_not_null() {
    let strict = books("").replace("title TEXT CHECK", "title TEXT NOT NULL CHECK");
    let (origin, _) = library("origin").await;
    let book = book::ActiveModel {
        id: Set("b1".into()),
        shelf: Set(None),
        title: Set(None),
        copies: Set(1),
        pages: Set(1),
        note: Set(None),
    };
    book.insert(&origin).await.unwrap();
    put_book(&origin, "b2", None).await;
    let (replica, _) = library_with("replica", &strict).await;
    carry(&origin, &replica, TABLES).await;
    assert_eq!(parked(&replica).await, ["books b1 NotNull"]);
    assert_eq!(books_of(&replica).await, ["b2@-"]);
}

#[apply(on_each_database!)]
async fn a_trigger_that_says_no_parks_and_does_not_block_the_page() {
    let (origin, _) = library("origin").await;
    put_book(&origin, "b1", None).await;
    put_book(&origin, "b2", None).await;
    let (replica, _) = library("replica").await;
    let trigger = match backend() {
        DbBackend::Postgres => {
            "CREATE FUNCTION no_b1() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF new.id = 'b1' THEN RAISE EXCEPTION 'b1 is not wanted'; END IF; RETURN new; END $$;
             CREATE TRIGGER no_b1 BEFORE INSERT ON books FOR EACH ROW EXECUTE FUNCTION no_b1()"
        }
        DbBackend::MySql => {
            "CREATE TRIGGER no_b1 BEFORE INSERT ON books FOR EACH ROW
                IF NEW.id = 'b1' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'b1 is not wanted'; END IF"
        }
        _ => {
            "CREATE TRIGGER no_b1 BEFORE INSERT ON books WHEN NEW.id = 'b1'
                BEGIN SELECT RAISE(ABORT, 'b1 is not wanted'); END"
        }
    };
    replica.connection().execute_unprepared(trigger).await.unwrap();
    carry(&origin, &replica, TABLES).await;
    assert_eq!(parked(&replica).await, ["books b1 Check"]);
    assert!(replica.parked().await.unwrap()[0].detail.contains("b1 is not wanted"));
    assert_eq!(books_of(&replica).await, ["b2@-"]);
}

#[apply(on_sqlite_and_postgres!)]
async fn a_foreign_key_that_is_checked_only_at_commit_parks_as_well() {
    let (origin, _) = library("origin").await;
    put_shelf(&origin, "s1", "one").await;
    put_book(&origin, "b1", Some("s1")).await;
    put_book(&origin, "b2", None).await;
    let (replica, _) = library_with("replica", &books("DEFERRABLE INITIALLY DEFERRED")).await;
    push(&origin, &replica, &changes_of(&origin, &["books"]).await).await;
    assert_eq!(parked(&replica).await, ["books b1 ForeignKey"]);
    assert_eq!(books_of(&replica).await, ["b2@-"]);
    push(&origin, &replica, &changes_of(&origin, &["shelves"]).await).await;
    assert_same(&origin, &replica).await;
    // A parent that is still referred to waits too.
    put_book(&replica, "b3", Some("s1")).await;
    book::Entity::delete_by_id("b1").exec(&origin).await.unwrap();
    shelf::Entity::delete_by_id("s1").exec(&origin).await.unwrap();
    carry(&origin, &replica, TABLES).await;
    assert_eq!(parked(&replica).await, ["shelves s1 ForeignKey"]);
}

#[apply(on_each_database!)]
async fn waiting_costs_nothing_while_nothing_comes_and_keeps_its_place() {
    let (origin, _) = library("origin").await;
    put_shelf(&origin, "s1", "one").await;
    put_book(&origin, "b1", Some("s1")).await;
    let changes = changes_of(&origin, &["books"]).await;
    let (replica, clock) = library("replica").await;
    push(&origin, &replica, &changes).await;
    let since = replica.parked().await.unwrap()[0].since;
    let before = written(&replica).await;
    push(&origin, &replica, &changes).await;
    assert_eq!(written(&replica).await, before);
    clock.advance(std::time::Duration::from_secs(5));
    put_book(&replica, "b2", None).await;
    let mut book = book::Entity::find_by_id("b1")
        .one(&origin)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    book.title = Set(Some("changed".into()));
    book.update(&origin).await.unwrap();
    push(&origin, &replica, &changes_of(&origin, &["books"]).await).await;
    assert_eq!(parked(&replica).await, ["books b1 ForeignKey"]);
    assert_eq!(replica.parked().await.unwrap()[0].since, since);
    assert_eq!(number(&replica, "SELECT count(*) FROM _grove_parked").await, 1);
}

#[apply(on_each_database!)]
async fn an_orphan_among_children_of_different_parents_is_parked_alone() {
    let (origin, _) = library("origin").await;
    for shelf in ["s1", "s2", "s3", "gone"] {
        put_shelf(&origin, shelf, shelf).await;
    }
    for (book, shelf) in [("b1", "s1"), ("b2", "gone"), ("b3", "s2"), ("b4", "s3"), ("b5", "s1")] {
        put_book(&origin, book, Some(shelf)).await;
    }
    let changes = changes_of(&origin, TABLES).await;
    let (replica, _) = library("replica").await;
    let shelves = of("shelves", &changes);
    push(
        &origin,
        &replica,
        &shelves
            .into_iter()
            .filter(|change| change["pk"] != "gone")
            .collect::<Vec<_>>(),
    )
    .await;
    push(&origin, &replica, &of("books", &changes)).await;
    assert_eq!(parked(&replica).await, ["books b2 ForeignKey"]);
    assert_eq!(books_of(&replica).await, ["b1@s1", "b3@s2", "b4@s3", "b5@s1"]);
}
