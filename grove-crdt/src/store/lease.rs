//! Who holds a node id, on a database that several processes share: a row that its holder renews, by the database's clock.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr,
    sea_query::{Expr, ExprTrait as _, OnConflict, Query},
};

use crate::store::{dialect, schema::LEASES};

/// Who holds a node id at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub name: String,
    /// For how many microseconds more, unless it renews the lease.
    pub remaining: i64,
}

/// The database's time in microseconds since the Unix epoch.
fn now(backend: DbBackend) -> Expr {
    Expr::cust(match backend {
        DbBackend::Postgres => "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        _ => "cast(unix_timestamp(sysdate(6)) * 1000000 AS signed)",
    })
}

/// Reads who holds a node id, under lock.
pub(crate) async fn holder<C: ConnectionTrait>(conn: &C, node: &str) -> Result<Option<Holder>, DbErr> {
    let backend = conn.get_database_backend();
    let mut select = Query::select();
    select
        .column("holder")
        .expr(Expr::col("until").sub(now(backend)))
        .from(LEASES)
        .and_where(Expr::col("node_id").eq(node));
    dialect::for_update(&mut select, backend);
    let row = conn.query_one(&select).await?;
    row.map(|row| {
        Ok(Holder {
            name: row.try_get_by_index(0)?,
            remaining: row.try_get_by_index(1)?,
        })
    })
    .transpose()
}

/// Takes a node id for some microseconds from now, whoever had it.
pub(crate) async fn take<C: ConnectionTrait>(conn: &C, node: &str, holder: &str, micros: i64) -> Result<(), DbErr> {
    let until = now(conn.get_database_backend()).add(micros);
    let insert = Query::insert()
        .into_table(LEASES)
        .columns(["node_id", "holder", "until"])
        .values_panic([Expr::val(node), Expr::val(holder), until])
        .on_conflict(
            OnConflict::column("node_id")
                .update_columns(["holder", "until"])
                .to_owned(),
        )
        .take();
    conn.execute(&insert).await.map(drop)
}

/// Holds a node id for some microseconds from now, unless somebody else has taken it. Returns whether it is still held.
pub(crate) async fn renew<C: ConnectionTrait>(conn: &C, node: &str, holder: &str, micros: i64) -> Result<bool, DbErr> {
    let until = now(conn.get_database_backend()).add(micros);
    let update = Query::update()
        .table(LEASES)
        .value("until", until)
        .and_where(Expr::col("node_id").eq(node))
        .and_where(Expr::col("holder").eq(holder))
        .take();
    Ok(conn.execute(&update).await?.rows_affected() > 0)
}

/// Whether other node ids are held at the moment.
pub(crate) async fn others<C: ConnectionTrait>(conn: &C, node: &str) -> Result<bool, DbErr> {
    let select = Query::select()
        .column("node_id")
        .from(LEASES)
        .and_where(Expr::col("node_id").ne(node))
        .and_where(Expr::col("until").gt(now(conn.get_database_backend())))
        .limit(1)
        .take();
    Ok(conn.query_one(&select).await?.is_some())
}

/// Gives a node id back.
pub(crate) async fn give_back<C: ConnectionTrait>(conn: &C, node: &str, holder: &str) -> Result<(), DbErr> {
    let delete = Query::delete()
        .from_table(LEASES)
        .and_where(Expr::col("node_id").eq(node))
        .and_where(Expr::col("holder").eq(holder))
        .take();
    conn.execute(&delete).await.map(drop)
}
