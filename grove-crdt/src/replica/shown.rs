//! Fields whose column shows something else than the record has: because it can't hold the value exactly, or because the
//! database refused the whole row and it stands as it was.
//!
//! What such a column shows is noted when the row is written, or refused. Reading it back, and saving it again, is no edit.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction};
use serde_json::Value as Json;

use crate::{
    entity::{Column, Row, Table, key},
    error::Error,
    replica::{Core, effect::field_value, materialise::Wanted},
    store::{
        catalog::Catalog,
        inexact::{self, Inexact, Note},
        row,
    },
    types::{Kind, Record, is_same},
};

/// Notes what the columns of rows show that were to be written and differ from their records, in place of what was noted
/// before of those that waited. `refused` are the keys of those that the database did not take.
pub(super) async fn note_differences(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    table: &Table,
    wanted: &[Wanted],
    refused: &BTreeSet<&str>,
) -> Result<(), Error> {
    let backend = tx.get_database_backend();
    let columns = inexact::columns_at_risk(backend, catalog, table);
    let at_risk = |wanted: &Wanted| {
        columns.iter().any(|(_, column, kind)| {
            let value = recorded(&wanted.record, column, *kind);
            value.is_some_and(|value| inexact::at_risk(backend, catalog, table, column, &value))
        })
    };
    let waited = wanted.iter().filter(|wanted| wanted.waited);
    let waited: Vec<_> = waited.map(|wanted| wanted.pk.clone()).collect();
    inexact::forget(tx, table, &waited).await?;
    let mut doubtful = Vec::new();
    let mut keys = Vec::new();
    for wanted in wanted.iter().filter(|wanted| wanted.record.is_alive()) {
        if refused.contains(wanted.pk.as_str()) || at_risk(wanted) {
            keys.push(key::parse(table, &wanted.pk)?);
            doubtful.push(wanted);
        }
    }
    let rows = row::read(tx, table, &keys).await?;
    let mut notes = Vec::new();
    for wanted in doubtful {
        let Some(row) = rows.get(&wanted.pk) else { continue };
        for (index, column, kind) in table.replicated() {
            let value = recorded(&wanted.record, column, kind);
            // What has no form shows itself when it is next read.
            let stands = field_value(table, row, index).ok();
            if let (Some(value), Some(stands)) = (value, stands)
                && !is_same(&value, &stands)
            {
                notes.push(Note::new(&wanted.pk, &column.name, &value, &stands));
            }
        }
    }
    Ok(inexact::note(tx, table, &notes).await?)
}

/// The notes that are needed to tell an edit of these rows from what their columns show by themselves. Mostly there are none
/// to be looked for.
pub(super) async fn notes_on<'a>(
    core: &Core,
    tx: &DatabaseTransaction,
    table: &Table,
    rows: impl IntoIterator<Item = (&'a String, &'a Record, &'a Row)>,
) -> Result<Inexact, Error> {
    let catalog = core.catalog(tx).await?;
    let backend = tx.get_database_backend();
    let may_be_refused = core.may_have_parked();
    let columns = if may_be_refused {
        table.replicated().collect()
    } else {
        inexact::columns_at_risk(backend, &catalog, table)
    };
    let mut doubtful = Vec::new();
    for (pk, record, row) in rows {
        let in_doubt = |(index, column, kind): &(usize, &Column, Kind)| {
            recorded(record, column, *kind).is_some_and(|value| {
                (may_be_refused || inexact::at_risk(backend, &catalog, table, column, &value))
                    && field_value(table, row, *index).is_ok_and(|stands| !is_same(&stands, &value))
            })
        };
        if record.is_alive() && columns.iter().any(in_doubt) {
            doubtful.push(pk.clone());
        }
    }
    Ok(inexact::load(tx, table, &doubtful).await?)
}

fn recorded(record: &Record, column: &Column, kind: Kind) -> Option<Json> {
    record.value(&column.name, kind).ok().flatten()
}
