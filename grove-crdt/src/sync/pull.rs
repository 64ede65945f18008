//! The pulling half of a round.

use futures_util::future::try_join;

use crate::{
    error::Error,
    replica::Way,
    sync::{
        Change, Direction, PullRequest, PullResponse, TOO_LARGE, TransportError, TransportErrorKind,
        letters::Refused,
        round::{Outcome, Round, Wire},
        syncer::Settings,
    },
};

impl Round<'_> {
    /// Merges what the peer has committed since the last time, page by page.
    pub(super) async fn pull(&mut self) -> Result<(), Error> {
        self.retry_inbound().await?;
        let mut asked = None;
        loop {
            let cursor = self.state.cursor.clone();
            let answered = match asked.take() {
                Some(answered) => answered,
                None => ask(self.wire, self.question(cursor.clone())).await,
            };
            let (answer, limit) = answered?;
            self.page_size = limit;
            if answer.shortened {
                let fitting = answer.changes.len() + answer.omitted.len();
                self.page_size = fitting.clamp(1, limit.max(1));
            }
            let who = self.recognise(&answer.replica_id, &answer.node_id, answer.restarted)?;
            let from_the_start = answer.restarted || cursor.is_none();
            if who == Outcome::Forgotten && !from_the_start {
                continue;
            }
            if answer.has_more && cursor.as_ref() == Some(&answer.cursor) {
                let message = "it says that there is more, but its cursor stays where it is";
                return Err(self.failure(TransportErrorKind::Garbled, message).into());
            }
            asked = self.take_and_ask(&answer).await?;
            self.state.cursor = Some(answer.cursor);
            self.save().await?;
            if !answer.has_more {
                return Ok(());
            }
        }
    }

    /// Merges a page, and asks for the next meanwhile.
    async fn take_and_ask(&mut self, answer: &PullResponse) -> Result<Option<Answered>, Error> {
        if !answer.has_more {
            self.take(answer, Way::Pull).await?;
            return Ok(None);
        }
        let (wire, question) = (self.wire, self.question(Some(answer.cursor.clone())));
        // What can't be merged ends the round at once. That there is no answer does not keep this page from being merged.
        let asking = async { Ok(ask(wire, question).await) };
        let ((), answered) = try_join(self.take(answer, Way::Pull), asking).await?;
        Ok(Some(answered))
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

    fn question(&self, cursor: Option<String>) -> PullRequest {
        let Settings { replica, tables, .. } = self.settings;
        PullRequest {
            node_id: replica.node_id().clone(),
            replica_id: replica.replica_id().to_owned(),
            tables: tables.clone(),
            cursor,
            limit: Some(self.page_size),
            max_bytes: None,
            filter: None,
        }
    }

    /// Merges a page, and keeps what was refused of it, and what was too large to be in it.
    async fn take(&mut self, answer: &PullResponse, by: Way) -> Result<(), Error> {
        let changes = &answer.changes;
        let tables = changes.iter().map(|change| &change.table);
        let mut tables = tables.chain(answer.omitted.iter().map(|notice| &notice.table));
        if let Some(stray) = tables.find(|table| !self.asked_for(table)) {
            let message = format!("it sent changes of table `{stray}`, which was not asked for");
            return Err(self.failure(TransportErrorKind::Garbled, message).into());
        }
        self.report.pulled += changes.len() + answer.omitted.len();
        self.settings.replica.core.meters.received(by, changes.len());
        let refused = self.merge(changes, &answer.replica_id).await?;
        self.keep(Direction::Inbound, refused).await?;
        self.report.rejected += answer.omitted.len();
        self.keep_notices(&answer.omitted).await
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

/// A page, and how many changes it may have had.
type Answered = Result<(PullResponse, usize), TransportError>;

/// Asks for one page; for a smaller one when it turns out to be too large in bytes.
async fn ask(wire: Wire<'_>, mut question: PullRequest) -> Answered {
    loop {
        let limit = question.limit.unwrap_or(1);
        match wire.answer(|| wire.peer.pull(&question)).await {
            Err(error) if error.code.as_deref() == Some(TOO_LARGE) && limit > 1 => question.limit = Some(limit / 2),
            result => return result.map(|answer| (answer, limit)),
        }
    }
}
