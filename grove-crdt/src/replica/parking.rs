//! Rows that wait until the database takes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use serde::Serialize;

use crate::{
    error::Error,
    replica::{
        Core,
        core::{Ending, transact},
        lock::{Locked, lock},
        occasion::Occasion,
        rows::{RowTarget, write_rows},
    },
    store::{
        catalog::Catalog,
        constraint::Constraint,
        parked::{self, Parked},
        shadow::{self, Extent},
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
    /// What the database calls the constraint, as far as it tells; on SQLite, the columns of a unique one.
    pub constraint: Option<String>,
    /// The key of the row that has the unique value, as it was when this one was tried.
    pub holder: Option<String>,
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
    /// Something else about the row, which [`ParkedRow::detail`] tells: a policy of row-level security, for example.
    Other,
}

impl From<Constraint> for ParkedReason {
    fn from(constraint: Constraint) -> Self {
        match constraint {
            Constraint::ForeignKey => Self::ForeignKey,
            Constraint::Unique => Self::Unique,
            Constraint::Check => Self::Check,
            Constraint::NotNull => Self::NotNull,
            Constraint::Value => Self::Value,
            Constraint::Other => Self::Other,
        }
    }
}

/// All parked rows, in the order of table and key.
pub(super) async fn list<C: ConnectionTrait>(conn: &C) -> Result<Vec<ParkedRow>, Error> {
    let rows = parked::all(conn).await?.into_iter().map(|row| ParkedRow {
        table: row.table,
        pk: row.pk,
        reason: row.reason.into(),
        constraint: row.constraint,
        holder: row.holder,
        detail: row.detail,
        since: row.since,
    });
    Ok(rows.collect())
}

/// The rows that wait, asked before this transaction has touched any of them.
pub(super) async fn waiting(core: &Core, tx: &DatabaseTransaction) -> Result<Vec<Parked>, Error> {
    let parkings = core.parkings();
    let waiting = parked::all(tx).await?;
    // Only here: what a transaction releases waits again when the transaction is rolled back.
    if waiting.is_empty() {
        core.none_parked(parkings);
    }
    Ok(waiting)
}

/// Parks rows. After the commit, [`Core::parks`] is to be called again.
pub(super) async fn park(core: &Core, tx: &DatabaseTransaction, rows: &[Parked]) -> Result<(), Error> {
    if !rows.is_empty() {
        core.parks();
        parked::put(tx, rows).await?;
        tracing::info!(rows = rows.len(), "rows parked: the database does not take them yet");
    }
    Ok(())
}

/// How many rows that wait for something else than a parent are tried on one occasion: each may take statements of its own,
/// and the commit waits for them.
const MAX_TRIED: usize = 200;

/// Tries the parked rows whose obstacle may have gone, in a transaction of its own: the locks that it takes are not those of
/// the write that made it try. Returns those that are parked no longer.
pub(super) async fn release(core: &Arc<Core>, occasion: &Occasion) -> Result<Vec<Parked>, Error> {
    let (freed, parked) = transact!(core, |tx| {
        let done = release_some(core, tx, occasion).await?;
        let nothing = done.0.is_empty() && !done.1;
        Ok(if nothing {
            Ending::RollBack(done)
        } else {
            Ending::Commit(done)
        })
    });
    if parked {
        core.parks();
    }
    Ok(freed)
}

/// How many of these rows, by table and key, are parked.
pub(super) async fn count(core: &Core, rows: &BTreeSet<(String, String)>) -> Result<usize, Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let parked = parked::all(&core.db).await?.into_iter();
    Ok(parked
        .filter(|row| rows.contains(&(row.table.clone(), row.pk.clone())))
        .count())
}

/// Returns the rows that are parked no longer, and whether others are instead.
async fn release_some(
    core: &Core,
    tx: &DatabaseTransaction,
    occasion: &Occasion,
) -> Result<(Vec<Parked>, bool), Error> {
    let all = waiting(core, tx).await?;
    if all.is_empty() {
        return Ok((all, false));
    }
    let catalog = core.catalog(tx).await?;
    let turn = whose_turn_it_is(core, &catalog, all, occasion);
    if turn.is_empty() {
        return Ok((turn, false));
    }
    try_again(core, tx, turn).await
}

