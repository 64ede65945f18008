use std::{fmt, time::Duration};

use async_trait::async_trait;
use reqwest::{
    Client, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::Error,
    sync::{
        EventStream, PROTOCOL_HEADER, PROTOCOL_VERSION, PresenceRequest, PresenceResponse, PullRequest, PullResponse,
        PushRequest, PushResponse, StreamRequest, StreamingTransport, TOO_LARGE, TopicPresences, Transport,
        TransportError, TransportErrorKind,
    },
    transport::http::{answer, events},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(45);
const MAX_REQUEST: usize = 8 << 20;
const MAX_ANSWER: usize = 64 << 20;

/// Below this many bytes, compressing costs more than it saves.
const COMPRESS_FROM: usize = 1 << 10;

/// Reaches a peer over HTTP: this crate's server, or whatever speaks its protocol.
///
/// ```
/// use std::time::Duration;
/// use grove_crdt::transport::HttpTransport;
///
/// let cloud = HttpTransport::new("https://cloud.example/sync")?
///     .bearer_token("secret")?
///     .header("x-tenant", "acme")?
///     .timeout(Duration::from_secs(10));
/// # let _ = cloud;
/// # Ok::<(), grove_crdt::Error>(())
/// ```
///
/// A connection that fails, a request that is not answered in time, and the statuses 408, 429 and 5xx count as
/// [`Unavailable`](TransportErrorKind::Unavailable), every other refusal as [`Refused`](TransportErrorKind::Refused).
/// For how long an answer of 429 or 503 asks to be left alone (`Retry-After`) is passed on: see
/// [`RetryPolicy`](crate::sync::RetryPolicy). Redirects are not followed but reported, so that credentials go where they were meant to.
#[derive(Clone)]
pub struct HttpTransport {
    name: String,
    base: Url,
    client: Client,
    headers: HeaderMap,
    timeout: Duration,
    compress: bool,
    max_request: usize,
    max_answer: usize,
    silence: Duration,
}

impl HttpTransport {
    /// A way to the server whose sync routes lie under `url`, with or without a slash at the end.
    ///
    /// The transport's name, by which the peer is remembered, is this URL without credentials, query and fragment.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is not an `http` or `https` URL, and when the machine's TLS can't be set up.
    pub fn new(url: &str) -> Result<Self, Error> {
        let base = parse(url)?;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Invalid(answer::describe(&error)))?;
        Ok(Self {
            name: name_of(&base),
            base,
            client,
            headers: HeaderMap::new(),
            timeout: TIMEOUT,
            compress: true,
            max_request: MAX_REQUEST,
            max_answer: MAX_ANSWER,
            silence: SILENCE,
        })
    }

    /// Remembers the peer by another name than its URL, such as one that stays when the URL changes.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sends `Authorization: Bearer …` with every request. The token is in no log and no `Debug` output. Over `http:`,
    /// whoever is on the way can read it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a token with characters that can't stand in a header.
    pub fn bearer_token(self, token: &str) -> Result<Self, Error> {
        self.header(AUTHORIZATION, format!("Bearer {token}"))
    }

    /// Sends a header of your own with every request; a later value takes the place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a name or a value that can't stand in a header.
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Result<Self, Error> {
        // Neither may be shown: either could be the secret.
        let invalid = |part| Error::Invalid(format!("the {part} can't stand in an HTTP header"));
        let name = name.try_into().map_err(|_| invalid("name"))?;
        let mut value = value.try_into().map_err(|_| invalid("value"))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// How long a request may take, its answer included; 30 seconds, unless set. It holds for a client of your own too.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends requests through a client of your own, with its proxies, certificates, pools and timeouts. The default one
    /// gives up connecting after 10 seconds and follows no redirects; set yours up to follow none either.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Whether requests larger than a kibibyte are compressed with zstd; they are, unless set. Switch it off for a
    /// server, or a proxy before it, that can't read them. Whether answers come compressed is a matter of the client.
    #[must_use]
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// The largest request sent, in bytes before compression; 8 MiB, unless set, which is what a server takes unless it
    /// was set up otherwise. More changes than that go in several requests.
    #[must_use]
    pub fn max_request(mut self, bytes: usize) -> Self {
        self.max_request = bytes;
        self
    }

    /// How long a stream may bring nothing, not even a sign of life, before it counts as broken; 45 seconds, unless set,
    /// which is three times what a server lets pass unless it was set up otherwise.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// The largest answer read, in bytes after decompression, and the largest event of a stream; 64 MiB, unless set. The peer
    /// is told, and leaves a larger change out: it is kept as a [dead letter](crate::Replica::dead_letters) without its value,
    /// and what follows it arrives. To get it after all, raise the limit and give the peer another [name](Self::named): it is
    /// asked from the beginning then. A server of an earlier version does not know the limit: nothing gets past such a change
    /// there.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// How large an answer may be, for who would read so much.
    fn most(&self, asked: Option<usize>) -> usize {
        asked.unwrap_or(usize::MAX).min(self.max_answer).max(1)
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, request: &impl Serialize) -> Result<A, TransportError> {
        let (headers, body) = self.encode(request)?;
        let response = self
            .client
            .post(endpoint(&self.base, path))
            .headers(headers)
            .timeout(self.timeout)
            .body(body)
            .send()
            .await
            .map_err(|error| answer::not_sent(&self.name, &error))?;
        answer::read(&self.name, response, self.max_answer).await
    }

    async fn get<A: DeserializeOwned>(&self, url: Url) -> Result<A, TransportError> {
        let mut headers = self.headers.clone();
        headers.insert(PROTOCOL_HEADER, HeaderValue::from(PROTOCOL_VERSION));
        let request = self.client.get(url).headers(headers).timeout(self.timeout);
        let response = request.send().await;
        let response = response.map_err(|error| answer::not_sent(&self.name, &error))?;
        answer::read(&self.name, response, self.max_answer).await
    }

    fn encode(&self, request: &impl Serialize) -> Result<(HeaderMap, Vec<u8>), TransportError> {
        let failure = |kind, code: Option<&str>, message| TransportError {
            peer: self.name.clone(),
            kind,
            code: code.map(str::to_owned),
            message,
            retry_after: None,
        };
        let unwritable = |error: &dyn fmt::Display| {
            failure(
                TransportErrorKind::Refused,
                None,
                format!("the request can't be written: {error}"),
            )
        };
        let mut body = serde_json::to_vec(request).map_err(|error| unwritable(&error))?;
        if body.len() > self.max_request {
            let message = format!(
                "a request of {} bytes is larger than the {} it may have",
                body.len(),
                self.max_request
            );
            return Err(failure(TransportErrorKind::Refused, Some(TOO_LARGE), message));
        }
        let mut headers = self.headers.clone();
        headers.insert(PROTOCOL_HEADER, HeaderValue::from(PROTOCOL_VERSION));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.compress && body.len() >= COMPRESS_FROM {
            body = zstd::bulk::compress(&body, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(|error| unwritable(&error))?;
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
        }
        Ok((headers, body))
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password, so the name stands for it; header values are marked as sensitive.
        f.debug_struct("HttpTransport")
            .field("name", &self.name)
            .field("headers", &self.headers)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for HttpTransport {
    fn name(&self) -> &str {
        &self.name
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        let request = PullRequest {
            max_bytes: Some(self.most(request.max_bytes)),
            ..request.clone()
        };
        self.post("pull", &request).await
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        self.post("push", request).await
    }

    fn streaming(&self) -> Option<&dyn StreamingTransport> {
        Some(self)
    }

    async fn presence(&self, request: &PresenceRequest) -> Result<PresenceResponse, TransportError> {
        self.post("presence", request).await
    }

    async fn presences(&self, topic: &str) -> Result<TopicPresences, TransportError> {
        let mut url = endpoint(&self.base, "presence");
        url.query_pairs_mut().append_pair("topic", topic);
        self.get(url).await
    }
}

#[async_trait]
impl StreamingTransport for HttpTransport {
    async fn stream(&self, request: &StreamRequest) -> Result<EventStream, TransportError> {
        let mut url = endpoint(&self.base, "stream");
        let request = StreamRequest {
            max_bytes: Some(self.most(request.max_bytes)),
            ..request.clone()
        };
        events::write_query(&mut url, &request);
        let mut headers = self.headers.clone();
        headers.insert(PROTOCOL_HEADER, HeaderValue::from(PROTOCOL_VERSION));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let answer = self.client.get(url).headers(headers).send();
        // The answer itself has no end, so only its beginning is waited for.
        let response = match tokio::time::timeout(self.timeout, answer).await {
            Ok(response) => response.map_err(|error| answer::not_sent(&self.name, &error))?,
            Err(_) => return Err(answer::timed_out(&self.name)),
        };
        let limits = events::Limits {
            silence: self.silence,
            event: self.max_answer,
        };
        events::read(&self.name, response, limits).await
    }
}

fn parse(url: &str) -> Result<Url, Error> {
    let invalid = |why: &dyn fmt::Display| Error::Invalid(format!("not the URL of a sync server: {why}"));
    let url = Url::parse(url).map_err(|error| invalid(&error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(&format_args!(
            "`{}:` is neither `http:` nor `https:`",
            url.scheme()
        )));
    }
    Ok(url)
}

fn name_of(base: &Url) -> String {
    let mut name = base.clone();
    // Both fail for URLs that can have no credentials, and those have none.
    let _ = name.set_username("");
    let _ = name.set_password(None);
    name.set_query(None);
    name.set_fragment(None);
    name.as_str().trim_end_matches('/').to_owned()
}

/// The URL of a route: the base's path, one step further.
fn endpoint(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_lie_under_the_path_of_the_url() {
        for (url, pull) in [
            ("http://host", "http://host/pull"),
            ("http://host/", "http://host/pull"),
            ("https://host:8443/a/sync", "https://host:8443/a/sync/pull"),
            ("http://host/sync/", "http://host/sync/pull"),
            ("http://host/sync?tenant=1", "http://host/sync/pull?tenant=1"),
        ] {
            assert_eq!(endpoint(&parse(url).unwrap(), "pull").as_str(), pull);
        }
    }

    #[test]
    fn the_name_tells_no_secret() {
        let transport = HttpTransport::new("http://me:secret@host/sync/?key=secret#secret")
            .and_then(|transport| transport.bearer_token("secret"))
            .and_then(|transport| transport.header("x-api-key", "secret"))
            .unwrap();
        assert_eq!(transport.name(), "http://host/sync");
        assert!(!format!("{transport:?}").contains("secret"), "{transport:?}");
    }

    #[test]
    fn only_http_urls_are_taken() {
        for url in ["", "host/sync", "ftp://host/", "memory:a"] {
            assert!(matches!(HttpTransport::new(url), Err(Error::Invalid(_))), "{url}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_refused_unseen() {
        let transport = HttpTransport::new("http://host").unwrap();
        let error = transport.bearer_token("sec\nret").unwrap_err().to_string();
        assert_eq!(error, "the value can't stand in an HTTP header");
    }

    #[test]
    fn only_large_requests_are_compressed() {
        let transport = HttpTransport::new("http://host").unwrap();
        let (headers, body) = transport.encode(&"small").unwrap();
        assert_eq!(body, br#""small""#);
        assert!(!headers.contains_key(CONTENT_ENCODING));
        let (headers, body) = transport.encode(&"large".repeat(1_000)).unwrap();
        assert!(body.len() < 500);
        assert_eq!(headers[CONTENT_ENCODING], "zstd");
        let too_large = transport.max_request(10).encode(&"0123456789").unwrap_err();
        assert_eq!(too_large.code.as_deref(), Some(TOO_LARGE));
    }
}
