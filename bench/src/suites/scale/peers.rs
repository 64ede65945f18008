use futures_util::StreamExt as _;
use grove_crdt::{
    Replica,
    sync::{Peer, PullRequest, StreamRequest, respond},
};
use tokio::task::JoinSet;

use crate::{
    documents::{Step, key, replicated},
    exchange::{end_of, pull},
    harness::{Bench, Rounds, Timer},
    suites::{
        node::Node,
        scale::{in_turn, stages::case},
    },
};

/// The rows of the table.
const ROWS: usize = 1_000;

/// One change where few peers are known, and where many are; then where so many listen.
pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let many = bench.size(500, 20);
    let (mut of_one, mut of_many) = (Site::known_to(1).await?, Site::known_to(many).await?);
    let rounds = bench.rounds(10, 200);
    let [writes, extracts] = measure(rounds, &mut of_many, &mut of_one).await?;
    bench.record(case(format!("write, {many} idle peers"), "one idle peer"), &writes);
    bench.record(case(format!("extract, {many} idle peers"), "one idle peer"), &extracts);
    let _listening = (of_one.listened_to(1).await?, of_many.listened_to(many).await?);
    let [writes, _] = measure(rounds, &mut of_many, &mut of_one).await?;
    bench.record(
        case(format!("write, {many} peers listening"), "one peer listening"),
        &writes,
    );
    Ok(())
}

/// The seconds of writing one change, and of reading it to be told, at both ends.
async fn measure(rounds: Rounds, large: &mut Site, small: &mut Site) -> anyhow::Result<[Vec<(f64, f64)>; 2]> {
    let (mut writes, mut extracts) = (Vec::new(), Vec::new());
    for round in 0..rounds.warm_up + rounds.counted {
        let (large, small) = in_turn(round, large.change(round), small.change(round)).await?;
        if round >= rounds.warm_up {
            writes.push((large[0], small[0]));
            extracts.push((large[1], small[1]));
        }
    }
    Ok([writes, extracts])
}

/// A replica with peers.
struct Site {
    node: Node,
    cursor: Option<String>,
}

impl Site {
    /// One that so many peers have asked once.
    async fn known_to(peers: usize) -> anyhow::Result<Self> {
        let node = Node::filled("node", ROWS).await?;
        for peer in 0..peers {
            let name = format!("peer-{peer}");
            let request = PullRequest {
                node_id: name.parse()?,
                replica_id: name.clone(),
                tables: vec!["documents".to_owned()],
                cursor: None,
                limit: Some(1),
                max_bytes: None,
                filter: None,
            };
            respond::pull(&node.replica, &Peer::new(name), &request).await?;
        }
        let cursor = end_of(&node.replica, "documents").await?;
        Ok(Self { node, cursor })
    }

    /// Has so many peers listen, until what is returned is dropped.
    async fn listened_to(&self, peers: usize) -> anyhow::Result<JoinSet<()>> {
        let replica: &Replica = &self.node.replica;
        let mut listening = JoinSet::new();
        for peer in 0..peers {
            let name = format!("peer-{peer}");
            let request = StreamRequest {
                tables: vec!["documents".to_owned()],
                cursor: self.cursor.clone(),
                node_id: Some(name.parse()?),
                replica_id: Some(name.clone()),
                ..StreamRequest::default()
            };
            let mut told = respond::stream(replica, &Peer::new(name), &request).await?;
            listening.spawn(async move { while told.next().await.is_some() {} });
        }
        Ok(listening)
    }

    /// Changes one row, and reads that.
    async fn change(&mut self, round: usize) -> anyhow::Result<[f64; 2]> {
        let step = Step::Retitle(key(round % ROWS), format!("title {round}"));
        let timer = Timer::start();
        replicated::write(&self.node.replica, step).await?;
        let write = timer.seconds();
        let timer = Timer::start();
        self.cursor = pull(&self.node.replica, self.cursor.take()).await?.cursor;
        Ok([write, timer.seconds()])
    }
}
