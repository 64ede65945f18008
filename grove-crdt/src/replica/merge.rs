//! Taking over what other replicas did: one page is one transaction and a handful of statements per table.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use futures_util::future::{self, BoxFuture, FutureExt as _};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction};
use serde::Serialize;

use crate::{
    change::{Change, Rejection, RejectionCode},
    entity::{CrdtEntity, SetStep, Table},
    error::Error,
    replica::{
        Core, Peer, Replica,
        core::{Ending, transact},
        extent,
        incoming::{self, Incoming, Page, Sent, Taken},
        join::join,
        lock::lock,
        occasion::{Due, Occasion},
        parking,
        rows::{self, RowTarget},
        sets::Sets,
    },
    store::{
        constraint, parked,
        shadow::{self, Extent},
    },
    types::{self, Kind, Record},
};

/// What a merge came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MergeReport {
    /// Changes taken over, those that were known already included.
    pub merged: usize,
    /// Of these, changes that lost to a newer state written elsewhere.
    pub conflicts: usize,
    /// Rows that the database did not take; see [`Replica::parked`].
    pub parked: usize,
    /// Changes that a hook skipped.
    pub skipped: usize,
    /// Their places.
    #[serde(skip)]
    pub(crate) skipped_at: BTreeSet<usize>,
    /// The places of those that were refused as unstorable before the database was asked: the reason is not in its words.
    #[serde(skip)]
    pub(crate) foreseen: BTreeSet<usize>,
    /// Changes that were refused.
    pub rejected: Vec<Rejection>,
}

pub(crate) type Merged = MergeReport;

/// Merges changes of one entity. To hooks, the peer is named `merge_remote`.
///
/// # Errors
///
/// The entity is not registered, a change is of another table, or the database fails.
pub async fn merge_remote<E: CrdtEntity>(replica: &Replica, changes: &[Change]) -> Result<MergeReport, Error> {
    let name = E::default().table_name();
    replica.core.registry.require(name)?;
    if let Some(other) = changes.iter().find(|change| change.table != name) {
        return Err(Error::Invalid(format!(
            "a change of table `{}` can't be merged into `{name}`; sort changes by table, or let a `Syncer` do it",
            other.table
        )));
    }
    merge(&replica.core, &Peer::new("merge_remote"), changes, "").await
}

/// A table's share of a page.
struct Share {
    table: Arc<Table>,
    /// The changes of each record.
    changes: BTreeMap<String, Vec<Incoming>>,
}

impl Share {
    /// How much has to be read of which records.
    fn extents(&self) -> BTreeMap<String, Extent> {
        let of = |changes: &Vec<Incoming>| extent::of_changes(&self.table, changes);
        self.changes
            .iter()
            .map(|(pk, changes)| (pk.clone(), of(changes)))
            .collect()
    }
}

/// Merges a page that a peer sent. `from` names the replica it came from, so that it is not sent back there.
pub(crate) async fn merge(core: &Arc<Core>, peer: &Peer, changes: &[Change], from: &str) -> Result<MergeReport, Error> {
    let begun = Instant::now();
    core.meters.clocks_seen(&core.clock, changes);
    let report = merge_page(core, peer, changes, from).await?;
    core.meters.merged(&report, begun.elapsed());
    Ok(report)
}

async fn merge_page(core: &Arc<Core>, peer: &Peer, changes: &[Change], from: &str) -> Result<MergeReport, Error> {
    let page = Page { peer, changes, from };
    let mut report = MergeReport::default();
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for index in 0..changes.len() {
        if let Some((table, pk, incoming)) = incoming::receive(core, page, index, &mut report).await {
            let share = shares.entry(table.name.clone()).or_insert_with(|| Share {
                table,
                changes: BTreeMap::new(),
            });
            share.changes.entry(pk).or_default().push(incoming);
        }
    }
    if shares.is_empty() {
        return Ok(report);
    }
    let mut taken = Vec::new();
    let merged = merge_parts(core, page, shares, &mut report, &mut taken).await;
    // What is committed stays, whatever became of the rest.
    incoming::after_merge(core, peer, taken).await;
    merged?;
    report.rejected.sort_by_key(|rejection| rejection.index);
    Ok(report)
}

/// Merges records in one transaction; in halves, when the database can't take them together, until the records stand alone that it
/// can't take. Their changes are rejected.
fn merge_parts<'a>(
    core: &'a Arc<Core>,
    page: Page<'a>,
    shares: BTreeMap<String, Share>,
    report: &'a mut MergeReport,
    taken: &'a mut Vec<Taken>,
) -> BoxFuture<'a, Result<(), Error>> {
    async move {
        let failed = match merge_together(core, page, &shares).await {
            Ok(Some(part)) => {
                report.add(part.report);
                taken.extend(part.taken);
                report.parked += settle_parked(core, part.written).await?;
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(error) if constraint::concerns_rows(&error) => error,
            Err(error) => return Err(error),
        };
        let (first, second) = in_halves(shares);
        if !second.is_empty() {
            merge_parts(core, page, first, report, taken).await?;
            return merge_parts(core, page, second, report, taken).await;
        }
        for (table, share) in first {
            for (pk, changes) in share.changes {
                tracing::warn!(table, pk, error = %failed, "the database can't take a record");
                let rejections = changes
                    .iter()
                    .map(|incoming| Rejection::new(incoming.index, RejectionCode::Unstorable, failed.to_string()));
                report.rejected.extend(rejections);
            }
        }
        Ok(())
    }
    .boxed()
}

