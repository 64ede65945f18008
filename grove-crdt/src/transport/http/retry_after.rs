//! For how long a peer asks to be left alone.

use std::time::{Duration, SystemTime};

use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, HeaderName, RETRY_AFTER},
};

/// What the header `retry-after` of an answer asks for, in seconds or as a date; where it has a meaning to us.
pub(super) fn asked(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is long enough.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    // Counted from when the peer says that it answered: the clocks of two machines need not agree.
    let now = date(headers, &DATE).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn after(value: &str) -> Option<Duration> {
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        asked(
            StatusCode::SERVICE_UNAVAILABLE,
            &headers(&[(RETRY_AFTER, value), (DATE, now)]),
        )
    }

    #[test]
    fn seconds_and_every_form_of_a_date_are_read() {
        for (value, seconds) in [
            ("0", 0),
            ("120", 120),
            (" 7 ", 7),
            ("99999999999999999999999", u64::MAX),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
            ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
            ("Sun Nov  6 08:50:37 1994", 60),
            // It is over.
            ("Sun, 06 Nov 1994 08:49:00 GMT", 0),
        ] {
            assert_eq!(after(value), Some(Duration::from_secs(seconds)), "{value}");
        }
    }

    #[test]
    fn what_is_neither_asks_for_nothing() {
        for value in [
            "",
            "-1",
            "1.5",
            "soon",
            "1s",
            "Sun, 06 Nov 1994",
            "2024-02-29T12:34:56Z",
        ] {
            assert_eq!(after(value), None, "{value}");
        }
        assert_eq!(asked(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new()), None);
    }

    #[test]
    fn other_answers_do_not_ask_for_it() {
        let headers = headers(&[(RETRY_AFTER, "7")]);
        for (status, heard) in [
            (429, true),
            (503, true),
            (200, false),
            (301, false),
            (403, false),
            (500, false),
        ] {
            let asked = asked(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(asked.is_some(), heard, "{status}");
        }
    }

    /// Without the peer's time, this machine's has to do.
    #[test]
    fn a_date_counts_from_now_when_the_answer_has_none() {
        let until = httpdate::fmt_http_date(SystemTime::now() + Duration::from_hours(1));
        let asked = asked(StatusCode::TOO_MANY_REQUESTS, &headers(&[(RETRY_AFTER, &until)]));
        assert!(asked.is_some_and(|asked| asked > Duration::from_mins(50)), "{asked:?}");
    }
}
