//! Writing a transaction's effects to the shadow, set-wise, when it is committed: for each table one statement that writes, where
//! that needs no reading; else one that reads the touched records and one that writes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ConnectionTrait as _, DatabaseTransaction};

use crate::{
    clock::Hlc,
    entity::Table,
    error::Error,
    replica::{
        Core,
        apply::apply,
        effect::{Pending, field_value},
        session::Session,
        share::{Share, shares},
        shown::{self, Doubtful},
        steps,
    },
    store::{
        inexact::{self, Inexact},
        shadow::{self, Blind, Extent, Seen, Written},
        version::{Numbering, Taken},
    },
    types::{Kind, Record},
};

/// Writes what has been collected.
pub(super) async fn flush(session: &Session, tx: &DatabaseTransaction) -> Result<(), Error> {
    let (effects, begun, version, left_at) = session.log().take();
    if effects.is_empty() {
        return Ok(());
    }
    let core = &session.core;
    // The transaction may have been open for long.
    core.may_write()?;
    let mut writing = Writing {
        core,
        tx,
        taken: core.numbering.take(tx, version).await?,
        tries_blindly: left_at.is_none(),
        at: left_at,
        wrote: false,
    };
    let (mut births, mut changed) = (begun.births()?, BTreeMap::<_, BTreeSet<_>>::new());
    for portion in effects.into_portions() {
        let shares = shares(portion?, &mut births);
        for (name, share) in &shares {
            changed
                .entry(name.clone())
                .or_default()
                .extend(share.rows.keys().cloned());
        }
        writing.write(shares).await?;
    }
    let version = writing.wrote.then_some(writing.taken);
    session.log().is_recorded(changed, version);
    Ok(())
}

/// What a record will be once the transaction is committed, if it has done anything to its row. Nothing is written.
pub(super) async fn preview(
    session: &Session,
    tx: &DatabaseTransaction,
    table: &Table,
    pk: &str,
) -> Result<Option<Record>, Error> {
    let (effects, begun, version) = session.log().on(table, pk)?;
    let Some((_, share)) = shares(effects, &mut begun.births()?).pop_first() else {
        return Ok(None);
    };
    let core = &session.core;
    if core.numbering.is_exclusive() {
        // Cells are read with locks, and whoever locks cells has this before.
        let taken = core.numbering.take(tx, version).await?;
        session.log().version = taken;
    }
    let loaded = load(core, tx, share, true).await?;
    let records = loaded.records.values();
    let at = core.clock.tick(records.filter_map(Record::clock).max());
    let pending = loaded.share.rows.get(pk);
    pending.map(|pending| loaded.folded(pk, pending, &at)).transpose()
}

/// How far the writing of a transaction has come.
struct Writing<'a> {
    core: &'a Core,
    tx: &'a DatabaseTransaction,
    taken: Taken,
    tries_blindly: bool,
    /// All that a transaction writes has one clock value, unless a record is ahead of it.
    at: Option<Hlc>,
    wrote: bool,
}

impl Writing<'_> {
    async fn write(&mut self, shares: BTreeMap<String, Share>) -> Result<(), Error> {
        let Self { core, tx, .. } = *self;
        let mut read = Vec::new();
        // Before anything is read: the newest version is the transaction's own afterwards.
        for mut share in shares.into_values() {
            match self.write_blindly(&mut share).await? {
                Written::All => continue,
                Written::Some(cells) => steps::leave_out(&share.table, &mut share.rows, &cells),
                Written::None => {}
            }
            read.push(share);
        }
        let (mut loaded, mut newest, mut any_parked) = (Vec::with_capacity(read.len()), 0, None);
        for share in read {
            let share = load(core, tx, share, false).await?;
            newest = newest.max(share.newest);
            any_parked = any_parked.or(share.any_parked);
            loaded.push(share);
        }
        if loaded.is_empty() {
            return Ok(());
        }
        core.look_for_parked(tx, any_parked).await?;
        let records = loaded.iter().flat_map(|loaded| loaded.records.values());
        let above = records.filter_map(Record::clock).max();
        let at = self.at.take().filter(|at| above.is_none_or(|above| above < at));
        let at = at.unwrap_or_else(|| core.clock.tick(above));
        let version = Numbering::after(self.taken, newest);
        for loaded in &loaded {
            let (batch, outdated) = loaded.batch(tx, &at)?;
            let table = &loaded.share.table;
            if core.may_have_parked() {
                inexact::forget_fields(tx, table, &outdated).await?;
            }
            if !batch.is_empty() {
                core.statistics.grew(&table.name, batch.len());
                shadow::write(tx, table, version, batch, &loaded.seen).await?;
                self.wrote = true;
                self.taken = Taken::Is(version);
            }
        }
        self.at = Some(at);
        Ok(())
    }

    /// Writes a share that is of one kind without reading it. The records of what was not written have to be read.
    async fn write_blindly(&mut self, share: &mut Share) -> Result<Written, Error> {
        let Self { core, tx, .. } = *self;
        if !self.tries_blindly || share.has_begun() || core.may_have_parked() {
            return Ok(Written::None);
        }
        if share.has_new_rows_to_read() && shadow::can_be_blind(tx.get_database_backend(), share.rows.len()) {
            share.read_missing_rows(tx, &HashMap::new()).await?;
        }
        let Some(steps) = steps::of(&share.table, &share.rows)? else {
            return Ok(Written::None);
        };
        if !shadow::can_be_blind(tx.get_database_backend(), steps.len()) {
            return Ok(Written::None);
        }
        let at = self.at.get_or_insert_with(|| core.clock.tick(None));
        let blind = Blind::new(tx, &core.texts, &core.registry, &share.table, at, self.taken);
        core.statistics.grew(&share.table.name, steps.len());
        let (written, taken) = blind.write(steps).await?;
        self.taken = taken;
        self.wrote |= written != Written::None;
        Ok(written)
    }
}

