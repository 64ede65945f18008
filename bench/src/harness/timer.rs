use std::time::Instant;

/// Measures a stretch of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer(Instant);

impl Timer {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The seconds since the start.
    pub(crate) fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    /// The seconds that each of so many items took.
    pub(crate) fn each(self, items: usize) -> f64 {
        self.seconds() / count(items)
    }
}

/// A count as a number to reckon with; counts here are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "nothing is counted beyond 2^53")]
pub(crate) fn count(items: usize) -> f64 {
    items as f64
}
