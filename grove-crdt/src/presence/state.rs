//! Who is present where. No lock and no clock in it; the board has those.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use tokio::{task::JoinHandle, time::Instant};

use crate::{
    clock::NodeId,
    presence::{
        Filter, PresenceData, PresenceLimits, Refused,
        claim::{Claims, Shown, Source},
    },
};

pub(super) type Topic = Arc<str>;

/// A presence, as cheap to pass on as it gets.
pub(super) type Seen = (Topic, NodeId, Shown);

/// One presence became another; came, when there was none before; or went, when there is none after.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub topic: Topic,
    pub node: NodeId,
    pub before: Option<Shown>,
    pub after: Option<Shown>,
    /// Whether the claim that ended it was not renewed in time.
    pub expired: bool,
}

/// Invariants: no topic, node or entry is kept empty; `nodes` names each topic that has an entry of the node, and `count`
/// is their number; `deadlines` has exactly the claims that expire.
#[derive(Debug, Default)]
pub(super) struct State {
    topics: BTreeMap<Topic, BTreeMap<NodeId, Claims>>,
    nodes: HashMap<NodeId, Node>,
    count: usize,
    deadlines: BTreeSet<(Instant, Topic, NodeId)>,
    numbers: u64,
    /// What has changed and not been told yet.
    pub changes: Vec<Change>,
    /// The task that waits for deadlines.
    pub expiring: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Node {
    topics: BTreeSet<Topic>,
    connections: usize,
    /// The database that was found to be the node's.
    database: Option<String>,
}

impl State {
    /// A number that was not given out before.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Whether a source may say all this of a node: `None` for leaving.
    ///
    /// # Errors
    ///
    /// The first limit that would be passed.
    pub(super) fn check<'a>(
        &self,
        limits: &PresenceLimits,
        node: &NodeId,
        source: Source,
        said: impl Iterator<Item = (&'a str, Option<&'a PresenceData>)>,
    ) -> Result<(), Refused> {
        let (mut come, mut gone) = (0, 0);
        for (topic, data) in said {
            limits.check_topic(topic)?;
            let nodes = self.topics.get(topic);
            let claims = nodes.and_then(|nodes| nodes.get(node));
            let Some(data) = data else {
                gone += usize::from(claims.is_some_and(|claims| claims.rest_on(source)));
                continue;
            };
            limits.check_data(topic, data)?;
            if claims.is_none() {
                come += 1;
                if nodes.map_or(0, BTreeMap::len) >= limits.nodes_per_topic {
                    return Err(Refused::TooManyNodes {
                        topic: topic.to_owned(),
                        limit: limits.nodes_per_topic,
                    });
                }
            }
        }
        let own = self.nodes.get(node).map_or(0, |node| node.topics.len());
        if come > gone && own + come - gone > limits.topics_per_node {
            return Err(Refused::TooManyTopics {
                node: node.clone(),
                limit: limits.topics_per_node,
            });
        }
        if come > gone && self.count + come - gone > limits.presences {
            return Err(Refused::TooManyPresences {
                limit: limits.presences,
            });
        }
        Ok(())
    }

    pub(super) fn claim(
        &mut self,
        topic: &str,
        node: &NodeId,
        source: Source,
        shown: Shown,
        expires: Option<Instant>,
    ) -> Topic {
        let age = self.number();
        let topic = self.topic(topic);
        let nodes = self.topics.entry(topic.clone()).or_default();
        let claims = nodes.entry(node.clone()).or_default();
        let before = claims.shown().cloned();
        let replaced = claims.set(source, shown, age, expires);
        let after = claims.shown().cloned();
        if before.is_none() {
            self.count += 1;
            let topics = &mut self.nodes.entry(node.clone()).or_default().topics;
            topics.insert(topic.clone());
        }
        if let Some(replaced) = replaced {
            self.deadlines.remove(&(replaced, topic.clone(), node.clone()));
        }
        if let Some(expires) = expires {
            self.deadlines.insert((expires, topic.clone(), node.clone()));
        }
        self.note(topic.clone(), node, before, after, false);
        topic
    }

