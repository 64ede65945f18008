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
    store::{
        catalog::Catalog,
        schema::{FIELDS, REPLICA, shadow_name, shadow_ref},
    },
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
        .expr_as(Func::coalesce([Expr::col("v").max(), Expr::val(0_i64)]), "newest")
        .from_subquery(versions, Alias::new("versions"))
        .take()
}

/// Raises the floor above the versions of tables that are not replicated at the moment. While they are not, versions go on
/// above theirs; otherwise what the other tables commit meanwhile would lie below cursors that had passed all of them.
pub(crate) async fn raise_floor<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    catalog: &Catalog,
) -> Result<(), DbErr> {
    let known = Query::select().distinct().column("table_name").from(FIELDS).take();
    for row in conn.query_all(&known).await? {
        let table: String = row.try_get_by_index(0)?;
        let shadow = shadow_name(&table);
        if registry.get(&table).is_some() || catalog.columns(&shadow).is_none() {
            continue;
        }
        let newest = Query::select()
            .expr(Func::coalesce([Expr::col("version").max(), Expr::val(0_i64)]))
            .from(Alias::new(shadow))
            .take();
        let newest: i64 = conn
            .query_one(&newest)
            .await?
            .map_or(Ok(0), |row| row.try_get_by_index(0))?;
        let raise = Query::update()
            .table(REPLICA)
            .value("version_floor", newest)
            .and_where(Expr::col("version_floor").lt(newest))
            .take();
        conn.execute(&raise).await?;
    }
    Ok(())
}

/// The newest version committed, or written by this transaction.
pub(crate) async fn newest<C: ConnectionTrait>(conn: &C, registry: &Registry) -> Result<i64, DbErr> {
    let row = conn.query_one(&newest_query(registry)).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}
