//! Pages of other origins.

use std::time::Duration;

use axum::http::{
    HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{error::Error, sync::PROTOCOL_HEADER};

/// How long a browser may remember what it was allowed.
const MAX_AGE: Duration = Duration::from_hours(1);

/// Lets pages of these origins ask, with the headers of the protocol and without cookies.
///
/// # Errors
///
/// What is no origin.
pub(super) fn allow(origins: impl IntoIterator<Item = impl AsRef<str>>) -> Result<CorsLayer, Error> {
    let origins: Vec<_> = origins
        .into_iter()
        .map(|text| origin(text.as_ref()))
        .collect::<Result<_, _>>()?;
    Ok(CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            CONTENT_ENCODING,
            HeaderName::from_static(PROTOCOL_HEADER),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([RETRY_AFTER])
        .max_age(MAX_AGE))
}

/// An origin as browsers write it: scheme, host and port, if it is not the scheme's own; nothing else would ever match.
fn origin(text: &str) -> Result<HeaderValue, Error> {
    let invalid = || {
        Error::Invalid(format!(
            "{text:?} is no origin: write it as the browser does, like `https://app.example` or `http://localhost:5173`"
        ))
    };
    let (scheme, host) = text.split_once("://").ok_or_else(invalid)?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._:[]".contains(c);
    if scheme.is_empty()
        || host.is_empty()
        || !scheme.chars().all(|c| c.is_ascii_lowercase())
        || !host.chars().all(allowed)
    {
        return Err(invalid());
    }
    HeaderValue::from_str(text).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for right in [
            "https://app.example",
            "http://localhost:5173",
            "http://[::1]:80",
            "tauri://localhost",
        ] {
            assert!(origin(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "*",
            "app.example",
            "https://",
            "https://app.example/",
            "https://App.example",
            "https://a b",
            "https://é.example",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
