//! One page is merged while the next is on its way.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use grove_crdt::{
    Change, Replica,
    sync::{
        HookError, Peer, PullRequest, PullResponse, PushRequest, PushResponse, SyncHook, Transport, TransportError,
        TransportErrorKind,
    },
    transport::MemoryTransport,
};
use grove_crdt_tests::{create_table, new_database};
use tokio::sync::Notify;

use super::{pair, syncer};
use crate::notes;

/// Tells when it is asked for a page that is not the first.
#[derive(Debug)]
struct Telling(Arc<Notify>, MemoryTransport);

#[async_trait]
impl Transport for Telling {
    fn name(&self) -> &'static str {
        "telling"
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        if request.cursor.is_some() {
            self.0.notify_one();
        }
        self.1.pull(request).await
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        self.1.push(request).await
    }
}

/// Takes the first note only when the second page has been asked for.
#[derive(Debug)]
struct Patient(Arc<Notify>);

#[async_trait]
impl SyncHook for Patient {
    async fn before_inbound(&self, _: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        if change.pk == "0" {
            self.0.notified().await;
        }
        Ok(Some(change))
    }
}

async fn with_notes(hub: &Replica, count: usize) {
    for note in 0..count {
        notes::write(hub, &note.to_string(), "from hub").await;
    }
}

#[apply(on_each_database!)]
async fn the_next_page_is_asked_for_while_one_is_merged() {
    let asked = Arc::new(Notify::new());
    let hub = notes::replica("hub").await;
    with_notes(&hub, 5).await;
    let db = new_database().await;
    create_table(&db, notes::Entity).await.unwrap();
    let edge = Replica::builder("edge")
        .entity::<notes::Entity>()
        .hook(Patient(asked.clone()));
    let edge = edge.open(db).await.unwrap();
    let telling = Telling(asked, MemoryTransport::new(&hub));
    let syncer = syncer(&edge).peer(telling).page_size(2).build().unwrap();
    let report = tokio::time::timeout(Duration::from_secs(10), syncer.sync()).await;
    assert_eq!(report.expect("it waits for ever").unwrap().merged, 5);
    assert!(notes::title(&edge, "4").await.is_some());
}

/// And is not asked for again.
#[apply(on_each_database!)]
async fn a_page_is_merged_though_the_next_can_not_be_had() {
    let (edge, hub, line) = pair().await;
    with_notes(&hub, 6).await;
    let syncer = syncer(&edge).peer(line.clone()).page_size(2).build().unwrap();
    line.fail_after(2, TransportErrorKind::Refused);
    let error = syncer.sync().await.unwrap_err();
    assert_eq!(error.report.merged, 4, "{error}");
    assert_eq!(line.requests(), (3, 0));
    for (note, is_there) in [("3", true), ("4", false)] {
        assert_eq!(notes::title(&edge, note).await.is_some(), is_there, "{note}");
    }
    assert_eq!(syncer.sync().await.unwrap().pulled, 2);
}
