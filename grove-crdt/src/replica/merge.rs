//! Taking over what other replicas did: one page is one transaction and a handful of statements per table.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sea_orm::{ConnectionTrait as _, DatabaseTransaction};
use serde::Serialize;

use crate::{
    change::{Change, Rejection, RejectionCode},
    entity::{CrdtEntity, Table},
    error::Error,
    replica::{
        Core, Replica,
        core::{Ending, transact},
        judge::{Judged, judge},
        lock::lock,
        materialise::{Wanted, materialise},
        occasion::{Due, Occasion},
        parking,
    },
    store::{
        parked,
        shadow::{self, Content},
    },
    types::{self, CellKey, Record, State},
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
    /// Changes that were refused.
    pub rejected: Vec<Rejection>,
}

pub(crate) type Merged = MergeReport;

/// Merges changes of one entity.
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
    merge(&replica.core, changes, "").await
}

/// A table's share of a page.
struct Share {
    table: Arc<Table>,
    /// The changes of each record, with their places in the page.
    changes: BTreeMap<String, Vec<(usize, types::Change)>>,
}

/// Merges a page. `from` names the replica it came from, so that it is not sent back there.
pub(crate) async fn merge(core: &Arc<Core>, changes: &[Change], from: &str) -> Result<MergeReport, Error> {
    let mut report = MergeReport::default();
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        match judge(core, change) {
            Ok(Judged { table, pk, change }) => {
                let share = shares.entry(table.name.clone()).or_insert_with(|| Share {
                    table,
                    changes: BTreeMap::new(),
                });
                share.changes.entry(pk).or_default().push((index, change));
            }
            Err((code, message)) => report.rejected.push(Rejection::new(index, code, message)),
        }
    }
    if shares.is_empty() {
        return Ok(report);
    }
    let judged = report;
    let (mut report, written) = transact!(core, |tx| {
        let mut report = judged.clone();
        let written = merge_shares(core, tx, &shares, from, &mut report).await?;
        Ok(match written {
            Some(_) => Ending::Commit((report, written)),
            None => Ending::RollBack((report, written)),
        })
    });
    if let Some(written) = written {
        core.committed();
        if !written.failed.is_empty() {
            core.parks();
        }
        written.due.release().await?;
        report.parked = parking::count(core, &written.failed).await?;
    } else {
        // It may have come before, from one who was cut off.
        Due::left(core).release().await?;
    }
    report.rejected.sort_by_key(|rejection| rejection.index);
    Ok(report)
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
    from: &str,
    report: &mut MergeReport,
) -> Result<Option<Written>, Error> {
    let pks = shares
        .iter()
        .map(|(name, share)| (name.clone(), share.changes.keys().cloned().collect()));
    let locked = lock(core, tx, &pks.collect()).await?;
    let mut batches = Vec::new();
    let mut wanted: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
    for (name, share) in shares {
        let records = &locked.tables[name];
        let mut batch = shadow::Batch::default();
        for (pk, changes) in &share.changes {
            let before = records.records.get(pk).cloned().unwrap_or_default();
            let after = join(&before, changes, report);
            if after == before {
                continue;
            }
            batch.record(pk, &before, &after, |key, content| {
                let unchanged = changes.iter().any(|(_, change)| is_same(change, key, content));
                (unchanged && !from.is_empty()).then(|| from.to_owned())
            });
            if records.is_without_row(pk) {
                batch.claim(tx.get_database_backend(), pk, &after);
            }
            let rows = row_of(&share.table, pk, &before, after);
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
    // Rows before cells, as local writes do.
    let failed = write_rows(core, tx, wanted).await?;
    for (table, batch, seen) in batches {
        shadow::write(tx, table, locked.version, &batch, seen).await?;
    }
    let occasion = Occasion {
        tables,
        ..Occasion::default()
    };
    let due = Due::new(core, occasion);
    Ok(Some(Written { due, failed }))
}

/// Joins the changes of one record, refusing those that can't be true.
fn join(before: &Record, changes: &[(usize, types::Change)], report: &mut MergeReport) -> Record {
    let mut taken = Vec::with_capacity(changes.len());
    for (index, change) in changes {
        if let Some(message) = regression(before, change) {
            let code = RejectionCode::CounterRegressed;
            report.rejected.push(Rejection::new(*index, code, message));
            continue;
        }
        report.merged += 1;
        taken.push(change);
    }
    let mut after = before.clone();
    after.merge(taken.iter().copied().cloned());
    report.conflicts += taken.iter().filter(|change| lost(&after, change)).count();
    after
}

/// Totals only grow. A node whose clock went on while its totals went back was set up anew under its old id.
fn regression(before: &Record, change: &types::Change) -> Option<String> {
    let types::Change::Cell(key, cell) = change else {
        return None;
    };
    let State::Counter(theirs) = &cell.state else {
        return None;
    };
    let mine = before.field(&key.field).remove(&key.cell)?;
    let State::Counter(known) = mine.state else { return None };
    let went_back = theirs.inc < known.inc || theirs.dec < known.dec;
    (went_back && mine.epoch == cell.epoch && cell.hlc > mine.hlc).then(|| {
        format!(
            "counter `{}` of node `{}` went back from +{} -{} to +{} -{}: the node lost its history and needs a new id",
            key.field, key.cell, known.inc, known.dec, theirs.inc, theirs.dec
        )
    })
}

/// Whether a change's own value is not what came of the merge.
fn lost(after: &Record, change: &types::Change) -> bool {
    match change {
        types::Change::Head(head) => after
            .head()
            .is_some_and(|mine| mine.epoch > head.epoch || mine.hlc > head.hlc),
        types::Change::Cell(key, cell) => {
            let older_life = after.epoch() > cell.epoch;
            let overwritten = matches!(cell.state, State::Lww(_))
                && after
                    .field(&key.field)
                    .get(&key.cell)
                    .is_some_and(|mine| mine.hlc > cell.hlc);
            older_life || overwritten
        }
    }
}

fn is_same(change: &types::Change, key: &CellKey, content: &Content) -> bool {
    match (change, content) {
        (types::Change::Head(theirs), Content::Head(mine)) => theirs == mine,
        (types::Change::Cell(their_key, theirs), Content::Cell(mine)) => their_key == key && theirs == mine,
        _ => false,
    }
}

/// Writes the rows of what changed, and returns those that had to be parked, by table and key.
async fn write_rows(
    core: &Core,
    tx: &DatabaseTransaction,
    mut wanted: BTreeMap<String, Vec<Wanted>>,
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
            wanted.waited = true;
        }
    }
    let failed = materialise(core, tx, wanted).await?;
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
fn row_of(table: &Table, pk: &str, before: &Record, after: Record) -> Option<Wanted> {
    let pk = pk.to_owned();
    if !before.is_alive() || !after.is_alive() || before.epoch() != after.epoch() {
        let stays_away = !before.is_alive() && !after.is_alive() && before.head().is_some() == after.head().is_some();
        return (!stays_away).then_some(Wanted {
            pk,
            record: after,
            fields: None,
            waited: false,
        });
    }
    let fields: BTreeSet<_> = table
        .replicated()
        .filter(|(_, column, kind)| before.value(&column.name, *kind) != after.value(&column.name, *kind))
        .map(|(_, column, _)| column.name.clone())
        .collect();
    (!fields.is_empty()).then_some(Wanted {
        pk,
        record: after,
        fields: Some(fields),
        waited: false,
    })
}
