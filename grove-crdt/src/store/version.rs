//! This replica's own commit order: one version per transaction.
//!
//! A cursor means "everything up to this version", so versions must become visible in their order. On SQLite they do,
//! because one transaction writes at a time: the next version is one above the newest stored. The floor keeps that true
//! when the rows with the newest versions are forgotten.

use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Alias, Expr, ExprTrait as _, Func, IntoTableRef as _, Query, SelectStatement, UnionType},
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
    let own = registry.iter().map(|table| shadow_ref(table));
    let others = registry
        .other_shadows()
        .iter()
        .map(|name| Alias::new(name).into_table_ref());
    for shadow in own.chain(others) {
        let newest = Query::select()
            .expr_as(Expr::col("version").max(), "v")
            .from(shadow)
            .take();
        versions.union(UnionType::All, newest);
    }
    Query::select()
        .expr_as(Func::coalesce([Expr::col("v").max(), Expr::val(0_i64)]), "newest")
        .from_subquery(versions, Alias::new("versions"))
        .take()
}

/// The shadows of tables that this database has replicated and this replica does not: another process may go on to, and
/// versions are common to all of them.
pub(crate) async fn other_shadows<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    catalog: &Catalog,
) -> Result<Vec<String>, DbErr> {
    let known = Query::select().distinct().column("table_name").from(FIELDS).take();
    let mut shadows = Vec::new();
    for row in conn.query_all(&known).await? {
        let table: String = row.try_get_by_index(0)?;
        let shadow = shadow_name(&table);
        if registry.get(&table).is_none() && catalog.columns(&shadow).is_some() {
            shadows.push(shadow);
        }
    }
    Ok(shadows)
}

/// Raises the floor to the newest version, before cells that may have it are removed.
pub(crate) async fn raise_floor<C: ConnectionTrait>(conn: &C, registry: &Registry) -> Result<(), DbErr> {
    let newest = newest(conn, registry).await?;
    let raise = Query::update()
        .table(REPLICA)
        .value("version_floor", newest)
        .and_where(Expr::col("version_floor").lt(newest))
        .take();
    conn.execute(&raise).await.map(drop)
}

/// The newest version committed, or written by this transaction.
pub(crate) async fn newest<C: ConnectionTrait>(conn: &C, registry: &Registry) -> Result<i64, DbErr> {
    let row = conn.query_one(&newest_query(registry)).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}
