//! Peers that fail, and peers that lie.

use std::time::Duration;

use async_trait::async_trait;
use grove_crdt::{
    Error, Replica,
    sync::{
        Omitted, PullRequest, PullResponse, PushRequest, PushResponse, Transport, TransportError, TransportErrorKind,
    },
    transport::MemoryTransport,
};

use grove_crdt_tests::TestDatabase;
use serde_json::json;

use super::{Line, pair, syncer};
use crate::notes;

#[apply(on_each_database!)]
async fn a_failing_peer_is_shown_and_hides_no_other() {
    let (edge, hub, line) = pair().await;
    let other = notes::replica("other").await;
    let other_line = Line::to(&other);
    notes::write(&edge, "a", "for both").await;
    line.fail([TransportErrorKind::Refused]);
    let syncer = syncer(&edge).peer(line.clone()).peer(other_line).build().unwrap();

    let error = syncer.sync().await.unwrap_err();

    assert_eq!(error.to_string(), "sync failed: peer `line-to-hub`: as told");
    assert_eq!(error.failures.len(), 1);
    assert_eq!(error.failures[0].peer, "line-to-hub");
    assert!(error.report.pushed > 0, "{}", error.report);
    assert_eq!(notes::title(&other, "a").await.as_deref(), Some("for both"));
    assert_eq!(notes::title(&hub, "a").await, None);

    syncer.sync().await.unwrap();
    assert_eq!(notes::title(&hub, "a").await.as_deref(), Some("for both"));
}

#[apply(on_each_database!)]
async fn only_what_can_pass_is_tried_again() {
    use TransportErrorKind::{Garbled, Refused, Unavailable};
    let (edge, _hub, line) = pair().await;
    let syncer = syncer(&edge).peer(line.clone()).build().unwrap();

    line.fail([Unavailable; 3]);
    syncer.sync().await.unwrap();
    assert_eq!(line.requests().0, 4);

    line.fail([Unavailable; 4]);
    syncer.sync().await.unwrap_err();
    assert_eq!(line.requests().0, 4);

    for kind in [Refused, Garbled] {
        line.fail([kind]);
        syncer.sync().await.unwrap_err();
        assert_eq!(line.requests().0, 1);
    }
}

/// A sync that is dropped leaves its transaction rolled back, and the connection fit for use.
#[apply(on_each_database!)]
async fn a_sync_may_be_dropped_anywhere() {
    // Not in memory, where a database goes with its connection.
    let databases = [TestDatabase::new().await, TestDatabase::new().await];
    let edge = notes::replica_in(&databases[0], "edge").await;
    let hub = notes::replica_in(&databases[1], "hub").await;
    let syncer = syncer(&edge).peer(Line::to(&hub)).page_size(10).build().unwrap();
    for round in 0..60 {
        notes::write(&edge, &format!("edge-{round}"), "one").await;
        notes::write(&hub, &format!("hub-{round}"), "one").await;
        let patience = Duration::from_micros(100 * round);
        let _ = tokio::time::timeout(patience, syncer.sync()).await;
    }
    syncer.sync().await.unwrap();
    for round in 0..60 {
        assert!(notes::title(&edge, &format!("hub-{round}")).await.is_some(), "{round}");
        assert!(notes::title(&hub, &format!("edge-{round}")).await.is_some(), "{round}");
    }
    assert!(edge.dead_letters().await.unwrap().is_empty());
}

/// Answers every pull as told.
#[derive(Debug)]
struct Liar {
    lie: fn(&PullRequest, PullResponse) -> PullResponse,
    way: MemoryTransport,
    omitted: Vec<Omitted>,
}

impl Liar {
    fn new(lie: fn(&PullRequest, PullResponse) -> PullResponse, hub: &Replica) -> Self {
        Self {
            lie,
            way: MemoryTransport::new(hub),
            omitted: Vec::new(),
        }
    }
}

#[async_trait]
impl Transport for Liar {
    fn name(&self) -> &'static str {
        "liar"
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        let from_the_start = PullRequest {
            cursor: None,
            ..request.clone()
        };
        let mut answer = self.way.pull(&from_the_start).await?;
        answer.omitted.clone_from(&self.omitted);
        Ok((self.lie)(request, answer))
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        self.way.push(request).await
    }
}

