//! What foreign keys do behind a statement, between replicated tables.

use grove_crdt::Replica;
use grove_crdt_tests::{Kind, Statements, assert_agrees, backend, builder, cells, kind, new_database};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, ModelTrait, QueryFilter, TransactionSession,
    TransactionTrait,
};

use super::{epochs, execute, refused, run_all, sql};

macro_rules! entity {
    ($name:ident, $table:literal, $($field:ident),*) => {
        pub mod $name {
            use grove_crdt::Crdt;
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: String,
                $(#[crdt(lww)] pub $field: Option<String>,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}
        }
    };
}
pub(super) use entity;

entity!(artist, "artists", name);
entity!(album, "albums", artist);
entity!(track, "tracks", album, genre, parent);

/// MySQL takes no reference that is declared with its column, and tells `Artists` from `artists`.
fn tables() -> [&'static str; 3] {
    if backend() == DbBackend::MySql {
        TABLES_OF_MYSQL
    } else {
        TABLES
    }
}

// The letters' case of the references is not that of the tables.
const TABLES: [&str; 3] = [
    "CREATE TABLE artists (id TEXT PRIMARY KEY NOT NULL, name TEXT UNIQUE)",
    "CREATE TABLE albums (id TEXT PRIMARY KEY NOT NULL,
        artist TEXT REFERENCES Artists ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE tracks (id TEXT PRIMARY KEY NOT NULL,
        album TEXT REFERENCES ALBUMS (ID) ON DELETE CASCADE ON UPDATE SET NULL,
        genre TEXT REFERENCES artists (name) ON DELETE SET NULL ON UPDATE CASCADE,
        parent TEXT REFERENCES tracks (id) ON DELETE CASCADE)",
];

const TABLES_OF_MYSQL: [&str; 3] = [
    "CREATE TABLE artists (id TEXT PRIMARY KEY, name TEXT UNIQUE)",
    "CREATE TABLE albums (id TEXT PRIMARY KEY, artist TEXT,
        FOREIGN KEY (artist) REFERENCES artists (id) ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE tracks (id TEXT PRIMARY KEY, album TEXT, genre TEXT, parent TEXT,
        FOREIGN KEY (album) REFERENCES albums (id) ON DELETE CASCADE ON UPDATE SET NULL,
        FOREIGN KEY (genre) REFERENCES artists (name) ON DELETE SET NULL ON UPDATE CASCADE,
        FOREIGN KEY (parent) REFERENCES tracks (id) ON DELETE CASCADE)",
];

const ROWS: [&str; 3] = [
    "INSERT INTO artists VALUES ('ann', 'Ann'), ('bob', 'Bob')",
    "INSERT INTO albums VALUES ('a1', 'ann'), ('a2', 'ann'), ('b1', 'bob')",
    "INSERT INTO tracks VALUES ('t1', 'a1', 'Bob', NULL), ('t2', 'a2', NULL, NULL), ('t3', 'b1', 'Ann', 't1'),
        ('t4', 'b1', 'Bob', 't3'), ('t5', NULL, NULL, 't4'), ('t6', 'b1', NULL, NULL)",
];

async fn open(db: DatabaseConnection) -> Replica {
    run_all(&db, &tables()).await;
    let builder = builder("node-1")
        .0
        .entity::<artist::Entity>()
        .entity::<album::Entity>()
        .entity::<track::Entity>();
    let replica = builder.open(db).await.unwrap();
    for insert in ROWS {
        execute(&replica, insert, []).await;
    }
    agrees(&replica).await;
    replica
}

async fn agrees(replica: &Replica) {
    assert_agrees::<artist::Entity, _>(replica).await;
    assert_agrees::<album::Entity, _>(replica).await;
    assert_agrees::<track::Entity, _>(replica).await;
}

/// Whether MySQL refuses a delete as no other does: from 9.6 on, it follows a table that refers to itself by few ways only, and
/// says so by error 6575. Fails for all other errors.
pub(super) fn is_beyond_mysql(deleted: Result<(), DbErr>) -> bool {
    match deleted {
        Err(error) if kind() == Kind::MySql && error.to_string().contains("exceeds max tables limit") => true,
        deleted => {
            deleted.unwrap();
            false
        }
    }
}

async fn alive(replica: &Replica, table: &str) -> Vec<String> {
    let records = epochs(replica, table).await.into_iter();
    records.filter(|(_, epoch)| epoch % 2 == 1).map(|(pk, _)| pk).collect()
}

#[apply(on_each_database!)]
async fn a_delete_cascades_over_several_levels_and_nulls() {
    for way in 0..4 {
        let replica = open(new_database().await).await;
        let deleted = match way {
            0 => {
                let ann = artist::Entity::find_by_id("ann").one(&replica).await.unwrap().unwrap();
                ann.delete(&replica).await.map(drop)
            }
            1 => {
                let ann = artist::ActiveModel {
                    id: Set("ann".into()),
                    ..Default::default()
                };
                ann.delete(&replica).await.map(drop)
            }
            2 => {
                let ann = sea_orm::ColumnTrait::eq(&artist::Column::Name, "Ann");
                artist::Entity::delete_many().filter(ann).exec(&replica).await.map(drop)
            }
            _ => {
                // MariaDB knows no other name for the table of a DELETE.
                let delete = if backend() == DbBackend::MySql {
                    "DELETE FROM artists WHERE artists.name = ?"
                } else {
                    "DELETE FROM artists AS a WHERE a.name = ?"
                };
                replica.execute_raw(sql(delete, ["Ann".into()])).await.map(drop)
            }
        };
        agrees(&replica).await;
        if is_beyond_mysql(deleted) {
            assert_eq!(alive(&replica, "artists").await, ["ann", "bob"]);
            continue;
        }
        assert_eq!(alive(&replica, "albums").await, ["b1"]);
        // t1 went with its album, t3, t4 and t5 with t1.
        assert_eq!(alive(&replica, "tracks").await, ["t6"]);
    }
}

#[apply(on_each_database!)]
async fn a_delete_nulls_what_refers_to_it() {
    let replica = open(new_database().await).await;
    let deleted = artist::Entity::delete_by_id("bob").exec(&replica).await;
    agrees(&replica).await;
    if is_beyond_mysql(deleted.map(drop)) {
        assert_eq!(alive(&replica, "artists").await, ["ann", "bob"]);
        return;
    }
    assert_eq!(alive(&replica, "tracks").await, ["t1", "t2"]);
    let t1 = replica.inspect::<track::Entity>("t1").await.unwrap().to_string();
    assert!(t1.contains("genre (lww): null (node=node-1"), "{t1}");
}

#[apply(on_each_database!)]
async fn an_update_cascades() {
    let replica = open(new_database().await).await;
    let change = artist::ActiveModel {
        id: Unchanged("ann".into()),
        name: Set(Some("Anna".into())),
    };
    change.update(&replica).await.unwrap();
    agrees(&replica).await;
    execute(&replica, "UPDATE artists SET name = upper(name)", []).await;
    agrees(&replica).await;
    let t3 = track::Entity::find_by_id("t3").one(&replica).await.unwrap().unwrap();
    assert_eq!(t3.genre.as_deref(), Some("ANNA"));
}

#[apply(on_each_database!)]
async fn a_changed_key_cascades_and_nulls_over_several_levels() {
    let replica = open(new_database().await).await;
    execute(&replica, "UPDATE artists SET id = 'new' WHERE id = 'ann'", []).await;
    agrees(&replica).await;
    assert_eq!(alive(&replica, "artists").await, ["bob", "new"]);
    execute(&replica, "UPDATE albums SET id = id || '!' WHERE artist = 'new'", []).await;
    agrees(&replica).await;
    let t1 = track::Entity::find_by_id("t1").one(&replica).await.unwrap().unwrap();
    assert_eq!(t1.album, None);
}

#[apply(on_each_database!)]
async fn an_upsert_cascades() {
    let replica = open(new_database().await).await;
    let upsert = "INSERT INTO artists VALUES ('ann', 'x'), ('cy', 'Cy') ON CONFLICT (id) DO UPDATE SET name = 'Annie'";
    execute(&replica, upsert, []).await;
    agrees(&replica).await;
    let t3 = track::Entity::find_by_id("t3").one(&replica).await.unwrap().unwrap();
    assert_eq!(t3.genre.as_deref(), Some("Annie"));
}

#[apply(on_each_database!)]
async fn a_refused_delete_leaves_no_trace() {
    let db = new_database().await;
    // SQLite can put off the checks of any constraint, PostgreSQL of those declared so, and MySQL of none.
    let deferrable = if backend() == DbBackend::Postgres {
        "DEFERRABLE"
    } else {
        ""
    };
    let albums = format!(
        "CREATE TABLE albums (id TEXT PRIMARY KEY NOT NULL, artist TEXT,
            FOREIGN KEY (artist) REFERENCES artists (id) {deferrable})"
    );
    let artists = "CREATE TABLE artists (id TEXT PRIMARY KEY NOT NULL, name TEXT UNIQUE)";
    run_all(&db, &[artists, &albums]).await;
    let builder = builder("n").0.entity::<artist::Entity>().entity::<album::Entity>();
    let replica = builder.open(db).await.unwrap();
    for insert in &ROWS[..2] {
        execute(&replica, insert, []).await;
    }
    let before = [cells(&replica, "artists").await, cells(&replica, "albums").await];
    let tx = replica.begin().await.unwrap();
    let ann = || artist::ActiveModel {
        id: Set("ann".into()),
        ..Default::default()
    };
    refused(&tx, async |tx| ann().delete(tx).await).await;
    for text in ["DELETE FROM artists", "UPDATE artists SET id = id || '2'"] {
        refused(&tx, async |tx| tx.execute_raw(sql(text, [])).await).await;
    }
    let orphan = album::ActiveModel {
        id: Set("c".into()),
        artist: Set(Some("none".into())),
    };
    refused(&tx, async |tx| orphan.insert(tx).await).await;
    tx.commit().await.unwrap();
    assert_eq!(
        [cells(&replica, "artists").await, cells(&replica, "albums").await],
        before
    );
    // A deferred constraint fails the commit, and takes everything with it.
    let defer = match backend() {
        DbBackend::Postgres => "SET CONSTRAINTS ALL DEFERRED",
        DbBackend::Sqlite => "PRAGMA defer_foreign_keys = ON",
        _ => return,
    };
    let tx = replica.begin().await.unwrap();
    tx.execute_unprepared(defer).await.unwrap();
    ann().delete(&tx).await.unwrap();
    tx.commit().await.unwrap_err();
    assert_eq!(
        [cells(&replica, "artists").await, cells(&replica, "albums").await],
        before
    );
    assert_agrees::<artist::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn an_update_that_cascades_into_a_key_is_refused() {
    let db = new_database().await;
    let tables = [
        "CREATE TABLE artists (id TEXT PRIMARY KEY NOT NULL, name TEXT)",
        "CREATE TABLE albums (id TEXT PRIMARY KEY NOT NULL, artist TEXT,
            FOREIGN KEY (id) REFERENCES artists (id) ON UPDATE CASCADE)",
    ];
    run_all(&db, &tables).await;
    let builder = builder("n").0.entity::<artist::Entity>().entity::<album::Entity>();
    let replica = builder.open(db).await.unwrap();
    execute(&replica, ROWS[0], []).await;
    execute(&replica, "INSERT INTO albums VALUES ('ann', NULL)", []).await;
    let error = replica
        .execute_raw(sql("UPDATE artists SET id = 'x' WHERE id = 'ann'", []))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("cascades into the key of `albums`"),
        "{error}"
    );
    assert_agrees::<album::Entity, _>(&replica).await;
    execute(&replica, "UPDATE artists SET id = 'x' WHERE id = 'bob'", []).await;
    assert_agrees::<artist::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn a_row_that_refers_to_itself_and_rows_in_a_circle() {
    let replica = open(new_database().await).await;
    execute(
        &replica,
        "UPDATE tracks SET parent = CASE id WHEN 't1' THEN 't5' ELSE 't6' END WHERE id IN ('t1', 't6')",
        [],
    )
    .await;
    agrees(&replica).await;
    execute(&replica, "DELETE FROM tracks WHERE id IN ('t4', 't6')", []).await;
    agrees(&replica).await;
    assert_eq!(alive(&replica, "tracks").await, ["t2"]);
}

#[apply(on_each_database!)]
async fn a_cascade_is_found_set_wise() {
    let (db, statements) = Statements::of_new_database().await;
    let replica = open(db).await;
    let mut counts = Vec::new();
    for rows in [5, 500] {
        execute(&replica, "INSERT INTO artists VALUES ('big', 'Big')", []).await;
        for row in 0..rows {
            let (id, values) = (format!("{rows}-{row}"), "('big')");
            execute(&replica, "INSERT INTO albums VALUES (?, 'big')", [id.as_str().into()]).await;
            let track = format!("INSERT INTO tracks SELECT ?, ?, NULL, NULL WHERE {values} = 'big'");
            execute(&replica, &track, [id.as_str().into(), id.as_str().into()]).await;
        }
        statements.take();
        artist::Entity::delete_by_id("big").exec(&replica).await.unwrap();
        counts.push(statements.take().len());
        agrees(&replica).await;
    }
    assert_eq!(counts[0], counts[1], "{counts:?}");
}
