//! Presence over real sockets, and the ways by which a program takes part in it.

mod client;
mod requests;

use std::time::Duration;

use axum::Router;
use grove_crdt::{
    Replica,
    presence::{PresenceItem, PresenceLimits, PresenceSubscription},
    server::SyncServer,
    sync::Peer,
};
use reqwest::{Client, RequestBuilder, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value as Json, json};

use crate::{described, notes};

/// A replica that answers at a URL.
struct Hub {
    replica: Replica,
    url: String,
    client: Client,
}

struct Answer {
    status: StatusCode,
    body: Json,
}

impl Hub {
    /// Takes everybody in.
    async fn open(limits: PresenceLimits) -> Self {
        let replica = notes::replica_with("hub", |builder| builder.presence(limits)).await;
        let routes = SyncServer::builder(&replica).allow_anonymous().router();
        Self::at(replica, routes).await
    }

    /// Takes in `a` and `b`, each for its own node; `any`, for any node; and `reader`, for any node but without notes.
    async fn guarded() -> Self {
        let replica = notes::replica("hub").await;
        let tokens = [
            ("a", Peer::new("a").bound_to("a".parse().unwrap())),
            ("b", Peer::new("b").bound_to("b".parse().unwrap())),
            ("any", Peer::new("any")),
            ("reader", Peer::new("reader").may_only_read(["drafts"])),
        ];
        let routes = SyncServer::builder(&replica).bearer_tokens(tokens).unwrap().router();
        Self::at(replica, routes).await
    }

    async fn at(replica: Replica, routes: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sync", listener.local_addr().unwrap());
        let app = Router::new().nest("/sync", routes);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = Client::new();
        Self { replica, url, client }
    }

    fn post(&self, body: &Json) -> RequestBuilder {
        let request = self.client.post(format!("{}/presence", self.url));
        request.header(CONTENT_TYPE, "application/json").body(body.to_string())
    }

    /// Asks with a query as it stands in the URL.
    fn ask(&self, query: &str) -> RequestBuilder {
        self.client.get(format!("{}/presence{query}", self.url))
    }

    /// A node without a database says something under one topic.
    async fn say(&self, node: &str, topic: &str, data: Json) -> Answer {
        let body = json!({ "node_id": node, "topics": { topic: data } });
        Answer::to(self.post(&body)).await
    }

    /// Who is there, without asking over HTTP: `node data`.
    fn there(&self, topic: &str) -> Vec<String> {
        there(&self.replica, topic)
    }
}

impl Answer {
    async fn to(request: RequestBuilder) -> Self {
        let (status, _, text) = described::send(request).await;
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: not JSON: {text:?}"));
        Self { status, body }
    }

    #[track_caller]
    fn is(&self, body: Json) {
        assert_eq!((self.status.as_u16(), &self.body), (200, &body));
    }

    #[track_caller]
    fn is_error(&self, status: u16, code: &str) {
        let told = (self.status.as_u16(), &self.body["error"]["code"]);
        assert_eq!(told, (status, &json!(code)), "{}", self.body);
        assert!(self.body["error"]["message"].is_string(), "{}", self.body);
    }
}

fn there(replica: &Replica, topic: &str) -> Vec<String> {
    let all = replica.presence().snapshot(topic);
    all.iter()
        .map(|presence| format!("{} {}", presence.node_id, presence.data))
        .collect()
}

/// The next item, in short, if one comes in ten seconds.
async fn next(subscription: &mut PresenceSubscription) -> String {
    let next = tokio::time::timeout(Duration::from_secs(10), subscription.next());
    match next.await.expect("an item").expect("a replica") {
        PresenceItem::Snapshot(snapshot) => format!("snapshot of {}", snapshot.presences.len()),
        PresenceItem::Event(event) => {
            let kind = serde_json::to_value(event.kind).unwrap();
            let data = event.data.map_or_else(String::new, |data| format!(" {data}"));
            format!("{} {} {}{data}", kind.as_str().unwrap(), event.node_id, event.topic)
        }
        other => panic!("{other:?}"),
    }
}