#[apply(on_each_database!)]
async fn a_peer_that_answers_nonsense_ends_the_round() {
    let lies: [fn(&PullRequest, PullResponse) -> PullResponse; 4] = [
        // More and more, and never a step further.
        |_, answer| PullResponse {
            has_more: true,
            ..answer
        },
        // Another database with every answer.
        |request, answer| PullResponse {
            replica_id: format!("{:?}", request.cursor),
            cursor: format!("{}x", request.cursor.as_deref().unwrap_or("")),
            has_more: true,
            ..answer
        },
        |_, answer| PullResponse {
            restarted: true,
            has_more: true,
            ..answer
        },
        // Our own node id, from a database that isn't ours.
        |request, answer| PullResponse {
            node_id: request.node_id.clone(),
            ..answer
        },
    ];
    for lie in lies {
        let (edge, hub, _) = pair().await;
        let syncer = syncer(&edge).peer(Liar::new(lie, &hub)).build().unwrap();
        let error = tokio::time::timeout(Duration::from_secs(5), syncer.sync())
            .await
            .unwrap()
            .unwrap_err();
        assert!(
            matches!(
                &error.failures[0].error,
                Error::NodeInUse { .. }
                    | Error::Transport(TransportError {
                        kind: TransportErrorKind::Garbled,
                        ..
                    })
            ),
            "{error}"
        );
    }
}

#[apply(on_each_database!)]
async fn changes_of_a_table_that_was_not_asked_for_are_not_taken() {
    let (edge, hub, _) = pair().await;
    notes::write(&hub, "a", "from hub").await;
    let stray: fn(&PullRequest, PullResponse) -> PullResponse = |_, mut answer| {
        answer
            .changes
            .iter_mut()
            .for_each(|change| change.table = "drafts".into());
        answer
    };
    let liar = Liar::new(stray, &hub);
    let syncer = syncer(&edge).peer(liar).tables(["notes"]).build().unwrap();
    let error = syncer.sync().await.unwrap_err();
    assert!(
        error.to_string().contains("table `drafts`, which was not asked for"),
        "{error}"
    );
}

/// Notices are the peer's word: they become letters, of bounded length, and nothing else.
#[apply(on_each_database!)]
async fn a_peer_that_says_that_everything_is_too_large_does_no_harm() {
    let (edge, hub, _) = pair().await;
    notes::write(&hub, "a", "one").await;
    let notice = |table: &str| {
        serde_json::from_value::<Omitted>(json!({
            "table": table, "pk": "k".repeat(100_000), "fields": vec!["f".repeat(100_000); 50], "cell": "c".repeat(100_000),
            "epoch": u32::MAX, "hlc": { "ts": i64::MAX, "c": u32::MAX, "node": "liar" }, "bytes": u64::MAX,
        }))
        .unwrap()
    };
    let lie: fn(&PullRequest, PullResponse) -> PullResponse = |_, answer| PullResponse {
        shortened: true,
        ..answer
    };
    let mut liar = Liar::new(lie, &hub);
    liar.omitted = vec![notice("notes")];
    let report = syncer(&edge).peer(liar).build().unwrap().sync().await.unwrap();
    assert_eq!((report.merged, report.rejected), (1, 1), "{report}");
    let letters = edge.dead_letters().await.unwrap();
    assert!(
        letters.len() == 1 && letters[0].change.len() < 10_000 && letters[0].message.len() < 400,
        "{letters:?}"
    );
    // The clock is not moved: what is written now is not ahead of the hub's.
    notes::write(&edge, "b", "one").await;
    let report = syncer(&edge)
        .peer(Line::to(&hub))
        .build()
        .unwrap()
        .sync()
        .await
        .unwrap();
    assert_eq!((report.pushed, report.rejected), (1, 0), "{report}");

    for table in ["drafts_of_others", "_grove_peers"] {
        let mut liar = Liar::new(lie, &hub);
        liar.omitted = vec![notice(table)];
        let error = syncer(&edge).peer(liar).build().unwrap().sync().await.unwrap_err();
        assert!(error.to_string().contains("was not asked for"), "{error}");
    }
}
