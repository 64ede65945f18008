//! Cells of fields that become known, or are known no longer: while a field is not known, its cells say their kind.

use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Expr, ExprTrait as _, Query},
};
use serde_json::Value as Json;

use crate::{
    entity::Table,
    error::Error,
    store::{
        schema::shadow_ref,
        shadow::{Raw, Reader, Stored, fetch, select, tagged},
    },
    types::{Kind, canonical},
};

/// The keys of the records that have a cell or a birth value of `field`.
pub(crate) async fn keys_with_field<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    field: &str,
) -> Result<Vec<String>, Error> {
    let query = Query::select()
        .distinct()
        .column("pk")
        .from(shadow_ref(table))
        .and_where(
            Expr::col("field").eq(field).or(Expr::col("field")
                .eq("")
                .and(Expr::col("state").like(format!("%{}%", Json::from(field))))),
        )
        .take();
    let rows = conn.query_all(&query).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// The cells of a field that has become known, in the form they are to have now; and those of another kind, which this
/// node would not have taken, had it known the field.
pub(crate) struct Kept {
    pub plain: Vec<(String, String, String)>,
    pub strays: Vec<Stored>,
}

/// Reads the cells of a field that were stored while it was not known.
pub(crate) async fn kept_cells<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    field: &str,
    kind: Kind,
) -> Result<Kept, Error> {
    let mut kept = Kept {
        plain: Vec::new(),
        strays: Vec::new(),
    };
    let mut reader = Reader::new(table);
    for row in cells_of(conn, table, field).await? {
        match state_of(&row).and_then(tagged) {
            Some((known, state)) if known == kind => {
                let (pk, cell) = (row.pk.unwrap_or_default(), row.cell.unwrap_or_default());
                kept.plain.push((pk, cell, canonical(&state)));
            }
            Some(_) => kept.strays.push(reader.read_as(None, row)?),
            None => {}
        }
    }
    Ok(kept)
}

/// The cells of a field that is known no longer, in the form they are to have now.
pub(crate) async fn forgotten_cells<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    field: &str,
    kind: &str,
) -> Result<Vec<(String, String, String)>, Error> {
    let mut forgotten = Vec::new();
    for row in cells_of(conn, table, field).await? {
        if let Some(state) = state_of(&row) {
            let state = canonical(&serde_json::json!({ format!("${kind}"): state }));
            forgotten.push((row.pk.unwrap_or_default(), row.cell.unwrap_or_default(), state));
        }
    }
    Ok(forgotten)
}

async fn cells_of<C: ConnectionTrait>(conn: &C, table: &Table, field: &str) -> Result<Vec<Raw>, DbErr> {
    let query = select(table).and_where(Expr::col("field").eq(field)).take();
    fetch(conn, &query).await
}

fn state_of(row: &Raw) -> Option<Json> {
    row.state.as_ref()?.json().ok()
}

/// Replaces the stored form of one cell's state.
pub(crate) async fn set_state<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    field: &str,
    (pk, cell, state): &(String, String, String),
) -> Result<(), DbErr> {
    let update = Query::update()
        .table(shadow_ref(table))
        .value("state", state.as_str())
        .and_where(Expr::col("pk").eq(pk.as_str()))
        .and_where(Expr::col("field").eq(field))
        .and_where(Expr::col("cell").eq(cell.as_str()))
        .take();
    conn.execute(&update).await.map(drop)
}
