use anyhow::ensure;
use grove_crdt::Change;

use crate::{
    database::SqliteFile,
    exchange::{merge, pull},
    harness::{Bench, Case, Target, Timer, Unit},
    raw,
    suites::node::{Node, shuffled},
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let rows = bench.size(100_000, 2_000);
    let source = Node::filled("source", rows).await?;
    let target = Node::empty("target").await?;
    let born = pull(&source.replica, None).await?;
    merge(&target.replica, &born.pages).await?;
    let numbers = shuffled(rows);
    source.retitle(&numbers, "from afar").await?;
    let pages = pull(&source.replica, born.cursor).await?.pages;
    compare(bench, "one column each, keys in random order", &target.file, &pages, 0).await?;
    // Written later than what comes, so it stays.
    let newer = shuffled(rows / 2);
    target.retitle(&newer, "newer").await?;
    compare(
        bench,
        "likewise, half of them losing",
        &target.file,
        &pages,
        newer.len(),
    )
    .await
}

/// Merges the pages into copies of a replica's file, where so many changes lose.
async fn compare(
    bench: &mut Bench,
    name: &str,
    before: &SqliteFile,
    pages: &[Vec<Change>],
    losing: usize,
) -> anyhow::Result<()> {
    let rows = pages.iter().map(Vec::len).sum();
    let merged = Node::on_copy(before).await?;
    let lost = merge(&merged.replica, pages).await?;
    ensure!(lost == losing, "{lost} changes lost, not {losing}");
    let script = raw::updates(before, &merged.file, pages)?;
    let case = Case::new(name, Unit::per_second("rows"), "rusqlite").target(Target::Share(0.5));
    bench
        .compare(
            case,
            bench.rounds(0, 5),
            async |_| {
                let target = Node::on_copy(before).await?;
                let timer = Timer::start();
                merge(&target.replica, pages).await?;
                Ok(timer.each(rows))
            },
            async |_| {
                let file = before.copy()?;
                let connection = file.open_raw()?;
                let timer = Timer::start();
                script.run(&connection)?;
                Ok(timer.each(rows))
            },
        )
        .await
}
