//! Rows of shadow tables as a database gives them.
//!
//! SQLite's driver hands each row over from one thread to another, and copies each value on the way: most of what it takes to
//! read many small rows. There they are asked for as one text instead.

use std::fmt;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, QueryResult,
    sea_query::{Expr, Query, SelectStatement},
};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::Value as Json;

use crate::store::{driver_error, shadow::COLUMNS};

/// A row with the columns of [`COLUMNS`], or one of their number that says something else.
#[derive(Debug)]
pub(in crate::store) struct Raw {
    pub pk: Option<String>,
    pub field: Option<String>,
    pub cell: Option<String>,
    pub epoch: Option<i64>,
    pub hlc_ts: Option<i64>,
    pub hlc_counter: Option<i64>,
    pub node_id: Option<String>,
    pub state: Option<RawState>,
    pub version: Option<i64>,
    pub via: Option<String>,
}

/// What the column of states has.
#[derive(Debug)]
pub(in crate::store) enum RawState {
    Text(String),
    /// What the text says, where it was read as a part of a larger one.
    Json(Json),
}

impl RawState {
    pub(in crate::store) fn into_json(self) -> serde_json::Result<Json> {
        match self {
            Self::Text(text) => serde_json::from_str(&text),
            Self::Json(json) => Ok(json),
        }
    }

    pub(in crate::store) fn json(&self) -> serde_json::Result<Json> {
        match self {
            Self::Text(text) => serde_json::from_str(text),
            Self::Json(json) => Ok(json.clone()),
        }
    }

    /// The text, where it need not be JSON.
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(_) => None,
        }
    }
}

impl Raw {
    fn of(row: &QueryResult) -> Result<Self, DbErr> {
        let state: Option<String> = row.try_get_by_index(7)?;
        Ok(Self {
            pk: row.try_get_by_index(0)?,
            field: row.try_get_by_index(1)?,
            cell: row.try_get_by_index(2)?,
            epoch: row.try_get_by_index(3)?,
            hlc_ts: row.try_get_by_index(4)?,
            hlc_counter: row.try_get_by_index(5)?,
            node_id: row.try_get_by_index(6)?,
            state: state.map(RawState::Text),
            version: row.try_get_by_index(8)?,
            via: row.try_get_by_index(9)?,
        })
    }
}

/// The rows that a query of [`COLUMNS`] gives, in no particular order.
pub(in crate::store) async fn fetch<C: ConnectionTrait>(conn: &C, query: &SelectStatement) -> Result<Vec<Raw>, DbErr> {
    if conn.get_database_backend() == DbBackend::Sqlite {
        match fetch_text(conn, query).await {
            Ok(Some(rows)) => return Ok(rows),
            // Some state is no JSON. Alone, it can be told which.
            Ok(None) => {}
            // A text has its limit, and so may many have together.
            Err(error) if driver_error::is_too_big(&error) => {}
            Err(error) => return Err(error),
        }
    }
    conn.query_all(query).await?.iter().map(Raw::of).collect()
}

/// `None` when the text is no JSON.
async fn fetch_text<C: ConnectionTrait>(conn: &C, query: &SelectStatement) -> Result<Option<Vec<Raw>>, DbErr> {
    let others = COLUMNS.into_iter().filter(|column| *column != "state");
    let others: Vec<_> = others.map(|column| format!("\"{column}\"")).collect();
    // States are JSON already: they are put between the arrays of the others as they are.
    let row = format!(
        "json_array({}) || ',' || coalesce(\"state\", 'null')",
        others.join(", ")
    );
    let query = Query::select()
        .expr(Expr::cust(format!("'[' || group_concat({row}) || ']'")))
        .from_subquery(query.clone(), "cells")
        .take();
    let row = conn.query_one(&query).await?;
    let text: Option<String> = row.map_or(Ok(None), |row| row.try_get_by_index(0))?;
    let Some(text) = text else {
        return Ok(Some(Vec::new()));
    };
    Ok(serde_json::from_str(&text).ok().map(|Rows(rows)| rows))
}

/// Rows as [`fetch_text`] asks for them: an array of the columns but for the state, the state, the next array, and so on.
struct Rows(Vec<Raw>);

/// The columns but for the state.
type Others = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
);

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InTurn;
        impl<'de> Visitor<'de> for InTurn {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("columns and states in turn")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Rows, A::Error> {
                let mut rows = Vec::new();
                while let Some(others) = parts.next_element::<Others>()? {
                    let (pk, field, cell, epoch, hlc_ts, hlc_counter, node_id, version, via) = others;
                    rows.push(Raw {
                        pk,
                        field,
                        cell,
                        epoch,
                        hlc_ts,
                        hlc_counter,
                        node_id,
                        state: parts.next_element()?.map(RawState::Json),
                        version,
                        via,
                    });
                }
                Ok(Rows(rows))
            }
        }
        deserializer.deserialize_seq(InTurn)
    }
}
