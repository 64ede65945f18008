//! Shadow tables: the cells of a table's records.

mod batch;
mod blind;
mod form;
mod raw;

use std::collections::{BTreeMap, HashMap};

use sea_orm::{
    ConnectionTrait, DbBackend,
    sea_query::{Expr, ExprTrait as _, Query, SelectStatement, UnionType},
};

pub(crate) use batch::{Batch, Part, remove, write};
pub(crate) use blind::{Along, Births, Blind, Cells, Steps, Texts, Written, can_be_blind, can_be_moved, can_go_along};
pub(in crate::store) use form::{Reader, tagged};
use raw::RawState;
pub(in crate::store) use raw::{Raw, fetch};

use crate::{
    change::Change,
    clock::{Hlc, NodeId},
    entity::{Registry, Table},
    error::Error,
    store::{
        MAX_BINDS, chunks, dialect,
        schema::{PARKED, shadow_ref},
        version,
    },
    types::{Cell, CellKey, Head, Kind, Record},
};

const COLUMNS: [&str; 10] = [
    "pk",
    "field",
    "cell",
    "epoch",
    "hlc_ts",
    "hlc_counter",
    "node_id",
    "state",
    "version",
    "via",
];

/// One cell as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub pk: String,
    pub key: CellKey,
    pub content: Content,
}

/// What a stored cell holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Head(Head),
    Cell(Cell),
}

/// The records asked for, and the newest version at that moment, where versions follow the newest.
pub(crate) struct Loaded {
    pub records: HashMap<String, Record>,
    pub newest: i64,
    pub seen: Seen,
    /// Whether any row is parked, where that can be read along.
    pub any_parked: Option<bool>,
}

/// The snapshot in which cells were read, where another transaction may write them before this one does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Option<String>);

/// How much of a record is read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Extent {
    Whole,
    /// The head and the table's own fields, but of its sets only what is at these places.
    Places(Vec<CellKey>),
}

impl Extent {
    /// These records as a whole.
    pub(crate) fn whole(pks: impl IntoIterator<Item = String>) -> BTreeMap<String, Self> {
        pks.into_iter().map(|pk| (pk, Self::Whole)).collect()
    }

    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}

/// Reads whole records. Those that don't exist come back empty. One statement per 32,000 keys.
pub(crate) async fn read<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    table: &Table,
    pks: &[String],
) -> Result<Loaded, Error> {
    let queries = whole(conn.get_database_backend(), table, pks);
    load(conn, registry, table, queries, pks).await
}

/// Reads records to write them afterwards: what is read is what is there, whatever snapshot the transaction has.
pub(crate) async fn read_to_write<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    table: &Table,
    records: &BTreeMap<String, Extent>,
) -> Result<Loaded, Error> {
    let backend = conn.get_database_backend();
    let (mut wholly, mut partly, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (pk, extent) in records {
        match extent {
            Extent::Whole => wholly.push(pk.clone()),
            Extent::Places(keys) => {
                partly.push(pk.clone());
                places.extend(keys.iter().map(|key| (pk.as_str(), key)));
            }
        }
    }
    let mut queries = whole(backend, table, &wholly);
    queries.extend(without_sets(backend, table, &partly));
    queries.extend(at(backend, table, &places));
    for query in &mut queries {
        dialect::read_newest(query, backend);
    }
    let binds = wholly.len() + partly.len() + 3 * places.len();
    if dialect::can_read_newest_together(backend) && binds <= MAX_BINDS {
        let together = queries
            .into_iter()
            .reduce(|mut all, query| all.union(UnionType::All, query).take());
        queries = together.into_iter().collect();
    }
    load(conn, registry, table, queries, records.keys()).await
}

/// All cells of records.
fn whole(backend: DbBackend, table: &Table, pks: &[String]) -> Vec<SelectStatement> {
    let of = |chunk| {
        let is_one = dialect::is_one_of(backend, Expr::col("pk"), chunk);
        select(table).and_where(is_one).take()
    };
    chunks(pks, 1).map(of).collect()
}

/// Their cells but for those of sets, and of fields that the table does not have. They are named, so that an index leads to
/// them past however many elements.
fn without_sets(backend: DbBackend, table: &Table, pks: &[String]) -> Vec<SelectStatement> {
    let others = table.replicated().filter(|(.., kind)| *kind != Kind::Set);
    let fields: Vec<_> = others.map(|(_, column, _)| column.name.as_str()).chain([""]).collect();
    let mut queries = whole(backend, table, pks);
    for query in &mut queries {
        query.and_where(Expr::col("field").is_in(fields.iter().copied()));
    }
    queries
}

/// Single cells.
fn at(backend: DbBackend, table: &Table, places: &[(&str, &CellKey)]) -> Vec<SelectStatement> {
    let of = |chunk: &[(&str, &CellKey)]| {
        let is_one = dialect::among(backend, key_columns(), key_values(chunk.iter().copied()));
        select(table).and_where(is_one).take()
    };
    chunks(places, 3).map(of).collect()
}

fn key_columns() -> Vec<Expr> {
    ["pk", "field", "cell"].map(Expr::col).into()
}

fn key_values<'a>(places: impl Iterator<Item = (&'a str, &'a CellKey)>) -> Vec<Vec<Expr>> {
    let values = places.map(|(pk, key)| [pk, key.field.as_str(), key.cell.as_str()].map(Expr::val).into());
    values.collect()
}

