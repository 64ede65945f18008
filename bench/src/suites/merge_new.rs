use crate::{
    database::SqliteFile,
    exchange::{merge, pull},
    harness::{Bench, Case, Target, Timer, Unit},
    raw,
    suites::node::Node,
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let rows = bench.size(100_000, 2_000);
    let pages = pull(&Node::filled("source", rows).await?.replica, None).await?.pages;
    // What it comes to is what the baseline writes.
    let merged = Node::empty("target").await?;
    merge(&merged.replica, &pages).await?;
    let model = merged.close().await?;
    let script = raw::inserts(&model, &pages)?;
    let case =
        Case::new("new rows into an empty replica", Unit::per_second("rows"), "rusqlite").target(Target::Share(0.5));
    bench
        .compare(
            case,
            bench.rounds(0, 5),
            async |_| {
                let target = Node::empty("target").await?;
                let timer = Timer::start();
                merge(&target.replica, &pages).await?;
                Ok(timer.each(rows))
            },
            async |_| {
                let file = SqliteFile::new()?;
                let connection = file.open_raw()?;
                raw::creates(&model.open_raw()?, &connection)?;
                let timer = Timer::start();
                script.run(&connection)?;
                Ok(timer.each(rows))
            },
        )
        .await
}
