//! From an HTTP answer to a message of the protocol, or to an error that says whether it can pass.

use std::{error::Error as StdError, fmt::Write};

use reqwest::{Response, StatusCode, header::LOCATION};
use serde::de::DeserializeOwned;

use crate::{
    sync::{ErrorBody, ErrorDetail, TOO_LARGE, TransportError, TransportErrorKind},
    transport::http::retry_after,
};

/// The largest error answer read.
const MAX_ERROR: usize = 64 << 10;

/// How much of a peer's own words is passed on.
const MAX_MESSAGE: usize = 500;

/// Reads at most `limit` bytes of an answer.
pub(super) async fn read<T: DeserializeOwned>(
    peer: &str,
    response: Response,
    limit: usize,
) -> Result<T, TransportError> {
    if !response.status().is_success() {
        return Err(refusal(peer, response).await);
    }
    let body = read_body(peer, response, limit).await?;
    serde_json::from_slice(&body).map_err(|error| {
        let message = format!("the answer is not of the protocol's form: {error}");
        failure(peer, TransportErrorKind::Garbled, None, &message)
    })
}

/// The error for a request that got no answer.
pub(super) fn not_sent(peer: &str, error: &reqwest::Error) -> TransportError {
    let kind = if error.is_builder() {
        TransportErrorKind::Refused
    } else {
        TransportErrorKind::Unavailable
    };
    failure(peer, kind, None, &describe(error))
}

/// The error for a request whose answer did not begin in time.
pub(super) fn timed_out(peer: &str) -> TransportError {
    failure(peer, TransportErrorKind::Unavailable, None, "timed out")
}

/// An error and its causes in one line, without the URL: it may hold a password.
pub(super) fn describe(error: &reqwest::Error) -> String {
    // The URL stands only in the outermost message, which tells no more than what follows it.
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    let Some(first) = causes.next() else {
        return if error.is_timeout() {
            "timed out".into()
        } else {
            "the request can't be sent".into()
        };
    };
    causes.fold(first.to_string(), |mut line, cause| {
        // Writing to a string can't fail.
        let _ = write!(line, ": {cause}");
        line
    })
}

async fn read_body(peer: &str, mut response: Response, limit: usize) -> Result<Vec<u8>, TransportError> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| {
            let message = format!("the answer broke off: {}", describe(&error));
            failure(peer, TransportErrorKind::Unavailable, None, &message)
        })?;
        let Some(chunk) = chunk else {
            return Ok(body);
        };
        if body.len() + chunk.len() > limit {
            let message = format!("the answer is larger than {limit} bytes");
            return Err(failure(peer, TransportErrorKind::Garbled, Some(TOO_LARGE), &message));
        }
        body.extend_from_slice(&chunk);
    }
}

/// The error that an answer without success stands for.
pub(super) async fn refusal(peer: &str, response: Response) -> TransportError {
    let retry_after = retry_after::asked(response.status(), response.headers());
    TransportError {
        retry_after,
        ..reason(peer, response).await
    }
}

async fn reason(peer: &str, response: Response) -> TransportError {
    let status = response.status();
    let kind = match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => TransportErrorKind::Unavailable,
        status if status.is_server_error() => TransportErrorKind::Unavailable,
        _ => TransportErrorKind::Refused,
    };
    if status.is_redirection() {
        let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
        let message = format!("it has moved to {}: use that URL", target.unwrap_or("another place"));
        return failure(peer, kind, None, &message);
    }
    // Something on the way, or another server altogether, may have answered: then the status is all there is to tell.
    let detail = match read_body(peer, response, MAX_ERROR).await {
        Ok(body) => serde_json::from_slice::<ErrorBody>(&body).ok(),
        Err(_) => None,
    };
    if let Some(ErrorBody {
        error: ErrorDetail { code, message },
    }) = detail
    {
        return failure(peer, kind, Some(&code), &message);
    }
    let code = (status == StatusCode::PAYLOAD_TOO_LARGE).then_some(TOO_LARGE);
    failure(peer, kind, code, &format!("HTTP {status}"))
}

pub(super) fn failure(peer: &str, kind: TransportErrorKind, code: Option<&str>, message: &str) -> TransportError {
    TransportError {
        peer: peer.to_owned(),
        kind,
        code: code.map(|code| code.chars().take(MAX_MESSAGE).collect()),
        message: message.chars().take(MAX_MESSAGE).collect(),
        retry_after: None,
    }
}
