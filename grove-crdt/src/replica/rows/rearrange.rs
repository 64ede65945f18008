//! Writing rows that no order of whole rows can write: unique values that change places, rows that refer to each other, a row that
//! takes what a deleted one leaves.
//!
//! All happens within a savepoint. Checks are deferred where the database can. Rows give up unique values that others want; then
//! rows are written in the order of their references, some of which stay null until their parents are there; then deletes
//! follow. What is refused then breaks a rule in the final state: it is parked, and the rest is written anew without it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::{BoxFuture, FutureExt as _};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _, Value};

use super::{
    along::Along,
    delete::Deleted,
    order::{Reference, by_reference, places, references, tuple},
    orphans::{self, Keys},
    savepoint::{Refusal, attempt},
    target::{ChangeKind, RowChange, RowId},
    vacate::{self, Means, Room, stand_in},
    writer::{Group, Refused, RowWriter},
};
use crate::{
    entity::{Row, Table, null_of},
    error::Error,
    store::{catalog::ForeignKey, deferral, row},
};

/// Among how many rows the one is looked for that keeps the others from being written.
const MAX_SINGLED_OUT: usize = 32;

/// What became of an attempt to rearrange rows.
pub(super) enum Outcome {
    /// All are written. These other rows went along with deleted ones, or were changed, although they live.
    Done(Vec<(RowId, Refusal)>),
    /// These rows break a rule in the final state.
    Refused(Vec<(RowId, Refusal)>),
    /// The rows break a rule together, and the database does not say which of them does.
    Unclear(Refusal),
    /// Some row can't give up a unique value where it is.
    NeedsLifting,
}

