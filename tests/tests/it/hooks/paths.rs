//! Every path passes the hooks, which are told who is on the other side.

use std::sync::{Arc, Mutex};

use grove_crdt::{
    Change,
    server::SyncServer,
    sync::{HookError, MergeEvent, OutboundPage, Peer, SyncHook, Syncer},
    transport::{HttpTransport, MemoryTransport},
};
use grove_crdt_tests::entities::document;

use super::{Rules, plain, replica, sync, syncer, titles, write};
use crate::merge::support::changes_of;

/// Writes down who is met where.
#[derive(Default)]
struct Met(Mutex<Vec<String>>);

impl Met {
    fn note(&self, method: &str, peer: &Peer, change: Option<&Change>) {
        let node = peer.node.as_ref().map_or("?", |node| node.as_str());
        let pk = change.map_or("", |change| change.pk.as_str());
        let line = format!("{method} {} {node} {pk}", peer.name);
        self.0.lock().unwrap().push(line.trim_end().to_owned());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[async_trait::async_trait]
impl SyncHook for Met {
    async fn before_inbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        self.note("before_inbound", peer, Some(&change));
        Ok(Some(change))
    }

    async fn before_merge(&self, peer: &Peer, remote: Change, _: Option<&Change>) -> Result<Option<Change>, HookError> {
        self.note("before_merge", peer, Some(&remote));
        Ok(Some(remote))
    }

    async fn after_merge(&self, peer: &Peer, merge: MergeEvent<'_>) {
        self.note("after_merge", peer, Some(merge.remote));
    }

    async fn after_inbound(&self, peer: &Peer, change: &Change) {
        self.note("after_inbound", peer, Some(change));
    }

    async fn before_outbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        self.note("before_outbound", peer, Some(&change));
        Ok(Some(change))
    }

    async fn before_page(&self, peer: &Peer, page: &mut OutboundPage) -> Result<(), HookError> {
        self.note(&format!("before_page of {}", page.changes().len()), peer, None);
        Ok(())
    }
}

fn inward(who: &str, pk: &str) -> Vec<String> {
    let methods = ["before_inbound", "before_merge", "after_merge", "after_inbound"];
    methods.map(|method| format!("{method} {who} {pk}")).to_vec()
}

fn outward(who: &str, pk: &str) -> Vec<String> {
    vec![format!("before_outbound {who} {pk}"), format!("before_page of 1 {who}")]
}

#[apply(on_each_database!)]
async fn a_peer_that_pushes_and_pulls() {
    let met = Arc::new(Met::default());
    let (hub, edge) = (replica("hub", met.clone()).await, plain("edge").await);
    write(&edge, "1", "one").await;
    write(&hub, "2", "two").await;
    let peer = Peer::new("the edge").bound_to("edge".parse().unwrap());
    let line = MemoryTransport::new(&hub).asking_as(peer);
    Syncer::builder(&edge).peer(line).build().unwrap().sync().await.unwrap();
    let expected = [outward("the edge edge", "2"), inward("the edge edge", "1")].concat();
    assert_eq!(met.take(), expected);
}

#[apply(on_each_database!)]
async fn a_peer_that_pushes_and_pulls_over_http() {
    let met = Arc::new(Met::default());
    let (hub, edge) = (replica("hub", met.clone()).await, plain("edge").await);
    write(&edge, "1", "one").await;
    write(&hub, "2", "two").await;
    let tokens = [("secret", Peer::new("the edge").bound_to("edge".parse().unwrap()))];
    let routes = SyncServer::builder(&hub).bearer_tokens(tokens).unwrap().router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let line = HttpTransport::new(url.as_str())
        .unwrap()
        .bearer_token("secret")
        .unwrap();
    Syncer::builder(&edge).peer(line).build().unwrap().sync().await.unwrap();
    let expected = [outward("the edge edge", "2"), inward("the edge edge", "1")].concat();
    assert_eq!(met.take(), expected);
}

/// The syncer's peer is named as its transport is; which node it is shows when it has answered.
#[apply(on_each_database!)]
async fn a_syncer_that_pulls_and_pushes() {
    let met = Arc::new(Met::default());
    let (edge, hub) = (replica("edge", met.clone()).await, plain("hub").await);
    write(&edge, "1", "one").await;
    write(&hub, "2", "two").await;
    sync(&edge, &hub).await;
    let expected = [inward("memory:hub hub", "2"), outward("memory:hub hub", "1")].concat();
    assert_eq!(met.take(), expected);
}

/// What was refused passes the hooks again when it is tried again, in both directions.
#[apply(on_each_database!)]
async fn dead_letters() {
    let (edge, hub) = (
        replica("edge", Rules::inbound(|_, _| Err(HookError::new("no", "no").for_now()))).await,
        replica("hub", Rules::outbound(|_, change| Ok(Some(change)))).await,
    );
    write(&hub, "1", "one").await;
    let syncer = syncer(&edge, &hub);
    for _ in 0..2 {
        let report = syncer.sync().await.unwrap();
        assert_eq!((report.merged, report.rejected), (0, 1), "{report}");
    }
    let picky = replica(
        "picky",
        Rules::inbound(|_, _| Err(HookError::new("no", "no").for_now())),
    )
    .await;
    let skips_later = std::sync::atomic::AtomicUsize::new(0);
    let sender = replica(
        "sender",
        Rules::outbound(move |_, change| {
            let times = skips_later.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok((times == 0).then_some(change))
        }),
    )
    .await;
    write(&sender, "1", "one").await;
    let syncer = super::syncer(&sender, &picky);
    assert_eq!(syncer.sync().await.unwrap().rejected, 1);
    let report = syncer.sync().await.unwrap();
    assert_eq!((report.pushed, report.rejected, report.skipped), (0, 0, 1), "{report}");
    assert!(
        sender.dead_letters().await.unwrap().is_empty(),
        "what is skipped need not wait"
    );
}

#[apply(on_each_database!)]
async fn changes_merged_by_hand() {
    let met = Arc::new(Met::default());
    let (hub, edge) = (replica("hub", met.clone()).await, plain("edge").await);
    write(&edge, "1", "one").await;
    let changes = changes_of(&edge, &["documents"]).await;
    let changes: Vec<Change> = changes
        .into_iter()
        .map(|change| serde_json::from_value(change).unwrap())
        .collect();
    document::Model::merge_remote(&hub, &changes).await.unwrap();
    assert_eq!(met.take(), inward("merge_remote ?", "1"));
    let skipping = replica("skipping", Rules::inbound(|_, _| Ok(None))).await;
    let report = document::Model::merge_remote(&skipping, &changes).await.unwrap();
    assert_eq!((report.merged, report.skipped), (0, 1));
    assert_eq!(titles(&skipping).await, Vec::<String>::new());
}

/// What a node writes itself passes no hook before it goes out.
#[apply(on_each_database!)]
async fn not_what_is_written_here() {
    let met = Arc::new(Met::default());
    let hub = replica("hub", met.clone()).await;
    write(&hub, "1", "one").await;
    assert_eq!(met.take(), Vec::<String>::new());
}
