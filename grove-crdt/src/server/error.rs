//! Answers that are errors: the one place where they get their status.

use std::{any::Any, borrow::Cow, error::Error as StdError, time::Duration};

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};

use crate::{
    replica::panic_words,
    server::AuthError,
    sync::{BUSY, ErrorBody, ErrorDetail, Refusal, TOO_LARGE},
};

/// How much of a message is sent: some repeat what the asker wrote.
const MAX_MESSAGE: usize = 300;

/// When to ask for a stream again that was one too many: streams last, so not soon.
const STREAMS_RETRY: Duration = Duration::from_secs(10);

/// When to ask again a server that ends: another has usually taken its place by then.
const SHUTDOWN_RETRY: Duration = Duration::from_secs(5);

/// When to ask again a server that has more to do than it can.
const BUSY_RETRY: Duration = Duration::from_secs(10);

/// An answer that is an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ErrorAnswer {
    pub(super) status: StatusCode,
    pub(super) code: Cow<'static, str>,
    message: String,
    /// When to ask again, if that is of use.
    pub(super) retry_after: Option<Duration>,
}

impl ErrorAnswer {
    fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            retry_after: None,
        }
    }

    fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    pub(super) fn protocol_version(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "protocol_version", message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is `pull`, `push`, `stream`, `presence`, `health` and `metrics` here",
        )
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "use a method that the header `allow` names",
        )
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE, message)
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        Self::too_large(format!("a body may have {limit} bytes, on the wire and decompressed"))
    }

    pub(super) fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    pub(super) fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code.clone().into_owned(),
                message: self.message.chars().take(MAX_MESSAGE).collect(),
            },
        }
    }

    /// The body alone, for where no status can be given any more.
    pub(super) fn into_json(self) -> String {
        // Two strings can always be written as JSON.
        serde_json::to_string(&self.body()).unwrap_or_default()
    }

    pub(super) fn too_many_streams(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", message).retry_after(STREAMS_RETRY)
    }

    pub(super) fn rate_limited(message: impl Into<String>, pause: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message).retry_after(pause)
    }

    pub(super) fn is_rate_limited(&self) -> bool {
        self.code == "rate_limited"
    }

    pub(super) fn read_timeout(timeout: Duration) -> Self {
        let message = format!("the body took longer to arrive than the {timeout:?} it may");
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    }

    pub(super) fn busy(timeout: Duration) -> Self {
        let message = format!("the answer takes longer than {timeout:?}; what was begun goes on, so ask again later");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, BUSY, message).retry_after(BUSY_RETRY)
    }

    pub(super) fn no_turn(timeout: Duration) -> Self {
        let message =
            format!("other large bodies have been ahead for {timeout:?}; nothing was done, so ask again later");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, BUSY, message).retry_after(BUSY_RETRY)
    }

    /// Logs the cause, and tells no more of it than that it can pass.
    fn database_busy(cause: &(dyn StdError + 'static)) -> Self {
        tracing::warn!(cause, "a sync request had to wait for too long");
        let message = "the server has more to do than it can; nothing was done, so ask again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, BUSY, message).retry_after(BUSY_RETRY)
    }

    pub(super) fn shutting_down() -> Self {
        let message = "the server is about to end";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message).retry_after(SHUTDOWN_RETRY)
    }

    /// Something of the application's, such as its authenticator, has panicked.
    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        tracing::error!("answering a sync request panicked: {}", panic_words(panic));
        Self::failed()
    }

    /// Logs the cause, and tells nothing of it.
    pub(super) fn internal(cause: &(dyn StdError + 'static)) -> Self {
        tracing::error!(cause, "a sync request failed on this side");
        Self::failed()
    }

    /// All that is told of a failure of this side.
    pub(super) fn failed() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed to answer; its log says why",
        )
    }
}

impl From<Refusal> for ErrorAnswer {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::BadRequest(_) | Refusal::UnknownTable(_) => StatusCode::BAD_REQUEST,
            Refusal::WrongNode { .. } | Refusal::Forbidden(_) | Refusal::Hook(_) => StatusCode::FORBIDDEN,
            Refusal::NodeConflict(_) => StatusCode::CONFLICT,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::LimitReached(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Internal(cause) if refusal.code() == BUSY => return Self::database_busy(cause),
            Refusal::Internal(cause) => return Self::internal(cause),
        };
        Self::new(status, refusal.code().to_owned(), refusal.to_string())
    }
}

impl From<AuthError> for ErrorAnswer {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthenticated(message) => Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message),
            AuthError::Forbidden(message) => Self::new(StatusCode::FORBIDDEN, "forbidden", message),
            AuthError::Failed(cause) => Self::internal(&*cause),
        }
    }
}

impl IntoResponse for ErrorAnswer {
    fn into_response(self) -> Response {
        tracing::debug!(
            status = self.status.as_u16(),
            code = &*self.code,
            "refused: {}",
            self.message
        );
        let mut response = (self.status, Json(self.body())).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(pause) = self.retry_after {
            // Whole seconds, and never so few that it would be too early.
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
