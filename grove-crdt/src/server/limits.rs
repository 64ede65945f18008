use std::time::Duration;

use crate::server::Rate;

/// How much a server takes and gives at once, how often, and how long it waits.
///
/// ```
/// use grove_crdt::server::Limits;
///
/// let limits = Limits::default().body(1 << 20).largest_page(500);
/// # let _ = limits;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    pub(super) body: usize,
    pub(super) values: usize,
    pub(super) changes: usize,
    pub(super) large_bodies: usize,
    pub(super) streams: usize,
    pub(super) streams_per_peer: usize,
    pub(super) request_rate: Option<Rate>,
    pub(super) failure_rate: Option<Rate>,
    pub(super) read_timeout: Duration,
    pub(super) answer_timeout: Duration,
    page: usize,
    largest_page: usize,
}

impl Default for Limits {
    /// Bodies of 8 MiB and 500,000 JSON values, 8 large ones at once, pushes of 10,000 changes, pages of 1,000 changes and of
    /// 10,000 when asked for, 1,000 streams and 16 of one peer, 100 requests of one peer a second and 200 at once, one failed authentication a second
    /// and 60 at once, 30 seconds to read a request and 60 to answer it.
    fn default() -> Self {
        Self {
            body: 8 << 20,
            values: 500_000,
            changes: 10_000,
            large_bodies: 8,
            streams: 1_000,
            streams_per_peer: 16,
            request_rate: Some(Rate::per_second(100).burst(200)),
            failure_rate: Some(Rate::per_second(1).burst(60)),
            read_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_mins(1),
            page: 1_000,
            largest_page: 10_000,
        }
    }
}

impl Limits {
    /// The largest body taken, in bytes: on the wire, and after decompression as well.
    pub fn body(mut self, bytes: usize) -> Self {
        self.body = bytes;
        self
    }

    /// The largest number of JSON values taken in one body. It bounds what a body may take of memory; a change has about
    /// fifteen, and those that its own value consists of.
    pub fn values(mut self, values: usize) -> Self {
        self.values = values;
        self
    }

    /// The largest number of changes taken in one push.
    pub fn changes_per_push(mut self, changes: usize) -> Self {
        self.changes = changes;
        self
    }

    /// How many bodies of more than 64 KiB are made into values at once, and answered; 0 counts as 1. The others wait as text,
    /// for as long as an answer may take. Values take several times as much memory as their text, so it is this that bounds what
    /// all peers together can take.
    pub fn large_bodies(mut self, bodies: usize) -> Self {
        self.large_bodies = bodies.max(1);
        self
    }

    /// The number of changes in a page when a pull does not say; 0 counts as 1.
    pub fn page(mut self, changes: usize) -> Self {
        self.page = changes.max(1);
        self
    }

    /// The largest number of changes in a page, however many a pull asks for; 0 counts as 1, and more than 10,000 as
    /// 10,000.
    pub fn largest_page(mut self, changes: usize) -> Self {
        self.largest_page = changes.max(1);
        self
    }

    /// How many streams may be open at once, of all peers together. One more is answered with 429.
    pub fn streams(mut self, streams: usize) -> Self {
        self.streams = streams;
        self
    }

    /// How many streams one peer may have open at once; peers are told apart by their names. Those that nobody has named
    /// (see [`AllowAnonymous`](crate::server::AllowAnonymous)) are bounded by [`streams`](Self::streams) alone.
    pub fn streams_per_peer(mut self, streams: usize) -> Self {
        self.streams_per_peer = streams;
        self
    }

    /// How often one peer may ask, whatever for; `None` for as often as it likes. More is answered with 429. Peers are told
    /// apart by their names; those that nobody has named are not counted.
    pub fn request_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.request_rate = rate.into();
        self
    }

    /// How often requests may fail to say who they are from before they are answered with 429; `None` for as often as they
    /// like.
    ///
    /// When the server knows addresses, because it is served with
    /// [`into_make_service_with_connect_info::<SocketAddr>`](axum::Router::into_make_service_with_connect_info), each
    /// address is counted alone, an IPv6 network of 64 bits as one, and what comes from one with too many failures is
    /// refused unseen. Behind a proxy, everything comes from the proxy's address: serve without it there. Without addresses all failures are counted
    /// together, and nobody who can say who they are is refused.
    pub fn failure_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.failure_rate = rate.into();
        self
    }

    /// How long the body of a request may take to arrive, from when its head has. After that it is answered with 408. How
    /// long a head may take is up to whatever serves the routes.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// How long a request that was read may take to be answered. After that it is answered with 503, and what was begun
    /// for it goes on to its end all the same: a push that is sent again is then known already.
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// How many changes to answer with when so many are asked for.
    pub(super) fn page_for(&self, asked: Option<usize>) -> usize {
        asked.unwrap_or(self.page).min(self.largest_page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_is_asked_for_within_the_limit() {
        let limits = Limits::default();
        assert_eq!(limits.page_for(None), 1_000);
        assert_eq!(limits.page_for(Some(7)), 7);
        assert_eq!(limits.page_for(Some(usize::MAX)), 10_000);
        assert_eq!(limits.largest_page(10).page_for(None), 10);
    }
}
