//! Many peers push onto the same rows while others write them here: nothing is lost, no row differs from its cells, and
//! nobody hears of a deadlock who has not begun a transaction.

use grove_crdt::{Replica, prelude::*};
use grove_crdt_tests::{TestDatabase, assert_agrees, backend, run_all};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use sea_orm::{
    ColumnTrait as _, DbBackend, DbErr, EntityTrait as _, ExprTrait as _, IsolationLevel, QueryFilter as _,
    TransactionSession as _, TransactionTrait as _, sea_query::Expr,
};
use tokio::task::JoinSet;

use super::{
    steps::{FOLDERS, TOTAL, Tally, step},
    tables::{self, file, folder, is_overtaken, is_passing},
};

const PEERS: usize = 16;
const ROUNDS: usize = 3;
const WRITERS: usize = 8;
const WRITES: usize = 16;

#[apply(on_each_database_with_threads!)]
async fn nothing_is_lost_at_read_committed() {
    run(IsolationLevel::ReadCommitted).await;
}

#[apply(on_each_database_with_threads!)]
async fn nothing_is_lost_at_repeatable_read() {
    run(IsolationLevel::RepeatableRead).await;
}

#[apply(on_each_database_with_threads!)]
async fn nothing_is_lost_when_serializable() {
    run(IsolationLevel::Serializable).await;
}

async fn run(level: IsolationLevel) {
    let seed = tables::seed();
    let rng = |number: usize| SmallRng::seed_from_u64(seed ^ (number as u64) << 32);
    let database = TestDatabase::new().await;
    notice_deadlocks_soon(&database).await;
    let hub = tables::replica(&database, "hub", 24).await;
    tables::folder(TOTAL).insert(&hub).await.unwrap();
    let mut peers = Vec::new();
    for number in 0..PEERS {
        peers.push(Peer::new(&hub, number, rng(number)).await);
    }
    let mut tasks = JoinSet::new();
    for number in 0..WRITERS {
        tasks.spawn(write(hub.clone(), format!("hub-{number}"), level, rng(PEERS + number)));
    }
    let mut pushing = JoinSet::new();
    for peer in peers {
        pushing.spawn(peer.push());
    }
    let mut tally = Tally::default();
    let mut peers = Vec::new();
    for (peer, pushed) in pushing.join_all().await {
        peers.push(peer);
        tally += pushed;
    }
    for written in tasks.join_all().await {
        tally += written;
    }
    bring_together(&hub, &peers).await;
    nothing_lost(&hub, tally).await;
    all_agree(&hub, &peers).await;
}

/// PostgreSQL looks for a deadlock when somebody has waited for a second, which is most of what this would take.
async fn notice_deadlocks_soon(database: &TestDatabase) {
    if backend() == DbBackend::Postgres {
        let url: url::Url = database.url().parse().unwrap();
        let name = url.path().trim_start_matches('/');
        let set = format!("ALTER DATABASE {name} SET deadlock_timeout = '20ms'");
        run_all(&database.connect().await, &[&set]).await;
    }
}

/// A replica that pushes.
struct Peer {
    replica: Replica,
    syncer: Syncer,
    rng: SmallRng,
}

impl Peer {
    async fn new(hub: &Replica, number: usize, rng: SmallRng) -> Self {
        let replica = tables::on_sqlite(&format!("peer-{number}")).await;
        let syncer = Syncer::builder(&replica)
            .peer(MemoryTransport::new(hub))
            .page_size(20)
            .build()
            .unwrap();
        syncer.sync().await.unwrap();
        Self { replica, syncer, rng }
    }

    /// Changes something, and syncs, again and again.
    async fn push(mut self) -> (Self, Tally) {
        let mut tally = Tally::default();
        let name = self.replica.node_id().to_string();
        for _ in 0..ROUNDS {
            for _ in 0..self.rng.random_range(1..6) {
                tally += step(&self.replica, &name, &mut self.rng).await.unwrap();
            }
            let report = self.syncer.sync().await.unwrap();
            assert_eq!(report.rejected, 0, "{report}");
        }
        (self, tally)
    }
}

