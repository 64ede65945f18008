use anyhow::Context as _;
use grove_crdt::{OrSet, Replica};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{Set, Unchanged},
    ConnectionTrait as _, DatabaseConnection, EntityTrait as _, Schema, TransactionTrait as _,
};

use crate::{
    database::SqliteFile,
    exchange::{end_of, pull_of},
    harness::{Bench, Timer},
    suites::scale::{
        in_turn,
        stages::{self, Stages},
        tagged::{self, plain},
    },
};

/// The one row whose set grows.
const ID: &str = "one";

/// One element into a small set and into a large one.
pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (small, large) = (10, bench.size(100_000, 500));
    let (mut few, mut many) = (Site::new(small).await?, Site::new(large).await?);
    let (rounds, mut pairs) = (bench.rounds(0, 5), Vec::new());
    for round in 0..rounds.warm_up + rounds.counted {
        let element = format!("new {round}");
        let pair = Box::pin(in_turn(round, many.add(&element), few.add(&element))).await?;
        if round >= rounds.warm_up {
            pairs.push(pair);
        }
    }
    let [large, small] = [large, small].map(|elements| format!("a set of {elements}"));
    stages::record(bench, &format!("{large}, its column aside"), &small, &pairs);
    Ok(())
}

/// A replica that adds to the set, another that merges it, and a plain table with the same column.
struct Site {
    source: Replica,
    target: Replica,
    plain: DatabaseConnection,
    cursor: Option<String>,
    _files: [SqliteFile; 3],
}

impl Site {
    async fn new(elements: usize) -> anyhow::Result<Self> {
        let files = [SqliteFile::new()?, SqliteFile::new()?, SqliteFile::new()?];
        let [source, target] = [open("source", &files[0]).await?, open("target", &files[1]).await?];
        let plain = with_table(&files[2]).await?;
        let row = tagged::ActiveModel {
            id: Set(ID.to_owned()),
            tags: Set(OrSet::new()),
        };
        row.insert(&source).await?;
        let row = plain::ActiveModel {
            id: Set(ID.to_owned()),
            tags: Set(serde_json::json!([])),
        };
        row.insert(&plain).await?;
        // Each element is a change of its own, as it is when they come one by one.
        add(&source, (0..elements).map(|number| format!("element {number}"))).await?;
        for page in pull_of(&source, "tagged", None).await?.pages {
            tagged::Model::merge_remote(&target, &page).await?;
        }
        let cursor = end_of(&source, "tagged").await?;
        Ok(Self {
            source,
            target,
            plain,
            cursor,
            _files: files,
        })
    }

    /// Adds an element. What the column alone takes, wherever it is written, is taken off.
    async fn add(&mut self, element: &str) -> anyhow::Result<Stages> {
        let write = add(&self.source, [element.to_owned()]).await?;
        let timer = Timer::start();
        let pulled = pull_of(&self.source, "tagged", self.cursor.take()).await?;
        let extract = timer.seconds();
        let timer = Timer::start();
        for page in &pulled.pages {
            tagged::Model::merge_remote(&self.target, page).await?;
        }
        let merge = timer.seconds();
        self.cursor = pulled.cursor;
        let column = self.write_column().await?;
        Ok(Stages {
            write: write - column,
            extract,
            merge: merge - column,
        })
    }

    /// The seconds it takes SeaORM alone to write the column as it is now.
    async fn write_column(&self) -> anyhow::Result<f64> {
        let row = plain::Entity::find_by_id(ID).one(self.source.connection()).await?;
        let row = row.context("the row is gone")?;
        let timer = Timer::start();
        let tx = self.plain.begin().await?;
        let change = plain::ActiveModel {
            id: Unchanged(ID.to_owned()),
            tags: Set(row.tags),
        };
        change.update(&tx).await?;
        tx.commit().await?;
        Ok(timer.seconds())
    }
}

/// Adds elements by one write, and returns the seconds that took.
async fn add(replica: &Replica, elements: impl IntoIterator<Item = String>) -> anyhow::Result<f64> {
    let row = tagged::Entity::find_by_id(ID).one(replica).await?;
    let mut tags = row.context("the row is gone")?.tags;
    for element in elements {
        tags.insert(element);
    }
    let change = tagged::ActiveModel {
        id: Unchanged(ID.to_owned()),
        tags: Set(tags),
    };
    let timer = Timer::start();
    change.update(replica).await?;
    Ok(timer.seconds())
}

pub(super) async fn open(node: &str, file: &SqliteFile) -> anyhow::Result<Replica> {
    let builder = Replica::builder(node).entity::<tagged::Entity>();
    Ok(builder.open(with_table(file).await?).await?)
}

async fn with_table(file: &SqliteFile) -> anyhow::Result<DatabaseConnection> {
    let db = file.connect().await?;
    let create = Schema::new(db.get_database_backend()).create_table_from_entity(tagged::Entity);
    db.execute(&create).await?;
    Ok(db)
}
