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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(
    feature = "openapi",
    schema(description = "A hybrid logical clock value, ordered by (`ts`, `c`, `node`).")
)]
#[serde(expecting = "a clock value, which is a JSON object")]
pub struct Hlc {
    /// Microseconds since the Unix epoch; at most 2^53, so that a JavaScript number holds it exactly.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_007_199_254_740_992_i64))]
    pub ts: i64,
    /// Tells writes of one microsecond apart.
    #[serde(rename = "c")]
    #[cfg_attr(feature = "openapi", schema(format = "uint32", maximum = 4_294_967_295_i64))]
    pub counter: u32,
    /// The node that wrote.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::clock::Writer))]
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

    /// The next value after this one that `node` can have. It beats this one, and nothing that the writer of this one wrote
    /// after it.
    pub(crate) fn just_above(&self, node: &NodeId) -> Self {
        let (ts, counter) = match (self.ts, self.counter) {
            (ts, _) if ts < 1 => (1, 0),
            (ts, counter) if *node > self.node => (ts, counter),
            (ts, u32::MAX) => (ts + 1, 0),
            (ts, counter) => (ts, counter + 1),
        };
        Self {
            ts,
            counter,
            node: node.clone(),
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
    fn what_is_just_above_is_plausible_and_beats_nothing_later() {
        let node = NodeId::stored("a").unwrap();
        for (value, next) in [
            (hlc(5, 7, "z"), hlc(5, 8, "a")),
            (hlc(5, 7, "A"), hlc(5, 7, "a")),
            (hlc(5, 7, "a"), hlc(5, 8, "a")),
            (hlc(5, u32::MAX, "z"), hlc(6, 0, "a")),
            (Hlc::baseline(), hlc(1, 0, "a")),
        ] {
            assert_eq!(value.just_above(&node), next);
            assert!(next > value && next.is_plausible());
        }
        for writer in ["A", "z"] {
            assert!(hlc(5, 7, writer).just_above(&node) < hlc(5, 8, writer));
        }
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
