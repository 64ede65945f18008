use axum::{Json, extract::State, http::request::Parts};

use crate::{
    server::{
        SyncServer,
        error::ErrorAnswer,
        incoming::{self, Incoming},
        query::Query,
    },
    sync::{PresenceRequest, PresenceResponse, TopicPresences, respond},
};

/// `POST /presence`
pub(super) async fn tell(
    State(server): State<SyncServer>,
    Incoming { peer, request }: Incoming<PresenceRequest>,
) -> Result<Json<PresenceResponse>, ErrorAnswer> {
    Ok(Json(respond::presence(server.replica(), &peer, &request).await?))
}

/// `GET /presence?topic=…`
pub(super) async fn ask(State(server): State<SyncServer>, head: Parts) -> Result<Json<TopicPresences>, ErrorAnswer> {
    let peer = incoming::name(&head, &server).await?;
    let query = Query::of(&head.uri)?;
    let topic = query
        .one("topic")?
        .ok_or_else(|| ErrorAnswer::bad_request("say which topic: `?topic=…`"))?;
    Ok(Json(respond::presences(server.replica(), &peer, topic)?))
}