/// What became of records that were merged in one transaction.
struct MergedPart {
    report: MergeReport,
    taken: Vec<Taken>,
    written: Option<Written>,
}

async fn merge_together(
    core: &Arc<Core>,
    page: Page<'_>,
    shares: &BTreeMap<String, Share>,
) -> Result<Option<MergedPart>, Error> {
    if shares.is_empty() {
        return Ok(None);
    }
    let (report, taken, written) = transact!(core, |tx| {
        let (mut report, mut taken) = (MergeReport::default(), Vec::new());
        let written = merge_shares(core, tx, shares, page, &mut report, &mut taken).await?;
        Ok(match written {
            Some(_) => Ending::Commit((report, taken, written)),
            None => Ending::RollBack((report, taken, written)),
        })
    });
    if written.is_some() {
        core.committed();
    }
    Ok(Some(MergedPart { report, taken, written }))
}

/// The records in two halves; the second is empty when there is only one.
fn in_halves(shares: BTreeMap<String, Share>) -> (BTreeMap<String, Share>, BTreeMap<String, Share>) {
    let count: usize = shares.values().map(|share| share.changes.len()).sum();
    let mut left = count.div_ceil(2);
    let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
    for (name, mut share) in shares {
        let mut rest = BTreeMap::new();
        if let Some(from) = share.changes.keys().nth(left).cloned() {
            rest = share.changes.split_off(&from);
        }
        left -= share.changes.len();
        if !rest.is_empty() {
            let table = share.table.clone();
            second.insert(name.clone(), Share { table, changes: rest });
        }
        if !share.changes.is_empty() {
            first.insert(name, share);
        }
    }
    (first, second)
}

impl MergeReport {
    /// Counts what became of a part of the page.
    fn add(&mut self, part: Self) {
        self.merged += part.merged;
        self.conflicts += part.conflicts;
        self.parked += part.parked;
        self.skipped += part.skipped;
        self.skipped_at.extend(part.skipped_at);
        self.foreseen.extend(part.foreseen);
        self.rejected.extend(part.rejected);
    }
}

/// Sees to the rows that were parked, or may be written now. Returns how many of those that were written wait all the same.
async fn settle_parked(core: &Arc<Core>, written: Option<Written>) -> Result<usize, Error> {
    let Some(written) = written else {
        // It may have come before, from one who was cut off.
        Due::left(core).release().await?;
        return Ok(0);
    };
    if !written.failed.is_empty() {
        core.parks();
    }
    match written.due.release().await {
        Err(error) if constraint::concerns_rows(&error) => {
            // What was merged is committed; those rows stay parked.
            tracing::warn!(%error, "parked rows could not be tried");
        }
        released => drop(released?),
    }
    parking::count(core, &written.failed).await
}

/// What a merge has written.
struct Written {
    /// That the rows have changed.
    due: Due,
    /// The rows that the database did not take.
    failed: BTreeSet<(String, String)>,
}

/// `None` when there was nothing to write.
async fn merge_shares(
    core: &Arc<Core>,
    tx: &DatabaseTransaction,
    shares: &BTreeMap<String, Share>,
    page: Page<'_>,
    report: &mut MergeReport,
    taken: &mut Vec<Taken>,
) -> Result<Option<Written>, Error> {
    let asked = shares.iter().map(|(name, share)| (name.clone(), share.extents()));
    let locked = lock(core, tx, &asked.collect()).await?;
    let (nothing, mut batches) = (Record::default(), Vec::new());
    let mut wanted: BTreeMap<String, Vec<RowTarget>> = BTreeMap::new();
    for (name, share) in shares {
        let records = &locked.tables[name];
        let mut batch = shadow::Batch::default();
        for (pk, changes) in &share.changes {
            let before = records.records.get(pk).unwrap_or(&nothing);
            let changes = incoming::before_merge(core, page, &share.table, before, pk, changes, report).await;
            let (after, joined) = join(before, &changes, core.clock.node(), report);
            if !core.hooks.is_empty() {
                let told = |incoming| incoming::taken(page, &share.table, pk, [before, &after], incoming);
                taken.extend(joined.into_iter().map(told));
            }
            if after == *before {
                continue;
            }
            let sent = Sent::of(page, &changes);
            batch.record(&share.table, pk, before, &after, |part| sent.by(part));
            if records.is_without_row(pk) {
                batch.claim(tx.get_database_backend(), pk, &after);
            }
            let rows = if records.is_partial(pk) {
                part_of_row(&share.table, pk, before, after, &changes)
            } else {
                row_of(&share.table, pk, before, after, &changes)
            };
            wanted.entry(name.clone()).or_default().extend(rows);
        }
        if !batch.is_empty() {
            batches.push((&share.table, batch, &records.seen));
        }
    }
    if batches.is_empty() {
        return Ok(None);
    }
    wanted.retain(|_, rows| !rows.is_empty());
    let tables = wanted.keys().cloned().collect();
    // Made while the database is busy with the rows, which come before cells, as with local writes.
    let cells = async {
        let ready = batches.into_iter().map(|(table, batch, seen)| {
            let count = batch.len();
            (
                table,
                count,
                batch.ready(tx.get_database_backend(), table, locked.version, seen),
            )
        });
        ready.collect::<Vec<_>>()
    };
    let (failed, cells) = future::join(write_rows(core, tx, wanted), cells).await;
    let failed = failed?;
    for (table, count, cells) in cells {
        cells.write(tx).await?;
        core.statistics.grew(&table.name, count);
    }
    let occasion = Occasion {
        tables,
        ..Occasion::default()
    };
    let due = Due::new(core, occasion);
    Ok(Some(Written { due, failed }))
}

