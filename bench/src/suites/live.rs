use std::time::Duration;

use anyhow::Context as _;
use grove_crdt::{Replica, sync::Syncer, transport::HttpTransport};
use sea_orm::EntityTrait as _;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    documents::{Row, Step, replicated},
    harness::{Bench, Case, Target, Timer, Unit, quantile},
    network::Served,
    suites::node::Node,
};

/// A syncer's interval that does not come meanwhile: what arrives was streamed, or pushed at once.
const NEVER: Duration = Duration::from_hours(1);

/// How long a row is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is looked at of a round's times, and what it is to be at most.
const QUANTILES: [(&str, f64, f64); 2] = [("median", 0.5, 0.015), ("p99", 0.99, 0.050)];

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (hub, edge) = (Node::empty("hub").await?, Node::empty("edge").await?);
    let served = Served::new(&hub.replica).await?;
    let syncer = Syncer::builder(&edge.replica).peer(HttpTransport::new(&served.url)?);
    let syncer = syncer.interval(NEVER).build()?;
    let stop = CancellationToken::new();
    let until = stop.clone();
    let running = AbortOnDropHandle::new(tokio::spawn(async move { syncer.run(until).await }));
    let mut rows = (0..).map(Row::number);
    // Until the line stands.
    arrival(&hub.replica, &edge.replica, next(&mut rows)?).await?;

    let (rounds, writes) = (bench.rounds(1, 10), bench.size(100, 10));
    let client = reqwest::Client::new();
    for (name, from, to) in [("streamed", &hub, &edge), ("pushed", &edge, &hub)] {
        let mut rounds_of = [Vec::new(), Vec::new()];
        for round in 0..rounds.warm_up + rounds.counted {
            let (mut ours, mut bare) = (Vec::new(), Vec::new());
            for _ in 0..writes {
                ours.push(arrival(&from.replica, &to.replica, next(&mut rows)?).await?);
                bare.push(round_trip(&client, &served.nothing).await?);
            }
            ours.sort_by(f64::total_cmp);
            bare.sort_by(f64::total_cmp);
            if round >= rounds.warm_up {
                for ((_, share, _), runs) in QUANTILES.into_iter().zip(&mut rounds_of) {
                    runs.push((quantile(&ours, share), quantile(&bare, share)));
                }
            }
        }
        for ((which, _, most), runs) in QUANTILES.into_iter().zip(rounds_of) {
            let case = Case::new(format!("{name}, {which}"), Unit::Time, "a bare HTTP round trip");
            bench.record(case.target(Target::AtMost(most)), &runs);
        }
    }
    stop.cancel();
    running.await?;
    Ok(())
}

fn next(rows: &mut impl Iterator<Item = Row>) -> anyhow::Result<Row> {
    rows.next().context("no more rows")
}

/// The seconds from a row's commit on one replica until it stands in the other's table.
async fn arrival(from: &Replica, to: &Replica, row: Row) -> anyhow::Result<f64> {
    let key = row.id.clone();
    let mut commits = to.commits();
    replicated::write(from, Step::Insert(row)).await?;
    let timer = Timer::start();
    let arrived = async {
        while replicated::Entity::find_by_id(key.as_str()).one(to).await?.is_none() {
            commits.changed().await?;
        }
        anyhow::Ok(timer.seconds())
    };
    let waited = tokio::time::timeout(PATIENCE, arrived).await;
    waited.with_context(|| format!("document {key} did not arrive within {PATIENCE:?}"))?
}

async fn round_trip(client: &reqwest::Client, url: &str) -> anyhow::Result<f64> {
    let timer = Timer::start();
    client.get(url).send().await?.error_for_status()?.bytes().await?;
    Ok(timer.seconds())
}
