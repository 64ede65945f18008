//! Streams that are given what others have read, and only what they may be told.

use grove_crdt::{
    Change, Replica,
    server::{Limits, SyncServer},
    sync::{HookError, OutboundPage, Peer, SyncHook},
};
use grove_crdt_tests::serve::serve;
use sea_orm::{ActiveValue::Set, TransactionSession as _, TransactionTrait as _};

use super::events::Events;
use crate::{http, merge::support, notes};

/// Shows each peer what is its own, under its name, and what is everybody's.
struct Views;

#[async_trait::async_trait]
impl SyncHook for Views {
    async fn before_outbound(&self, peer: &Peer, mut change: Change) -> Result<Option<Change>, HookError> {
        if let Some(title) = change.lww_mut("title") {
            *title = format!("for {}", peer.name).into();
        }
        let owner = change.pk.split('-').next().unwrap_or_default();
        Ok([peer.name.as_str(), "all"].contains(&owner).then_some(change))
    }

    async fn before_page(&self, peer: &Peer, page: &mut OutboundPage) -> Result<(), HookError> {
        let name = peer.name.clone();
        page.retain(|change| !change.pk.ends_with(&format!("not-{name}")));
        Ok(())
    }
}

/// Writes notes in one transaction.
async fn write(hub: &Replica, keys: &[&str]) {
    let tx = hub.begin().await.unwrap();
    for key in keys {
        let (id, title) = (Set((*key).to_owned()), Set("a secret".to_owned()));
        notes::ActiveModel { id, title }.insert(&tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// All of them stand at the same place all the time, and none is told what is another's.
#[apply(on_each_database!)]
async fn hooks_say_what_each_is_told_of_a_page_that_many_are_given() {
    let hub = notes::replica_with("hub", |builder| builder.hook(Views)).await;
    let peers = ["a", "b", "c"].map(|name| (name, Peer::new(name)));
    let server = SyncServer::builder(&hub).bearer_tokens(peers).unwrap();
    let url = http::serve(server.router()).await;
    let mut streams = Vec::new();
    for name in ["a", "b", "b", "c", "a"] {
        let mut events = Events::open_as(name, &url, "tables=notes").await;
        events.next().await;
        streams.push((name, events));
    }
    for n in 0..10 {
        let keys = [
            format!("all-{n}"),
            format!("a-{n}"),
            format!("b-{n}"),
            format!("all-{n}-not-b"),
        ];
        write(&hub, &keys.each_ref().map(String::as_str)).await;
        for (name, events) in &mut streams {
            let event = events.next().await;
            let mut expected = vec![format!("all-{n}")];
            match *name {
                "a" => expected.extend([format!("all-{n}-not-b"), format!("a-{n}")]),
                "b" => expected.push(format!("b-{n}")),
                _ => expected.push(format!("all-{n}-not-b")),
            }
            expected.sort();
            assert_eq!(event.keys(), expected, "{name}");
            assert_eq!(
                event.data.matches(&format!("for {name}")).count(),
                expected.len(),
                "{}",
                event.data
            );
            assert!(!event.data.contains("secret"), "{}", event.data);
        }
    }
}

/// What came from a subscriber is for all others, also when they are given the same page.
#[apply(on_each_database!)]
async fn nobody_is_sent_back_what_was_theirs() {
    let hub = notes::replica("hub").await;
    let url = serve(&hub).await;
    let edges = [notes::replica("a").await, notes::replica("b").await];
    let mut streams = Vec::new();
    for edge in &edges {
        let query = format!(
            "tables=notes&node_id={}&replica_id={}",
            edge.node_id(),
            edge.replica_id()
        );
        let mut events = Events::open(&url, &query, None).await;
        events.next().await;
        streams.push(events);
    }
    let mut looking_on = Events::open(&url, "tables=notes", None).await;
    looking_on.next().await;
    for n in 0..10 {
        let (from, to) = (n % 2, 1 - n % 2);
        let key = format!("{n}");
        notes::write(&edges[from], &key, "x").await;
        let changes = support::changes_of(&edges[from], &["notes"]).await;
        let new: Vec<_> = changes.into_iter().filter(|change| change["pk"] == key).collect();
        support::push(&edges[from], &hub, &new).await;
        assert_eq!(streams[to].next().await.keys(), [key.as_str()]);
        assert_eq!(looking_on.next().await.keys(), [key]);
        streams[from].is_silent().await;
    }
}

/// Who may read less is on another shelf.
#[apply(on_each_database!)]
async fn nobody_is_given_a_page_of_tables_that_they_may_not_read() {
    let hub = notes::replica("hub").await;
    let peers = [
        ("all", Peer::new("all")),
        ("reader", Peer::new("reader").may_only_read(["notes"])),
    ];
    let server = SyncServer::builder(&hub)
        .limits(Limits::default())
        .bearer_tokens(peers)
        .unwrap();
    let url = http::serve(server.router()).await;
    let mut streams = Vec::new();
    for (token, tables) in [
        ("all", "notes,drafts"),
        ("reader", "notes"),
        ("all", "notes,drafts"),
        ("reader", "notes"),
    ] {
        let mut events = Events::open_as(token, &url, &format!("tables={tables}")).await;
        events.next().await;
        streams.push((token, events));
    }
    for n in 0..10 {
        let key = format!("{n}");
        let draft = notes::draft::ActiveModel {
            id: Set(format!("draft-{n}")),
            title: Set("x".into()),
        };
        draft.insert(&hub).await.unwrap();
        notes::write(&hub, &key, "x").await;
        for (token, events) in &mut streams {
            let mut keys = events.next().await.keys();
            let expected = match *token {
                "all" => vec![format!("draft-{n}"), key.clone()],
                _ => vec![key.clone()],
            };
            while keys.len() < expected.len() {
                keys.extend(events.next().await.keys());
            }
            assert_eq!(keys, expected, "{token}");
        }
    }
}

/// One that was away is served from where it stood, in its own pages or in those that others have left.
#[apply(on_each_database!)]
async fn those_who_come_late_and_those_who_are_there_get_the_same() {
    let hub = notes::replica("hub").await;
    let url = serve(&hub).await;
    let mut present = Events::open(&url, "tables=notes", None).await;
    let opening = present.next().await;
    let mut ids = vec![opening.id];
    for n in 0..20 {
        notes::write(&hub, &format!("{n:02}"), "x").await;
        ids.push(present.next().await.id);
    }
    let all: Vec<_> = (0..20).map(|n| format!("{n:02}")).collect();
    for (stood, id) in ids.iter().enumerate() {
        for limit in [1, 3, 1_000] {
            let query = format!("tables=notes&limit={limit}&cursor={id}");
            let mut late = Events::open(&url, &query, None).await;
            let mut keys = late.next().await.keys();
            while stood + keys.len() < all.len() {
                keys.extend(late.next().await.keys());
            }
            assert_eq!(keys, all[stood..]);
        }
    }
}
