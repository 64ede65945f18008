//! The answering side of the protocol, with no HTTP in it: the server and the memory transport share it.

use std::collections::HashSet;

use crate::{
    clock::NodeId,
    error::Error,
    replica::{Ending, Listener, Peer, Replica, ToldUpTo, Way, transact},
    store::identity::{self, History},
    sync::{
        HookError, Position, PullRequest, PullResponse, PushRequest, PushResponse, Rejection, RejectionCode,
        StreamRequest, Subscription,
        cursor::Cursor,
        feed::Start,
        fit::{Fitted, fit},
        local::Page,
        outgoing,
    },
};

pub use crate::sync::presence::{presence, presence_stream, presences};

/// Why a request as a whole was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request does not make sense.
    #[error("{0}")]
    BadRequest(String),
    /// The peer is bound to another node id.
    #[error("this token is bound to node `{bound}`, but the request says it comes from `{claimed}`")]
    WrongNode {
        /// The id the peer is bound to.
        bound: NodeId,
        /// The id in the request.
        claimed: NodeId,
    },
    /// The node id is used by two databases.
    #[error("{0}")]
    NodeConflict(String),
    /// A table that is not replicated here.
    #[error("table `{0}` is not replicated here")]
    UnknownTable(String),
    /// The peer may not be told of a table.
    #[error("this peer may not read table `{0}`")]
    Forbidden(String),
    /// A hook refuses to tell what was asked for.
    #[error("{}", .0.message())]
    Hook(#[from] HookError),
    /// The request carries more than is taken at once.
    #[error("{0}")]
    TooLarge(String),
    /// As many are here as there may be. It may be otherwise later.
    #[error("{0}")]
    LimitReached(String),
    /// This side failed.
    #[error(transparent)]
    Internal(#[from] crate::error::Error),
}

/// How many changes a pull is answered with at most, whatever it asks for.
const MAX_PAGE: usize = 10_000;

/// How many changes a pull is answered with when it does not say.
const DEFAULT_PAGE: usize = 1_000;

/// The longest identity of a database, in bytes.
pub(super) const MAX_REPLICA_ID: usize = 64;

/// Answers a pull.
///
/// # Errors
///
/// A peer that speaks for another node, a node id that two databases use, a table that is not replicated here or that the
/// peer may not read, a filter, a cursor that is none, a page that a hook refuses; or the database fails.
pub async fn pull(replica: &Replica, peer: &Peer, request: &PullRequest) -> Result<PullResponse, Refusal> {
    if request.filter.is_some() {
        return Err(Refusal::BadRequest(
            "filters are not supported; leave `filter` out".into(),
        ));
    }
    check_tables(replica, peer, &request.tables)?;
    admit(replica, peer, &request.node_id, &request.replica_id).await?;
    let history = History::load(&replica.core.db).await.map_err(Error::from)?;
    let (position, restarted) = position(replica, &history, request.cursor.as_deref())?;
    let mut limit = request.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let mut shortened = false;
    let via = Some(request.replica_id.as_str());
    let (version, answer) = loop {
        let page = replica.changes_after(&request.tables, &position, via, limit).await?;
        let version = page.position.version;
        match answer(replica, peer, &history, page, request.max_bytes).await? {
            Fitted::Whole(answer) => break (version, answer),
            Fitted::Only(fits) => (limit, shortened) = (fits, true),
        }
    };
    let answer = PullResponse {
        restarted,
        shortened,
        ..answer
    };
    let listener = Listener {
        peer: peer.name.clone(),
        node: request.node_id.to_string(),
    };
    let told = ToldUpTo {
        database: &request.replica_id,
        tables: &request.tables,
        version,
        everything: !answer.has_more,
    };
    replica
        .core
        .audience
        .told(&listener, told, replica.core.clock.now_micros());
    replica.core.meters.sent(Way::Pull, answer.changes.len());
    Ok(answer)
}

/// A page as it is answered, when it is no larger than may be.
///
/// # Errors
///
/// A hook refuses it.
async fn answer(
    replica: &Replica,
    peer: &Peer,
    history: &History,
    page: Page,
    max_bytes: Option<usize>,
) -> Result<Fitted, Refusal> {
    let cursor = cursor(replica, history, page.position);
    let changes = outgoing::told(replica, peer, page.changes).await?;
    let answer = response(replica, cursor, page.has_more);
    Ok(fit(answer, changes, max_bytes))
}

/// The cursor to give out for a position.
pub(super) fn cursor(replica: &Replica, history: &History, position: Position) -> String {
    let cursor = Cursor {
        replica_id: replica.replica_id().to_owned(),
        incarnation: history.newest().to_owned(),
        position,
    };
    cursor.encode()
}

/// The answer that tells of no changes yet.
pub(super) fn response(replica: &Replica, cursor: String, has_more: bool) -> PullResponse {
    PullResponse {
        replica_id: replica.replica_id().to_owned(),
        node_id: replica.node_id().clone(),
        latest_hlc: None,
        changes: Vec::new(),
        cursor,
        has_more,
        restarted: false,
        omitted: Vec::new(),
        shortened: false,
    }
}

/// Opens a stream: what a pull would answer, page after page, and then what is committed, as it is; and who is present. The
/// first event comes at once, with no changes when there are none. The subscription reads the database from tasks of its own, and goes on until
/// it is dropped.
///
/// # Errors
///
/// As for [`pull`] and [`presence_stream`]; and a database that is named without its node.
pub async fn stream(replica: &Replica, peer: &Peer, request: &StreamRequest) -> Result<Subscription, Refusal> {
    check_tables(replica, peer, &request.tables)?;
    let (node, database) = (request.node_id.as_ref(), request.replica_id.as_deref());
    if node.is_none() && database.is_some() {
        return Err(Refusal::BadRequest("name `node_id` with `replica_id`".into()));
    }
    let presence = presence_stream(replica, peer, node, database, request.topics.as_deref()).await?;
    let history = History::load(&replica.core.db).await.map_err(Error::from)?;
    let (position, restarted) = position(replica, &history, request.cursor.as_deref())?;
    let start = Start {
        peer: peer.clone(),
        node: request.node_id.clone(),
        tables: request.tables.clone(),
        via: request.replica_id.clone(),
        position,
        restarted,
        largest_page: request.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE),
        max_bytes: request.max_bytes,
    };
    Ok(Subscription::begin(replica, start, presence))
}

