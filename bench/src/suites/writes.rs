//! Writes row by row, through a replica and through SeaORM alone, in a database each.

use std::{fmt, ops::Range};

use grove_crdt::Replica;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use sea_orm::{DatabaseConnection, DbBackend, TransactionSession as _, TransactionTrait as _};

use crate::{
    database::{self, Database},
    documents::{self, Row, Step, key, plain, replicated},
    harness::{Bench, Case, Rounds, Target, Timer, Unit},
};

/// How often and how much is written, and what is to be reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) transaction: Transaction,
    /// The rows that a round writes on a file, and on a server.
    pub(super) rows: [usize; 2],
    pub(super) rounds: Rounds,
    pub(super) target: fn(Kind) -> Option<Target>,
}

/// What is committed at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transaction {
    PerRow,
    PerRound,
}

/// The kinds of writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Insert,
    Update,
    Delete,
    Increment,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Insert, Self::Update, Self::Delete, Self::Increment];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insert => "insert",
            Self::Update => "update one column",
            Self::Delete => "delete",
            Self::Increment => "increment",
        })
    }
}

/// Measures each kind of write on each database.
pub(super) async fn run(bench: &mut Bench, plan: Plan) -> anyhow::Result<()> {
    for backend in database::reachable().await {
        let rows = plan.rows[usize::from(backend != DbBackend::Sqlite)];
        let tables = Tables::new(backend, bench.size(10_000, 100)).await?;
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let case = Case::new(
                format!("{kind}, {}", database::name(backend)),
                Unit::Time,
                "SeaORM in a transaction",
            );
            let round = |round| tables.round(kind, index * 1_000 + round, rows);
            bench
                .compare(
                    case.target((plan.target)(kind)),
                    plan.rounds,
                    async |number| tables.through_replica(round(number), plan.transaction).await,
                    async |number| tables.through_sea_orm(round(number), plan.transaction).await,
                )
                .await?;
        }
    }
    Ok(())
}

/// The same rows in two databases: replicated in one, plain in the other.
struct Tables {
    replica: Replica,
    plain: DatabaseConnection,
    /// How many rows are there from the start, to be changed.
    rows: usize,
    /// They go after what is connected to them.
    _databases: [Database; 2],
}

impl Tables {
    async fn new(backend: DbBackend, rows: usize) -> anyhow::Result<Self> {
        let databases = [Database::create(backend).await?, Database::create(backend).await?];
        let (db, plain) = (databases[0].connect().await?, databases[1].connect().await?);
        documents::create_table(&db).await?;
        documents::create_table(&plain).await?;
        let replica = replicated::open("node-1", db).await?;
        documents::insert_many::<replicated::ActiveModel>(&replica, 0..rows).await?;
        documents::insert_many::<plain::ActiveModel>(&plain, 0..rows).await?;
        Ok(Self {
            replica,
            plain,
            rows,
            _databases: databases,
        })
    }

    /// What a round writes; the same for both sides.
    fn round(&self, kind: Kind, round: usize, count: usize) -> Round {
        let mut random = SmallRng::seed_from_u64(round as u64);
        let first = self.rows + round * count;
        let own = first..first + count;
        let step = |number| {
            let any = key(random.random_range(0..self.rows));
            match kind {
                Kind::Insert => Step::Insert(Row::number(number)),
                Kind::Update => Step::Retitle(any, format!("title {number}")),
                Kind::Delete => Step::Delete(key(number)),
                Kind::Increment => Step::Increment(any),
            }
        };
        let steps = own.clone().map(step).collect();
        let doomed = if matches!(kind, Kind::Delete) { own } else { 0..0 };
        Round { doomed, steps }
    }

    async fn through_replica(&self, round: Round, transaction: Transaction) -> anyhow::Result<f64> {
        let replica = &self.replica;
        documents::insert_many::<replicated::ActiveModel>(replica, round.doomed).await?;
        let (count, timer) = (round.steps.len(), Timer::start());
        if matches!(transaction, Transaction::PerRow) {
            for step in round.steps {
                replicated::write(replica, step).await?;
            }
        } else {
            let tx = replica.begin().await?;
            for step in round.steps {
                replicated::write(&tx, step).await?;
            }
            tx.commit().await?;
        }
        Ok(timer.each(count))
    }

    async fn through_sea_orm(&self, round: Round, transaction: Transaction) -> anyhow::Result<f64> {
        documents::insert_many::<plain::ActiveModel>(&self.plain, round.doomed).await?;
        let (count, timer) = (round.steps.len(), Timer::start());
        if matches!(transaction, Transaction::PerRow) {
            for step in round.steps {
                let tx = self.plain.begin().await?;
                plain::write(&tx, step).await?;
                tx.commit().await?;
            }
        } else {
            let tx = self.plain.begin().await?;
            for step in round.steps {
                plain::write(&tx, step).await?;
            }
            tx.commit().await?;
        }
        Ok(timer.each(count))
    }
}

/// What one round does.
struct Round {
    /// The rows that are inserted before, to be deleted.
    doomed: Range<usize>,
    steps: Vec<Step>,
}
