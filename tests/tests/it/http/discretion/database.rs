//! A database that fails.

use grove_crdt_tests::{execute, run_all};
use sea_orm::DatabaseConnection;
use serde_json::json;

use super::{Log, Told, birth, entries, entry, ledger_server, push_body};

/// What asks for something of every table.
const ALL: &str = "tables=entries&node_id=edge&replica_id=edge-database";

/// Asks for everything that there is, and pushes an entry that is new. Returns the answers of what could not be done.
async fn ask_everything(url: &str, new: i32) -> Vec<Told> {
    let presence = json!({ "node_id": "edge", "replica_id": "edge-database", "topics": { "entries:1": "here" } });
    let mut told = vec![
        Told::post(url, "pull", &entries()).await,
        Told::post(url, "push", &push_body(&json!([birth(new, json!({}))]))).await,
        Told::post(url, "presence", &presence).await,
        Told::get(url, "presence?topic=entries:1").await,
        Told::stream(url, ALL, "data: {").await,
        Told::get(url, "health").await,
    ];
    told.retain(|told| told.status >= 400 || told.text.contains("event: error"));
    told
}

/// Breaks the database, and sees that this is noticed, logged, and not talked about.
async fn broken(what: &str, breaking: &[&str]) {
    let (_database, replica, url) = ledger_server().await;
    assert!(ask_everything(&url, 2).await.is_empty(), "all is well");
    run_all(replica.connection(), breaking).await;
    let (log, logging) = Log::begin();
    let failed = ask_everything(&url, 3).await;
    drop(logging);
    assert!(!failed.is_empty(), "{what}: nothing failed");
    for told in failed {
        let expected = told.text.contains("the server failed to answer; its log says why");
        assert!(expected, "{what}: {}", told.text);
    }
    let log = log.take();
    assert!(log.contains("a sync request failed on this side"), "{what}: {log}");
}

#[apply(on_each_database!)]
async fn a_table_that_is_gone() {
    for table in ["_entries_crdt", "_grove_nodes", "_grove_incarnations", "entries"] {
        broken(table, &[&format!(r#"DROP TABLE "{table}""#)]).await;
    }
}

#[apply(on_each_database!)]
async fn a_column_that_is_gone() {
    for (table, column) in [
        ("_entries_crdt", "state"),
        ("_entries_crdt", "version"),
        ("entries", "internal_remark"),
    ] {
        let rename = format!(r#"ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "secret_column""#);
        broken(column, &[&rename]).await;
    }
}

#[apply(on_each_database!)]
async fn values_that_cannot_be_read() {
    for (column, value) in [
        ("state", "'{\"secret'"),
        ("state", "'[\"secret\"]'"),
        ("state", "'{\"lww\":[\"secret\"]}'"),
        ("node_id", "'a secret'"),
        ("hlc_counter", "-1"),
    ] {
        let update = format!(r#"UPDATE "_entries_crdt" SET "{column}" = {value}"#);
        broken(&update, &[&update]).await;
    }
}

#[apply(on_each_database!)]
async fn a_stream_that_fails_on_its_way() {
    let (_database, replica, url) = ledger_server().await;
    let (log, _logging) = Log::begin();
    let stream = Told::open(&url, "tables=entries").await;
    let update = r#"UPDATE "_entries_crdt" SET "state" = '{"secret', "version" = "version" + 1"#;
    execute(replica.connection(), update, []).await;
    entry(2).insert(&replica).await.unwrap();
    let told = stream.goes_on_to("event: error").await;
    told.is(200, "internal");
    let log = log.take();
    assert!(log.contains("shadow of `entries`"), "{log}");
}

#[apply(on_each_database!)]
async fn a_database_that_is_gone() {
    let (_database, replica, url) = ledger_server().await;
    assert!(ask_everything(&url, 2).await.is_empty(), "all is well");
    let db: DatabaseConnection = replica.connection().clone();
    db.close().await.unwrap();
    let (log, _logging) = Log::begin();
    let failed = ask_everything(&url, 3).await;
    let statuses: Vec<_> = failed.iter().map(|told| told.status).collect();
    assert!(statuses.starts_with(&[500, 500]), "{statuses:?}");
    assert!(log.take().contains("a sync request failed on this side"));
}
