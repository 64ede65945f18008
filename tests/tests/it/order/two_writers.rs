//! Two replicas write, a third receives: in the end all have the same cells, and the same rows but for those that have to wait.

use std::{cell::Cell, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use grove_crdt::{Replica, prelude::*};
use grove_crdt_tests::{
    cells,
    database::{DbBackend, Places, for_all_by},
};
use proptest::prelude::*;

use super::{
    explained::explained,
    open,
    program::{Log, Transaction, Writer, beginnings, sync, transactions},
    schema::{Schema, schemas},
};

#[derive(Clone, Debug)]
enum Event {
    Write(usize, Transaction),
    /// The first asks the second, in pages of so many changes.
    Sync(usize, usize, usize),
}

#[derive(Clone, Debug)]
struct Run {
    schema: Schema,
    begin: Transaction,
    events: Vec<Event>,
}

fn runs(backend: DbBackend) -> impl Strategy<Value = Run> {
    let page = prop_oneof![3 => Just(1_000_usize), 1 => 1..6_usize];
    let pair = prop_oneof![
        3 => Just((0, 1)),
        3 => Just((1, 0)),
        1 => Just((2, 0)),
        1 => Just((2, 1)),
    ];
    let event = prop_oneof![
        3 => (0..2_usize, transactions()).prop_map(|(writer, transaction)| Event::Write(writer, transaction)),
        2 => (pair, page).prop_map(|((asking, other), page)| Event::Sync(asking, other, page)),
    ];
    (schemas(backend), beginnings(), prop::collection::vec(event, 2..10)).prop_map(|(schema, begin, events)| Run {
        schema,
        begin,
        events,
    })
}

impl Run {
    async fn carry_out(&self, places: &Places, log: &Log) -> Result<(), String> {
        let mut replicas = Vec::new();
        for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
            replicas.push(open(name, &self.schema, places.fresh(place).await, log).await?);
        }
        let schema = &self.schema;
        let by = |replica| Writer { replica, schema, log };
        by(&replicas[0]).run(&self.begin).await?;
        sync(&replicas[0], &replicas[1], 1_000, log).await?;
        for event in &self.events {
            match event {
                Event::Write(writer, transaction) => by(&replicas[*writer]).run(transaction).await?,
                Event::Sync(asking, other, page) => {
                    sync(&replicas[*asking], &replicas[*other], *page, log).await?;
                }
            }
        }
        until_quiet(&replicas, log).await?;
        for replica in &replicas {
            for table in schema.numbers() {
                let name = format!("t{}", table + 1);
                let (here, there) = (cells(replica, &name).await, cells(&replicas[0], &name).await);
                if here != there {
                    return Err(format!(
                        "cells of {name} differ at {}:\n{here:#?}\nat a:\n{there:#?}",
                        replica.node_id()
                    ));
                }
            }
            explained(replica, schema).await?;
            let letters = replica.dead_letters().await.expect("dead letters");
            if !letters.is_empty() {
                return Err(format!("dead letters at {}: {letters:?}", replica.node_id()));
            }
        }
        Ok(())
    }
}

/// Syncs until nobody has anything to say.
async fn until_quiet(replicas: &[Replica], log: &Log) -> Result<(), String> {
    for _ in 0..8 {
        let mut said = SyncReport::default();
        for (asking, other) in [(0, 1), (2, 0), (2, 1)] {
            said += sync(&replicas[asking], &replicas[other], 1_000, log).await?;
        }
        if said == SyncReport::default() {
            return Ok(());
        }
    }
    Err("they go on telling each other".to_owned())
}

#[apply(on_each_database!)]
fn two_writers_agree_and_what_waits_has_to_whatever_the_schema(kind: Kind) {
    let places = Places::default();
    let statements = Cell::new((0, 0));
    for_all_by(kind, &runs(kind.backend()), [300, 20], async |run: Run| {
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