async fn load<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    table: &Table,
    queries: Vec<SelectStatement>,
    pks: impl IntoIterator<Item = &String>,
) -> Result<Loaded, Error> {
    let backend = conn.get_database_backend();
    let mut parts: HashMap<String, (Option<Head>, BTreeMap<CellKey, Cell>)> =
        pks.into_iter().map(|pk| (pk.clone(), Default::default())).collect();
    let (mut newest, mut seen, mut any_parked) = (0, Seen::default(), None);
    let mut reader = Reader::new(table);
    for (index, mut query) in queries.into_iter().enumerate() {
        if index == 0
            && let Some(circumstances) = circumstances(registry, backend)
        {
            query.union(UnionType::All, circumstances);
        }
        for row in fetch(conn, &query).await? {
            if row.pk.is_none() {
                any_parked = Some(row.epoch > Some(0));
                newest = row.version.unwrap_or_default();
                seen = Seen(row.state.and_then(RawState::into_text));
                continue;
            }
            let stored = reader.read(row)?;
            let record = parts.entry(stored.pk).or_default();
            match stored.content {
                Content::Head(head) if head.epoch == 0 => {}
                Content::Head(head) => record.0 = Some(head),
                Content::Cell(cell) => drop(record.1.insert(stored.key, cell)),
            }
        }
    }
    let records = parts
        .into_iter()
        .map(|(pk, (head, cells))| (pk, Record::stored(head, cells)))
        .collect();
    Ok(Loaded {
        records,
        newest,
        seen,
        any_parked,
    })
}

pub(super) fn select(table: &Table) -> SelectStatement {
    Query::select().columns(COLUMNS).from(shadow_ref(table)).take()
}

/// A row of a shadow's shape that has no key, to be read along with the cells: the newest version where versions follow
/// it, the snapshot where writers overlap, and whether any row is parked. A locking read takes nothing along.
fn circumstances(registry: &Registry, backend: DbBackend) -> Option<SelectStatement> {
    let mut query = Query::select();
    for column in COLUMNS {
        query.expr(match (column, backend) {
            ("epoch", _) => Expr::cust(format!("CASE WHEN EXISTS (SELECT 1 FROM {PARKED}) THEN 1 ELSE 0 END")),
            ("version", DbBackend::Sqlite) => Expr::col("newest"),
            ("state", DbBackend::Postgres) => Expr::cust("pg_current_snapshot()::text"),
            _ => Expr::null(),
        });
    }
    match backend {
        DbBackend::Sqlite => Some(
            query
                .from_subquery(version::newest_query(registry, None), "newest_version")
                .take(),
        ),
        DbBackend::Postgres => Some(query),
        _ => None,
    }
}

/// A place in a table's commit order.
pub(crate) struct Place<'a> {
    pub version: i64,
    /// Within the version: after this cell of this row.
    pub after: Option<(&'a str, &'a CellKey)>,
}

/// A cell with its version, and the replica that it came from.
pub(crate) struct Versioned {
    pub version: i64,
    pub via: Option<String>,
    pub change: Change,
}

/// The first `limit` cells after a place and below a version, by version and key, but for those that came from `not_via`;
/// in no particular order.
pub(crate) async fn page<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    after: &Place<'_>,
    below: Option<i64>,
    not_via: Option<&str>,
    limit: usize,
) -> Result<Vec<Versioned>, Error> {
    let mut query = select(table);
    let later = Expr::col("version").gt(after.version);
    query.and_where(match after.after {
        None => later,
        Some((pk, key)) => later.or(Expr::col("version").eq(after.version).and(
            Expr::tuple([Expr::col("pk"), Expr::col("field"), Expr::col("cell")]).gt(Expr::tuple([
                Expr::val(pk),
                Expr::val(key.field.as_str()),
                Expr::val(key.cell.as_str()),
            ])),
        )),
    });
    // Placeholders are no changes.
    query.and_where(Expr::col("epoch").gt(0));
    if let Some(below) = below {
        query.and_where(Expr::col("version").lt(below));
    }
    if let Some(peer) = not_via {
        query.and_where(Expr::col("via").is_null().or(Expr::col("via").ne(peer)));
    }
    for column in ["version", "pk", "field", "cell"] {
        query.order_by(column, sea_orm::Order::Asc);
    }
    query.limit(limit as u64);
    let rows = fetch(conn, &query).await?;
    let mut reader = Reader::new(table);
    rows.into_iter()
        .map(|mut row| {
            Ok(Versioned {
                version: row.version.unwrap_or_default(),
                via: row.via.take(),
                change: reader.read_change(row)?,
            })
        })
        .collect()
}

/// The newest clock value in a table's cells.
pub(crate) async fn newest_clock<C: ConnectionTrait>(conn: &C, table: &Table) -> Result<Option<Hlc>, Error> {
    let mut query = Query::select();
    query
        .columns(["hlc_ts", "hlc_counter", "node_id"])
        .from(shadow_ref(table));
    for column in ["hlc_ts", "hlc_counter", "node_id"] {
        query.order_by(column, sea_orm::Order::Desc);
    }
    let Some(row) = conn.query_one(query.limit(1)).await? else {
        return Ok(None);
    };
    let counter: i64 = row.try_get_by_index(1)?;
    Ok(Some(Hlc {
        ts: row.try_get_by_index(0)?,
        counter: u32::try_from(counter).unwrap_or(u32::MAX),
        node: NodeId::stored(&row.try_get_by_index::<String>(2)?)?,
    }))
}

/// The keys of living or dead records after `after`, in key order.
pub(crate) async fn keys_after<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<String>, Error> {
    let mut query = Query::select();
    query
        .column("pk")
        .from(shadow_ref(table))
        .and_where(Expr::col("field").eq(""))
        .order_by("pk", sea_orm::Order::Asc)
        .limit(limit);
    if let Some(after) = after {
        query.and_where(Expr::col("pk").gt(after));
    }
    let rows = conn.query_all(&query).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}
