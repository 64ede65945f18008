//! Deletes that MySQL and MariaDB refuse because foreign keys would take too much along: more than 15 levels (error 3008 on MySQL,
//! 1296 on MariaDB), or a table that refers to itself by too many ways (error 6575 on MySQL 9).

use grove_crdt::Replica;
use grove_crdt_tests::{execute, number};
use sea_orm::EntityTrait as _;

use super::{
    library::{SHELVES, put_shelf, shelf, shelves_of},
    support::{carry, parked, replica_over},
};

async fn shelves(node: &str, ddl: &[&str]) -> Replica {
    let ddl: Vec<_> = [SHELVES].iter().chain(ddl).copied().collect();
    let (replica, _) = replica_over(node, &ddl, grove_crdt::ReplicaBuilder::entity::<shelf::Entity>).await;
    replica
}

/// Two shelves that are deleted, and one that is put up, by one page. The database refuses one of the deletes.
async fn page_with_a_refused_delete(here: &Replica, notes: &[&str]) {
    let there = shelves("there", &[]).await;
    for id in ["s1", "s2"] {
        put_shelf(&there, id, id).await;
    }
    carry(&there, here, &["shelves"]).await;
    for text in notes {
        execute(here, text, []).await;
    }
    shelf::Entity::delete_many().exec(&there).await.unwrap();
    put_shelf(&there, "s3", "s3").await;
    carry(&there, here, &["shelves"]).await;
}

/// The page was refused as a whole, again and again.
#[apply(on_mysql!)]
async fn a_delete_that_would_cascade_too_deep_waits_alone() {
    let here = shelves(
        "here",
        &["CREATE TABLE notes (id INTEGER PRIMARY KEY, shelf TEXT, parent INTEGER,
            FOREIGN KEY (shelf) REFERENCES shelves (id) ON DELETE CASCADE,
            FOREIGN KEY (parent) REFERENCES notes (id) ON DELETE CASCADE)"],
    )
    .await;
    let chain: Vec<_> = (1..20).map(|id| format!("({id}, NULL, {})", id - 1)).collect();
    let chain = format!("INSERT INTO notes VALUES (0, 's1', NULL), {}", chain.join(", "));
    page_with_a_refused_delete(&here, &[&chain]).await;
    assert_eq!(parked(&here).await, ["shelves s1 ForeignKey"]);
    assert_eq!(shelves_of(&here).await, ["s1=s1", "s3=s3"]);
    assert_eq!(number(here.connection(), "SELECT count(*) FROM notes").await, 20);
    // What is too deep goes, and then the rest goes along.
    execute(&here, "DELETE FROM notes WHERE id >= 10", []).await;
    assert_eq!(parked(&here).await, Vec::<String>::new());
    assert_eq!(shelves_of(&here).await, ["s3=s3"]);
    assert_eq!(number(here.connection(), "SELECT count(*) FROM notes").await, 0);
}

/// MySQL 9.7 refuses it, and the page with it. MariaDB does not.
#[apply(on_mysql!)]
async fn a_delete_that_would_cascade_by_too_many_ways_keeps_no_other_away() {
    let here = shelves(
        "here",
        &[
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, shelf TEXT, name TEXT, parent INTEGER,
            FOREIGN KEY (shelf) REFERENCES shelves (id) ON DELETE CASCADE,
            FOREIGN KEY (name) REFERENCES shelves (name) ON DELETE SET NULL,
            FOREIGN KEY (parent) REFERENCES notes (id) ON DELETE CASCADE)",
            "CREATE TABLE loans (id INTEGER PRIMARY KEY, shelf TEXT,
                FOREIGN KEY (shelf) REFERENCES shelves (id) ON DELETE CASCADE)",
        ],
    )
    .await;
    let loans = "INSERT INTO loans VALUES (1, 's1'), (2, 's1')";
    let notes =
        "INSERT INTO notes VALUES (1, 's1', NULL, NULL), (2, 's1', 's1', 1), (3, 's1', 's1', 2), (4, NULL, 's1', 2)";
    page_with_a_refused_delete(&here, &[loans, notes]).await;
    let refused = !parked(&here).await.is_empty();
    if refused {
        assert_eq!(parked(&here).await, ["shelves s1 ForeignKey"]);
        assert_eq!(shelves_of(&here).await, ["s1=s1", "s3=s3"]);
        let detail = here.parked().await.unwrap().remove(0).detail;
        assert!(detail.contains("max tables limit"), "{detail}");
        execute(&here, "DELETE FROM notes WHERE id > 0", []).await;
    }
    assert_eq!(parked(&here).await, Vec::<String>::new());
    assert_eq!(shelves_of(&here).await, ["s3=s3"]);
    assert_eq!(number(here.connection(), "SELECT count(*) FROM notes").await, 0);
}
