//! Rows of users' tables.

use std::collections::HashMap;

use sea_orm::{
    ColIdx, ConnectionTrait, DbBackend, DbErr, QueryResult, TryGetable, Value,
    sea_query::{
        Alias, ArrayType, Expr, ExprTrait as _, InsertStatement, IntoColumnRef, IntoIden as _, OnConflict, Query,
        SelectStatement, TableRef, UpdateStatement, ValueTuple,
    },
};

use crate::{
    entity::{Column, Row, Table, key},
    error::Error,
    store::{catalog::Catalog, chunks, chunks_of_size, dialect, driver, marked::Marked, schema::table_ref},
};

/// Reads the rows with these keys, by key text, locking them in key order. A missing row is missing from the result.
pub(crate) async fn read<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    keys: &[Vec<Value>],
) -> Result<HashMap<String, Row>, Error> {
    let mut rows = HashMap::with_capacity(keys.len());
    for chunk in chunks(keys, table.key.len()) {
        let mut query = table.select();
        query.and_where(key_is_among(conn.get_database_backend(), table, chunk));
        in_key_order(&mut query, table);
        dialect::for_update(&mut query, conn.get_database_backend());
        rows.extend(by_key(conn, table, &query).await?);
    }
    Ok(rows)
}

/// As [`read`], undecoded.
pub(crate) async fn read_results<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    keys: &[Vec<Value>],
) -> Result<Vec<QueryResult>, Error> {
    let mut results = Vec::with_capacity(keys.len());
    for chunk in chunks(keys, table.key.len()) {
        let mut query = table.select();
        query.and_where(key_is_among(conn.get_database_backend(), table, chunk));
        in_key_order(&mut query, table);
        dialect::for_update(&mut query, conn.get_database_backend());
        results.extend(Marked(conn).query_all(&query).await?);
    }
    Ok(results)
}

/// The rows a query of this table's columns gives, by key text.
pub(crate) async fn by_key<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    query: &SelectStatement,
) -> Result<HashMap<String, Row>, Error> {
    let mut rows = HashMap::new();
    for result in Marked(conn).query_all(query).await? {
        let row = table.decode(&result)?;
        rows.insert(key::of_row(table, &row)?, row);
    }
    Ok(rows)
}

/// The first `limit` rows after a key, in the order of their keys, locked.
pub(crate) async fn page<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    after: Option<&[Value]>,
    limit: u64,
) -> Result<Vec<Row>, Error> {
    let mut query = table.select();
    if let Some(after) = after {
        let backend = conn.get_database_backend();
        let bound = after
            .iter()
            .map(|value| Expr::val(driver::bound(backend, value.clone())));
        let bound: Vec<_> = bound.collect();
        query.and_where(Expr::tuple(key_exprs(table)).gt(Expr::tuple(bound)));
    }
    in_key_order(&mut query, table);
    dialect::for_update(&mut query, conn.get_database_backend());
    let rows = Marked(conn).query_all(query.limit(limit)).await?;
    rows.iter().map(|row| Ok(table.decode(row)?)).collect()
}

fn column_of(table: &Table, name: &str) -> Expr {
    Expr::col((Alias::new(&table.name), Alias::new(name)).into_column_ref())
}

fn key_exprs(table: &Table) -> Vec<Expr> {
    table
        .key_columns()
        .map(|column| column_of(table, &column.name))
        .collect()
}

/// Several rows are locked in the order of their keys by everyone, so that nobody waits in a circle.
fn in_key_order(query: &mut SelectStatement, table: &Table) {
    for column in table.key_columns() {
        query.order_by((Alias::new(&table.name), Alias::new(&column.name)), sea_orm::Order::Asc);
    }
}

fn key_is_among(backend: DbBackend, table: &Table, keys: &[Vec<Value>]) -> Expr {
    let bound = keys.iter().map(|key| {
        let columns = table.key_columns().zip(key);
        columns.map(|(column, value)| bind(backend, column, value)).collect()
    });
    dialect::among(backend, key_exprs(table), bound.collect())
}

fn bind(backend: DbBackend, column: &Column, value: &Value) -> Expr {
    column.bind(driver::bound(backend, value.clone()))
}

/// What is to be written into rows.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub table: &'a Table,
    /// The columns of new rows.
    pub columns: &'a [usize],
    /// Of rows that are there, the columns that change.
    pub update: &'a [usize],
    pub way: Way,
}

