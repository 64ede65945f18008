//! This replica's own commit order: one version per transaction.
//!
//! A cursor means "everything up to this version", so versions must become visible in their order, or a reader must know
//! which may still be missing.
//!
//! - SQLite: one transaction writes at a time, so the next version is one above the newest stored. A floor keeps that
//!   true when the rows with the newest versions are forgotten.
//! - MySQL and MariaDB: a counter row, raised first and thereby locked until the transaction ends.
//! - PostgreSQL: the transaction's own id, which is given out before the transaction ends and in no order of commits. A
//!   reader takes only versions below the id of the oldest transaction of this database that is still under way. An offset
//!   keeps versions rising when a dump is restored into a cluster whose ids are lower.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr,
    sea_query::{Alias, Expr, ExprTrait as _, Func, IntoTableRef as _, Query, SelectStatement, UnionType},
};

use crate::{
    entity::Registry,
    store::{
        catalog::Catalog,
        schema::{FIELDS, REPLICA, shadow_name, shadow_ref},
    },
};

/// How versions are given out on this database.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbering {
    /// One above the newest.
    AfterNewest,
    /// By the counter row.
    Counter,
    /// By the transaction's id.
    TransactionId { offset: i64 },
}

/// The version one transaction writes under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Number(i64),
    /// The id of the transaction that evaluates it.
    OwnId {
        offset: i64,
    },
}

impl Version {
    pub(super) fn expr(self) -> Expr {
        match self {
            Self::Number(number) => Expr::val(number),
            Self::OwnId { offset } => Expr::cust(format!("(pg_current_xact_id()::text::bigint + {offset})")),
        }
    }
}

/// The version that a transaction has taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Taken {
    /// None yet.
    #[default]
    Not,
    Is(Version),
    /// The newest there is, whatever that is: the transaction has written it itself.
    Newest,
}

impl Taken {
    /// The version as a statement finds it out that reads nothing first.
    pub(super) fn expr(self, registry: &Registry) -> Expr {
        let newest = || Expr::SubQuery(None, Box::new(newest_query(registry, None).into()));
        match self {
            Self::Is(version) => version.expr(),
            Self::Not => newest().add(1),
            Self::Newest => newest(),
        }
    }

    /// Notes that something was written under it.
    pub(crate) fn is_written(&mut self) {
        if *self == Self::Not {
            *self = Self::Newest;
        }
    }
}

impl Numbering {
    /// What this database's versions are made of, once the bookkeeping tables are there. Brings up to date what they are
    /// made of: the database may have been restored from a dump.
    pub(crate) async fn of<C: ConnectionTrait>(conn: &C, registry: &Registry) -> Result<Self, DbErr> {
        match conn.get_database_backend() {
            DbBackend::Postgres => transaction_ids(conn, registry).await,
            DbBackend::MySql => {
                raise_to(conn, newest_stored(conn, registry).await?).await?;
                Ok(Self::Counter)
            }
            _ => Ok(Self::AfterNewest),
        }
    }

    /// Takes the transaction's version, before it reads the cells that it is to change, unless it is told by what is read: see
    /// [`Self::after`].
    pub(crate) async fn take<C: ConnectionTrait>(self, conn: &C, taken: Taken) -> Result<Taken, DbErr> {
        match (self, taken) {
            (Self::AfterNewest, taken) => Ok(taken),
            (Self::TransactionId { offset }, _) => Ok(Taken::Is(Version::OwnId { offset })),
            (Self::Counter, Taken::Is(Version::Number(taken))) => {
                // A savepoint that was rolled back may have taken the counter back with it.
                raise_to(conn, taken).await?;
                Ok(Taken::Is(Version::Number(taken)))
            }
            (Self::Counter, _) => {
                let next = Expr::cust("last_insert_id(version_floor + 1)");
                let raise = Query::update().table(REPLICA).value("version_floor", next).take();
                let raised = conn.execute(&raise).await?.last_insert_id();
                let raised = i64::try_from(raised).map_err(|_| DbErr::Custom("versions have run out".into()))?;
                Ok(Taken::Is(Version::Number(raised)))
            }
        }
    }

    /// Whether who has taken a version keeps others from taking theirs until its transaction ends.
    pub(crate) fn is_exclusive(self) -> bool {
        matches!(self, Self::Counter)
    }

    /// The version taken, or the one after the newest that was read with the cells.
    pub(crate) fn after(taken: Taken, newest: i64) -> Version {
        match taken {
            Taken::Is(version) => version,
            Taken::Not => Version::Number(newest + 1),
            Taken::Newest => Version::Number(newest),
        }
    }
}

