//! How much of a table's shadow lies after given versions.

use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, CaseStatement, Expr, ExprTrait as _, Func, Query},
};

use crate::{entity::Table, error::Error, store::schema::shadow_ref};

/// How many cells of a table are looked through, the newest first. What lies further back is not counted.
pub(crate) const LOOKED_THROUGH: u64 = 100_000;

/// How many readers one statement counts for.
const READERS: usize = 50;

/// Someone who has been told of all up to a version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub version: i64,
    /// The identity of its database: of what came from there, it is not told.
    pub database: &'a str,
}

/// What it has not been told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    pub cells: i64,
    /// The oldest clock value among them, in microseconds since the Unix epoch.
    pub oldest: Option<i64>,
}

/// What each reader has not been told of a table's cells.
pub(crate) async fn behind<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    readers: &[Reader<'_>],
) -> Result<Vec<Behind>, Error> {
    let mut all = Vec::with_capacity(readers.len());
    for readers in readers.chunks(READERS) {
        let first = readers.iter().map(|reader| reader.version).min().unwrap_or(i64::MAX);
        let newest = Query::select()
            .columns(["version", "via", "hlc_ts"])
            .from(shadow_ref(table))
            .and_where(Expr::col("version").gt(first))
            // Placeholders are no changes.
            .and_where(Expr::col("epoch").gt(0))
            .order_by("version", sea_orm::Order::Desc)
            .limit(LOOKED_THROUGH)
            .take();
        let mut select = Query::select();
        for reader in readers {
            let untold = || {
                let elsewhere = Expr::col("via").is_null().or(Expr::col("via").ne(reader.database));
                Expr::col("version").gt(reader.version).and(elsewhere)
            };
            let one = CaseStatement::new().case(untold(), 1);
            let clock = CaseStatement::new().case(untold(), Expr::col("hlc_ts"));
            select.expr(Func::count(Expr::Case(Box::new(one))));
            select.expr(Func::min(Expr::Case(Box::new(clock))));
        }
        select.from_subquery(newest, Alias::new("newest"));
        let row = conn.query_one(&select).await?;
        for index in 0..readers.len() {
            let Some(row) = &row else {
                all.push(Behind::default());
                continue;
            };
            all.push(Behind {
                cells: row.try_get_by_index(2 * index)?,
                oldest: row.try_get_by_index(2 * index + 1)?,
            });
        }
    }
    Ok(all)
}