/// Answers a push. Each change is judged alone; one of a table that the peer may not write is refused.
///
/// # Errors
///
/// A peer that speaks for another node, a node id that two databases use; or the database fails.
pub async fn push(replica: &Replica, peer: &Peer, request: &PushRequest) -> Result<PushResponse, Refusal> {
    admit(replica, peer, &request.node_id, &request.replica_id).await?;
    replica.core.meters.received(Way::Push, request.changes.len());
    let mut changes = Vec::with_capacity(request.changes.len());
    let mut places = Vec::with_capacity(request.changes.len());
    let mut rejected = Vec::new();
    for (index, pushed) in request.changes.iter().enumerate() {
        match pushed.read() {
            Ok(change) if !peer.writes(&change.table) => {
                let message = format!("this peer may not write table `{}`", change.table);
                rejected.push(Rejection::new(index, RejectionCode::Forbidden, message));
            }
            Ok(change) => {
                changes.push(change);
                places.push(index);
            }
            Err(detail) => rejected.push(Rejection::new(index, RejectionCode::Malformed, detail)),
        }
    }
    let merged = replica.merge_changes(peer, &changes, &request.replica_id).await?;
    rejected.extend(merged.rejected.into_iter().map(|mut rejection| {
        if rejection.code == RejectionCode::Unstorable && !merged.foreseen.contains(&rejection.index) {
            // The database's own words are for the log.
            rejection.message = "the database here can't store the record; the log of this replica says why".into();
        }
        Rejection {
            index: places[rejection.index],
            ..rejection
        }
    }));
    rejected.sort_by_key(|rejection| rejection.index);
    let refused: HashSet<_> = rejected.iter().map(|rejection| rejection.index).collect();
    let taken = places
        .iter()
        .zip(&changes)
        .enumerate()
        .filter(|(index, (place, _))| !refused.contains(*place) && !merged.skipped_at.contains(index));
    let latest = taken.map(|(_, (_, change))| &change.hlc).max().cloned();
    Ok(PushResponse {
        replica_id: replica.replica_id().to_owned(),
        node_id: replica.node_id().clone(),
        merged: merged.merged,
        conflicts: merged.conflicts,
        skipped: merged.skipped,
        latest_hlc: latest,
        rejected,
    })
}

