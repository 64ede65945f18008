//! Deleting the rows of records that died, and parking what the database takes along although it lives.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use sea_orm::{ConnectionTrait as _, DbBackend};

use super::{
    order::{Reference, by_reference, references},
    orphans::{self, Keys},
    savepoint::{Refusal, attempt},
    target::{RowChange, RowId},
    writer::{Refused, RowWriter},
};
use crate::{
    entity::{Row, Table, key},
    error::Error,
    replica::{
        foreign_keys::{Cascade, Parents},
        watch::Watch,
    },
    store::{catalog::ForeignKey, chunks, constraint::Constraint, row, shadow},
    types::Record,
};

impl RowWriter<'_> {
    /// Deletes rows, children first. Returns those that others of them keep, with the reasons; the other refused ones are parked.
    pub(super) async fn delete_all(
        &mut self,
        deletes: Vec<RowChange>,
    ) -> Result<(Vec<RowChange>, HashMap<RowId, Refusal>), Error> {
        let mut deleted = Deleted::default();
        for step in self.in_steps(deletes) {
            self.delete(step, Keys::Deferred, &mut deleted).await?;
        }
        self.parked.extend(deleted.taken_along);
        let refused = deleted.refused;
        let rows: Vec<_> = refused
            .iter()
            .map(|(change, _)| (&*change.table, &change.row))
            .collect();
        let kept_by_each_other: BTreeSet<_> = references(self.catalog, &rows)
            .into_iter()
            .flat_map(|reference| [reference.child, reference.parent])
            .collect();
        let (mut blocked, mut reasons) = (Vec::new(), HashMap::new());
        for (at, (change, refusal)) in refused.into_iter().enumerate() {
            if kept_by_each_other.contains(&at) {
                reasons.insert(change.id(), refusal);
                blocked.push(change);
            } else {
                self.park(change.id(), refusal);
            }
        }
        Ok((blocked, reasons))
    }

    /// The deletes of each table, in steps: where rows of a table refer to each other, those that nobody refers to come first.
    fn in_steps(&self, deletes: Vec<RowChange>) -> Vec<Vec<RowChange>> {
        let mut steps: Vec<Vec<RowChange>> = Vec::new();
        for change in deletes {
            match steps.last_mut() {
                Some(last) if last[0].table.name == change.table.name => last.push(change),
                _ => steps.push(vec![change]),
            }
        }
        // PostgreSQL checks when the statement has ended.
        if self.tx.get_database_backend() == DbBackend::Postgres {
            return steps;
        }
        let in_order = steps
            .into_iter()
            .flat_map(|step| self.children_first(step, |_, _| None).0);
        in_order.collect()
    }

    /// The deletes in the order in which what refers to others comes first, those of one table together; and the columns that
    /// have to be null before, where rows refer to each other. `to_empty` names such a column, if there is one.
    pub(super) fn children_first(
        &self,
        deletes: Vec<RowChange>,
        to_empty: impl Fn(&Table, &ForeignKey) -> Option<usize>,
    ) -> (Vec<Vec<RowChange>>, Vec<(RowChange, usize)>) {
        let rows: Vec<_> = deletes.iter().map(|change| (&*change.table, &change.row)).collect();
        let references = references(self.catalog, &rows);
        let column = |reference: &Reference<'_>| to_empty(rows[reference.child].0, reference.key);
        let order = by_reference(rows.len(), &references, |reference| column(reference).is_some());
        let emptied = order.broken.iter().filter_map(|reference| {
            let column = column(reference)?;
            Some((deletes[reference.child].clone(), column))
        });
        let emptied = emptied.collect();
        let last = order.levels.iter().map(|(_, level)| *level).max().unwrap_or_default();
        let mut steps: BTreeMap<(usize, String), Vec<RowChange>> = BTreeMap::new();
        let mut deletes: Vec<_> = deletes.into_iter().map(Some).collect();
        for (at, level) in order.levels {
            let Some(change) = deletes[at].take() else { continue };
            let step = (last - level, change.table.name.clone());
            steps.entry(step).or_default().push(change);
        }
        (steps.into_values().collect(), emptied)
    }

    /// Deletes rows of one table. Others that the database takes along although their own records live are parked.
    pub(super) async fn delete(&self, deletes: Vec<RowChange>, keys: Keys, deleted: &mut Deleted) -> Result<(), Error> {
        let Some(first) = deletes.first() else { return Ok(()) };
        let table = first.table.clone();
        let deletes = self.unless_kept(&table, deletes, keys, &mut deleted.refused).await?;
        for deletes in chunks(&deletes, table.key.len()) {
            self.delete_chunk(&table, deletes, deleted).await?;
        }
        Ok(())
    }

    async fn delete_chunk(
        &self,
        table: &Arc<Table>,
        deletes: &[RowChange],
        deleted: &mut Deleted,
    ) -> Result<(), Error> {
        let mut along = Watch::default();
        if self.catalog.children_of(&table.name).any(|key| key.on_delete.acts()) {
            let cascade = Cascade {
                tx: self.tx,
                registry: &self.core.registry,
                catalog: self.catalog,
            };
            let keys: Vec<_> = deletes.iter().map(|change| change.key.clone()).collect();
            cascade.of_delete(&Parents::Keyed(table, &keys), &mut along, 0).await?;
        }
        self.delete_halving(table, deletes, &mut deleted.refused).await?;
        for (child, rows) in along.into_before() {
            deleted.taken_along.extend(self.taken_along(&child, table, rows).await?);
        }
        Ok(())
    }

    /// The rows that can go; those that others keep by a check at the transaction's end are refused.
    async fn unless_kept(
        &self,
        table: &Table,
        deletes: Vec<RowChange>,
        keys: Keys,
        refused: &mut Refused,
    ) -> Result<Vec<RowChange>, Error> {
        let rows: Vec<_> = deletes.iter().map(|change| &change.row).collect();
        let kept = orphans::referred_to(self.tx, self.catalog, table, &rows, keys).await?;
        if kept.is_empty() {
            return Ok(deletes);
        }
        let mut others = Vec::with_capacity(deletes.len());
        for (at, change) in deletes.into_iter().enumerate() {
            if let Some(child) = kept.get(&at) {
                refused.push((change, Refusal::kept_by(child)));
            } else {
                others.push(change);
            }
        }
        Ok(others)
    }

    fn delete_halving<'b>(
        &'b self,
        table: &'b Table,
        deletes: &'b [RowChange],
        refused: &'b mut Refused,
    ) -> BoxFuture<'b, Result<(), Error>> {
        async move {
            let keys: Vec<_> = deletes.iter().map(|change| change.key.clone()).collect();
            let deleted = attempt(self.tx, async |tx| row::delete(tx, table, &keys).await).await?;
            match (deleted, deletes) {
                (Ok(()), _) => {}
                (Err(refusal), [change]) => refused.push((change.clone(), refusal)),
                (Err(_), deletes) => {
                    let (first, second) = deletes.split_at(deletes.len() / 2);
                    self.delete_halving(table, first, refused).await?;
                    self.delete_halving(table, second, refused).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }

    /// The rows of a child's table that a delete of parents took along, or changed, although their records live.
    async fn taken_along(
        &self,
        child: &Table,
        parent: &Table,
        before: HashMap<String, Row>,
    ) -> Result<Vec<(RowId, Refusal)>, Error> {
        let pks: Vec<_> = before.keys().cloned().collect();
        let keys = pks.iter().map(|pk| key::parse(child, pk));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let after = row::read(self.tx, child, &keys).await?;
        let stored = shadow::read(self.tx, &self.core.registry, child, &pks).await?;
        // Their cells may not be stored yet.
        let targets: HashMap<_, _> = self.targets_of(&child.name).collect();
        let mut taken = Vec::new();
        for (pk, row) in before {
            let is_changed = after.get(&pk).is_none_or(|after| *after != row);
            let record = targets.get(pk.as_str()).copied().or_else(|| stored.records.get(&pk));
            if is_changed && record.is_some_and(Record::is_alive) {
                let detail = format!("the row of `{}` that it refers to was deleted", parent.name);
                taken.push(((child.name.clone(), pk), Refusal::found(Constraint::ForeignKey, detail)));
            }
        }
        Ok(taken)
    }
}

/// What became of deletes.
#[derive(Default)]
pub(super) struct Deleted {
    pub refused: Refused,
    /// Other rows that went along, or were changed, although their records live.
    pub taken_along: Vec<(RowId, Refusal)>,
}