/// A share, and what is known of its rows.
struct Loaded {
    share: Share,
    /// How much of each record there is.
    extents: BTreeMap<String, Extent>,
    records: HashMap<String, Record>,
    newest: i64,
    seen: Seen,
    any_parked: Option<bool>,
    shown: Inexact,
}

/// Reads the records of a share, and those of its rows that are not known.
async fn load(core: &Core, tx: &DatabaseTransaction, mut share: Share, wholly: bool) -> Result<Loaded, Error> {
    // Of rows that may be parked, all: what was noted of them holds for all.
    let mut extents = share.extents(wholly || core.may_have_parked());
    let mut loaded = shadow::read_to_write(tx, &core.registry, &share.table, &extents).await?;
    // A record that lives only from now on is made from all that there is.
    let alive = |pk: &str| loaded.records.get(pk).is_some_and(Record::is_alive);
    let partly = extents.iter().filter(|(pk, extent)| !extent.is_whole() && !alive(pk));
    let rest = Extent::whole(partly.map(|(pk, _)| pk.clone()));
    if !rest.is_empty() {
        let whole = shadow::read_to_write(tx, &core.registry, &share.table, &rest).await?;
        loaded.records.extend(whole.records);
        extents.extend(rest);
    }
    let records = loaded.records;
    share.read_missing_rows(tx, &records).await?;
    let shown = if core.may_have_parked() {
        // All there are: what was noted of a row that waits may hold no longer.
        let pks: Vec<_> = share.rows.keys().cloned().collect();
        inexact::load(tx, &share.table, &pks).await?
    } else {
        let changed = share.rows.iter().filter(|(_, pending)| pending.changed.is_some());
        let rows = changed.filter_map(|(pk, pending)| {
            Some(Doubtful {
                pk,
                record: records.get(pk)?,
                row: pending.row.as_ref()?,
                with_sets: extents.get(pk).is_some_and(Extent::is_whole),
            })
        });
        shown::notes_on(core, tx, &share.table, rows).await?
    };
    Ok(Loaded {
        share,
        extents,
        records,
        newest: loaded.newest,
        seen: loaded.seen,
        any_parked: loaded.any_parked,
        shown,
    })
}

impl Loaded {
    /// What a record was before the transaction, with what was done to its row applied.
    fn folded(&self, pk: &str, pending: &Pending, at: &Hlc) -> Result<Record, Error> {
        let stored = self.records.get(pk).filter(|_| !self.share.is_begun(pk));
        let (mut record, row) = (stored.cloned().unwrap_or_default(), pending.row.as_ref());
        apply(&self.share.table, pk, &mut record, pending, row, at, &self.shown)?;
        Ok(record)
    }

    /// What is to be written to the shadow; and the fields, with the keys of their rows, that no longer show what was noted.
    fn batch(&self, tx: &DatabaseTransaction, at: &Hlc) -> Result<(shadow::Batch, Vec<(String, String)>), Error> {
        let Self {
            share,
            extents,
            records,
            shown,
            ..
        } = self;
        let mut batch = shadow::Batch::default();
        let mut outdated = Vec::new();
        for (pk, pending) in &share.rows {
            // Every key asked for comes back, empty when there is no such record.
            let Some(stored) = records.get(pk) else { continue };
            let after = self.folded(pk, pending, at)?;
            batch.record(&share.table, pk, stored, &after, |_| None);
            // A row that has come and gone is nothing, unless its record was there.
            let is_nothing = after.head().is_none() && (share.is_begun(pk) || after == *stored);
            if pending.began_born && !is_nothing {
                batch.claim(tx.get_database_backend(), pk, &after);
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
