//! How far the exchange with each peer has come.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait as _, OnConflict, Query},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    store::schema::{MAX_NAME, PEERS},
};

/// How far an exchange has come in a replica's commit order: everything up to here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Every transaction up to this version.
    #[serde(rename = "v")]
    pub version: i64,
    /// Within the next version, everything up to this cell: a transaction larger than a page.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
}

/// A place within one transaction's cells, which are ordered by table and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Within(pub String, pub String, pub String, pub String);

/// What is remembered of a peer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PeerState {
    pub replica_id: Option<String>,
    pub cursor: Option<String>,
    pub pushed: Position,
}

/// A text as it can be part of a key: one that is too long is cut off and told apart by a hash.
fn name(text: &str) -> String {
    if text.len() <= MAX_NAME {
        return text.to_owned();
    }
    let hash = BASE64.encode(Sha256::digest(text));
    let kept = text.floor_char_boundary(MAX_NAME - 1 - hash.len());
    format!("{}#{hash}", &text[..kept])
}

/// Reads what is remembered of a peer for a set of tables.
pub(crate) async fn load<C: ConnectionTrait>(conn: &C, peer: &str, scope: &str) -> Result<PeerState, Error> {
    let select = Query::select()
        .columns(["replica_id", "pull_cursor", "pushed"])
        .from(PEERS)
        .and_where(Expr::col("peer").eq(name(peer)))
        .and_where(Expr::col("scope").eq(name(scope)))
        .take();
    let Some(row) = conn.query_one(&select).await? else {
        return Ok(PeerState::default());
    };
    let pushed: String = row.try_get_by_index(2)?;
    Ok(PeerState {
        replica_id: row.try_get_by_index(0)?,
        cursor: row.try_get_by_index(1)?,
        // A position that can't be read is the beginning: what is pushed twice does no harm.
        pushed: serde_json::from_str::<Position>(&pushed).unwrap_or_default(),
    })
}

/// Remembers it.
pub(crate) async fn save<C: ConnectionTrait>(
    conn: &C,
    peer: &str,
    scope: &str,
    state: &PeerState,
) -> Result<(), Error> {
    let pushed = serde_json::to_string(&state.pushed).unwrap_or_default();
    let insert = Query::insert()
        .into_table(PEERS)
        .columns(["peer", "scope", "replica_id", "pull_cursor", "pushed"])
        .values_panic([
            name(peer).into(),
            name(scope).into(),
            state.replica_id.clone().into(),
            state.cursor.clone().into(),
            pushed.into(),
        ])
        .on_conflict(
            OnConflict::columns(["peer", "scope"])
                .update_columns(["replica_id", "pull_cursor", "pushed"])
                .to_owned(),
        )
        .take();
    conn.execute(&insert).await?;
    Ok(())
}
