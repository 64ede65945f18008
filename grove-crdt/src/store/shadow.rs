//! Shadow tables: the cells of a table's records.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{
    ConnectionTrait, DbErr, QueryResult,
    sea_query::{Expr, ExprTrait as _, OnConflict, Query, SelectStatement, UnionType},
};
use serde_json::Value as Json;

use crate::{
    clock::{Hlc, NodeId},
    entity::{Registry, Table},
    error::Error,
    store::{chunks, dialect, schema::shadow_ref, version},
    types::{
        Cell, CellKey, Head, Kind, Record, State, birth_json, canonical, element_key, element_of_key, parse_birth,
        parse_element, parse_totals, tags_json,
    },
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

/// The records asked for, and the newest version at that moment.
pub(crate) struct Loaded {
    pub records: HashMap<String, Record>,
    pub newest: i64,
}

/// Reads whole records. Those that don't exist come back empty. One statement per 32,000 keys.
pub(crate) async fn read<C: ConnectionTrait>(
    conn: &C,
    registry: &Registry,
    table: &Table,
    pks: &[String],
) -> Result<Loaded, Error> {
    let mut parts: HashMap<String, (Option<Head>, BTreeMap<CellKey, Cell>)> =
        pks.iter().map(|pk| (pk.clone(), Default::default())).collect();
    let mut newest = 0;
    for (index, chunk) in chunks(pks, 1).enumerate() {
        let mut query = select(table);
        query.and_where(Expr::col("pk").is_in(chunk.iter().map(String::as_str)));
        if index == 0 {
            query.union(UnionType::All, newest_row(registry));
        }
        for row in conn.query_all(&query).await? {
            let Some(pk) = row.try_get_by_index::<Option<String>>(0)? else {
                newest = row.try_get_by_index(8)?;
                continue;
            };
            let stored = parse(table, pk, &row)?;
            let record = parts.entry(stored.pk).or_default();
            match stored.content {
                Content::Head(head) => record.0 = Some(head),
                Content::Cell(cell) => drop(record.1.insert(stored.key, cell)),
            }
        }
    }
    let records = parts
        .into_iter()
        .map(|(pk, (head, cells))| (pk, Record::stored(head, cells)))
        .collect();
    Ok(Loaded { records, newest })
}

pub(super) fn select(table: &Table) -> SelectStatement {
    Query::select().columns(COLUMNS).from(shadow_ref(table)).take()
}

/// A row of a shadow's shape that has no key and the newest version, to be read along with the cells.
fn newest_row(registry: &Registry) -> SelectStatement {
    let mut query = Query::select();
    for column in COLUMNS {
        if column == "version" {
            query.expr(Expr::col("newest"));
        } else {
            query.expr(Expr::null());
        }
    }
    query
        .from_subquery(version::newest_query(registry), "newest_version")
        .take()
}

/// Changes to the cells of a table.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    puts: Vec<(Stored, Option<String>)>,
    removals: Vec<(String, CellKey)>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removals.is_empty()
    }

    /// Adds what made `before` into `after`. `via` names, for a cell that is just as a peer sent it, that peer.
    pub(crate) fn record(
        &mut self,
        pk: &str,
        before: &Record,
        after: &Record,
        via: impl Fn(&CellKey, &Content) -> Option<String>,
    ) {
        let mut put = |key: CellKey, content: Content| {
            let via = via(&key, &content);
            let pk = pk.to_owned();
            self.puts.push((Stored { pk, key, content }, via));
        };
        if let Some(head) = after.head()
            && before.head() != Some(head)
        {
            put(CellKey::new("", ""), Content::Head(head.clone()));
        }
        for (key, cell) in after.cells() {
            if before.cells().get(key) != Some(cell) {
                put(key.clone(), Content::Cell(cell.clone()));
            }
        }
        for key in before.cells().keys() {
            if !after.cells().contains_key(key) {
                self.removals.push((pk.to_owned(), key.clone()));
            }
        }
    }
}

/// Writes a batch under one version.
pub(crate) async fn write<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    version: i64,
    batch: &Batch,
) -> Result<(), DbErr> {
    for chunk in chunks(&batch.removals, 3) {
        let keys = chunk
            .iter()
            .map(|(pk, key)| vec![pk.into(), key.field.clone().into(), key.cell.clone().into()]);
        let columns = ["pk", "field", "cell"].map(Expr::col).into();
        let delete = Query::delete()
            .from_table(shadow_ref(table))
            .and_where(dialect::among(columns, keys.collect()))
            .take();
        conn.execute(&delete).await?;
    }
    for chunk in chunks(&batch.puts, COLUMNS.len()) {
        let mut insert = Query::insert();
        insert.into_table(shadow_ref(table)).columns(COLUMNS);
        for (stored, via) in chunk {
            insert.values_panic(values(table, stored, version, via.as_deref()));
        }
        insert.on_conflict(
            OnConflict::columns(["pk", "field", "cell"])
                .update_columns(COLUMNS.into_iter().skip(3))
                .to_owned(),
        );
        conn.execute(&insert).await?;
    }
    Ok(())
}

