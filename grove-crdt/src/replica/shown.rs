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
    replica::{Core, effect::field_value, rows::RowTarget},
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
    wanted: &[RowTarget],
    refused: &BTreeSet<&str>,
) -> Result<(), Error> {
    let backend = tx.get_database_backend();
    let columns = inexact::columns_at_risk(backend, catalog, table);
    let at_risk = |wanted: &RowTarget| {
        columns.iter().any(|(_, column, kind)| {
            let value = wanted.recorded(column, *kind);
            value.is_some_and(|value| inexact::at_risk(backend, catalog, table, column, &value))
        })
    };
    let waited = wanted.iter().filter(|wanted| wanted.was_parked);
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
            let value = wanted.recorded(column, kind);
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

/// A row that may differ from its record by itself.
#[derive(Clone, Copy)]
pub(super) struct Doubtful<'a> {
    pub pk: &'a String,
    pub record: &'a Record,
    pub row: &'a Row,
    /// Whether all of the record's sets is known.
    pub with_sets: bool,
}

/// The notes that are needed to tell an edit of these rows from what their columns show by themselves. Mostly there are none
/// to be looked for.
pub(super) async fn notes_on<'a>(
    core: &Core,
    tx: &DatabaseTransaction,
    table: &Table,
    rows: impl IntoIterator<Item = Doubtful<'a>>,
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
    for Doubtful {
        pk,
        record,
        row,
        with_sets,
    } in rows
    {
        let in_doubt = |(index, column, kind): &(usize, &Column, Kind)| {
            let known = with_sets || *kind != Kind::Set;
            known
                .then(|| recorded(record, column, *kind))
                .flatten()
                .is_some_and(|value| {
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

impl RowTarget {
    /// What the record has in a field, when all of it is known. Where a set is not, its column shows what it has.
    fn recorded(&self, column: &Column, kind: Kind) -> Option<Json> {
        let is_known = kind != Kind::Set || self.sets.is_none();
        is_known.then(|| recorded(&self.record, column, kind)).flatten()
    }
}

fn recorded(record: &Record, column: &Column, kind: Kind) -> Option<Json> {
    record.value(&column.name, kind).ok().flatten()
}
