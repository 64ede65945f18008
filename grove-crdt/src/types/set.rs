//! The add-wins observed-remove set: one cell per element, holding for each node the newest addition seen and the newest
//! addition removed.
//!
//! Source: Bieniusa, Zawirski, Preguiça, Shapiro, Baquero, Balegas, Duarte: *An optimized conflict-free replicated set*,
//! 2012. A node's additions are numbered by its clock, so only its newest one needs to be kept.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::{
    clock::{Hlc, NodeId},
    types::json::canonical,
};

/// The longest canonical text, in bytes, that is its own cell key; a longer one is hashed.
pub(crate) const MAX_ELEMENT_KEY: usize = 128;

/// The cell key of an element.
pub(crate) fn element_key(element: &Json) -> String {
    element_key_of(&canonical(element))
}

/// The same, of an element's canonical text.
pub(super) fn element_key_of(text: &str) -> String {
    if text.len() <= MAX_ELEMENT_KEY {
        return text.to_owned();
    }
    let mut key = String::from("sha256:");
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a String can't fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// A point of one node's clock: (`ts`, `counter`).
pub(crate) type Point = (i64, u32);

/// One node's part in an element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(expecting = "what a node has added and removed, which is a JSON object")]
pub(crate) struct Tags {
    /// The newest addition seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Point>,
    /// The newest addition that was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rem: Option<Point>,
}

/// The state of one element.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Element {
    pub value: Json,
    pub nodes: BTreeMap<NodeId, Tags>,
}

impl Element {
    pub(crate) fn added(value: Json, at: &Hlc) -> Self {
        let tags = Tags {
            add: Some((at.ts, at.counter)),
            rem: None,
        };
        Self {
            value,
            nodes: BTreeMap::from([(at.node.clone(), tags)]),
        }
    }

    /// Present when some addition is newer than its removal.
    pub(crate) fn is_present(&self) -> bool {
        self.nodes.values().any(|tags| tags.add > tags.rem)
    }

    /// Removes every addition seen so far.
    pub(super) fn remove(&mut self) {
        for tags in self.nodes.values_mut() {
            tags.rem = tags.rem.max(tags.add);
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        for (node, tags) in other.nodes {
            let mine = self.nodes.entry(node).or_default();
            mine.add = mine.add.max(tags.add);
            mine.rem = mine.rem.max(tags.rem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(ts: i64, node: &str) -> Hlc {
        Hlc {
            ts,
            counter: 0,
            node: node.parse().unwrap(),
        }
    }

    #[test]
    fn an_unseen_addition_survives_a_removal() {
        let mut here = Element::added(json!("x"), &at(1, "a"));
        let there = {
            let mut there = here.clone();
            there.join(Element::added(json!("x"), &at(2, "b")));
            there
        };
        here.remove();
        assert!(!here.is_present());
        here.join(there);
        assert!(here.is_present());
        here.remove();
        assert!(!here.is_present());
    }

    #[test]
    fn a_long_element_is_hashed() {
        let long = json!("x".repeat(MAX_ELEMENT_KEY));
        assert!(element_key(&long).starts_with("sha256:"));
        assert_eq!(element_key(&long).len(), 71);
        assert_ne!(element_key(&long), element_key(&json!("y".repeat(MAX_ELEMENT_KEY))));
        assert_eq!(
            element_key(&json!("x".repeat(MAX_ELEMENT_KEY - 2))).len(),
            MAX_ELEMENT_KEY
        );
        assert_ne!(element_key(&json!("A")), element_key(&json!("a")));
    }
}