    /// Takes back what a source claimed, if it did.
    pub(super) fn withdraw(&mut self, topic: &str, node: &NodeId, source: Source, expired: bool) {
        let Some((topic, nodes)) = self.topics.get_key_value(topic) else {
            return;
        };
        if !nodes.contains_key(node) {
            return;
        }
        let topic = topic.clone();
        let Some(nodes) = self.topics.get_mut(&topic) else {
            return;
        };
        let Some(claims) = nodes.get_mut(node) else { return };
        let before = claims.shown().cloned();
        let deadline = claims.remove(source);
        let after = claims.shown().cloned();
        if claims.is_empty() {
            nodes.remove(node);
            if nodes.is_empty() {
                self.topics.remove(&topic);
            }
            self.count -= 1;
            self.forget_topic(node, &topic);
        }
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, topic.clone(), node.clone()));
        }
        self.note(topic, node, before, after, expired);
    }

    /// Remembers which database a node has, for as long as the node is here.
    pub(super) fn note_database(&mut self, node: &NodeId, database: &str) {
        if let Some(known) = self.nodes.get_mut(node)
            && known.database.as_deref() != Some(database)
        {
            known.database = Some(database.to_owned());
        }
    }

    /// Forgets which database a node has.
    pub(super) fn forget_database(&mut self, node: &NodeId) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.database = None;
        }
    }

    /// Whether this is remembered to be a node's database.
    pub(super) fn has_database(&self, node: &NodeId, database: &str) -> bool {
        let known = self.nodes.get(node).and_then(|node| node.database.as_deref());
        known == Some(database)
    }

    pub(super) fn connect(&mut self, node: &NodeId) {
        self.nodes.entry(node.clone()).or_default().connections += 1;
    }

    /// When the last connection of a node ends, all that it posted does.
    pub(super) fn disconnect(&mut self, node: &NodeId) {
        let Some(known) = self.nodes.get_mut(node) else { return };
        known.connections = known.connections.saturating_sub(1);
        if known.connections > 0 {
            return;
        }
        for topic in known.topics.clone() {
            self.withdraw(&topic, node, Source::Posted, false);
        }
        self.forget_if_nothing(node);
    }

    /// Ends what was not renewed in time.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((deadline, ..)) = self.deadlines.first()
            && *deadline <= now
            && let Some((_, topic, node)) = self.deadlines.pop_first()
        {
            self.withdraw(&topic, &node, Source::Posted, true);
        }
    }

    /// When the next claim expires, if any does.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, ..)| *deadline)
    }

    /// All that a filter shows, by topic and node.
    pub(super) fn seen(&self, filter: &Filter) -> Vec<Seen> {
        let mut seen = Vec::new();
        for topic in filter.candidates(self.topics.keys()) {
            let Some((topic, nodes)) = self.topics.get_key_value(topic) else {
                continue;
            };
            let shown = nodes.iter().filter_map(|(node, claims)| {
                let shown = claims.shown().filter(|shown| filter.shows(node, shown))?;
                Some((topic.clone(), node.clone(), shown.clone()))
            });
            seen.extend(shown);
        }
        seen
    }

    fn note(&mut self, topic: Topic, node: &NodeId, before: Option<Shown>, after: Option<Shown>, expired: bool) {
        if before != after {
            self.changes.push(Change {
                topic,
                node: node.clone(),
                before,
                after,
                expired,
            });
        }
    }

    /// The topic's one copy.
    fn topic(&self, topic: &str) -> Topic {
        match self.topics.get_key_value(topic) {
            Some((topic, _)) => topic.clone(),
            None => topic.into(),
        }
    }

    fn forget_topic(&mut self, node: &NodeId, topic: &str) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.topics.remove(topic);
        }
        self.forget_if_nothing(node);
    }

    fn forget_if_nothing(&mut self, node: &NodeId) {
        if let Some(known) = self.nodes.get(node)
            && known.topics.is_empty()
            && known.connections == 0
        {
            self.nodes.remove(node);
        }
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let entries: Vec<_> = self
            .topics
            .iter()
            .flat_map(|(topic, nodes)| nodes.iter().map(move |(node, claims)| (topic, node, claims)))
            .collect();
        assert!(self.topics.values().all(|nodes| !nodes.is_empty()));
        assert!(entries.iter().all(|(_, _, claims)| !claims.is_empty()));
        assert_eq!(self.count, entries.len());
        let named: usize = self.nodes.values().map(|node| node.topics.len()).sum();
        assert_eq!(named, entries.len());
        for (topic, node, _) in entries {
            assert!(self.nodes[node].topics.contains(topic));
        }
        assert!(
            self.nodes
                .values()
                .all(|node| node.connections > 0 || !node.topics.is_empty())
        );
        for (_, topic, node) in &self.deadlines {
            assert!(self.topics[topic].contains_key(node));
        }
    }
}
