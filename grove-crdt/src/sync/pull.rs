//! The pulling half of a round.

use crate::{
    error::Error,
    replica::Way,
    sync::{
        Change, Direction, PullRequest, PullResponse, TOO_LARGE, TransportError, TransportErrorKind,
        letters::Refused,
        round::{Outcome, Round},
    },
};

impl Round<'_> {
    /// Merges what the peer has committed since the last time, page by page.
    pub(super) async fn pull(&mut self) -> Result<(), Error> {
        self.retry_inbound().await?;
        loop {
            let cursor = self.state.cursor.clone();
            let answer = self.ask(cursor.clone()).await?;
            let who = self.recognise(&answer.replica_id, &answer.node_id, answer.restarted)?;
            let from_the_start = answer.restarted || cursor.is_none();
            if who == Outcome::Forgotten && !from_the_start {
                continue;
            }
            if answer.has_more && cursor.as_ref() == Some(&answer.cursor) {
                let message = "it says that there is more, but its cursor stays where it is";
                return Err(self.failure(TransportErrorKind::Garbled, message).into());
            }
            self.take(&answer, Way::Pull).await?;
            self.state.cursor = Some(answer.cursor);
            self.save().await?;
            if !answer.has_more {
                return Ok(());
            }
        }
    }

    /// Merges what the peer has streamed, which goes on where the state stands. When it turns out to be another database, or a
    /// restored one, nothing is merged: a whole round has to start over.
    pub(super) async fn take_streamed(&mut self, answer: PullResponse) -> Result<Outcome, Error> {
        if self.recognise(&answer.replica_id, &answer.node_id, answer.restarted)? == Outcome::Forgotten {
            return Ok(Outcome::Forgotten);
        }
        self.take(&answer, Way::Stream).await?;
        self.state.cursor = Some(answer.cursor);
        self.save().await?;
        Ok(Outcome::Done)
    }

    /// One page; a smaller one when it turns out to be too large in bytes.
    async fn ask(&mut self, cursor: Option<String>) -> Result<PullResponse, TransportError> {
        let settings = self.settings;
        let mut request = PullRequest {
            node_id: settings.replica.node_id().clone(),
            replica_id: settings.replica.replica_id().to_owned(),
            tables: settings.tables.clone(),
            cursor,
            limit: None,
            filter: None,
        };
        loop {
            request.limit = Some(self.page_size);
            match self.answer(|| self.peer.pull(&request)).await {
                Err(error) if error.code.as_deref() == Some(TOO_LARGE) && self.page_size > 1 => self.page_size /= 2,
                result => return result,
            }
        }
    }

    /// Merges a page, and keeps what was refused of it.
    async fn take(&mut self, answer: &PullResponse, by: Way) -> Result<(), Error> {
        let changes = &answer.changes;
        if let Some(stray) = changes.iter().find(|change| !self.asked_for(&change.table)) {
            let message = format!("it sent changes of table `{}`, which was not asked for", stray.table);
            return Err(self.failure(TransportErrorKind::Garbled, message).into());
        }
        self.report.pulled += changes.len();
        self.settings.replica.core.meters.received(by, changes.len());
        let refused = self.merge(changes, &answer.replica_id).await?;
        self.keep(Direction::Inbound, refused).await
    }

    fn asked_for(&self, table: &str) -> bool {
        self.settings
            .tables
            .binary_search_by(|asked| asked.as_str().cmp(table))
            .is_ok()
    }

    /// Merges changes; what was refused comes back by its place.
    pub(super) async fn merge(&mut self, changes: &[Change], from_replica: &str) -> Result<Refused, Error> {
        if changes.is_empty() {
            return Ok(Refused::new());
        }
        let merged = self
            .settings
            .replica
            .merge_changes(&self.who, changes, from_replica)
            .await?;
        self.report.merged += merged.merged;
        self.report.conflicts += merged.conflicts;
        self.report.parked += merged.parked;
        self.report.skipped += merged.skipped;
        let refused: Refused = merged
            .rejected
            .into_iter()
            .map(|rejection| (rejection.index, (changes[rejection.index].clone(), rejection)))
            .collect();
        self.report.rejected += refused.len();
        Ok(refused)
    }
}
