//! Records that begin with their row: the most frequent write, in one statement that reads nothing first.

use sea_orm::{
    ConnectionTrait, DbBackend,
    sea_query::{Alias, Expr, ExprTrait as _, OnConflict, Query, ValueTuple},
};

use crate::{
    clock::Hlc,
    entity::{Registry, Table},
    error::Error,
    store::{
        chunks_of_size,
        schema::{PARKED, shadow_ref},
        shadow::COLUMNS,
        version::Taken,
    },
    types::{Birth, birth_text},
};

/// The columns that are written; `via` stays empty.
const WRITTEN: usize = COLUMNS.len() - 1;

/// Whether records can be written this way. On MySQL, a statement that selects from the table it writes to locks what it
/// looked at, and two forms of a table of values are needed.
pub(crate) fn can_be_written(backend: DbBackend) -> bool {
    backend != DbBackend::MySql
}

/// How many of some records were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    All,
    Some,
    None,
}

/// Writes records in their first life, each by its key and what it is born with, unless there is something under the key
/// already. When not all were written, they have to be read, and made what they are to be; so it is when rows are parked, whom a
/// birth may release.
///
/// `taken` is the version of the transaction, and is so afterwards.
pub(crate) async fn write_births<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    table: &Table,
    taken: &mut Taken,
    at: &Hlc,
    births: &[(&str, Birth)],
) -> Result<Written, Error> {
    let mut all = Written::None;
    let rows: Vec<_> = births
        .iter()
        .map(|(pk, birth)| [(*pk).to_owned(), birth_text(birth)])
        .collect();
    for chunk in chunks_of_size(&rows, 2, |[pk, state]| pk.len() + state.len() + 16) {
        let given = |column: &'static str| Expr::col(("given", column));
        let there = Query::select()
            .expr(Expr::val(1))
            .from(shadow_ref(table))
            .and_where(Expr::col("pk").eq(given("column1")))
            .take();
        let parked = Query::select().expr(Expr::val(1)).from(PARKED).take();
        let values = chunk
            .iter()
            .map(|row| ValueTuple::Many(row.iter().map(|text| text.as_str().into()).collect()));
        let mut select = Query::select();
        for value in [
            given("column1"),
            Expr::val(""),
            Expr::val(""),
            Expr::val(1_i64),
            Expr::val(at.ts),
            Expr::val(i64::from(at.counter)),
            Expr::val(at.node.as_str()),
            given("column2"),
            taken.expr(registry),
        ] {
            select.expr(value);
        }
        select
            .from_values(values, Alias::new("given"))
            .and_where(Expr::exists(there).not())
            .and_where(Expr::exists(parked).not());
        let mut insert = Query::insert();
        insert
            .into_table(shadow_ref(table))
            .columns(COLUMNS.into_iter().take(WRITTEN))
            .select_from(select)
            .map_err(|error| Error::Invalid(error.to_string()))?;
        // Another transaction may have come between, where writers overlap.
        insert.on_conflict(OnConflict::columns(["pk", "field", "cell"]).do_nothing().to_owned());
        let written = conn.execute(&insert).await?.rows_affected();
        if written > 0 {
            taken.is_written();
            all = Written::Some;
        }
        if usize::try_from(written) != Ok(chunk.len()) {
            return Ok(all);
        }
    }
    Ok(Written::All)
}
