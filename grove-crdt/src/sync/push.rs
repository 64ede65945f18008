//! The pushing half of a round.

use futures_util::future::OptionFuture;

use crate::{
    error::Error,
    replica::Way,
    sync::{
        Change, Direction, HookError, Position, PushRequest, PushResponse, PushedChange, Rejection, RejectionCode,
        TOO_LARGE, TransportError, TransportErrorKind,
        letters::Refused,
        local::Page,
        outgoing::outgoing,
        round::{Ahead, Extent, Outcome, Round},
        syncer::Settings,
    },
};

impl Round<'_> {
    /// Sends what has been committed here since the last time, page by page.
    pub(super) async fn push(&mut self, extent: Extent) -> Result<Outcome, Error> {
        if self.retry_outbound().await? == Outcome::Forgotten {
            return Ok(Outcome::Forgotten);
        }
        let settings = self.settings;
        let mut from = match &self.ahead {
            Some(ahead) if ahead.remembered == self.state => ahead.position.clone(),
            _ => self.state.pushed.clone(),
        };
        let mut ahead = Ok(None);
        loop {
            let not_via = self.not_via();
            let page = match std::mem::replace(&mut ahead, Ok(None))? {
                Some(page) => page,
                None => page_after(settings, &from, not_via.as_deref()).await?,
            };
            let nothing = page.changes.is_empty() && !page.has_more;
            if nothing && extent == Extent::PushOnly && !self.resend {
                self.ahead = Some(Ahead {
                    remembered: self.state.clone(),
                    position: page.position,
                });
                return Ok(Outcome::Done);
            }
            from = page.position;
            if !page.changes.is_empty() {
                // While this page is on its way, the next is read. Both are waited for: see `Wire::answer`.
                let start = from.clone();
                let next = async {
                    let next = page.has_more.then(|| page_after(settings, &start, not_via.as_deref()));
                    OptionFuture::from(next).await.transpose()
                };
                let (delivered, next) = tokio::join!(self.deliver(page.changes), next);
                let Some(refused) = delivered? else {
                    return Ok(Outcome::Forgotten);
                };
                self.keep(Direction::Outbound, refused).await?;
                // Who has answered now need not be told what came from there.
                ahead = next.map(|page: Option<Page>| page.filter(|_| self.not_via() == not_via));
            }
            self.state.pushed.clone_from(&from);
            self.resend &= page.has_more;
            self.save().await?;
            if !page.has_more {
                return Ok(Outcome::Done);
            }
        }
    }

    /// The peer's database, whose own changes it is not sent again unless it has lost them.
    fn not_via(&self) -> Option<String> {
        self.state.replica_id.clone().filter(|_| !self.resend)
    }

    /// Sends what hooks leave of the changes, and returns what they or the peer refused; `None` when the peer turned out to
    /// have another database.
    ///
    /// What is too large for the peer goes in parts. They may split a transaction; the peer has it whole when the round
    /// has ended, as with pages.
    pub(super) async fn deliver(&mut self, changes: Vec<Change>) -> Result<Option<Refused>, Error> {
        let outgoing = outgoing(&self.settings.replica, &self.who, changes).await;
        let mut outgoing = outgoing.map_err(|error| self.kept_back(&error))?;
        let changes = std::mem::take(&mut outgoing.changes);
        let mut refused = Refused::new();
        let mut skipped = 0;
        let mut parts = vec![(0, changes.as_slice())];
        while let Some((start, part)) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match (self.send(part).await, part) {
                (Ok(answer), _) => {
                    if self.recognise(&answer.replica_id, &answer.node_id, false)? == Outcome::Forgotten {
                        return Ok(None);
                    }
                    skipped += answer.skipped.min(part.len().saturating_sub(answer.rejected.len()));
                    self.take_down(start, part, answer.rejected, &mut refused)?;
                }
                (Err(error), _) if error.code.as_deref() != Some(TOO_LARGE) => return Err(error.into()),
                (Err(error), [alone]) => {
                    refused.insert(start, (alone.clone(), too_large(error)));
                }
                (Err(_), part) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([(start + first.len(), second), (start, first)]);
                }
            }
        }
        self.settings.replica.core.meters.sent(Way::Push, changes.len());
        self.report.pushed += changes.len() - refused.len() - skipped;
        self.report.skipped += outgoing.skipped + skipped;
        let by_peer = refused
            .into_iter()
            .map(|(index, letter)| (outgoing.place(index), letter));
        let mut all: Refused = by_peer.collect();
        all.append(&mut outgoing.refused);
        self.report.rejected += all.len();
        self.settings.replica.core.meters.refused_elsewhere(all.len());
        Ok(Some(all))
    }

    /// A hook refuses to push a page.
    fn kept_back(&self, error: &HookError) -> TransportError {
        TransportError {
            code: Some(error.code().to_owned()),
            ..self.failure(
                TransportErrorKind::Refused,
                format!("a hook of this replica refuses to push a page: {}", error.message()),
            )
        }
    }

    async fn send(&self, changes: &[Change]) -> Result<PushResponse, TransportError> {
        let settings = self.settings;
        let changes = changes
            .iter()
            .map(PushedChange::new)
            .collect::<Result<_, _>>()
            .map_err(|error| {
                let message = format!("a change can't be written as JSON: {error}");
                self.failure(TransportErrorKind::Refused, message)
            })?;
        let request = PushRequest {
            node_id: settings.replica.node_id().clone(),
            replica_id: settings.replica.replica_id().to_owned(),
            changes,
        };
        self.wire.answer(|| self.wire.peer.push(&request)).await
    }

    /// Takes down what was refused of the part that begins at `start`.
    fn take_down(
        &self,
        start: usize,
        part: &[Change],
        rejected: Vec<Rejection>,
        refused: &mut Refused,
    ) -> Result<(), Error> {
        for rejection in rejected {
            let Some(change) = part.get(rejection.index) else {
                let message = format!("it refused change {} of {}", rejection.index, part.len());
                return Err(self.failure(TransportErrorKind::Garbled, message).into());
            };
            refused.insert(start + rejection.index, (change.clone(), rejection));
        }
        Ok(())
    }
}

async fn page_after(settings: &Settings, from: &Position, not_via: Option<&str>) -> Result<Page, Error> {
    let Settings { replica, tables, .. } = settings;
    replica.changes_after(tables, from, not_via, settings.page_size).await
}

fn too_large(error: TransportError) -> Rejection {
    Rejection {
        message: error.message,
        ..Rejection::new(0, RejectionCode::Other, "")
    }
}
