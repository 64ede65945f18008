/// How much a server takes and gives at once.
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
    pub(super) streams: usize,
    pub(super) streams_per_peer: usize,
    page: usize,
    largest_page: usize,
}

impl Default for Limits {
    /// Bodies of 8 MiB and 500,000 JSON values, pushes of 10,000 changes, pages of 1,000 changes and of 10,000 when asked for,
    /// 1,000 streams and 16 of one peer.
    fn default() -> Self {
        Self {
            body: 8 << 20,
            values: 500_000,
            changes: 10_000,
            streams: 1_000,
            streams_per_peer: 16,
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
