//! Pull and push over real sockets: what every answer looks like, what hostile requests get, and how a client takes it.

mod access;
mod client;
mod cors;
mod discretion;
mod ending;
mod health;
mod jwt;
mod large;
mod openapi;
mod patience;
mod rates;
mod requests;
mod retry_after;
mod size;

use axum::Router;
use grove_crdt::{
    Replica,
    server::{Limits, SyncServer},
    sync::Peer,
};
use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use serde_json::{Value as Json, json};

use crate::{described, notes};

/// Serves routes on a free port, below `/sync`, and returns the URL of that.
pub(crate) async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().nest("/sync", routes);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/sync")
}

/// A server that everybody may sync with.
async fn open_server(limits: Limits) -> (Replica, String) {
    let replica = notes::replica("cloud").await;
    let url = serve(SyncServer::builder(&replica).limits(limits).allow_anonymous().router()).await;
    (replica, url)
}

/// A server where the token `edge-token` stands for node `edge`, and `any-token` for any.
async fn guarded_server() -> (Replica, String) {
    let replica = notes::replica("cloud").await;
    let tokens = [
        ("edge-token", Peer::new("edge").bound_to("edge".parse().unwrap())),
        ("any-token", Peer::new("any")),
    ];
    let builder = SyncServer::builder(&replica).bearer_tokens(tokens).unwrap();
    let url = serve(builder.router()).await;
    (replica, url)
}

/// A token for each of these peers: its name with `-token` behind it.
fn tokens<const N: usize>(peers: [Peer; N]) -> [(String, Peer); N] {
    peers.map(|peer| (format!("{}-token", peer.name), peer))
}

pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Json,
}

impl Answer {
    /// Sends a request. The answer has to be as the OpenAPI document describes it.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let (status, headers, text) = described::send(request).await;
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: not JSON: {text:?}"));
        Self { status, headers, body }
    }

    /// In how many seconds the asker may try again.
    fn retry_after(&self) -> Option<u64> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
    }

    /// The answer is an error of this status and code, of the documented form and nothing else.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), &self.body["error"]["code"]),
            (status, &json!(code)),
            "{}",
            self.body
        );
        assert!(self.body["error"]["message"].is_string(), "{}", self.body);
        assert_eq!(self.body.as_object().unwrap().len(), 1, "{}", self.body);
        assert_eq!(self.body["error"].as_object().unwrap().len(), 2, "{}", self.body);
        assert_eq!(self.headers[CONTENT_TYPE], "application/json");
    }
}

fn request(url: &str) -> RequestBuilder {
    Client::new().post(url).header(CONTENT_TYPE, "application/json")
}

async fn send(url: &str, body: &Json) -> Answer {
    Answer::to(request(url).body(body.to_string())).await
}

fn pull_body() -> Json {
    json!({ "node_id": "edge", "replica_id": "edge-database", "tables": ["notes"] })
}

fn push_body(changes: &Json) -> Json {
    json!({ "node_id": "edge", "replica_id": "edge-database", "changes": changes })
}
