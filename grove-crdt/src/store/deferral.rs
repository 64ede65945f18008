//! Constraints that are checked at the end of several statements instead of after each.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

/// Whether foreign keys that let no parent go (`NO ACTION`) are checked only at the end once [`defer`] was called, whatever the table
/// says.
pub(crate) fn defers_all_keys(backend: DbBackend) -> bool {
    backend == DbBackend::Sqlite
}

/// Has the database check later what it can: every foreign key on SQLite, deferrable constraints on PostgreSQL.
pub(crate) async fn defer<C: ConnectionTrait>(conn: &C) -> Result<(), DbErr> {
    let setting = match conn.get_database_backend() {
        DbBackend::Sqlite => "PRAGMA defer_foreign_keys = ON",
        DbBackend::Postgres => "SET CONSTRAINTS ALL DEFERRED",
        _ => return Ok(()),
    };
    conn.execute_unprepared(setting).await.map(drop)
}

/// Has the database check now what it has deferred, as far as it can be asked to: on PostgreSQL.
///
/// # Errors
///
/// A row breaks a rule.
pub(crate) async fn check<C: ConnectionTrait>(conn: &C) -> Result<(), DbErr> {
    if conn.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    conn.execute_unprepared("SET CONSTRAINTS ALL IMMEDIATE").await.map(drop)
}

/// Has the database check again after each statement.
pub(crate) async fn end<C: ConnectionTrait>(conn: &C) -> Result<(), DbErr> {
    match conn.get_database_backend() {
        DbBackend::Sqlite => conn
            .execute_unprepared("PRAGMA defer_foreign_keys = OFF")
            .await
            .map(drop),
        _ => Ok(()),
    }
}
