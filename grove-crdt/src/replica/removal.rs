//! Deleting the rows of records that died, and parking what the database would take along although it lives.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt as _};
use sea_orm::Value;

use crate::{
    entity::{Row, Table, key},
    error::Error,
    replica::{
        attempt::{Broken, attempt},
        foreign_keys::{Cascade, Parents},
        materialise::Work,
        references,
        watch::Watch,
    },
    store::{catalog::Action, chunks, constraint::Constraint, row, shadow},
    types::Record,
};

impl Work<'_> {
    /// Deletes rows. Others that the database takes along although their own records live are parked.
    pub(super) async fn delete(&mut self, table: &Arc<Table>, rows: Vec<Row>) -> Result<(), Error> {
        let keys = self.keys_to_delete(table, rows).await?;
        for keys in chunks(&keys, table.key.len()) {
            self.delete_chunk(table, keys).await?;
        }
        Ok(())
    }

    async fn delete_chunk(&mut self, table: &Arc<Table>, keys: &[Vec<Value>]) -> Result<(), Error> {
        let acts = self
            .catalog
            .children_of(&table.name)
            .any(|key| key.on_delete != Action::Refuse);
        let mut along = Watch::default();
        if acts {
            let cascade = Cascade {
                tx: self.tx,
                registry: &self.core.registry,
                catalog: self.catalog,
            };
            cascade.of_delete(&Parents::Keyed(table, keys), &mut along, 0).await?;
        }
        self.delete_rows(table, keys).await?;
        for (child, rows) in along.into_before() {
            self.park_taken_along(&child, table, rows).await?;
        }
        Ok(())
    }

    /// The keys of the rows that can go; those that others keep by a check at the transaction's end are parked.
    async fn keys_to_delete(&mut self, table: &Table, rows: Vec<Row>) -> Result<Vec<Vec<Value>>, Error> {
        let kept = references::referred_to(self.tx, self.catalog, table, &rows).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            if let Some(child) = kept.get(&at) {
                let detail = format!("FOREIGN KEY: a row of `{child}` refers to it");
                let why = Broken::found(Constraint::ForeignKey, detail);
                self.park(table, &key::of_row(table, &row)?, why);
            } else {
                keys.push(table.key.iter().map(|index| row[*index].clone()).collect());
            }
        }
        Ok(keys)
    }

    fn delete_rows<'b>(&'b mut self, table: &'b Table, keys: &'b [Vec<Value>]) -> BoxFuture<'b, Result<(), Error>> {
        async move {
            let deleted = attempt(self.tx, async |tx| row::delete(tx, table, keys).await).await?;
            match (deleted, keys) {
                (Ok(()), _) => {}
                (Err(broken), [key]) => {
                    let pk = key::of_values(table, key)?;
                    self.park(table, &pk, broken);
                }
                (Err(_), keys) => {
                    let (first, second) = keys.split_at(keys.len() / 2);
                    self.delete_rows(table, first).await?;
                    self.delete_rows(table, second).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }

    async fn park_taken_along(
        &mut self,
        child: &Table,
        parent: &Table,
        before: HashMap<String, Row>,
    ) -> Result<(), Error> {
        let pks: Vec<_> = before.keys().cloned().collect();
        let mut keys = Vec::with_capacity(pks.len());
        for pk in &pks {
            keys.push(key::parse(child, pk)?);
        }
        let after = row::read(self.tx, child, &keys).await?;
        let records = shadow::read(self.tx, &self.core.registry, child, &pks).await?;
        for (pk, row) in before {
            let changed = after.get(&pk).is_none_or(|after| *after != row);
            let record = self.wanted(child, &pk).or_else(|| records.records.get(&pk));
            let alive = record.is_some_and(Record::is_alive);
            if changed && alive {
                let detail = format!("the row of `{}` that it refers to was deleted", parent.name);
                self.park(child, &pk, Broken::found(Constraint::ForeignKey, detail));
            }
        }
        Ok(())
    }
}
