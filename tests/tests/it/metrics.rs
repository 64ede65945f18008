//! What Prometheus is told.

use std::collections::BTreeMap;

use async_trait::async_trait;
use grove_crdt::{
    Change, FakeClock, Replica,
    server::SyncServer,
    sync::{HookError, Peer, SyncHook, Syncer},
    transport::{HttpTransport, MemoryTransport},
};
use reqwest::{Client, header::CONTENT_TYPE};
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, sea_query::Expr};
use tokio::time::Instant;

use crate::{http::serve, live::PATIENCE, notes};

/// Where fake time starts.
const START: i64 = 1_700_000_000_000_000;

/// The samples of a text in the format of Prometheus, by their names with the labels. Every line has to be of that format.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut types = BTreeMap::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} has two types");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let known = types.keys().any(|described| name.starts_with(described));
            assert!(known, "{name} has no type");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(samples.insert(name.to_owned(), value).is_none(), "{name} comes twice");
        }
    }
    assert!(!samples.is_empty(), "{text}");
    samples
}

/// The samples of a replica.
struct Seen(BTreeMap<String, f64>);

impl Seen {
    async fn of(replica: &Replica) -> Self {
        Self(samples(&replica.metrics().await.unwrap()))
    }

    /// A sample, by its name without what all have in common; 0 when there is none.
    fn get(&self, name: &str) -> f64 {
        self.0.get(&format!("grove_crdt_{name}")).copied().unwrap_or(0.0)
    }

    #[track_caller]
    fn are<const N: usize>(&self, expected: [(&str, f64); N]) {
        for (name, value) in expected {
            let seen = self.get(name);
            assert!(
                (seen - value).abs() < 1e-9,
                "{name} is {seen}, not {value}: {:#?}",
                self.0
            );
        }
    }
}