/// How rows are written, some of which may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// New rows and present ones by one upsert, which meets a present row by its key.
    Upsert,
    /// New rows are inserted, so that one whose key is equal to another's without being the same is refused; present ones are
    /// upserted. SQLite does not check a reference of a new row to its own table, by a key of `ON UPDATE SET NULL`, in an upsert.
    Apart,
    /// New rows are inserted, present ones updated one by one: an upsert would need values that are not known, or a key that is
    /// checked at once.
    Singly,
}

impl Way {
    /// How rows of a table are written.
    pub(crate) fn of(backend: DbBackend, catalog: &Catalog, table: &str) -> Self {
        if catalog.has_deferred_key(table) {
            Self::Singly
        } else if catalog.has_loose_key(table)
            || !dialect::conflict_is_with_key(backend)
            || (backend == DbBackend::Sqlite && catalog.resets_itself(table))
        {
            Self::Apart
        } else {
            Self::Upsert
        }
    }
}

/// Rows to be written.
#[derive(Debug, Default)]
pub(crate) struct Rows<'r> {
    pub new: Vec<&'r Row>,
    /// Those under whose keys there are rows.
    pub there: Vec<&'r Row>,
}

/// Writes whole rows.
pub(crate) async fn write<C: ConnectionTrait>(conn: &C, target: Target<'_>, rows: &Rows<'_>) -> Result<(), DbErr> {
    let Rows { new, there } = rows;
    match target.way {
        Way::Upsert => {
            let all: Vec<_> = new.iter().chain(there).copied().collect();
            insert(conn, target, &all, Some(target.on_conflict())).await
        }
        Way::Apart => {
            insert(conn, target, new, None).await?;
            insert(conn, target, there, Some(target.on_conflict())).await
        }
        Way::Singly => {
            insert(conn, target, new, None).await?;
            update_singly(conn, target, there).await
        }
    }
}

