//! Opening a replica.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use grove_crdt::{Error, Replica};
use grove_crdt_tests::{
    START, TestDatabase, assert_agrees, backend, builder, cells, create_table, entities::document, new_database,
    number, open_when_free,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};

use crate::capture::{draft, execute, run_all, sql};

async fn database() -> DatabaseConnection {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    db
}

async fn open(db: &DatabaseConnection, node: &str) -> Result<Replica, Error> {
    builder(node).0.entity::<document::Entity>().open(db.clone()).await
}

async fn own_tables(db: &DatabaseConnection) -> i64 {
    let text = match backend() {
        DbBackend::Postgres => "SELECT count(*) FROM pg_tables WHERE left(tablename, 1) = '_'",
        DbBackend::MySql => {
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND left(table_name, 1) = '_'"
        }
        _ => "SELECT count(*) FROM sqlite_master WHERE substr(name, 1, 1) = '_'",
    };
    number(db, text).await
}

#[apply(on_each_database!)]
async fn a_bad_node_id_is_refused() {
    let db = database().await;
    let (length, letters) = ("1 to 64 characters", "only letters, digits and");
    for (node, says) in [
        ("", length),
        (&*"x".repeat(65), length),
        ("a b", letters),
        ("é", letters),
        ("a/b", letters),
    ] {
        let error = open(&db, node).await.unwrap_err();
        assert!(matches!(error, Error::InvalidNodeId { .. }), "{error}");
        let error = error.to_string();
        assert!(
            error.starts_with(&format!("invalid node id {node:?}: ")) && error.contains(says),
            "{error}"
        );
    }
    open(&db, "a.B_c:9-").await.unwrap();
    open(&db, &"x".repeat(64)).await.unwrap();
}