/// The rows to try on an occasion: all that wait for a parent, and some of the others, going on where the last time ended.
fn whose_turn_it_is(core: &Core, catalog: &Catalog, all: Vec<Parked>, occasion: &Occasion) -> Vec<Parked> {
    let (mut concerned, mut left): (Vec<_>, Vec<_>) = all.into_iter().partition(|row| {
        let may_be_a_parent = occasion.others && row.reason == Constraint::ForeignKey;
        occasion.asked || may_be_a_parent || concerns(catalog, row, occasion)
    });
    // What is written now may be what others wait for: rows may have to be written together.
    let mut tables: BTreeSet<_> = concerned.iter().map(|row| row.table.clone()).collect();
    loop {
        let (mut more, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|row| waits_for(catalog, row, &tables));
        left = rest;
        if more.is_empty() {
            break;
        }
        tables.extend(more.iter().map(|row| row.table.clone()));
        concerned.append(&mut more);
    }
    let concerned = concerned.into_iter();
    let (mut turn, mut others): (Vec<_>, Vec<_>) = concerned.partition(|row| row.reason == Constraint::ForeignKey);
    if others.len() > MAX_TRIED && !occasion.asked {
        let from = core.parked_turn.fetch_add(MAX_TRIED, Ordering::Relaxed) % others.len();
        others.rotate_left(from);
        others.truncate(MAX_TRIED);
    }
    turn.append(&mut others);
    turn
}

fn concerns(catalog: &Catalog, row: &Parked, occasion: &Occasion) -> bool {
    waits_for(catalog, row, &occasion.tables) || occasion.rows.contains(&(row.table.clone(), row.pk.clone()))
}

/// Whether what a row waits for can be in one of these tables.
fn waits_for(catalog: &Catalog, row: &Parked, tables: &BTreeSet<String>) -> bool {
    if row.reason != Constraint::ForeignKey {
        return tables.contains(&row.table);
    }
    // Other rows of its own table matter only if they can be its parents or children.
    let parents = catalog.parents_of(&row.table).map(|key| &key.parent);
    let children = catalog.children_of(&row.table).map(|key| &key.child);
    parents.chain(children).any(|table| tables.contains(table))
}

/// Writes parked rows. Returns those that could be, and whether others had to be parked.
async fn try_again(core: &Core, tx: &DatabaseTransaction, waiting: Vec<Parked>) -> Result<(Vec<Parked>, bool), Error> {
    let mut pks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &waiting {
        // A table that is registered no longer keeps its rows parked until it is again.
        if core.registry.get(&row.table).is_some() {
            pks.entry(row.table.clone()).or_default().push(row.pk.clone());
        }
    }
    let records = |pks: &Vec<String>| Extent::whole(pks.iter().cloned());
    let asked = pks.iter().map(|(name, pks)| (name.clone(), records(pks)));
    let locked = lock(core, tx, &asked.collect()).await?;
    let mut wanted: BTreeMap<String, Vec<RowTarget>> = BTreeMap::new();
    for (name, pks) in &pks {
        let Some(table) = locked.tables.get(name) else {
            continue;
        };
        let rows = pks.iter().map(|pk| RowTarget {
            was_parked: true,
            ..RowTarget::whole(pk.clone(), table.records.get(pk).cloned().unwrap_or_default())
        });
        wanted.insert(name.clone(), rows.collect());
    }
    let failed = write_rows(core, tx, wanted).await?;
    let known: BTreeMap<_, _> = waiting.iter().map(|row| ((&row.table, &row.pk), row)).collect();
    // A row that a delete took along, though its record lives, was not parked before; others wait for something else by now.
    let is_news = |row: &&Parked| {
        let before = known.get(&(&row.table, &row.pk));
        before.is_none_or(|before| why(before) != why(row))
    };
    let fresh: Vec<_> = failed.iter().filter(is_news).cloned().collect();
    park(core, tx, &fresh).await?;
    let failed: BTreeSet<_> = failed.into_iter().map(|row| (row.table, row.pk)).collect();
    let freed: Vec<_> = waiting
        .into_iter()
        .filter(|row| pks.contains_key(&row.table))
        .filter(|row| !failed.contains(&(row.table.clone(), row.pk.clone())))
        .collect();
    for (name, pks) in &mut pks {
        pks.retain(|pk| !failed.contains(&(name.clone(), pk.clone())));
        parked::remove(tx, name, pks).await?;
        claim(core, tx, &locked, name, pks).await?;
    }
    Ok((freed, !fresh.is_empty()))
}

/// What a row waits for. Of a foreign key, the database does not always tell the name.
fn why(row: &Parked) -> (Constraint, Option<&str>, Option<&str>) {
    let name = row
        .constraint
        .as_deref()
        .filter(|_| row.reason != Constraint::ForeignKey);
    (row.reason, name, row.holder.as_deref())
}

/// Claims the records whose rows were written and could not be locked before.
async fn claim(
    core: &Core,
    tx: &DatabaseTransaction,
    locked: &Locked,
    name: &str,
    pks: &[String],
) -> Result<(), Error> {
    let Some(records) = locked.tables.get(name) else {
        return Ok(());
    };
    let mut claims = shadow::Batch::default();
    for pk in pks.iter().filter(|pk| records.is_without_row(pk)) {
        let record = records.records.get(pk).cloned().unwrap_or_default();
        claims.claim(tx.get_database_backend(), pk, &record);
    }
    if claims.is_empty() {
        return Ok(());
    }
    shadow::write(tx, core.registry.require(name)?, locked.version, claims, &records.seen).await
}
