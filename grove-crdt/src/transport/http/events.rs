//! A stream as it comes over HTTP: server-sent events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use reqwest::{
    Response, Url,
    header::{CONTENT_TYPE, HeaderValue},
};
use sse_stream::{Sse, SseByteStream};

use crate::{
    sync::{ErrorBody, EventStream, StreamEvent, StreamRequest, TOO_LARGE, TransportError, TransportErrorKind},
    transport::http::answer,
};

/// What a stream may not exceed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The longest time without a byte.
    pub silence: Duration,
    /// The most bytes for one event.
    pub event: usize,
}

/// Writes what is asked for into the URL.
pub(super) fn write_query(url: &mut Url, request: &StreamRequest) {
    let mut query = url.query_pairs_mut();
    query.append_pair("tables", &request.tables.join(","));
    let optional = [
        ("cursor", request.cursor.clone()),
        ("node_id", request.node_id.as_ref().map(ToString::to_string)),
        ("replica_id", request.replica_id.clone()),
        ("limit", request.limit.map(|limit| limit.to_string())),
        ("max_bytes", request.max_bytes.map(|bytes| bytes.to_string())),
        ("topics", request.topics.as_ref().map(|topics| topics.join(","))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
}

/// The events of an answer.
///
/// # Errors
///
/// The answer is an error, or no stream.
pub(super) async fn read(peer: &str, response: Response, limits: Limits) -> Result<EventStream, TransportError> {
    if !response.status().is_success() {
        return Err(answer::refusal(peer, response).await);
    }
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
        let message = "the answer is no stream of events";
        return Err(answer::failure(peer, TransportErrorKind::Garbled, None, message));
    }
    let peer: Arc<str> = peer.into();
    let since_event = Arc::new(AtomicUsize::new(0));
    let bytes = watched(peer.clone(), response, limits, since_event.clone());
    let events = SseByteStream::new(bytes).map(move |event| {
        since_event.store(0, Ordering::Relaxed);
        match event {
            Ok(event) => parse(&peer, event),
            Err(error) => Err(broken(&peer, &error)),
        }
    });
    Ok(Box::pin(
        events.filter_map(|event| std::future::ready(event.transpose())),
    ))
}

/// The bytes as they come, as long as they come, and no event is longer than allowed.
fn watched(
    peer: Arc<str>,
    response: Response,
    limits: Limits,
    since_event: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<bytes::Bytes, TransportError>> + Unpin {
    Box::pin(stream::unfold(Some(response), move |response| {
        let (peer, since_event) = (peer.clone(), since_event.clone());
        async move {
            let mut response = response?;
            let failure = |kind, code, message: &str| Err(answer::failure(&peer, kind, code, message));
            let chunk = match tokio::time::timeout(limits.silence, response.chunk()).await {
                Ok(Ok(chunk)) => chunk?,
                Ok(Err(error)) => {
                    let message = format!("the stream broke off: {}", answer::describe(&error));
                    return Some((failure(TransportErrorKind::Unavailable, None, &message), None));
                }
                Err(_) => {
                    let message = format!("the stream has been silent for {:?}", limits.silence);
                    return Some((failure(TransportErrorKind::Unavailable, None, &message), None));
                }
            };
            // The chunk may hold the event's end, and what follows it.
            let bytes = since_event.fetch_add(chunk.len(), Ordering::Relaxed);
            if bytes > limits.event {
                let message = format!("an event is larger than {} bytes", limits.event);
                let error = failure(TransportErrorKind::Garbled, Some(TOO_LARGE), &message);
                return Some((error, None));
            }
            Some((Ok(chunk), Some(response)))
        }
    }))
}

fn parse(peer: &str, event: Sse) -> Result<Option<StreamEvent>, TransportError> {
    let (Some(kind), Some(data)) = (event.event, event.data) else {
        return Ok(None);
    };
    if kind == "error" {
        return Err(told(peer, &data));
    }
    StreamEvent::parse(&kind, &data).map_err(|error| {
        let message = format!("an event is not of the protocol's form: {error}");
        answer::failure(peer, TransportErrorKind::Garbled, None, &message)
    })
}

/// The error that a peer ends its stream with. It was let in, so what failed can pass.
fn told(peer: &str, data: &str) -> TransportError {
    let kind = TransportErrorKind::Unavailable;
    match serde_json::from_str::<ErrorBody>(data) {
        Ok(body) => answer::failure(peer, kind, Some(&body.error.code), &body.error.message),
        Err(_) => answer::failure(peer, kind, None, "the peer ended the stream with an error"),
    }
}

fn broken(peer: &str, error: &sse_stream::Error) -> TransportError {
    if let sse_stream::Error::Body(cause) = error
        && let Some(cause) = cause.downcast_ref::<TransportError>()
    {
        return cause.clone();
    }
    let message = format!("the stream is not one of server-sent events: {error}");
    answer::failure(peer, TransportErrorKind::Garbled, None, &message)
}
