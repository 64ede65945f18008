//! Many streams at once.

use std::time::{Duration, Instant};

use grove_crdt::{
    Replica,
    server::{Limits, SyncServer},
    sync::{Peer, Syncer},
    transport::HttpTransport,
};
use grove_crdt_tests::{Statements, TestDatabase};
use reqwest::{Client, Response};
use sea_orm::{ActiveValue::Set, TransactionSession as _, TransactionTrait as _};
use tokio::task::JoinSet;

use super::{NEVER, Running, tables};
use crate::{http, notes};

/// How many streams there are, and how many changes each is sent.
const STREAMS: usize = 200;
const CHANGES: usize = 1_000;

/// How many of those who follow are replicas.
const REPLICAS: usize = 3;

/// How long all of it may take. It is a matter of seconds.
const LONG: Duration = Duration::from_mins(5);

/// The keys of the changes in what a stream sends, as it comes. Whoever parsed all that two hundred streams send would be the
/// one who is tested.
#[derive(Default)]
struct Keys {
    /// What has come of a key that is cut off.
    rest: String,
    keys: Vec<String>,
}

impl Keys {
    fn read(&mut self, chunk: &[u8]) {
        self.rest.push_str(std::str::from_utf8(chunk).expect("text"));
        assert!(!self.rest.contains("event: error"), "{}", self.rest);
        let mut read = 0;
        while let Some(begin) = self.rest[read..].find(r#""pk":""#).map(|place| read + place + 6) {
            let Some(end) = self.rest[begin..].find('"').map(|place| begin + place) else {
                break;
            };
            self.keys.push(self.rest[begin..end].to_owned());
            read = end;
        }
        // As long as what announces a key, which may be cut off too.
        let mut keep = self.rest.len().saturating_sub(40).max(read);
        while !self.rest.is_char_boundary(keep) {
            keep += 1;
        }
        self.rest.drain(..keep);
    }
}

/// Opens a stream, and waits for its first event.
async fn open(client: &Client, url: &str) -> Response {
    let stream = client
        .get(format!("{url}/stream?tables=notes"))
        .bearer_auth("any-token");
    let mut response = stream.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let first = response.chunk().await.unwrap().expect("an event");
    assert!(first.starts_with(b"event: changes"), "{first:?}");
    response
}

async fn read_all(mut response: Response) -> Vec<String> {
    let mut keys = Keys::default();
    while keys.keys.len() < CHANGES {
        let chunk = response.chunk().await.unwrap();
        keys.read(&chunk.expect("a stream goes on"));
    }
    keys.keys
}

/// A hub on a database of its own, the statements it is sent, and the URL of its server.
async fn hub(database: &TestDatabase) -> (Replica, Statements, String) {
    let mut db = database.connect().await;
    let statements = Statements::of(&mut db);
    let hub = notes::replica_on(db, "hub").await;
    let limits = Limits::default().streams_per_peer(STREAMS);
    let server = SyncServer::builder(&hub).limits(limits);
    let server = server.bearer_tokens([("any-token", Peer::new("any"))]).unwrap();
    let url = http::serve(server.router()).await;
    (hub, statements, url)
}

/// Writes the notes, some in commits of their own and some in larger ones. Returns how many commits there were.
async fn write_all(hub: &Replica) -> usize {
    let mut commits = 0;
    for n in 0..CHANGES {
        if n % 50 < 10 {
            notes::write(hub, &key(n), "in a commit of its own").await;
            commits += 1;
        } else if n % 10 == 0 {
            let tx = hub.begin().await.unwrap();
            for n in n..n + 10 {
                let (id, title) = (Set(key(n)), Set("in one of ten".to_owned()));
                notes::ActiveModel { id, title }.insert(&tx).await.unwrap();
            }
            tx.commit().await.unwrap();
            commits += 1;
        }
    }
    commits
}

fn key(n: usize) -> String {
    format!("{n:04}")
}

/// Each of them is told of each commit through a socket of its own, and what one reads of the database is given to all who
/// stand where it stands.
#[apply(on_each_database_with_threads!)]
async fn two_hundred_streams_lose_nothing() {
    let database = TestDatabase::new().await;
    let (hub, statements, url) = hub(&database).await;
    let mut replicas = Vec::with_capacity(REPLICAS);
    for n in 0..REPLICAS {
        let replica = notes::replica(&format!("edge-{n}")).await;
        let way = HttpTransport::new(&url).unwrap().bearer_token("any-token").unwrap();
        let running = Running::new(Syncer::builder(&replica).peer(way).interval(NEVER));
        replicas.push((replica, running));
    }
    let client = Client::new();
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS - REPLICAS {
        streams.spawn(read_all(open(&client, &url).await));
    }
    statements.take();
    let begun = Instant::now();

    let commits = write_all(&hub).await;

    let all = tokio::time::timeout(LONG, streams.join_all()).await;
    let all = all.expect("every stream gets everything");
    let took = begun.elapsed();
    for keys in all {
        let wrong = (0..CHANGES).find(|n| keys.get(*n) != Some(&key(*n)));
        assert_eq!(
            (keys.len(), wrong),
            (CHANGES, None),
            "change {wrong:?} is not where it should be"
        );
    }
    for (replica, running) in replicas {
        let equal = async {
            while tables(&hub).await != tables(&replica).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, equal)
            .await
            .expect("every replica gets everything");
        running.stop().await;
    }
    let statements = statements.take();
    let pages = statements.iter().filter(|sql| is_page(sql)).count();
    println!(
        "{commits} commits of {CHANGES} changes to {STREAMS} streams took {took:?}, {} statements, {pages} of them for pages",
        statements.len()
    );
    assert!(
        pages < commits * STREAMS / 10,
        "{pages} pages were read of {commits} commits"
    );
}

/// Whether a statement reads cells in commit order.
fn is_page(sql: &str) -> bool {
    sql.contains("_notes_crdt") && sql.contains("version") && sql.contains("LIMIT")
}
