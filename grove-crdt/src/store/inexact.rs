//! Fields whose column can't hold their value exactly: 1.234 in a column of two decimals.
//!
//! The record keeps the exact value; the column shows what it made of it. So that this is not taken for an edit, it is noted
//! here which value was written and what the column shows of it. A note says nothing about any other pair of values, and what
//! a column makes of a value stays the same.
//!
//! What a row that was refused goes on to show is noted here as well. That holds for as long as it waits, and no longer: in a
//! row that has been written, the one value in the place of the other is an edit.

use std::{collections::HashMap, fmt::Write as _};

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr,
    sea_query::{Expr, ExprTrait as _, OnConflict, Query},
};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::{
    entity::{Column, Table},
    store::{
        catalog::Catalog,
        chunks, dialect, fit,
        schema::{INEXACT, shadow_ref},
    },
    types::{Kind, canonical, is_same},
};

const COLUMNS: [&str; 5] = ["table_name", "pk", "field", "value", "shown"];

/// What a column made of a value that it can't hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pk: String,
    field: String,
    value: String,
    shown: String,
}

impl Note {
    /// The record has `recorded`; the column, to which it was written, has `stands`.
    pub(crate) fn new(pk: &str, field: &str, recorded: &Json, stands: &Json) -> Self {
        Self {
            pk: pk.to_owned(),
            field: field.to_owned(),
            value: hash(recorded),
            shown: hash(stands),
        }
    }
}

/// Notes on some rows of a table.
#[derive(Debug, Default)]
pub(crate) struct Inexact {
    /// By key, then by field.
    notes: HashMap<String, HashMap<String, (String, String)>>,
}

impl Inexact {
    /// Whether `stands` is what the column of the field made of `recorded`.
    pub(crate) fn is_shown_as(&self, pk: &str, field: &str, recorded: &Json, stands: &Json) -> bool {
        let note = self.notes.get(pk).and_then(|fields| fields.get(field));
        note.is_some_and(|(value, shown)| *value == hash(recorded) && *shown == hash(stands))
    }

    /// The fields of a row that there are notes on.
    pub(crate) fn fields(&self, pk: &str) -> impl Iterator<Item = &String> {
        self.notes.get(pk).into_iter().flat_map(HashMap::keys)
    }
}

/// The replicated columns that may show something else than some value written to them. Mostly there are none.
pub(crate) fn columns_at_risk<'t>(
    backend: DbBackend,
    catalog: &Catalog,
    table: &'t Table,
) -> Vec<(usize, &'t Column, Kind)> {
    let columns = table.replicated();
    columns
        .filter(|(_, column, _)| !holds_all(backend, catalog, table, column))
        .collect()
}

/// Whether the column shows every value of its type as it is.
pub(crate) fn holds_all(backend: DbBackend, catalog: &Catalog, table: &Table, column: &Column) -> bool {
    let storage = catalog.storage(&table.name, &column.name);
    !catalog.may_alter(&table.name)
        && storage.is_some_and(|storage| fit::holds_all(backend, &column.value_type, storage))
}

/// Whether the column may show something else than `value` once that is written to it.
pub(crate) fn at_risk(backend: DbBackend, catalog: &Catalog, table: &Table, column: &Column, value: &Json) -> bool {
    if holds_all(backend, catalog, table, column) {
        return false;
    }
    let narrowed = || column.narrowed(value).is_ok_and(|form| !is_same(&form, value));
    let storage = catalog.storage(&table.name, &column.name);
    let is_exact = storage.is_some_and(|storage| fit::is_exact(backend, &column.value_type, storage, value));
    !is_exact || catalog.may_alter(&table.name) || narrowed()
}

/// Whether the column of a set that shows this element shows it as it is, and never for another.
pub(crate) fn shows_itself(
    backend: DbBackend,
    catalog: &Catalog,
    table: &Table,
    column: &Column,
    element: &Json,
) -> bool {
    // What JSON columns make of values, they make of numbers.
    holds_all(backend, catalog, table, column)
        || !catalog.may_alter(&table.name) && !fit::has_number(element, &|_| true)
}

