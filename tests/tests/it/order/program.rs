//! Transactions drawn at random, carried out through a replica, with a log of what was sent and what came of it.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use grove_crdt::{Replica, ReplicaTransaction, prelude::*};
use proptest::prelude::*;
use sea_orm::{DbErr, TransactionSession as _, TransactionTrait as _};

use super::{
    schema::Schema,
    statement::{Change, Way},
    step::{Step, steps},
    tables::perform,
    world::World,
};

/// How the steps of a transaction are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Together. A step that the database refuses is taken back to its savepoint.
    Together,
    /// Together, or not at all once one is refused.
    AllOrNothing,
    /// Each statement by itself.
    Alone,
}

#[derive(Clone, Debug)]
pub struct Transaction {
    pub steps: Vec<Step>,
    pub mode: Mode,
}

pub fn transactions() -> impl Strategy<Value = Transaction> {
    let mode = prop_oneof![3 => Just(Mode::Together), 1 => Just(Mode::AllOrNothing), 3 => Just(Mode::Alone)];
    (prop::collection::vec(steps(), 1..6), mode).prop_map(|(steps, mode)| Transaction { steps, mode })
}

/// Rows to begin with, each committed by itself.
pub fn beginnings() -> impl Strategy<Value = Transaction> {
    let picks = prop::array::uniform8(0..16_u8);
    let insert = (0..4_u8, picks).prop_map(|(table, picks)| Step::Insert {
        table,
        picks,
        way: Way::Model,
    });
    prop::collection::vec(insert, 3..14).prop_map(|steps| Transaction {
        steps,
        mode: Mode::Alone,
    })
}

/// What was sent to replicas, in order.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    lines: Vec<String>,
    taken: usize,
    refused: usize,
}

impl Log {
    pub fn line(&self, text: impl Into<String>) {
        self.0.lock().expect("the log").lines.push(text.into());
    }

    fn change(&self, change: &Change, result: &Result<(), DbErr>) {
        let mut entries = self.0.lock().expect("the log");
        let mut line = format!("{change};");
        if change.way() != Way::Raw {
            write!(line, " -- {:?}", change.way()).expect("a text takes everything");
        }
        match result {
            Ok(()) => entries.taken += 1,
            Err(error) => {
                entries.refused += 1;
                let error = error.to_string().replace('\n', " ");
                write!(line, " -- REFUSED: {error}").expect("a text takes everything");
            }
        }
        entries.lines.push(line);
    }

    /// How many statements were taken, and how many refused.
    pub fn counts(&self) -> (usize, usize) {
        let entries = self.0.lock().expect("the log");
        (entries.taken, entries.refused)
    }

    pub fn text(&self) -> String {
        self.0.lock().expect("the log").lines.join("\n")
    }
}

/// A replica that is written to.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    pub replica: &'a Replica,
    pub schema: &'a Schema,
    pub log: &'a Log,
}

impl Writer<'_> {
    /// Carries out a transaction. Whatever the database refuses is left out.
    pub async fn run(&self, transaction: &Transaction) -> Result<(), String> {
        let name = self.replica.node_id();
        let run = match transaction.mode {
            Mode::Alone => {
                self.log.line(format!("-- {name}: each by itself"));
                self.run_alone(&transaction.steps).await
            }
            mode => self.run_together(&transaction.steps, mode).await,
        };
        run.map_err(|error| format!("{name} can't go on: {error}"))
    }

    async fn run_alone(&self, steps: &[Step]) -> Result<(), DbErr> {
        for step in steps {
            let changes = step.changes(&World::read(self.replica, self.schema).await?);
            for change in changes.iter().filter(|change| !is_setting(change)) {
                let result = perform(self.replica, change).await;
                self.log.change(change, &result);
            }
        }
        Ok(())
    }

    async fn run_together(&self, steps: &[Step], mode: Mode) -> Result<(), DbErr> {
        self.log.line(format!("BEGIN; -- {}", self.replica.node_id()));
        let tx = self.replica.begin().await?;
        for step in steps {
            if !self.take(&tx, step).await? && mode == Mode::AllOrNothing {
                self.log.line("ROLLBACK;");
                return tx.rollback().await;
            }
        }
        let end = tx.commit().await;
        self.log.line(match &end {
            Ok(()) => "COMMIT;".to_owned(),
            Err(error) => format!("COMMIT; -- REFUSED: {}", error.to_string().replace('\n', " ")),
        });
        Ok(())
    }

    /// Carries out a step, or nothing of it when a statement is refused. Tells which.
    async fn take(&self, tx: &ReplicaTransaction, step: &Step) -> Result<bool, DbErr> {
        let changes = step.changes(&World::read(tx, self.schema).await?);
        // A setting would be taken back with its savepoint, or be none of it.
        if let [change] = &changes[..]
            && is_setting(change)
        {
            let result = perform(tx, change).await;
            self.log.change(change, &result);
            return Ok(true);
        }
        let savepoint = tx.begin().await?;
        for change in &changes {
            let result = perform(&savepoint, change).await;
            self.log.change(change, &result);
            if result.is_err() {
                self.log.line("-- back to the savepoint");
                savepoint.rollback().await?;
                return Ok(false);
            }
        }
        savepoint.commit().await?;
        Ok(true)
    }
}

fn is_setting(change: &Change) -> bool {
    matches!(change, Change::Sql(text) if text.starts_with("SET") || text.starts_with("PRAGMA"))
}

/// One sync of `asking` with `other`, in pages of at most so many changes.
pub async fn sync(asking: &Replica, other: &Replica, page: usize, log: &Log) -> Result<SyncReport, String> {
    let names = (asking.node_id(), other.node_id());
    let syncer = Syncer::builder(asking)
        .peer(MemoryTransport::new(other))
        .page_size(page)
        .build();
    let report = syncer.expect("a syncer").sync().await;
    let report = report.map_err(|error| format!("a sync of {} with {} failed: {error}", names.0, names.1))?;
    log.line(format!(
        "-- {} syncs with {}, pages of {page}: {report}",
        names.0, names.1
    ));
    for replica in [asking, other] {
        let waiting = parked(replica).await;
        if !waiting.is_empty() {
            log.line(format!("--   parked at {}:\n{waiting}", replica.node_id()));
        }
    }
    Ok(report)
}

/// What waits at a replica, and why.
pub async fn parked(replica: &Replica) -> String {
    let parked = replica.parked().await.expect("what is parked");
    let lines = parked.iter().map(|row| {
        let detail = row.detail.replace('\n', " ");
        format!(
            "    {} {} {:?} {:?}: {detail}",
            row.table, row.pk, row.reason, row.constraint
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
