//! The only module that speaks SQL to shadow tables, bookkeeping tables and users' rows.

pub(crate) mod begin;
pub(crate) mod catalog;
pub(crate) mod constraint;
pub(crate) mod dead_letters;
pub(crate) mod deferral;
pub(crate) mod dialect;
pub(crate) mod driver;
mod driver_error;
pub(crate) mod ended;
pub(crate) mod failed;
mod fit;
pub(crate) mod identity;
pub(crate) mod inexact;
pub(crate) mod kept;
pub(crate) mod lag;
pub(crate) mod lease;
#[cfg(test)]
mod live;
pub(crate) mod marked;
pub(crate) mod notify;
mod outgoing;
pub(crate) mod parked;
pub(crate) mod peers;
pub(crate) mod progress;
pub(crate) mod references;
pub(crate) mod retry;
pub(crate) mod row;
pub(crate) mod schema;
pub(crate) mod server;
pub(crate) mod shadow;
pub(crate) mod statistics;
pub(crate) mod version;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};

/// How many values one statement may bind: SQLite's limit, the lowest of the supported databases.
pub(crate) const MAX_BINDS: usize = 32_000;

/// Splits `items` so that a statement binding `per_item` values for each stays within [`MAX_BINDS`].
pub(crate) fn chunks<T>(items: &[T], per_item: usize) -> impl Iterator<Item = &[T]> {
    items.chunks((MAX_BINDS / per_item.max(1)).max(1))
}

/// How many bytes one statement may carry, about: well below the packet that MySQL and MariaDB take by default.
const MAX_BYTES: usize = 4 << 20;

/// As [`chunks`], and so that a statement stays within [`MAX_BYTES`] too, unless one item alone is larger. Where the values of a
/// statement have little `room`, it stays within a quarter of that: sizes are counted roughly.
pub(crate) fn chunks_of_size<'a, T>(
    items: &'a [T],
    per_item: usize,
    room: Option<usize>,
    size: impl Fn(&T) -> usize + 'a,
) -> impl Iterator<Item = &'a [T]> {
    let most = (MAX_BINDS / per_item.max(1)).max(1);
    let most_bytes = room.map_or(MAX_BYTES, |room| MAX_BYTES.min(room / 4));
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |item: &&T| {
            bytes += size(item);
            bytes <= most_bytes
        };
        let count = rest.iter().take(most).take_while(fits).count().max(1).min(rest.len());
        let (chunk, left) = rest.split_at(count);
        rest = left;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Runs a query that was put together as text, because it takes up parts of a user's own statement.
pub(crate) async fn query_text<C: ConnectionTrait>(
    conn: &C,
    sql: String,
    values: Vec<Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_all_raw(marked::marked(statement)).await
}
