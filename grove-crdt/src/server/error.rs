//! Answers that are errors: the one place where they get their status.

use std::error::Error as StdError;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};

use crate::{
    server::AuthError,
    sync::{ErrorBody, ErrorDetail, Refusal, TOO_LARGE},
};

/// How much of a message is sent: some repeat what the asker wrote.
const MAX_MESSAGE: usize = 300;

/// An answer that is an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ErrorAnswer {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ErrorAnswer {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
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
            "there is `pull`, `push` and `presence` here",
        )
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "use a method that the header `allow` names",
        )
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

    /// Logs the cause, and tells nothing of it.
    fn internal(cause: &(dyn StdError + 'static)) -> Self {
        tracing::error!(cause, "a sync request failed on this side");
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
            Refusal::WrongNode { .. } | Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
            Refusal::NodeConflict(_) => StatusCode::CONFLICT,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::LimitReached(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Internal(cause) => return Self::internal(cause),
        };
        Self::new(status, refusal.code(), refusal.to_string())
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
            code = self.code,
            "refused: {}",
            self.message
        );
        let message = self.message.chars().take(MAX_MESSAGE).collect();
        let code = self.code.to_owned();
        let body = Json(ErrorBody {
            error: ErrorDetail { code, message },
        });
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
