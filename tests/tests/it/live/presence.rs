//! Presence along with streams.

use std::time::Duration;

use grove_crdt::{Replica, presence::PresenceItem, sync::Syncer, transport::HttpTransport};
use grove_crdt_tests::serve::serve;
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value as Json, json};

use super::{PATIENCE, Running, events::Events};
use crate::notes;

const TOPIC: &str = "notes:1";

async fn say(url: &str, node: &str, data: &Json) {
    post(url, &json!({ "node_id": node, "topics": { TOPIC: data } })).await;
}

async fn post(url: &str, body: &Json) {
    let request = Client::new().post(format!("{url}/presence"));
    let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
    assert_eq!(request.send().await.unwrap().status(), 200);
}

async fn next_presence(events: &mut Events) -> Json {
    let event = events.next_of("presence").await;
    assert_eq!(event.id, "", "only changes move the cursor");
    event.json()
}

#[apply(on_each_database!)]
async fn a_stream_tells_who_is_there_and_then_what_happens() {
    let url = serve(&notes::replica("hub").await).await;
    say(&url, "first", &json!(1)).await;
    let mut events = Events::open(&url, "tables=notes", None).await;
    let snapshot = next_presence(&mut events).await;
    assert_eq!(snapshot["kind"], "snapshot");
    assert_eq!(snapshot["presences"][0]["node_id"], "first");
    for (node, data, kind) in [
        ("second", json!(1), "join"),
        ("second", json!(2), "update"),
        ("second", Json::Null, "leave"),
        ("first", Json::Null, "leave"),
    ] {
        say(&url, node, &data).await;
        let event = next_presence(&mut events).await;
        assert_eq!((&event["kind"], &event["node_id"]), (&json!(kind), &json!(node)));
        assert_eq!((&event["topic"], &event["data"]), (&json!(TOPIC), &data));
    }
}

/// One node with two tabs open is one presence, until the second is closed.
#[apply(on_each_database!)]
async fn a_node_is_present_until_the_last_of_its_streams_ends() {
    let url = serve(&notes::replica("hub").await).await;
    let mut other = Events::open(&url, "tables=notes", None).await;
    next_presence(&mut other).await;
    let mut own = Vec::new();
    for _ in 0..2 {
        let mut events = Events::open(&url, "tables=notes&node_id=x", None).await;
        next_presence(&mut events).await;
        own.push(events);
    }
    say(&url, "x", &json!("here")).await;
    assert_eq!(next_presence(&mut other).await["kind"], "join");
    own.pop();
    let quiet = tokio::time::timeout(Duration::from_millis(200), next_presence(&mut other)).await;
    assert!(quiet.is_err(), "{quiet:?}");
    own.pop();
    let left = next_presence(&mut other).await;
    assert_eq!((&left["kind"], &left["node_id"]), (&json!("leave"), &json!("x")));
}

#[apply(on_each_database!)]
async fn only_the_topics_asked_for_are_told() {
    let url = serve(&notes::replica("hub").await).await;
    let mut one = Events::open(&url, "tables=notes&topics=notes:1", None).await;
    next_presence(&mut one).await;
    post(&url, &json!({ "node_id": "x", "topics": { "notes:2": 2, TOPIC: 1 } })).await;
    assert_eq!(next_presence(&mut one).await["topic"], TOPIC);
    let quiet = tokio::time::timeout(Duration::from_millis(100), next_presence(&mut one)).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

fn keep_up(replica: &Replica, url: &str) -> Running {
    Running::new(Syncer::builder(replica).peer(HttpTransport::new(url).unwrap()))
}

/// Waits until a replica sees just these nodes under the topic, with what they say.
async fn sees(replica: &Replica, expected: &[(&str, i64)]) {
    let mut changes = replica.presence().subscribe(TOPIC);
    let expected: Vec<_> = expected
        .iter()
        .map(|(node, data)| ((*node).to_owned(), *data))
        .collect();
    let seen = || {
        let there = replica.presence().snapshot(TOPIC).into_iter();
        there
            .map(|presence| (presence.node_id.to_string(), presence.data.read::<i64>().unwrap()))
            .collect::<Vec<_>>()
    };
    while seen() != expected {
        let item: Result<Option<PresenceItem>, _> = tokio::time::timeout(PATIENCE, changes.next()).await;
        assert!(
            item.is_ok(),
            "{} sees {:?}, not {expected:?}",
            replica.node_id(),
            seen()
        );
    }
}

/// From one program by the hub to another, and gone when the line is.
#[apply(on_each_database!)]
async fn programs_that_keep_up_with_a_hub_see_each_other() {
    let hub = notes::replica("hub").await;
    let url = serve(&hub).await;
    let (a, b) = (notes::replica("a").await, notes::replica("b").await);
    let (of_a, _of_b) = (keep_up(&a, &url), keep_up(&b, &url));
    let here = a.presence().join(TOPIC, 1).unwrap();
    sees(&b, &[("a", 1)]).await;
    sees(&hub, &[("a", 1)]).await;
    here.update(2).unwrap();
    let there = b.presence().join(TOPIC, 3).unwrap();
    for replica in [&a, &b, &hub] {
        sees(replica, &[("a", 2), ("b", 3)]).await;
    }
    drop(there);
    sees(&a, &[("a", 2)]).await;
    of_a.stop().await;
    sees(&b, &[]).await;
    sees(&hub, &[]).await;
}