impl RowWriter<'_> {
    /// Writes rows in steps, and parks those that break a rule in the final state. `reasons` has what rows were refused for before.
    pub(super) fn settle<'b>(
        &'b mut self,
        mut changes: Vec<RowChange>,
        reasons: &'b HashMap<RowId, Refusal>,
    ) -> BoxFuture<'b, Result<(), Error>> {
        async move {
            let all = changes.clone();
            let mut rounds = 0_usize;
            while !changes.is_empty() {
                let unclear = match self.rearrange(&changes, reasons).await? {
                    Outcome::Done(lost) => {
                        self.parked.extend(lost);
                        break;
                    }
                    Outcome::Refused(refused) => {
                        rounds += 1;
                        let ids: BTreeSet<_> = refused.iter().map(|(id, _)| id.clone()).collect();
                        self.parked.extend(refused);
                        changes.retain(|change| !ids.contains(&change.id()));
                        continue;
                    }
                    Outcome::Unclear(refusal) => Some(refusal),
                    Outcome::NeedsLifting => None,
                };
                let Some(refusal) = unclear else { continue };
                self.settle_halves(std::mem::take(&mut changes), refusal, reasons)
                    .await?;
            }
            // What a row was refused for may have been refused itself after it.
            if rounds > 1 {
                self.look_again(&all, reasons).await?;
            }
            Ok(())
        }
        .boxed()
    }

    /// Tries the rows once more that were refused on the way, together and then each by itself: they are parked for what keeps them
    /// from being written in the end.
    async fn look_again(&mut self, all: &[RowChange], reasons: &HashMap<RowId, Refusal>) -> Result<(), Error> {
        loop {
            let refused = all.iter().filter(|change| self.parked.contains_key(&change.id()));
            let refused: Vec<_> = refused.cloned().collect();
            if refused.is_empty() || refused.len() > MAX_SINGLED_OUT {
                return Ok(());
            }
            let mut any = false;
            if let Outcome::Done(lost) = self.rearrange(&refused, reasons).await? {
                for change in &refused {
                    self.parked.remove(&change.id());
                }
                self.parked.extend(lost);
                return Ok(());
            }
            for change in refused {
                let id = change.id();
                match self.rearrange(&[change], reasons).await? {
                    Outcome::Done(lost) => {
                        any = true;
                        self.parked.remove(&id);
                        self.parked.extend(lost);
                    }
                    Outcome::Refused(own) => self.parked.extend(own),
                    Outcome::Unclear(refusal) => self.park(id, refusal),
                    Outcome::NeedsLifting => {}
                }
            }
            if !any {
                return Ok(());
            }
        }
    }

    /// Writes all rows but one, if that is to be found; else each half of the rows without the other, and then, together, the rows that were refused alone.
    async fn settle_halves(
        &mut self,
        mut changes: Vec<RowChange>,
        refusal: Refusal,
        reasons: &HashMap<RowId, Refusal>,
    ) -> Result<(), Error> {
        if changes.len() == 1 {
            self.parked.extend(changes.pop().map(|change| (change.id(), refusal)));
            return Ok(());
        }
        if changes.len() <= MAX_SINGLED_OUT {
            for at in 0..changes.len() {
                let mut others = changes.clone();
                let one = others.remove(at);
                if let Outcome::Done(lost) = self.rearrange(&others, reasons).await? {
                    self.parked.extend(lost);
                    self.park(one.id(), refusal);
                    return Ok(());
                }
            }
        }
        let all = changes.clone();
        let second = changes.split_off(changes.len() / 2);
        self.settle(changes, reasons).await?;
        self.settle(second, reasons).await?;
        let left: Vec<_> = all
            .iter()
            .filter(|change| self.parked.contains_key(&change.id()))
            .cloned()
            .collect();
        // A part of what changes places was tried without the rest.
        if left.len() < 2 || left.len() == all.len() {
            return Ok(());
        }
        let before: Vec<_> = left
            .iter()
            .filter_map(|change| self.parked.remove_entry(&change.id()))
            .collect();
        match self.rearrange(&left, reasons).await? {
            Outcome::Done(lost) => self.parked.extend(lost),
            _ => self.parked.extend(before),
        }
        Ok(())
    }

    /// Tries to write rows in place, and else by deleting some and inserting them again.
    async fn rearrange(&mut self, changes: &[RowChange], reasons: &HashMap<RowId, Refusal>) -> Result<Outcome, Error> {
        match self.rearrange_by(Means::InPlace, changes, reasons).await? {
            Outcome::NeedsLifting => self.rearrange_by(Means::Lifting, changes, reasons).await,
            outcome => Ok(outcome),
        }
    }

    async fn rearrange_by(
        &mut self,
        means: Means,
        changes: &[RowChange],
        reasons: &HashMap<RowId, Refusal>,
    ) -> Result<Outcome, Error> {
        let savepoint = self.tx.begin().await?;
        deferral::defer(&savepoint).await?;
        let inner = RowWriter {
            core: self.core,
            tx: &savepoint,
            catalog: self.catalog,
            targets: std::mem::take(&mut self.targets),
            parked: BTreeMap::new(),
        };
        let outcome = inner.run(means, changes, reasons).await;
        self.targets = inner.targets;
        let outcome = outcome?;
        deferral::end(&savepoint).await?;
        if matches!(outcome, Outcome::Done(_)) {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
        Ok(outcome)
    }

    async fn run(
        &self,
        means: Means,
        changes: &[RowChange],
        reasons: &HashMap<RowId, Refusal>,
    ) -> Result<Outcome, Error> {
        let mut rows = self.read(changes.to_vec()).await?;
        let rooms = vacate::plan(self.catalog, &rows.changes, &rows.present, means);
        let needs_lifting = rooms.iter().any(|(_, room)| *room == Room::Lift);
        if needs_lifting && means == Means::InPlace {
            return Ok(Outcome::NeedsLifting);
        }
        if means == Means::Lifting
            && let Some(refused) = self.lift(&mut rows, &rooms, reasons).await?
        {
            return Ok(refused);
        }
        if let Some(refused) = self.make_room(means, &mut rows, &rooms).await? {
            return Ok(refused);
        }
        let mut along = Along::default();
        let mut deleted = Deleted::new(&mut along);
        if means == Means::Lifting {
            self.take_out(&rows, &mut deleted).await?;
        }
        let mut refused = std::mem::take(&mut deleted.refused);
        if refused.is_empty() {
            self.put_in(&rows, deleted.along, &mut refused).await?;
        }
        if means == Means::InPlace && refused.is_empty() {
            self.delete_in_order(&rows, &mut deleted).await?;
            refused.append(&mut deleted.refused);
        }
        if !refused.is_empty() {
            return Ok(outcome_of(refused, changes));
        }
        let lost = self.restore(&along, &rows.changes).await?;
        self.check_deferred(&rows, &mut refused).await?;
        if !refused.is_empty() {
            return Ok(outcome_of(refused, changes));
        }
        match self.broken_along(&rows, &along, self.deferred_keys()).await? {
            Some(Ok(guilty)) => return Ok(outcome_of(guilty, changes)),
            Some(Err(refusal)) => return Ok(Outcome::Unclear(refusal)),
            None => {}
        }
        match attempt(self.tx, async |tx| deferral::check(tx).await).await? {
            Ok(()) => Ok(Outcome::Done(lost)),
            Err(refusal) => Ok(Outcome::Unclear(refusal)),
        }
    }

    /// The rows as they are now, with what is to be done to them.
    async fn read(&self, changes: Vec<RowChange>) -> Result<Rearranged, Error> {
        let mut keys: BTreeMap<String, Vec<Vec<Value>>> = BTreeMap::new();
        for change in &changes {
            keys.entry(change.table.name.clone())
                .or_default()
                .push(change.key.clone());
        }
        let mut present = HashMap::new();
        for (name, keys) in keys {
            let table = self.core.registry.require(&name)?;
            let rows = row::read(self.tx, table, &keys).await?;
            present.extend(rows.into_iter().map(|(pk, row)| ((name.clone(), pk), row)));
        }
        let mut known = Vec::with_capacity(changes.len());
        for mut change in changes {
            let row = present.get(&change.id());
            change.is_there = row.is_some();
            if change.is_delete() {
                let Some(row) = row else { continue };
                change.row.clone_from(row);
            }
            known.push(change);
        }
        Ok(Rearranged {
            changes: known,
            present,
            lifted: BTreeSet::new(),
            emptied: BTreeSet::new(),
            stuck: BTreeSet::new(),
        })
    }

    /// Empties references and has rows give up unique values, where they stay.
    async fn make_room(
        &self,
        means: Means,
        rows: &mut Rearranged,
        rooms: &[(usize, Room)],
    ) -> Result<Option<Outcome>, Error> {
        let nulls = rooms.iter().filter_map(|(at, room)| match room {
            Room::Null(column) => Some((*at, *column)),
            _ => None,
        });
        let nulls: BTreeSet<_> = nulls.chain(std::mem::take(&mut rows.emptied)).collect();
        for ((_, column), emptied) in rows.by_column(nulls) {
            let table = rows.changes[emptied[0]].table.clone();
            let keys: Vec<_> = emptied.iter().map(|at| rows.changes[*at].key.clone()).collect();
            let done = attempt(self.tx, async |tx| row::set_null(tx, &table, &keys, column).await).await?;
            if let Err(refusal) = done {
                return Ok(Some(cant_make_room(means, refusal)));
            }
            for at in emptied {
                rows.give_up(at, column);
                rows.empty(at, column);
            }
        }
        let mut number = 0;
        for (at, room) in rooms {
            let Room::StandIn(column) = room else { continue };
            rows.give_up(*at, *column);
            let change = &rows.changes[*at];
            let Some(value) = stand_in(&change.table.columns[*column].value_type, number) else {
                continue;
            };
            number += 1;
            let set = [(*column, value)];
            let done = attempt(self.tx, async |tx| row::set(tx, &change.table, &change.key, &set).await).await?;
            if let Err(refusal) = done {
                return Ok(Some(cant_make_room(means, refusal)));
            }
        }
        Ok(None)
    }

    /// Deletes the rows that are to be inserted again, and those that are to be deleted, children first.
    async fn take_out(&self, rows: &Rearranged, deleted: &mut Deleted<'_>) -> Result<(), Error> {
        let out = rows.changes.iter().enumerate().filter_map(|(at, change)| {
            let row = rows.present.get(&change.id())?;
            let leaves = change.is_delete() || rows.lifted.contains(&at);
            leaves.then(|| RowChange {
                row: row.clone(),
                ..change.clone()
            })
        });
        let (steps, _) = self.children_first(out.collect(), |_, _| None);
        for step in steps {
            self.delete(step, Keys::None, deleted).await?;
        }
        Ok(())
    }

    /// Writes the rows that are to be there, each after those that it refers to.
    async fn put_in(&self, rows: &Rearranged, along: &mut Along, refused: &mut Refused) -> Result<(), Error> {
        let backend = self.tx.get_database_backend();
        let mut writes = Vec::new();
        for (at, change) in rows
            .changes
            .iter()
            .enumerate()
            .filter(|(_, change)| !change.is_delete())
        {
            let mut change = change.clone();
            change.is_there &= !rows.lifted.contains(&at);
            writes.push(change);
        }
        let targets: Vec<_> = writes.iter().map(|change| (&*change.table, &change.row)).collect();
        let mut references = references(self.catalog, &targets);
        references.retain(|reference| rows.arrives(&writes[reference.parent], reference));
        let column_to_empty =
            |reference: &Reference<'_>| self.nullable_column(&writes[reference.child].table, reference.key);
        let order = by_reference(writes.len(), &references, |reference| {
            column_to_empty(reference).is_some()
        });
        let mut incomplete: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for reference in &order.broken {
            incomplete
                .entry(reference.child)
                .or_default()
                .extend(column_to_empty(reference));
        }
        let mut levels = order.levels;
        levels.sort_by(|(a, level), (b, other)| {
            let form = |at: usize| (&writes[at].table.name, writes[at].is_there);
            (level, form(*a)).cmp(&(other, form(*b)))
        });
        let in_order = levels.iter().map(|(at, _)| {
            let mut change = writes[*at].clone();
            for column in incomplete.get(at).into_iter().flatten() {
                change.row[*column] = null_of(&change.table.columns[*column].value_type);
            }
            change
        });
        for Group { form, changes } in Group::in_order(backend, self.catalog, in_order.collect()) {
            let changes = self.watch_update(&form, changes, along, refused).await?;
            self.write_halving(&form, changes, refused).await?;
        }
        if !refused.is_empty() {
            return Ok(());
        }
        let complete = incomplete.keys().map(|at| RowChange {
            is_there: true,
            ..writes[*at].clone()
        });
        for Group { form, changes } in Group::in_order(backend, self.catalog, complete.collect()) {
            self.write_halving(&form, changes, refused).await?;
        }
        Ok(())
    }

    /// Deletes rows, each before those that it refers to. Where rows refer to each other, references become null first.
    async fn delete_in_order(&self, rows: &Rearranged, deleted: &mut Deleted<'_>) -> Result<(), Error> {
        let deletes: Vec<_> = rows
            .changes
            .iter()
            .filter(|change| change.is_delete())
            .cloned()
            .collect();
        let (steps, broken) = self.children_first(deletes, |table, key| self.nullable_column(table, key));
        for (change, column) in broken {
            let keys = [change.key.clone()];
            let done = attempt(self.tx, async |tx| {
                row::set_null(tx, &change.table, &keys, column).await
            })
            .await?;
            deleted.refused.extend(done.err().map(|refusal| (change, refusal)));
        }
        self.let_go_of_themselves(&steps).await?;
        for step in steps {
            self.delete(step, self.deferred_keys(), deleted).await?;
        }
        Ok(())
    }

    /// Finds the rows that break foreign keys which the database checks only when the transaction commits.
    async fn check_deferred(&self, rows: &Rearranged, refused: &mut Refused) -> Result<(), Error> {
        let mut by_table: BTreeMap<&str, Vec<RowChange>> = BTreeMap::new();
        for change in rows.changes.iter().filter(|change| !change.is_delete()) {
            by_table.entry(&change.table.name).or_default().push(change.clone());
        }
        for changes in by_table.into_values() {
            self.without_orphans(changes, self.deferred_keys(), refused).await?;
        }
        if !refused.is_empty() {
            // Without them, what they refer to may go.
            return Ok(());
        }
        let mut by_table: BTreeMap<&str, Vec<(&RowChange, &Row)>> = BTreeMap::new();
        for change in &rows.changes {
            let before = rows.present.get(&change.id());
            let entry = before.map(|before| (change, before));
            by_table.entry(&change.table.name).or_default().extend(entry);
        }
        for changes in by_table.into_values().filter(|changes| !changes.is_empty()) {
            let table = &changes[0].0.table;
            let before: Vec<_> = changes.iter().map(|(_, before)| *before).collect();
            let left = orphans::left_behind(self.tx, self.catalog, table, &before, self.deferred_keys()).await?;
            for (at, child) in left {
                let refusal = Refusal::kept_by(&child);
                refused.push((changes[at].0.clone(), refusal));
            }
        }
        Ok(())
    }

    fn deferred_keys(&self) -> Keys {
        if deferral::defers_all_keys(self.tx.get_database_backend()) {
            Keys::All
        } else {
            Keys::Deferred
        }
    }

    /// A column that makes a row refer to nothing when it is null.
    pub(super) fn nullable_column(&self, table: &Table, key: &ForeignKey) -> Option<usize> {
        let columns = places(table, &key.child_columns)?;
        let can_be_null = |index: &usize| {
            let name = &table.columns[*index].name;
            self.catalog.is_nullable(&table.name, name) && !self.catalog.is_generated(&table.name, name)
        };
        columns
            .into_iter()
            .find(|index| !table.key.contains(index) && can_be_null(index))
    }
}

