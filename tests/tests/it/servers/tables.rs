//! Folders, and the files in them.

use std::collections::BTreeSet;

use grove_crdt::{OrSet, Replica, ReplicaBuilder};
use grove_crdt_tests::{TestDatabase, cells, create_table, rows};
use sea_orm::{ActiveValue::Set, ConnectOptions, Database, DatabaseConnection, DbErr, SqlErr};

pub(super) mod folder {
    use grove_crdt::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "folders")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub name: String,
        #[crdt(counter)]
        pub visits: i64,
        #[crdt(set)]
        pub tags: OrSet<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

pub(super) mod file {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "files")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub folder_id: String,
        #[crdt(lww)]
        pub title: String,
        #[crdt(counter)]
        pub size: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::folder::Entity",
            from = "Column::FolderId",
            to = "super::folder::Column::Id",
            on_delete = "Cascade"
        )]
        Folder,
    }
}

/// The names of the two tables.
pub(super) const TABLES: &[&str] = &["files", "folders"];

/// An empty folder.
pub(super) fn folder(id: impl Into<String>) -> folder::ActiveModel {
    folder::ActiveModel {
        id: Set(id.into()),
        name: Set("a folder".to_owned()),
        visits: Set(0),
        tags: Set(OrSet::new()),
    }
}

/// A file in a folder.
pub(super) fn file(id: impl Into<String>, folder: impl Into<String>, title: impl Into<String>) -> file::ActiveModel {
    file::ActiveModel {
        id: Set(id.into()),
        folder_id: Set(folder.into()),
        title: Set(title.into()),
        size: Set(3),
    }
}

/// Creates the tables.
pub(super) async fn create(db: &DatabaseConnection) {
    create_table(db, folder::Entity).await.expect("a table");
    create_table(db, file::Entity).await.expect("a table");
}

/// A replica of both tables, by the machine's clock.
pub(super) fn builder(node: &str) -> ReplicaBuilder {
    Replica::builder(node)
        .entity::<folder::Entity>()
        .entity::<file::Entity>()
}

/// So many connections to a database.
pub(super) async fn connections(database: &TestDatabase, most: u32) -> DatabaseConnection {
    // The first one sets a SQLite file up.
    database.connect().await.close().await.expect("closed");
    let mut options = ConnectOptions::new(database.url());
    options.max_connections(most).min_connections(0).sqlx_logging(false);
    Database::connect(options).await.expect("a database")
}

/// A replica of empty tables, over so many connections.
pub(super) async fn replica(database: &TestDatabase, node: &str, most: u32) -> Replica {
    let db = connections(database, most).await;
    create(&db).await;
    builder(node).open(db).await.expect("a replica")
}

/// A replica of empty tables in a SQLite database of its own, whatever the test runs on.
pub(super) async fn on_sqlite(node: &str) -> Replica {
    let mut options = ConnectOptions::new("sqlite::memory:");
    // One connection, so that all see the same.
    options.max_connections(1).min_connections(0).sqlx_logging(false);
    let db = Database::connect(options).await.expect("a database");
    create(&db).await;
    builder(node).open(db).await.expect("a replica")
}

/// Whether the database, or the library, says that another transaction was in the way, and that running it again is all
/// that is needed.
pub(super) fn is_passing(error: &DbErr) -> bool {
    let text = error.to_string();
    [
        "could not serialize",
        "deadlock",
        "Deadlock",
        "Lock wait timeout",
        "run it again",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// Whether somebody else has made, changed or deleted what was to be written, meanwhile.
pub(super) fn is_overtaken(error: &DbErr) -> bool {
    let constraint = matches!(
        error.sql_err(),
        Some(SqlErr::UniqueConstraintViolation(_) | SqlErr::ForeignKeyConstraintViolation(_))
    );
    constraint || matches!(error, DbErr::RecordNotUpdated | DbErr::RecordNotFound(_))
}

/// Where a test's randomness begins: drawn, or told by `GROVE_SEED` to see the same again.
pub(super) fn seed() -> u64 {
    let seed = std::env::var("GROVE_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("to draw the same again: GROVE_SEED={seed}");
    seed
}

/// Asserts that two replicas hold the same rows and the same cells. Says what only one of them has.
#[track_caller]
pub(super) fn assert_same<'a>(one: &'a Replica, other: &'a Replica) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let (mine, theirs) = (content(one).await, content(other).await);
        let (one, other) = (one.node_id(), other.node_id());
        let only: Vec<_> = mine.difference(&theirs).collect();
        let missing: Vec<_> = theirs.difference(&mine).collect();
        assert!(
            only.is_empty() && missing.is_empty(),
            "{caller}: only {one} has {only:#?}, only {other} has {missing:#?}"
        );
    }
}

/// All rows and all cells, but for placeholders, which are none.
async fn content(replica: &Replica) -> BTreeSet<String> {
    let mut content = BTreeSet::new();
    for table in TABLES {
        let cells = cells(replica, table).await.into_iter();
        content.extend(
            cells
                .filter(|cell| !cell.contains("   0 0.0 "))
                .map(|cell| format!("{table}: {cell}")),
        );
    }
    content.extend(rows::<folder::Entity, _>(replica).await);
    content.extend(rows::<file::Entity, _>(replica).await);
    content
}
