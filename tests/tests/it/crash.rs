//! A node that is killed again and again, while it writes and syncs, loses nothing that it said it had.
//!
//! The node is a process of its own: this test's binary, started once more as [`child`]. Each of its transactions adds an
//! entry to a journal and the entry's amount to a total, and does something at random to documents and comments besides;
//! when it has committed, it says so on its standard output. A hub in this process is written to as well, and synced with
//! over HTTP. After each kill the node's database is opened under the same id, and row and cells have to agree; in the
//! end both hold the same, with every entry that was acknowledged, and totals that are the sum of the entries.

mod check;
mod child;
mod program;
mod tables;

use std::{process::Stdio, time::Duration};

use grove_crdt::prelude::*;
use grove_crdt_tests::{TestDatabase, backend, open_when_free, serve::serve};
use rand::{Rng, RngExt as _, SeedableRng as _, rngs::SmallRng};
use sea_orm::DbBackend;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use program::Writer;

/// How often the node is killed. On a server it takes longer to come back.
fn kills() -> u32 {
    if backend() == DbBackend::Sqlite { 100 } else { 20 }
}

/// For how many milliseconds it lives.
fn lives() -> std::ops::Range<u64> {
    if backend() == DbBackend::Sqlite {
        20..300
    } else {
        50..1_500
    }
}

/// One life of so many is counted from the start of the process, so that it may end before the database is open; the others
/// from there.
const STILLBORN: u32 = 5;

#[apply(on_each_database_with_threads!)]
async fn a_node_that_is_killed_loses_nothing() {
    let seed =
        std::env::var("GROVE_CRASH_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("to kill at the same points again, as far as the machine allows: GROVE_CRASH_SEED={seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let [hub_database, node_database] = [TestDatabase::new().await, TestDatabase::new().await];
    tables::create(&node_database.connect().await).await;
    let hub_db = hub_database.connect().await;
    tables::create(&hub_db).await;
    let hub = tables::builder("hub").open(hub_db).await.expect("the hub");
    program::begin(&hub).await.expect("the total");
    let url = serve(&hub).await;
    let stop = CancellationToken::new();
    let at_hub = write_at_hub(&hub, rng.next_u64(), &stop);

    let mut acknowledged = kill_again_and_again(&node_database, &url, &mut rng).await;
    assert!(
        acknowledged.len() > kills() as usize / 2,
        "the node had no time to write"
    );
    stop.cancel();
    acknowledged.extend(at_hub.await.expect("the hub's writer"));
    println!(
        "{} transactions acknowledged, {} rows parked",
        acknowledged.len(),
        hub.parked().await.expect("rows").len()
    );

    let node = reopen(&node_database).await;
    sync_until_quiet(&node, &url).await;
    for replica in [&hub, &node] {
        check::rows_and_cells_agree(replica).await;
        check::nothing_to_adopt(replica).await;
        check::nothing_lost(replica, &acknowledged).await;
        check::total_is_the_sum(replica).await;
    }
    check::same(&hub, &node).await;
}

/// Lets the node live and die, and looks at what it left behind each time. Returns the entries that it acknowledged.
async fn kill_again_and_again(database: &TestDatabase, url: &str, rng: &mut SmallRng) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for life in 0..kills() {
        let lived = Duration::from_millis(rng.random_range(lives()));
        let acks = live_and_die(database.url(), url, life, rng.next_u64(), lived).await;
        let node = reopen(database).await;
        check::rows_and_cells_agree(&node).await;
        check::nothing_lost(&node, &acks).await;
        let db = node.connection().clone();
        drop(node);
        // On a server, the connections are needed to give the node id back.
        if backend() == DbBackend::Sqlite {
            db.close().await.expect("closed");
        }
        acknowledged.extend(acks);
    }
    acknowledged
}

/// Starts the node, kills it when it has lived so long, and returns the entries that it acknowledged.
async fn live_and_die(database: &str, url: &str, life: u32, seed: u64, lived: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this test's file"))
        .args(["--exact", "crash::child::life", "--nocapture", "--test-threads=1"])
        .envs(child::environment(database, url, life, seed))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the node starts");
    let mut says = BufReader::new(child.stdout.take().expect("its output"));
    let mut stdout = String::new();
    while !life.is_multiple_of(STILLBORN)
        && !stdout.contains(child::OPENED)
        && says.read_line(&mut stdout).await.expect("what the node says") > 0
    {}
    tokio::time::sleep(lived).await;
    // SIGKILL, where there are signals.
    child.start_kill().expect("the node is killed");
    while says.read_line(&mut stdout).await.expect("what the node said") > 0 {}
    let output = child.wait_with_output().await.expect("what the node said");
    let stderr = String::from_utf8_lossy(&output.stderr);
    // 101 is what a panic, such as a failing write, ends with.
    assert!(
        !matches!(output.status.code(), Some(0 | 101)),
        "life {life} ended by itself: {stdout}\n{stderr}"
    );
    child::acknowledged(&stdout)
}

/// The node in this process: its id is free again when the process that had it is dead.
async fn reopen(database: &TestDatabase) -> Replica {
    open_when_free(|| tables::builder("node"), &database.connect().await).await
}

/// Writes at the hub until stopped. Returns what was committed.
fn write_at_hub(hub: &Replica, seed: u64, stop: &CancellationToken) -> JoinHandle<Vec<String>> {
    let (hub, stop) = (hub.clone(), stop.clone());
    tokio::spawn(async move {
        let mut writer = Writer::new(hub, "0", seed);
        let mut committed = Vec::new();
        while !stop.is_cancelled() {
            committed.extend(writer.transaction().await.expect("a transaction at the hub"));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        committed
    })
}

async fn sync_until_quiet(node: &Replica, url: &str) {
    let syncer = child::syncer(node, url);
    for _ in 0..10 {
        let report = syncer.sync().await.expect("a sync");
        assert_eq!(report.rejected, 0, "{report}");
        if (report.pulled, report.pushed) == (0, 0) {
            return;
        }
    }
    panic!("the two never run out of news");
}
