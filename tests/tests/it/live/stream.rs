//! What `GET /stream` sends, and what it refuses.

use std::time::Duration;

use grove_crdt::{
    Change,
    server::{Limits, SyncServer},
    sync::{HookError, Peer, SyncHook},
};
use grove_crdt_tests::serve::serve;
use reqwest::Client;
use sea_orm::{ActiveValue::Set, TransactionSession as _, TransactionTrait as _};
use serde_json::Value as Json;

use super::events::Events;
use crate::{http, merge::support, notes};

#[apply(on_each_database!)]
async fn what_is_there_comes_first_and_then_what_is_committed() {
    let hub = notes::replica("hub").await;
    let url = serve(&hub).await;
    notes::write(&hub, "a", "before").await;
    let mut events = Events::open(&url, "tables=notes,drafts", None).await;
    let first = events.next().await;
    assert_eq!((first.kind.as_str(), first.keys()), ("changes", vec!["a".to_owned()]));
    let page = first.json();
    assert_eq!(page["cursor"], first.id.as_str());
    assert_eq!((&page["has_more"], &page["node_id"]), (&false.into(), &"hub".into()));
    events.is_silent().await;

    for id in ["b", "c"] {
        notes::write(&hub, id, "after").await;
        assert_eq!(events.next().await.keys(), [id]);
    }
}

/// A client has to know who answers, and that it is connected, also when there is nothing to tell.
#[apply(on_each_database!)]
async fn the_first_event_comes_at_once() {
    let hub = notes::replica("hub").await;
    let mut events = Events::open(&serve(&hub).await, "tables=notes", None).await;
    let first = events.next().await;
    assert_eq!(first.keys(), Vec::<String>::new());
    assert_eq!(first.json()["replica_id"], hub.replica_id());
    assert!(!first.id.is_empty());
}

#[apply(on_each_database!)]
async fn a_stream_goes_on_exactly_after_the_last_event() {
    let hub = notes::replica("hub").await;
    let url = serve(&hub).await;
    for id in ["a", "b", "c"] {
        notes::write(&hub, id, "x").await;
    }
    let mut pages = Events::open(&url, "tables=notes&limit=1", None).await;
    let first = pages.told(&["a"]).await;

    // By the cursor in the URL, and by the header of a client that was cut off, which is newer.
    let query = format!("tables=notes&cursor={}", first.id);
    let mut events = Events::open(&url, &query, None).await;
    let second = events.told(&["b", "c"]).await;
    notes::write(&hub, "d", "x").await;
    let mut events = Events::open(&url, &query, Some(&second.id)).await;
    events.told(&["d"]).await;
    // An empty one is none.
    let mut events = Events::open(&url, &query, Some("")).await;
    events.told(&["b", "c", "d"]).await;
}

#[apply(on_each_database!)]
async fn a_cursor_of_another_history_starts_over_and_says_so() {
    let (hub, other) = (notes::replica("hub").await, notes::replica("other").await);
    notes::write(&hub, "a", "x").await;
    let page = support::pull(&hub, &other, &["notes"], None, 10).await;
    let query = format!("tables=notes&cursor={}", page.cursor);
    let mut events = Events::open(&serve(&hub).await, &query, None).await;
    let first = events.next().await;
    assert_eq!(first.json()["restarted"], true);
    if first.keys().is_empty() {
        events.told(&["a"]).await;
    } else {
        assert_eq!(first.keys(), ["a"]);
    }
    notes::write(&hub, "b", "x").await;
    assert_eq!(events.next().await.json()["restarted"], Json::Null);
}

#[apply(on_each_database!)]
async fn what_came_from_the_asker_is_not_sent_back() {
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let url = serve(&hub).await;
    notes::write(&edge, "mine", "x").await;
    let mine = support::changes_of(&edge, &["notes"]).await;
    let query = format!("tables=notes&node_id=edge&replica_id={}", edge.replica_id());
    let mut own = Events::open(&url, &query, None).await;
    let mut looking_on = Events::open(&url, "tables=notes", None).await;
    assert_eq!(own.next().await.keys(), Vec::<String>::new());
    looking_on.next().await;

    support::push(&edge, &hub, &mine).await;
    assert_eq!(looking_on.next().await.keys(), ["mine"]);
    own.is_silent().await;
    notes::write(&hub, "another", "x").await;
    assert_eq!(own.next().await.keys(), ["another"]);
}

/// A peer is streamed what its hooks leave, and the stream goes on past what they keep back.
#[apply(on_each_database!)]
async fn hooks_are_asked_about_what_is_streamed() {
    struct Discreet;

    #[async_trait::async_trait]
    impl SyncHook for Discreet {
        async fn before_outbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
            assert_eq!(peer.name, "reader");
            Ok((!change.pk.starts_with("secret")).then_some(change))
        }
    }

    let hub = notes::replica_with("hub", |builder| builder.hook(Discreet)).await;
    let server = SyncServer::builder(&hub).bearer_tokens([("reader", Peer::new("reader"))]);
    let url = http::serve(server.unwrap().router()).await;
    notes::write(&hub, "secret-1", "x").await;
    notes::write(&hub, "a", "x").await;
    let mut events = Events::open_as("reader", &url, "tables=notes").await;
    events.told(&["a"]).await;
    notes::write(&hub, "secret-2", "x").await;
    events.is_silent().await;
    notes::write(&hub, "b", "x").await;
    let last = events.next().await;
    assert_eq!(last.keys(), ["b"]);
    let mut again = Events::open_as("reader", &url, &format!("tables=notes&cursor={}", last.id)).await;
    assert_eq!(again.next().await.keys(), Vec::<String>::new());
}

