//! Rows that are deleted and inserted again, because they can't give up a unique value where they are; and the rows that refer to
//! them, which have to go along or to be null for a while.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use sea_orm::{ConnectionTrait as _, DbBackend};

use super::{
    along::is_known_whole,
    order::{places, tuple},
    rearrange::{Outcome, Rearranged},
    savepoint::Refusal,
    target::{RowChange, RowId},
    vacate::{Room, write_as_it_is},
    writer::RowWriter,
};
use crate::{
    entity::{Row, Table, key},
    error::Error,
    store::{
        catalog::{Action, ForeignKey},
        constraint::Constraint,
        deferral, references, row,
    },
};

impl RowWriter<'_> {
    /// Finds all rows that have to be lifted, and the references that have to be null before. Returns an outcome if that can't be
    /// done.
    pub(super) async fn lift(
        &self,
        rows: &mut Rearranged,
        rooms: &[(usize, Room)],
        reasons: &HashMap<RowId, Refusal>,
    ) -> Result<Option<Outcome>, Error> {
        let lifted = rooms
            .iter()
            .filter(|(at, room)| *room == Room::Lift && !rows.changes[*at].is_delete());
        let mut next: BTreeSet<usize> = lifted.map(|(at, _)| *at).collect();
        rows.lifted.clone_from(&next);
        let deletes = rows.changes.iter().enumerate().filter(|(_, change)| change.is_delete());
        next.extend(deletes.map(|(at, _)| at));
        while !next.is_empty() {
            let mut by_table: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            for at in std::mem::take(&mut next) {
                let name = rows.changes[at].table.name.clone();
                by_table.entry(name).or_default().push(at);
            }
            for (name, parents) in by_table {
                let keys: Vec<_> = self.catalog.children_of(&name).cloned().collect();
                for key in keys.iter().filter(|key| !self.waits(key)) {
                    self.follow(rows, key, &parents, &mut next).await?;
                }
            }
        }
        let stuck: Vec<_> = rows
            .lifted
            .iter()
            .filter(|at| !self.can_be_lifted(rows, **at))
            .collect();
        let mut refused = Vec::new();
        for at in stuck {
            let id = rows.changes[*at].id();
            let why = || {
                let detail = "UNIQUE: the row can't give up its value for another while this one takes it";
                Refusal::found(Constraint::Unique, detail.into())
            };
            let refusal = reasons.get(&id).cloned().unwrap_or_else(why);
            refused.push((id, refusal));
        }
        Ok((!refused.is_empty()).then_some(Outcome::Refused(refused)))
    }

    /// Whether a key lets its parents go for a while.
    fn waits(&self, key: &ForeignKey) -> bool {
        let is_deferred = key.deferred || deferral::defers_all_keys(self.tx.get_database_backend());
        is_deferred && key.on_delete == Action::Refuse
    }

    /// Finds what refers to these rows by a key.
    async fn follow(
        &self,
        rows: &mut Rearranged,
        key: &ForeignKey,
        parents: &[usize],
        next: &mut BTreeSet<usize>,
    ) -> Result<(), Error> {
        let parent_table = rows.changes[parents[0]].table.clone();
        let Some(parent_columns) = places(&parent_table, &key.parent_columns) else {
            return Ok(());
        };
        let offered: HashMap<String, usize> = parents
            .iter()
            .filter_map(|at| {
                let row = rows.present.get(&rows.changes[*at].id())?;
                Some((tuple(row, &parent_columns)?.1, *at))
            })
            .collect();
        let tuples: Vec<_> = offered
            .values()
            .filter_map(|at| Some(tuple(rows.present.get(&rows.changes[*at].id())?, &parent_columns)?.0))
            .collect();
        let Some(table) = self.core.registry.get(&key.child) else {
            // Rows that are not replicated can't be taken out.
            let lifted: Vec<_> = offered
                .values()
                .filter(|at| rows.lifted.contains(at))
                .copied()
                .collect();
            let tuples: Vec<_> = lifted
                .iter()
                .filter_map(|at| Some(tuple(rows.present.get(&rows.changes[*at].id())?, &parent_columns)?.0))
                .collect();
            let kept = references::present(self.tx, &key.child, &key.child_columns, &tuples).await?;
            rows.stuck.extend(kept.into_iter().map(|index| lifted[index]));
            return Ok(());
        };
        let Some(columns) = places(table, &key.child_columns) else {
            return Ok(());
        };
        let children = row::with_tuples(self.tx, table, &columns, &tuples).await?;
        let handed_on = handed_on(rows, key);
        let known: HashMap<RowId, usize> = rows
            .changes
            .iter()
            .enumerate()
            .map(|(at, change)| (change.id(), at))
            .collect();
        for (pk, child) in children {
            let text = tuple(&child, &columns).map(|(_, text)| text).unwrap_or_default();
            let stays =
                handed_on.contains(&text) || offered.get(&text).is_some_and(|parent| rows.lifted.contains(parent));
            let id = (table.name.clone(), pk);
            let at = match known.get(&id) {
                Some(at) => *at,
                // It lives on although its parent goes for good: the final state decides.
                None if !stays => continue,
                None => self.add_as_it_is(rows, table, id.1, child)?,
            };
            let leaves = rows.changes[at].is_delete() || rows.lifted.contains(&at);
            let keeps_itself = self.keeps_itself(key) && offered.get(&text) == Some(&at);
            if leaves && !keeps_itself {
                continue;
            }
            match self.nullable_column(table, key) {
                Some(column) => drop(rows.emptied.insert((at, column))),
                None if leaves => drop(rows.stuck.insert(at)),
                None => {
                    rows.lifted.insert(at);
                    next.insert(at);
                }
            }
        }
        Ok(())
    }

    /// Whether a row that refers to itself by a key can't be deleted: MySQL and MariaDB look before it is gone.
    pub(super) fn keeps_itself(&self, key: &ForeignKey) -> bool {
        self.tx.get_database_backend() == DbBackend::MySql
            && self.catalog.is_same(&key.child, &key.parent)
            && !key.on_delete.acts()
    }

    /// Adds a row that is to be as it is.
    fn add_as_it_is(&self, rows: &mut Rearranged, table: &Arc<Table>, pk: String, row: Row) -> Result<usize, Error> {
        let change = RowChange {
            table: table.clone(),
            key: key::parse(table, &pk)?,
            pk,
            row: row.clone(),
            kind: write_as_it_is(self.catalog, table),
            is_there: true,
        };
        rows.present.insert(change.id(), row);
        rows.changes.push(change);
        Ok(rows.changes.len() - 1)
    }

    /// Whether all that a row holds is known, so that it can be inserted again, and no row that is not replicated keeps it.
    fn can_be_lifted(&self, rows: &Rearranged, at: usize) -> bool {
        let change = &rows.changes[at];
        let present = rows.present.get(&change.id()).unwrap_or(&change.row);
        is_known_whole(self.catalog, &change.table, present) && !rows.stuck.contains(&at)
    }
}

/// What other rows refer to by a key and rows are to offer in the end, whoever offers it now.
fn handed_on(rows: &Rearranged, key: &ForeignKey) -> BTreeSet<String> {
    let offering = rows.changes.iter().filter(|change| !change.is_delete());
    let offering = offering.filter(|change| change.table.name == key.parent);
    let offered = offering.filter_map(|change| {
        let columns = places(&change.table, &key.parent_columns)?;
        Some(tuple(&change.row, &columns)?.1)
    });
    offered.collect()
}