/// Writes at the hub. Only who began a transaction may hear that another was in the way, and runs it again.
async fn write(hub: Replica, name: String, level: IsolationLevel, mut rng: SmallRng) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..WRITES {
        match rng.random_range(0..8) {
            0..4 => match step(&hub, &name, &mut rng).await {
                Ok(written) => tally += written,
                Err(error) if is_overtaken(&error) => {}
                Err(error) => panic!("a single write: {error}"),
            },
            4 => match count_all(&hub, &mut rng).await {
                Err(error) if !is_overtaken(&error) => panic!("a write of many: {error}"),
                _ => {}
            },
            _ => loop {
                match transaction(&hub, &name, level, &mut rng).await {
                    Ok(written) => break tally += written,
                    Err(error) if is_overtaken(&error) => break,
                    Err(error) if is_passing(&error) => {}
                    Err(error) => panic!("a transaction: {error}"),
                }
            },
        }
    }
    tally
}

/// One statement that nobody announces.
async fn count_all(hub: &Replica, rng: &mut SmallRng) -> Result<(), DbErr> {
    let folder = format!("folder-{}", rng.random_range(0..FOLDERS));
    let counted = file::Entity::update_many()
        .col_expr(file::Column::Size, Expr::col(file::Column::Size).add(1))
        .filter(file::Column::FolderId.eq(folder));
    counted.exec(hub).await.map(drop)
}

async fn transaction(hub: &Replica, name: &str, level: IsolationLevel, rng: &mut SmallRng) -> Result<Tally, DbErr> {
    let tx = hub.begin_with_config(Some(level), None).await?;
    let mut tally = Tally::default();
    for _ in 0..rng.random_range(1..4) {
        tally += step(&tx, name, rng).await?;
    }
    tx.commit().await?;
    Ok(tally)
}

/// Gives every file its folder, so that nothing has to wait, and syncs until there is no news.
async fn bring_together(hub: &Replica, peers: &[Peer]) {
    for number in 0..FOLDERS {
        let id = format!("folder-{number}");
        if folder::Entity::find_by_id(&id).one(hub).await.unwrap().is_none() {
            tables::folder(id).insert(hub).await.unwrap();
        }
    }
    for _ in 0..10 {
        let mut news = 0;
        for peer in peers {
            let report = peer.syncer.sync().await.unwrap();
            assert_eq!(report.rejected, 0, "{report}");
            news += report.pulled + report.pushed;
        }
        if news == 0 {
            return;
        }
    }
    panic!("the peers never run out of news");
}

async fn nothing_lost(hub: &Replica, tally: Tally) {
    let total = folder::Entity::find_by_id(TOTAL).one(hub).await.unwrap().unwrap();
    assert_eq!(total.visits, tally.visits);
    for tag in &tally.tags {
        assert!(total.tags.contains(tag), "tag {tag} in {:?}", total.tags);
    }
    let files = file::Entity::find().filter(file::Column::FolderId.eq(TOTAL));
    let mut entries: Vec<_> = files.all(hub).await.unwrap().into_iter().map(|file| file.id).collect();
    let mut expected = tally.entries;
    entries.sort();
    expected.sort();
    assert_eq!(entries, expected);
}

async fn all_agree(hub: &Replica, peers: &[Peer]) {
    assert_eq!(hub.parked().await.unwrap(), []);
    assert_agrees::<folder::Entity, _>(hub).await;
    assert_agrees::<file::Entity, _>(hub).await;
    let found = hub.adopt::<file::Entity>().deletions(true).await.unwrap();
    assert_eq!((found.adopted, found.changed, found.deleted), (0, 0, 0), "{found}");
    for peer in peers {
        let node = peer.replica.node_id();
        assert_eq!(peer.replica.parked().await.unwrap(), [], "at {node}");
        tables::assert_same(hub, &peer.replica).await;
    }
}
