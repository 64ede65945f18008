//! Writing a transaction's effects to the shadow, set-wise: for each table one statement that writes, where that needs no
//! reading; else one that reads the touched records and one that writes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend};

use crate::{
    clock::Hlc,
    entity::Table,
    error::Error,
    replica::{
        Core,
        apply::apply,
        effect::{Effect, Pending, field_value},
        extent,
        session::Session,
        shown::{self, Doubtful},
        steps,
    },
    store::{
        inexact::{self, Inexact},
        row,
        shadow::{self, Blind, Extent, Seen, Written},
        version::{Numbering, Taken},
    },
    types::{Kind, Record},
};

/// A table's share of a transaction, in key order.
struct Share {
    table: Arc<Table>,
    rows: BTreeMap<String, Pending>,
}

/// A share, and what is known of its rows.
struct Loaded {
    share: Share,
    /// How much of each record there is.
    extents: BTreeMap<String, Extent>,
    records: HashMap<String, Record>,
    seen: Seen,
    shown: Inexact,
}

/// Writes what has been collected since the last flush.
pub(super) async fn flush(session: &Session, tx: &DatabaseTransaction) -> Result<(), Error> {
    let (effects, version, left_at) = {
        let mut log = session.log();
        (log.unflushed(), log.version, log.left_at.take())
    };
    if effects.is_empty() {
        return Ok(());
    }
    let core = &session.core;
    // The transaction may have been open for long.
    core.may_write()?;
    let mut taken = core.numbering.take(tx, version).await?;
    let mut changed: BTreeSet<String> = BTreeSet::new();
    let mut wrote = false;
    // All that a transaction writes has one clock value, unless a record is ahead of it.
    let mut at = left_at.clone();
    let mut read = Vec::new();
    // Before anything is read: the newest version is the transaction's own afterwards.
    for mut share in shares(effects).into_values() {
        changed.insert(share.table.name.clone());
        let written = if left_at.is_some() {
            Written::None
        } else {
            write_blindly(core, tx, &share, &mut taken, &mut at).await?
        };
        wrote |= written != Written::None;
        match written {
            Written::All => continue,
            Written::Some(cells) => steps::leave_out(&share.table, &mut share.rows, &cells),
            Written::None => {}
        }
        read.push(share);
    }
    if read.is_empty() {
        session.log().is_flushed(changed, wrote.then_some(taken));
        return Ok(());
    }
    let mut loaded = Vec::new();
    let (mut newest, mut any_parked) = (0, None);
    for mut share in read {
        let mut extents = share.extents(core);
        let mut records = shadow::read_to_write(tx, &core.registry, &share.table, &extents).await?;
        // A record that lives only from now on is made from all that there is.
        let alive = |pk: &str| records.records.get(pk).is_some_and(Record::is_alive);
        let partly = extents.iter().filter(|(pk, extent)| !extent.is_whole() && !alive(pk));
        let rest = Extent::whole(partly.map(|(pk, _)| pk.clone()));
        if !rest.is_empty() {
            let whole = shadow::read_to_write(tx, &core.registry, &share.table, &rest).await?;
            records.records.extend(whole.records);
            extents.extend(rest);
        }
        read_missing_rows(tx, &mut share, &records.records).await?;
        newest = newest.max(records.newest);
        any_parked = any_parked.or(records.any_parked);
        let shown = if core.may_have_parked() {
            // All there are: what was noted of a row that waits may hold no longer.
            let pks: Vec<_> = share.rows.keys().cloned().collect();
            inexact::load(tx, &share.table, &pks).await?
        } else {
            let changed = share.rows.iter().filter(|(_, pending)| pending.changed.is_some());
            let rows = changed.filter_map(|(pk, pending)| {
                Some(Doubtful {
                    pk,
                    record: records.records.get(pk)?,
                    row: pending.row.as_ref()?,
                    with_sets: extents.get(pk).is_some_and(Extent::is_whole),
                })
            });
            shown::notes_on(core, tx, &share.table, rows).await?
        };
        loaded.push(Loaded {
            shown,
            share,
            extents,
            records: records.records,
            seen: records.seen,
        });
    }
    core.look_for_parked(tx, any_parked).await?;
    let above = loaded
        .iter()
        .flat_map(|loaded| loaded.records.values().filter_map(Record::clock))
        .max();
    let at = at.filter(|at| above.is_none_or(|above| above < at));
    let at = at.unwrap_or_else(|| core.clock.tick(above));
    let version = Numbering::after(taken, newest);
    for loaded in &loaded {
        let (batch, outdated) = batch(tx.get_database_backend(), loaded, &at)?;
        if core.may_have_parked() {
            inexact::forget_fields(tx, &loaded.share.table, &outdated).await?;
        }
        if !batch.is_empty() {
            core.statistics.grew(&loaded.share.table.name, batch.len());
            shadow::write(tx, &loaded.share.table, version, batch, &loaded.seen).await?;
            wrote = true;
            taken = Taken::Is(version);
        }
    }
    session.log().is_flushed(changed, wrote.then_some(taken));
    Ok(())
}

