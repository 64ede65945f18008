//! Web pages of other origins.

use grove_crdt::{Error, server::SyncServer, sync::Peer};
use reqwest::{Client, Method, Response};

use super::{guarded_server, pull_body, request, serve, tokens};
use crate::notes;

/// What a browser asks before a page of this origin may pull.
async fn preflight(url: &str, origin: &str) -> Response {
    let request = Client::new().request(Method::OPTIONS, format!("{url}/pull"));
    let request = request
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,grove-protocol",
        );
    request.send().await.unwrap()
}

fn allowed<'a>(answer: &'a Response, what: &str) -> Option<&'a str> {
    answer
        .headers()
        .get(format!("access-control-allow-{what}"))?
        .to_str()
        .ok()
}

#[apply(on_each_database!)]
async fn no_page_may_ask_unless_its_origin_was_named() {
    let (_, url) = guarded_server().await;
    let answer = preflight(&url, "https://app.example").await;
    assert_eq!(answer.status(), 405);
    assert!(
        answer
            .headers()
            .keys()
            .all(|name| !name.as_str().starts_with("access-control"))
    );

    let cloud = notes::replica("cloud").await;
    let builder = SyncServer::builder(&cloud).cors_origins(["https://app.example", "http://localhost:5173"]);
    let builder = builder.unwrap().bearer_tokens(tokens([Peer::new("a")]));
    let url = serve(builder.unwrap().router()).await;
    for origin in ["https://app.example", "http://localhost:5173"] {
        let answer = preflight(&url, origin).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(allowed(&answer, "origin"), Some(origin));
        let headers = allowed(&answer, "headers").unwrap();
        for header in [
            "authorization",
            "content-type",
            "content-encoding",
            "grove-protocol",
            "last-event-id",
        ] {
            assert!(headers.contains(header), "{headers}");
        }
        assert_eq!(allowed(&answer, "methods"), Some("GET,POST"));
        assert_eq!(allowed(&answer, "credentials"), None);
    }
    assert_eq!(allowed(&preflight(&url, "https://evil.example").await, "origin"), None);
    // The answers themselves say so too, errors as well, or no page could read them.
    for token in ["a-token", "guessed"] {
        let request = request(&format!("{url}/pull"))
            .bearer_auth(token)
            .header("origin", "https://app.example");
        let answer = request.body(pull_body().to_string()).send().await.unwrap();
        assert_eq!(allowed(&answer, "origin"), Some("https://app.example"), "{token}");
    }
}

#[apply(on_each_database!)]
async fn what_no_browser_sends_is_no_origin() {
    let cloud = notes::replica("cloud").await;
    let refused = SyncServer::builder(&cloud)
        .cors_origins(["https://app.example/"])
        .unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    assert!(refused.to_string().contains("https://app.example"), "{refused}");
}
