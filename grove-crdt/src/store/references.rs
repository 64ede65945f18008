//! Which keys are there: what foreign keys ask, asked for many rows at once.

use std::collections::BTreeSet;

use sea_orm::{
    ConnectionTrait, Value,
    sea_query::{Alias, Expr, ExprTrait as _, Query, ValueTuple},
};

use crate::{error::Error, store::chunks};

/// The places in `tuples` of those that some row of `table` has in `columns`.
pub(crate) async fn present<C: ConnectionTrait>(
    conn: &C,
    table: &str,
    columns: &[String],
    tuples: &[Vec<Value>],
) -> Result<BTreeSet<usize>, Error> {
    let mut found = BTreeSet::new();
    let mut start = 0_usize;
    for chunk in chunks(tuples, columns.len() + 1) {
        let numbered = chunk.iter().zip(0_i64..).map(|(tuple, place)| {
            let place = std::iter::once(Value::from(place));
            ValueTuple::Many(place.chain(tuple.iter().cloned()).collect())
        });
        let mut row = Query::select();
        row.expr(Expr::val(1)).from_as(Alias::new(table), "there");
        for (column, place) in columns.iter().zip(2..) {
            let asked = Expr::col(("asked", Alias::new(format!("column{place}"))));
            row.and_where(Expr::col(("there", Alias::new(column))).eq(asked));
        }
        let query = Query::select()
            .column(("asked", "column1"))
            .from_values(numbered, "asked")
            .and_where(Expr::exists(row))
            .take();
        for row in conn.query_all(&query).await? {
            let place: i64 = row.try_get_by_index(0)?;
            found.extend(usize::try_from(place).map(|place| start + place));
        }
        start += chunk.len();
    }
    Ok(found)
}
