//! Records under lock: users' rows first, parents before children and in key order, then their cells.
//!
//! Whoever changes a record holds the lock of its row: a local write by its own statement, a merge by reading the row
//! first. Then nobody else changes the cells meanwhile. A record without a row has none to lock. On MySQL the gap is
//! locked, and the counter row lets one transaction at a time at the cells. On PostgreSQL such a record's head is written
//! whether it changed or not (see [`Batch::claim`](crate::store::shadow::Batch::claim)): of two transactions that do so
//! at the same time, the second finds out and is run again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ConnectionTrait as _, DatabaseTransaction};

use crate::{
    entity::{Table, key},
    error::Error,
    replica::{Core, rows::parents_first},
    store::{
        dialect, row,
        shadow::{self, Extent, Seen},
        version::{Numbering, Taken, Version},
    },
    types::Record,
};

/// Records that are locked.
pub(super) struct Locked {
    /// The version to write under.
    pub version: Version,
    /// By table.
    pub tables: BTreeMap<String, LockedTable>,
}

/// What is to be locked: by table, how much of which records.
pub(super) type Asked = BTreeMap<String, BTreeMap<String, Extent>>;

/// Those of one table.
pub(super) struct LockedTable {
    pub records: HashMap<String, Record>,
    /// The keys of those that were not read as a whole.
    partly: BTreeSet<String>,
    pub seen: Seen,
    /// The keys under which there is a row; unknown where writers queue.
    there: Option<BTreeSet<String>>,
}

impl LockedTable {
    /// Whether the record has no row whose lock could be held.
    pub(super) fn is_without_row(&self, pk: &str) -> bool {
        self.there.as_ref().is_some_and(|there| !there.contains(pk))
    }

    /// Whether only what was asked for is known of the record's sets.
    pub(super) fn is_partial(&self, pk: &str) -> bool {
        self.partly.contains(pk)
    }

    async fn read_the_rest(&mut self, core: &Core, tx: &DatabaseTransaction, table: &Table) -> Result<(), Error> {
        let rest = Extent::whole(std::mem::take(&mut self.partly));
        if !rest.is_empty() {
            let whole = shadow::read_to_write(tx, &core.registry, table, &rest).await?;
            self.records.extend(whole.records);
        }
        Ok(())
    }
}

/// Locks records. When rows are parked, they are read as a whole in any case: one that waits lacks more than what changes
/// now.
///
/// # Errors
///
/// A key that is none; a row that appeared in between ([`Error::Contended`]); a failing database.
pub(super) async fn lock(core: &Core, tx: &DatabaseTransaction, asked: &Asked) -> Result<Locked, Error> {
    let mut rows = BTreeMap::new();
    if !dialect::has_one_writer(tx.get_database_backend()) {
        let catalog = core.catalog(tx).await?;
        // As deletes do that take children along.
        for name in parents_first(&catalog, asked.keys().map(String::as_str).collect()) {
            let there = there(tx, core.registry.require(&name)?, asked[&name].keys()).await?;
            rows.insert(name, there);
        }
    }
    let taken = core.numbering.take(tx, Taken::Not).await?;
    let (mut newest, mut any_parked) = (0, None);
    let mut tables = BTreeMap::new();
    for (name, records) in asked {
        let table = core.registry.require(name)?;
        let loaded = shadow::read_to_write(tx, &core.registry, table, records).await?;
        newest = newest.max(loaded.newest);
        any_parked = any_parked.or(loaded.any_parked);
        let partly = records.iter().filter(|(_, extent)| !extent.is_whole());
        let locked = LockedTable {
            records: loaded.records,
            partly: partly.map(|(pk, _)| pk.clone()).collect(),
            seen: loaded.seen,
            there: rows.remove(name),
        };
        if dialect::writers_overlap(tx.get_database_backend()) {
            none_appeared(tx, table, &locked).await?;
        }
        tables.insert(name.clone(), locked);
    }
    core.look_for_parked(tx, any_parked).await?;
    if core.may_have_parked() {
        for (name, locked) in &mut tables {
            locked.read_the_rest(core, tx, core.registry.require(name)?).await?;
        }
    }
    Ok(Locked {
        version: Numbering::after(taken, newest),
        tables,
    })
}

/// The keys under which there are rows, which are locked now.
async fn there<'a>(
    tx: &DatabaseTransaction,
    table: &Table,
    pks: impl IntoIterator<Item = &'a String>,
) -> Result<BTreeSet<String>, Error> {
    let keys = pks.into_iter().map(|pk| key::parse(table, pk));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    Ok(row::read(tx, table, &keys).await?.into_keys().collect())
}

/// A record that lives and had no row when rows were locked may have got one before its cells were read.
async fn none_appeared(tx: &DatabaseTransaction, table: &Table, locked: &LockedTable) -> Result<(), Error> {
    let alive = locked.records.iter().filter(|(_, record)| record.is_alive());
    let without: Vec<_> = alive
        .map(|(pk, _)| pk.clone())
        .filter(|pk| locked.is_without_row(pk))
        .collect();
    if without.is_empty() {
        return Ok(());
    }
    // A row may be found by a key that is only equal to its own.
    let there = there(tx, table, &without).await?;
    if !without.iter().any(|pk| there.contains(pk)) {
        return Ok(());
    }
    Err(Error::Contended {
        table: table.name.clone(),
    })
}
