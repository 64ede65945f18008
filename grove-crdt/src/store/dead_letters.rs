//! Changes that were refused, kept whole.

use std::fmt::Write as _;

use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Asterisk, Expr, ExprTrait as _, OnConflict, Query},
};
use sha2::{Digest, Sha256};

use crate::{
    change::{Change, Omitted},
    store::{chunks, chunks_of_size, schema::DEAD_LETTERS},
};

/// A refused change. `change` is its JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub direction: String,
    pub peer: String,
    pub code: String,
    pub message: String,
    /// Whether it was refused for now only, whatever the code says.
    pub later: bool,
    pub change: String,
    /// Microseconds since the Unix epoch.
    pub since: i64,
}

const COLUMNS: [&str; 8] = ["id", "direction", "peer", "code", "message", "later", "change", "since"];

/// The same change of the same peer is one letter.
fn id(letter: &Letter) -> String {
    let mut hash = Sha256::new();
    for part in [&letter.direction, &letter.peer, &letter.change] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut id = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a String can't fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// A change as it is kept: whole, unless it is larger than the values of a statement may be.
pub(crate) fn text(change: &Change, room: Option<usize>) -> String {
    let text = serde_json::to_string(change).unwrap_or_default();
    if room.is_none_or(|room| text.len() <= room) {
        return text;
    }
    serde_json::to_string(&Omitted::of(change, text.len())).unwrap_or_default()
}

/// Keeps letters. One that is there already gets the newer reason. `room` is for the values of a statement, in bytes.
pub(crate) async fn put<C: ConnectionTrait>(conn: &C, letters: &[Letter], room: Option<usize>) -> Result<(), DbErr> {
    let size = |letter: &Letter| letter.change.len() + letter.message.len() + letter.peer.len() + 256;
    for chunk in chunks_of_size(letters, COLUMNS.len(), room, size) {
        let mut insert = Query::insert();
        insert.into_table(DEAD_LETTERS).columns(COLUMNS);
        for letter in chunk {
            insert.values_panic([
                id(letter).into(),
                letter.direction.as_str().into(),
                letter.peer.as_str().into(),
                letter.code.as_str().into(),
                letter.message.as_str().into(),
                i32::from(letter.later).into(),
                letter.change.as_str().into(),
                letter.since.into(),
            ]);
        }
        insert.on_conflict(
            OnConflict::column("id")
                .update_columns(["code", "message", "later"])
                .to_owned(),
        );
        conn.execute(&insert).await?;
    }
    Ok(())
}

/// Letters with their ids, oldest first; all of them, or those of one direction and peer.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    of: Option<(&str, &str)>,
) -> Result<Vec<(String, Letter)>, DbErr> {
    let mut select = Query::select();
    select
        .columns(COLUMNS)
        .from(DEAD_LETTERS)
        .order_by("since", sea_orm::Order::Asc)
        .order_by("id", sea_orm::Order::Asc);
    if let Some((direction, peer)) = of {
        select
            .and_where(Expr::col("direction").eq(direction))
            .and_where(Expr::col("peer").eq(peer));
    }
    let rows = conn.query_all(&select).await?;
    rows.iter()
        .map(|row| {
            let letter = Letter {
                direction: row.try_get_by_index(1)?,
                peer: row.try_get_by_index(2)?,
                code: row.try_get_by_index(3)?,
                message: row.try_get_by_index(4)?,
                later: row.try_get_by_index::<i32>(5)? != 0,
                change: row.try_get_by_index(6)?,
                since: row.try_get_by_index(7)?,
            };
            Ok((row.try_get_by_index(0)?, letter))
        })
        .collect()
}

/// How many letters there are.
pub(crate) async fn count<C: ConnectionTrait>(conn: &C) -> Result<i64, DbErr> {
    let select = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from(DEAD_LETTERS)
        .take();
    let row = conn.query_one(&select).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

/// Throws letters away, and returns how many there were.
pub(crate) async fn remove<C: ConnectionTrait>(conn: &C, ids: &[String]) -> Result<u64, DbErr> {
    let mut removed = 0;
    for chunk in chunks(ids, 1) {
        let ids = chunk.iter().map(String::as_str);
        let delete = Query::delete()
            .from_table(DEAD_LETTERS)
            .and_where(Expr::col("id").is_in(ids))
            .take();
        removed += conn.execute(&delete).await?.rows_affected();
    }
    Ok(removed)
}