/// Writes the rows of what changed, and returns those that had to be parked, by table and key.
async fn write_rows(
    core: &Core,
    tx: &DatabaseTransaction,
    mut wanted: BTreeMap<String, Vec<RowTarget>>,
) -> Result<BTreeSet<(String, String)>, Error> {
    if wanted.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut written: Vec<_> = wanted
        .iter()
        .map(|(table, rows)| (table.clone(), rows.iter().map(|row| row.pk.clone()).collect::<Vec<_>>()))
        .collect();
    let waiting = if core.may_have_parked() {
        parking::waiting(core, tx).await?
    } else {
        Vec::new()
    };
    for row in &waiting {
        // A parked row lacks more than what changed now.
        let rows = wanted.get_mut(&row.table).into_iter().flatten();
        for wanted in rows.filter(|wanted| wanted.pk == row.pk) {
            wanted.fields = None;
            wanted.was_parked = true;
        }
    }
    let failed = rows::write_rows(core, tx, wanted).await?;
    let keys: BTreeSet<_> = failed.iter().map(|row| (row.table.clone(), row.pk.clone())).collect();
    if !waiting.is_empty() {
        for (table, pks) in &mut written {
            pks.retain(|pk| !keys.contains(&(table.clone(), pk.clone())));
            parked::remove(tx, table, pks).await?;
        }
    }
    parking::park(core, tx, &failed).await?;
    Ok(keys)
}

/// The row to be written for a record that changed, with the fields whose values did.
fn row_of(table: &Table, pk: &str, before: &Record, after: Record, changes: &[Incoming]) -> Option<RowTarget> {
    let pk = pk.to_owned();
    if !before.is_alive() || !after.is_alive() || before.epoch() != after.epoch() {
        let stays_away = !before.is_alive() && !after.is_alive() && before.head().is_some() == after.head().is_some();
        return (!stays_away).then_some(RowTarget {
            pk,
            record: after,
            fields: None,
            sets: None,
            was_parked: false,
        });
    }
    // A cell changes its field alone; a head, any.
    let may_change = |field: &str| {
        changes.iter().any(|incoming| match &incoming.change {
            types::Change::Cell(key, _) => key.field == field || incoming.altered.is_some(),
            types::Change::Head(_) => true,
        })
    };
    let fields: BTreeSet<_> = table
        .replicated()
        .filter(|(_, column, _)| may_change(&column.name))
        .filter(|(_, column, kind)| before.value(&column.name, *kind) != after.value(&column.name, *kind))
        .map(|(_, column, _)| column.name.clone())
        .collect();
    (!fields.is_empty()).then_some(RowTarget {
        pk,
        record: after,
        fields: Some(fields),
        sets: None,
        was_parked: false,
    })
}

/// The same for a record of whose sets only the elements are known that the changes touch.
fn part_of_row(table: &Table, pk: &str, before: &Record, after: Record, changes: &[Incoming]) -> Option<RowTarget> {
    if !after.is_alive() {
        // Only a head gives or takes life.
        return None;
    }
    let mut fields = BTreeSet::new();
    let mut steps: BTreeMap<String, Vec<SetStep>> = BTreeMap::new();
    for incoming in changes {
        let types::Change::Cell(key, _) = &incoming.change else {
            continue;
        };
        let field = &key.field;
        match table.kind_of(field) {
            Some(Kind::Set) => {
                let step = match (before.element(key), after.element(key)) {
                    (None, Some(value)) => SetStep::Add(value),
                    (Some(value), None) => SetStep::Remove(value),
                    _ => continue,
                };
                steps.entry(field.to_string()).or_default().push(step);
            }
            Some(kind) if before.value(field, kind) != after.value(field, kind) => {}
            _ => continue,
        }
        fields.insert(field.to_string());
    }
    (!fields.is_empty()).then(|| RowTarget {
        pk: pk.to_owned(),
        record: after,
        fields: Some(fields),
        sets: Some(Sets::Touched(steps)),
        was_parked: false,
    })
}
