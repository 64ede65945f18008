//! Rows of shadow tables as a database gives them.
//!
//! SQLite's driver hands each row over from one thread to another, and copies each value on the way: most of what it takes to
//! read many small rows. There they are asked for as one text instead.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, QueryResult,
    sea_query::{Expr, Query, SelectStatement},
};
use serde::Deserialize;

use crate::store::{driver_error, shadow::COLUMNS};

/// A row with the columns of [`COLUMNS`], or one of their number that says something else.
#[derive(Debug, Deserialize)]
pub(in crate::store) struct Raw {
    pub pk: Option<String>,
    pub field: Option<String>,
    pub cell: Option<String>,
    pub epoch: Option<i64>,
    pub hlc_ts: Option<i64>,
    pub hlc_counter: Option<i64>,
    pub node_id: Option<String>,
    pub state: Option<String>,
    pub version: Option<i64>,
    pub via: Option<String>,
}

impl Raw {
    fn of(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            pk: row.try_get_by_index(0)?,
            field: row.try_get_by_index(1)?,
            cell: row.try_get_by_index(2)?,
            epoch: row.try_get_by_index(3)?,
            hlc_ts: row.try_get_by_index(4)?,
            hlc_counter: row.try_get_by_index(5)?,
            node_id: row.try_get_by_index(6)?,
            state: row.try_get_by_index(7)?,
            version: row.try_get_by_index(8)?,
            via: row.try_get_by_index(9)?,
        })
    }
}

/// The rows that a query of [`COLUMNS`] gives, in no particular order.
pub(in crate::store) async fn fetch<C: ConnectionTrait>(conn: &C, query: &SelectStatement) -> Result<Vec<Raw>, DbErr> {
    if conn.get_database_backend() == DbBackend::Sqlite {
        match fetch_text(conn, query).await {
            // A text has its limit, and so may many have together.
            Err(error) if driver_error::is_too_big(&error) => {}
            fetched => return fetched,
        }
    }
    conn.query_all(query).await?.iter().map(Raw::of).collect()
}

async fn fetch_text<C: ConnectionTrait>(conn: &C, query: &SelectStatement) -> Result<Vec<Raw>, DbErr> {
    let columns = COLUMNS.map(|column| format!("\"{column}\"")).join(", ");
    let query = Query::select()
        .expr(Expr::cust(format!("json_group_array(json_array({columns}))")))
        .from_subquery(query.clone(), "cells")
        .take();
    let Some(row) = conn.query_one(&query).await? else {
        return Ok(Vec::new());
    };
    let text: String = row.try_get_by_index(0)?;
    serde_json::from_str(&text).map_err(|error| DbErr::Json(error.to_string()))
}
