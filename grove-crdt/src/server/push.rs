use axum::{Json, extract::State};

use crate::{
    server::{SyncServer, error::ErrorAnswer, incoming::Incoming},
    sync::{PushRequest, PushResponse, respond},
};

/// `POST /push`
pub(super) async fn push(
    State(server): State<SyncServer>,
    Incoming { peer, request, turn }: Incoming<PushRequest>,
) -> Result<Json<PushResponse>, ErrorAnswer> {
    let (changes, limit) = (request.changes.len(), server.limits().changes);
    if changes > limit {
        return Err(ErrorAnswer::too_large(format!(
            "a push may have {limit} changes, not {changes}"
        )));
    }
    let (replica, name) = (server.replica().clone(), peer.name.clone());
    let push = async move {
        let _turn = turn;
        respond::push(&replica, &peer, &request).await
    };
    let answer = server.running().to_the_end(push).await?;
    tracing::debug!(
        peer = name,
        changes,
        merged = answer.merged,
        rejected = answer.rejected.len(),
        "pushed"
    );
    Ok(Json(answer))
}
