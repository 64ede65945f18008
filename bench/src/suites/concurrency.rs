use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use grove_crdt::{
    Replica,
    sync::{Peer, PullRequest, respond},
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use sea_orm::{DatabaseConnection, DbBackend, TransactionTrait as _};
use tokio::task::JoinSet;

use crate::{
    database::{self, Database},
    documents::{self, PAGE, Row, Step, key, plain, replicated},
    harness::{Bench, Case, Target, Timer, Unit},
};

const WRITERS: usize = 16;
const READERS: usize = 4;
/// For so many seconds at most, a reader may hear nothing while there are writers.
const STALL: f64 = 1.0;
/// How long a reader that knows everything waits before it asks again.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    if !database::is_reachable(DbBackend::Postgres).await {
        return Ok(());
    }
    let rows = bench.size(10_000, 100);
    let (one, other) = (
        Database::create(DbBackend::Postgres).await?,
        Database::create(DbBackend::Postgres).await?,
    );
    let (db, plain) = (one.connect().await?, other.connect().await?);
    documents::create_table(&db).await?;
    documents::create_table(&plain).await?;
    let replica = replicated::open("node-1", db).await?;
    documents::insert_many::<replicated::ActiveModel>(&replica, 0..rows).await?;
    documents::insert_many::<plain::ActiveModel>(&plain, 0..rows).await?;

    let length = Duration::from_millis(bench.size(5_000, 300) as u64);
    let case = Case::new(
        format!("{WRITERS} writers, {READERS} pulling peers"),
        Unit::per_second("transactions"),
        "SeaORM, the same writers alone",
    );
    let mut silences = Vec::new();
    bench
        .compare(
            case.target(Target::Share(0.6)),
            bench.rounds(1, 5),
            async |round| {
                let (took, silence) = with_readers(&replica, rows, round, length).await?;
                silences.push(silence);
                Ok(took)
            },
            async |round| write(&Writer::Plain(plain.clone()), rows, round, length).await,
        )
        .await?;
    let name = "longest time in which a peer heard nothing";
    bench.record_alone(name, Unit::Time, Some(Target::AtMost(STALL)), &silences);
    Ok(())
}

/// Whom the writes go through.
#[derive(Clone)]
enum Writer {
    Replica(Replica),
    Plain(DatabaseConnection),
}

impl Writer {
    async fn write(&self, step: Step) -> anyhow::Result<()> {
        match self {
            Self::Replica(replica) => replicated::write(replica, step).await?,
            Self::Plain(db) => {
                let tx = db.begin().await?;
                plain::write(&tx, step).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }
}

/// Writes for some time while peers pull. Returns the seconds for each transaction, and the longest in which a peer heard nothing.
async fn with_readers(replica: &Replica, rows: usize, round: usize, length: Duration) -> anyhow::Result<(f64, f64)> {
    let (stop, mut readers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for reader in 0..READERS {
        let mut reader = Reader::new(replica.clone(), reader)?;
        reader.catch_up().await?;
        let stop = stop.clone();
        readers.spawn(async move { reader.follow(&stop).await });
    }
    let took = write(&Writer::Replica(replica.clone()), rows, round, length).await?;
    stop.store(true, Ordering::Relaxed);
    let mut longest = 0_f64;
    while let Some(silence) = readers.join_next().await {
        longest = longest.max(silence??);
    }
    Ok((took, longest))
}

/// Writes for some time, and returns the seconds for each transaction.
async fn write(through: &Writer, rows: usize, round: usize, length: Duration) -> anyhow::Result<f64> {
    let (timer, mut writers) = (Timer::start(), JoinSet::new());
    for number in 0..WRITERS {
        let through = through.clone();
        let mut random = SmallRng::seed_from_u64((round * WRITERS + number) as u64);
        // Nobody else inserts these.
        let mut own = (rows + (round * WRITERS + number) * 100_000)..;
        writers.spawn(async move {
            let mut written = 0;
            while timer.seconds() < length.as_secs_f64() {
                let any = key(random.random_range(0..rows));
                let step = match (random.random_range(0..4), own.next()) {
                    (0, Some(number)) => Step::Insert(Row::number(number)),
                    (1, _) => Step::Increment(any),
                    _ => Step::Retitle(any, format!("title {written}")),
                };
                through.write(step).await?;
                written += 1;
            }
            anyhow::Ok(written)
        });
    }
    let mut written = 0;
    while let Some(count) = writers.join_next().await {
        written += count??;
    }
    Ok(timer.each(written))
}

/// A peer that pulls.
struct Reader {
    replica: Replica,
    peer: Peer,
    request: PullRequest,
}

impl Reader {
    fn new(replica: Replica, number: usize) -> anyhow::Result<Self> {
        let name = format!("reader-{number}");
        let request = PullRequest {
            node_id: name.parse()?,
            replica_id: name.clone(),
            tables: vec!["documents".to_owned()],
            cursor: None,
            limit: Some(PAGE),
            max_bytes: None,
            filter: None,
        };
        let peer = Peer::new(name);
        Ok(Self { replica, peer, request })
    }

    /// Whether there was anything new, and whether there is more.
    async fn pull(&mut self) -> anyhow::Result<(bool, bool)> {
        let answer = respond::pull(&self.replica, &self.peer, &self.request).await?;
        self.request.cursor = Some(answer.cursor);
        Ok((!answer.changes.is_empty(), answer.has_more))
    }

    async fn catch_up(&mut self) -> anyhow::Result<()> {
        while self.pull().await?.1 {}
        Ok(())
    }

    /// Pulls until it is told to stop, and returns the longest time in seconds in which nothing came.
    async fn follow(mut self, stop: &AtomicBool) -> anyhow::Result<f64> {
        let (mut last, mut longest) = (Timer::start(), 0_f64);
        while !stop.load(Ordering::Relaxed) {
            let (has_news, _) = self.pull().await?;
            longest = longest.max(last.seconds());
            if has_news {
                last = Timer::start();
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(longest)
    }
}