/// The notes on these rows. No statement is sent for no rows.
pub(crate) async fn load<C: ConnectionTrait>(conn: &C, table: &Table, pks: &[String]) -> Result<Inexact, DbErr> {
    let mut notes: HashMap<String, HashMap<_, _>> = HashMap::new();
    for chunk in chunks(pks, 1) {
        let select = Query::select()
            .columns(["pk", "field", "value", "shown"])
            .from(INEXACT)
            .and_where(Expr::col("table_name").eq(table.name.as_str()))
            .and_where(Expr::col("pk").is_in(chunk.iter().map(String::as_str)))
            .take();
        for row in conn.query_all(&select).await? {
            let note = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
            let fields = notes.entry(row.try_get_by_index(0)?).or_default();
            fields.insert(row.try_get_by_index(1)?, note);
        }
    }
    Ok(Inexact { notes })
}

/// Writes notes, in place of older ones on the same fields.
pub(crate) async fn note<C: ConnectionTrait>(conn: &C, table: &Table, notes: &[Note]) -> Result<(), DbErr> {
    for chunk in chunks(notes, COLUMNS.len()) {
        let mut insert = Query::insert();
        insert.into_table(INEXACT).columns(COLUMNS);
        for note in chunk {
            insert.values_panic([
                table.name.as_str().into(),
                note.pk.as_str().into(),
                note.field.as_str().into(),
                note.value.as_str().into(),
                note.shown.as_str().into(),
            ]);
        }
        insert.on_conflict(
            OnConflict::columns(["table_name", "pk", "field"])
                .update_columns(["value", "shown"])
                .to_owned(),
        );
        conn.execute(&insert).await?;
    }
    Ok(())
}

/// Forgets all notes on these rows.
pub(crate) async fn forget<C: ConnectionTrait>(conn: &C, table: &Table, pks: &[String]) -> Result<(), DbErr> {
    for chunk in chunks(pks, 1) {
        let delete = Query::delete()
            .from_table(INEXACT)
            .and_where(Expr::col("table_name").eq(table.name.as_str()))
            .and_where(Expr::col("pk").is_in(chunk.iter().map(String::as_str)))
            .take();
        conn.execute(&delete).await?;
    }
    Ok(())
}

/// Forgets the notes on these fields, given with the keys of their rows.
pub(crate) async fn forget_fields<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    fields: &[(String, String)],
) -> Result<(), DbErr> {
    for chunk in chunks(fields, 2) {
        let fields = chunk.iter().map(|(pk, field)| [pk, field].map(Expr::val).into());
        let columns = ["pk", "field"].map(Expr::col).into();
        let delete = Query::delete()
            .from_table(INEXACT)
            .and_where(Expr::col("table_name").eq(table.name.as_str()))
            .and_where(dialect::among(conn.get_database_backend(), columns, fields.collect()))
            .take();
        conn.execute(&delete).await?;
    }
    Ok(())
}

/// Forgets the notes on records that live no more.
pub(crate) async fn sweep<C: ConnectionTrait>(conn: &C, table: &Table) -> Result<(), DbErr> {
    let alive = Query::select()
        .column("pk")
        .from(shadow_ref(table))
        .and_where(Expr::col("field").eq(""))
        .and_where(Expr::col("epoch").modulo(2).eq(1))
        .take();
    let delete = Query::delete()
        .from_table(INEXACT)
        .and_where(Expr::col("table_name").eq(table.name.as_str()))
        .and_where(Expr::col("pk").not_in_subquery(alive))
        .take();
    conn.execute(&delete).await.map(drop)
}

/// A text of one length for a value of any.
fn hash(value: &Json) -> String {
    let digest = Sha256::digest(canonical(value));
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
