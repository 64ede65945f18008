//! Trying again: what can pass, a few times, with growing pauses.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::sync::TransportError;

/// How often a request that may succeed later is sent, and the pauses between.
///
/// The pause doubles with every failure, up to a limit; each is shortened at random by up to a half, so that many nodes
/// cut off at once don't come back at once. Only failures of the kind
/// [`Unavailable`](crate::sync::TransportErrorKind::Unavailable) are tried again. A peer that asks to be left alone for
/// longer ([`TransportError::retry_after`]) is left alone for as long as it asks, and up to a quarter longer, at random; but
/// no longer than [`max_retry_after`](Self::max_retry_after).
///
/// ```
/// use std::time::Duration;
/// use grove_crdt::sync::RetryPolicy;
///
/// let patient = RetryPolicy::default().attempts(8).max_pause(Duration::from_secs(60));
/// # let _ = patient;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    attempts: u32,
    first_pause: Duration,
    max_pause: Duration,
    max_retry_after: Duration,
}

impl Default for RetryPolicy {
    /// Four attempts, with pauses of 200 ms at first and 5 s at most, or what the peer asks for up to a minute.
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause: Duration::from_millis(200),
            max_pause: Duration::from_secs(5),
            max_retry_after: Duration::from_mins(1),
        }
    }
}

impl RetryPolicy {
    /// One attempt only.
    pub fn never() -> Self {
        Self::default().attempts(1)
    }

    /// How often a request is sent at most; 0 counts as 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The pause after the first failure.
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// The longest pause, unless the peer asks for a longer one.
    pub fn max_pause(mut self, pause: Duration) -> Self {
        self.max_pause = pause;
        self
    }

    /// The longest pause that a peer may ask for: one that asks for a longer one is asked again after this time. Zero for
    /// not to mind what peers ask for.
    pub fn max_retry_after(mut self, pause: Duration) -> Self {
        self.max_retry_after = pause;
        self
    }

    /// Sends a request until it succeeds, or can't, or has been tried often enough.
    pub(crate) async fn send<T, F>(&self, jitter: &Jitter, mut request: impl FnMut() -> F) -> Result<T, TransportError>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let mut failed = 0;
        loop {
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failed += 1;
            if !error.can_pass() || failed >= self.attempts {
                return Err(error);
            }
            let pause = self.backoff(jitter, failed).max(self.asked(jitter, &error));
            tracing::debug!(%error, failed, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    /// How long to wait after so many failures.
    pub(crate) fn backoff(&self, jitter: &Jitter, failed: u32) -> Duration {
        jitter.between(self.pause(failed) / 2, self.pause(failed))
    }

    /// For how long the peer that failed so is to be left alone because it asks for it; zero when it does not.
    pub(crate) fn asked(&self, jitter: &Jitter, error: &TransportError) -> Duration {
        let asked = error.retry_after.unwrap_or_default().min(self.max_retry_after);
        // Many may have been asked the same at once.
        jitter
            .between(asked, asked.saturating_add(asked / 4))
            .min(self.max_retry_after)
    }

    /// The longest pause after so many failures.
    pub(super) fn pause(&self, failed: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
        self.first_pause.saturating_mul(doubled).min(self.max_pause)
    }
}

/// Where a syncer's randomness comes from.
#[derive(Debug)]
pub(crate) struct Jitter(Mutex<SmallRng>);

impl Jitter {
    /// The same seed gives the same durations.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Mutex::new(SmallRng::seed_from_u64(seed)))
    }

    pub(crate) fn between(&self, shortest: Duration, longest: Duration) -> Duration {
        // A generator is valid in every state, so a poisoned lock is no reason to stop.
        let mut random = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        random.random_range(shortest..=longest)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::sync::TransportErrorKind;

    fn failure(kind: TransportErrorKind) -> TransportError {
        TransportError {
            peer: "p".into(),
            kind,
            code: None,
            message: "no".into(),
            retry_after: None,
        }
    }

    async fn attempts(policy: &RetryPolicy, kind: TransportErrorKind) -> u32 {
        let sent = Cell::new(0);
        let answer: Result<(), _> = policy
            .send(&Jitter::seeded(1), async || {
                sent.set(sent.get() + 1);
                Err(failure(kind))
            })
            .await;
        assert_eq!(answer, Err(failure(kind)));
        sent.get()
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_can_pass_is_tried_again() {
        let policy = RetryPolicy::default();
        assert_eq!(attempts(&policy, TransportErrorKind::Unavailable).await, 4);
        assert_eq!(attempts(&policy, TransportErrorKind::Refused).await, 1);
        assert_eq!(attempts(&policy, TransportErrorKind::Garbled).await, 1);
        let never = RetryPolicy::never();
        assert_eq!(attempts(&never, TransportErrorKind::Unavailable).await, 1);
    }

    #[tokio::test]
    async fn a_success_ends_it() {
        let sent = Cell::new(0);
        let policy = RetryPolicy::default().first_pause(Duration::ZERO);
        let answer = policy
            .send(&Jitter::seeded(1), async || {
                sent.set(sent.get() + 1);
                if sent.get() < 3 {
                    Err(failure(TransportErrorKind::Unavailable))
                } else {
                    Ok(sent.get())
                }
            })
            .await;
        assert_eq!(answer, Ok(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_asks_for_it_is_left_alone_for_so_long_and_no_longer_than_allowed() {
        let policy = RetryPolicy::default()
            .attempts(2)
            .max_retry_after(Duration::from_mins(1));
        let jitter = Jitter::seeded(1);
        // What is asked for, and between which times it is asked again.
        for (asked, shortest, longest) in [
            (None, 100, 200),
            (Some(0), 100, 200),
            (Some(7), 7_000, 8_750),
            (Some(59), 59_000, 60_000),
            (Some(3_600), 60_000, 60_000),
            (Some(u64::MAX), 60_000, 60_000),
        ] {
            let asked = TransportError {
                retry_after: asked.map(Duration::from_secs),
                ..failure(TransportErrorKind::Unavailable)
            };
            let begun = tokio::time::Instant::now();
            let answer: Result<(), _> = policy.send(&jitter, async || Err(asked.clone())).await;
            assert_eq!(answer, Err(asked.clone()));
            let waited = begun.elapsed().as_millis();
            // A timer goes off within the millisecond after its time.
            assert!((shortest..=longest + 1).contains(&waited), "{asked:?}: {waited} ms");
        }
        let deaf = policy.max_retry_after(Duration::ZERO);
        let asked = TransportError {
            retry_after: Some(Duration::from_secs(7)),
            ..failure(TransportErrorKind::Unavailable)
        };
        assert_eq!(deaf.asked(&jitter, &asked), Duration::ZERO);
    }

    #[test]
    fn the_pause_doubles_up_to_a_limit() {
        let policy = RetryPolicy::default();
        let pauses: Vec<_> = [1, 2, 3, 5, 6, 100].map(|n| policy.pause(n).as_millis()).into();
        assert_eq!(pauses, [200, 400, 800, 3_200, 5_000, 5_000]);
    }
}
