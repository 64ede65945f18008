//! How far an adoption has come.

use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Expr, ExprTrait as _, OnConflict, Query},
};

use crate::store::schema::ADOPTIONS;

/// The key after which an interrupted adoption goes on.
pub(crate) async fn load<C: ConnectionTrait>(conn: &C, table: &str) -> Result<Option<String>, DbErr> {
    let select = Query::select()
        .column("after_pk")
        .from(ADOPTIONS)
        .and_where(Expr::col("table_name").eq(table))
        .take();
    let row = conn.query_one(&select).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// Notes it.
pub(crate) async fn save<C: ConnectionTrait>(conn: &C, table: &str, after: &str) -> Result<(), DbErr> {
    let insert = Query::insert()
        .into_table(ADOPTIONS)
        .columns(["table_name", "after_pk"])
        .values_panic([table.into(), after.into()])
        .on_conflict(OnConflict::column("table_name").update_column("after_pk").to_owned())
        .take();
    conn.execute(&insert).await.map(drop)
}

/// The adoption is complete.
pub(crate) async fn clear<C: ConnectionTrait>(conn: &C, table: &str) -> Result<(), DbErr> {
    let delete = Query::delete()
        .from_table(ADOPTIONS)
        .and_where(Expr::col("table_name").eq(table))
        .take();
    conn.execute(&delete).await.map(drop)
}