async fn ask(url: &str, token: Option<&str>) -> (u16, String, String) {
    let mut request = Client::new().get(format!("{url}/metrics"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    (status, kind, answer.text().await.unwrap())
}

#[apply(on_each_database!)]
async fn a_server_shows_them_to_those_who_may_see_them() {
    let hub = notes::replica("hub").await;
    let tokens = [
        (
            "watch",
            Peer::new("prometheus").may_only_read([""; 0]).may_see_metrics(),
        ),
        ("edge", Peer::new("edge")),
    ];
    let url = serve(SyncServer::builder(&hub).bearer_tokens(tokens).unwrap().router()).await;
    let (status, kind, text) = ask(&url, Some("watch")).await;
    assert_eq!((status, &*kind), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(samples(&text).contains_key("grove_crdt_parked_rows"));
    for (token, expected) in [(Some("edge"), 403), (Some("wrong"), 401), (None, 401)] {
        let (status, _, text) = ask(&url, token).await;
        assert_eq!(status, expected);
        assert!(!text.contains("grove_crdt_parked"), "{text}");
    }

    let open = serve(SyncServer::builder(&hub).allow_anonymous().router()).await;
    assert_eq!(ask(&open, None).await.0, 200);
}

#[apply(on_each_database!)]
async fn a_server_counts_requests_and_streams() {
    let hub = notes::replica("hub").await;
    let url = serve(SyncServer::builder(&hub).allow_anonymous().router()).await;
    let seen = async || Seen(samples(&ask(&url, None).await.2));
    let get = async |path: &str| Client::new().get(format!("{url}{path}")).send().await.unwrap().status();
    for path in ["/nothing", "/else", "/health", "/pull"] {
        get(path).await;
    }
    let stream = Client::new()
        .get(format!("{url}/stream?tables=notes"))
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), 200);
    let after = seen().await;
    after.are([
        (r#"requests_total{route="other",status="404"}"#, 2.0),
        (r#"requests_total{route="/health",status="200"}"#, 1.0),
        (r#"requests_total{route="/pull",status="405"}"#, 1.0),
        (r#"requests_total{route="/stream",status="200"}"#, 1.0),
        (r#"request_seconds_count{route="other"}"#, 2.0),
        ("streams", 1.0),
    ]);
    drop(stream);
    let begun = Instant::now();
    while seen().await.get("streams") > 0.0 {
        assert!(begun.elapsed() < PATIENCE, "the stream stays open");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Keeps some notes back, and refuses others.
struct Picky;

#[async_trait]
impl SyncHook for Picky {
    async fn before_inbound(&self, _peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        match change.pk.as_str() {
            pk if pk.contains("skipped") => Ok(None),
            pk if pk.contains("refused") => Err(HookError::new("not_here", "no such notes here")),
            _ => Ok(Some(change)),
        }
    }

    async fn before_outbound(&self, _peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        Ok(Some(change).filter(|change| !change.pk.contains("secret")))
    }
}

#[apply(on_each_database!)]
async fn what_became_of_changes_is_counted_on_both_sides() {
    let hub = notes::replica_with("hub", |builder| builder.hook(Picky)).await;
    let edge = notes::replica("edge").await;
    let url = serve(SyncServer::builder(&hub).allow_anonymous().router()).await;
    for id in ["a", "b", "skipped", "refused"] {
        notes::write(&edge, id, "from the edge").await;
    }
    for id in ["c", "secret"] {
        notes::write(&hub, id, "from the hub").await;
    }
    let peer = HttpTransport::new(&url).unwrap().named("hub");
    let syncer = Syncer::builder(&edge).peer(peer).build().unwrap();
    syncer.sync().await.unwrap();
    // Both change one note: the hub has the older clock, and the edge the newer.
    for replica in [&hub, &edge] {
        notes::Entity::update_many()
            .col_expr(notes::Column::Title, Expr::value("changed"))
            .filter(notes::Column::Id.eq("a"))
            .exec(replica)
            .await
            .unwrap();
    }
    syncer.sync().await.unwrap();

    Seen::of(&hub).await.are([
        (r#"changes_received_total{by="push"}"#, 5.0),
        (r#"changes_sent_total{by="pull"}"#, 2.0),
        ("changes_merged_total", 3.0),
        (r#"changes_skipped_total{direction="in"}"#, 1.0),
        (r#"changes_skipped_total{direction="out"}"#, 1.0),
        (r#"changes_refused_total{code="not_here"}"#, 1.0),
        ("dead_letters", 0.0),
        ("parked_rows", 0.0),
        ("merge_seconds_count", 2.0),
    ]);
    Seen::of(&edge).await.are([
        (r#"changes_received_total{by="pull"}"#, 2.0),
        (r#"changes_sent_total{by="push"}"#, 5.0),
        ("changes_merged_total", 2.0),
        ("conflicts_total", 1.0),
        ("changes_refused_by_peers_total", 1.0),
        ("dead_letters", 1.0),
        (r#"round_seconds_count{peer="hub",result="ok"}"#, 2.0),
    ]);

    hub.connection().clone().close().await.unwrap();
    syncer.sync().await.unwrap_err();
    Seen::of(&edge)
        .await
        .are([(r#"round_seconds_count{peer="hub",result="failed"}"#, 1.0)]);
}

#[apply(on_each_database!)]
async fn rows_that_wait_are_counted() {
    let hub = notes::replica("hub").await;
    let edge = notes::replica("edge").await;
    let unique = "CREATE UNIQUE INDEX one_title ON drafts (title)";
    hub.connection().execute_unprepared(unique).await.unwrap();
    for (replica, id) in [(&hub, "mine"), (&edge, "theirs")] {
        notes::draft::Entity::insert(notes::draft::ActiveModel {
            id: sea_orm::ActiveValue::Set(id.into()),
            title: sea_orm::ActiveValue::Set("the same".into()),
        })
        .exec(replica)
        .await
        .unwrap();
    }
    Seen::of(&hub).await.are([("parked_rows", 0.0)]);
    let hub_peer = MemoryTransport::new(&hub);
    Syncer::builder(&edge)
        .peer(hub_peer)
        .build()
        .unwrap()
        .push_now()
        .await
        .unwrap();
    Seen::of(&hub).await.are([("parked_rows", 1.0)]);
}

#[apply(on_each_database!)]
async fn clocks_that_are_ahead_are_seen() {
    let (hub_clock, edge_clock) = (FakeClock::at(START), FakeClock::at(START));
    let hub = notes::replica_at("hub", &hub_clock).await;
    let edge = notes::replica_at("edge", &edge_clock).await;
    let syncer = Syncer::builder(&edge).peer(MemoryTransport::new(&hub)).build().unwrap();
    Seen::of(&hub).await.are([("clock_ahead_seconds", 0.0)]);
    edge_clock.set(START + 2_500_000);
    notes::write(&edge, "early", "from 2.5 seconds ahead").await;
    syncer.sync().await.unwrap();
    Seen::of(&hub).await.are([("clock_ahead_seconds", 2.5)]);
    edge_clock.set(START + 61_000_000);
    notes::write(&edge, "refused", "from too far ahead").await;
    syncer.sync().await.unwrap();
    let seen = Seen::of(&hub).await;
    seen.are([
        ("clock_ahead_seconds", 61.0),
        (r#"changes_refused_total{code="clock_ahead"}"#, 1.0),
    ]);
}

#[apply(on_each_database!)]
async fn peers_that_are_behind_are_shown_with_how_far_and_how_long() {
    let clock = FakeClock::at(START);
    let hub = notes::replica_at("hub", &clock).await;
    let (edge, other) = (
        notes::replica_at("edge", &clock).await,
        notes::replica_at("other", &clock).await,
    );
    let syncer = |replica, tables: &[&str]| {
        let peer = MemoryTransport::new(&hub).asking_as(Peer::new("branch"));
        Syncer::builder(replica)
            .peer(peer)
            .tables(tables.iter().copied())
            .build()
            .unwrap()
    };
    let (of_edge, of_other) = (syncer(&edge, &["notes", "drafts"]), syncer(&other, &["drafts"]));
    let lag = async || {
        let seen = Seen::of(&hub).await;
        ["edge", "other"].map(|node| {
            let of = |what| seen.get(&format!(r#"peer_lag_{what}{{peer="branch",node="{node}"}}"#));
            (of("changes"), of("seconds"))
        })
    };
    notes::write(&hub, "a", "of the hub").await;
    of_edge.sync().await.unwrap();
    of_other.sync().await.unwrap();
    assert_eq!(lag().await, [(0.0, 0.0), (0.0, 0.0)]);

    // Nothing was to be told for an hour, so nobody is behind by one.
    clock.set(START + 3_600_000_000);
    notes::write(&hub, "b", "of the hub").await;
    notes::write(&hub, "c", "of the hub").await;
    clock.set(START + 3_610_000_000);
    assert_eq!(lag().await, [(2.0, 10.0), (0.0, 0.0)]);

    // What it has brought itself it need not be told of.
    notes::write(&edge, "d", "of the edge").await;
    of_edge.push_now().await.unwrap();
    assert_eq!(lag().await, [(2.0, 10.0), (0.0, 0.0)]);
    of_edge.sync().await.unwrap();
    assert_eq!(lag().await, [(0.0, 0.0), (0.0, 0.0)]);

    // A change that is old when it comes here was told as soon as it could be.
    notes::write(&other, "e", "offline for a day").await;
    clock.set(START + 90_000_000_000);
    of_edge.sync().await.unwrap();
    Syncer::builder(&other)
        .peer(MemoryTransport::new(&hub))
        .build()
        .unwrap()
        .push_now()
        .await
        .unwrap();
    clock.set(START + 90_005_000_000);
    assert_eq!(lag().await[0], (1.0, 5.0));
}

#[apply(on_each_database!)]
async fn a_stream_that_is_taken_is_not_behind() {
    let hub = notes::replica("hub").await;
    let url = serve(SyncServer::builder(&hub).allow_anonymous().router()).await;
    let lag = async || {
        let name = r#"peer_lag_changes{peer="anonymous",node="edge"}"#;
        Seen::of(&hub).await.0.get(&format!("grove_crdt_{name}")).copied()
    };
    for id in ["a", "b", "c"] {
        notes::write(&hub, id, "of the hub").await;
    }
    let request = Client::new().get(format!("{url}/stream?tables=notes&node_id=edge&limit=1"));
    let mut events = request.send().await.unwrap();
    let until = async |expected: f64| {
        let begun = Instant::now();
        while lag().await != Some(expected) {
            assert!(
                begun.elapsed() < PATIENCE,
                "the lag is {:?}, not {expected}",
                lag().await
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    assert!(events.chunk().await.unwrap().is_some());
    until(0.0).await;
    notes::write(&hub, "d", "of the hub").await;
    until(0.0).await;
    drop(events);
    // A stream is noticed to be gone when there is something to send.
    notes::write(&hub, "e", "of the hub").await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    for id in ["f", "g"] {
        notes::write(&hub, id, "of the hub").await;
    }
    let begun = Instant::now();
    while lag().await.is_none_or(|lag| lag < 2.0) {
        assert!(
            begun.elapsed() < PATIENCE,
            "who is gone is told nothing: {:?}",
            lag().await
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