/// Sees that tables may be asked for.
fn check_tables(replica: &Replica, peer: &Peer, tables: &[String]) -> Result<(), Refusal> {
    for (index, table) in tables.iter().enumerate() {
        if replica.core.registry.get(table).is_none() {
            return Err(Refusal::UnknownTable(table.chars().take(80).collect()));
        }
        if !peer.reads(table) {
            return Err(Refusal::Forbidden(table.clone()));
        }
        if tables[..index].contains(table) {
            return Err(Refusal::BadRequest(format!("table `{table}` is named twice")));
        }
    }
    Ok(())
}

/// Lets a request in, or says why not: one node id is one writer, on one database.
pub(super) async fn admit(replica: &Replica, peer: &Peer, node: &NodeId, replica_id: &str) -> Result<(), Refusal> {
    check_bound(peer, node)?;
    if node.is_baseline() || !is_replica_id(replica_id) {
        return Err(Refusal::BadRequest(
            "`node_id` and `replica_id` must name the asking replica".into(),
        ));
    }
    if replica_id == replica.replica_id() {
        return Err(Refusal::NodeConflict(format!(
            "node `{node}` asks from this very database; replicas of one database need not be synced"
        )));
    }
    if node == replica.node_id() {
        return Err(Refusal::NodeConflict(format!(
            "node id `{node}` is this replica's own; give the other one an id of its own"
        )));
    }
    let known = identity::known_database(&replica.core.db, node.as_str())
        .await
        .map_err(Error::from)?;
    let other = match known {
        Some(known) => (known != replica_id).then_some(known),
        None => claim(replica, node, replica_id).await?,
    };
    match other {
        None => Ok(()),
        Some(_) => Err(Refusal::NodeConflict(format!(
            "node id `{node}` is used by another database already; give this one an id of its own, or have the server forget the other (`Replica::forget_node`)"
        ))),
    }
}

/// Whether a text can be the identity of a database.
fn is_replica_id(text: &str) -> bool {
    (1..=MAX_REPLICA_ID).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(super) fn check_bound(peer: &Peer, node: &NodeId) -> Result<(), Refusal> {
    match &peer.node {
        Some(bound) if bound != node => Err(Refusal::WrongNode {
            bound: bound.clone(),
            claimed: node.clone(),
        }),
        _ => Ok(()),
    }
}

/// Remembers which database a node id speaks for. Returns the other one when somebody was faster.
async fn claim(replica: &Replica, node: &NodeId, replica_id: &str) -> Result<Option<String>, Error> {
    Ok(transact!(replica.core, |tx| {
        Ok(Ending::Commit(
            identity::claim_node(tx, node.as_str(), replica_id).await?,
        ))
    }))
}

/// Where a cursor points, and whether it had to be moved back because its history is gone.
fn position(replica: &Replica, history: &History, cursor: Option<&str>) -> Result<(Position, bool), Refusal> {
    let Some(text) = cursor else {
        return Ok((Position::default(), false));
    };
    let Some(cursor) = Cursor::decode(text) else {
        return Err(Refusal::BadRequest("`cursor` is none that this server gave out".into()));
    };
    if cursor.replica_id != replica.replica_id() {
        return Ok((Position::default(), true));
    }
    let begun = i64::from(cursor.position.within.is_some());
    match history.trusted_until(&cursor.incarnation) {
        Some(end) if cursor.position.version.saturating_add(begun) <= end => Ok((cursor.position, false)),
        // What this database and the lost history have in common ends where the incarnation did.
        Some(end) => {
            let common = Position {
                version: end,
                within: None,
            };
            Ok((common, true))
        }
        None => Ok((Position::default(), true)),
    }
}
