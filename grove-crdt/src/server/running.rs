//! What is under way, and how it ends.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::task::JoinHandle;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tracing::Instrument as _;

use crate::{
    server::{SyncServer, error::ErrorAnswer},
    sync::Refusal,
};

/// The requests, the work for them, and the streams that are under way.
#[derive(Clone, Debug)]
pub(super) struct Running {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    answer_timeout: Duration,
}

impl Running {
    pub(super) fn new(shutdown: CancellationToken, answer_timeout: Duration) -> Self {
        Self {
            tracker: TaskTracker::new(),
            shutdown,
            answer_timeout,
        }
    }

    /// Cancelled when the server is to end.
    pub(super) fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Lets something begin, which is under way until the token is dropped.
    ///
    /// # Errors
    ///
    /// The server is about to end: 503.
    pub(super) fn begin(&self) -> Result<TaskTrackerToken, ErrorAnswer> {
        // Counted first, so that whoever waits for the end either sees it or has it refused.
        let token = self.tracker.token();
        if self.shutdown.is_cancelled() {
            return Err(ErrorAnswer::shutting_down());
        }
        Ok(token)
    }

    /// Works for a request to the end, whether or not its asker waits for it.
    ///
    /// A statement that is given up while it runs can leave its connection unusable (on MySQL it does), and an asker who
    /// is gone before a push is merged would send it again only to have it merged twice as often.
    ///
    /// # Errors
    ///
    /// It was refused; or it takes longer than an answer may: 503, while the work goes on.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, ErrorAnswer> {
        match tokio::time::timeout(self.answer_timeout, self.spawn(work)).await {
            Ok(Ok(answer)) => answer.map_err(ErrorAnswer::from),
            Ok(Err(panic)) => Err(ErrorAnswer::internal(&panic)),
            Err(_) => Err(ErrorAnswer::busy(self.answer_timeout)),
        }
    }

    /// Begins what is to run to its end.
    pub(super) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.tracker.spawn(work.in_current_span())
    }

    /// Waits until the server has been told to end, and nothing is under way any more.
    pub(super) async fn drained(&self) {
        self.shutdown.cancelled().await;
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Counts a request as under way until it is answered, unless the server is about to end.
pub(super) async fn count(
    State(server): State<SyncServer>,
    request: Request,
    next: Next,
) -> Result<Response, ErrorAnswer> {
    let _under_way = server.running().begin()?;
    Ok(next.run(request).await)
}
