//! Texts of ours on users' tables, told apart from the application's.
//!
//! sqlx asks PostgreSQL to prepare each text once for a connection, for values of the types that come first. If the same text comes
//! with others, as an `i32` where there was an `i64`, it fails, then and ever after on that connection. So there a text of ours
//! ends with a comment that no application writes, and that is another one for values of other types.

use std::{
    collections::hash_map::DefaultHasher,
    fmt::Write as _,
    hash::{Hash as _, Hasher as _},
};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};

/// A connection on which each statement is marked as one of ours.
#[derive(Debug)]
pub(crate) struct Marked<'a, C>(pub &'a C);

/// The statement, marked as one of ours.
pub(crate) fn marked(mut statement: Statement) -> Statement {
    let values = statement.values.as_ref().filter(|values| !values.0.is_empty());
    if statement.db_backend == DbBackend::Postgres
        && let Some(values) = values
    {
        let mut types = DefaultHasher::new();
        for value in &values.0 {
            std::mem::discriminant(value).hash(&mut types);
        }
        // Writing to a text does not fail.
        let _ = write!(statement.sql, " /* grove {:x} */", types.finish());
    }
    statement
}

#[async_trait::async_trait]
impl<C: ConnectionTrait> ConnectionTrait for Marked<'_, C> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute_raw(marked(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.0.query_one_raw(marked(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.query_all_raw(marked(statement)).await
    }

    fn support_returning(&self) -> bool {
        self.0.support_returning()
    }

    fn is_mock_connection(&self) -> bool {
        self.0.is_mock_connection()
    }
}
