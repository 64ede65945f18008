//! Rows that wait until the database takes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use serde::Serialize;

use crate::{
    error::Error,
    replica::{
        Core,
        materialise::{Wanted, materialise},
    },
    store::{
        catalog::Catalog,
        constraint::Constraint,
        parked::{self, Parked},
        shadow,
    },
};

/// A row that waits, because the database refuses it at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ParkedRow {
    /// The table's name.
    pub table: String,
    /// The row's key as text.
    pub pk: String,
    /// The kind of constraint that it breaks.
    pub reason: ParkedReason,
    /// What the database says.
    pub detail: String,
    /// Since when, in microseconds since the Unix epoch.
    pub since: i64,
}

/// The kinds of constraint that make a row wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParkedReason {
    /// A row that it refers to is not there, or one that refers to it keeps it from going.
    ForeignKey,
    /// Another row has its unique value.
    Unique,
    /// A check fails.
    Check,
    /// A column that must have a value has none.
    NotNull,
    /// A value does not fit its column.
    Value,
}

impl From<Constraint> for ParkedReason {
    fn from(constraint: Constraint) -> Self {
        match constraint {
            Constraint::ForeignKey => Self::ForeignKey,
            Constraint::Unique => Self::Unique,
            Constraint::Check => Self::Check,
            Constraint::NotNull => Self::NotNull,
            Constraint::Value => Self::Value,
        }
    }
}

/// All parked rows, in the order of table and key.
pub(super) async fn list<C: ConnectionTrait>(conn: &C) -> Result<Vec<ParkedRow>, Error> {
    let rows = parked::all(conn).await?.into_iter().map(|row| ParkedRow {
        table: row.table,
        pk: row.pk,
        reason: row.reason.into(),
        detail: row.detail,
        since: row.since,
    });
    Ok(rows.collect())
}

/// The rows that wait, asked before this transaction has touched any of them.
pub(super) async fn waiting(core: &Core, tx: &DatabaseTransaction) -> Result<Vec<Parked>, Error> {
    let waiting = parked::all(tx).await?;
    // Only here: what a transaction releases waits again when the transaction is rolled back.
    if waiting.is_empty() {
        core.has_parked.store(false, Ordering::SeqCst);
    }
    Ok(waiting)
}

/// Parks rows.
pub(super) async fn park(core: &Core, tx: &DatabaseTransaction, rows: &[Parked]) -> Result<(), Error> {
    if !rows.is_empty() {
        // Before the commit, or a write that comes right after it might not look.
        core.has_parked.store(true, Ordering::SeqCst);
        parked::put(tx, rows).await?;
        tracing::info!(rows = rows.len(), "rows parked: the database does not take them yet");
    }
    Ok(())
}

/// Tries the parked rows whose obstacle may have gone, now that rows of `changed` tables did change (of any, when absent).
/// Returns how many are parked no longer.
pub(super) async fn release(
    core: &Core,
    tx: &DatabaseTransaction,
    changed: Option<&BTreeSet<String>>,
) -> Result<usize, Error> {
    let mut released = 0;
    let mut changed = changed.cloned();
    loop {
        let all = parked::all(tx).await?;
        if all.is_empty() {
            return Ok(released);
        }
        let catalog = core.catalog(tx).await?;
        let may_pass = |row: &Parked| changed.as_ref().is_none_or(|changed| concerns(&catalog, row, changed));
        let waiting: Vec<_> = all.into_iter().filter(may_pass).collect();
        let freed = try_again(core, tx, waiting).await?;
        if freed.is_empty() {
            return Ok(released);
        }
        released += freed.len();
        // What was freed may be what others wait for.
        changed = Some(freed.into_iter().map(|row| row.table).collect());
    }
}

fn concerns(catalog: &Catalog, row: &Parked, changed: &BTreeSet<String>) -> bool {
    let related = || {
        let parents = catalog.parents_of(&row.table).map(|key| &key.parent);
        let children = catalog.children_of(&row.table).map(|key| &key.child);
        parents.chain(children).any(|table| changed.contains(table))
    };
    changed.contains(&row.table) || (row.reason == Constraint::ForeignKey && related())
}

/// Writes parked rows, and returns those that could be.
async fn try_again(core: &Core, tx: &DatabaseTransaction, waiting: Vec<Parked>) -> Result<Vec<Parked>, Error> {
    let mut pks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &waiting {
        // A table that is registered no longer keeps its rows parked until it is again.
        if core.registry.get(&row.table).is_some() {
            pks.entry(row.table.clone()).or_default().push(row.pk.clone());
        }
    }
    let mut wanted: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
    for (name, pks) in &pks {
        let table = core.registry.require(name)?;
        let loaded = shadow::read(tx, &core.registry, table, pks).await?;
        let rows = loaded.records.into_iter().map(|(pk, record)| Wanted {
            pk,
            record,
            fields: None,
        });
        wanted.insert(name.clone(), rows.collect());
    }
    let failed = materialise(core, tx, wanted).await?;
    let failed: BTreeSet<_> = failed.into_iter().map(|row| (row.table, row.pk)).collect();
    let freed: Vec<_> = waiting
        .into_iter()
        .filter(|row| pks.contains_key(&row.table))
        .filter(|row| !failed.contains(&(row.table.clone(), row.pk.clone())))
        .collect();
    for (table, pks) in &mut pks {
        pks.retain(|pk| !failed.contains(&(table.clone(), pk.clone())));
        parked::remove(tx, table, pks).await?;
    }
    Ok(freed)
}
