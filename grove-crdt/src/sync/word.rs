//! What this node says of itself, and what a peer knows of it.

use std::collections::BTreeMap;

use crate::presence::{PresenceData, PresenceItem};

/// What is said, by topic; nothing to leave.
pub(super) type Said = BTreeMap<String, Option<PresenceData>>;

#[derive(Debug, Default)]
pub(super) struct Word {
    /// What stands here.
    own: BTreeMap<String, PresenceData>,
    /// What the peer may have; `None` when it is not known what it has.
    there: Said,
    /// What the peer does not take, and whether it may later.
    refused: BTreeMap<String, (PresenceData, bool)>,
}

impl Word {
    /// Takes an item of this node's own board.
    pub(super) fn hear(&mut self, item: PresenceItem) {
        match item {
            PresenceItem::Snapshot(snapshot) => {
                let all = snapshot.presences.into_iter();
                self.own = all.map(|presence| (presence.topic, presence.data)).collect();
            }
            PresenceItem::Event(event) => match event.data {
                Some(data) => _ = self.own.insert(event.topic, data),
                None => _ = self.own.remove(&event.topic),
            },
        }
        let own = &self.own;
        self.refused.retain(|topic, (data, _)| own.get(topic) == Some(data));
    }

    /// Whether nothing stands here and nothing there, so that nothing has to be told again.
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.there.is_empty()
    }

    /// What the peer does not know yet.
    pub(super) fn news(&self) -> Said {
        let mut said = self.standing();
        // A leave is always news: `there` has nothing that is known to be gone.
        said.retain(|topic, data| data.is_none() || self.there.get(topic) != Some(data));
        said
    }

    /// Everything; what may be taken by now is offered again.
    pub(super) fn all(&mut self) -> Said {
        self.refused.retain(|_, (_, may_pass)| !*may_pass);
        self.standing()
    }

    /// That nothing stands any longer.
    pub(super) fn farewell(&self) -> Said {
        self.there.keys().map(|topic| (topic.clone(), None)).collect()
    }

    /// This is being told: until it is answered, nobody knows what the peer has.
    pub(super) fn telling(&mut self, said: &Said) {
        self.there.extend(said.keys().map(|topic| (topic.clone(), None)));
    }

    /// The peer took this.
    pub(super) fn told(&mut self, said: Said) {
        for (topic, data) in said {
            match data {
                Some(data) => _ = self.there.insert(topic, Some(data)),
                None => _ = self.there.remove(&topic),
            }
        }
    }

    /// The peer did not take this. Where it has something older, that is wrong now, and is taken back.
    pub(super) fn refused(&mut self, said: Said, may_pass: bool) {
        for (topic, data) in said {
            match data {
                Some(data) => _ = self.refused.insert(topic, (data, may_pass)),
                None => _ = self.there.remove(&topic),
            }
        }
    }

    /// Nobody knows what the peer has.
    pub(super) fn forget(&mut self) {
        self.there.values_mut().for_each(|there| *there = None);
    }

    /// What the peer should have, and that it should not have what it has besides.
    fn standing(&self) -> Said {
        let refused = |topic: &str, data: &PresenceData| self.refused.get(topic).is_some_and(|(own, _)| own == data);
        let mut said = self.farewell();
        let own = self.own.iter().filter(|(topic, data)| !refused(topic, data));
        said.extend(own.map(|(topic, data)| (topic.clone(), Some(data.clone()))));
        said
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn said(json: Json) -> Said {
        serde_json::from_value(json).unwrap()
    }

    fn word(own: Json) -> Word {
        let mut word = Word::default();
        word.hear(all(own));
        word
    }

    fn all(own: Json) -> PresenceItem {
        let own: BTreeMap<String, Json> = serde_json::from_value(own).unwrap();
        let presences: Vec<_> = own
            .into_iter()
            .map(|(topic, data)| json!({ "topic": topic, "node_id": "a", "data": data }))
            .collect();
        let snapshot = json!({ "kind": "snapshot", "presences": presences });
        serde_json::from_str(&snapshot.to_string()).unwrap()
    }

    #[test]
    fn only_what_is_new_is_news_and_everything_is_renewed() {
        let mut word = word(json!({ "x": 1, "y": 2 }));
        assert_eq!(word.news(), said(json!({ "x": 1, "y": 2 })));
        word.told(word.news());
        assert_eq!(word.news(), Said::new());
        word.hear(all(json!({ "x": 1, "z": 3 })));
        assert_eq!(word.news(), said(json!({ "y": null, "z": 3 })));
        assert_eq!(word.all(), said(json!({ "x": 1, "y": null, "z": 3 })));
        word.told(word.news());
        assert_eq!(word.all(), said(json!({ "x": 1, "z": 3 })));
        assert_eq!(word.farewell(), said(json!({ "x": null, "z": null })));
    }

    #[test]
    fn what_may_have_arrived_is_said_again_or_taken_back() {
        let mut word = word(json!({ "x": 1, "y": 2 }));
        word.telling(&word.news());
        word.hear(all(json!({ "x": 1 })));
        assert_eq!(word.news(), said(json!({ "x": 1, "y": null })));
        word.told(word.news());
        word.forget();
        assert_eq!(word.news(), said(json!({ "x": 1 })));
    }

    #[test]
    fn what_was_refused_is_offered_again_when_it_changes_or_may_pass() {
        let mut word = word(json!({ "never": 1, "later": 1, "old": 1 }));
        word.told(said(json!({ "old": 1 })));
        word.hear(all(json!({ "never": 1, "later": 1, "old": 2 })));
        word.refused(said(json!({ "never": 1, "old": 2 })), false);
        word.refused(said(json!({ "later": 1 })), true);
        assert_eq!(word.news(), said(json!({ "old": null })));
        word.told(word.news());
        assert_eq!(word.all(), said(json!({ "later": 1 })));
        word.hear(all(json!({ "never": 2, "later": 1 })));
        assert_eq!(word.news(), said(json!({ "never": 2, "later": 1 })));
    }

    #[test]
    fn a_leave_that_is_refused_is_not_said_for_ever() {
        let mut word = word(json!({}));
        word.telling(&said(json!({ "x": 1 })));
        word.refused(word.news(), false);
        assert!(word.is_empty());
    }
}
