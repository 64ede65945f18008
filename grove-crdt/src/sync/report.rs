//! What a sync did, and what went wrong.

use std::{fmt, ops::AddAssign};

use serde::Serialize;

use crate::error::Error;

/// What a sync did, all peers taken together.
///
/// It is shown as `pulled=5 pushed=3 merged=5 conflicts=0`, followed by ` rejected=…`, ` parked=…` and
/// ` skipped=…` when there is something to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SyncReport {
    /// Changes that peers sent.
    pub pulled: usize,
    /// Changes that peers took.
    pub pushed: usize,
    /// Changes that were taken over here, those known already included.
    pub merged: usize,
    /// Of the changes merged, those that lost to a newer state here.
    pub conflicts: usize,
    /// Changes that were refused, by this side or the other; each is kept as a dead letter. One that is tried again
    /// and refused again counts again.
    pub rejected: usize,
    /// Rows that could not be written here yet, by what was merged; each is kept, and written as soon as it can be.
    pub parked: usize,
    /// Changes that a hook skipped, on this side or the other: neither taken nor refused.
    pub skipped: usize,
}

impl AddAssign for SyncReport {
    fn add_assign(&mut self, other: Self) {
        self.pulled += other.pulled;
        self.pushed += other.pushed;
        self.merged += other.merged;
        self.conflicts += other.conflicts;
        self.rejected += other.rejected;
        self.parked += other.parked;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for SyncReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pulled,
            pushed,
            merged,
            conflicts,
            rejected,
            parked,
            skipped,
        } = self;
        write!(
            f,
            "pulled={pulled} pushed={pushed} merged={merged} conflicts={conflicts}"
        )?;
        if *rejected > 0 {
            write!(f, " rejected={rejected}")?;
        }
        if *parked > 0 {
            write!(f, " parked={parked}")?;
        }
        if *skipped > 0 {
            write!(f, " skipped={skipped}")?;
        }
        Ok(())
    }
}

/// The sync with one peer or more failed; it was carried out with every other.
#[derive(Debug)]
#[non_exhaustive]
pub struct SyncError {
    /// What was done all the same, with the peers that failed included.
    pub report: SyncReport,
    /// Who failed, in the order of the peers; at least one.
    pub failures: Vec<PeerFailure>,
}

/// Why the sync with one peer failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct PeerFailure {
    /// The peer's name.
    pub peer: String,
    /// What went wrong.
    pub error: Error,
}

impl fmt::Display for PeerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            // It names the peer itself.
            Error::Transport(error) => error.fmt(f),
            error => write!(f, "peer `{}`: {error}", self.peer),
        }
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sync failed")?;
        let mut before = ": ";
        for failure in &self.failures {
            write!(f, "{before}{failure}")?;
            before = "; ";
        }
        Ok(())
    }
}

// The failures are part of the message, so none of them is a source as well.
impl std::error::Error for SyncError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{TransportError, TransportErrorKind};

    #[test]
    fn shows_refused_parked_and_skipped_only_when_there_are_some() {
        let mut report = SyncReport {
            pulled: 5,
            pushed: 3,
            merged: 5,
            ..SyncReport::default()
        };
        assert_eq!(report.to_string(), "pulled=5 pushed=3 merged=5 conflicts=0");
        report += SyncReport {
            rejected: 2,
            parked: 1,
            skipped: 4,
            ..SyncReport::default()
        };
        assert_eq!(
            report.to_string(),
            "pulled=5 pushed=3 merged=5 conflicts=0 rejected=2 parked=1 skipped=4"
        );
    }

    #[test]
    fn names_every_peer_that_failed_once() {
        let unavailable = TransportError {
            peer: "a".into(),
            kind: TransportErrorKind::Unavailable,
            code: None,
            message: "connection refused".into(),
            retry_after: None,
        };
        let error = SyncError {
            report: SyncReport::default(),
            failures: vec![
                PeerFailure {
                    peer: "a".into(),
                    error: unavailable.into(),
                },
                PeerFailure {
                    peer: "b".into(),
                    error: Error::Invalid("no".into()),
                },
            ],
        };
        assert_eq!(
            error.to_string(),
            "sync failed: peer `a`: connection refused; peer `b`: no"
        );
    }
}
