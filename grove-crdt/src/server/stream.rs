use std::{convert::Infallible, num::IntErrorKind};

use axum::{
    extract::State,
    http::{HeaderMap, request::Parts},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::StreamExt as _;

use crate::{
    error::Error,
    server::{Limits, SyncServer, error::ErrorAnswer, incoming::Caller, query::Query},
    sync::{Refusal, StreamFrame, StreamRequest, respond},
};

/// The header by which a client that was cut off says which event it has seen last.
const LAST_EVENT_ID: &str = "last-event-id";

/// What nginx and those like it go by.
const NOT_BUFFERED: &str = "x-accel-buffering";

/// `GET /stream`
pub(super) async fn stream(
    State(server): State<SyncServer>,
    caller: Caller,
    head: Parts,
) -> Result<impl IntoResponse, ErrorAnswer> {
    let request = read(&head, server.limits())?;
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

/// What is asked for, in the URL and the header.
fn read(head: &Parts, limits: &Limits) -> Result<StreamRequest, ErrorAnswer> {
    let query = Query::of(&head.uri)?;
    let owned = |name| Ok::<_, ErrorAnswer>(query.one(name)?.map(str::to_owned));
    let tables = query
        .one("tables")?
        .ok_or_else(|| ErrorAnswer::bad_request("say which tables: `?tables=…,…`"))?;
    let limit = number(&query, "limit")?;
    let max_bytes = number(&query, "max_bytes")?;
    if limit == Some(0) {
        return Err(ErrorAnswer::bad_request(
            "an event of no changes would never get anywhere",
        ));
    }
    if max_bytes == Some(0) {
        return Err(ErrorAnswer::bad_request("an event has more than no bytes"));
    }
    let node = query.one("node_id")?.map(str::parse).transpose();
    Ok(StreamRequest {
        tables: tables.split(',').map(str::to_owned).collect(),
        cursor: last_event_id(&head.headers)?.or(owned("cursor")?),
        node_id: node.map_err(|error: Error| ErrorAnswer::bad_request(error.to_string()))?,
        replica_id: owned("replica_id")?,
        limit: Some(limits.page_for(limit)),
        max_bytes,
        topics: query.one("topics")?.map(topics),
    })
}

/// As many as a text says; as many as there can be when it says more.
fn number(query: &Query, name: &str) -> Result<Option<usize>, ErrorAnswer> {
    let Some(text) = query.one(name)? else {
        return Ok(None);
    };
    match text.parse::<usize>() {
        Ok(number) => Ok(Some(number)),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Ok(Some(usize::MAX)),
        Err(_) => Err(ErrorAnswer::bad_request(format!("`{name}` is no number"))),
    }
}

/// Topics separated by commas; none when there is nothing.
fn topics(text: &str) -> Vec<String> {
    let topics = text.split(',').filter(|topic| !topic.is_empty());
    topics.map(str::to_owned).collect()
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
