//! Which keys are there: what foreign keys ask, asked for many rows at once.

use std::collections::BTreeSet;

use sea_orm::{
    ConnectionTrait, DbBackend, Value,
    sea_query::{Alias, Expr, ExprTrait as _, Query, SelectStatement, UnionType, ValueTuple},
};

use crate::{
    error::Error,
    store::{chunks, marked::Marked},
};

/// How many tuples are asked for in one statement where each takes a query of its own.
const MAX_QUERIES: usize = 100;

/// The places in `tuples` of those that some row of `table` has in `columns`.
pub(crate) async fn present<C: ConnectionTrait>(
    conn: &C,
    table: &str,
    columns: &[String],
    tuples: &[Vec<Value>],
) -> Result<BTreeSet<usize>, Error> {
    let mut found = BTreeSet::new();
    let mut start = 0_usize;
    let alone = conn.get_database_backend() == DbBackend::MySql;
    for chunk in
        chunks(tuples, columns.len() + 1).flat_map(|chunk| chunk.chunks(if alone { MAX_QUERIES } else { chunk.len() }))
    {
        let query = if alone {
            one_by_one(table, columns, chunk)
        } else {
            all_at_once(table, columns, chunk)
        };
        for row in Marked(conn).query_all(&query).await? {
            let (place, is_there): (i64, bool) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            found.extend(
                usize::try_from(place)
                    .ok()
                    .filter(|_| is_there)
                    .map(|place| start + place),
            );
        }
        start += chunk.len();
    }
    Ok(found)
}

/// The places of the tuples that are there, by a join with a table of them.
fn all_at_once(table: &str, columns: &[String], tuples: &[Vec<Value>]) -> SelectStatement {
    let numbered = tuples.iter().zip(0_i64..).map(|(tuple, place)| {
        let place = std::iter::once(Value::from(place));
        ValueTuple::Many(place.chain(tuple.iter().cloned()).collect())
    });
    let mut row = Query::select();
    row.expr(Expr::val(1)).from_as(Alias::new(table), "there");
    for (column, place) in columns.iter().zip(2..) {
        let asked = Expr::col(("asked", Alias::new(format!("column{place}"))));
        row.and_where(Expr::col(("there", Alias::new(column))).eq(asked));
    }
    Query::select()
        .column(("asked", "column1"))
        .expr(Expr::val(true))
        .from_values(numbered, "asked")
        .and_where(Expr::exists(row))
        .take()
}

/// The same where a table of values would have a collation of its own: a query for each tuple.
fn one_by_one(table: &str, columns: &[String], tuples: &[Vec<Value>]) -> SelectStatement {
    let mut queries = tuples.iter().zip(0_i64..).map(|(tuple, place)| {
        let mut row = Query::select();
        row.expr(Expr::val(1)).from_as(Alias::new(table), "there");
        for (column, value) in columns.iter().zip(tuple) {
            row.and_where(Expr::col(("there", Alias::new(column))).eq(value.clone()));
        }
        Query::select().expr(Expr::val(place)).expr(Expr::exists(row)).take()
    });
    let mut all = queries.next().unwrap_or_default();
    for query in queries {
        all.union(UnionType::All, query);
    }
    all
}
