//! Real data: the Chinook database, replicated over HTTP, edited apart, and brought together again.
//!
//! The data lie outside of this repository; where there are none, the tests say so and pass.

mod branch;
mod clashes;
mod compare;
mod deletes;
mod mixed;
mod office;

use compare::{parked, rows_and_cells_agree, same_data, settled};
use grove_crdt::prelude::*;
use grove_crdt_tests::{
    TestDatabase,
    chinook::{self, Data},
    serve::serve,
};

/// Artists that the tests deal with.
struct Artist;

impl Artist {
    const AUDIOSLAVE: i32 = 8;
    const LED_ZEPPELIN: i32 = 22;
    const WITHOUT_ALBUMS: i32 = 25;
    const METALLICA: i32 = 50;
    const QUEEN: i32 = 51;
    const DEEP_PURPLE: i32 = 58;
    const IRON_MAIDEN: i32 = 90;
}

/// A shop's two databases: the head office's, which serves, and a branch's, which syncs with it.
struct Shop {
    office: Replica,
    branch: Replica,
    syncer: Syncer,
    _files: [TestDatabase; 2],
}

impl Shop {
    async fn open() -> Self {
        let files = [TestDatabase::new().await, TestDatabase::new().await];
        let office = replica("office", &files[0]).await;
        let branch = replica("branch", &files[1]).await;
        let peer = HttpTransport::new(&serve(&office).await)
            .expect("a URL")
            .named("office");
        let syncer = Syncer::builder(&branch).peer(peer).build().expect("a syncer");
        Self {
            office,
            branch,
            syncer,
            _files: files,
        }
    }

    /// Syncs until there is nothing left to say. Returns how many changes travelled each way.
    async fn sync(&self) -> (usize, usize) {
        let (mut pulled, mut pushed) = (0, 0);
        for _ in 0..5 {
            let report = self.syncer.sync().await.expect("a sync");
            println!("{report}");
            if (report.pulled, report.pushed) == (0, 0) {
                return (pulled, pushed);
            }
            assert_eq!(report.rejected, 0, "{report}");
            pulled += report.pulled;
            pushed += report.pushed;
        }
        panic!("the two never run out of news");
    }
}

/// A replica of empty tables.
async fn replica(node: &str, database: &TestDatabase) -> Replica {
    let db = database.connect().await;
    chinook::create_tables(&db).await.expect("the tables");
    chinook::builder(node).open(db).await.expect("a replica")
}

fn data() -> Option<Data> {
    match Data::load() {
        Ok(data) => Some(data.sorted()),
        Err(why) => {
            println!("skipped, since there are no data: {why}");
            None
        }
    }
}

#[apply(on_each_database_with_threads!)]
async fn edits_made_apart_come_together() {
    let Some(data) = data() else { return };
    let shop = Shop::open().await;
    data.insert(&shop.office.untracked()).await.expect("the rows");
    rows_and_cells_are_adopted(&shop.office, &data).await;
    assert_eq!(shop.sync().await, (data.rows(), 0), "a baseline is a change per row");
    same_data(&Data::read(&shop.branch).await.expect("the rows"), &data);
    settled(&shop.office, &shop.branch).await;

    office::edit(&shop.office).await.expect("the office's edits");
    branch::edit(&shop.branch).await.expect("the branch's edits");
    shop.sync().await;
    settled(&shop.office, &shop.branch).await;
    office::dismiss(&shop.office).await.expect("the office's edits");

    clashes::office(&shop.office).await.expect("the office's edits");
    clashes::branch(&shop.branch).await.expect("the branch's edits");
    shop.sync().await;
    clashes::are_parked(&shop.office, &shop.branch).await;
    rows_and_cells_agree(&shop.office).await;
    rows_and_cells_agree(&shop.branch).await;

    clashes::resolve(&shop.office, &shop.branch).await.expect("ways out");
    shop.sync().await;
    settled(&shop.office, &shop.branch).await;
    clashes::are_resolved(&shop.office).await.expect("the rows");

    // One who comes late and knows only the branch sees the same, of a history with births, deaths and edits.
    let database = TestDatabase::new().await;
    let archive = replica("archive", &database).await;
    let peer = HttpTransport::new(&serve(&shop.branch).await).expect("a URL");
    Syncer::builder(&archive)
        .peer(peer)
        .build()
        .expect("a syncer")
        .sync()
        .await
        .expect("a sync");
    settled(&shop.branch, &archive).await;
}

#[apply(on_each_database_with_threads!)]
async fn the_same_data_adopted_on_both_are_one_history() {
    let Some(data) = data() else { return };
    let shop = Shop::open().await;
    for replica in [&shop.office, &shop.branch] {
        data.insert(&replica.untracked()).await.expect("the rows");
        rows_and_cells_are_adopted(replica, &data).await;
    }
    shop.sync().await;
    same_data(&Data::read(&shop.branch).await.expect("the rows"), &data);
    settled(&shop.office, &shop.branch).await;
}

/// Adopts everything, once.
async fn rows_and_cells_are_adopted(replica: &Replica, data: &Data) {
    same_data(&Data::read(replica).await.expect("the rows"), data);
    let found = chinook::adopt(replica).await.expect("an adoption");
    assert_eq!(
        found.iter().map(|(_, report)| report.adopted).sum::<usize>(),
        data.rows()
    );
    rows_and_cells_agree(replica).await;
}
