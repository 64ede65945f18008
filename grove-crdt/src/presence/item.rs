//! What a subscriber is told.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    clock::NodeId,
    presence::{PresenceData, claim::Shown, state::Seen},
};

/// One node under one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Presence {
    /// The topic, such as `documents:doc-1`.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::presence::Topic))]
    pub topic: String,
    /// Who is present.
    pub node_id: NodeId,
    /// What the node tells.
    pub data: PresenceData,
    /// The nodes it was passed on by, from the node's own neighbour on; empty when the node said it to the teller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<NodeId>,
}

/// Something that happened to a presence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PresenceEvent {
    /// What happened.
    pub kind: PresenceKind,
    /// Under which topic.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::presence::Topic))]
    pub topic: String,
    /// To which node.
    pub node_id: NodeId,
    /// What the node tells now; nothing when it is gone.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub data: Option<PresenceData>,
    /// The nodes it was passed on by, as of a presence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<NodeId>,
}

/// What can happen to a presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PresenceKind {
    /// The node came.
    Join,
    /// It tells something else, or what it tells comes another way.
    Update,
    /// It left, its last connection ended, or nobody passes it on any longer.
    Leave,
    /// It was not renewed in time.
    Expire,
}

/// All that is there, in the place of whatever the subscriber knew before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceSnapshot {
    /// By topic and node.
    pub presences: Vec<Presence>,
    /// The subscriber fell behind, and events are missing before this.
    pub resync: bool,
    /// Only a part: the next item goes on with it. Never so for a subscriber in the same process.
    pub more: bool,
}

/// What a [subscription](crate::presence::PresenceSubscription) gives.
///
/// As JSON, an event is an object with its `kind`; and so is a snapshot, whose kind is `snapshot`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceItem {
    /// All that is there: at first, and again when the subscriber fell behind.
    Snapshot(PresenceSnapshot),
    /// What happened since.
    Event(PresenceEvent),
}

impl PresenceItem {
    /// The item in parts of about so many bytes as JSON, and one presence at least: for a way that carries no messages
    /// without bound. An event is one part.
    #[must_use]
    pub fn parts(self, bytes: usize) -> Vec<Self> {
        let Self::Snapshot(snapshot) = self else {
            return vec![self];
        };
        let mut parts = vec![Vec::new()];
        let mut size = 0;
        for presence in snapshot.presences {
            let own = presence.size();
            if size > 0 && size + own > bytes {
                parts.push(Vec::new());
                size = 0;
            }
            size += own;
            if let Some(part) = parts.last_mut() {
                part.push(presence);
            }
        }
        let last = parts.len() - 1;
        let part = |(place, presences)| {
            Self::Snapshot(PresenceSnapshot {
                presences,
                resync: snapshot.resync,
                more: place < last,
            })
        };
        parts.into_iter().enumerate().map(part).collect()
    }
}

impl Presence {
    /// About how many bytes it has as JSON.
    fn size(&self) -> usize {
        let via: usize = self.via.iter().map(|node| node.as_str().len() + 3).sum();
        self.topic.len() + self.node_id.as_str().len() + self.data.as_str().len() + via + 48
    }
}

impl From<Seen> for Presence {
    fn from((topic, node_id, Shown { data, via }): Seen) -> Self {
        Self {
            topic: topic.as_ref().to_owned(),
            node_id,
            data,
            via: via.to_vec(),
        }
    }
}

/// A snapshot as it is written.
#[derive(Serialize)]
struct SnapshotForm<'a> {
    kind: Kind,
    presences: &'a [Presence],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resync: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

/// An item as it is read. One flat form, since the text of data would not survive a tagged one.
#[derive(Deserialize)]
struct ItemForm {
    kind: Kind,
    #[serde(default)]
    presences: Vec<Presence>,
    #[serde(default)]
    resync: bool,
    #[serde(default)]
    more: bool,
    topic: Option<String>,
    node_id: Option<NodeId>,
    data: Option<PresenceData>,
    #[serde(default)]
    via: Vec<NodeId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Snapshot,
    Join,
    Update,
    Leave,
    Expire,
}

