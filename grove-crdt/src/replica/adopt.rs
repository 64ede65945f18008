use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use sea_orm::DatabaseTransaction;
use serde::Serialize;
use serde_json::Value as Json;

use crate::{
    entity::{Row, Table, is_unreadable, key},
    error::Error,
    replica::{
        Core, Replica,
        apply::{apply, birth_of},
        core::{Ending, transact},
        effect::{Changed, FieldChange, Pending, field_value},
        lock::lock,
        parking,
        rows::{RowTarget, write_rows},
        shown::{self, Doubtful},
    },
    store::{
        inexact::Inexact,
        parked, progress, row,
        shadow::{self, Extent},
        version::{Numbering, Taken},
    },
    types::{Kind, Record, is_same},
};

type Callback<'a> = Box<dyn FnMut(&AdoptProgress) + Send + 'a>;

/// An adoption being set up; awaiting it runs it. See [`Replica::adopt`].
///
/// It works page by page, each a transaction of its own. One that was interrupted goes on where it stopped; one that finds
/// nothing changes nothing.
#[must_use = "nothing happens before it is awaited"]
pub struct Adopt<'a> {
    replica: &'a Replica,
    table: String,
    page_size: u64,
    deletions: bool,
    progress: Option<Callback<'a>>,
}

/// How far an adoption has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AdoptProgress {
    /// The table's name.
    pub table: String,
    /// The key of the last row looked at.
    pub last_pk: String,
    /// What has been found so far.
    pub report: AdoptReport,
}

/// What an adoption found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AdoptReport {
    /// Rows looked at.
    pub rows: usize,
    /// Rows that had no cells and are a baseline now.
    pub adopted: usize,
    /// Rows that differed from their cells, and whose difference is recorded now.
    pub changed: usize,
    /// Records whose row was gone and that are recorded as deleted now.
    pub deleted: usize,
}

impl fmt::Display for AdoptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rows={} adopted={} changed={} deleted={}",
            self.rows, self.adopted, self.changed, self.deleted
        )
    }
}

impl fmt::Debug for Adopt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adopt")
            .field("table", &self.table)
            .field("page_size", &self.page_size)
            .field("deletions", &self.deletions)
            .finish_non_exhaustive()
    }
}

impl<'a> Adopt<'a> {
    pub(super) fn new(replica: &'a Replica, table: String) -> Self {
        Self {
            replica,
            table,
            page_size: 1_000,
            deletions: false,
            progress: None,
        }
    }

    /// How many rows make a page, which is one transaction. 1,000 by default.
    pub fn page_size(mut self, rows: u64) -> Self {
        self.page_size = rows.max(1);
        self
    }

    /// Records the deletion of records whose row is gone. Off by default: a row that is missing because a backup was
    /// restored in part would be deleted everywhere.
    pub fn deletions(mut self, record: bool) -> Self {
        self.deletions = record;
        self
    }

    /// Is called after each page.
    pub fn on_progress(mut self, callback: impl FnMut(&AdoptProgress) + Send + 'a) -> Self {
        self.progress = Some(Box::new(callback));
        self
    }

    async fn run(mut self) -> Result<AdoptReport, Error> {
        let core = self.replica.core.clone();
        let table = core.registry.require(&self.table)?.clone();
        let mut report = AdoptReport::default();
        let mut after = progress::load(&core.db, &table.name).await?;
        loop {
            let page = record_page(&core, &table, after.as_deref(), self.page_size, &mut report).await?;
            let Some(last_pk) = page else { break };
            tracing::info!(table = %table.name, %last_pk, %report, "adopting");
            if let Some(callback) = &mut self.progress {
                callback(&AdoptProgress {
                    table: table.name.clone(),
                    last_pk: last_pk.clone(),
                    report,
                });
            }
            after = Some(last_pk);
        }
        if self.deletions {
            report.deleted = record_all_missing(&core, &table, self.page_size).await?;
        }
        if progress::load(&core.db, &table.name).await?.is_some() {
            transact!(core, |tx| {
                Ok(Ending::Commit(progress::clear(tx, &table.name).await?))
            });
        }
        Ok(report)
    }
}