/// Sees that this cluster's ids make versions above all that are stored. Those of transactions that have ended are below
/// the next id to be given out, as the snapshot in which they are seen has it; this transaction's own id may be older.
async fn transaction_ids<C: ConnectionTrait>(conn: &C, registry: &Registry) -> Result<Numbering, DbErr> {
    let select = Query::select()
        .column((REPLICA, "version_offset"))
        .expr(Expr::cust("pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))
        .column(("stored", "newest"))
        .from(REPLICA)
        .from_subquery(newest_query(registry, None), "stored")
        .take();
    let row = conn.query_one(&select).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound(format!("{REPLICA} is empty")))?;
    let (mut offset, next, newest): (i64, i64, i64) = (
        row.try_get_by_index(0)?,
        row.try_get_by_index(1)?,
        row.try_get_by_index(2)?,
    );
    if newest >= next + offset {
        offset = newest;
        let update = Query::update().table(REPLICA).value("version_offset", offset).take();
        conn.execute(&update).await?;
    }
    Ok(Numbering::TransactionId { offset })
}

async fn raise_to<C: ConnectionTrait>(conn: &C, version: i64) -> Result<(), DbErr> {
    let raise = Query::update()
        .table(REPLICA)
        .value("version_floor", version)
        .and_where(Expr::col("version_floor").lt(version))
        .take();
    conn.execute(&raise).await.map(drop)
}

/// What a reader may take at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// The newest version up to which nothing can be missing.
    pub newest: i64,
    /// The first version that must be left; none when all that can be seen may be taken.
    pub below: Option<i64>,
    /// The newest version that is committed and has to wait for a transaction still under way, if any has.
    pub held_back: Option<i64>,
}

/// How far the commit order is settled, as the snapshot of this transaction has it.
pub(crate) async fn settled<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    numbering: Numbering,
) -> Result<Settled, DbErr> {
    let Numbering::TransactionId { offset } = numbering else {
        let newest = newest(conn, registry, numbering).await?;
        return Ok(Settled {
            newest,
            below: None,
            held_back: None,
        });
    };
    let subquery = |query: SelectStatement| Expr::SubQuery(None, Box::new(query.into()));
    let select = Query::select()
        .expr(Expr::col("below"))
        .expr(subquery(newest_query(registry, None)))
        .expr(subquery(newest_query(registry, Some(&Expr::col("below")))))
        .from_subquery(oldest_under_way(offset), "under_way")
        .take();
    let row = conn.query_one(&select).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("the transactions under way".into()))?;
    let (below, all, newest): (i64, i64, i64) = (
        row.try_get_by_index(0)?,
        row.try_get_by_index(1)?,
        row.try_get_by_index(2)?,
    );
    Ok(Settled {
        newest,
        below: Some(below),
        held_back: (all >= below).then_some(all),
    })
}

/// A query for the version below which every transaction of this database has ended, as the one column `below`. Those of the
/// cluster's other databases can't have written here.
fn oldest_under_way(offset: i64) -> SelectStatement {
    let id = "coalesce(min(xact.xact::text::bigint), pg_snapshot_xmax(pg_current_snapshot())::text::bigint)";
    let of_elsewhere = "EXISTS (SELECT FROM pg_stat_activity a \
                        WHERE a.backend_xid = xact.xact::xid AND a.datname <> current_database())";
    Query::select()
        .expr_as(Expr::cust(format!("{id} + {offset}")), "below")
        .from_function(
            Func::cust("pg_snapshot_xip").arg(Expr::cust("pg_current_snapshot()")),
            "xact",
        )
        .and_where(Expr::cust(of_elsewhere).not())
        .take()
}

/// A query for the newest version stored, as the one column `newest`; of those below a version, if one is given.
pub(crate) fn newest_query(registry: &Registry, below: Option<&Expr>) -> SelectStatement {
    let mut versions = Query::select()
        .expr_as(Expr::col("version_floor"), "v")
        .from(REPLICA)
        .take();
    let own = registry.iter().map(|table| shadow_ref(table));
    let others = registry
        .other_shadows()
        .iter()
        .map(|name| Alias::new(name).into_table_ref());
    for shadow in own.chain(others) {
        let mut newest = Query::select();
        newest.expr_as(Expr::col("version").max(), "v").from(shadow);
        if let Some(below) = below {
            newest.and_where(Expr::col("version").lt(below.clone()));
        }
        versions.union(UnionType::All, newest);
    }
    Query::select()
        .expr_as(Func::coalesce([Expr::col("v").max(), Expr::val(0_i64)]), "newest")
        .from_subquery(versions, Alias::new("versions"))
        .take()
}

async fn newest_stored<C: ConnectionTrait>(conn: &C, registry: &Registry) -> Result<i64, DbErr> {
    let row = conn.query_one(&newest_query(registry, None)).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

/// The newest version committed, or written by this transaction.
pub(crate) async fn newest<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    numbering: Numbering,
) -> Result<i64, DbErr> {
    if !matches!(numbering, Numbering::Counter) {
        return newest_stored(conn, registry).await;
    }
    let select = Query::select().column("version_floor").from(REPLICA).take();
    let row = conn.query_one(&select).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

/// The shadows of tables that this database has replicated and this replica does not: another process may go on to, and
/// versions are common to all of them.
pub(crate) async fn other_shadows<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    catalog: &Catalog,
) -> Result<Vec<String>, DbErr> {
    let known = Query::select().distinct().column("table_name").from(FIELDS).take();
    let mut shadows = Vec::new();
    for row in conn.query_all(&known).await? {
        let table: String = row.try_get_by_index(0)?;
        let shadow = shadow_name(&table);
        if registry.get(&table).is_none() && catalog.columns(&shadow).is_some() {
            shadows.push(shadow);
        }
    }
    Ok(shadows)
}

/// Raises the floor to the newest version, before cells that may have it are removed. Only where versions are made from
/// those that are stored.
pub(crate) async fn raise_floor<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    numbering: Numbering,
) -> Result<(), DbErr> {
    if !matches!(numbering, Numbering::AfterNewest) {
        return Ok(());
    }
    raise_to(conn, newest_stored(conn, registry).await?).await
}
