//! A hook that panics refuses what it was asked about, for now, and nothing else suffers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use grove_crdt::{
    Change,
    sync::{HookError, MergeEvent, OutboundPage, Peer, SyncHook},
};

use super::{letters, plain, replica, syncer, titles, write};

/// Panics in one of its methods when it sees what is bad.
struct Panics {
    at: &'static str,
    armed: Arc<AtomicBool>,
}

impl Panics {
    fn look(&self, method: &str, change: &Change) {
        let bad = change.pk == "bad" && self.at == method && self.armed.load(Ordering::SeqCst);
        assert!(!bad, "a secret reason");
    }
}

#[async_trait::async_trait]
impl SyncHook for Panics {
    async fn before_inbound(&self, _: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        self.look("before_inbound", &change);
        Ok(Some(change))
    }

    async fn before_merge(&self, _: &Peer, remote: Change, _: Option<&Change>) -> Result<Option<Change>, HookError> {
        self.look("before_merge", &remote);
        Ok(Some(remote))
    }

    async fn after_merge(&self, _: &Peer, merge: MergeEvent<'_>) {
        self.look("after_merge", merge.remote);
    }

    async fn after_inbound(&self, _: &Peer, change: &Change) {
        self.look("after_inbound", change);
    }

    async fn before_outbound(&self, _: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        self.look("before_outbound", &change);
        Ok(Some(change))
    }

    async fn before_page(&self, _: &Peer, page: &mut OutboundPage) -> Result<(), HookError> {
        page.changes().for_each(|change| self.look("before_page", change));
        Ok(())
    }
}

const TOLD: &str = "a hook of that replica failed; its log says why";

#[apply(on_each_database!)]
async fn on_the_way_in_the_change_waits_at_its_sender() {
    for at in ["before_inbound", "before_merge"] {
        let armed = Arc::new(AtomicBool::new(true));
        let hub = replica(
            "hub",
            Panics {
                at,
                armed: armed.clone(),
            },
        )
        .await;
        let edge = plain("edge").await;
        for id in ["a", "bad", "z"] {
            write(&edge, id, "t").await;
        }
        let syncer = syncer(&edge, &hub);
        let report = syncer.sync().await.unwrap();
        assert_eq!((report.pushed, report.rejected), (2, 1), "{at}: {report}");
        assert_eq!(titles(&hub).await, ["a=t", "z=t"]);
        // The reason is not the peer's business.
        assert_eq!(letters(&edge).await, [format!("out bad  hook_failed: {TOLD}")]);
        // The replica works, for others and for itself.
        write(&hub, "own", "t").await;
        armed.store(false, Ordering::SeqCst);
        syncer.sync().await.unwrap();
        assert_eq!(titles(&hub).await, ["a=t", "bad=t", "own=t", "z=t"]);
    }
}

#[apply(on_each_database!)]
async fn what_is_committed_stays_so() {
    for at in ["after_merge", "after_inbound"] {
        let armed = Arc::new(AtomicBool::new(true));
        let hub = replica("hub", Panics { at, armed }).await;
        let edge = plain("edge").await;
        write(&edge, "bad", "t").await;
        let report = syncer(&edge, &hub).sync().await.unwrap();
        assert_eq!((report.pushed, report.rejected), (1, 0), "{at}: {report}");
        assert_eq!(titles(&hub).await, ["bad=t"]);
    }
}

#[apply(on_each_database!)]
async fn on_the_way_out_it_waits_too() {
    for at in ["before_outbound", "before_page"] {
        let armed = Arc::new(AtomicBool::new(true));
        let edge = replica(
            "edge",
            Panics {
                at,
                armed: armed.clone(),
            },
        )
        .await;
        let hub = plain("hub").await;
        for id in ["a", "bad", "z"] {
            write(&edge, id, "t").await;
        }
        let syncer = syncer(&edge, &hub);
        let outcome = syncer.sync().await;
        if at == "before_outbound" {
            assert_eq!(outcome.unwrap().rejected, 1);
            assert_eq!(titles(&hub).await, ["a=t", "z=t"]);
        } else {
            outcome.unwrap_err();
        }
        armed.store(false, Ordering::SeqCst);
        syncer.sync().await.unwrap();
        assert_eq!(titles(&hub).await, ["a=t", "bad=t", "z=t"], "{at}");
    }
}
