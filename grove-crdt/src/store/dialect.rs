//! What the databases say differently.

use std::{path::PathBuf, time::Duration};

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, Value,
    sea_query::{Alias, Asterisk, Expr, ExprTrait as _, Index, LockType, Query, SelectStatement, ValueTuple},
};

use crate::error::Error;

/// Whether this version works on the database at all.
pub(crate) fn check_backend(backend: DbBackend) -> Result<(), Error> {
    match backend {
        DbBackend::Sqlite => Ok(()),
        other => Err(Error::Invalid(format!(
            "{} is not supported by this version: open the replica on SQLite",
            other.as_str()
        ))),
    }
}

/// `(columns) IN (tuples)`. SQLite takes no list of tuples, but a table of them.
pub(crate) fn among(columns: Vec<Expr>, tuples: Vec<Vec<Value>>) -> Expr {
    if let [column] = columns.as_slice() {
        return column.clone().is_in(tuples.into_iter().flatten());
    }
    let values = tuples.into_iter().map(ValueTuple::Many);
    let rows = Query::select().column(Asterisk).from_values(values, "keys").take();
    Expr::tuple(columns).in_subquery(rows)
}

/// Locks the rows a query reads until the transaction ends, where reading does not exclude writers anyway.
pub(crate) fn for_update(query: &mut SelectStatement, backend: DbBackend) {
    if backend != DbBackend::Sqlite {
        query.lock(LockType::Update);
    }
}

/// The clause that [`for_update`] adds, for a query put together as text.
pub(crate) fn for_update_text(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "",
        _ => " FOR UPDATE",
    }
}

/// Whether a failing statement ends the transaction it is in, unless a savepoint keeps it.
pub(crate) fn failure_ends_transaction(backend: DbBackend) -> bool {
    backend == DbBackend::Postgres
}

/// Creates the index `<table>_<column>`, where it is missing.
pub(crate) async fn create_index<C: ConnectionTrait>(
    conn: &C,
    schema: Option<&str>,
    table: &str,
    column: &'static str,
) -> Result<(), DbErr> {
    let backend = conn.get_database_backend();
    let name = format!("{table}_{column}");
    if let (DbBackend::Sqlite, Some(schema)) = (backend, schema) {
        // SQLite wants the schema before the index's name, not before the table's, which the builder can't say.
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let sql = format!(
            "CREATE INDEX IF NOT EXISTS {}.{} ON {} ({})",
            quoted(schema),
            quoted(&name),
            quoted(table),
            quoted(column)
        );
        return conn.execute_raw(Statement::from_string(backend, sql)).await.map(drop);
    }
    let mut index = Index::create();
    index.if_not_exists().name(name).col(column);
    match schema {
        Some(schema) => index.table((Alias::new(schema), Alias::new(table))),
        None => index.table(Alias::new(table)),
    };
    conn.execute(&index).await.map(drop)
}

/// Whether only one transaction writes at a time, so that writers have to queue.
pub(crate) fn has_one_writer(backend: DbBackend) -> bool {
    backend == DbBackend::Sqlite
}

/// What to begin a transaction with. On SQLite one that may write takes the lock at once: one that took it later could
/// find its snapshot outdated.
pub(crate) fn transaction(backend: DbBackend, options: TransactionOptions) -> TransactionOptions {
    if backend != DbBackend::Sqlite {
        return options;
    }
    let mode = match options.access_mode {
        Some(AccessMode::ReadOnly) => SqliteTransactionMode::Deferred,
        _ => SqliteTransactionMode::Immediate,
    };
    TransactionOptions {
        sqlite_transaction_mode: Some(mode),
        ..TransactionOptions::default()
    }
}

/// How long a writer waits for its turn: as long as SQLite itself would, and at least a second.
pub(crate) async fn busy_timeout(db: &DatabaseConnection) -> Result<Duration, Error> {
    if db.get_database_backend() != DbBackend::Sqlite {
        return Ok(Duration::from_secs(30));
    }
    let pragma = Statement::from_string(DbBackend::Sqlite, "PRAGMA busy_timeout");
    let row = db.query_one_raw(pragma).await?;
    let millis: i64 = row.map_or(Ok(5_000), |row| row.try_get_by_index(0))?;
    let timeout = Duration::from_millis(u64::try_from(millis).unwrap_or(5_000));
    Ok(std::cmp::max(timeout, Duration::from_secs(1)))
}

/// The database's file, when it is one.
pub(crate) async fn database_file(db: &DatabaseConnection) -> Result<Option<PathBuf>, Error> {
    if db.get_database_backend() != DbBackend::Sqlite {
        return Ok(None);
    }
    let pragma = Statement::from_string(DbBackend::Sqlite, "PRAGMA database_list");
    for row in db.query_all_raw(pragma).await? {
        let name: String = row.try_get_by_index(1)?;
        let file: Option<String> = row.try_get_by_index(2)?;
        if name == "main" {
            return Ok(file.filter(|file| !file.is_empty()).map(PathBuf::from));
        }
    }
    Ok(None)
}