/// Updates rows that are there, each by a statement of its own.
async fn update_singly<C: ConnectionTrait>(conn: &C, target: Target<'_>, rows: &[&Row]) -> Result<(), DbErr> {
    for row in rows.iter().filter(|_| !target.update.is_empty()) {
        let table = target.table;
        let values = target.update.iter().map(|index| (*index, row[*index].clone()));
        let key: Vec<_> = table.key.iter().map(|index| row[*index].clone()).collect();
        set(conn, table, &key, &values.collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// The same as [`write`], but where one is refused, those before it in its statement may have been written.
///
/// SQLite keeps the pages that a statement of many rows changes in a file, to be able to take it back. Where the rows are in no
/// particular order, that is almost as much to write as the rows.
pub(crate) async fn write_up_to_refusal<C: ConnectionTrait>(
    conn: &C,
    target: Target<'_>,
    rows: &Rows<'_>,
) -> Result<(), DbErr> {
    let is_one = rows.new.len() + rows.there.len() == 1;
    if conn.get_database_backend() != DbBackend::Sqlite || is_one || target.way == Way::Singly {
        return write(conn, target, rows).await;
    }
    for insert in target.inserts(DbBackend::Sqlite, &rows.new) {
        conn.execute_raw(dialect::or_fail(DbBackend::Sqlite.build(&insert)))
            .await?;
    }
    for update in target.updates(&rows.there) {
        conn.execute_raw(dialect::or_fail(DbBackend::Sqlite.build(&update)))
            .await?;
    }
    Ok(())
}

impl<'a> Target<'a> {
    fn names(&self, columns: &[usize]) -> impl Iterator<Item = Alias> {
        columns.iter().map(|index| Alias::new(&self.table.columns[*index].name))
    }

    fn on_conflict(&self) -> OnConflict {
        let mut conflict = OnConflict::columns(self.names(&self.table.key));
        if self.update.is_empty() {
            conflict.do_nothing_on(self.names(&self.table.key));
        } else {
            conflict.update_columns(self.names(self.update));
        }
        conflict
    }

    /// Inserts of the rows.
    fn inserts<'r>(self, backend: DbBackend, rows: &'r [&Row]) -> impl Iterator<Item = InsertStatement> + use<'a, 'r> {
        let Target { table, columns, .. } = self;
        let size = |row: &&Row| row.iter().map(size).sum();
        let chunks = chunks_of_size(rows, columns.len(), table.room, size);
        chunks.map(move |chunk| {
            let mut insert = Query::insert();
            insert.into_table(table_ref(table)).columns(self.names(columns));
            for row in chunk {
                let values = columns
                    .iter()
                    .map(|index| bind(backend, &table.columns[*index], &row[*index]));
                insert.values_panic(values);
            }
            insert
        })
    }

    /// Updates of rows that are there, on SQLite.
    fn updates<'r>(self, rows: &'r [&Row]) -> impl Iterator<Item = UpdateStatement> + use<'a, 'r> {
        // No table of a user's is called so.
        const GIVEN: &str = "_grove_given";
        let table = self.table;
        let given: Vec<_> = table.key.iter().chain(self.update).copied().collect();
        let mut update = Query::update();
        update.table(table_ref(table));
        for (at, index) in given.iter().enumerate() {
            let column = &table.columns[*index];
            let given = column.saved(Expr::col((GIVEN, Alias::new(format!("column{}", at + 1)))));
            if at < table.key.len() {
                update.and_where(column_of(table, &column.name).eq(given));
            } else {
                update.value(Alias::new(&column.name), given);
            }
        }
        let size = |row: &&Row| row.iter().map(size).sum();
        let width = given.len();
        let chunks = chunks_of_size(if self.update.is_empty() { &[] } else { rows }, width, table.room, size);
        chunks.map(move |chunk| {
            let values = chunk.iter().map(|row| {
                let values = given.iter().map(|index| row[*index].clone());
                ValueTuple::Many(values.collect())
            });
            let values = TableRef::ValuesList(values.collect(), GIVEN.into_iden());
            update.clone().from(values).take()
        })
    }
}

async fn insert<C: ConnectionTrait>(
    conn: &C,
    target: Target<'_>,
    rows: &[&Row],
    conflict: Option<OnConflict>,
) -> Result<(), DbErr> {
    for mut insert in target.inserts(conn.get_database_backend(), rows) {
        if let Some(conflict) = &conflict {
            insert.on_conflict(conflict.clone());
        }
        Marked(conn).execute(&insert).await?;
    }
    Ok(())
}

/// About how many bytes a value takes in a statement.
pub(crate) fn size(value: &Value) -> usize {
    match value {
        Value::String(Some(text)) => text.len(),
        Value::Bytes(Some(bytes)) => bytes.len(),
        Value::Json(Some(json)) => json.to_string().len(),
        _ => 16,
    }
}

/// Deletes the rows with these keys.
pub(crate) async fn delete<C: ConnectionTrait>(conn: &C, table: &Table, keys: &[Vec<Value>]) -> Result<(), DbErr> {
    for chunk in chunks(keys, table.key.len()) {
        let mut delete = Query::delete();
        delete
            .from_table(table_ref(table))
            .and_where(key_is_among(conn.get_database_backend(), table, chunk));
        Marked(conn).execute(&delete).await?;
    }
    Ok(())
}

/// Sets columns of one row.
pub(crate) async fn set<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    key: &[Value],
    values: &[(usize, Value)],
) -> Result<(), DbErr> {
    let backend = conn.get_database_backend();
    let mut update = Query::update();
    update.table(table_ref(table));
    for (index, value) in values {
        let column = &table.columns[*index];
        update.value(Alias::new(&column.name), bind(backend, column, value));
    }
    update.and_where(key_is_among(backend, table, &[key.to_vec()]));
    Marked(conn).execute(&update).await.map(drop)
}

/// Sets one column of rows to null.
pub(crate) async fn set_null<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    keys: &[Vec<Value>],
    column: usize,
) -> Result<(), DbErr> {
    let backend = conn.get_database_backend();
    for chunk in chunks(keys, table.key.len()) {
        let mut update = Query::update();
        update
            .table(table_ref(table))
            .value(Alias::new(&table.columns[column].name), Expr::null())
            .and_where(key_is_among(backend, table, chunk));
        Marked(conn).execute(&update).await?;
    }
    Ok(())
}

/// Some row whose key is not among these.
pub(crate) async fn any_but<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    keys: &[Vec<Value>],
) -> Result<Option<Row>, Error> {
    let mut query = table.select();
    query
        .and_where(key_is_among(conn.get_database_backend(), table, keys).not())
        .limit(1);
    let rows = by_key(conn, table, &query).await?;
    Ok(rows.into_values().next())
}

