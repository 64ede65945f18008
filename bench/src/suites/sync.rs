use std::{io::Write as _, ops::Range};

use anyhow::ensure;
use flate2::{Compression, write::GzEncoder};
use grove_crdt::{sync::Syncer, transport::HttpTransport};

use crate::{
    documents::{self, Row, replicated},
    exchange::{merge, pull},
    harness::{Bench, Case, Target, Timer, Unit, count},
    network::Served,
    suites::node::Node,
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let rows = bench.size(100_000, 2_000);
    let (mut pulled, mut pushed, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds(0, 3).counted {
        let (full, edge) = (Node::filled("hub", rows).await?, Node::empty("edge").await?);
        pulled.push(sync(&full, &edge, rows).await?.beside(rows, copied(&full, rows).await?));
        let (sink, without_network) = (Node::empty("sink").await?, copied(&full, rows).await?);
        pushed.push(sync(&sink, &full, rows).await?.beside(rows, without_network));
        changed.push(change(&full, &edge, rows / 100).await?);
    }
    let zipped = count(gzip_of_rows(0..rows)?);
    for (name, runs) in [("empty to full, pulled", pulled), ("empty to full, pushed", pushed)] {
        record(bench, name, "rows", &runs);
        let case = Case::new(format!("{name}: on the wire"), Unit::Bytes, "gzip of the rows as JSON");
        let pairs: Vec<_> = runs.iter().map(|run| (run.bytes, zipped)).collect();
        bench.record(case.target(Target::Times(1.2)), &pairs);
    }
    let name = "1 % changed on both sides";
    record(bench, name, "changes", &changed);
    let bytes: Vec<_> = changed.iter().map(|run| run.bytes).collect();
    bench.record_alone(format!("{name}: on the wire"), Unit::Bytes, None, &bytes);
    Ok(())
}

/// A sync over HTTP, beside the same with no network between.
struct Run {
    /// Seconds for each change.
    pair: (f64, f64),
    bytes: f64,
}

fn record(bench: &mut Bench, name: &str, what: &str, runs: &[Run]) {
    let case = Case::new(name, Unit::per_second(what), "extract, then merge").target(Target::Share(0.7));
    let pairs: Vec<_> = runs.iter().map(|run| run.pair).collect();
    bench.record(case, &pairs);
}

/// What one sync took.
struct Synced {
    seconds: f64,
    bytes: usize,
}

impl Synced {
    /// Beside the seconds that the same took without a network.
    fn beside(self, changes: usize, baseline: f64) -> Run {
        Run {
            pair: (self.seconds / count(changes), baseline / count(changes)),
            bytes: count(self.bytes),
        }
    }
}

/// Syncs an edge with a hub, by which so many changes are to travel.
async fn sync(hub: &Node, edge: &Node, changes: usize) -> anyhow::Result<Synced> {
    let served = Served::new(&hub.replica).await?;
    let peer = HttpTransport::new(&served.url)?.named(hub.replica.node_id().as_str());
    let syncer = Syncer::builder(&edge.replica).peer(peer).build()?;
    let timer = Timer::start();
    let report = syncer.sync().await?;
    let seconds = timer.seconds();
    let moved = report.pulled + report.pushed;
    ensure!(moved == changes, "{changes} changes should have travelled: {report}");
    let bytes = served.bytes();
    Ok(Synced { seconds, bytes })
}

/// The seconds it takes to read all that a replica has, and then to merge it into an empty one.
async fn copied(full: &Node, rows: usize) -> anyhow::Result<f64> {
    let target = Node::empty("target").await?;
    let timer = Timer::start();
    let pulled = pull(&full.replica, None).await?;
    merge(&target.replica, &pulled.pages).await?;
    let seconds = timer.seconds();
    ensure!(pulled.len() == rows, "{} changes came, not {rows}", pulled.len());
    Ok(seconds)
}

/// Changes so many rows on either side, other ones on each, and syncs.
async fn change(hub: &Node, edge: &Node, rows: usize) -> anyhow::Result<Run> {
    let of_hub = pull(&hub.replica, None).await?.cursor;
    let of_edge = pull(&edge.replica, None).await?.cursor;
    for (node, numbers) in [(hub, 0..rows), (edge, rows..2 * rows)] {
        documents::retitle_many::<replicated::Entity>(&node.replica, numbers, "changed").await?;
    }
    let (hub_copy, edge_copy) = (Node::on_copy(&hub.file).await?, Node::on_copy(&edge.file).await?);
    let synced = sync(hub, edge, 2 * rows).await?;
    let timer = Timer::start();
    merge(&edge_copy.replica, &pull(&hub_copy.replica, of_hub).await?.pages).await?;
    merge(&hub_copy.replica, &pull(&edge_copy.replica, of_edge).await?.pages).await?;
    Ok(synced.beside(2 * rows, timer.seconds()))
}

/// The bytes of documents as one array of JSON, compressed.
fn gzip_of_rows(numbers: Range<usize>) -> anyhow::Result<usize> {
    let rows: Vec<_> = numbers.map(Row::number).collect();
    let mut zip = GzEncoder::new(Vec::new(), Compression::default());
    zip.write_all(&serde_json::to_vec(&rows)?)?;
    Ok(zip.finish()?.len())
}
