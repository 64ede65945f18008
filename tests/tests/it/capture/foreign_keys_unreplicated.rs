//! What foreign keys do behind a statement, through tables that are not replicated.

use grove_crdt::Replica;
use grove_crdt_tests::{assert_agrees, backend, builder, cells, new_database};
use sea_orm::{ConnectionTrait, DbBackend};

use super::{
    execute,
    foreign_keys::{entity, is_beyond_mysql},
    run_all, sql,
};

entity!(leaf, "leaves", twig);
entity!(root, "roots", name);

/// MySQL takes no reference that is declared with its column.
fn tables() -> [&'static str; 5] {
    if backend() == DbBackend::MySql {
        TABLES_OF_MYSQL
    } else {
        TABLES
    }
}

const TABLES: [&str; 5] = [
    "CREATE TABLE roots (id TEXT PRIMARY KEY NOT NULL, name TEXT)",
    "CREATE TABLE branches (id TEXT PRIMARY KEY NOT NULL, code TEXT UNIQUE,
        root TEXT REFERENCES roots ON DELETE CASCADE ON UPDATE CASCADE,
        parent TEXT REFERENCES branches (id) ON DELETE CASCADE)",
    "CREATE TABLE leaves (id TEXT PRIMARY KEY NOT NULL,
        twig TEXT REFERENCES branches (code) ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, root TEXT REFERENCES roots ON DELETE CASCADE ON UPDATE CASCADE,
        parent INTEGER REFERENCES notes ON DELETE CASCADE)",
    "CREATE TABLE plain (id TEXT)",
];

const TABLES_OF_MYSQL: [&str; 5] = [
    "CREATE TABLE roots (id TEXT PRIMARY KEY, name TEXT)",
    "CREATE TABLE branches (id TEXT PRIMARY KEY, code TEXT UNIQUE, root TEXT, parent TEXT,
        FOREIGN KEY (root) REFERENCES roots (id) ON DELETE CASCADE ON UPDATE CASCADE,
        FOREIGN KEY (parent) REFERENCES branches (id) ON DELETE CASCADE)",
    "CREATE TABLE leaves (id TEXT PRIMARY KEY, twig TEXT,
        FOREIGN KEY (twig) REFERENCES branches (code) ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, root TEXT, parent INTEGER,
        FOREIGN KEY (root) REFERENCES roots (id) ON DELETE CASCADE ON UPDATE CASCADE,
        FOREIGN KEY (parent) REFERENCES notes (id) ON DELETE CASCADE)",
    "CREATE TABLE plain (id TEXT)",
];

const ROWS: [&str; 4] = [
    "INSERT INTO roots VALUES ('r', 'R'), ('s', 'S')",
    "INSERT INTO branches VALUES ('b1', 'c1', 'r', NULL), ('b2', 'c2', NULL, 'b1'), ('b3', 'c3', NULL, 'b2'), ('b4', 'c4', 's', NULL)",
    "INSERT INTO leaves VALUES ('l1', 'c1'), ('l2', 'c2'), ('l3', 'c3'), ('l4', 'c4')",
    "INSERT INTO notes VALUES (1, 'r', NULL), (2, NULL, 1), (3, 's', 3)",
];

async fn open() -> Replica {
    let db = new_database().await;
    run_all(&db, &tables()).await;
    let builder = builder("node-1").0.entity::<root::Entity>().entity::<leaf::Entity>();
    let replica = builder.open(db).await.unwrap();
    for insert in ROWS {
        execute(&replica, insert, []).await;
    }
    agrees(&replica, 2, 4).await;
    replica
}

async fn agrees(replica: &Replica, roots: usize, leaves: usize) {
    assert_agrees::<root::Entity, _>(replica).await;
    assert_agrees::<leaf::Entity, _>(replica).await;
    assert_eq!(grove_crdt_tests::rows::<root::Entity, _>(replica).await.len(), roots);
    assert_eq!(grove_crdt_tests::rows::<leaf::Entity, _>(replica).await.len(), leaves);
}

