use anyhow::ensure;

use crate::{
    exchange::pull,
    harness::{Bench, Case, Target, Timer, Unit},
    raw,
    suites::node::{Node, shuffled},
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let rows = bench.size(100_000, 2_000);
    let source = Node::filled("source", rows).await?;
    let begin = compare(bench, "all of a table", &source, None, rows).await?;
    source.retitle(&shuffled(rows), "changed").await?;
    compare(bench, "one changed cell of each row", &source, begin, rows).await?;
    Ok(())
}

/// Reads what comes after a cursor, so many changes, and returns where it ends.
async fn compare(
    bench: &mut Bench,
    name: &str,
    source: &Node,
    cursor: Option<String>,
    changes: usize,
) -> anyhow::Result<Option<String>> {
    let script = raw::extracts(&source.file, changes)?;
    let connection = source.file.open_raw()?;
    let case = Case::new(name, Unit::per_second("changes"), "rusqlite").target(Target::Share(0.5));
    let mut end = None;
    bench
        .compare(
            case,
            bench.rounds(1, 5),
            async |_| {
                let timer = Timer::start();
                let pulled = pull(&source.replica, cursor.clone()).await?;
                let took = timer.each(changes);
                ensure!(pulled.len() == changes, "{} changes came, not {changes}", pulled.len());
                end = pulled.cursor;
                Ok(took)
            },
            async |_| {
                let timer = Timer::start();
                script.run(&connection)?;
                Ok(timer.each(changes))
            },
        )
        .await?;
    Ok(end)
}
