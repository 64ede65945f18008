//! A reader of event streams that knows no more than what they look like.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value as Json;

use super::PATIENCE;

/// One event, or a comment, whose `kind` is then empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Event {
    pub kind: String,
    pub id: String,
    pub data: String,
}

impl Event {
    pub(super) fn json(&self) -> Json {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The keys of its changes.
    pub(super) fn keys(&self) -> Vec<String> {
        let page = self.json();
        let changes = page["changes"].as_array().expect("a page").iter();
        changes
            .map(|change| change["pk"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// An open stream.
pub(super) struct Events {
    response: Response,
    text: String,
}

impl Events {
    /// Opens `<url>/stream?<query>`, having seen `last_event_id`.
    pub(super) async fn open(url: &str, query: &str, last_event_id: Option<&str>) -> Self {
        let mut request = Client::new().get(format!("{url}/stream?{query}"));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        Self::of(request).await
    }

    /// The same, with a token.
    pub(super) async fn open_as(token: &str, url: &str, query: &str) -> Self {
        Self::of(Client::new().get(format!("{url}/stream?{query}")).bearer_auth(token)).await
    }

    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event or comment; `None` at the end.
    pub(super) async fn next_or_comment(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                return Some(parse(&block));
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("a sign of life").ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    /// The next changes.
    pub(super) async fn next(&mut self) -> Event {
        self.next_of("changes").await
    }

    /// Reads on until changes of these keys have come, and no others, and returns the last event. On PostgreSQL, what is committed
    /// may come in parts: transactions that are under way hold it back.
    pub(super) async fn told(&mut self, keys: &[&str]) -> Event {
        let mut told = Vec::new();
        loop {
            let event = self.next().await;
            told.extend(event.keys());
            if told.len() >= keys.len() {
                assert_eq!(told, keys);
                return event;
            }
        }
    }

    /// The next event of a kind.
    pub(super) async fn next_of(&mut self, kind: &str) -> Event {
        let next = async {
            loop {
                let event = self.next_or_comment().await.expect("an open stream");
                assert_ne!(event.kind, "error", "{event:?}");
                if event.kind == kind {
                    return event;
                }
            }
        };
        // Comments go on for ever.
        tokio::time::timeout(PATIENCE, next).await.expect(kind)
    }

    /// Sees that no changes come for a while.
    pub(super) async fn is_silent(&mut self) {
        let quiet = tokio::time::timeout(Duration::from_millis(100), self.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines().filter(|line| !line.starts_with(':') && !line.is_empty()) {
        let (field, value) = line.split_once(": ").unwrap_or_else(|| panic!("not a field: {line:?}"));
        match field {
            "event" => value.clone_into(&mut event.kind),
            "id" => value.clone_into(&mut event.id),
            "data" => event.data.push_str(value),
            other => panic!("what is {other}?"),
        }
    }
    event
}