/// The rows that have one of these tuples in some columns, locked in the order of their keys.
pub(crate) async fn with_tuples<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    columns: &[usize],
    tuples: &[Vec<Value>],
) -> Result<HashMap<String, Row>, Error> {
    let backend = conn.get_database_backend();
    let mut rows = HashMap::new();
    for chunk in chunks(tuples, columns.len()) {
        let names = columns
            .iter()
            .map(|index| column_of(table, &table.columns[*index].name));
        let bound = chunk.iter().map(|tuple| {
            let values = columns.iter().zip(tuple);
            values
                .map(|(index, value)| bind(backend, &table.columns[*index], value))
                .collect()
        });
        let mut query = table.select();
        query.and_where(dialect::among(backend, names.collect(), bound.collect()));
        in_key_order(&mut query, table);
        dialect::for_update(&mut query, backend);
        rows.extend(by_key(conn, table, &query).await?);
    }
    Ok(rows)
}

/// The key of another row that has the values of `row` in these columns.
pub(crate) async fn with_values_of<C: ConnectionTrait>(
    conn: &C,
    catalog: &Catalog,
    table: &Table,
    columns: &[usize],
    row: &Row,
) -> Result<Option<String>, Error> {
    let own = key::of_row(table, row)?;
    let backend = conn.get_database_backend();
    let mut query = table.select();
    for index in columns {
        let column = &table.columns[*index];
        let value = bind(backend, column, &row[*index]);
        // PostgreSQL would compare what is bound as a text with letters' case.
        let storage = catalog.storage(&table.name, &column.name);
        let is_citext = storage.is_some_and(|storage| storage.data_type == "citext");
        let value = if is_citext { value.cast_as("citext") } else { value };
        query.and_where(column_of(table, &column.name).eq(value));
    }
    let others = by_key(conn, table, query.limit(2)).await?;
    Ok(others.into_keys().find(|key| *key != own))
}

/// The value at a place of a result.
pub(crate) fn value_at(row: &QueryResult, index: usize, value_type: &ArrayType) -> Result<Value, DbErr> {
    typed(row, index, value_type)
}

/// The value of a named column of a result.
pub(crate) fn value_named(row: &QueryResult, name: &str, value_type: &ArrayType) -> Result<Value, DbErr> {
    typed(row, name, value_type)
}

fn typed<I: ColIdx + Copy>(row: &QueryResult, index: I, value_type: &ArrayType) -> Result<Value, DbErr> {
    fn get<T: TryGetable + Into<Value>, I: ColIdx>(row: &QueryResult, index: I) -> Result<Value, DbErr> {
        row.try_get_by::<T, I>(index).map(Into::into)
    }
    match value_type {
        ArrayType::Bool => get::<bool, I>(row, index),
        ArrayType::TinyInt => get::<i8, I>(row, index),
        ArrayType::SmallInt => get::<i16, I>(row, index),
        ArrayType::Int => get::<i32, I>(row, index),
        ArrayType::BigInt => get::<i64, I>(row, index),
        ArrayType::TinyUnsigned => get::<u8, I>(row, index),
        ArrayType::SmallUnsigned => get::<u16, I>(row, index),
        ArrayType::Unsigned => get::<u32, I>(row, index),
        ArrayType::BigUnsigned => get::<u64, I>(row, index),
        ArrayType::Bytes => get::<Vec<u8>, I>(row, index),
        ArrayType::Uuid => get::<uuid::Uuid, I>(row, index),
        ArrayType::Decimal => get::<rust_decimal::Decimal, I>(row, index),
        ArrayType::ChronoDate => get::<chrono::NaiveDate, I>(row, index),
        ArrayType::ChronoTime => get::<chrono::NaiveTime, I>(row, index),
        ArrayType::ChronoDateTime => get::<chrono::NaiveDateTime, I>(row, index),
        ArrayType::ChronoDateTimeUtc => get::<chrono::DateTime<chrono::Utc>, I>(row, index),
        ArrayType::TimeDate => get::<time::Date, I>(row, index),
        ArrayType::TimeDateTime => get::<time::PrimitiveDateTime, I>(row, index),
        _ => get::<String, I>(row, index),
    }
}
