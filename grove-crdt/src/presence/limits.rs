use std::time::Duration;

use crate::presence::{PresenceData, Refused};

/// How long presences stand, and how many and how large they may be. They hold for what is posted, for what is joined by
/// the program itself, and for what comes from peers.
///
/// ```
/// use std::time::Duration;
/// use grove_crdt::presence::PresenceLimits;
///
/// let limits = PresenceLimits::default().ttl(Duration::from_secs(10)).data(1 << 10);
/// # let _ = limits;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PresenceLimits {
    pub(super) ttl: Duration,
    pub(crate) data: usize,
    pub(crate) topic: usize,
    pub(crate) topics_per_node: usize,
    pub(crate) nodes_per_topic: usize,
    pub(crate) presences: usize,
}

impl Default for PresenceLimits {
    /// 30 seconds; 4 KiB of data and 256 bytes of topic; 100 topics per node, 1,000 nodes per topic and 100,000 presences
    /// in all.
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            data: 4 << 10,
            topic: 256,
            topics_per_node: 100,
            nodes_per_topic: 1_000,
            presences: 100_000,
        }
    }
}

impl PresenceLimits {
    /// How long a presence that was posted stands without being posted again; 30 seconds, unless set, and a millisecond at
    /// least. Clients are told, and post again three times as often.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.max(Duration::from_millis(1));
        self
    }

    /// The most data under one topic, in bytes of JSON without blanks; 4 KiB, unless set.
    pub fn data(mut self, bytes: usize) -> Self {
        self.data = bytes;
        self
    }

    /// The longest topic, in bytes; 256, unless set.
    pub fn topic(mut self, bytes: usize) -> Self {
        self.topic = bytes;
        self
    }

    /// Under how many topics one node may be present; 100, unless set.
    pub fn topics_per_node(mut self, topics: usize) -> Self {
        self.topics_per_node = topics;
        self
    }

    /// How many nodes may be present under one topic; 1,000, unless set.
    pub fn nodes_per_topic(mut self, nodes: usize) -> Self {
        self.nodes_per_topic = nodes;
        self
    }

    /// How many presences there may be in all; 100,000, unless set. Together with the size of the data this bounds what
    /// presence takes of memory.
    pub fn presences(mut self, presences: usize) -> Self {
        self.presences = presences;
        self
    }

    /// # Errors
    ///
    /// What is no topic.
    pub(crate) fn check_topic(&self, topic: &str) -> Result<(), Refused> {
        if topic.is_empty() || topic.len() > self.topic || topic.chars().any(char::is_control) {
            return Err(Refused::Topic {
                topic: topic.chars().take(80).collect(),
                limit: self.topic,
            });
        }
        Ok(())
    }

    /// # Errors
    ///
    /// Data that is too large.
    pub(super) fn check_data(&self, topic: &str, data: &PresenceData) -> Result<(), Refused> {
        let bytes = data.as_str().len();
        if bytes > self.data {
            return Err(Refused::TooLarge {
                topic: topic.to_owned(),
                bytes,
                limit: self.data,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_a_short_line() {
        let limits = PresenceLimits::default();
        for good in ["a", "documents:doc-1", "Räume: 🚪", &"x".repeat(256)] {
            assert_eq!(limits.check_topic(good), Ok(()), "{good}");
        }
        for bad in ["", "a\nb", "\0", "\u{85}", &"x".repeat(257), &"ä".repeat(129)] {
            assert!(limits.check_topic(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn data_is_counted_in_bytes() {
        let limits = PresenceLimits::default().data(6);
        assert_eq!(limits.check_data("t", &PresenceData::new("1234").unwrap()), Ok(()));
        assert!(limits.check_data("t", &PresenceData::new("äää").unwrap()).is_err());
    }
}
