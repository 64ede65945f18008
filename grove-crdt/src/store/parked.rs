//! Rows that the database does not take at the moment, with the reason.

use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Asterisk, Expr, ExprTrait as _, OnConflict, Query},
};

use crate::store::{chunks, constraint::Constraint, dialect, schema::PARKED};

/// A row that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub table: String,
    pub pk: String,
    pub reason: Constraint,
    /// What the database calls the constraint.
    pub constraint: Option<String>,
    /// The key of the row that has the unique value.
    pub holder: Option<String>,
    pub detail: String,
    /// Microseconds since the Unix epoch.
    pub since: i64,
}

const COLUMNS: [&str; 7] = [
    "table_name",
    "pk",
    "reason",
    "constraint_name",
    "holder",
    "detail",
    "since",
];

/// All parked rows, in the order of table and key.
pub(crate) async fn all<C: ConnectionTrait>(conn: &C) -> Result<Vec<Parked>, DbErr> {
    let select = Query::select()
        .columns(COLUMNS)
        .from(PARKED)
        .order_by("table_name", sea_orm::Order::Asc)
        .order_by("pk", sea_orm::Order::Asc)
        .take();
    let rows = conn.query_all(&select).await?;
    rows.iter()
        .map(|row| {
            Ok(Parked {
                table: row.try_get_by_index(0)?,
                pk: row.try_get_by_index(1)?,
                reason: Constraint::parse(&row.try_get_by_index::<String>(2)?),
                constraint: row.try_get_by_index(3)?,
                holder: row.try_get_by_index(4)?,
                detail: row.try_get_by_index(5)?,
                since: row.try_get_by_index(6)?,
            })
        })
        .collect()
}

/// Whether anything is parked.
pub(crate) async fn any<C: ConnectionTrait>(conn: &C) -> Result<bool, DbErr> {
    let select = Query::select().column("pk").from(PARKED).limit(1).take();
    Ok(conn.query_one(&select).await?.is_some())
}

/// As [`any`], in a transaction whose snapshot may be older than its locks.
pub(crate) async fn any_now<C: ConnectionTrait>(conn: &C) -> Result<bool, DbErr> {
    let mut select = Query::select();
    select.column("pk").from(PARKED).limit(1);
    dialect::read_newest(&mut select, conn.get_database_backend());
    Ok(conn.query_one(&select).await?.is_some())
}

/// How many rows are parked.
pub(crate) async fn count<C: ConnectionTrait>(conn: &C) -> Result<i64, DbErr> {
    let select = Query::select().expr(Expr::col(Asterisk).count()).from(PARKED).take();
    let row = conn.query_one(&select).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

/// Parks rows. One that is parked already keeps its place and gets the newer reason.
pub(crate) async fn put<C: ConnectionTrait>(conn: &C, parked: &[Parked]) -> Result<(), DbErr> {
    for chunk in chunks(parked, COLUMNS.len()) {
        let mut insert = Query::insert();
        insert.into_table(PARKED).columns(COLUMNS);
        for row in chunk {
            insert.values_panic([
                row.table.as_str().into(),
                row.pk.as_str().into(),
                row.reason.as_str().into(),
                row.constraint.clone().into(),
                row.holder.clone().into(),
                row.detail.as_str().into(),
                row.since.into(),
            ]);
        }
        insert.on_conflict(
            OnConflict::columns(["table_name", "pk"])
                .update_columns(["reason", "constraint_name", "holder", "detail"])
                .to_owned(),
        );
        conn.execute(&insert).await?;
    }
    Ok(())
}

/// Takes rows off the list.
pub(crate) async fn remove<C: ConnectionTrait>(conn: &C, table: &str, pks: &[String]) -> Result<(), DbErr> {
    for chunk in chunks(pks, 1) {
        let pks = chunk.iter().map(String::as_str);
        let delete = Query::delete()
            .from_table(PARKED)
            .and_where(Expr::col("table_name").eq(table))
            .and_where(Expr::col("pk").is_in(pks))
            .take();
        conn.execute(&delete).await?;
    }
    Ok(())
}
