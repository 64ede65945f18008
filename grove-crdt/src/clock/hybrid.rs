use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::clock::{Hlc, NodeId, WallClock, hlc::MAX_TS};

/// One node's hybrid logical clock.
#[derive(Debug)]
pub(crate) struct Clock {
    node: NodeId,
    wall: Arc<dyn WallClock>,
    max_drift: Duration,
    last: Mutex<(i64, u32)>,
}

impl Clock {
    /// A clock whose next value is above `newest`, the newest value known from before.
    pub(crate) fn new(node: NodeId, wall: Arc<dyn WallClock>, max_drift: Duration, newest: Option<&Hlc>) -> Self {
        let last = newest.map_or((0, 0), |hlc| (hlc.ts, hlc.counter));
        Self {
            node,
            wall,
            max_drift,
            last: Mutex::new(last),
        }
    }

    pub(crate) fn node(&self) -> &NodeId {
        &self.node
    }

    pub(crate) fn now_micros(&self) -> i64 {
        self.wall.now_micros()
    }

    /// A new value, above every value given out before and above `above`.
    pub(crate) fn tick(&self, above: Option<&Hlc>) -> Hlc {
        let now = self.wall.now_micros().clamp(1, MAX_TS);
        // The guarded pair is valid after any panic, so a poisoned lock is no reason to stop.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let floor = above.map_or(*last, |hlc| (*last).max((hlc.ts, hlc.counter)));
        let (ts, counter) = match floor {
            (ts, _) if now > ts => (now, 0),
            (ts, u32::MAX) => (ts + 1, 0),
            (ts, counter) => (ts, counter + 1),
        };
        *last = (ts, counter);
        Hlc {
            ts,
            counter,
            node: self.node.clone(),
        }
    }

    /// Microseconds by which `hlc` is further ahead of the wall clock than allowed, or `None` when it is not.
    pub(crate) fn ahead(&self, hlc: &Hlc) -> Option<i64> {
        let allowed = i64::try_from(self.max_drift.as_micros()).unwrap_or(i64::MAX);
        let limit = self.wall.now_micros().saturating_add(allowed);
        (hlc.ts > limit).then(|| hlc.ts.saturating_sub(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;

    fn clock(wall: &FakeClock, newest: Option<&Hlc>) -> Clock {
        let node = "a".parse().unwrap();
        Clock::new(node, Arc::new(wall.clone()), Duration::from_mins(1), newest)
    }

    #[test]
    fn never_repeats_and_never_goes_back_with_the_wall() {
        let wall = FakeClock::at(1_000);
        let clock = clock(&wall, None);
        let mut previous = clock.tick(None);
        for wall_now in [1_000, 500, 1, 2_000, 2_000, 1_999] {
            wall.set(wall_now);
            let next = clock.tick(None);
            assert!(next > previous, "{next} after {previous}");
            previous = next;
        }
    }

    #[test]
    fn starts_above_what_the_database_holds() {
        let wall = FakeClock::at(10);
        let newest = Hlc {
            ts: 5_000,
            counter: 7,
            node: "b".parse().unwrap(),
        };
        assert!(clock(&wall, Some(&newest)).tick(None) > newest);
    }

    #[test]
    fn a_write_is_above_what_the_record_already_has() {
        let wall = FakeClock::at(10);
        let seen = Hlc {
            ts: 90,
            counter: u32::MAX,
            node: "z".parse().unwrap(),
        };
        let hlc = clock(&wall, None).tick(Some(&seen));
        assert_eq!((hlc.ts, hlc.counter), (91, 0));
    }

    #[test]
    fn tells_how_far_ahead_a_remote_value_is() {
        let wall = FakeClock::at(0);
        let clock = clock(&wall, None);
        let at = |ts| Hlc {
            ts,
            counter: 0,
            node: "b".parse().unwrap(),
        };
        assert_eq!(clock.ahead(&at(60_000_000)), None);
        assert_eq!(clock.ahead(&at(60_000_001)), Some(1));
    }
}
