//! What is skipped is neither stored nor sent, and the exchange goes on behind it.

use grove_crdt_tests::{START, cells, written};
use serde_json::json;

use super::{Rules, letters, plain, replica, sync, syncer, titles, write};
use crate::merge::support::push_as;

/// Nothing of secrets passes, in either direction.
fn no_secrets() -> Rules {
    Rules {
        inbound: Some(Box::new(|_, change| {
            Ok((!change.pk.starts_with("secret")).then_some(change))
        })),
        outbound: Some(Box::new(|_, change| {
            Ok((!change.pk.starts_with("secret")).then_some(change))
        })),
        ..Rules::default()
    }
}

#[apply(on_each_database!)]
async fn the_cursor_moves_past_it_and_nothing_is_sent_twice() {
    let (edge, hub, other) = (
        plain("edge").await,
        replica("hub", no_secrets()).await,
        plain("other").await,
    );
    for n in 0..7 {
        write(&edge, &format!("open {n}"), "o").await;
        write(&edge, &format!("secret {n}"), "s").await;
        write(&hub, &format!("secret of hub {n}"), "s").await;
    }
    let (to_hub, from_other) = (syncer(&edge, &hub), syncer(&other, &hub));
    let report = to_hub.sync().await.unwrap();
    assert_eq!(report.to_string(), "pulled=0 pushed=7 merged=0 conflicts=0 skipped=7");
    let report = from_other.sync().await.unwrap();
    assert_eq!(report.to_string(), "pulled=7 pushed=0 merged=7 conflicts=0");
    assert_eq!(titles(&other).await.len(), 7);
    assert!(!format!("{:?}", cells(&hub, "documents").await).contains("secret 0"));
    // The hub's own history has gone on with what was pushed to it: the cursor is to be moved there once.
    to_hub.sync().await.unwrap();
    let before = (written(&edge).await, written(&hub).await, written(&other).await);
    for syncer in [&to_hub, &from_other, &syncer(&edge, &hub), &syncer(&other, &hub)] {
        let idle = syncer.sync().await.unwrap();
        assert_eq!(idle.to_string(), "pulled=0 pushed=0 merged=0 conflicts=0");
    }
    assert_eq!(
        (written(&edge).await, written(&hub).await, written(&other).await),
        before
    );
    assert_eq!(letters(&edge).await, Vec::<String>::new());
}

#[apply(on_each_database!)]
async fn what_a_push_is_answered_with_counts_it_and_nothing_else() {
    let hub = replica("hub", no_secrets()).await;
    let birth = |pk: &str, ts: i64| {
        json!({ "table": "documents", "pk": pk, "field": "", "crdt_type": "record", "epoch": 1,
            "hlc": { "ts": START + ts, "c": 0, "node": "edge" }, "node_id": "edge", "value": { "lww": { "title": "t" } } })
    };
    let changes = [birth("open", 0), birth("secret", 5), json!([])];
    let answer = push_as("edge", "edge-database", &hub, &changes).await;
    let text = serde_json::to_string(&answer).unwrap();
    let text = text.replace(hub.replica_id(), "DATABASE");
    assert_eq!(
        text,
        r#"{"replica_id":"DATABASE","node_id":"hub","merged":1,"conflicts":0,"skipped":1,"rejected":[{"index":2,"code":"malformed","message":"invalid length 0, expected a change, which is a JSON object"}],"latest_hlc":{"ts":1700000000000000,"c":0,"node":"edge"}}"#
    );
}

#[apply(on_each_database!)]
async fn a_syncer_skips_what_it_pulls_and_what_it_pushes() {
    let (edge, hub) = (replica("edge", no_secrets()).await, plain("hub").await);
    for id in ["open 1", "secret 1"] {
        write(&edge, id, "e").await;
    }
    for id in ["open 2", "secret 2"] {
        write(&hub, id, "h").await;
    }
    let report = sync(&edge, &hub).await;
    assert_eq!(report.to_string(), "pulled=2 pushed=1 merged=1 conflicts=0 skipped=2");
    assert_eq!(titles(&edge).await, ["open 1=e", "open 2=h", "secret 1=e"]);
    assert_eq!(titles(&hub).await, ["open 1=e", "open 2=h", "secret 2=h"]);
    assert_eq!(
        sync(&edge, &hub).await.to_string(),
        "pulled=0 pushed=0 merged=0 conflicts=0"
    );
}
