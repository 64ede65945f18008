//! Several processes replicate one database, each under a node id of its own.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use grove_crdt::{Error, ReplicaBuilder, prelude::*};
use grove_crdt_tests::{
    TestDatabase, assert_agrees, backend, cells, create_table, entities::document, open_when_free, rows, serve::serve,
};
use sea_orm::{
    ActiveValue::Set, DatabaseConnection, DbBackend, EntityTrait as _, TransactionSession as _, TransactionTrait as _,
};

use super::tables;
use crate::merge::support::{changes_of, push};

const LEASE: Duration = Duration::from_secs(1);
const WRITES: usize = 12;

/// The other process.
struct Other {
    child: Child,
    told: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(database: &TestDatabase, node: &str, hub: &str) -> Self {
        let lease = LEASE.as_millis().to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_write_on_command"))
            .args([database.url(), node, hub, &lease])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut other = Self {
            told: child.stdin.take().expect("its input"),
            says: BufReader::new(child.stdout.take().expect("its output")).lines(),
            child,
        };
        assert_eq!(other.answer(), "opened");
        other
    }

    fn tell(&mut self, command: &str) -> String {
        writeln!(self.told, "{command}").expect("it listens");
        self.answer()
    }

    fn answer(&mut self) -> String {
        self.says.next().expect("it lives").expect("a line")
    }