impl<'a> IntoFuture for Adopt<'a> {
    type Output = Result<AdoptReport, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Adopts the rows after a key. Returns the last one's, `None` when there was none.
async fn record_page(
    core: &Arc<Core>,
    table: &Arc<Table>,
    after: Option<&str>,
    limit: u64,
    report: &mut AdoptReport,
) -> Result<Option<String>, Error> {
    let after = after.map(|pk| key::parse(table, pk)).transpose()?;
    let before = *report;
    let (last, wrote) = transact!(core, |tx| {
        *report = before;
        let rows = row::page(tx, table, after.as_deref(), limit).await?;
        let mut by_key = Vec::with_capacity(rows.len());
        for row in rows {
            by_key.push((key::of_row(table, &row)?, row));
        }
        let last = by_key.last().map(|(pk, _)| pk.clone());
        if let Some(last) = &last
            && record_rows(core, tx, table, by_key, report).await?
        {
            progress::save(tx, &table.name, last).await?;
            return Ok(Ending::Commit((Some(last.clone()), true)));
        }
        Ok(Ending::RollBack((last, false)))
    });
    if wrote {
        core.committed();
    }
    Ok(last)
}

/// Records the death of every living record without a row, page by page. Returns how many there were.
async fn record_all_missing(core: &Arc<Core>, table: &Arc<Table>, limit: u64) -> Result<usize, Error> {
    let mut total = 0;
    let mut after: Option<String> = None;
    loop {
        let (last, deleted) = transact!(core, |tx| {
            let pks = shadow::keys_after(tx, table, after.as_deref(), limit).await?;
            let last = pks.last().cloned();
            if last.is_none() {
                return Ok(Ending::RollBack((last, 0)));
            }
            let deleted = record_missing(core, tx, table, pks).await?;
            Ok(if deleted > 0 {
                Ending::Commit((last, deleted))
            } else {
                Ending::RollBack((last, deleted))
            })
        });
        if deleted > 0 {
            core.committed();
        }
        total += deleted;
        if last.is_none() {
            return Ok(total);
        }
        after = last;
    }
}

async fn parked_keys(tx: &DatabaseTransaction, table: &Table) -> Result<BTreeSet<String>, Error> {
    let parked = parked::all(tx).await?.into_iter();
    Ok(parked.filter(|row| row.table == table.name).map(|row| row.pk).collect())
}

/// Records a page of rows. Returns whether there was anything to record.
async fn record_rows(
    core: &Core,
    tx: &DatabaseTransaction,
    table: &Arc<Table>,
    rows: Vec<(String, Row)>,
    report: &mut AdoptReport,
) -> Result<bool, Error> {
    let records = Extent::whole(rows.iter().map(|(pk, _)| pk.clone()));
    // The rows are locked already.
    let taken = core.numbering.take(tx, Taken::Not).await?;
    let loaded = shadow::read_to_write(tx, &core.registry, table, &records).await?;
    let parked = parked_keys(tx, table).await?;
    let at = core.clock.tick(newest_clock(&loaded.records).as_ref());
    let known = rows.iter().filter_map(|(pk, row)| {
        Some(Doubtful {
            pk,
            record: loaded.records.get(pk)?,
            row,
            with_sets: true,
        })
    });
    let shown = shown::notes_on(core, tx, table, known).await?;
    let mut batch = shadow::Batch::default();
    let mut wanted = Vec::new();
    for (pk, row) in rows {
        report.rows += 1;
        let Some(before) = loaded.records.get(&pk) else {
            continue;
        };
        // A parked row differs from its record because it has to.
        if parked.contains(&pk) {
            continue;
        }
        if row.iter().any(is_unreadable) {
            tracing::warn!(table = %table.name, pk, "a row is adopted without the columns that can't be read");
        }
        let mut after = before.clone();
        if before.head().is_none() {
            after.adopted(birth_of(table, &row)?);
            report.adopted += 1;
            if !before.cells().is_empty() {
                // What others did to it came before it, and shows now.
                wanted.push(RowTarget::whole(pk.clone(), after.clone()));
            }
        } else if let Some(pending) = what_differs(table, &pk, before, &row, &mut after, &shown)? {
            apply(table, &pk, &mut after, &pending, Some(&row), &at, &shown)?;
            report.changed += 1;
        } else if after != *before {
            report.changed += 1;
        }
        batch.record(table, &pk, before, &after, |_| None);
    }
    if batch.is_empty() {
        return Ok(false);
    }
    if !wanted.is_empty() {
        let failed = write_rows(core, tx, BTreeMap::from([(table.name.clone(), wanted)])).await?;
        parking::park(core, tx, &failed).await?;
    }
    let version = Numbering::after(taken, loaded.newest);
    core.statistics.grew(&table.name, batch.len());
    shadow::write(tx, table, version, batch, &loaded.seen).await?;
    Ok(true)
}

fn newest_clock(records: &HashMap<String, Record>) -> Option<crate::clock::Hlc> {
    records.values().filter_map(Record::clock).max().cloned()
}

/// What was done to a row behind the replica's back. Fields that the record does not know yet join it as baselines.
fn what_differs(
    table: &Table,
    pk: &str,
    record: &Record,
    row: &Row,
    after: &mut Record,
    shown: &Inexact,
) -> Result<Option<Pending>, Error> {
    if !record.is_alive() {
        return Ok(Some(Pending {
            born: true,
            row: Some(row.clone()),
            ..Pending::default()
        }));
    }
    let mut unknown = birth_of(table, row)?;
    unknown.retain(|field, _| !record.knows(field));
    if !unknown.is_empty() {
        after.adopted(unknown);
    }
    let mut changed = Changed::default();
    for (index, column, kind) in table.replicated() {
        if is_unreadable(&row[index]) {
            continue;
        }
        let stands = field_value(table, row, index)?;
        let recorded = after.value(&column.name, kind).ok().flatten();
        let agrees =
            |recorded: &Json| is_same(recorded, &stands) || shown.is_shown_as(pk, &column.name, recorded, &stands);
        if recorded.as_ref().is_some_and(agrees) {
            continue;
        }
        if !after.knows(&column.name) && kind == Kind::Set {
            // An empty set leaves no cell; there is nothing to record.
            continue;
        }
        let change = if kind == Kind::Lww {
            FieldChange::Assigned
        } else {
            FieldChange::MadeSo
        };
        changed.fields.insert(index, change);
    }
    Ok((!changed.fields.is_empty()).then_some(Pending {
        changed: Some(changed),
        row: Some(row.clone()),
        ..Pending::default()
    }))
}

/// Records the death of living records without a row. Returns how many there were.
async fn record_missing(
    core: &Core,
    tx: &DatabaseTransaction,
    table: &Arc<Table>,
    pks: Vec<String>,
) -> Result<usize, Error> {
    let keys = pks
        .iter()
        .map(|pk| key::parse(table, pk))
        .collect::<Result<Vec<_>, _>>()?;
    let mut locked = lock(core, tx, &BTreeMap::from([(table.name.clone(), Extent::whole(pks))])).await?;
    let Some(records) = locked.tables.remove(&table.name) else {
        return Ok(0);
    };
    let parked = parked_keys(tx, table).await?;
    let there = row::read(tx, table, &keys).await?;
    let at = core.clock.tick(newest_clock(&records.records).as_ref());
    let mut batch = shadow::Batch::default();
    let mut deleted = 0;
    for (pk, before) in &records.records {
        if before.is_alive() && !there.contains_key(pk) && !parked.contains(pk) {
            let mut after = before.clone();
            after.died(&at);
            batch.record(table, pk, before, &after, |_| None);
            deleted += 1;
        }
    }
    if deleted > 0 {
        shadow::write(tx, table, locked.version, batch, &records.seen).await?;
    }
    Ok(deleted)
}
