//! A copy of the slot map, for people and tools.

use slotwise::addr::NodeAddr;
use slotwise::ids::NodeId;
use slotwise::slot::SlotRange;
use slotwise::topology::{Health, Map, NodeIndex, Role};

/// A node as the last topology reply told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
    /// Where it is dialled: `host:port`, empty when it cannot be.
    pub addr: String,
    /// Primary or replica.
    pub role: Role,
    /// The primary it follows.
    pub primary: Option<NodeId>,
    /// What is known of its health.
    pub health: Health,
    /// The slots it owns.
    pub slots: Vec<SlotRange>,
}

/// The cluster at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topology {
    /// The map's version in this client.
    pub version: u32,
    /// Every node of the last reply.
    pub nodes: Vec<NodeInfo>,
    /// Slots that nobody owns.
    pub uncovered: Vec<SlotRange>,
}

impl Topology {
    /// Copies a map.
    #[must_use]
    pub fn of(map: &Map<'_>) -> Self {
        let id = |at: NodeIndex| map.node(at).map(slotwise::topology::Node::id);
        let node = |(at, node): (NodeIndex, &slotwise::topology::Node)| NodeInfo {
            id: node.id(),
            addr: map.endpoint(at).as_ref().map(NodeAddr::to_string).unwrap_or_default(),
            role: node.role(),
            primary: node.primary().and_then(id),
            health: node.health(),
            slots: map.ranges().filter(|(_, owner)| *owner == at).map(|(range, _)| range).collect(),
        };
        Self { version: map.version(), nodes: map.nodes().map(node).collect(), uncovered: map.uncovered().collect() }
    }

    /// Primaries that own slots.
    pub fn primaries(&self) -> impl Iterator<Item = &NodeInfo> {
        self.nodes.iter().filter(|node| node.role == Role::Primary && !node.slots.is_empty())
    }

    /// The replicas of a primary.
    pub fn replicas(&self, primary: NodeId) -> impl Iterator<Item = &NodeInfo> {
        self.nodes.iter().filter(move |node| node.primary == Some(primary))
    }

    /// How many slots have an owner.
    #[must_use]
    pub fn covered(&self) -> usize {
        self.nodes
            .iter()
            .flat_map(|node| &node.slots)
            .map(|range| usize::from(range.last().get() - range.first().get()) + 1)
            .sum()
    }
}