impl Share {
    /// How much has to be read of its records. Of rows that may be parked, all: what was noted of them holds for all.
    fn extents(&self, core: &Core) -> BTreeMap<String, Extent> {
        let any_parked = core.may_have_parked();
        let of = |pending: &Pending| {
            if any_parked {
                Extent::Whole
            } else {
                extent::of_pending(&self.table, pending)
            }
        };
        self.rows
            .iter()
            .map(|(pk, pending)| (pk.clone(), of(pending)))
            .collect()
    }
}

/// Writes a share that is of one kind without reading it. The records of what was not written have to be read.
async fn write_blindly(
    core: &Core,
    tx: &DatabaseTransaction,
    share: &Share,
    taken: &mut Taken,
    at: &mut Option<Hlc>,
) -> Result<Written, Error> {
    if core.may_have_parked() {
        return Ok(Written::None);
    }
    let Some(steps) = steps::of(&share.table, &share.rows)? else {
        return Ok(Written::None);
    };
    if !shadow::can_be_blind(tx.get_database_backend(), steps.len()) {
        return Ok(Written::None);
    }
    let at = at.get_or_insert_with(|| core.clock.tick(None));
    let blind = Blind::new(tx, &core.texts, &core.registry, &share.table, at, *taken);
    core.statistics.grew(&share.table.name, steps.len());
    let (written, now_taken) = blind.write(steps).await?;
    *taken = now_taken;
    Ok(written)
}

fn shares(effects: Vec<Effect>) -> BTreeMap<String, Share> {
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for effect in effects {
        let share = shares.entry(effect.table.name.clone()).or_insert_with(|| Share {
            table: effect.table.clone(),
            rows: BTreeMap::new(),
        });
        let first = !share.rows.contains_key(&effect.pk);
        let pending = share.rows.entry(effect.pk.clone()).or_default();
        pending.add(effect, first);
    }
    shares
}

/// Reads the rows whose statements did not give them back.
async fn read_missing_rows(
    tx: &DatabaseTransaction,
    share: &mut Share,
    records: &HashMap<String, Record>,
) -> Result<(), Error> {
    let missing: Vec<_> = share
        .rows
        .iter()
        .filter(|(pk, pending)| pending.needs_row(records.get(*pk).is_some_and(Record::is_alive)))
        .map(|(_, pending)| pending.key.clone())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    for (pk, row) in row::read(tx, &share.table, &missing).await? {
        if let Some(pending) = share.rows.get_mut(&pk) {
            pending.row = Some(row);
        }
    }
    Ok(())
}

/// What is to be written to the shadow; and the fields, with the keys of their rows, that no longer show what was noted.
fn batch(backend: DbBackend, loaded: &Loaded, at: &Hlc) -> Result<(shadow::Batch, Vec<(String, String)>), Error> {
    let Loaded {
        share,
        extents,
        records,
        shown,
        ..
    } = loaded;
    let mut batch = shadow::Batch::default();
    let mut outdated = Vec::new();
    for (pk, pending) in &share.rows {
        // Every key asked for comes back, empty when there is no such record.
        let Some(before) = records.get(pk) else { continue };
        let mut after = before.clone();
        apply(&share.table, pk, &mut after, pending, pending.row.as_ref(), at, shown)?;
        batch.record(&share.table, pk, before, &after, |_| None);
        // A row that has come and gone is nothing, unless its record was there.
        if pending.began_born && (after != *before || before.head().is_some()) {
            batch.claim(backend, pk, &after);
        }
        let noted = shown.fields(pk);
        let whole = extents.get(pk).is_some_and(Extent::is_whole);
        let over = noted.filter(|field| {
            let is_known = whole || share.table.kind_of(field) != Some(Kind::Set);
            is_known && !is_still_shown(&share.table, pk, &after, pending, shown, field)
        });
        outdated.extend(over.map(|field| (pk.clone(), field.clone())));
    }
    Ok((batch, outdated))
}

/// Whether a note on a field holds after what was done to its row. Where the row was not read, it does unless the field was
/// written.
fn is_still_shown(table: &Table, pk: &str, record: &Record, pending: &Pending, shown: &Inexact, field: &str) -> bool {
    let Some(((column, _), kind)) = table.column(field).zip(table.kind_of(field)) else {
        return false;
    };
    if !record.is_alive() {
        return false;
    }
    let Some(row) = &pending.row else {
        let changed = pending.changed.as_ref();
        return changed.is_none_or(|changed| !changed.fields.contains_key(&column));
    };
    let recorded = record.value(field, kind).ok().flatten();
    let stands = field_value(table, row, column).ok();
    recorded
        .zip(stands)
        .is_some_and(|(recorded, stands)| shown.is_shown_as(pk, field, &recorded, &stands))
}
