//! Every scenario with every kind of key and constraint, and every way to commit and to sync.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use grove_crdt::Replica;
use grove_crdt_tests::{
    backend,
    database::{DbBackend, Places},
};
use sea_orm::{ConnectionTrait, DbErr, Statement, TransactionSession as _, TransactionTrait as _};

use super::{
    compare::settled,
    open,
    program::{Log, sync},
    scenarios::{Kinds, Scenario, scenarios},
    schema::{Action, When},
};

/// How the changes are committed and synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    OneTransaction,
    EachAloneSyncedAtTheEnd,
    EachAloneSyncedAtOnce,
}

pub const WAYS: [Way; 3] = [
    Way::OneTransaction,
    Way::EachAloneSyncedAtTheEnd,
    Way::EachAloneSyncedAtOnce,
];

/// The kinds that this database knows.
fn all_kinds() -> Vec<Kinds> {
    let (keys, uniques): (&[When], &[When]) = match backend() {
        DbBackend::MySql => (&[When::AtOnce], &[When::AtOnce]),
        DbBackend::Postgres => (
            &[When::AtOnce, When::Deferrable, When::AtTheEnd],
            &[When::AtOnce, When::Deferrable, When::AtTheEnd],
        ),
        _ => (&[When::AtOnce, When::AtTheEnd], &[When::AtOnce]),
    };
    let actions = [Action::Cascade, Action::Restrict, Action::NoAction, Action::SetNull];
    let mut kinds = Vec::new();
    for on_delete in actions {
        for key in keys {
            kinds.extend(uniques.iter().map(|unique| Kinds {
                on_delete,
                key: *key,
                unique: *unique,
            }));
        }
    }
    kinds
}

/// Whether another combination comes to the same for this scenario.
fn is_repeated(scenario: &Scenario, kinds: Kinds) -> bool {
    (!scenario.has_references() && (kinds.on_delete, kinds.key) != (Action::Cascade, When::AtOnce))
        || (!scenario.has_unique() && kinds.unique != When::AtOnce)
}

impl Scenario {
    /// Those of these ways that it can be carried out in.
    pub fn ways(&self, ways: &[Way]) -> Vec<Way> {
        let can_be = |way: &&Way| !self.needs_one_transaction || **way == Way::OneTransaction;
        ways.iter().filter(can_be).copied().collect()
    }
}

async fn send<C: ConnectionTrait>(conn: &C, text: &str) -> Result<(), DbErr> {
    let statement = Statement::from_string(conn.get_database_backend(), text);
    conn.execute_raw(statement).await.map(drop)
}

async fn send_all(sender: &Replica, texts: &[String]) -> Result<(), DbErr> {
    let tx = sender.begin().await?;
    for text in texts {
        send(&tx, text).await?;
    }
    tx.commit().await
}

pub async fn carry_out(scenario: &Scenario, way: Way, places: &Places, log: &Log) -> Result<(), String> {
    let sender = open("sender", &scenario.schema, places.fresh(0).await, log).await?;
    let receiver = open("receiver", &scenario.schema, places.fresh(1).await, log).await?;
    let refused = |error: DbErr| format!("the sender can't do it: {error}");
    send_all(&sender, &scenario.before).await.map_err(refused)?;
    sync(&receiver, &sender, 1_000, log).await?;
    if way == Way::OneTransaction {
        send_all(&sender, &scenario.changes).await.map_err(refused)?;
    } else {
        for text in &scenario.changes {
            send(&sender, text).await.map_err(refused)?;
            if way == Way::EachAloneSyncedAtOnce {
                sync(&receiver, &sender, 1_000, log).await?;
            }
        }
    }
    sync(&receiver, &sender, 1_000, log).await?;
    settled(&sender, &receiver, &scenario.schema, log).await
}

/// On SQLite, where it takes seconds; the scenarios that are known to happen are tried on each database by themselves.
#[tokio::test]
async fn every_combination_arrives_whole() {
    let places = Places::default();
    let mut count = 0;
    let mut failing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for kinds in all_kinds() {
        for scenario in scenarios(kinds) {
            if is_repeated(&scenario, kinds) {
                continue;
            }
            for way in scenario.ways(&WAYS) {
                count += 1;
                let log = Log::default();
                let run = carry_out(&scenario, way, &places, &log);
                let done = std::panic::AssertUnwindSafe(run).catch_unwind().await;
                let done = done.unwrap_or_else(|panic| Err(format!("panics: {}", super::words_of(panic))));
                if let Err(wrong) = done {
                    let Kinds { on_delete, key, unique } = kinds;
                    let cell = format!(
                        "{way:?}, ON DELETE {}, key {key:?}, unique {unique:?}",
                        on_delete.words()
                    );
                    let cells = failing
                        .entry(format!("{}: {}", scenario.name, in_short(&wrong)))
                        .or_default();
                    cells.push(cell);
                }
            }
        }
    }
    let number: usize = failing.values().map(Vec::len).sum();
    let lines = failing
        .iter()
        .map(|(what, cells)| format!("{what}\n      {}", cells.join("\n      ")));
    let lines: Vec<_> = lines.collect();
    assert!(failing.is_empty(), "{number} of {count} fail:\n{}", lines.join("\n"));
}

/// What is wrong, in one line.
fn in_short(wrong: &str) -> String {
    wrong.lines().map(str::trim).collect::<Vec<_>>().join(" | ")
}
