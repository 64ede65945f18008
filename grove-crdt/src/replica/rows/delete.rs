//! Deleting the rows of records that died, and parking what the database takes along although it lives.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::{BoxFuture, FutureExt as _};
use sea_orm::{ConnectionTrait as _, DbBackend};

use super::{
    along::Along,
    order::{Reference, by_reference, places, references, tuple},
    orphans::{self, Keys, refers_to_itself},
    savepoint::{Refusal, attempt},
    target::{RowChange, RowId},
    writer::{Refused, RowWriter},
};
use crate::{
    entity::{Row, Table},
    error::Error,
    store::{
        catalog::{Action, ForeignKey},
        chunks, row,
    },
};

impl RowWriter<'_> {
    /// Deletes rows, children first. Returns those that others of them keep, with the reasons; the other refused ones are parked.
    pub(super) async fn delete_all(
        &mut self,
        deletes: Vec<RowChange>,
        along: &mut Along,
    ) -> Result<(Vec<RowChange>, HashMap<RowId, Refusal>), Error> {
        let mut deleted = Deleted::new(along);
        for step in self.in_steps(deletes) {
            self.delete(step, Keys::Deferred, &mut deleted).await?;
        }
        let refused = deleted.refused;
        let rows: Vec<_> = refused
            .iter()
            .map(|(change, _)| (&*change.table, &change.row))
            .collect();
        let kept_by_each_other: BTreeSet<_> = references(self.catalog, &rows)
            .into_iter()
            .chain(self.self_references(&rows))
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
        let mut references = references(self.catalog, &rows);
        let mut own = self.self_references(&rows);
        own.retain(|own| to_empty(rows[own.child].0, own.key).is_some());
        references.append(&mut own);
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

    /// The references of rows to themselves that keep them from being deleted.
    fn self_references(&self, rows: &[(&Table, &Row)]) -> Vec<Reference<'_>> {
        let mut references = Vec::new();
        for (at, (table, row)) in rows.iter().enumerate() {
            let keys = self
                .catalog
                .parents_of(&table.name)
                .filter(|key| self.keeps_itself(key));
            let own = keys.filter(|key| refers_to_itself(table, key, row));
            references.extend(own.map(|key| Reference {
                child: at,
                parent: at,
                key,
            }));
        }
        references
    }

    /// Has rows refer to another row that stays, where a reference to themselves keeps them and can't be null.
    pub(super) async fn let_go_of_themselves(&self, steps: &[Vec<RowChange>]) -> Result<(), Error> {
        for change in steps.iter().flatten() {
            let references = self.self_references(&[(&change.table, &change.row)]);
            let mut keys = references.iter().map(|reference| reference.key);
            let Some(key) = keys.find(|key| self.nullable_column(&change.table, key).is_none()) else {
                continue;
            };
            let leaving = steps
                .iter()
                .flatten()
                .filter(|other| other.table.name == change.table.name);
            let leaving: Vec<_> = leaving.map(|other| other.key.clone()).collect();
            let (Some(own), Some(offered)) = (
                places(&change.table, &key.child_columns),
                places(&change.table, &key.parent_columns),
            ) else {
                continue;
            };
            let Some(other) = row::any_but(self.tx, &change.table, &leaving).await? else {
                continue;
            };
            let values = own.into_iter().zip(offered.iter().map(|index| other[*index].clone()));
            let values: Vec<_> = values.collect();
            // If it is refused, so is the delete.
            let set = attempt(self.tx, async |tx| {
                row::set(tx, &change.table, &change.key, &values).await
            });
            drop(set.await?);
        }
        Ok(())
    }

    /// Deletes rows of one table.
    pub(super) async fn delete(
        &self,
        deletes: Vec<RowChange>,
        keys: Keys,
        deleted: &mut Deleted<'_>,
    ) -> Result<(), Error> {
        let Some(first) = deletes.first() else { return Ok(()) };
        let table = first.table.clone();
        let deletes = self.unless_kept(&table, deletes, keys, &mut deleted.refused).await?;
        for deletes in chunks(&deletes, table.key.len()) {
            let deletes = deletes.to_vec();
            let deletes = self
                .watch_delete(&table, deletes, deleted.along, &mut deleted.refused)
                .await?;
            self.delete_halving(&table, &deletes, &mut deleted.refused).await?;
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
            match kept.get(&at) {
                Some(child) if !self.goes_with_children(&change, keys).await? => {
                    refused.push((change, Refusal::kept_by(child)));
                }
                _ => others.push(change),
            }
        }
        Ok(others)
    }

    /// Whether all that keeps a row by such keys goes along with it, by cascades.
    async fn goes_with_children(&self, change: &RowChange, keys: Keys) -> Result<bool, Error> {
        let mut going = BTreeMap::from([(change.id(), change.row.clone())]);
        let mut next = vec![change.id()];
        while let Some(id) = next.pop() {
            for key in self
                .catalog
                .children_of(&id.0)
                .filter(|key| key.on_delete == Action::Cascade)
            {
                // Of tables that are not replicated, nothing is known.
                for (child, row) in self.referring(key, &id, &going[&id]).await?.into_iter().flatten() {
                    if !going.contains_key(&child) {
                        going.insert(child.clone(), row);
                        next.push(child);
                    }
                }
            }
        }
        for (id, row) in &going {
            let mut children = self.catalog.children_of(&id.0);
            while let Some(key) = children.find(|key| keys.has(key) && !key.on_delete.acts()) {
                let stays = match self.referring(key, id, row).await? {
                    Some(rows) => rows.keys().any(|child| !going.contains_key(child)),
                    None => true,
                };
                if stays {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The rows that refer to a row by a key; `None` if their table is not replicated.
    async fn referring(&self, key: &ForeignKey, id: &RowId, row: &Row) -> Result<Option<BTreeMap<RowId, Row>>, Error> {
        let registry = &self.core.registry;
        let (Some(child), Some(parent)) = (registry.get(&key.child), registry.get(&id.0)) else {
            return Ok(None);
        };
        let (Some(columns), Some(offered)) = (places(child, &key.child_columns), places(parent, &key.parent_columns))
        else {
            return Ok(None);
        };
        let Some((values, _)) = tuple(row, &offered) else {
            return Ok(Some(BTreeMap::new()));
        };
        let rows = row::with_tuples(self.tx, child, &columns, &[values]).await?;
        let rows = rows.into_iter().map(|(pk, row)| ((child.name.clone(), pk), row));
        Ok(Some(rows.collect()))
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
                (Err(refusal), [change]) => refused.push((change.clone(), refusal.by_reference())),
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
}

/// What becomes of deletes.
pub(super) struct Deleted<'a> {
    pub refused: Refused,
    /// Other rows that may have gone along, or been changed.
    pub along: &'a mut Along,
}

impl<'a> Deleted<'a> {
    pub(super) fn new(along: &'a mut Along) -> Self {
        Self {
            refused: Vec::new(),
            along,
        }
    }
}
