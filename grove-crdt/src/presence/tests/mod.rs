//! The board, under a clock that stands still until it is moved.

mod lifetime;
mod limits;
mod model;
mod relays;
mod subscribers;

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::{
    clock::NodeId,
    presence::{Board, Filter, Presence, PresenceData, PresenceItem, PresenceLimits, PresenceSubscription, Refused},
};

const TTL: Duration = Duration::from_secs(30);

fn board() -> Board {
    board_with(PresenceLimits::default())
}

fn board_with(limits: PresenceLimits) -> Board {
    Board::new(node("hub"), limits)
}

fn node(id: &str) -> NodeId {
    id.parse().unwrap()
}

fn data(json: &Json) -> PresenceData {
    PresenceData::new(json).unwrap()
}

/// Posts under one topic; `null` leaves.
fn post(board: &Board, node_id: &str, topic: &str, said: impl Serialize) -> Result<(), Refused> {
    let said = PresenceData::new(&said).ok();
    board.post(&node(node_id), &BTreeMap::from([(topic.to_owned(), said)]))
}

/// Who is there, in short: `node topic data`.
fn there(board: &Board) -> Vec<String> {
    board.snapshot(&Filter::all()).iter().map(in_short).collect()
}

fn in_short(presence: &Presence) -> String {
    let via: Vec<_> = presence.via.iter().map(NodeId::as_str).collect();
    let via = if via.is_empty() {
        String::new()
    } else {
        format!(" via {}", via.join(","))
    };
    format!("{} {} {}{via}", presence.node_id, presence.topic, presence.data)
}

/// An item in short: `kind node topic data`, or all of a snapshot in brackets.
fn told(item: PresenceItem) -> String {
    match item {
        PresenceItem::Snapshot(snapshot) => {
            let all: Vec<_> = snapshot.presences.iter().map(in_short).collect();
            let resync = if snapshot.resync { "resync " } else { "" };
            format!("{resync}[{}]", all.join("; "))
        }
        PresenceItem::Event(event) => {
            let json = serde_json::to_value(&event).unwrap();
            let kind = json["kind"].as_str().unwrap();
            let said = event.data.map_or_else(String::new, |data| format!(" {data}"));
            let via: Vec<_> = event.via.iter().map(NodeId::as_str).collect();
            let via = if via.is_empty() {
                String::new()
            } else {
                format!(" via {}", via.join(","))
            };
            format!("{kind} {} {}{said}{via}", event.node_id, event.topic)
        }
    }
}

/// All that a subscriber has been told by now.
fn heard(subscription: &mut PresenceSubscription) -> Vec<String> {
    std::iter::from_fn(|| subscription.next_now()).map(told).collect()
}

/// A subscriber of everything that has taken its snapshot.
fn listener(board: &Board) -> PresenceSubscription {
    let mut subscription = board.subscribe(Filter::all());
    subscription.next_now().unwrap();
    subscription
}

/// Lets tasks run that are ready.
async fn settle() {
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

fn cursor(line: u32) -> Json {
    json!({ "line": line })
}