impl Serialize for PresenceItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Event(event) => event.serialize(serializer),
            Self::Snapshot(snapshot) => SnapshotForm {
                kind: Kind::Snapshot,
                presences: &snapshot.presences,
                resync: snapshot.resync,
                more: snapshot.more,
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PresenceItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = ItemForm::deserialize(deserializer)?;
        let kind = match form.kind {
            Kind::Snapshot => {
                return Ok(Self::Snapshot(PresenceSnapshot {
                    presences: form.presences,
                    resync: form.resync,
                    more: form.more,
                }));
            }
            Kind::Join => PresenceKind::Join,
            Kind::Update => PresenceKind::Update,
            Kind::Leave => PresenceKind::Leave,
            Kind::Expire => PresenceKind::Expire,
        };
        let gone = matches!(kind, PresenceKind::Leave | PresenceKind::Expire);
        let data = form.data.filter(|_| !gone);
        if data.is_none() && !gone {
            return Err(de::Error::missing_field("data"));
        }
        Ok(Self::Event(PresenceEvent {
            kind,
            topic: form.topic.ok_or_else(|| de::Error::missing_field("topic"))?,
            node_id: form.node_id.ok_or_else(|| de::Error::missing_field("node_id"))?,
            data,
            via: form.via,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(topic: &str, data: &str) -> Presence {
        Presence {
            topic: topic.into(),
            node_id: "a".parse().unwrap(),
            data: PresenceData::new(data).unwrap(),
            via: Vec::new(),
        }
    }

    #[test]
    fn items_are_read_as_they_were_written() {
        for text in [
            r#"{"kind":"join","topic":"t","node_id":"a","data":{"x":[1]}}"#,
            r#"{"kind":"update","topic":"t","node_id":"a","data":1.50,"via":["b","c"]}"#,
            r#"{"kind":"leave","topic":"t","node_id":"a","data":null}"#,
            r#"{"kind":"expire","topic":"t","node_id":"a","data":null}"#,
            r#"{"kind":"snapshot","presences":[]}"#,
            r#"{"kind":"snapshot","presences":[{"topic":"t","node_id":"a","data":"x"}],"resync":true,"more":true}"#,
        ] {
            let item: PresenceItem = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&item).unwrap(), text);
        }
        for wrong in [
            r#"{"kind":"join","topic":"t","node_id":"a","data":null}"#,
            r#"{"kind":"join","topic":"t","data":1}"#,
            r#"{"kind":"other"}"#,
            r#"{"topic":"t","node_id":"a","data":1}"#,
        ] {
            assert!(serde_json::from_str::<PresenceItem>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_snapshot_is_parted_by_size() {
        let all: Vec<_> = (0..10).map(|n| presence(&format!("t{n}"), &"x".repeat(100))).collect();
        let whole = PresenceItem::Snapshot(PresenceSnapshot {
            presences: all.clone(),
            resync: true,
            more: false,
        });
        for (bytes, parts) in [(usize::MAX, 1), (500, 4), (0, 10)] {
            let given = whole.clone().parts(bytes);
            assert_eq!(given.len(), parts);
            let mut together = Vec::new();
            for (place, part) in (1..).zip(&given) {
                let PresenceItem::Snapshot(snapshot) = part else {
                    panic!("{part:?}")
                };
                assert_eq!((snapshot.resync, snapshot.more), (true, place < parts));
                assert!(serde_json::to_string(part).unwrap().len() < bytes.max(200).saturating_add(100));
                together.extend(snapshot.presences.clone());
            }
            assert_eq!(together, all);
        }
        let empty = PresenceItem::Snapshot(PresenceSnapshot::default());
        assert_eq!(empty.clone().parts(10), [empty]);
    }
}
