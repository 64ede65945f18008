use axum::{Json, extract::State, http::request::Parts};

use crate::{
    server::{
        SyncServer,
        error::ErrorAnswer,
        incoming::{Caller, Incoming},
        query::Query,
    },
    sync::{PresenceRequest, PresenceResponse, TopicPresences, respond},
};

/// `POST /presence`
pub(super) async fn tell(
    State(server): State<SyncServer>,
    Incoming { peer, request, turn }: Incoming<PresenceRequest>,
) -> Result<Json<PresenceResponse>, ErrorAnswer> {
    let replica = server.replica().clone();
    let telling = async move {
        let _turn = turn;
        respond::presence(&replica, &peer, &request).await
    };
    Ok(Json(server.running().to_the_end(telling).await?))
}

/// `GET /presence?topic=…`
pub(super) async fn ask(
    State(server): State<SyncServer>,
    Caller { peer }: Caller,
    head: Parts,
) -> Result<Json<TopicPresences>, ErrorAnswer> {
    let query = Query::of(&head.uri)?;
    let topic = query
        .one("topic")?
        .ok_or_else(|| ErrorAnswer::bad_request("say which topic: `?topic=…`"))?;
    Ok(Json(respond::presences(server.replica(), &peer, topic)?))
}
