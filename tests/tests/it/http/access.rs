//! Who is let in, and for whom they may speak.

use axum::http::request::Parts;
use grove_crdt::{
    server::{AuthError, Limits, SyncServer},
    sync::{Peer, Syncer},
    transport::HttpTransport,
};
use reqwest::header::WWW_AUTHENTICATE;
use serde_json::{Value as Json, json};

use super::{Answer, guarded_server, open_server, pull_body, push_body, request, send, serve, tokens};
use crate::notes;

/// The birth of a row with this title, as another node would push it.
fn birth(table: &str, title: &str) -> Json {
    json!({
        "table": table, "pk": title, "field": "", "crdt_type": "record", "epoch": 1, "node_id": "edge",
        "hlc": { "ts": 1, "c": 0, "node": "edge" }, "value": { "lww": { "title": title } }
    })
}

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

#[apply(on_each_database!)]
async fn a_peer_is_told_of_the_tables_that_it_may_read_and_of_no_other() {
    let cloud = notes::replica("cloud").await;
    notes::write(&cloud, "note", "for readers").await;
    let peers = tokens([
        Peer::new("all"),
        Peer::new("notes").may_only_read(["notes"]),
        Peer::new("none").may_only_read(Vec::<String>::new()),
        Peer::new("writes-none").may_only_write(Vec::<String>::new()),
    ]);
    let pull = serve(SyncServer::builder(&cloud).bearer_tokens(peers).unwrap().router()).await + "/pull";
    let ask = async |peer: &str, tables: Json| {
        let mut body = pull_body();
        body["tables"] = tables;
        let request = request(&pull).bearer_auth(format!("{peer}-token"));
        Answer::to(request.body(body.to_string())).await
    };
    for (peer, tables) in [
        ("all", json!(["notes", "drafts"])),
        ("notes", json!(["notes"])),
        ("writes-none", json!(["notes", "drafts"])),
    ] {
        let answer = ask(peer, tables).await;
        assert_eq!(answer.status, 200, "{peer}: {}", answer.body);
        assert_eq!(answer.body["changes"].as_array().unwrap().len(), 1, "{peer}");
    }
    for (peer, tables, forbidden) in [
        ("notes", json!(["drafts"]), "drafts"),
        // All or nothing: a cursor stands for the tables that were asked for.
        ("notes", json!(["notes", "drafts"]), "drafts"),
        ("none", json!(["notes"]), "notes"),
    ] {
        let answer = ask(peer, tables).await;
        answer.is_error(403, "forbidden");
        let message = json!(format!("this peer may not read table `{forbidden}`"));
        assert_eq!(answer.body["error"]["message"], message, "{peer}");
    }
    assert_eq!(ask("none", json!([])).await.status, 200);
}

#[apply(on_each_database!)]
async fn a_peer_changes_the_tables_that_it_may_write_and_no_other() {
    let cloud = notes::replica("cloud").await;
    let peers = tokens([
        Peer::new("drafts").may_only_write(["drafts"]),
        Peer::new("none").may_only_write(Vec::<String>::new()),
        Peer::new("reads-none").may_only_read(Vec::<String>::new()),
    ]);
    let push = serve(SyncServer::builder(&cloud).bearer_tokens(peers).unwrap().router()).await + "/push";
    for (peer, forbidden) in [
        ("drafts", vec![1, 3]),
        ("none", vec![0, 1, 2, 3]),
        ("reads-none", vec![]),
    ] {
        let title = |what: &str| format!("{what} of {peer}");
        let changes = json!([
            birth("drafts", &title("first")),
            birth("notes", &title("second")),
            birth("drafts", &title("third")),
            birth("notes", &title("fourth")),
        ]);
        let request = request(&push).bearer_auth(format!("{peer}-token"));
        let answer = Answer::to(request.body(push_body(&changes).to_string())).await;
        assert_eq!(answer.status, 200, "{peer}: {}", answer.body);
        let rejected = answer.body["rejected"].as_array().unwrap();
        let refused: Vec<_> = rejected.iter().map(|one| (&one["index"], &one["code"])).collect();
        let code = json!("forbidden");
        let indices: Vec<_> = forbidden.iter().map(|index| json!(index)).collect();
        let expected: Vec<_> = indices.iter().map(|index| (index, &code)).collect();
        assert_eq!(refused, expected, "{peer}");
        assert_eq!(answer.body["merged"], 4 - forbidden.len(), "{peer}");
        let there = notes::title(&cloud, &title("second")).await.is_some();
        assert_eq!(there, !forbidden.contains(&1), "{peer}");
    }
}

/// What a node may not write, it keeps, and says so; what it may is not held up.
#[apply(on_each_database!)]
async fn a_syncer_that_may_only_read_keeps_what_it_wrote() {
    let (cloud, edge) = (notes::replica("cloud").await, notes::replica("edge").await);
    notes::write(&cloud, "theirs", "from the cloud").await;
    notes::write(&edge, "ours", "from the edge").await;
    let peers = tokens([Peer::new("edge").may_only_write(["drafts"])]);
    let url = serve(SyncServer::builder(&cloud).bearer_tokens(peers).unwrap().router()).await;
    let transport = HttpTransport::new(&url).unwrap().bearer_token("edge-token").unwrap();
    let syncer = Syncer::builder(&edge).peer(transport).build().unwrap();

    let report = syncer.sync().await.unwrap();

    assert_eq!((report.pulled, report.rejected), (1, 1), "{report}");
    assert_eq!(notes::title(&edge, "theirs").await.as_deref(), Some("from the cloud"));
    assert_eq!(notes::title(&cloud, "ours").await, None);
    assert_eq!(notes::title(&edge, "ours").await.as_deref(), Some("from the edge"));
    let letters = edge.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    // What was not taken is not sent again and again.
    let report = syncer.sync().await.unwrap();
    assert_eq!((report.pushed, report.rejected), (0, 0), "{report}");
}
