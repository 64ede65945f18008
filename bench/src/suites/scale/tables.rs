use crate::{
    documents::{Step, key, replicated},
    exchange::{end_of, merge, pull},
    harness::{Bench, Timer},
    suites::{
        node::{Node, shuffled},
        scale::{
            in_turn,
            stages::{self, Stages},
        },
    },
};

/// One change of a row of a small table and of a large one.
pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (small, large) = (bench.size(1_000, 100), bench.size(1_000_000, 2_000));
    let (mut few, mut many) = (Site::new(small).await?, Site::new(large).await?);
    let (rounds, mut pairs) = (bench.rounds(10, 200), Vec::new());
    let rows = shuffled(small).into_iter().cycle().zip(shuffled(large));
    for (round, (one_of_few, one_of_many)) in rows.take(rounds.warm_up + rounds.counted).enumerate() {
        let title = format!("title {round}");
        let pair = in_turn(
            round,
            many.retitle(one_of_many, &title),
            few.retitle(one_of_few, &title),
        );
        let pair = Box::pin(pair).await?;
        if round >= rounds.warm_up {
            pairs.push(pair);
        }
    }
    let [large, small] = [large, small].map(|rows| format!("a table of {rows} rows"));
    stages::record(bench, &large, &small, &pairs);
    Ok(())
}

/// A replica that changes something, and another that merges it.
struct Site {
    source: Node,
    target: Node,
    cursor: Option<String>,
}

impl Site {
    async fn new(rows: usize) -> anyhow::Result<Self> {
        let source = Node::filled("source", rows).await?;
        let target = Node::on_copy(&source.file).await?;
        let cursor = end_of(&source.replica, "documents").await?;
        Ok(Self { source, target, cursor })
    }

    async fn retitle(&mut self, number: usize, title: &str) -> anyhow::Result<Stages> {
        let step = Step::Retitle(key(number), title.to_owned());
        let timer = Timer::start();
        replicated::write(&self.source.replica, step).await?;
        let write = timer.seconds();
        let timer = Timer::start();
        let pulled = pull(&self.source.replica, self.cursor.take()).await?;
        let extract = timer.seconds();
        let timer = Timer::start();
        merge(&self.target.replica, &pulled.pages).await?;
        let merge = timer.seconds();
        self.cursor = pulled.cursor;
        Ok(Stages { write, extract, merge })
    }
}
