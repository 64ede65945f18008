//! Who this database is.
//!
//! A database has a replica id, made when it is first opened. Each opening begins an *incarnation*, noted with the newest
//! version at that time. A cursor names the incarnation it was given out in; one that names an incarnation this database
//! does not have, or a version the incarnation did not reach, was given out by a history that is gone: the database was
//! restored from a backup.

use std::collections::BTreeMap;

use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Expr, ExprTrait as _, Func, OnConflict, Query},
};

use crate::{
    error::Error,
    store::{
        dialect,
        schema::{FIELDS, INCARNATIONS, LAYOUT, NODES, REPLICA},
    },
};

/// Reads the replica id, making one when there is none.
pub(crate) async fn replica_id<C: ConnectionTrait>(conn: &C) -> Result<String, Error> {
    let insert = Query::insert()
        .into_table(REPLICA)
        .columns(["id", "layout", "replica_id", "version_floor", "version_offset"])
        .values_panic([
            1.into(),
            LAYOUT.into(),
            uuid::Uuid::new_v4().to_string().into(),
            0_i64.into(),
            0_i64.into(),
        ])
        .on_conflict(OnConflict::column("id").do_nothing_on(["id"]).to_owned())
        .take();
    conn.execute(&insert).await?;
    let mut select = Query::select();
    select.columns(["layout", "replica_id"]).from(REPLICA);
    dialect::for_update(&mut select, conn.get_database_backend());
    let row = conn.query_one(&select).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound(format!("{REPLICA} is empty")))?;
    let layout: i32 = row.try_get_by_index(0)?;
    if layout > LAYOUT {
        return Err(Error::Invalid(format!(
            "this database was opened by a newer version of grove-crdt (layout {layout}, known here: {LAYOUT}); upgrade this one"
        )));
    }
    Ok(row.try_get_by_index(1)?)
}

/// Begins an incarnation.
pub(crate) async fn begin_incarnation<C: ConnectionTrait>(conn: &C, from_version: i64) -> Result<(), DbErr> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let insert = Query::insert()
        .into_table(INCARNATIONS)
        .columns(["seq", "id", "from_version"])
        .select_from(
            Query::select()
                .expr(Expr::expr(Func::coalesce([Expr::col("seq").max(), 0.into()])).add(1))
                .expr(Expr::val(id.as_str()))
                .expr(Expr::val(from_version))
                .from(INCARNATIONS)
                .take(),
        )
        .map_err(|error| DbErr::Custom(error.to_string()))?
        .take();
    conn.execute(&insert).await.map(drop)
}

/// The incarnations of this database, oldest first, each with the version it began at.
#[derive(Debug)]
pub(crate) struct History(Vec<(String, i64)>);

impl History {
    pub(crate) async fn load<C: ConnectionTrait>(conn: &C) -> Result<Self, DbErr> {
        let select = Query::select()
            .columns(["id", "from_version"])
            .from(INCARNATIONS)
            .order_by("seq", sea_orm::Order::Asc)
            .take();
        let rows = conn.query_all(&select).await?;
        let incarnations = rows
            .iter()
            .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)));
        incarnations.collect::<Result<_, DbErr>>().map(Self)
    }

    /// The incarnation to name in a cursor that is given out now. It may have begun in another process than this one.
    pub(crate) fn newest(&self) -> &str {
        self.0.last().map_or("", |(id, _)| id)
    }

    /// How far a cursor of `incarnation` can be trusted: up to the version where the next one began, `i64::MAX` when it is
    /// the newest. `None` when this database never had that incarnation.
    pub(crate) fn trusted_until(&self, incarnation: &str) -> Option<i64> {
        let at = self.0.iter().position(|(id, _)| id == incarnation)?;
        Some(self.0.get(at + 1).map_or(i64::MAX, |(_, from)| *from))
    }
}

/// What is remembered of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownField {
    pub kind: String,
    /// Whether the entity had it when the database was last opened. One that it had not is stored as an unknown one is.
    pub in_use: bool,
}

/// Before the kind of a field that is not in use.
const RESTING: char = '-';

/// The fields that a table has ever had here.
pub(crate) async fn known_fields<C: ConnectionTrait>(
    conn: &C,
    table: &str,
) -> Result<BTreeMap<String, KnownField>, DbErr> {
    let select = Query::select()
        .columns(["field", "kind"])
        .from(FIELDS)
        .and_where(Expr::col("table_name").eq(table))
        .take();
    let rows = conn.query_all(&select).await?;
    rows.iter()
        .map(|row| {
            let text: String = row.try_get_by_index(1)?;
            let resting = text.strip_prefix(RESTING);
            let known = KnownField {
                kind: resting.unwrap_or(&text).to_owned(),
                in_use: resting.is_none(),
            };
            Ok((row.try_get_by_index(0)?, known))
        })
        .collect()
}

/// Remembers a field.
pub(crate) async fn remember_field<C: ConnectionTrait>(
    conn: &C,
    table: &str,
    field: &str,
    known: &KnownField,
) -> Result<(), DbErr> {
    let KnownField { kind, in_use } = known;
    let kind = if *in_use {
        kind.clone()
    } else {
        format!("{RESTING}{kind}")
    };
    let insert = Query::insert()
        .into_table(FIELDS)
        .columns(["table_name", "field", "kind"])
        .values_panic([table.into(), field.into(), kind.into()])
        .on_conflict(
            OnConflict::columns(["table_name", "field"])
                .update_column("kind")
                .to_owned(),
        )
        .take();
    conn.execute(&insert).await.map(drop)
}

/// The database that a node id speaks for, when it is known.
pub(crate) async fn known_database<C: ConnectionTrait>(conn: &C, node: &str) -> Result<Option<String>, DbErr> {
    let select = Query::select()
        .column("replica_id")
        .from(NODES)
        .and_where(Expr::col("node_id").eq(node))
        .take();
    let row = conn.query_one(&select).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// Remembers which database a node id speaks for. Returns the other database when somebody was faster.
pub(crate) async fn claim_node<C: ConnectionTrait>(
    conn: &C,
    node: &str,
    replica_id: &str,
) -> Result<Option<String>, DbErr> {
    let insert = Query::insert()
        .into_table(NODES)
        .columns(["node_id", "replica_id"])
        .values_panic([node.into(), replica_id.into()])
        .on_conflict(OnConflict::column("node_id").do_nothing_on(["node_id"]).to_owned())
        .take();
    conn.execute(&insert).await?;
    let known = known_database(conn, node).await?;
    Ok(known.filter(|known| known != replica_id))
}

/// Forgets which database a node id speaks for.
pub(crate) async fn forget_node<C: ConnectionTrait>(conn: &C, node: &str) -> Result<bool, DbErr> {
    let delete = Query::delete()
        .from_table(NODES)
        .and_where(Expr::col("node_id").eq(node))
        .take();
    Ok(conn.execute(&delete).await?.rows_affected() > 0)
}
