//! Fields that became known since the database was last opened: what was kept of them while they were not is shown now.
//! Fields that are known no longer are kept as unknown ones are.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::DatabaseTransaction;

use crate::{
    change::RejectionCode,
    entity::Table,
    error::Error,
    replica::{
        Core,
        lock::lock,
        parking,
        rows::{RowTarget, write_rows},
    },
    store::{
        dead_letters::{self, Letter},
        identity::{self, KnownField},
        kept::{self, Kept},
        shadow::{self, Extent, Stored},
        version,
    },
    types::Kind,
};

/// A field that this database did not know before.
#[derive(Debug)]
pub(super) struct NewField {
    table: String,
    field: String,
    kind: Kind,
}

/// Notes the fields of a table, and finds those that are new to it.
///
/// # Errors
///
/// A field that was of another kind before.
pub(super) async fn note_fields(tx: &DatabaseTransaction, table: &Table) -> Result<Vec<NewField>, Error> {
    let known = identity::known_fields(tx, &table.name).await?;
    let mut new = Vec::new();
    for (_, column, kind) in table.replicated() {
        let field = &column.name;
        match known.get(field) {
            Some(before) if before.kind != kind.as_str() => {
                return Err(Error::Schema {
                    table: table.name.clone(),
                    detail: format!(
                        "field `{field}` is tagged `{kind}`, but its history is that of a `{}`; give the new kind a column of its own",
                        before.kind
                    ),
                });
            }
            Some(before) if before.in_use => continue,
            _ if known.is_empty() => {}
            _ => new.push(NewField {
                table: table.name.clone(),
                field: field.clone(),
                kind,
            }),
        }
        let kind = kind.as_str().to_owned();
        identity::remember_field(tx, &table.name, field, &KnownField { kind, in_use: true }).await?;
    }
    for (field, before) in known {
        if before.in_use && table.kind_of(&field).is_none() {
            for cell in kept::forgotten_cells(tx, table, &field, &before.kind).await? {
                kept::set_state(tx, table, &field, &cell).await?;
            }
            identity::remember_field(
                tx,
                &table.name,
                &field,
                &KnownField {
                    in_use: false,
                    ..before
                },
            )
            .await?;
        }
    }
    Ok(new)
}

/// Writes into users' rows what was kept of new fields.
pub(super) async fn show_new_fields(core: &Core, tx: &DatabaseTransaction, fields: Vec<NewField>) -> Result<(), Error> {
    // All of them first: a record is read whole.
    for NewField { table, field, kind } in &fields {
        let table = core.registry.require(table)?;
        let Kept { plain, strays } = kept::kept_cells(tx, table, field, *kind).await?;
        for cell in plain {
            kept::set_state(tx, table, field, &cell).await?;
        }
        put_aside(core, tx, table, *kind, strays).await?;
    }
    for NewField { table, field, .. } in fields {
        let table = core.registry.require(&table)?;
        let pks = kept::keys_with_field(tx, table, &field).await?;
        let mut locked = lock(core, tx, &BTreeMap::from([(table.name.clone(), Extent::whole(pks))])).await?;
        let records = locked
            .tables
            .remove(&table.name)
            .into_iter()
            .flat_map(|table| table.records);
        let wanted: Vec<_> = records
            .filter(|(_, record)| record.knows(&field))
            .map(|(pk, record)| RowTarget {
                fields: Some(BTreeSet::from([field.clone()])),
                ..RowTarget::whole(pk, record)
            })
            .collect();
        let failed = write_rows(core, tx, BTreeMap::from([(table.name.clone(), wanted)])).await?;
        parking::park(core, tx, &failed).await?;
    }
    Ok(())
}

/// Makes dead letters of cells that this node would have refused, had it known their field.
async fn put_aside(
    core: &Core,
    tx: &DatabaseTransaction,
    table: &Table,
    kind: Kind,
    strays: Vec<Stored>,
) -> Result<(), Error> {
    if strays.is_empty() {
        return Ok(());
    }
    version::raise_floor(tx, &core.registry, core.numbering).await?;
    let keys: Vec<_> = strays
        .iter()
        .map(|stray| (stray.pk.clone(), stray.key.clone()))
        .collect();
    shadow::remove(tx, table, &keys).await?;
    let letters: Vec<_> = strays
        .into_iter()
        .map(|stray| {
            let change = stray.into_change(table);
            Letter {
                direction: "in".into(),
                peer: String::new(),
                code: RejectionCode::WrongKind.as_str().into(),
                message: format!(
                    "field `{}` of `{}` is {kind} here, not {}",
                    change.field, table.name, change.crdt_type
                ),
                later: false,
                change: dead_letters::text(&change, core.registry.room()),
                since: core.clock.now_micros(),
            }
        })
        .collect();
    Ok(dead_letters::put(tx, &letters, core.registry.room()).await?)
}