fn values(table: &Table, stored: &Stored, version: i64, via: Option<&str>) -> [Expr; 10] {
    let (epoch, hlc, state) = match &stored.content {
        Content::Head(head) => {
            let state = head.birth.as_ref().map_or(Json::Null, birth_json);
            (head.epoch, &head.hlc, canonical(&state))
        }
        Content::Cell(cell) => (cell.epoch, &cell.hlc, state_text(table, &stored.key, cell)),
    };
    [
        Expr::val(stored.pk.as_str()),
        Expr::val(stored.key.field.as_str()),
        Expr::val(stored.key.cell.as_str()),
        Expr::val(i64::from(epoch)),
        Expr::val(hlc.ts),
        Expr::val(i64::from(hlc.counter)),
        Expr::val(hlc.node.as_str()),
        Expr::val(state),
        Expr::val(version),
        Expr::val(via.map(str::to_owned)),
    ]
}

/// A state as text. Of a field this node does not know, it says its kind too.
fn state_text(table: &Table, key: &CellKey, cell: &Cell) -> String {
    let plain = match &cell.state {
        State::Lww(value) => value.clone(),
        State::Counter(totals) => serde_json::to_value(totals).unwrap_or_default(),
        State::Set(element) => {
            let mut state = serde_json::Map::from_iter([("n".to_owned(), tags_json(element))]);
            if element_of_key(&key.cell).is_none() {
                state.insert("v".to_owned(), element.value.clone());
            }
            Json::Object(state)
        }
    };
    let kind = cell.state.kind();
    if table.kind_of(&key.field) == Some(kind) {
        canonical(&plain)
    } else {
        canonical(&serde_json::json!({ format!("${kind}"): plain }))
    }
}

/// A cell from a row with the columns of [`COLUMNS`].
pub(crate) fn parse(table: &Table, pk: String, row: &QueryResult) -> Result<Stored, Error> {
    let field: String = row.try_get_by_index(1)?;
    parse_as(table.kind_of(&field), table, pk, row)
}

/// The same, with the kind that the cell's field is known as.
pub(super) fn parse_as(known: Option<Kind>, table: &Table, pk: String, row: &QueryResult) -> Result<Stored, Error> {
    let corrupt = |detail: String| Error::Corrupt {
        table: table.name.clone(),
        pk: pk.clone(),
        detail,
    };
    let key = CellKey::new(row.try_get_by_index::<String>(1)?, row.try_get_by_index::<String>(2)?);
    let number = |index| -> Result<u32, Error> {
        let value: i64 = row.try_get_by_index(index)?;
        u32::try_from(value).map_err(|_| corrupt(format!("{value} is out of range")))
    };
    let hlc = Hlc {
        ts: row.try_get_by_index(4)?,
        counter: number(5)?,
        node: NodeId::stored(&row.try_get_by_index::<String>(6)?)?,
    };
    let epoch = number(3)?;
    let text: String = row.try_get_by_index(7)?;
    let state: Json = serde_json::from_str(&text).map_err(|e| corrupt(e.to_string()))?;
    let content = if key.field.is_empty() {
        let birth = match &state {
            Json::Null => None,
            state => Some(parse_birth(state).map_err(|bad| corrupt(bad.to_string()))?),
        };
        Content::Head(Head { epoch, hlc, birth })
    } else {
        let state = parse_state(known, &key, state).map_err(corrupt)?;
        Content::Cell(Cell { epoch, hlc, state })
    };
    Ok(Stored { pk, key, content })
}

fn parse_state(known: Option<Kind>, key: &CellKey, state: Json) -> Result<State, String> {
    let (kind, state) = match known {
        Some(kind) => (kind, state),
        None => tagged(state).ok_or_else(|| format!("field `{}` has no kind", key.field))?,
    };
    Ok(match kind {
        Kind::Lww => State::Lww(state),
        Kind::Counter => State::Counter(parse_totals(&state)?),
        Kind::Set => {
            let value = match state.get("v") {
                Some(value) => value.clone(),
                None => element_of_key(&key.cell).ok_or_else(|| format!("element `{}` has no value", key.cell))?,
            };
            debug_assert_eq!(element_key(&value), key.cell);
            State::Set(parse_element(value, &state["n"])?)
        }
    })
}

/// The kind and the state of a field that was not known when it was stored.
pub(super) fn tagged(state: Json) -> Option<(Kind, Json)> {
    let Json::Object(map) = state else {
        return None;
    };
    let (tag, state) = map.into_iter().next()?;
    Some((tag.strip_prefix('$')?.parse().ok()?, state))
}

/// A place in a table's commit order.
pub(crate) struct Place<'a> {
    pub version: i64,
    /// Within the version: after this cell of this row.
    pub after: Option<(&'a str, &'a CellKey)>,
}

/// A cell with its version.
pub(crate) struct Versioned {
    pub version: i64,
    pub stored: Stored,
}

/// The first `limit` cells after a place, in the order of version and key, but for those that came from `not_via`.
pub(crate) async fn page<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    after: &Place<'_>,
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
    if let Some(peer) = not_via {
        query.and_where(Expr::col("via").is_null().or(Expr::col("via").ne(peer)));
    }
    for column in ["version", "pk", "field", "cell"] {
        query.order_by(column, sea_orm::Order::Asc);
    }
    query.limit(limit as u64);
    let rows = conn.query_all(&query).await?;
    rows.iter()
        .map(|row| {
            Ok(Versioned {
                version: row.try_get_by_index(8)?,
                stored: parse(table, row.try_get_by_index(0)?, row)?,
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

/// Forgets cells.
pub(crate) async fn remove<C: ConnectionTrait>(conn: &C, table: &Table, cells: &[Stored]) -> Result<(), DbErr> {
    let removals = cells
        .iter()
        .map(|stored| (stored.pk.clone(), stored.key.clone()))
        .collect();
    let batch = Batch {
        puts: Vec::new(),
        removals,
    };
    write(conn, table, 0, &batch).await
}
