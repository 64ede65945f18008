use std::convert::Infallible;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::StreamExt as _;
use serde::Deserialize;

use crate::{
    clock::NodeId,
    server::{SyncServer, error::ErrorAnswer, incoming::Caller},
    sync::{Refusal, StreamFrame, StreamRequest, respond},
};

/// The header by which a client that was cut off says which event it has seen last.
const LAST_EVENT_ID: &str = "last-event-id";

/// What nginx and those like it go by.
const NOT_BUFFERED: &str = "x-accel-buffering";

/// What stands in the URL.
#[derive(Debug, Deserialize)]
pub(super) struct StreamQuery {
    /// Separated by commas.
    tables: String,
    cursor: Option<String>,
    node_id: Option<NodeId>,
    replica_id: Option<String>,
    limit: Option<usize>,
}

/// `GET /stream`
pub(super) async fn stream(
    State(server): State<SyncServer>,
    caller: Caller,
    headers: HeaderMap,
    query: Result<Query<StreamQuery>, QueryRejection>,
) -> Result<impl IntoResponse, ErrorAnswer> {
    let Query(query) = query.map_err(|error| ErrorAnswer::bad_request(error.body_text()))?;
    let request = StreamRequest {
        tables: query.tables.split(',').map(str::to_owned).collect(),
        cursor: last_event_id(&headers)?.or(query.cursor),
        node_id: query.node_id,
        replica_id: query.replica_id,
        limit: Some(server.limits().page_for(query.limit)),
    };
    if query.limit == Some(0) {
        return Err(ErrorAnswer::bad_request(
            "an event of no changes would never get anywhere",
        ));
    }
    let permit = server.streams().admit(&caller.peer)?;
    let (replica, name) = (server.replica().clone(), caller.peer.name.clone());
    let opening = async move { respond::stream(&replica, &caller.peer, &request).await };
    let subscription = server.running().to_the_end(opening).await?;
    tracing::debug!(peer = name, "streaming");
    let ends = server.shutdown_token().clone().cancelled_owned();
    let events = subscription.take_until(ends).map(move |frame| {
        let _open = &permit;
        Ok::<_, Infallible>(event(frame))
    });
    let keep_alive = KeepAlive::new().interval(server.keep_alive());
    // Some proxies collect answers before they pass them on, unless told not to.
    Ok(([(NOT_BUFFERED, "no")], Sse::new(events).keep_alive(keep_alive)))
}

/// A cursor that a reconnecting client repeats is newer than the one in the URL it first asked with.
fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, ErrorAnswer> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok("") => Ok(None),
        Ok(cursor) => Ok(Some(cursor.to_owned())),
        Err(_) => Err(ErrorAnswer::bad_request("`last-event-id` is no cursor")),
    }
}

/// The last event of a stream that fails is `error`, with the body of an answer that is one.
fn event(frame: Result<StreamFrame, Refusal>) -> Event {
    match frame {
        Ok(StreamFrame { event, id, data }) => {
            let event = Event::default().event(event).data(data);
            match id {
                Some(id) => event.id(id),
                None => event,
            }
        }
        Err(refusal) => Event::default()
            .event("error")
            .data(ErrorAnswer::from(refusal).into_json()),
    }
}
