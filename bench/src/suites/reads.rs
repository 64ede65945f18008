use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use crate::{
    documents::{
        key,
        replicated::{Column, Entity},
    },
    harness::{Bench, Case, Target, Timer, Unit},
    suites::node::{Node, shuffled},
};

/// How many rows a page has.
const PAGE: u64 = 50;

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let node = Node::filled("node", bench.size(10_000, 200)).await?;
    let keys: Vec<_> = shuffled(bench.size(10_000, 200)).into_iter().map(key).collect();
    let (replica, plain) = (&node.replica, node.replica.connection());
    let per_round = bench.size(100, 5);
    let of_round = |round: usize| keys.iter().cycle().skip(round * per_round).take(per_round);
    // The difference is so small that it takes many rounds to see it.
    let rounds = bench.rounds(10, 200);
    bench
        .compare(
            case("find by key"),
            rounds,
            async |round| by_key(replica, of_round(round)).await,
            async |round| by_key(plain, of_round(round)).await,
        )
        .await?;
    bench
        .compare(
            case("find a page of 50"),
            rounds,
            async |round| pages(replica, of_round(round)).await,
            async |round| pages(plain, of_round(round)).await,
        )
        .await
}

fn case(name: &str) -> Case {
    Case::new(name, Unit::Time, "its connection").target(Target::Times(1.02))
}

async fn by_key(db: &impl ConnectionTrait, keys: impl Iterator<Item = &String> + Clone) -> anyhow::Result<f64> {
    let (count, timer) = (keys.clone().count(), Timer::start());
    for key in keys {
        let found = Entity::find_by_id(key.as_str()).one(db).await?;
        found.ok_or_else(|| DbErr::RecordNotFound(key.clone()))?;
    }
    Ok(timer.each(count))
}

async fn pages(db: &impl ConnectionTrait, keys: impl Iterator<Item = &String> + Clone) -> anyhow::Result<f64> {
    let (count, timer) = (keys.clone().count(), Timer::start());
    for key in keys {
        let page = Entity::find()
            .filter(Column::Id.gte(key))
            .order_by_asc(Column::Id)
            .limit(PAGE);
        page.all(db).await?;
    }
    Ok(timer.each(count))
}
