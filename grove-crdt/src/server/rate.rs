//! How often something may happen.

use std::{
    hash::Hash,
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

/// How often something may happen: so many times at once, and after that whenever a period has passed.
///
/// ```
/// use grove_crdt::server::{Limits, Rate};
///
/// let limits = Limits::default()
///     .request_rate(Rate::per_second(20).burst(100))
///     .failure_rate(Rate::per_minute(10));
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Rate {
    period: Duration,
    burst: NonZeroU32,
}

impl Rate {
    /// So many times a second, and as many at once; 0 counts as 1.
    pub fn per_second(times: u32) -> Self {
        Self::per(Duration::from_secs(1), times)
    }

    /// So many times a minute, and as many at once; 0 counts as 1.
    pub fn per_minute(times: u32) -> Self {
        Self::per(Duration::from_mins(1), times)
    }

    fn per(time: Duration, times: u32) -> Self {
        let burst = NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
        // A rate can't be so high that nothing is left of the period: nanoseconds are smaller than u32 is large.
        let period = (time / burst.get()).max(Duration::from_nanos(1));
        Self { period, burst }
    }

    /// How many times at once, after a pause; 0 counts as 1.
    pub fn burst(mut self, times: u32) -> Self {
        self.burst = NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
        self
    }
}

/// Below so many keys, no room is made.
const MIN_KEYS: usize = 1_000;

/// Counts how often something happens under each of many keys.
#[derive(Debug)]
pub(super) struct Rates<K: Hash + Eq + Clone, C: Clock = MonotonicClock> {
    buckets: RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<C::Instant>>,
    /// With how many keys to forget those whose bucket is full again, which are like new.
    make_room_at: AtomicUsize,
}

impl<K: Hash + Eq + Clone> Rates<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Self::with_clock(rate, MonotonicClock)
    }
}

impl<K: Hash + Eq + Clone, C: Clock> Rates<K, C> {
    fn with_clock(rate: Rate, clock: C) -> Self {
        // There is none for a period of zero only, and none is zero.
        let quota = Quota::with_period(rate.period).unwrap_or(Quota::per_second(rate.burst));
        Self {
            buckets: RateLimiter::hashmap_with_clock(quota.allow_burst(rate.burst), clock),
            make_room_at: AtomicUsize::new(MIN_KEYS),
        }
    }

    /// Counts one more.
    ///
    /// # Errors
    ///
    /// It is one too many: after this time it would not be.
    pub(super) fn count(&self, key: &K) -> Result<(), Duration> {
        let counted = self.buckets.check_key(key);
        self.make_room();
        counted.map_err(|early| early.wait_time_from(self.buckets.clock().now()))
    }

    /// Memory is bounded by the keys that were used within the time in which a bucket fills.
    fn make_room(&self) {
        if self.buckets.len() < self.make_room_at.load(Ordering::Relaxed) {
            return;
        }
        self.buckets.retain_recent();
        let left = self.buckets.len();
        self.make_room_at.store((2 * left).max(MIN_KEYS), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn a_burst_at_once_and_then_one_a_period() {
        let clock = FakeRelativeClock::default();
        let rates = Rates::with_clock(Rate::per_second(10).burst(3), clock.clone());
        for _ in 0..3 {
            assert_eq!(rates.count(&"a"), Ok(()));
        }
        assert_eq!(rates.count(&"a"), Err(Duration::from_millis(100)));
        assert_eq!(rates.count(&"b"), Ok(()), "another's bucket");
        clock.advance(Duration::from_millis(60));
        assert_eq!(rates.count(&"a"), Err(Duration::from_millis(40)));
        clock.advance(Duration::from_millis(40));
        assert_eq!(rates.count(&"a"), Ok(()));
        assert_eq!(rates.count(&"a"), Err(Duration::from_millis(100)));
        clock.advance(Duration::from_mins(1));
        for _ in 0..3 {
            assert_eq!(rates.count(&"a"), Ok(()));
        }
        assert!(rates.count(&"a").is_err());
    }

    #[test]
    fn no_rate_is_none_and_none_is_too_high() {
        let rates = Rates::with_clock(Rate::per_minute(0), FakeRelativeClock::default());
        assert_eq!(rates.count(&()), Ok(()));
        assert_eq!(rates.count(&()), Err(Duration::from_mins(1)));
        let rates = Rates::with_clock(Rate::per_second(u32::MAX).burst(0), FakeRelativeClock::default());
        assert_eq!(rates.count(&()), Ok(()));
        assert_eq!(rates.count(&()), Err(Duration::from_nanos(1)));
    }

    #[test]
    fn keys_that_are_like_new_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let rates = Rates::with_clock(Rate::per_second(1), clock.clone());
        for key in 0..100_000 {
            clock.advance(Duration::from_millis(1));
            rates.count(&key).unwrap();
        }
        // Within a second come a thousand keys, and there may be twice as many before room is made.
        assert!(rates.buckets.len() <= 2_001, "{}", rates.buckets.len());
    }
}
