//! Sets of which only those elements are known that were touched. What their columns are to show is made from what they show:
//! however large a set is, its cells need not be read.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ConnectionTrait as _, Value};
use serde_json::Value as Json;

use crate::{
    entity::{Row, SetStep, Table},
    error::Error,
    replica::{
        effect::elements,
        rows::{RowTarget, RowWriter},
    },
    store::{
        inexact,
        shadow::{self, Extent},
    },
    types::canonical,
};

/// Sets of which not all is known, by field.
#[derive(Debug)]
pub(crate) enum Sets {
    /// The steps that were taken.
    Touched(BTreeMap<String, Vec<SetStep>>),
    /// What the columns are to show.
    Shown(BTreeMap<String, Shown>),
}

/// What the column of a set is to show.
#[derive(Debug)]
pub(crate) struct Shown {
    /// In canonical order.
    pub(super) elements: Json,
    /// Whether these are others than it has.
    pub(super) differs: bool,
}

impl Sets {
    /// Gives away what a column is to show.
    pub(super) fn take(&mut self, field: &str) -> Option<Shown> {
        match self {
            Self::Touched(_) => None,
            Self::Shown(shown) => shown.remove(field),
        }
    }
}

impl RowWriter<'_> {
    /// Makes out what sets are to show of which only some elements are known. Where that can't be told from the row, the rest
    /// of the record is read.
    pub(super) async fn complete(
        &self,
        table: &Table,
        wanted: &mut [RowTarget],
        existing: &HashMap<String, Row>,
    ) -> Result<(), Error> {
        let mut incomplete = Vec::new();
        for wanted in wanted {
            let Some(Sets::Touched(steps)) = &wanted.sets else {
                continue;
            };
            // A row that has waited lacks more than what changes now.
            let row = existing.get(&wanted.pk).filter(|_| wanted.fields.is_some());
            match row.and_then(|row| self.after_steps(table, row, steps)) {
                Some(shown) => wanted.sets = Some(Sets::Shown(shown)),
                None => incomplete.push(wanted),
            }
        }
        if incomplete.is_empty() {
            return Ok(());
        }
        let pks = Extent::whole(incomplete.iter().map(|wanted| wanted.pk.clone()));
        let mut stored = shadow::read_to_write(self.tx, &self.core.registry, table, &pks).await?;
        for wanted in incomplete {
            let mut whole = stored.records.remove(&wanted.pk).unwrap_or_default();
            whole.join(&wanted.record);
            wanted.record = whole;
            wanted.sets = None;
        }
        Ok(())
    }

    /// What the columns of sets show after these steps, in canonical order. `None` when a column may show an element as another
    /// than it is.
    fn after_steps(
        &self,
        table: &Table,
        row: &Row,
        steps: &BTreeMap<String, Vec<SetStep>>,
    ) -> Option<BTreeMap<String, Shown>> {
        let backend = self.tx.get_database_backend();
        let after = steps.iter().map(|(field, steps)| {
            let (index, column) = table.column(field)?;
            let mut elements = match &row[index] {
                Value::Json(Some(json)) => elements(table, index, json).ok()?,
                Value::Json(None) => BTreeMap::new(),
                _ => return None,
            };
            let differs = steps.iter().any(|step| match step {
                SetStep::Add(value) => !elements.contains_key(&canonical(value)),
                SetStep::Remove(value) => elements.contains_key(&canonical(value)),
            });
            for SetStep::Add(value) | SetStep::Remove(value) in steps {
                elements.insert(canonical(value), value.clone());
            }
            let show_themselves = elements
                .values()
                .all(|value| inexact::shows_itself(backend, self.catalog, table, column, value));
            if !show_themselves {
                return None;
            }
            for step in steps {
                if let SetStep::Remove(value) = step {
                    elements.remove(&canonical(value));
                }
            }
            let shown = Shown {
                elements: Json::Array(elements.into_values().collect()),
                differs,
            };
            Some((field.clone(), shown))
        });
        after.collect()
    }
}
