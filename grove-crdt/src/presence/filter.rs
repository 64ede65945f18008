use std::collections::BTreeSet;

use crate::{
    clock::NodeId,
    presence::{claim::Shown, state::Topic},
};

/// Which presences somebody is told of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// All when absent.
    topics: Option<BTreeSet<String>>,
    hidden: BTreeSet<String>,
    only_of: Option<NodeId>,
    told_to: Option<NodeId>,
}

impl Filter {
    /// Everything.
    pub(crate) fn all() -> Self {
        Self::default()
    }

    /// What is under these topics.
    pub(crate) fn topics<T: Into<String>>(topics: impl IntoIterator<Item = T>) -> Self {
        Self {
            topics: Some(topics.into_iter().map(Into::into).collect()),
            ..Self::default()
        }
    }

    /// Leaves out the topics of these tables: those whose first part, before a colon, is the name of one.
    pub(crate) fn hiding(mut self, tables: impl IntoIterator<Item = String>) -> Self {
        self.hidden.extend(tables);
        self
    }

    /// Leaves out all but what this node says.
    pub(crate) fn only_of(mut self, node: NodeId) -> Self {
        self.only_of = Some(node);
        self
    }

    /// Leaves out what this node knows already: what it said itself, and what came by it.
    pub(crate) fn told_to(mut self, node: NodeId) -> Self {
        self.told_to = Some(node);
        self
    }

    /// The topics to look at: of all those there are, or the ones that were asked for.
    pub(super) fn candidates<'a>(&'a self, all: impl Iterator<Item = &'a Topic>) -> Vec<&'a str> {
        let topics: Vec<&str> = match &self.topics {
            Some(topics) => topics.iter().map(String::as_str).collect(),
            None => all.map(|topic| &**topic).collect(),
        };
        topics
            .into_iter()
            .filter(|topic| !self.hidden.contains(table(topic)))
            .collect()
    }

    pub(super) fn covers(&self, topic: &str) -> bool {
        self.topics.as_ref().is_none_or(|topics| topics.contains(topic)) && !self.hidden.contains(table(topic))
    }

    pub(super) fn shows(&self, node: &NodeId, shown: &Shown) -> bool {
        self.only_of.as_ref().is_none_or(|only| only == node)
            && self
                .told_to
                .as_ref()
                .is_none_or(|told| told != node && !shown.via.contains(told))
    }
}

/// The table that a topic is of, if it is of one.
pub(crate) fn table(topic: &str) -> &str {
    topic.split(':').next().unwrap_or(topic)
}