    /// Sends it a signal.
    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("`kill`");
        assert!(sent.success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn builder(node: &str) -> ReplicaBuilder {
    Replica::builder(node).node_lease(LEASE).entity::<document::Entity>()
}

async fn open(db: DatabaseConnection, node: &str) -> Result<Replica, Error> {
    builder(node).open(db).await
}

fn draft(id: impl Into<String>) -> document::ActiveModel {
    document::ActiveModel {
        id: Set(id.into()),
        title: Set("a title".to_owned()),
        view_count: Set(0),
        tags: Set(OrSet::new()),
        author: Set(None),
    }
}

/// A hub in a SQLite database, and where it is.
async fn hub() -> (Replica, String) {
    let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let db = sea_orm::Database::connect(options).await.unwrap();
    create_table(&db, document::Entity).await.unwrap();
    let hub = open(db, "hub").await.unwrap();
    let url = serve(&hub).await;
    (hub, url)
}

fn syncer(replica: &Replica, hub: &str) -> Syncer {
    let peer = HttpTransport::new(hub).unwrap().named("hub");
    Syncer::builder(replica).peer(peer).page_size(5).build().unwrap()
}

#[apply(on_each_database_with_threads!)]
async fn three_processes_write_and_sync() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    let (hub, url) = hub().await;
    let one = open(db, "one").await.unwrap();
    let two = open(database.connect().await, "two").await.unwrap();
    draft("total").insert(&one).await.unwrap();
    let mut other = Other::start(&database, "three", &url);
    let telling = tokio::task::spawn_blocking(move || {
        for number in 0..WRITES {
            assert_eq!(other.tell(&format!("write three-{number}")), "done");
            assert_eq!(other.tell("sync with-the-hub"), "done");
        }
        other
    });
    let mut tasks = tokio::task::JoinSet::new();
    for replica in [one.clone(), two.clone()] {
        let syncer = syncer(&replica, &url);
        tasks.spawn(async move {
            for number in 0..WRITES {
                let id = format!("{}-{number}", replica.node_id());
                draft(id).insert(&replica).await.unwrap();
                document::ActiveModel::increment_view_count(&replica, "total", 1)
                    .await
                    .unwrap();
                let report = syncer.sync().await.unwrap();
                assert_eq!(report.rejected, 0, "{report}");
            }
        });
    }
    for number in 0..WRITES {
        draft(format!("hub-{number}")).insert(&hub).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    let mut other = telling.await.unwrap();
    assert_eq!(other.tell("sync with-the-hub"), "done");
    for replica in [&one, &two] {
        syncer(replica, &url).sync().await.unwrap();
    }
    for replica in [&one, &two, &hub] {
        let documents = document::Entity::find().all(replica).await.unwrap();
        assert_eq!(documents.len(), 4 * WRITES + 1);
        let total = documents.iter().find(|document| document.id == "total").unwrap();
        assert_eq!(usize::try_from(total.view_count), Ok(3 * WRITES));
        assert_agrees::<document::Entity, _>(replica).await;
    }
    assert_eq!(cells(&one, "documents").await, cells(&hub, "documents").await);
    assert_eq!(
        rows::<document::Entity, _>(&two).await,
        rows::<document::Entity, _>(&hub).await
    );
}

#[apply(on_each_database_with_threads!)]
async fn the_id_of_a_killed_process_is_free_after_its_lease() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    let (_, url) = hub().await;
    let mut other = Other::start(&database, "shared", &url);
    // For longer than its lease, which it renews.
    let begun = Instant::now();
    while begun.elapsed() < LEASE * 2 {
        let error = open(db.clone(), "shared").await.unwrap_err();
        assert!(matches!(error, Error::NodeInUse { .. }), "{error}");
        tokio::time::sleep(LEASE / 5).await;
    }
    other.tell("write one");
    other.child.kill().unwrap();
    other.child.wait().unwrap();
    let killed = Instant::now();
    if backend() != DbBackend::Sqlite {
        let error = open(db.clone(), "shared").await.unwrap_err();
        assert!(matches!(error, Error::NodeInUse { .. }), "{error}");
    }
    let replica = open_when_free(|| builder("shared"), &db).await;
    assert!(killed.elapsed() < LEASE * 2, "{:?}", killed.elapsed());
    draft("two").insert(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

/// A process that was stopped for longer than its lease, and then goes on, as after a machine's sleep.
#[cfg(unix)]
#[apply(on_each_server!)]
async fn a_process_whose_id_was_taken_over_writes_no_more() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    let (_, url) = hub().await;
    let mut other = Other::start(&database, "shared", &url);
    other.signal("-STOP");
    let replica = open_when_free(|| builder("shared"), &db).await;
    draft("total").insert(&replica).await.unwrap();
    other.signal("-CONT");
    for id in ["at-once", "later"] {
        let answer = other.tell(&format!("write {id}"));
        assert!(answer.contains("node id `shared` is already in use"), "{answer}");
        tokio::time::sleep(LEASE / 2).await;
    }
    draft("mine").insert(&replica).await.unwrap();
    assert_eq!(document::Entity::find().all(&replica).await.unwrap().len(), 2);
}

/// What it had begun before is not committed either.
#[apply(on_each_server!)]
async fn a_transaction_that_outlives_its_node_id_is_not_committed() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    let replica = open(db.clone(), "shared").await.unwrap();
    let tx = replica.begin().await.unwrap();
    draft("a").insert(&tx).await.unwrap();
    let taken = "UPDATE _grove_leases SET holder = 'another', until = until + 60000000";
    grove_crdt_tests::execute(&db, taken, []).await;
    tokio::time::sleep(LEASE).await;
    let error = tx.commit().await.unwrap_err().to_string();
    assert!(error.contains("node id `shared` is already in use"), "{error}");
    let error = draft("b").insert(&replica).await.unwrap_err().to_string();
    assert!(error.contains("another process has taken it"), "{error}");
    assert_eq!(rows::<document::Entity, _>(&db).await, [""; 0]);
}

/// What one process parked was tried again only by that one, with its next write.
#[apply(on_each_database_with_threads!)]
async fn a_row_that_waits_for_another_process_is_not_forgotten() {
    let database = TestDatabase::new().await;
    let one = tables::replica(&database, "one", 2).await;
    let two = tables::builder("two").open(database.connect().await).await.unwrap();
    let author = tables::on_sqlite("author").await;
    tables::folder("late").insert(&author).await.unwrap();
    tables::file("early", "late", "waits").insert(&author).await.unwrap();
    push(&author, &one, &changes_of(&author, &["files"]).await).await;
    assert_eq!(two.parked().await.unwrap().len(), 1);
    // It has parked nothing itself.
    tables::folder("late").insert(&two).await.unwrap();
    assert_eq!(two.parked().await.unwrap(), []);
    assert_agrees::<tables::file::Entity, _>(&two).await;
}
