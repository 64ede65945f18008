//! The process that is killed.

use std::{collections::BTreeMap, time::Duration};

use grove_crdt::{prelude::*, sync::RetryPolicy};
use grove_crdt_tests::{connect, entities::document, open_when_free};
use sea_orm::EntityTrait as _;

use super::{
    program::{TOTAL, Writer},
    tables,
};

const DATABASE: &str = "GROVE_CRASH_DATABASE";
const URL: &str = "GROVE_CRASH_URL";
const LIFE: &str = "GROVE_CRASH_LIFE";
const SEED: &str = "GROVE_CRASH_CHILD_SEED";

/// What the node says when its database is open.
pub(super) const OPENED: &str = "the database is open";

/// Begins the line in which an entry is acknowledged.
const ACK: &str = "committed ";

/// What tells a process that it is the node, and which.
pub(super) fn environment(database: &str, url: &str, life: u32, seed: u64) -> [(&'static str, String); 4] {
    [
        (DATABASE, database.to_owned()),
        (URL, url.to_owned()),
        (LIFE, life.to_string()),
        (SEED, seed.to_string()),
    ]
}

/// The entries that it acknowledged, in what it said. The last line may have been cut off by its death.
pub(super) fn acknowledged(stdout: &str) -> Vec<String> {
    let whole = stdout.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole
        .filter_map(|line| Some(line.split_once(ACK)?.1.to_owned()))
        .collect()
}

pub(super) fn syncer(replica: &Replica, url: &str) -> Syncer {
    let peer = HttpTransport::new(url).expect("a URL").named("hub");
    Syncer::builder(replica)
        .peer(peer)
        .retry(RetryPolicy::never())
        .build()
        .expect("a syncer")
}

/// Writes and syncs until it is killed. Does nothing when it is run as an ordinary test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn life() {
    let mut given: BTreeMap<_, _> = [DATABASE, URL, LIFE, SEED]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var(name).ok()?)))
        .collect();
    let (Some(database), Some(url)) = (given.remove(DATABASE), given.remove(URL)) else {
        return;
    };
    let seed: u64 = given[SEED].parse().expect("a number");
    let db = connect(&database).await;
    let replica = open_when_free(|| tables::builder("node"), &db).await;
    println!("{OPENED}");
    let syncer = syncer(&replica, &url);
    while document::Entity::find_by_id(TOTAL)
        .one(&replica)
        .await
        .expect("a row")
        .is_none()
    {
        syncer.sync().await.expect("a sync");
    }
    let one = write(Writer::new(replica.clone(), &format!("{}a", given[LIFE]), seed));
    let other = write(Writer::new(replica.clone(), &format!("{}b", given[LIFE]), !seed));
    // Some lives sync all the time; in others the two sides drift apart, and meet where they least expect it.
    let pause = Duration::from_millis(if seed.is_multiple_of(2) { 10 } else { 120 });
    // None of them ends, but by a panic.
    tokio::join!(
        async { tokio::spawn(one).await.unwrap() },
        async { tokio::spawn(other).await.unwrap() },
        sync(syncer, pause)
    );
}

async fn write(mut writer: Writer) {
    loop {
        if let Some(entry) = writer.transaction().await.expect("a transaction") {
            println!("{ACK}{entry}");
        }
    }
}

async fn sync(syncer: Syncer, pause: Duration) {
    loop {
        syncer.sync().await.expect("a sync");
        tokio::time::sleep(pause).await;
    }
}
