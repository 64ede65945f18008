//! Taking over what other replicas did: one page is one transaction and a handful of statements per table.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::atomic::Ordering,
};

use sea_orm::{DatabaseTransaction, TransactionOptions};
use serde::Serialize;

use crate::{
    change::{Change, Rejection, RejectionCode},
    entity::{CrdtEntity, Table},
    error::Error,
    replica::{
        Core, Replica,
        judge::{Judged, judge},
        materialise::{Wanted, materialise},
        parking::{self, Occasion},
    },
    store::{
        parked::{self, Parked},
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
    table: std::sync::Arc<Table>,
    /// The changes of each record, with their places in the page.
    changes: BTreeMap<String, Vec<(usize, types::Change)>>,
}

/// What merging did to one record.
struct Outcome {
    pk: String,
    before: Record,
    after: Record,
}

/// Merges a page. `from` names the replica it came from, so that it is not sent back there.
pub(crate) async fn merge(core: &std::sync::Arc<Core>, changes: &[Change], from: &str) -> Result<MergeReport, Error> {
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
    let (tx, session) = core.begin(TransactionOptions::default()).await?;
    match merge_shares(core, &tx, &shares, from, &mut report).await {
        Ok(wrote) => {
            tx.commit().await?;
            drop(session);
            if report.parked > 0 {
                core.has_parked.store(true, Ordering::SeqCst);
            }
            if wrote {
                core.committed();
            }
        }
        Err(error) => {
            tx.rollback().await?;
            return Err(error);
        }
    }
    report.rejected.sort_by_key(|rejection| rejection.index);
    Ok(report)
}

async fn merge_shares(
    core: &Core,
    tx: &DatabaseTransaction,
    shares: &BTreeMap<String, Share>,
    from: &str,
    report: &mut MergeReport,
) -> Result<bool, Error> {
    let mut newest = 0;
    let mut outcomes: BTreeMap<&str, Vec<Outcome>> = BTreeMap::new();
    for (name, share) in shares {
        let pks: Vec<_> = share.changes.keys().cloned().collect();
        let mut loaded = shadow::read(tx, &core.registry, &share.table, &pks).await?;
        newest = newest.max(loaded.newest);
        for (pk, changes) in &share.changes {
            let before = loaded.records.remove(pk).unwrap_or_default();
            let after = join(&before, changes, report);
            if after != before {
                let pk = pk.clone();
                outcomes.entry(name).or_default().push(Outcome { pk, before, after });
            }
        }
    }
    if outcomes.is_empty() {
        return Ok(false);
    }
    for (name, outcomes) in &outcomes {
        let share = &shares[*name];
        let mut batch = shadow::Batch::default();
        for outcome in outcomes {
            let incoming = &share.changes[&outcome.pk];
            batch.record(&outcome.pk, &outcome.before, &outcome.after, |key, content| {
                let unchanged = incoming.iter().any(|(_, change)| is_same(change, key, content));
                (unchanged && !from.is_empty()).then(|| from.to_owned())
            });
        }
        shadow::write(tx, &share.table, newest + 1, &batch).await?;
    }
    report.parked = write_rows(core, tx, shares, outcomes).await?;
    Ok(true)
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

/// Writes the rows of what changed, and returns how many had to be parked.
async fn write_rows(
    core: &Core,
    tx: &DatabaseTransaction,
    shares: &BTreeMap<String, Share>,
    outcomes: BTreeMap<&str, Vec<Outcome>>,
) -> Result<usize, Error> {
    let mut wanted: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
    let mut changed = BTreeSet::new();
    for (name, outcomes) in outcomes {
        let table = &shares[name].table;
        let rows: Vec<_> = outcomes
            .into_iter()
            .filter_map(|outcome| row_of(table, outcome))
            .collect();
        if !rows.is_empty() {
            changed.insert(name.to_owned());
            wanted.insert(name.to_owned(), rows);
        }
    }
    if wanted.is_empty() {
        return Ok(0);
    }
    let written: HashMap<_, _> = wanted
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
        rows.filter(|wanted| wanted.pk == row.pk)
            .for_each(|wanted| wanted.fields = None);
    }
    let failed = materialise(core, tx, wanted).await?;
    if !waiting.is_empty() {
        let failed: BTreeSet<_> = failed.iter().map(|row| (&row.table, &row.pk)).collect();
        for (table, mut pks) in written {
            pks.retain(|pk| !failed.contains(&(&table, pk)));
            parked::remove(tx, &table, &pks).await?;
        }
    }
    parking::park(core, tx, &failed).await?;
    if !core.may_have_parked() {
        return Ok(0);
    }
    parking::release(core, tx, Occasion::Changed(changed)).await?;
    if failed.is_empty() {
        return Ok(0);
    }
    let still: BTreeSet<_> = parked::all(tx)
        .await?
        .into_iter()
        .map(|row| (row.table, row.pk))
        .collect();
    let waits = |row: &&Parked| still.contains(&(row.table.clone(), row.pk.clone()));
    Ok(failed.iter().filter(waits).count())
}

/// The row to be written for a record that changed, with the fields whose values did.
fn row_of(table: &Table, outcome: Outcome) -> Option<Wanted> {
    let Outcome { pk, before, after } = outcome;
    if !before.is_alive() || !after.is_alive() || before.epoch() != after.epoch() {
        let stays_away = !before.is_alive() && !after.is_alive() && before.head().is_some() == after.head().is_some();
        return (!stays_away).then_some(Wanted {
            pk,
            record: after,
            fields: None,
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
    })
}
