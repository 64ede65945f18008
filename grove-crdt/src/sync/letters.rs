//! What was refused: kept, so that nothing is lost, and tried again while that can help.

use std::collections::BTreeMap;

use crate::{
    error::Error,
    sync::{
        Change, Direction, Kept, Omitted, Rejection, RejectionCode, Retry,
        round::{Outcome, Round},
    },
};

/// The changes that were refused, by their place among those that were offered.
pub(super) type Refused = BTreeMap<usize, (Change, Rejection)>;

impl Round<'_> {
    /// Tries again what was refused here before and may be taken by now.
    pub(super) async fn retry_inbound(&mut self) -> Result<(), Error> {
        let replica = &self.settings.replica;
        let letters = replica
            .dead_letters_to_retry(Direction::Inbound, self.wire.peer.name(), self.letters)
            .await?;
        let from = self.state.replica_id.clone().unwrap_or_default();
        for letters in letters.chunks(self.settings.page_size) {
            let changes: Vec<_> = letters.iter().map(|letter| letter.change.clone()).collect();
            let refused = self.merge(&changes, &from).await?;
            self.settle(Direction::Inbound, letters, refused).await?;
        }
        Ok(())
    }

    /// Sends again what the peer refused before and may take by now.
    pub(super) async fn retry_outbound(&mut self) -> Result<Outcome, Error> {
        let replica = &self.settings.replica;
        let letters = replica
            .dead_letters_to_retry(Direction::Outbound, self.wire.peer.name(), self.letters)
            .await?;
        for letters in letters.chunks(self.settings.page_size) {
            let changes: Vec<_> = letters.iter().map(|letter| letter.change.clone()).collect();
            let Some(refused) = self.deliver(changes).await? else {
                return Ok(Outcome::Forgotten);
            };
            self.settle(Direction::Outbound, letters, refused).await?;
        }
        Ok(Outcome::Done)
    }

    /// Keeps refused changes.
    pub(super) async fn keep(&self, direction: Direction, refused: Refused) -> Result<(), Error> {
        if refused.is_empty() {
            return Ok(());
        }
        for (change, rejection) in refused.values() {
            let Change { table, pk, field, .. } = change;
            tracing::debug!(
                table,
                pk,
                field,
                code = rejection.code.as_str(),
                "refused: {}",
                rejection.message
            );
        }
        tracing::warn!(
            peer = self.wire.peer.name(),
            ?direction,
            changes = refused.len(),
            "changes were refused; they are kept"
        );
        let letters = refused.values();
        let letters: Vec<_> = letters
            .map(|(change, rejection)| (Kept::Change(change), rejection.clone()))
            .collect();
        self.settings
            .replica
            .keep_dead_letters(direction, self.wire.peer.name(), &letters)
            .await
    }

    /// Keeps notices of changes that were too large for an answer. They come from the peer, so nothing else is made of them.
    pub(super) async fn keep_notices(&self, notices: &[Omitted]) -> Result<(), Error> {
        if notices.is_empty() {
            return Ok(());
        }
        let letters: Vec<_> = notices
            .iter()
            .map(|notice| {
                let notice = notice.clone().bounded();
                let message = format!(
                    "{}, more than an answer may have here; it was left out",
                    notice.describe()
                );
                let rejection = Rejection::new(0, RejectionCode::Other, message);
                (Kept::Notice(notice), rejection)
            })
            .collect();
        tracing::warn!(
            peer = self.wire.peer.name(),
            changes = letters.len(),
            "changes are too large for an answer; it is kept which"
        );
        self.settings
            .replica
            .keep_dead_letters(Direction::Inbound, self.wire.peer.name(), &letters)
            .await
    }

    /// Drops the letters that were taken this time, and keeps the new reason of those refused for another one now. Those that
    /// are refused as before stay as they are, so that waiting writes nothing.
    async fn settle(&self, direction: Direction, letters: &[Retry], mut refused: Refused) -> Result<(), Error> {
        let taken: Vec<_> = letters
            .iter()
            .enumerate()
            .filter(|(index, _)| !refused.contains_key(index))
            .map(|(_, letter)| letter.id.clone())
            .collect();
        refused.retain(|index, (_, rejection)| {
            let was = &letters[*index];
            (&was.code, was.later) != (&rejection.code, rejection.later)
        });
        self.keep(direction, refused).await?;
        if taken.is_empty() {
            return Ok(());
        }
        self.settings.replica.discard_dead_letters(&taken).await.map(drop)
    }
}
