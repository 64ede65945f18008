//! The transport: what it sends, and what it makes of the answers.

use std::time::Duration;

use axum::{Router, routing::post};
use grove_crdt::{
    server::Limits,
    sync::{PullRequest, PushRequest, Syncer, Transport, TransportErrorKind},
    transport::HttpTransport,
};
use reqwest::{Client, StatusCode, header::HeaderMap};
use serde_json::{Value as Json, json};

use super::{guarded_server, open_server, pull_body, push_body, serve};
use crate::notes;

#[apply(on_each_database!)]
async fn two_replicas_sync_through_a_server() {
    let (cloud, url) = guarded_server().await;
    let edge = notes::replica("edge").await;
    notes::write(&cloud, "from-cloud", "Hello").await;
    notes::write(&edge, "from-edge", "World").await;
    let transport = HttpTransport::new(&url).unwrap().bearer_token("edge-token").unwrap();
    let syncer = Syncer::builder(&edge).peer(transport).build().unwrap();

    let report = syncer.sync().await.unwrap();

    assert_eq!(
        (report.conflicts, report.rejected, report.parked),
        (0, 0, 0),
        "{report}"
    );
    assert!(report.pulled > 0 && report.pushed > 0, "{report}");
    assert_eq!(notes::title(&edge, "from-cloud").await.as_deref(), Some("Hello"));
    assert_eq!(notes::title(&cloud, "from-edge").await.as_deref(), Some("World"));
}

fn pull_request() -> PullRequest {
    serde_json::from_value(pull_body()).unwrap()
}

/// A server that answers every pull with this status and body.
async fn answering(status: u16, body: &'static str) -> HttpTransport {
    let status = StatusCode::from_u16(status).unwrap();
    let url = serve(Router::new().route("/pull", post(async move || (status, body)))).await;
    HttpTransport::new(&url).unwrap()
}

#[apply(on_each_database!)]
async fn the_status_says_whether_a_failure_can_pass() {
    use TransportErrorKind::{Garbled, Refused, Unavailable};
    let body = r#"{"error":{"code":"teapot","message":"I am one"}}"#;
    for (status, kind) in [
        (400, Refused),
        (401, Refused),
        (403, Refused),
        (404, Refused),
        (408, Unavailable),
        (409, Refused),
        (413, Refused),
        (418, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
    ] {
        let error = answering(status, body).await.pull(&pull_request()).await.unwrap_err();
        let told = (error.kind, error.code.as_deref(), error.message.as_str());
        assert_eq!(told, (kind, Some("teapot"), "I am one"), "{status}");
    }
    let html = answering(502, "<html>").await.pull(&pull_request()).await.unwrap_err();
    assert_eq!(
        (html.kind, html.message.as_str()),
        (Unavailable, "HTTP 502 Bad Gateway")
    );
    let proxy = answering(413, "<html>").await.pull(&pull_request()).await.unwrap_err();
    assert_eq!((proxy.kind, proxy.code.as_deref()), (Refused, Some("too_large")));
    let page = answering(200, "<html>").await.pull(&pull_request()).await.unwrap_err();
    assert_eq!(page.kind, Garbled);
}

#[apply(on_each_database!)]
async fn a_redirect_is_reported_and_not_followed() {
    let moved = async || (StatusCode::PERMANENT_REDIRECT, [("location", "https://elsewhere/")]);
    let url = serve(Router::new().route("/pull", post(moved))).await;
    let error = HttpTransport::new(&url)
        .unwrap()
        .pull(&pull_request())
        .await
        .unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Refused);
    assert_eq!(error.message, "it has moved to https://elsewhere/: use that URL");
}

#[apply(on_each_database!)]
async fn no_connection_no_answer_in_time_and_half_an_answer_can_pass() {
    // Bound, then let go of: nobody listens there.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = HttpTransport::new(&format!("http://{port}")).unwrap();
    let error = nobody.pull(&pull_request()).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Unavailable);
    assert!(error.message.contains("refused"), "{error}");

    let never = serve(Router::new().route("/pull", post(std::future::pending::<()>))).await;
    let patient = HttpTransport::new(&never).unwrap().timeout(Duration::from_millis(50));
    let error = patient.pull(&pull_request()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (TransportErrorKind::Unavailable, "operation timed out")
    );

    let cut_off = async || ([("content-length", "100")], "{");
    let url = serve(Router::new().route("/pull", post(cut_off))).await;
    let error = HttpTransport::new(&url)
        .unwrap()
        .pull(&pull_request())
        .await
        .unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Unavailable, "{error}");
}

#[apply(on_each_database!)]
async fn an_answer_is_read_up_to_a_limit() {
    let transport = answering(200, "12345678901").await.max_answer(10);
    let error = transport.pull(&pull_request()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_deref()),
        (TransportErrorKind::Garbled, Some("too_large"))
    );
}

#[apply(on_each_database!)]
async fn a_request_carries_version_token_and_headers() {
    let echo = async |headers: HeaderMap| {
        let said: Vec<_> = [
            "grove-protocol",
            "authorization",
            "x-tenant",
            "content-type",
            "user-agent",
        ]
        .map(|name| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or("-")
                .to_owned()
        })
        .into();
        let error = json!({ "error": { "code": "echo", "message": said.join(" | ") } });
        (StatusCode::BAD_REQUEST, error.to_string())
    };
    let url = serve(Router::new().route("/pull", post(echo))).await;
    let own = Client::builder().user_agent("mine").build().unwrap();
    let transport = HttpTransport::new(&format!("{url}/"))
        .and_then(|transport| transport.bearer_token("t0ken"))
        .and_then(|transport| transport.header("x-tenant", "acme"))
        .and_then(|transport| transport.header("grove-protocol", "99"))
        .unwrap()
        .client(own);
    let error = transport.pull(&pull_request()).await.unwrap_err();
    assert_eq!(error.message, "1 | Bearer t0ken | acme | application/json | mine");
}

#[apply(on_each_database!)]
async fn large_pushes_go_compressed_and_are_read() {
    let (_, url) = open_server(Limits::default()).await;
    let request: PushRequest = serde_json::from_value(push_body(&Json::Array(vec![json!("wrong"); 1_000]))).unwrap();
    for compress in [true, false] {
        let transport = HttpTransport::new(&url).unwrap().compress(compress);
        assert_eq!(transport.push(&request).await.unwrap().rejected.len(), 1_000);
    }
}

#[apply(on_each_database!)]
async fn pushes_and_pages_too_large_in_bytes_go_in_parts() {
    let (cloud, url) = open_server(Limits::default().body(5_000)).await;
    let edge = notes::replica("edge").await;
    for note in 0..20 {
        notes::write(&edge, &format!("edge-{note}"), &"x".repeat(900)).await;
        notes::write(&cloud, &format!("cloud-{note}"), &"x".repeat(900)).await;
    }
    let transport = HttpTransport::new(&url).unwrap().max_answer(5_000);
    let report = Syncer::builder(&edge)
        .peer(transport)
        .build()
        .unwrap()
        .sync()
        .await
        .unwrap();
    assert_eq!(report.rejected, 0, "{report}");
    for note in 0..20 {
        assert!(notes::title(&cloud, &format!("edge-{note}")).await.is_some());
        assert!(notes::title(&edge, &format!("cloud-{note}")).await.is_some());
    }
}
