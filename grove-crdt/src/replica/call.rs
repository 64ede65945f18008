//! Statements as they are run, and what they give.

use sea_orm::{ConnectionTrait, DbErr, ExecResult, QueryResult, Statement};

/// How a statement is to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Execute,
    /// As one text, which may be several statements.
    Unprepared,
    One,
    All,
}

/// What it gave.
pub(crate) enum Answer {
    Executed(ExecResult),
    One(Option<QueryResult>),
    All(Vec<QueryResult>),
}

impl Answer {
    pub(crate) fn rows(&self) -> &[QueryResult] {
        match self {
            Self::Executed(_) => &[],
            Self::One(row) => row.as_slice(),
            Self::All(rows) => rows,
        }
    }

    /// How many rows the statement wrote, when it says so.
    pub(crate) fn rows_written(&self) -> Option<usize> {
        match self {
            Self::Executed(result) => usize::try_from(result.rows_affected()).ok(),
            Self::One(_) => None,
            Self::All(rows) => Some(rows.len()),
        }
    }

    pub(crate) fn into_rows(self) -> Vec<QueryResult> {
        match self {
            Self::Executed(_) => Vec::new(),
            Self::One(row) => row.into_iter().collect(),
            Self::All(rows) => rows,
        }
    }

    pub(crate) fn into_executed(self) -> Result<ExecResult, DbErr> {
        match self {
            Self::Executed(result) => Ok(result),
            Self::One(_) | Self::All(_) => Err(DbErr::Custom("a query was run for its rows".into())),
        }
    }
}

/// Runs a statement as it is.
pub(crate) async fn perform<C: ConnectionTrait>(conn: &C, call: Call, statement: Statement) -> Result<Answer, DbErr> {
    Ok(match call {
        Call::Execute => Answer::Executed(conn.execute_raw(statement).await?),
        Call::Unprepared => Answer::Executed(conn.execute_unprepared(&statement.sql).await?),
        Call::One => Answer::One(conn.query_one_raw(statement).await?),
        Call::All => Answer::All(conn.query_all_raw(statement).await?),
    })
}
