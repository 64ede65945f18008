//! Several hooks as one.

use std::{any::Any, fmt, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;

use crate::{
    change::Change,
    replica::{HookError, MergeEvent, OutboundPage, Peer, SyncHook},
};

/// A replica's hooks, in the order in which they run.
#[derive(Clone, Default)]
pub(crate) struct HookChain(Vec<Arc<dyn SyncHook>>);

impl fmt::Debug for HookChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HookChain({})", self.0.len())
    }
}

type Passed = Result<Option<Change>, HookError>;

impl HookChain {
    pub(super) fn add(&mut self, hook: impl SyncHook) {
        self.0.push(Arc::new(hook));
    }

    /// Whether there is nothing to run.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) async fn before_inbound(&self, peer: &Peer, mut change: Change) -> Passed {
        for hook in &self.0 {
            match guarded("before_inbound", hook.before_inbound(peer, change)).await?? {
                Some(passed) => change = passed,
                None => return Ok(None),
            }
        }
        Ok(Some(change))
    }

    pub(super) async fn before_merge(&self, peer: &Peer, mut remote: Change, local: Option<&Change>) -> Passed {
        for hook in &self.0 {
            match guarded("before_merge", hook.before_merge(peer, remote, local)).await?? {
                Some(passed) => remote = passed,
                None => return Ok(None),
            }
        }
        Ok(Some(remote))
    }

    pub(super) async fn after_merge(&self, peer: &Peer, merge: MergeEvent<'_>) {
        for hook in &self.0 {
            // What is committed stays so; the failure has been logged.
            let _ = guarded("after_merge", hook.after_merge(peer, merge)).await;
        }
    }

    pub(super) async fn after_inbound(&self, peer: &Peer, change: &Change) {
        for hook in &self.0 {
            let _ = guarded("after_inbound", hook.after_inbound(peer, change)).await;
        }
    }

    /// One that is altered has to be the same write of the same cell: what it holds is the peer's view.
    pub(crate) async fn before_outbound(&self, peer: &Peer, original: Change) -> (Change, Passed) {
        let mut change = original.clone();
        for hook in &self.0 {
            let passed = guarded("before_outbound", hook.before_outbound(peer, change)).await;
            match passed.and_then(|passed| passed) {
                Ok(Some(passed)) => change = passed,
                other => return (original, other),
            }
        }
        if change.is_same_write(&original) {
            (original, Ok(Some(change)))
        } else {
            let detail = "a hook made another change of it: on its way out, only what a change holds can be altered";
            (original, Err(HookError::misused(detail)))
        }
    }

    pub(crate) async fn before_page(&self, peer: &Peer, page: &mut OutboundPage) -> Result<(), HookError> {
        for hook in &self.0 {
            guarded("before_page", hook.before_page(peer, page)).await??;
        }
        Ok(())
    }
}

/// A hook that panics fails, and nothing but what it was asked about fails with it.
async fn guarded<T>(method: &'static str, call: impl Future<Output = T>) -> Result<T, HookError> {
    let outcome = AssertUnwindSafe(call).catch_unwind().await;
    outcome.map_err(|panic| HookError::failed(format_args!("`{method}` panicked: {}", panic_words(&*panic))))
}

/// What a panic says, for the log.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
