//! A request on its way in: what is checked, and in which order, before a handler sees it.

use axum::{
    body::BodyDataStream,
    extract::{FromRequest, FromRequestParts, Request},
    http::{
        HeaderMap,
        header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName},
        request::Parts,
    },
};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::{
    server::{SyncServer, encoding::Encoding, error::ErrorAnswer, json, turns::Turn},
    sync::{PROTOCOL_HEADER, PROTOCOL_VERSION, Peer},
};

/// How much of a refused body is read on and thrown away. Whoever is cut off while sending may never see the answer.
const DISCARDED: usize = 16 << 20;

/// Whom a request without a body is from.
pub(super) struct Caller {
    pub peer: Peer,
}

impl FromRequestParts<SyncServer> for Caller {
    type Rejection = ErrorAnswer;

    async fn from_request_parts(head: &mut Parts, server: &SyncServer) -> Result<Self, ErrorAnswer> {
        Ok(Self {
            peer: name(head, server).await?,
        })
    }
}

/// A request, and whom it is from.
pub(super) struct Incoming<T> {
    pub peer: Peer,
    pub request: T,
    /// To be kept for as long as the request is.
    pub turn: Turn,
}

impl<T: DeserializeOwned + Send> FromRequest<SyncServer> for Incoming<T> {
    type Rejection = ErrorAnswer;

    async fn from_request(request: Request, server: &SyncServer) -> Result<Self, ErrorAnswer> {
        let (head, body) = request.into_parts();
        let mut body = body.into_data_stream();
        let deadline = Instant::now() + server.limits().read_timeout;
        let taken = take(&head, &mut body, deadline, server).await;
        if taken.as_ref().is_err_and(|error| !error.is_rate_limited()) {
            // Whether it was all read or time is up, the answer stands.
            let _ = timeout_at(deadline, discard(&mut body)).await;
        }
        taken
    }
}

async fn take<T: DeserializeOwned>(
    head: &Parts,
    body: &mut BodyDataStream,
    deadline: Instant,
    server: &SyncServer,
) -> Result<Incoming<T>, ErrorAnswer> {
    let peer = name(head, server).await?;
    check_type(&head.headers)?;
    let encoding = Encoding::of(&head.headers)?;
    let limits = server.limits();
    check_length(&head.headers, limits.body)?;
    let body = timeout_at(deadline, read(body, limits.body))
        .await
        .map_err(|_| ErrorAnswer::read_timeout(limits.read_timeout))??;
    let text = encoding.decode(body, limits.body)?;
    let turn = server.turns().take(text.len()).await?;
    let request = json::read(&text, limits.values)?;
    Ok(Incoming { peer, request, turn })
}

/// Names the peer of a request that speaks this version of the protocol.
async fn name(head: &Parts, server: &SyncServer) -> Result<Peer, ErrorAnswer> {
    check_version(&head.headers)?;
    server.identify(head).await
}

/// A request without the header is taken as one of this version.
fn check_version(headers: &HeaderMap) -> Result<(), ErrorAnswer> {
    match headers.get(PROTOCOL_HEADER) {
        Some(version) if version.as_bytes() != PROTOCOL_VERSION.to_string().as_bytes() => {
            Err(ErrorAnswer::protocol_version(format!(
                "this server speaks version {PROTOCOL_VERSION} of the protocol, not {version:?}"
            )))
        }
        _ => Ok(()),
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ErrorAnswer> {
    let essence = text(headers, &CONTENT_TYPE).split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(ErrorAnswer::unsupported_media_type(
            "a request is `content-type: application/json`",
        ))
    }
}

/// Refuses what says itself that it is too large, without reading it.
fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), ErrorAnswer> {
    match text(headers, &CONTENT_LENGTH).parse::<u64>() {
        Ok(length) if length > limit as u64 => Err(ErrorAnswer::body_too_large(limit)),
        _ => Ok(()),
    }
}

/// A header's value; empty when it is missing, or not readable.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// Reads a body, of no length that could be trusted.
async fn read(body: &mut BodyDataStream, limit: usize) -> Result<Vec<u8>, ErrorAnswer> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| ErrorAnswer::malformed("the body broke off"))?;
        if bytes.len() + chunk.len() > limit {
            return Err(ErrorAnswer::body_too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn discard(body: &mut BodyDataStream) {
    let mut discarded = 0;
    while discarded < DISCARDED {
        match body.next().await {
            Some(Ok(chunk)) => discarded += chunk.len(),
            Some(Err(_)) | None => return,
        }
    }
}
