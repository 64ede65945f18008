use std::collections::{BTreeMap, BTreeSet};

use crate::clock::NodeId;

/// The other side of an exchange: who asks, as an authenticator has named them; or whom a syncer exchanges with.
///
/// ```
/// use grove_crdt::sync::Peer;
///
/// let edge = Peer::new("edge-1")
///     .bound_to("edge-1".parse()?)
///     .with_attribute("tenant", "acme")
///     .may_only_read(["documents", "prices"])
///     .may_only_write(["documents"]);
/// assert!(edge.reads("prices") && !edge.writes("prices"));
/// # Ok::<(), grove_crdt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// A name for logs, metrics and limits; for a syncer, its transport's.
    pub name: String,
    /// The only node id this peer may ask as; any when absent. For a syncer, the node that answered, once one has.
    pub node: Option<NodeId>,
    /// What the application knows of the peer, such as its tenant.
    pub attributes: BTreeMap<String, String>,
    /// Whether nobody has named it, so that it shares its name with others.
    anonymous: bool,
    sees_metrics: bool,
    /// The tables it may be told of; all when absent.
    readable: Option<BTreeSet<String>>,
    /// The tables it may change; all when absent.
    writable: Option<BTreeSet<String>>,
}

impl Peer {
    /// A peer that may speak for any node id, and read and write every replicated table.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            node: None,
            attributes: BTreeMap::new(),
            anonymous: false,
            sees_metrics: false,
            readable: None,
            writable: None,
        }
    }

    /// A peer that nobody has named, and that may do all the same. Such peers share a name, so what a server limits per
    /// peer is not limited for them.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            anonymous: true,
            sees_metrics: true,
            ..Self::new("anonymous")
        }
    }

    /// Whether nobody has named the peer.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Binds the peer to one node id: a request under any other is refused. The changes in a push are not bound, since
    /// a peer passes on what others wrote.
    #[must_use]
    pub fn bound_to(mut self, node: NodeId) -> Self {
        self.node = Some(node);
        self
    }

    /// Adds something that the application knows of the peer, for its hooks.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// What the application knows of the peer by this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Lets the peer be told of these tables only; of none when there are none.
    #[must_use]
    pub fn may_only_read<T: Into<String>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.readable = Some(tables.into_iter().map(Into::into).collect());
        self
    }

    /// Lets the peer change these tables only; none when there are none.
    #[must_use]
    pub fn may_only_write<T: Into<String>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.writable = Some(tables.into_iter().map(Into::into).collect());
        self
    }

    /// Lets the peer see the [metrics](crate::Replica::metrics) of a server. Others may not, but for those that nobody has named:
    /// where everybody may write everything, there is nothing to hide.
    ///
    /// ```
    /// use grove_crdt::sync::Peer;
    ///
    /// // One that may do nothing else.
    /// let prometheus = Peer::new("prometheus").may_only_read([""; 0]).may_only_write([""; 0]).may_see_metrics();
    /// assert!(prometheus.sees_metrics() && !prometheus.reads("documents"));
    /// ```
    #[must_use]
    pub fn may_see_metrics(mut self) -> Self {
        self.sees_metrics = true;
        self
    }

    /// Whether the peer may see a server's metrics.
    #[must_use]
    pub fn sees_metrics(&self) -> bool {
        self.sees_metrics
    }

    /// Whether the peer may be told of a table.
    #[must_use]
    pub fn reads(&self, table: &str) -> bool {
        self.readable.as_ref().is_none_or(|tables| tables.contains(table))
    }

    /// Whether the peer may change a table.
    #[must_use]
    pub fn writes(&self, table: &str) -> bool {
        self.writable.as_ref().is_none_or(|tables| tables.contains(table))
    }
}
