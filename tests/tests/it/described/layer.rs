//! Watches what passes between a client and a server.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::header::ACCEPT_ENCODING,
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use futures_util::StreamExt as _;
use serde_json::{Value as Json, json};

use super::{DOCUMENT, Exchange, essence, request, validate};

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// Methods and paths, and kinds of events.
    what: Vec<String>,
    wrong: Vec<String>,
}

impl Log {
    fn note(&self, what: String, found: Result<(), String>) {
        let mut seen = self.0.lock().expect("nobody panics with it");
        seen.what.push(what);
        seen.wrong.extend(found.err());
    }

    /// How often this was seen.
    pub(crate) fn count(&self, what: &str) -> usize {
        let seen = self.0.lock().expect("nobody panics with it");
        seen.what.iter().filter(|own| *own == what).count()
    }

    /// What was not as described.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics with it").wrong.clone()
    }
}

/// The routes, with every request, answer and event held against the document.
pub(crate) fn watched(routes: Router) -> (Router, Log) {
    let log = Log::default();
    (routes.layer(from_fn_with_state(log.clone(), watch)), log)
}

async fn watch(State(log): State<Log>, asked: Request, next: Next) -> Response {
    let (mut head, body) = asked.into_parts();
    // What is compressed can't be looked at.
    head.headers.remove(ACCEPT_ENCODING);
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let answer = next
        .run(Request::from_parts(head.clone(), Body::from(body.clone())))
        .await;
    let (answer_head, answer_body) = answer.into_parts();
    let is_stream = essence(&answer_head.headers) == "text/event-stream";
    let (bytes, answer_body) = if is_stream {
        (Bytes::new(), events(&log, answer_body))
    } else {
        let bytes = to_bytes(answer_body, usize::MAX).await.expect("an answer");
        (bytes.clone(), Body::from(bytes))
    };
    let exchange = Exchange {
        method: &head.method,
        path: head.uri.path(),
        query: head.uri.query().unwrap_or(""),
        head: &head.headers,
        body: &body,
        status: answer_head.status,
        answer_head: &answer_head.headers,
        answer: &bytes,
    };
    // What a client of ours sends has to be as described, however it is answered.
    let found = exchange.check().and_then(|()| request::check(&exchange));
    log.note(format!("{} {}", head.method, head.uri.path()), found);
    Response::from_parts(answer_head, answer_body)
}

/// The same stream, with each event held against the document as it passes.
fn events(log: &Log, body: Body) -> Body {
    let log = log.clone();
    let mut text = String::new();
    Body::from_stream(body.into_data_stream().inspect(move |chunk| {
        let Ok(chunk) = chunk else { return };
        text.push_str(std::str::from_utf8(chunk).expect("events are cut between characters"));
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            check_event(&log, &event);
        }
    }))
}

fn check_event(log: &Log, event: &str) {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    // What has no kind is a comment.
    let Some(kind) = field("event: ") else { return };
    let stream = &DOCUMENT["paths"]["/stream"]["get"]["responses"]["200"]["content"]["text/event-stream"];
    let kinds = stream["schema"]["oneOf"].as_array().expect("kinds of events");
    let described = kinds
        .iter()
        .find(|one| one["properties"]["event"]["enum"] == json!([kind]));
    let found = match (described, field("data: ").map(serde_json::from_str::<Json>)) {
        (Some(described), Some(Ok(data))) => {
            let id = described["properties"].get("id").is_some();
            let schema = described["properties"]["data"]["contentSchema"]["$ref"].as_str();
            if id == field("id: ").is_some() {
                validate(schema.expect("a reference").trim_start_matches('#'), &data)
            } else {
                Err(format!("an event {kind}, described with an id: {id}"))
            }
        }
        (described, data) => Err(format!(
            "an event {kind}, described as {described:?}, with the data {data:?}"
        )),
    };
    log.note(format!("event {kind}"), found);
}
