//! Taking part from Rust: joining, being told to peers, and being told by them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use grove_crdt::{
    Error,
    presence::PresenceData,
    sync::{
        Announcer, PresenceRequest, PresenceResponse, PullRequest, PullResponse, PushRequest, PushResponse,
        RetryPolicy, Transport, TransportError, TransportErrorKind, respond,
    },
    transport::{HttpTransport, MemoryTransport},
};
use tokio_util::sync::CancellationToken;

use super::*;

/// Long enough for a heartbeat to be late on a busy machine.
const TTL: Duration = Duration::from_millis(900);

async fn short_lived() -> Hub {
    Hub::open(PresenceLimits::default().ttl(TTL)).await
}

/// Both ways to a hub.
fn ways(hub: &Hub) -> [Arc<dyn Transport>; 2] {
    [
        Arc::new(MemoryTransport::new(&hub.replica)),
        Arc::new(HttpTransport::new(&hub.url).unwrap()),
    ]
}

/// An announcer that runs, until it is told to stop.
fn announce(replica: &Replica, way: Arc<dyn Transport>) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let until = stop.clone();
    let retry = RetryPolicy::default().first_pause(Duration::from_millis(10));
    let announcer = Announcer::over(replica, way).retry(retry);
    (stop, tokio::spawn(async move { announcer.run(until).await }))
}

