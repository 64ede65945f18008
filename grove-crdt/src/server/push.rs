use axum::{Json, extract::State};

use crate::{
    server::{SyncServer, error::ErrorAnswer, incoming::Incoming},
    sync::{PushRequest, PushResponse, respond},
};

/// `POST /push`
pub(super) async fn push(
    State(server): State<SyncServer>,
    Incoming { peer, request }: Incoming<PushRequest>,
) -> Result<Json<PushResponse>, ErrorAnswer> {
    let (changes, limit) = (request.changes.len(), server.limits().changes);
    if changes > limit {
        return Err(ErrorAnswer::too_large(format!(
            "a push may have {limit} changes, not {changes}"
        )));
    }
    let answer = respond::push(server.replica(), &peer, &request).await?;
    tracing::debug!(
        peer = peer.name,
        changes,
        merged = answer.merged,
        rejected = answer.rejected.len(),
        "pushed"
    );
    Ok(Json(answer))
}
