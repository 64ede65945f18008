use axum::{Json, extract::State};

use crate::{
    server::{SyncServer, error::ErrorAnswer, incoming::Incoming},
    sync::{PullRequest, PullResponse, respond},
};

/// `POST /pull`
pub(super) async fn pull(
    State(server): State<SyncServer>,
    Incoming {
        peer,
        mut request,
        turn,
    }: Incoming<PullRequest>,
) -> Result<Json<PullResponse>, ErrorAnswer> {
    if request.limit == Some(0) {
        return Err(ErrorAnswer::bad_request("a page of no changes would never end"));
    }
    if request.max_bytes == Some(0) {
        return Err(ErrorAnswer::bad_request("an answer has more than no bytes"));
    }
    request.limit = Some(server.limits().page_for(request.limit));
    let (replica, name) = (server.replica().clone(), peer.name.clone());
    let pull = async move {
        let _turn = turn;
        respond::pull(&replica, &peer, &request).await
    };
    let answer = server.running().to_the_end(pull).await?;
    tracing::debug!(
        peer = name,
        changes = answer.changes.len(),
        has_more = answer.has_more,
        "pulled"
    );
    Ok(Json(answer))
}
