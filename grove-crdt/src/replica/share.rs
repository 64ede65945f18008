//! What a transaction did to the rows of one table.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use sea_orm::DatabaseTransaction;

use crate::{
    entity::Table,
    error::Error,
    replica::{
        begun::Births,
        effect::{Effect, Pending},
        extent,
    },
    store::{row, shadow::Extent},
    types::Record,
};

/// A table's share of a transaction, in key order.
pub(super) struct Share {
    pub table: Arc<Table>,
    pub rows: BTreeMap<String, Pending>,
    /// Those of which the transaction has written the record, where there was none before.
    begun: BTreeSet<String>,
}

/// Folds effects into one for each row. `births` are those that are recorded already.
pub(super) fn shares(effects: Vec<Effect>, births: &mut Births) -> BTreeMap<String, Share> {
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for effect in effects {
        let share = shares.entry(effect.table.name.clone()).or_insert_with(|| Share {
            table: effect.table.clone(),
            rows: BTreeMap::new(),
            begun: BTreeSet::new(),
        });
        let mut first = !share.rows.contains_key(&effect.pk);
        let pending = share.rows.entry(effect.pk.clone()).or_default();
        if first && let Some(birth) = births.take(&effect) {
            share.begun.insert(effect.pk.clone());
            pending.add(birth, true);
            first = false;
        }
        pending.add(effect, first);
    }
    shares
}

impl Share {
    /// Whether any of the records has been written by the transaction.
    pub(super) fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Whether a record has been written by the transaction, where there was none before.
    pub(super) fn is_begun(&self, pk: &str) -> bool {
        self.begun.contains(pk)
    }

    /// How much has to be read of its records.
    pub(super) fn extents(&self, wholly: bool) -> BTreeMap<String, Extent> {
        let of = |pending: &Pending| {
            if wholly {
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

    /// Whether all its rows are new, and some have to be read.
    pub(super) fn has_new_rows_to_read(&self) -> bool {
        let is_new = |pending: &Pending| pending.began_born && pending.born && !pending.died;
        self.rows.values().all(is_new) && self.rows.values().any(|pending| pending.row.is_none())
    }

    /// Reads the rows whose statements did not give them back.
    pub(super) async fn read_missing_rows(
        &mut self,
        tx: &DatabaseTransaction,
        records: &HashMap<String, Record>,
    ) -> Result<(), Error> {
        let missing: Vec<_> = self
            .rows
            .iter()
            .filter(|(pk, pending)| pending.needs_row(records.get(*pk).is_some_and(Record::is_alive)))
            .map(|(_, pending)| pending.key.clone())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        for (pk, row) in row::read(tx, &self.table, &missing).await? {
            if let Some(pending) = self.rows.get_mut(&pk) {
                pending.row = Some(row);
            }
        }
        Ok(())
    }
}