/// Rows that are rearranged.
pub(super) struct Rearranged {
    pub changes: Vec<RowChange>,
    /// The rows as they are. While rows make room, what they give up is null here too.
    pub present: HashMap<RowId, Row>,
    /// The places of the rows that are deleted and inserted again.
    pub lifted: BTreeSet<usize>,
    /// The places of rows, each with a column of a reference that is to be null.
    pub emptied: BTreeSet<(usize, usize)>,
    /// The places of rows that can't be deleted for a while, since rows refer to them that are not replicated.
    pub stuck: BTreeSet<usize>,
}

impl Rearranged {
    /// Has a column of a row written, since it holds something else for a while.
    fn give_up(&mut self, at: usize, column: usize) {
        if let ChangeKind::Write { update, .. } = &mut self.changes[at].kind
            && !update.contains(&column)
        {
            update.push(column);
        }
    }

    fn empty(&mut self, at: usize, column: usize) {
        let change = &self.changes[at];
        let null = null_of(&change.table.columns[column].value_type);
        if let Some(row) = self.present.get_mut(&change.id()) {
            row[column] = null;
        }
    }

    /// Whether what a reference needs of a parent is there only once the parent is written.
    fn arrives(&self, parent: &RowChange, reference: &Reference<'_>) -> bool {
        let Some(columns) = places(&parent.table, &reference.key.parent_columns) else {
            return false;
        };
        let before = self.present.get(&parent.id()).filter(|_| parent.is_there);
        before.is_none_or(|before| tuple(before, &columns) != tuple(&parent.row, &columns))
    }

    /// Places by the table and a column.
    fn by_column(&self, places: BTreeSet<(usize, usize)>) -> BTreeMap<(String, usize), Vec<usize>> {
        let mut by_column: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, column) in places {
            let table = self.changes[at].table.name.clone();
            by_column.entry((table, column)).or_default().push(at);
        }
        by_column
    }
}

/// What becomes of rows that could not make room.
fn cant_make_room(means: Means, refusal: Refusal) -> Outcome {
    match means {
        Means::InPlace => Outcome::NeedsLifting,
        Means::Lifting => Outcome::Unclear(refusal),
    }
}

/// What becomes of `changes` when rows were refused: some of them, or rows that had to be deleted and inserted again for them.
fn outcome_of(refused: Refused, changes: &[RowChange]) -> Outcome {
    let own: BTreeSet<_> = changes.iter().map(RowChange::id).collect();
    let (own, mut others): (Vec<_>, Vec<_>) = refused
        .into_iter()
        .map(|(change, refusal)| (change.id(), refusal))
        .partition(|(id, _)| own.contains(id));
    match others.pop() {
        Some((_, refusal)) if own.is_empty() => Outcome::Unclear(refusal),
        _ => Outcome::Refused(own),
    }
}
