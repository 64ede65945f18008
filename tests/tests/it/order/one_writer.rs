//! One replica writes, another receives: what the one could commit, the other shows.

use std::{cell::Cell, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use grove_crdt::Replica;
use grove_crdt_tests::database::{DbBackend, Places, for_all_by};
use proptest::prelude::*;

use super::{
    compare::settled,
    open,
    program::{Log, Transaction, Writer, beginnings, sync, transactions},
    schema::{Schema, schemas},
};

#[derive(Clone, Debug)]
struct Run {
    schema: Schema,
    begin: Transaction,
    transactions: Vec<Transaction>,
    /// After how many transactions there is a sync; at the end only, when 0.
    every: usize,
    page: usize,
    push: bool,
}

fn runs(backend: DbBackend) -> impl Strategy<Value = Run> {
    let every = prop_oneof![2 => Just(0_usize), 3 => Just(1_usize), 2 => 2..4_usize];
    let page = prop_oneof![3 => Just(1_000_usize), 1 => 1..4_usize, 1 => 4..12_usize];
    let transactions = prop::collection::vec(transactions(), 1..7);
    (schemas(backend), beginnings(), transactions, every, page, any::<bool>()).prop_map(
        |(schema, begin, transactions, every, page, push)| Run {
            schema,
            begin,
            transactions,
            every,
            page,
            push,
        },
    )
}

impl Run {
    async fn sync(&self, writer: &Replica, receiver: &Replica, log: &Log) -> Result<(), String> {
        let (asking, other) = if self.push {
            (writer, receiver)
        } else {
            (receiver, writer)
        };
        sync(asking, other, self.page, log).await.map(drop)
    }

    async fn carry_out(&self, places: &Places, log: &Log) -> Result<(), String> {
        let writer = open("writer", &self.schema, places.fresh(0).await, log).await?;
        let receiver = open("receiver", &self.schema, places.fresh(1).await, log).await?;
        let by = Writer {
            replica: &writer,
            schema: &self.schema,
            log,
        };
        by.run(&self.begin).await?;
        for (n, transaction) in self.transactions.iter().enumerate() {
            if self.every > 0 && n % self.every == 0 {
                self.sync(&writer, &receiver, log).await?;
            }
            by.run(transaction).await?;
        }
        self.sync(&writer, &receiver, log).await?;
        settled(&writer, &receiver, &self.schema, log).await
    }
}

#[apply(on_each_database!)]
fn what_a_writer_commits_a_receiver_shows_whatever_the_schema(kind: Kind) {
    let places = Places::default();
    let statements = Cell::new((0, 0));
    for_all_by(kind, &runs(kind.backend()), [600, 40], async |run: Run| {
        let log = Log::default();
        let done = AssertUnwindSafe(run.carry_out(&places, &log)).catch_unwind().await;
        let done = done.unwrap_or_else(|panic| Err(format!("it panics: {}", super::words_of(panic))));
        let (before, counts) = (statements.get(), log.counts());
        statements.set((before.0 + counts.0, before.1 + counts.1));
        done.map_err(|wrong| format!("{}\n{wrong}", log.text()))
    });
    let (taken, refused) = statements.get();
    println!("{taken} statements taken, {refused} refused");
}
