//! A syncer that runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use grove_crdt::{
    Replica,
    sync::{
        PullRequest, PullResponse, PushRequest, PushResponse, StreamingTransport, Syncer, SyncerBuilder, Transport,
        TransportError, TransportErrorKind,
    },
    transport::{HttpTransport, MemoryTransport},
};
use grove_crdt_tests::serve::serve;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, sea_query::Expr};
use tokio::{net::TcpListener, task::AbortHandle};

use super::{NEVER, Running, equal};
use crate::notes;

fn over_http(replica: &Replica, url: &str) -> SyncerBuilder {
    Syncer::builder(replica).peer(HttpTransport::new(url).unwrap())
}

/// A server that can be switched off and on again at its address.
struct Switch {
    address: std::net::SocketAddr,
    url: String,
    replica: Replica,
    serving: Option<AbortHandle>,
}

impl Switch {
    async fn on(replica: &Replica) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut switch = Self {
            address,
            url: format!("http://{address}"),
            replica: replica.clone(),
            serving: None,
        };
        switch.serve(listener);
        switch
    }

    /// Serves until the task is aborted, with which its connections end.
    fn serve(&mut self, listener: TcpListener) {
        let routes = grove_crdt::server::SyncServer::builder(&self.replica)
            .allow_anonymous()
            .router();
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((socket, _)) = listener.accept().await else {
                    return;
                };
                let routes = routes.clone();
                connections.spawn(async move {
                    let (mut client, inner) = (socket, TcpListener::bind("127.0.0.1:0").await.unwrap());
                    let address = inner.local_addr().unwrap();
                    let mut served = tokio::task::JoinSet::new();
                    served.spawn(async move { axum::serve(inner, routes).await });
                    let mut server = tokio::net::TcpStream::connect(address).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        self.serving = Some(serving.abort_handle());
    }

    fn off(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }

    async fn on_again(&mut self) {
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        self.serve(listener);
    }
}

#[apply(on_each_database!)]
async fn commits_go_both_ways_as_they_happen() {
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let running = Running::new(over_http(&edge, &serve(&hub).await).interval(NEVER));
    for n in 0..20 {
        notes::write(&hub, &format!("hub-{n}"), "x").await;
        notes::write(&edge, &format!("edge-{n}"), "x").await;
        equal(&hub, &edge).await;
    }
    notes::Entity::update_many()
        .col_expr(notes::Column::Title, Expr::value("y"))
        .filter(notes::Column::Id.starts_with("hub"))
        .exec(&edge)
        .await
        .unwrap();
    equal(&hub, &edge).await;
    running.stop().await;
}

/// From one spoke by the hub to another, each of which knows only the hub.
#[apply(on_each_database!)]
async fn a_hub_passes_on_what_its_spokes_commit() {
    let hub = notes::replica("hub").await;
    let url = serve(&hub).await;
    let mut spokes = Vec::new();
    for node in ["a", "b", "c"] {
        let spoke = notes::replica(node).await;
        let running = Running::new(over_http(&spoke, &url).interval(NEVER));
        spokes.push((spoke, running));
    }
    for (spoke, _) in &spokes {
        for n in 0..10 {
            notes::write(spoke, &format!("{}-{n}", spoke.node_id()), "x").await;
        }
    }
    for (spoke, _) in &spokes {
        equal(spoke, &hub).await;
    }
    let rows = notes::Entity::find().all(&hub).await.unwrap();
    assert_eq!(rows.len(), 30);
}

/// A way to a replica that streams, and whose pushes fail when told to.
#[derive(Debug)]
struct Hiccups {
    way: MemoryTransport,
    failures: Arc<AtomicUsize>,
}

#[async_trait]
impl Transport for Hiccups {
    fn name(&self) -> &'static str {
        "hiccups"
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        self.way.pull(request).await
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        let fails = |left: usize| left.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails)
            .is_ok()
        {
            return Err(TransportError {
                peer: "hiccups".into(),
                kind: TransportErrorKind::Unavailable,
                code: None,
                message: "too many requests".into(),
                retry_after: None,
            });
        }
        self.way.push(request).await
    }

    fn streaming(&self) -> Option<&dyn StreamingTransport> {
        self.way.streaming()
    }
}

/// The stream is well all the while, so nothing but the push itself tells that it has to be tried again.
#[apply(on_each_database!)]
async fn a_push_that_fails_is_tried_again_without_another_commit() {
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let failures = Arc::new(AtomicUsize::new(0));
    let way = Hiccups {
        way: MemoryTransport::new(&hub),
        failures: failures.clone(),
    };
    let running = Running::new(Syncer::builder(&edge).peer(way).interval(NEVER));
    notes::write(&hub, "a", "x").await;
    equal(&hub, &edge).await;
    failures.store(3, Ordering::SeqCst);
    notes::write(&edge, "b", "x").await;
    equal(&hub, &edge).await;
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    running.stop().await;
}

