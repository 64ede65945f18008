//! Whatever is committed late, a reader who goes on from where it stopped sees it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use grove_crdt::{
    Replica,
    sync::{PullRequest, PullResponse, PushRequest, PushResponse, Syncer, Transport, TransportError},
    transport::MemoryTransport,
};
use grove_crdt_tests::TestDatabase;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use sea_orm::{ActiveValue::Set, EntityTrait as _, TransactionSession as _, TransactionTrait as _};
use tokio::task::JoinHandle;

use super::tables::{self, file, folder};

const WRITERS: usize = 16;
const PAGE: usize = 7;

/// The folder that all files are in, and one that all writers count in.
const HOME: &str = "home";
const COUNTED: &str = "counted";

#[apply(on_each_database_with_threads!)]
async fn nothing_that_sixteen_connections_commit_is_skipped() {
    let seed = tables::seed();
    let database = TestDatabase::new().await;
    let source = tables::replica(&database, "source", 20).await;
    for id in [HOME, COUNTED] {
        tables::folder(id).insert(&source).await.unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let readers = [
        Reader::start(&source, "slow", PAGE, &done).await,
        Reader::start(&source, "quick", 1_000, &done).await,
    ];
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..WRITERS {
        writers.spawn(Writer::new(&source, number, seed).write());
    }
    let committed: Vec<String> = writers.join_all().await.into_iter().flatten().collect();
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.has_seen(&source, &committed).await;
    }
}

/// One who goes on reading: with small pages it lies behind, with large ones it is always as far as it may be.
struct Reader {
    replica: Replica,
    watched: Arc<Watched>,
    reading: JoinHandle<()>,
}

impl Reader {
    async fn start(source: &Replica, node: &str, page: usize, done: &Arc<AtomicBool>) -> Self {
        let replica = tables::on_sqlite(node).await;
        let watched = Arc::new(Watched::default());
        let syncer = Syncer::builder(&replica)
            .peer(OnlyForward(MemoryTransport::new(source), watched.clone()))
            .page_size(page)
            .build()
            .unwrap();
        let done = done.clone();
        let reading = tokio::spawn(async move {
            while !done.load(Ordering::SeqCst) {
                syncer.sync().await.unwrap();
            }
            // And once more.
            syncer.sync().await.unwrap();
        });
        Self {
            replica,
            watched,
            reading,
        }
    }

    async fn has_seen(self, source: &Replica, committed: &[String]) {
        self.reading.await.unwrap();
        let node = self.replica.node_id();
        let there = file::Entity::find().all(&self.replica).await.unwrap();
        let there: BTreeSet<_> = there.into_iter().map(|file| file.id).collect();
        let missing: Vec<_> = committed.iter().filter(|id| !there.contains(*id)).collect();
        let count = committed.len();
        assert!(missing.is_empty(), "of {count} files, {node} never saw {missing:?}");
        tables::assert_same(source, &self.replica).await;
        let pages = self.watched.pages.load(Ordering::SeqCst);
        assert!(pages > 3, "{pages} pages are too few to tell");
    }
}

/// Commits one transaction after another.
struct Writer {
    source: Replica,
    name: String,
    files: usize,
    rng: SmallRng,
}

impl Writer {
    fn new(source: &Replica, number: usize, seed: u64) -> Self {
        Self {
            source: source.clone(),
            name: format!("w{number}"),
            files: 0,
            rng: SmallRng::seed_from_u64(seed ^ (number as u64) << 32),
        }
    }

    /// The files that were committed.
    async fn write(mut self) -> Vec<String> {
        let mut committed = Vec::new();
        for _ in 0..18 {
            committed.extend(self.transaction(&committed.clone()).await);
        }
        committed
    }

    /// One transaction, which writes first and may be open long before it ends. Files of its own, so that nobody waits for
    /// anybody; where they count together, as the last thing.
    async fn transaction(&mut self, own: &[String]) -> Vec<String> {
        let tx = self.source.begin().await.unwrap();
        let mut created = Vec::new();
        let statements = if self.rng.random_ratio(1, 15) {
            3 * PAGE
        } else {
            self.rng.random_range(1..6)
        };
        for _ in 0..statements {
            match self.rng.random_range(0..10) {
                0..6 => {
                    self.files += 1;
                    let id = format!("{}-{}", self.name, self.files);
                    tables::file(&id, HOME, "new").insert(&tx).await.unwrap();
                    created.push(id);
                }
                6..8 => tables::folder(format!("{}-folder-{}", self.name, self.rng.random::<u32>()))
                    .insert(&tx)
                    .await
                    .map(drop)
                    .unwrap(),
                _ if !own.is_empty() => {
                    let file = file::ActiveModel {
                        id: Set(own[self.rng.random_range(0..own.len())].clone()),
                        title: Set(format!("title {}", self.rng.random::<u16>())),
                        ..Default::default()
                    };
                    file.update(&tx).await.unwrap();
                }
                _ => {}
            }
            if statements < PAGE {
                let pause = self.rng.random_range(0..8_000);
                tokio::time::sleep(Duration::from_micros(pause)).await;
            }
        }
        if self.rng.random_ratio(1, 4) {
            folder::ActiveModel::increment_visits(&tx, COUNTED, 1).await.unwrap();
        }
        if self.rng.random_ratio(1, 5) {
            tx.rollback().await.unwrap();
            return Vec::new();
        }
        tx.commit().await.unwrap();
        created
    }
}

/// What was seen of a reader's pages.
#[derive(Debug, Default)]
struct Watched {
    pages: AtomicUsize,
    newest: Mutex<Place>,
}

/// A version, and a place in the one after it.
type Place = (i64, Option<Vec<String>>);

/// A way to a peer on which a cursor that moves back is noticed.
#[derive(Debug)]
struct OnlyForward(MemoryTransport, Arc<Watched>);

#[async_trait::async_trait]
impl Transport for OnlyForward {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        let answer = self.0.pull(request).await?;
        assert!(!answer.restarted, "the history is one");
        let place = place(&answer.cursor);
        let mut newest = self.1.newest.lock().unwrap();
        assert!(place >= *newest, "from {newest:?} back to {place:?}");
        *newest = place;
        self.1
            .pages
            .fetch_add(usize::from(!answer.changes.is_empty()), Ordering::SeqCst);
        Ok(answer)
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        self.0.push(request).await
    }
}

fn place(cursor: &str) -> Place {
    let cursor: serde_json::Value = serde_json::from_slice(&BASE64.decode(cursor).unwrap()).unwrap();
    let within = cursor["p"].get("k").cloned();
    (
        cursor["p"]["v"].as_i64().unwrap(),
        within.map(|within| serde_json::from_value(within).unwrap()),
    )
}
