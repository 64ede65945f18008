//! Fields that became known since the database was last opened: what was kept of them while they were not is shown now.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{DatabaseTransaction, TransactionOptions};

use crate::{
    entity::Table,
    error::Error,
    replica::{
        Core,
        materialise::{Wanted, materialise},
        parking,
    },
    store::{identity, shadow},
};

/// A field that this database did not know before.
#[derive(Debug)]
pub(super) struct NewField {
    table: String,
    field: String,
}

/// Notes the fields of a table, and finds those that are new to it.
///
/// # Errors
///
/// A field that was of another kind before.
pub(super) async fn note_fields(tx: &DatabaseTransaction, table: &Table) -> Result<Vec<NewField>, Error> {
    let fields: Vec<_> = table
        .replicated()
        .map(|(_, column, kind)| (column.name.clone(), kind))
        .collect();
    let before = identity::exchange_fields(tx, &table.name, &fields).await?;
    let mut new = Vec::new();
    for (field, kind) in fields {
        match before.iter().find(|(known, _)| *known == field) {
            Some((_, known)) if known != kind.as_str() => {
                return Err(Error::Schema {
                    table: table.name.clone(),
                    detail: format!(
                        "field `{field}` is tagged `{kind}`, but its history is that of a `{known}`; give the new kind a column of its own"
                    ),
                });
            }
            Some(_) => {}
            None if before.is_empty() => {}
            None => {
                for cell in shadow::tagged_cells(tx, table, &field).await? {
                    shadow::set_state(tx, table, &field, &cell).await?;
                }
                new.push(NewField {
                    table: table.name.clone(),
                    field,
                });
            }
        }
    }
    Ok(new)
}

/// Writes into users' rows what was kept of new fields.
pub(super) async fn show_new_fields(core: &std::sync::Arc<Core>, fields: Vec<NewField>) -> Result<(), Error> {
    if fields.is_empty() {
        return Ok(());
    }
    let (tx, _session) = core.begin(TransactionOptions::default()).await?;
    for NewField { table, field } in fields {
        let table = core.registry.require(&table)?;
        let pks = shadow::keys_with_field(&tx, table, &field).await?;
        let loaded = shadow::read(&tx, &core.registry, table, &pks).await?;
        let wanted = loaded.records.into_iter().filter(|(_, record)| record.knows(&field));
        let wanted: Vec<_> = wanted
            .map(|(pk, record)| Wanted {
                pk,
                record,
                fields: Some(BTreeSet::from([field.clone()])),
            })
            .collect();
        let failed = materialise(core, &tx, BTreeMap::from([(table.name.clone(), wanted)])).await?;
        parking::park(core, &tx, &failed).await?;
    }
    tx.commit().await?;
    Ok(())
}