#[apply(on_each_database!)]
async fn memory_transports_stream_too() {
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let builder = Syncer::builder(&edge).peer(MemoryTransport::new(&hub)).interval(NEVER);
    let running = Running::new(builder);
    notes::write(&edge, "a", "x").await;
    equal(&hub, &edge).await;
    notes::write(&hub, "b", "x").await;
    equal(&hub, &edge).await;
    running.stop().await;
}

/// Away for long: both sides write, and the line comes back.
#[apply(on_each_database!)]
async fn what_happened_while_the_line_was_down_comes_when_it_is_up() {
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let mut switch = Switch::on(&hub).await;
    let running = Running::new(over_http(&edge, &switch.url).interval(NEVER).page_size(100));
    notes::write(&hub, "before", "x").await;
    equal(&hub, &edge).await;
    for round in 0..3 {
        switch.off();
        for (replica, name) in [(&hub, "hub"), (&edge, "edge")] {
            let many = (0..450).map(|n| notes::ActiveModel {
                id: Set(format!("{name}-{round}-{n}")),
                title: Set("x".into()),
            });
            notes::Entity::insert_many(many).exec(replica).await.unwrap();
            let conflict = notes::ActiveModel {
                id: Set("before".into()),
                title: Set(format!("{name}-{round}")),
            };
            conflict.update(replica).await.unwrap();
        }
        switch.on_again().await;
        equal(&hub, &edge).await;
    }
    assert_eq!(notes::Entity::find().all(&hub).await.unwrap().len(), 1 + 3 * 900);
    assert!(edge.dead_letters().await.unwrap().is_empty());
    running.stop().await;
}

/// Whoever moves the cursor, the stream or a round, what is merged is merged once: each merge that changes something is one
/// commit.
#[apply(on_each_database!)]
async fn streaming_and_polling_at_once_skip_and_double_nothing() {
    const COUNT: u64 = 150;
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let url = serve(&hub).await;
    let syncer = over_http(&edge, &url)
        .interval(Duration::from_millis(15))
        .build()
        .unwrap();
    let running = Running::of(syncer.clone());
    let polling = tokio::spawn(async move {
        loop {
            syncer.sync().await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    for n in 0..COUNT {
        notes::write(&hub, &format!("{n}"), "x").await;
    }
    equal(&hub, &edge).await;
    polling.abort();
    running.stop().await;
    let commits = *edge.commits().borrow();
    assert!((1..=COUNT).contains(&commits), "{commits} merges of {COUNT} commits");
    assert_eq!(*hub.commits().borrow(), COUNT, "what came from there was sent back");
}

/// The peer's database is another one now, as after it was recreated: everything goes there again.
#[apply(on_each_database!)]
async fn a_peer_with_a_new_database_is_given_everything_again() {
    let (first, second) = (notes::replica("hub").await, notes::replica("hub").await);
    let edge = notes::replica("edge").await;
    let mut switch = Switch::on(&first).await;
    let running = Running::new(over_http(&edge, &switch.url).interval(NEVER));
    notes::write(&first, "from-first", "x").await;
    notes::write(&edge, "from-edge", "x").await;
    equal(&first, &edge).await;
    switch.off();
    notes::write(&second, "from-second", "x").await;
    switch.replica = second.clone();
    switch.on_again().await;
    equal(&second, &edge).await;
    assert_eq!(notes::Entity::find().all(&edge).await.unwrap().len(), 3);
    running.stop().await;
}

/// While nothing comes, nothing is written: neither rows nor what is remembered of the peer.
#[apply(on_each_database!)]
async fn a_merge_is_not_followed_by_writes_about_nothing() {
    use grove_crdt_tests::Statements;

    let hub = notes::replica("hub").await;
    let (db, statements) = Statements::of_new_database().await;
    let edge = notes::replica_on(db, "edge").await;
    let running = Running::new(over_http(&edge, &serve(&hub).await).interval(NEVER));
    notes::write(&hub, "a", "x").await;
    equal(&hub, &edge).await;
    // The push that looks whether there is something to pass on has come and gone.
    tokio::time::sleep(Duration::from_millis(200)).await;
    statements.take();
    notes::write(&hub, "b", "x").await;
    equal(&hub, &edge).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let writes = statements.take();
    let peers = writes
        .iter()
        .filter(|sql| sql.contains("INSERT INTO") && sql.contains("_grove_peers"));
    assert_eq!(peers.count(), 1, "the cursor, and nothing else: {writes:#?}");
    running.stop().await;
}

/// Stopping does not wait for a stream.
#[apply(on_each_database!)]
async fn it_stops_at_once() {
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let running = Running::new(over_http(&edge, &serve(&hub).await).interval(NEVER));
    notes::write(&hub, "a", "x").await;
    equal(&hub, &edge).await;
    running.stop().await;
    notes::write(&hub, "b", "x").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(notes::title(&edge, "b").await, None);
}