/// A table that refers to itself was followed for ever when it led nowhere, and refused when it led to a replicated one.
#[apply(on_each_database!)]
async fn a_delete_goes_through_a_table_that_refers_to_itself() {
    let replica = open().await;
    let deleted = replica.execute_unprepared("DELETE FROM roots WHERE id = 'r'").await;
    if is_beyond_mysql(deleted.map(drop)) {
        agrees(&replica, 2, 4).await;
    } else {
        agrees(&replica, 1, 1).await;
    }
}

#[apply(on_each_database!)]
async fn a_delete_of_a_parent_that_is_not_replicated() {
    let replica = open().await;
    execute(&replica, "DELETE FROM branches WHERE code = ?", ["c2".into()]).await;
    agrees(&replica, 2, 2).await;
    // MariaDB knows no other name for the table of a DELETE.
    let delete = if backend() == DbBackend::MySql {
        "DELETE FROM branches WHERE root IS NOT NULL"
    } else {
        "DELETE FROM branches AS b WHERE b.root IS NOT NULL"
    };
    execute(&replica, delete, []).await;
    agrees(&replica, 2, 0).await;
}

#[apply(on_each_database!)]
async fn an_update_of_a_parent_that_is_not_replicated() {
    let replica = open().await;
    execute(&replica, "UPDATE branches SET code = 'new' || code WHERE id < 'b3'", []).await;
    agrees(&replica, 2, 4).await;
    let l1 = replica.inspect::<leaf::Entity>("l1").await.unwrap().to_string();
    assert!(l1.contains(r#""newc1""#), "{l1}");
    let before = cells(&replica, "leaves").await;
    execute(&replica, "UPDATE branches SET root = NULL", []).await;
    execute(&replica, "INSERT INTO branches (id, code) VALUES ('z', 'z')", []).await;
    assert_eq!(cells(&replica, "leaves").await, before);
}

#[apply(on_each_database!)]
async fn a_changed_key_goes_through() {
    let replica = open().await;
    execute(&replica, "UPDATE roots SET id = 'q' WHERE id = 'r'", []).await;
    agrees(&replica, 2, 4).await;
}

#[apply(on_each_database!)]
async fn what_can_not_be_followed_is_refused() {
    let replica = open().await;
    execute(&replica, "INSERT INTO branches VALUES ('o', 'o', NULL, 'o')", []).await;
    execute(&replica, "INSERT INTO leaves VALUES ('lo', 'o')", []).await;
    let mut cases = vec![
        (
            "INSERT INTO branches VALUES ('b1', 'c9', 'r', NULL) ON CONFLICT (id) DO UPDATE SET code = 'c9'",
            "upsert",
        ),
        ("DELETE FROM branches WHERE id = 'o'", "in a circle"),
        ("DROP TABLE branches", "DROP TABLE"),
    ];
    if backend() != DbBackend::Postgres {
        cases.push(("REPLACE INTO branches VALUES ('b1', 'x', NULL, NULL)", "REPLACE"));
    }
    for (text, says) in cases {
        let error = replica.execute_raw(sql(text, [])).await.expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
        agrees(&replica, 2, 5).await;
    }
    execute(&replica, "DROP TABLE plain", []).await;
}

#[apply(on_each_database!)]
async fn a_table_that_begins_to_refer_is_followed() {
    let replica = open().await;
    execute(&replica, "CREATE TABLE stems (id TEXT PRIMARY KEY)", []).await;
    let add = if backend() == DbBackend::MySql {
        "ALTER TABLE leaves ADD COLUMN stem TEXT, ADD FOREIGN KEY (stem) REFERENCES stems (id) ON DELETE CASCADE"
    } else {
        "ALTER TABLE leaves ADD COLUMN stem TEXT REFERENCES stems ON DELETE CASCADE"
    };
    execute(&replica, add, []).await;
    execute(&replica, "INSERT INTO stems VALUES ('st')", []).await;
    execute(&replica, "UPDATE leaves SET stem = 'st' WHERE id = 'l1'", []).await;
    execute(&replica, "DELETE FROM stems", []).await;
    agrees(&replica, 2, 3).await;
}
