//! A database that was restored from a dump goes on: its peers catch up or start over, nothing is skipped, nothing is
//! masked, and what it lost comes back from them.

use std::process::{Command, Stdio};

use grove_crdt::{Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{TestDatabase, assert_agrees, execute, number};
use sea_orm::EntityTrait as _;
use url::Url;

use super::tables::{self, TABLES, folder};
use crate::merge::support::pull;

async fn open(database: &TestDatabase, node: &str) -> Replica {
    let db = database.connect().await;
    tables::builder(node).open(db).await.unwrap()
}

async fn sync(from: &Replica, with: &Replica) {
    let syncer = Syncer::builder(from).peer(MemoryTransport::new(with)).build().unwrap();
    let report = syncer.sync().await.unwrap();
    assert_eq!(report.rejected, 0, "{report}");
}

async fn same(one: &Replica, other: &Replica) {
    tables::assert_same(one, other).await;
    assert_agrees::<folder::Entity, _>(one).await;
}

/// Two ways in which versions are far above what the cluster's transactions are numbered by: the old cluster had come
/// further than the new one, or the database had been restored before.
#[apply(on_postgres!)]
async fn a_cluster_whose_transactions_have_lower_numbers_goes_on_above_the_old_ones() {
    let database = TestDatabase::new().await;
    drop(tables::replica(&database, "source", 4).await);
    let db = database.connect().await;
    let asker = tables::on_sqlite("asker").await;
    let reader = tables::on_sqlite("reader").await;
    let mut cursor = None;
    let mut below = 0;
    for (round, further) in [1_000_000_000_000, 5_000_000_000_000, 0].into_iter().enumerate() {
        // The old cluster.
        execute(
            &db,
            "UPDATE _grove_replica SET version_offset = ?",
            [i64::into(further)],
        )
        .await;
        let source = open(&database, "source").await;
        tables::folder(format!("{round}-old")).insert(&source).await.unwrap();
        let page = pull(&asker, &source, TABLES, cursor.as_deref(), 100).await;
        assert_eq!((page.changes.len(), page.restarted), (1, false));
        sync(&reader, &source).await;
        drop(source);
        // The new one, which numbers its transactions from the beginning.
        execute(&db, "UPDATE _grove_replica SET version_offset = 0", []).await;
        let source = open(&database, "source").await;
        for name in ["a", "b"] {
            tables::folder(format!("{round}-{name}")).insert(&source).await.unwrap();
            folder::ActiveModel::increment_visits(&source, format!("{round}-old"), 1)
                .await
                .unwrap();
        }
        let newest = number(&db, "SELECT max(version) FROM _folders_crdt").await;
        assert!(newest > below.max(further), "{newest} {below} {further}");
        below = newest;
        let next = pull(&asker, &source, TABLES, Some(&page.cursor), 100).await;
        // Two births, and one cell of a counter.
        assert_eq!((next.changes.len(), next.restarted), (3, false));
        sync(&reader, &source).await;
        same(&reader, &source).await;
        cursor = Some(next.cursor);
    }
}

/// Versions that were moved by hand, and a cursor from before.
#[apply(on_postgres!)]
async fn a_cursor_from_before_versions_were_raised_skips_nothing() {
    let database = TestDatabase::new().await;
    let source = tables::replica(&database, "source", 4).await;
    tables::folder("a").insert(&source).await.unwrap();
    let asker = tables::on_sqlite("asker").await;
    let reader = tables::on_sqlite("reader").await;
    let old = pull(&asker, &source, TABLES, None, 100).await.cursor;
    sync(&reader, &source).await;
    drop(source);
    let db = database.connect().await;
    for raise in [
        "UPDATE _folders_crdt SET version = version + 1000000000000",
        "UPDATE _grove_incarnations SET from_version = from_version + 1000000000000 WHERE from_version > 0",
    ] {
        execute(&db, raise, []).await;
    }
    let source = open(&database, "source").await;
    folder::ActiveModel::increment_visits(&source, "a", 1).await.unwrap();
    tables::folder("b").insert(&source).await.unwrap();
    let page = pull(&asker, &source, TABLES, Some(&old), 100).await;
    let keys: Vec<_> = page.changes.iter().map(|change| change.pk.as_str()).collect();
    assert_eq!(keys, ["a", "a", "b"], "all of it comes again, in the order of commits");
    sync(&reader, &source).await;
    same(&reader, &source).await;
    // And from there it goes on as ever.
    tables::folder("c").insert(&source).await.unwrap();
    let page = pull(&asker, &source, TABLES, Some(&page.cursor), 100).await;
    assert_eq!((page.changes.len(), page.restarted), (1, false));
}

/// By the tools that come with the database.
#[apply(on_each_database_with_threads!)]
async fn a_real_dump_goes_on_and_gets_back_what_it_lost() {
    let database = TestDatabase::new().await;
    let source = tables::replica(&database, "source", 4).await;
    let near = tables::on_sqlite("near").await;
    let far = tables::on_sqlite("far").await;
    tables::folder("a").insert(&source).await.unwrap();
    tables::file("a-file", "a", "kept").insert(&source).await.unwrap();
    tables::folder("of-near").insert(&near).await.unwrap();
    for peer in [&near, &far, &near] {
        sync(peer, &source).await;
    }
    let Some(restored) = dump_and_restore(&database).await else {
        return;
    };
    // All this is lost, unless a peer has it.
    tables::folder("b").insert(&source).await.unwrap();
    folder::ActiveModel::increment_visits(&source, "a", 5).await.unwrap();
    folder::Entity::delete_by_id("of-near").exec(&source).await.unwrap();
    sync(&near, &source).await;
    tables::folder("nobody-saw-it").insert(&source).await.unwrap();
    drop(source);

    let source = open(&restored, "source").await;
    tables::folder("c").insert(&source).await.unwrap();
    tables::folder("d").insert(&far).await.unwrap();
    sync(&near, &source).await;
    // What was counted and lost is known again, and counted on from.
    folder::ActiveModel::increment_visits(&source, "a", 1).await.unwrap();
    for peer in [&far, &near, &far] {
        sync(peer, &source).await;
    }
    for peer in [&near, &far] {
        same(peer, &source).await;
    }
    let folders = folder::Entity::find().all(&source).await.unwrap();
    let mut ids: Vec<_> = folders.iter().map(|folder| folder.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b", "c", "d"]);
    let visits = folders
        .iter()
        .find(|folder| folder.id == "a")
        .map(|folder| folder.visits);
    assert_eq!(visits, Some(5 + 1));
}

/// A dump of a database, restored into another one. `None`, and a word about it, when the tools are missing.
async fn dump_and_restore(database: &TestDatabase) -> Option<TestDatabase> {
    let tools = match grove_crdt_tests::backend() {
        sea_orm::DbBackend::Postgres => ["pg_dump", "psql"],
        sea_orm::DbBackend::MySql => ["mariadb-dump", "mariadb"],
        _ => return Some(database.copy().await),
    };
    let mysql = ["mysqldump", "mysql"];
    let tools = [tools, mysql]
        .into_iter()
        .find(|tools| tools.iter().all(|tool| is_installed(tool)));
    let Some([dump, restore]) = tools else {
        println!("skipped: the tools to dump and restore a database are not installed");
        return None;
    };
    let copy = TestDatabase::new().await;
    let mut dump = Command::new(dump)
        .args(arguments(database, &["--no-owner"], &["--single-transaction"]))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let restored = Command::new(restore)
        .args(arguments(
            &copy,
            &["--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"],
            &[],
        ))
        .stdin(dump.stdout.take().expect("what it dumps"))
        .status()
        .expect("it starts");
    assert!(restored.success() && dump.wait().expect("it ends").success());
    Some(copy)
}

fn is_installed(tool: &str) -> bool {
    let version = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn arguments(database: &TestDatabase, postgres: &[&str], mysql: &[&str]) -> Vec<String> {
    let url: Url = database.url().parse().expect("a URL");
    if url.scheme().starts_with("postgres") {
        let options = postgres.iter().map(|option| (*option).to_owned());
        return options.chain([url.to_string()]).collect();
    }
    let mut arguments: Vec<_> = mysql.iter().map(|option| (*option).to_owned()).collect();
    if let Some((_, socket)) = url.query_pairs().find(|(name, _)| name == "socket") {
        arguments.push(format!("--socket={socket}"));
    } else {
        let host = url.host_str().unwrap_or("127.0.0.1");
        arguments.push(format!("--host={host}"));
        arguments.push(format!("--port={}", url.port().unwrap_or(3306)));
    }
    arguments.push(format!("--user={}", url.username()));
    if let Some(password) = url.password() {
        arguments.push(format!("--password={password}"));
    }
    arguments.push(url.path().trim_start_matches('/').to_owned());
    arguments
}
