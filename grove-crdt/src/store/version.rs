//! This replica's own commit order: one version per transaction.
//!
//! A cursor means "everything up to this version", so versions must become visible in their order. On SQLite they do,
//! because one transaction writes at a time: the next version is one above the newest stored. The floor keeps that true
//! when the rows with the newest versions are forgotten.

use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Alias, Expr, ExprTrait as _, Func, Query, SelectStatement, UnionType},
};

use crate::{
    entity::Registry,
    store::schema::{REPLICA, shadow_ref},
};

/// A query for the newest version, as the one column `newest`.
pub(crate) fn newest_query(registry: &Registry) -> SelectStatement {
    let mut versions = Query::select()
        .expr_as(Expr::col("version_floor"), "v")
        .from(REPLICA)
        .take();
    for table in registry.iter() {
        let newest = Query::select()
            .expr_as(Expr::col("version").max(), "v")
            .from(shadow_ref(table))
            .take();
        versions.union(UnionType::All, newest);
    }
    Query::select()
        .expr_as(
            Func::coalesce([Expr::col("v").max(), Expr::val(0_i64)]),
            "newest",
        )
        .from_subquery(versions, Alias::new("versions"))
        .take()
}

/// The newest version committed, or written by this transaction.
pub(crate) async fn newest<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
) -> Result<i64, DbErr> {
    let row = conn.query_one(&newest_query(registry)).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}
