use crate::{
    exchange::{merge, pull},
    harness::{Bench, Case, Target, Timer, Unit, count},
    raw,
    suites::node::Node,
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let rows = bench.size(100_000, 2_000);
    let pages = pull(&Node::filled("source", rows).await?.replica, None).await?.pages;
    let target = Node::empty("target").await?;
    merge(&target.replica, &pages).await?;
    let script = raw::reads(&target.file, &pages)?;
    let connection = target.file.open_raw()?;
    target.file.checkpoint()?;
    let case =
        Case::new("the same pages again", Unit::per_second("rows"), "rusqlite reading").target(Target::Share(0.5));
    bench
        .compare(
            case,
            bench.rounds(1, 5),
            async |_| {
                let timer = Timer::start();
                merge(&target.replica, &pages).await?;
                Ok(timer.each(rows))
            },
            async |_| {
                let timer = Timer::start();
                script.run(&connection)?;
                Ok(timer.each(rows))
            },
        )
        .await?;
    let written = usize::try_from(target.file.log_size()?)?;
    bench.record_alone(
        "written to the log meanwhile",
        Unit::Bytes,
        Some(Target::AtMost(0.0)),
        &[count(written)],
    );
    Ok(())
}
