//! Rows that were recorded together with the statement that brought them.

use std::{collections::HashMap, sync::Arc};

use crate::{
    entity::{Row, Table, key},
    error::Error,
    replica::effect::{Effect, What},
};

/// The rows. All that their records have is the transaction's own: whatever else it does to one of them, the record is made
/// from nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun {
    table: Option<Arc<Table>>,
    rows: Vec<Row>,
}

impl Begun {
    pub(super) fn new(table: Arc<Table>, rows: Vec<Row>) -> Self {
        Self {
            table: Some(table),
            rows,
        }
    }

    /// Those with this key.
    pub(super) fn only(&self, table: &Table, pk: &str) -> Self {
        let own = self.table.as_ref().filter(|own| own.name == table.name);
        let has_key = |row: &&Row| key::of_row(table, row).is_ok_and(|key| key == pk);
        Self {
            table: own.cloned(),
            rows: own.map_or_else(Vec::new, |_| self.rows.iter().filter(has_key).cloned().collect()),
        }
    }

    /// Their births, to be taken by those whose rows have more done to them.
    pub(super) fn births(self) -> Result<Births, Error> {
        let Some(table) = self.table else {
            return Ok(Births::default());
        };
        let birth = |row: Row| {
            let key = table.key.iter().map(|index| row[*index].clone()).collect();
            let (pk, table) = (key::of_row(&table, &row)?, table.clone());
            let what = What::Born(Some(row));
            Ok((pk.clone(), Effect { table, pk, key, what }))
        };
        Ok(Births(self.rows.into_iter().map(birth).collect::<Result<_, Error>>()?))
    }
}

/// Births of rows of one table, by key.
#[derive(Default)]
pub(super) struct Births(HashMap<String, Effect>);

impl Births {
    /// The birth of the row that an effect is on.
    pub(super) fn take(&mut self, effect: &Effect) -> Option<Effect> {
        let born = self.0.get(&effect.pk)?;
        let is_same = born.table.name == effect.table.name;
        is_same.then(|| self.0.remove(&effect.pk)).flatten()
    }
}
