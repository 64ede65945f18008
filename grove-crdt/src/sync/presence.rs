//! Presence as it travels, and the answering side of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clock::NodeId,
    error::Error,
    presence::{Connection, Filter, PresenceData, PresenceItem, PresenceSubscription, Refused, table},
    replica::{Peer, Replica},
    store::identity,
    sync::{
        Refusal,
        respond::{admit, check_bound},
    },
};

/// The body of `POST /presence`: what a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(expecting = "what a node says of itself, which is a JSON object")]
pub struct PresenceRequest {
    /// Who says it.
    pub node_id: NodeId,
    /// The identity of the node's database, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::sync::schema::ReplicaId>))]
    pub replica_id: Option<String>,
    /// By topic: data to join, to change it, or to stay; `null` to leave. It is taken as a whole or not at all.
    #[cfg_attr(feature = "openapi", schema(schema_with = crate::presence::said))]
    pub topics: BTreeMap<String, Option<PresenceData>>,
}

/// The answer to a [`PresenceRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(
    feature = "openapi",
    schema(description = "The answer to what a node says of itself.")
)]
pub struct PresenceResponse {
    /// How long what was said stands without being said again, in milliseconds. Say it again three times as often.
    pub ttl_ms: u64,
}

/// The answer to `GET /presence?topic=…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TopicPresences {
    /// The topic.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::presence::Topic))]
    pub topic: String,
    /// Who is present under it, by node.
    pub presences: Vec<NodePresence>,
}

/// A node that is present under the topic that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodePresence {
    /// The node.
    pub node_id: NodeId,
    /// What it says.
    pub data: PresenceData,
}

/// Takes what a node says of itself.
///
/// # Errors
///
/// A peer that speaks for another node, a node id that two databases use, a topic that is none or of a table that the peer
/// may not read, too much data, a [limit](crate::presence::PresenceLimits) that would be passed; or the database fails.
pub async fn presence(replica: &Replica, peer: &Peer, request: &PresenceRequest) -> Result<PresenceResponse, Refusal> {
    let board = &replica.core.presence;
    let (node, database) = (&request.node_id, request.replica_id.as_deref());
    check_bound(peer, node)?;
    if !database.is_some_and(|database| board.has_database(node, database)) {
        admit_node(replica, peer, node, database).await?;
    }
    for topic in request.topics.keys() {
        check_topic(replica, peer, topic)?;
    }
    board.post(node, &request.topics)?;
    if let Some(database) = database {
        board.note_database(node, database);
    }
    Ok(PresenceResponse {
        ttl_ms: u64::try_from(board.ttl().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Tells who is present under a topic.
///
/// # Errors
///
/// A topic that is none, or of a table that the peer may not read.
pub fn presences(replica: &Replica, peer: &Peer, topic: &str) -> Result<TopicPresences, Refusal> {
    check_topic(replica, peer, topic)?;
    let there = replica.core.presence.snapshot(&Filter::topics([topic]));
    Ok(TopicPresences {
        topic: topic.to_owned(),
        presences: there
            .into_iter()
            .map(|presence| NodePresence {
                node_id: presence.node_id,
                data: presence.data,
            })
            .collect(),
    })
}

/// Tells a peer who is present under these topics, or under all that it may be told of; and counts it as a connection of
/// its node, when it names one, for as long as the stream lives.
///
/// # Errors
///
/// A peer that speaks for another node, a node id that two databases use, a topic that is none or of a table that the peer
/// may not read; or the database fails.
pub async fn presence_stream(
    replica: &Replica,
    peer: &Peer,
    node: Option<&NodeId>,
    replica_id: Option<&str>,
    topics: Option<&[String]>,
) -> Result<PresenceStream, Refusal> {
    if let Some(node) = node {
        admit_node(replica, peer, node, replica_id).await?;
    }
    let mut filter = match topics {
        Some(topics) => {
            for topic in topics {
                check_topic(replica, peer, topic)?;
            }
            Filter::topics(topics)
        }
        None => {
            let tables = replica.table_names().into_iter();
            Filter::all().hiding(tables.filter(|table| !peer.reads(table)))
        }
    };
    if let Some(node) = node {
        filter = filter.told_to(node.clone());
    }
    let board = &replica.core.presence;
    Ok(PresenceStream {
        _connection: node.map(|node| board.connect(node)),
        subscription: board.subscribe(filter),
    })
}

/// What a peer is told of who is present, and the connection of its node.
#[derive(Debug)]
#[must_use = "the connection ends when this is dropped"]
pub struct PresenceStream {
    subscription: PresenceSubscription,
    _connection: Option<Connection>,
}

impl PresenceStream {
    /// The next item: at first all that is there, without what the peer's own node says and what came by it. `None` once
    /// the replica is closed. The future may be dropped: nothing is lost.
    pub async fn next(&mut self) -> Option<PresenceItem> {
        self.subscription.next().await
    }
}

/// Lets a node in that may have no database. One that is known to have one has to name it, unless its peer is bound to it.
async fn admit_node(replica: &Replica, peer: &Peer, node: &NodeId, replica_id: Option<&str>) -> Result<(), Refusal> {
    if let Some(replica_id) = replica_id {
        return admit(replica, peer, node, replica_id).await;
    }
    check_bound(peer, node)?;
    if node.is_baseline() {
        return Err(Refusal::BadRequest("`node_id` must name a node".into()));
    }
    if node == replica.node_id() {
        return Err(Refusal::NodeConflict(format!(
            "node id `{node}` is this replica's own; take another one"
        )));
    }
    if peer.node.is_none() {
        let known = identity::known_database(&replica.core.db, node.as_str()).await;
        if known.map_err(Error::from)?.is_some() {
            return Err(Refusal::NodeConflict(format!(
                "node id `{node}` is that of a database: name it as `replica_id`, or take another id"
            )));
        }
    }
    Ok(())
}

/// Sees that a topic is one, and none that the peer may not be told of.
fn check_topic(replica: &Replica, peer: &Peer, topic: &str) -> Result<(), Refusal> {
    replica.core.presence.limits().check_topic(topic)?;
    let table = table(topic);
    if replica.core.registry.get(table).is_some() && !peer.reads(table) {
        return Err(Refusal::Forbidden(table.to_owned()));
    }
    Ok(())
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Topic { .. } => Self::BadRequest(message),
            Refused::TooLarge { .. } => Self::TooLarge(message),
            Refused::TooManyTopics { .. } | Refused::TooManyNodes { .. } | Refused::TooManyPresences { .. } => {
                Self::LimitReached(message)
            }
        }
    }
}