/// Larger than any page: what it is made of comes in order, and it says that there is more.
#[apply(on_each_database!)]
async fn a_batch_of_any_size_gets_through() {
    let hub = notes::replica("hub").await;
    let mut events = Events::open(&serve(&hub).await, "tables=drafts,notes", None).await;
    events.next().await;
    let large = "x".repeat(60_000);
    let tx = hub.begin().await.unwrap();
    for n in 0..2_500 {
        let id = Set(format!("{n:05}"));
        let draft = notes::draft::ActiveModel {
            id,
            title: Set("small".into()),
        };
        draft.insert(&tx).await.unwrap();
    }
    for n in 0..60 {
        let note = notes::ActiveModel {
            id: Set(format!("{n:05}")),
            title: Set(large.clone()),
        };
        note.insert(&tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut keys = Vec::new();
    loop {
        let event = events.next().await;
        keys.extend(event.keys());
        if event.json()["has_more"] == false {
            break;
        }
    }
    let expected = (0..2_500).chain(0..60).map(|n| format!("{n:05}"));
    assert_eq!(keys, expected.collect::<Vec<_>>());
}

#[apply(on_each_database!)]
async fn a_stream_with_nothing_to_tell_shows_that_it_is_alive() {
    let hub = notes::replica("hub").await;
    let server = SyncServer::builder(&hub)
        .keep_alive(Duration::from_millis(20))
        .allow_anonymous();
    let mut events = Events::open(&http::serve(server.router()).await, "tables=notes", None).await;
    events.next().await;
    // On a slow machine, comments come before it.
    events.next_of("presence").await;
    for _ in 0..3 {
        assert_eq!(events.next_or_comment().await.unwrap().kind, "");
    }
    notes::write(&hub, "a", "x").await;
    assert_eq!(events.next().await.keys(), ["a"]);
}

#[apply(on_each_database!)]
async fn bad_requests_are_refused_before_anything_is_sent() {
    let hub = notes::replica("hub").await;
    let server = SyncServer::builder(&hub).bearer_tokens([
        ("edge", Peer::new("edge").bound_to("edge".parse().unwrap())),
        ("reader", Peer::new("reader").may_only_read(["notes"])),
    ]);
    let url = http::serve(server.unwrap().router()).await;
    let own = format!("replica_id={}", hub.replica_id());
    for (token, query, status, code) in [
        ("nobody", "tables=notes", 401, "unauthenticated"),
        ("edge", "", 400, "bad_request"),
        ("edge", "tables=", 400, "unknown_table"),
        ("edge", "tables=users", 400, "unknown_table"),
        ("edge", "tables=notes,notes", 400, "bad_request"),
        ("edge", "tables=notes&cursor=nonsense", 400, "bad_request"),
        ("edge", "tables=notes&limit=0", 400, "bad_request"),
        ("edge", "tables=notes&limit=many", 400, "bad_request"),
        ("edge", "tables=notes&node_id=a%20b", 400, "bad_request"),
        ("edge", "tables=notes&replica_id=x", 400, "bad_request"),
        ("edge", "tables=notes&node_id=another", 403, "wrong_node"),
        ("reader", "tables=notes,drafts", 403, "forbidden"),
        (
            "edge",
            &format!("tables=notes&node_id=edge&{own}"),
            409,
            "node_conflict",
        ),
    ] {
        let request = Client::new().get(format!("{url}/stream?{query}")).bearer_auth(token);
        http::Answer::to(request).await.is_error(status, code);
    }
    let other_version = Client::new()
        .get(format!("{url}/stream?tables=notes"))
        .bearer_auth("edge")
        .header("grove-protocol", "2");
    http::Answer::to(other_version).await.is_error(400, "protocol_version");
    let post = Client::new()
        .post(format!("{url}/stream?tables=notes"))
        .bearer_auth("edge");
    http::Answer::to(post).await.is_error(405, "method_not_allowed");
}

#[apply(on_each_database!)]
async fn each_peer_has_so_many_streams_and_gets_back_what_it_closes() {
    let hub = notes::replica("hub").await;
    let server = SyncServer::builder(&hub)
        .limits(Limits::default().streams_per_peer(2))
        .bearer_tokens([("a", Peer::new("a")), ("b", Peer::new("b"))]);
    let url = http::serve(server.unwrap().router()).await;
    let ask = |token: &str| {
        Client::new()
            .get(format!("{url}/stream?tables=notes"))
            .bearer_auth(token.to_owned())
    };
    let first = ask("a").send().await.unwrap();
    let _second = ask("a").send().await.unwrap();
    http::Answer::to(ask("a")).await.is_error(429, "too_many_streams");
    assert_eq!(ask("b").send().await.unwrap().status(), 200);
    drop(first);
    while ask("a").send().await.unwrap().status() != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