#[tokio::test]
async fn what_a_program_joins_is_told_to_its_peer_and_stands_past_the_ttl() {
    let hub = short_lived().await;
    for way in ways(&hub) {
        let edge = notes::replica("edge").await;
        let database = edge.replica_id();
        hub.replica.forget_node(edge.node_id()).await.unwrap();
        let before = edge.presence().join("doc", json!({ "line": 1 })).unwrap();
        let mut told = hub.replica.presence().subscribe_all();
        assert_eq!(next(&mut told).await, "snapshot of 0");
        let (stop, running) = announce(&edge, way.clone());
        assert_eq!(next(&mut told).await, r#"join edge doc {"line":1}"#, "{database}");
        before.update(json!({ "line": 2 })).unwrap();
        assert_eq!(next(&mut told).await, r#"update edge doc {"line":2}"#);
        let after = edge.presence().join("chat", "typing").unwrap();
        assert_eq!(next(&mut told).await, r#"join edge chat "typing""#);

        tokio::time::sleep(TTL * 2).await;
        let asked = way.presences("doc").await.unwrap();
        let asked: Vec<_> = asked
            .presences
            .iter()
            .map(|there| format!("{} {}", there.node_id, there.data))
            .collect();
        assert_eq!(asked, [r#"edge {"line":2}"#]);
        drop(after);
        // Neither expired nor joined anew in between.
        assert_eq!(next(&mut told).await, "leave edge chat");

        stop.cancel();
        running.await.unwrap();
        assert_eq!(next(&mut told).await, "leave edge doc");
    }
}

#[tokio::test]
async fn a_client_that_dies_is_gone_after_the_ttl() {
    let hub = short_lived().await;
    let edge = notes::replica("edge").await;
    let _here = edge.presence().join("doc", 1).unwrap();
    let mut told = hub.replica.presence().subscribe("doc");
    next(&mut told).await;
    let (_, running) = announce(&edge, Arc::new(HttpTransport::new(&hub.url).unwrap()));
    assert_eq!(next(&mut told).await, "join edge doc 1");
    let died = Instant::now();
    running.abort();
    assert_eq!(next(&mut told).await, "expire edge doc");
    // It may have been renewed for the last time a heartbeat ago.
    assert!(died.elapsed() < TTL * 3);
}

/// A way to a hub that fails when told to, and counts.
#[derive(Debug)]
struct Line {
    hub: MemoryTransport,
    failures: Mutex<Vec<TransportErrorKind>>,
    requests: AtomicUsize,
}

impl Line {
    fn to(hub: &Hub) -> Arc<Self> {
        Arc::new(Self {
            hub: MemoryTransport::new(&hub.replica),
            failures: Mutex::default(),
            requests: AtomicUsize::new(0),
        })
    }

    fn error(kind: TransportErrorKind) -> TransportError {
        TransportError {
            peer: "line".into(),
            kind,
            code: None,
            message: "as told".into(),
            retry_after: None,
        }
    }
}

#[async_trait]
impl Transport for Line {
    fn name(&self) -> &'static str {
        "line"
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        self.hub.pull(request).await
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        self.hub.push(request).await
    }

    async fn presence(&self, request: &PresenceRequest) -> Result<PresenceResponse, TransportError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let failure = self.failures.lock().unwrap().pop();
        match failure {
            Some(kind) => Err(Self::error(kind)),
            None => self.hub.presence(request).await,
        }
    }
}

#[tokio::test]
async fn after_failures_everything_is_told_anew() {
    let hub = Hub::open(PresenceLimits::default().ttl(TTL)).await;
    let edge = notes::replica("edge").await;
    let line = Line::to(&hub);
    let guards: Vec<_> = (0..3)
        .map(|n| edge.presence().join(&format!("doc-{n}"), n).unwrap())
        .collect();
    line.failures.lock().unwrap().extend([
        TransportErrorKind::Unavailable,
        TransportErrorKind::Garbled,
        TransportErrorKind::Unavailable,
    ]);
    let mut told = hub.replica.presence().subscribe_all();
    next(&mut told).await;
    let (stop, running) = announce(&edge, line.clone());
    for n in 0..3 {
        assert_eq!(next(&mut told).await, format!("join edge doc-{n} {n}"));
    }
    // The hub forgets it, as one that was started again would.
    let gone = ["doc-0", "doc-1"].map(|topic| (topic.to_owned(), None));
    let request = PresenceRequest {
        node_id: edge.node_id().clone(),
        replica_id: Some(edge.replica_id().to_owned()),
        topics: gone.into(),
    };
    line.hub.presence(&request).await.unwrap();
    for _ in 0..2 {
        assert!(next(&mut told).await.starts_with("leave"));
    }
    assert_eq!(next(&mut told).await, "join edge doc-0 0");
    assert_eq!(next(&mut told).await, "join edge doc-1 1");
    drop(guards);
    for n in 0..3 {
        assert_eq!(next(&mut told).await, format!("leave edge doc-{n}"));
    }
    // With nothing to say, nothing is sent.
    let before = line.requests.load(Ordering::SeqCst);
    tokio::time::sleep(TTL).await;
    assert_eq!(line.requests.load(Ordering::SeqCst), before);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_presence_that_is_refused_spoils_no_other() {
    let limits = PresenceLimits::default().ttl(TTL).data(10).topics_per_node(3);
    let hub = Hub::open(limits).await;
    let edge = notes::replica("edge").await;
    let mut told = hub.replica.presence().subscribe_all();
    next(&mut told).await;
    let large = edge.presence().join("a", "far too large").unwrap();
    let small: Vec<_> = ["b", "c", "d", "e"]
        .map(|topic| edge.presence().join(topic, 1).unwrap())
        .into();
    let (stop, running) = announce(&edge, Line::to(&hub));
    let mut joined: Vec<_> = [next(&mut told).await, next(&mut told).await, next(&mut told).await].into();
    joined.sort();
    assert!(joined.iter().all(|item| item.starts_with("join edge ")), "{joined:?}");
    assert_eq!(hub.there("a"), [""; 0]);
    // What there was no room for comes when there is; what was too large, when it is not any longer.
    drop(small);
    large.update(1).unwrap();
    let mut heard = Vec::new();
    while hub.there("a").is_empty() {
        heard.push(next(&mut told).await);
    }
    for topic in ["b", "c", "d", "e"] {
        while !hub.there(topic).is_empty() {
            heard.push(next(&mut told).await);
        }
    }
    assert_eq!(hub.there("a"), ["edge 1"], "{heard:?}");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_there_was_no_room_for_is_offered_again() {
    let hub = Hub::open(PresenceLimits::default().ttl(TTL).nodes_per_topic(1)).await;
    let edge = notes::replica("edge").await;
    hub.say("first", "doc", json!(1)).await;
    let _here = edge.presence().join("doc", 1).unwrap();
    let mut told = hub.replica.presence().subscribe("doc");
    next(&mut told).await;
    let (_stop, _running) = announce(&edge, Arc::new(HttpTransport::new(&hub.url).unwrap()));
    assert_eq!(next(&mut told).await, "expire first doc");
    assert_eq!(next(&mut told).await, "join edge doc 1");
}

/// A transport from before there was presence.
#[derive(Debug)]
struct Old;

#[async_trait]
impl Transport for Old {
    fn name(&self) -> &'static str {
        "old"
    }

    async fn pull(&self, _: &PullRequest) -> Result<PullResponse, TransportError> {
        Err(Line::error(TransportErrorKind::Unavailable))
    }

    async fn push(&self, _: &PushRequest) -> Result<PushResponse, TransportError> {
        Err(Line::error(TransportErrorKind::Unavailable))
    }
}

#[tokio::test]
async fn a_transport_need_not_carry_presence() {
    let edge = notes::replica("edge").await;
    let _here = edge.presence().join("doc", 1).unwrap();
    let error = Old.presences("doc").await.unwrap_err();
    let told = (error.kind, error.code.as_deref());
    assert_eq!(told, (TransportErrorKind::Refused, Some("not_supported")));
    let (_, running) = announce(&edge, Arc::new(Old));
    running.await.unwrap();
}

#[tokio::test]
async fn errors_are_for_people() {
    let replica = notes::replica("edge").await;
    let presences = replica.presence();
    let message = |error: Error| error.to_string();
    let null = presences.join("doc", json!(null)).unwrap_err();
    assert_eq!(message(null), "not the data of a presence: `null` stands for leaving");
    let topic = presences.join("a\nb", 1).unwrap_err();
    let said = r#""a\nb" is no topic: it has 1 to 256 bytes, and no control characters"#;
    assert_eq!(message(topic), said);
    let large = presences.join("doc", "x".repeat(5_000)).unwrap_err();
    let said = "the data under topic `doc` has 5002 bytes of JSON, and may have 4096";
    assert_eq!(message(large), said);
}

#[tokio::test]
async fn two_edges_see_one_another_by_the_stream_of_a_hub_and_no_longer_than_it_lasts() {
    let hub = Hub::open(PresenceLimits::default()).await;
    let (a, b) = (notes::replica("a").await, notes::replica("b").await);
    let (_here, _there) = (
        a.presence().join("doc", "A").unwrap(),
        b.presence().join("doc", "B").unwrap(),
    );
    let announcing = [&a, &b].map(|edge| announce(edge, Arc::new(MemoryTransport::new(&hub.replica))));
    let mut streams = Vec::new();
    for edge in [&a, &b] {
        let peer = Peer::new("any");
        let (node, database) = (Some(edge.node_id()), Some(edge.replica_id()));
        let mut stream = respond::presence_stream(&hub.replica, &peer, node, database, None)
            .await
            .unwrap();
        let mut relay = edge.presence().relay(hub.replica.node_id().clone());
        streams.push(tokio::spawn(async move {
            while let Some(item) = stream.next().await {
                for part in item.parts(1 << 16) {
                    // As it is on the wire.
                    relay.apply(serde_json::from_str(&serde_json::to_string(&part).unwrap()).unwrap());
                }
            }
        }));
    }
    for edge in [&a, &b] {
        let mut told = edge.presence().subscribe("doc");
        while there(edge, "doc") != [r#"a "A""#, r#"b "B""#] {
            next(&mut told).await;
        }
    }
    let mut told = b.presence().subscribe("doc");
    next(&mut told).await;
    // The connection of `a` ends: the hub, and with it `b`, sees it go at once.
    let mut at_hub = hub.replica.presence().subscribe("doc");
    next(&mut at_hub).await;
    for (stop, running) in announcing {
        drop(stop);
        running.abort();
    }
    streams.remove(0).abort();
    assert_eq!(next(&mut at_hub).await, "leave a doc");
    assert_eq!(next(&mut told).await, "leave a doc");
    assert_eq!(there(&a, "doc"), [r#"a "A""#]);
}

#[tokio::test]
async fn a_stream_tells_a_peer_what_it_may_read() {
    let hub = Hub::guarded().await;
    let _guards = ["notes:1", "drafts:1"].map(|topic| hub.replica.presence().join(topic, 1).unwrap());
    let reader = Peer::new("reader").may_only_read(["drafts"]);
    let stream = async |peer: &Peer, topics: Option<&[&str]>| {
        let topics: Option<Vec<_>> = topics.map(|topics| topics.iter().map(|topic| (*topic).to_owned()).collect());
        respond::presence_stream(&hub.replica, peer, None, None, topics.as_deref()).await
    };
    let mut allowed = stream(&reader, None).await.unwrap();
    let Some(PresenceItem::Snapshot(snapshot)) = allowed.next().await else {
        panic!("no snapshot")
    };
    assert_eq!(snapshot.presences.len(), 1);
    assert_eq!(snapshot.presences[0].topic, "drafts:1");
    let _more = hub.replica.presence().join("notes:2", 1).unwrap();
    let _seen = hub.replica.presence().join("drafts:2", 1).unwrap();
    let Some(PresenceItem::Event(event)) = allowed.next().await else {
        panic!("no event")
    };
    assert_eq!(event.topic, "drafts:2");
    for (topics, code) in [
        (["notes:1", "drafts:1"], "forbidden"),
        (["", "drafts:1"], "bad_request"),
    ] {
        let refused = stream(&reader, Some(&topics)).await.unwrap_err();
        assert_eq!(refused.code(), code);
    }
    let node = "a".parse().unwrap();
    let bound = Peer::new("b").bound_to("b".parse().unwrap());
    let refused = respond::presence_stream(&hub.replica, &bound, Some(&node), None, None).await;
    assert_eq!(refused.unwrap_err().code(), "wrong_node");
}

#[tokio::test]
async fn clones_of_a_replica_share_what_they_say_and_another_replica_does_not() {
    let edge = notes::replica("edge").await;
    let here = edge.clone().presence().join("doc", ("A", 1)).unwrap();
    assert_eq!(there(&edge, "doc"), [r#"edge ["A",1]"#]);
    let data: PresenceData = edge.presence().snapshot("doc").remove(0).data;
    assert_eq!(data.read::<(String, u32)>().unwrap(), ("A".to_owned(), 1));
    assert_eq!(there(&notes::replica("other").await, "doc"), [""; 0]);
    assert_eq!(here.topic(), "doc");
    drop(here);
    assert_eq!(there(&edge, "doc"), [""; 0]);
}