#[apply(on_each_database!)]
async fn a_node_id_is_open_once_until_its_last_clone_is_dropped() {
    let file = TestDatabase::new().await;
    let in_file = file.connect().await;
    create_table(&in_file, document::Entity).await.unwrap();
    for db in [database().await, in_file] {
        let replica = open(&db, "node-1").await.unwrap();
        let clone = replica.clone();
        drop(replica);
        let error = open(&db, "node-1").await.unwrap_err();
        assert!(matches!(error, Error::NodeInUse { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("node id `node-1` is already in use: another replica"),
            "{error}"
        );
        let other = open(&db, "node-2").await.unwrap();
        drop(clone);
        open(&db, "node-1").await.unwrap();
        drop(other);
    }
}

#[apply(on_each_database!)]
async fn a_node_id_is_open_in_one_process() {
    let file = TestDatabase::new().await;
    let db = file.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_open_and_wait"))
        .arg(file.url())
        .arg("node:1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains("opened")),
        "the child opens the replica"
    );
    let error = open(&db, "node:1").await.unwrap_err();
    assert!(matches!(error, Error::NodeInUse { .. }), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("close that one") && error.contains("give this one an id of its own"),
        "{error}"
    );
    if backend() == DbBackend::Sqlite {
        assert!(error.contains("lock file"), "{error}");
    }
    open(&db, "node-2").await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    open_when_free(|| builder("node:1").0.entity::<document::Entity>(), &db).await;
}

#[apply(on_each_database!)]
async fn a_missing_table_or_column_is_named() {
    let db = new_database().await;
    let error = open(&db, "node-1").await.unwrap_err().to_string();
    assert!(
        error.starts_with("table `documents`: the database has no such table; create it"),
        "{error}"
    );
    run_all(
        &db,
        &["CREATE TABLE documents (id TEXT PRIMARY KEY, title TEXT, view_count BIGINT, author TEXT)"],
    )
    .await;
    let error = open(&db, "node-1").await.unwrap_err().to_string();
    assert!(
        error.contains("no column `tags`, which the entity has; add it in a migration"),
        "{error}"
    );
    assert_eq!(own_tables(&db).await, 0, "a refused opening makes no tables");
    run_all(
        &db,
        &["ALTER TABLE documents ADD COLUMN tags JSON_TEXT NOT NULL DEFAULT ('[]')"],
    )
    .await;
    open(&db, "node-1").await.unwrap();
}

mod retagged {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "documents")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub view_count: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

#[apply(on_each_database!)]
async fn a_field_of_another_kind_than_before_is_refused() {
    let db = database().await;
    let replica = open(&db, "node-1").await.unwrap();
    draft("a").insert(&replica).await.unwrap();
    let before = cells(&db, "documents").await;
    drop(replica);
    let error = builder("node-1")
        .0
        .entity::<retagged::Entity>()
        .open(db.clone())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("field `view_count` is tagged `lww`, but its history is that of a `counter`"),
        "{error}"
    );
    // The refused opening holds nothing and has changed nothing.
    let replica = open(&db, "node-1").await.unwrap();
    assert_eq!(cells(&db, "documents").await, before);
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn entities_that_make_no_sense_are_refused() {
    let db = database().await;
    let two = builder("n").0.entity::<document::Entity>().entity::<retagged::Entity>();
    let error = two.open(db.clone()).await.unwrap_err().to_string();
    assert!(error.contains("two entities have this table name"), "{error}");
    let error = builder("n").0.open(db).await.unwrap_err().to_string();
    assert!(error.contains("add `.entity::<…>()`"), "{error}");
}

#[apply(on_each_database!)]
async fn a_database_of_a_newer_layout_is_refused() {
    let db = database().await;
    drop(open(&db, "node-1").await.unwrap());
    execute(&db, "UPDATE _grove_replica SET layout = layout + 1", []).await;
    let error = open(&db, "node-1").await.unwrap_err().to_string();
    assert!(
        error.contains("opened by a newer version of grove-crdt") && error.contains("upgrade"),
        "{error}"
    );
    execute(&db, "UPDATE _grove_replica SET layout = layout - 1", []).await;
    open(&db, "node-1").await.unwrap();
}

#[apply(on_each_database!)]
async fn a_restart_goes_on_where_it_was() {
    let db = database().await;
    let replica = open(&db, "node-1").await.unwrap();
    let id = replica.replica_id().to_owned();
    draft("a").insert(&replica).await.unwrap();
    drop(replica);
    let (builder, clock) = builder("node-1");
    clock.set(START - 5_000_000);
    let replica = builder.entity::<document::Entity>().open(db.clone()).await.unwrap();
    assert_eq!(replica.replica_id(), id);
    // First a record that has no clock value of its own to be above of.
    draft("b").insert(&replica).await.unwrap();
    document::ActiveModel::increment_view_count(&replica, "a", 1)
        .await
        .unwrap();
    let shown = cells(&replica, "documents").await;
    assert!(
        shown[1].contains(&format!("{START}.2 ")) && shown[2].contains(&format!("{START}.1 ")),
        "{shown:#?}"
    );
    assert_agrees::<document::Entity, _>(&replica).await;
    let versions = sql("SELECT version FROM _documents_crdt ORDER BY version", []);
    let versions: Vec<i64> = replica
        .query_all_raw(versions)
        .await
        .unwrap()
        .iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect();
    // On PostgreSQL it is the number of a transaction, of which there are others.
    if backend() == DbBackend::Postgres {
        assert!(
            versions.is_sorted_by(|a, b| a < b) && versions.len() == 3,
            "{versions:?}"
        );
    } else {
        assert_eq!(versions, [1, 2, 3]);
    }
    clock.set(START + 1);
    draft("c").insert(&replica).await.unwrap();
    assert!(cells(&replica, "documents").await[3].contains(&format!("{}.0 ", START + 1)));
}

#[apply(on_each_database!)]
async fn opening_changes_nothing_of_the_users() {
    let db = database().await;
    let schema = async || {
        let text = match backend() {
            DbBackend::Postgres => {
                "SELECT concat((SELECT string_agg(concat(c, ''), ';' ORDER BY ordinal_position)
                        FROM information_schema.columns AS c WHERE table_name = 'documents'),
                    (SELECT string_agg(indexdef, ';' ORDER BY indexdef) FROM pg_indexes WHERE tablename = 'documents'),
                    (SELECT count(*) FROM pg_trigger))"
            }
            DbBackend::MySql => {
                "SELECT concat(
                    (SELECT group_concat(concat_ws(',', column_name, column_type, collation_name, is_nullable, extra)
                            ORDER BY ordinal_position)
                        FROM information_schema.columns WHERE table_schema = database() AND table_name = 'documents'),
                    (SELECT group_concat(index_name ORDER BY index_name, seq_in_index) FROM information_schema.statistics
                        WHERE table_schema = database() AND table_name = 'documents'),
                    (SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = database()))"
            }
            _ => "SELECT group_concat(sql, ';') FROM sqlite_master WHERE name = 'documents'",
        };
        let row = db.query_one_raw(sql(text, [])).await.unwrap().unwrap();
        row.try_get_by_index::<String>(0).unwrap()
    };
    let before = schema().await;
    let replica = open(&db, "node-1").await.unwrap();
    draft("a").insert(&replica).await.unwrap();
    assert_eq!(schema().await, before);
}

/// SQLite deleted the row in conflict, and its record lived on. The others have no such clause.
#[tokio::test]
async fn a_table_that_replaces_on_conflict_is_refused() {
    let db = new_database().await;
    db.execute_unprepared(
        "CREATE TABLE documents (id TEXT PRIMARY KEY, title TEXT NOT NULL UNIQUE ON\nCONFLICT  replace, \
         view_count BIGINT NOT NULL, tags TEXT NOT NULL, author TEXT)",
    )
    .await
    .unwrap();
    let error = open(&db, "node-1").await.unwrap_err().to_string();
    assert!(
        error.contains("table `documents`") && error.contains("ON CONFLICT REPLACE"),
        "{error}"
    );
    assert_eq!(own_tables(&db).await, 0);
}
