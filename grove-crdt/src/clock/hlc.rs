use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::NodeId;

/// A hybrid logical clock value, ordered by (`ts`, `counter`, `node`).
///
/// JSON: `{"ts":1730000000000000,"c":0,"node":"node-1"}`.
///
/// ```
/// use grove_crdt::Hlc;
///
/// let hlc: Hlc = serde_json::from_str(r#"{"ts":1234,"c":0,"node":"node-1"}"#)?;
/// assert_eq!(hlc.to_string(), "HLC{ts:1234 c:0 node:node-1}");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hlc {
    /// Microseconds since the Unix epoch; at most 2^53, so that a JavaScript number holds it exactly.
    pub ts: i64,
    /// Tells writes of one microsecond apart.
    #[serde(rename = "c")]
    pub counter: u32,
    /// The node that wrote.
    pub node: NodeId,
}

/// The greatest timestamp a JavaScript number holds exactly.
pub(crate) const MAX_TS: i64 = 1 << 53;

impl Hlc {
    /// The clock value of adopted rows: it loses to every real write.
    pub(crate) fn baseline() -> Self {
        Self {
            ts: 0,
            counter: 0,
            node: NodeId::baseline(),
        }
    }

    /// Whether the value can have come from a clock or from an adoption at all.
    pub(crate) fn is_plausible(&self) -> bool {
        if self.node.is_baseline() {
            self.ts == 0 && self.counter == 0
        } else {
            self.ts > 0 && self.ts <= MAX_TS
        }
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HLC{{ts:{} c:{} node:{}}}", self.ts, self.counter, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hlc(ts: i64, counter: u32, node: &str) -> Hlc {
        Hlc {
            ts,
            counter,
            node: NodeId::stored(node).unwrap(),
        }
    }

    #[test]
    fn orders_by_time_then_counter_then_node() {
        let mut values = vec![hlc(2, 0, "a"), hlc(1, 1, "a"), hlc(1, 0, "b"), hlc(1, 0, "a")];
        values.sort();
        assert_eq!(values, [hlc(1, 0, "a"), hlc(1, 0, "b"), hlc(1, 1, "a"), hlc(2, 0, "a")]);
    }

    #[test]
    fn the_reserved_node_goes_with_the_zero_clock_only() {
        assert!(Hlc::baseline().is_plausible());
        assert!(!hlc(1, 0, "~").is_plausible());
        assert!(!hlc(0, 0, "a").is_plausible());
        assert!(!hlc(MAX_TS + 1, 0, "a").is_plausible());
        assert!(hlc(MAX_TS, 0, "a").is_plausible());
    }
}
