use anyhow::{Context as _, ensure};
use grove_crdt::{OrSet, Replica};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    EntityTrait as _, IntoActiveModel as _,
};

use crate::{
    database::SqliteFile,
    exchange::{end_of, pull_of},
    harness::{Bench, Timer},
    suites::scale::{
        in_turn,
        sets::open,
        stages::{self, Stages},
        tagged,
    },
};

/// Into so many sets of its size are the elements of the large one divided at the small end.
const PARTS: usize = 4;

/// What is done to all elements of a set.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Replace,
    Empty,
    /// One after another, in one write.
    Remove,
}

/// All elements of a set that was given at birth, and as many of smaller ones.
pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let elements = bench.size(100_000, 400);
    let (mut one, mut parts) = (Site::new().await?, Site::new().await?);
    let rounds = bench.rounds(0, 3);
    for (deed, name) in [
        (Deed::Replace, "all replaced"),
        (Deed::Empty, "all replaced by none"),
        (Deed::Remove, "each removed"),
    ] {
        let mut pairs = Vec::new();
        for round in 0..rounds.warm_up + rounds.counted {
            let pair = Box::pin(in_turn(
                round,
                one.change(deed, 1, elements),
                parts.change(deed, PARTS, elements / PARTS),
            ));
            let pair = pair.await?;
            if round >= rounds.warm_up {
                pairs.push(pair);
            }
        }
        let large = format!("{elements} elements at birth, {name}");
        stages::record(bench, &large, &format!("{PARTS} sets of {}", elements / PARTS), &pairs);
    }
    Ok(())
}

/// A replica whose sets are changed, and another that merges them.
struct Site {
    source: Replica,
    target: Replica,
    cursor: Option<String>,
    rows: usize,
    _files: [SqliteFile; 2],
}

impl Site {
    async fn new() -> anyhow::Result<Self> {
        let files = [SqliteFile::new()?, SqliteFile::new()?];
        let [source, target] = [open("source", &files[0]).await?, open("target", &files[1]).await?];
        Ok(Self {
            cursor: end_of(&source, "tagged").await?,
            source,
            target,
            rows: 0,
            _files: files,
        })
    }

    /// Gives birth to so many sets, and then does something to all their elements.
    async fn change(&mut self, deed: Deed, sets: usize, elements: usize) -> anyhow::Result<Stages> {
        let ids: Vec<_> = (self.rows..self.rows + sets).map(|row| row.to_string()).collect();
        self.rows += sets;
        for id in &ids {
            let row = tagged::ActiveModel {
                id: Set(id.clone()),
                tags: Set(numbered("old", elements)),
            };
            row.insert(&self.source).await?;
        }
        self.carry().await?;
        let mut changes = Vec::new();
        for id in ids {
            changes.push(match deed {
                Deed::Replace => made_anew(id, numbered("new", elements)),
                Deed::Empty => made_anew(id, OrSet::new()),
                Deed::Remove => self.without_any(id).await?,
            });
        }
        let timer = Timer::start();
        for change in changes {
            change.update(&self.source).await?;
        }
        let write = timer.seconds();
        let [extract, merge] = self.carry().await?;
        Ok(Stages { write, extract, merge })
    }

    /// The seconds it takes to read what is new, and to merge it as one page.
    async fn carry(&mut self) -> anyhow::Result<[f64; 2]> {
        let timer = Timer::start();
        let pulled = pull_of(&self.source, "tagged", self.cursor.take()).await?;
        let extract = timer.seconds();
        self.cursor = pulled.cursor;
        let page = pulled.pages.concat();
        let timer = Timer::start();
        let report = tagged::Model::merge_remote(&self.target, &page).await?;
        let merge = timer.seconds();
        ensure!(
            report.merged == page.len(),
            "of {} changes, {} were merged",
            page.len(),
            report.merged
        );
        Ok([extract, merge])
    }

    async fn without_any(&self, id: String) -> anyhow::Result<tagged::ActiveModel> {
        let row = tagged::Entity::find_by_id(id).one(&self.source).await?;
        let row = row.context("the row is gone")?;
        let mut left = row.tags.clone();
        for tag in row.tags.iter() {
            left.remove(tag);
        }
        let mut change = row.into_active_model();
        change.tags = Set(left);
        Ok(change)
    }
}

fn made_anew(id: String, tags: OrSet<String>) -> tagged::ActiveModel {
    tagged::ActiveModel {
        id: Unchanged(id),
        tags: Set(tags),
    }
}

fn numbered(prefix: &str, elements: usize) -> OrSet<String> {
    (0..elements).map(|number| format!("{prefix} {number}")).collect()
}
