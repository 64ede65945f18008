use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

/// The name of one writer: 1 to 64 characters of `[A-Za-z0-9._:-]`.
///
/// ```
/// use grove_crdt::NodeId;
///
/// let node: NodeId = "edge-7".parse()?;
/// assert_eq!(node.as_str(), "edge-7");
/// assert!("edge 7".parse::<NodeId>().is_err());
/// # Ok::<(), grove_crdt::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

/// The node of baselines. No parsed id can be equal to it.
const BASELINE: &str = "~";

impl NodeId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The reserved writer of adopted rows: the same data adopted on two nodes is one history.
    pub(crate) fn baseline() -> Self {
        Self(BASELINE.into())
    }

    /// Whether this is the reserved writer of adopted rows.
    #[must_use]
    pub fn is_baseline(&self) -> bool {
        Self::is_baseline_text(&self.0)
    }

    /// Whether a text is the id of that writer.
    pub(crate) fn is_baseline_text(id: &str) -> bool {
        id == BASELINE
    }

    /// An id as it stands in a shadow table or on the wire, where the reserved one may occur.
    pub(crate) fn stored(id: &str) -> Result<Self, Error> {
        if id == BASELINE {
            return Ok(Self::baseline());
        }
        id.parse()
    }
}

impl FromStr for NodeId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self, Error> {
        let refuse = |reason| {
            Err(Error::InvalidNodeId {
                id: id.chars().take(80).collect(),
                reason,
            })
        };
        if id.is_empty() || id.len() > 64 {
            return refuse("an id has 1 to 64 characters");
        }
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b)) {
            return refuse("only letters, digits and `.` `_` `:` `-` are allowed");
        }
        Ok(Self(id.into()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Self::stored(&id).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_documented_alphabet_and_length_only() {
        for good in ["a", "A-1", "eu.west:1_b", &"x".repeat(64)] {
            assert!(good.parse::<NodeId>().is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "ü", "a/b", "~", "a'b", &"x".repeat(65)] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_store_and_the_wire_know_the_baseline() {
        assert!(NodeId::stored("~").unwrap().is_baseline());
        assert!(!NodeId::stored("a").unwrap().is_baseline());
    }
}
