//! What the databases say differently.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, Statement, Value,
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
