//! Who is let in, and for whom they may speak.

use axum::http::request::Parts;
use grove_crdt::{
    server::{AuthError, Limits, SyncServer},
    sync::Peer,
};
use reqwest::header::WWW_AUTHENTICATE;
use serde_json::json;

use super::{Answer, guarded_server, open_server, pull_body, push_body, request, send, serve};
use crate::notes;

#[apply(on_each_database!)]
async fn only_known_tokens_are_let_in_and_before_the_body_is_read() {
    let (_, url) = guarded_server().await;
    let pull = format!("{url}/pull");
    for credentials in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer no"),
        Some("Basic any-token"),
    ] {
        let mut request = request(&pull).body("not even JSON");
        if let Some(credentials) = credentials {
            request = request.header("authorization", credentials);
        }
        let answer = Answer::to(request).await;
        answer.is_error(401, "unauthenticated");
        assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer");
    }
    let known = Answer::to(request(&pull).bearer_auth("any-token").body(pull_body().to_string())).await;
    assert_eq!(known.status, 200, "{}", known.body);
}

#[apply(on_each_database!)]
async fn a_bound_token_speaks_for_its_own_node_only() {
    let (_, url) = guarded_server().await;
    for (route, mut body) in [("pull", pull_body()), ("push", push_body(&json!([])))] {
        let url = format!("{url}/{route}");
        let own = Answer::to(request(&url).bearer_auth("edge-token").body(body.to_string())).await;
        assert_eq!(own.status, 200, "{}", own.body);
        body["node_id"] = json!("another");
        let forged = Answer::to(request(&url).bearer_auth("edge-token").body(body.to_string())).await;
        forged.is_error(403, "wrong_node");
    }
}

#[apply(on_each_database!)]
async fn an_authenticator_of_ones_own_decides() {
    let replica = notes::replica("cloud").await;
    let by_header = |head: &Parts| {
        let who = head
            .headers
            .get("x-who")
            .and_then(|who| who.to_str().ok())
            .unwrap_or("")
            .to_owned();
        async move {
            match who.as_str() {
                "friend" => Ok(Peer::new(who)),
                "foe" => Err(AuthError::Forbidden("no foes".into())),
                "broken" => Err(AuthError::Failed("SELECT password FROM users".into())),
                _ => Err(AuthError::Unauthenticated("say who you are as `x-who`".into())),
            }
        }
    };
    let url = serve(SyncServer::builder(&replica).authenticator(by_header).router()).await;
    let ask = async |who: &str| {
        Answer::to(
            request(&format!("{url}/pull"))
                .header("x-who", who)
                .body(pull_body().to_string()),
        )
        .await
    };
    assert_eq!(ask("friend").await.status, 200);
    ask("foe").await.is_error(403, "forbidden");
    ask("nobody").await.is_error(401, "unauthenticated");
    let broken = ask("broken").await;
    broken.is_error(500, "internal");
    assert!(!broken.body.to_string().contains("SELECT"), "{}", broken.body);
}

#[apply(on_each_database!)]
async fn one_node_id_is_one_database() {
    let (cloud, url) = open_server(Limits::default()).await;
    for route in ["pull", "push"] {
        let url = format!("{url}/{route}");
        let mut body = if route == "pull" {
            pull_body()
        } else {
            push_body(&json!([]))
        };
        assert_eq!(send(&url, &body).await.status, 200);
        body["replica_id"] = json!("a-copy-of-it");
        send(&url, &body).await.is_error(409, "node_conflict");
        body["node_id"] = json!(cloud.node_id());
        send(&url, &body).await.is_error(409, "node_conflict");
    }
}
