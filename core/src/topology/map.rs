//! The slot map as others read it.

use super::hosts::{Row, Tag};
use super::node::{MAX_NODES, NONE, Node, NodeIndex};
use super::ranges::{RangeEntry, Runs, UNCOVERED, UNKNOWN};
use crate::addr::NodeAddr;
use crate::ids::NodeId;
use crate::slot::{Slot, SlotRange};

/// The counters of one map; the tables they count lie in [`MapParts`]. 20 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct MapHead {
    pub(super) version: u32,
    pub(super) hosts: u32,
    pub(super) nodes: u16,
    pub(super) ranges: u16,
    /// Slots that are in the table.
    pub(super) stored: u16,
    /// Slots that were named, stored or not.
    pub(super) named: u16,
    pub(super) flags: u8,
}

/// Ranges were left out for want of entries: what the table does not cover is unknown, not uncovered.
pub(super) const RANGES_CUT: u8 = 1;
/// Nodes were left out for want of entries; their slots are unknown.
pub(super) const NODES_CUT: u8 = 2;
/// Hosts were left out for want of bytes; their nodes cannot be dialled by them.
pub(super) const HOSTS_CUT: u8 = 4;
/// Ranges were added in another order than by slot and need sorting.
pub(super) const UNSORTED: u8 = 8;
/// Slots may hang on a node that turned out to be a replica.
pub(super) const OWNERS_UNSURE: u8 = 16;
/// A patch found no room for a split range.
pub(super) const RANGES_FULL: u8 = 32;

impl MapHead {
    /// The head of an empty map, version 0.
    #[must_use]
    pub const fn new() -> Self {
        Self { version: 0, hosts: 0, nodes: 0, ranges: 0, stored: 0, named: 0, flags: 0 }
    }

    /// The map's version: it grows with every change that is visible to readers.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Makes this head the successor of `previous`: for callers that keep two sets of tables and swap them when a
    /// reply is complete.
    pub const fn follow(&mut self, previous: &MapHead) {
        self.version = previous.version.wrapping_add(1);
    }
}

/// The tables of one map, lent by the caller. With `dense` the map looks up a slot in one load and never runs out
/// of ranges (`ranges` may then be empty); without it, slots are kept as sorted ranges of 4 bytes each.
#[derive(Debug, Default)]
pub struct MapParts<'a> {
    /// Nodes, 48 bytes each. At most [`MAX_NODES`] are used.
    pub nodes: &'a mut [Node],
    /// Ranges, 4 bytes each: one per range, plus one per gap. A reply whose ranges are not sorted by slot (Redis
    /// 3.0 to 6.0, CLUSTER NODES) needs up to two per range while it is read.
    pub ranges: &'a mut [RangeEntry],
    /// Host names and addresses: 2 bytes more than the text each. Equal hosts of neighbouring nodes are stored once.
    pub hosts: &'a mut [u8],
    /// The dense table, one `u16` per slot, or `None`. Shorter than 16,384 counts as none.
    pub dense: Option<&'a mut [u16]>,
}

impl MapParts<'_> {
    /// The same tables, lent on.
    #[must_use]
    pub fn reborrow(&mut self) -> MapParts<'_> {
        MapParts {
            nodes: &mut *self.nodes,
            ranges: &mut *self.ranges,
            hosts: &mut *self.hosts,
            dense: self.dense.as_deref_mut(),
        }
    }

    /// The map these tables hold.
    #[must_use]
    pub fn map<'m>(&'m self, head: &MapHead) -> Map<'m> {
        Map::new(head, &*self.nodes, &*self.ranges, &*self.hosts, self.dense.as_deref())
    }
}

/// Who serves a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Owner {
    /// This node.
    Node(NodeIndex),
    /// Nobody, says the last topology reply.
    Uncovered,
    /// Somebody, but the map had no room to keep who: ask any node and follow its MOVED.
    Unknown,
}

/// A read view of a slot map. `Copy`; the tables stay the caller's.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    pub(super) head: MapHead,
    pub(super) nodes: &'a [Node],
    pub(super) ranges: &'a [RangeEntry],
    pub(super) hosts: &'a [u8],
    pub(super) dense: Option<&'a [u16]>,
}

impl<'a> Map<'a> {
    /// The map of `head` over its tables (whole slices, not only the used part).
    #[must_use]
    pub fn new(
        head: &MapHead,
        nodes: &'a [Node],
        ranges: &'a [RangeEntry],
        hosts: &'a [u8],
        dense: Option<&'a [u16]>,
    ) -> Self {
        let used = ranges.get(..usize::from(head.ranges)).unwrap_or(ranges);
        let dense = dense.filter(|table| table.len() >= usize::from(Slot::COUNT));
        Self { head: *head, nodes, ranges: used, hosts, dense }
    }

    /// A map without nodes and slots.
    #[must_use]
    pub const fn empty() -> Self {
        Self { head: MapHead::new(), nodes: &[], ranges: &[], hosts: &[], dense: None }
    }

    /// Who serves `slot`. One load with a dense table, a binary search without.
    #[must_use]
    #[inline]
    pub fn owner(&self, slot: Slot) -> Owner {
        let code = match self.dense {
            Some(dense) if self.head.stored != 0 => dense.get(slot.index()).copied().unwrap_or(UNKNOWN),
            Some(_) => UNCOVERED,
            None => {
                let after = self.ranges.partition_point(|entry| entry.first <= slot.get());
                self.ranges.get(after.wrapping_sub(1)).map_or(UNCOVERED, |entry| entry.node)
            }
        };
        self.owner_of_code(code)
    }

    pub(super) fn owner_of_code(&self, code: u16) -> Owner {
        if code < self.head.nodes {
            Owner::Node(NodeIndex(code))
        } else if code == UNCOVERED && self.head.flags & RANGES_CUT == 0 {
            Owner::Uncovered
        } else {
            Owner::Unknown
        }
    }

    /// The node at `index`.
    #[must_use]
    pub fn node(&self, index: NodeIndex) -> Option<&'a Node> {
        if index.0 < self.head.nodes { self.nodes.get(index.index()) } else { None }
    }

    /// All nodes with their indexes: in the order of the reply, primaries of a shard before its replicas.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeIndex, &'a Node)> + Clone + use<'a> {
        let used = self.nodes.get(..usize::from(self.head.nodes)).unwrap_or(self.nodes);
        (0..self.head.nodes).map(NodeIndex).zip(used)
    }

    /// How many nodes there are.
    #[must_use]
    pub const fn node_count(&self) -> usize {
        self.head.nodes as usize
    }

    /// The node with this id.
    #[must_use]
    pub fn find(&self, id: &NodeId) -> Option<NodeIndex> {
        let mut at = self.nodes.get(bucket(id, self.nodes.len()))?.bucket;
        // A chain holds each node at most once: no more steps than nodes.
        for _ in 0..self.head.nodes {
            let node = self.node(NodeIndex(at))?;
            if node.id == *id {
                return Some(NodeIndex(at));
            }
            at = node.chain;
        }
        None
    }

    /// The node with this host (its preferred endpoint, IP address or host name, letters of either case) and port.
    /// Where several match, one that may be dialled comes first.
    #[must_use]
    pub fn find_addr(&self, host: &str, port: u16) -> Option<NodeIndex> {
        let matching = || self.nodes().filter(|(_, node)| node.port == port && self.row(node).names(host));
        matching().find(|(_, node)| node.is_routable()).or_else(|| matching().next()).map(|(index, _)| index)
    }

    /// The address to dial a node at; `None` when it has none or must not be dialled ([`Node::is_routable`]).
    #[must_use]
    pub fn addr(&self, index: NodeIndex) -> Option<NodeAddr<'a>> {
        if self.node(index)?.is_routable() { self.endpoint(index) } else { None }
    }

    /// The address of a node whether it may be dialled or not.
    #[must_use]
    pub fn endpoint(&self, index: NodeIndex) -> Option<NodeAddr<'a>> {
        let node = self.node(index)?;
        NodeAddr::new(self.row(node).host()?, node.port).ok()
    }

    /// The node's IP address where the reply gave one beside the preferred endpoint.
    #[must_use]
    pub fn ip(&self, index: NodeIndex) -> Option<&'a str> {
        self.row(self.node(index)?).get(Tag::Ip)
    }

    /// The node's host name where the reply gave one beside the preferred endpoint.
    #[must_use]
    pub fn hostname(&self, index: NodeIndex) -> Option<&'a str> {
        self.row(self.node(index)?).get(Tag::Hostname)
    }

    /// The node's availability zone (Valkey 9.1 and later, where configured).
    #[must_use]
    pub fn zone(&self, index: NodeIndex) -> Option<&'a str> {
        self.row(self.node(index)?).get(Tag::Zone)
    }

    pub(super) fn row(&self, node: &Node) -> Row<'a> {
        let (at, len) = node.hosts();
        let bytes = self.hosts.get(at as usize..).and_then(|rest| rest.get(..usize::from(len)));
        Row::new(bytes.unwrap_or(&[]))
    }

    /// The replicas of a primary that may serve reads ([`Node::is_readable`]), in the order of the reply.
    pub fn replicas(&self, primary: NodeIndex) -> impl Iterator<Item = NodeIndex> + use<'a> {
        let map = *self;
        self.all_replicas(primary).filter(move |index| map.node(*index).is_some_and(Node::is_readable))
    }

    /// All replicas of a primary, failed and loading ones included, in the order of the reply.
    pub fn all_replicas(&self, primary: NodeIndex) -> impl Iterator<Item = NodeIndex> + use<'a> {
        let map = *self;
        let mut at = self.node(primary).filter(|node| node.is_primary()).map_or(NONE, |node| node.link);
        // No more steps than nodes, whatever the links say.
        (0..self.head.nodes).map_while(move |_| {
            let index = NodeIndex(at);
            at = map.node(index)?.sibling;
            Some(index)
        })
    }

    /// A node's shard: its primary (itself, for a primary); `None` for a replica without a known primary.
    #[must_use]
    pub fn shard(&self, index: NodeIndex) -> Option<Shard<'a>> {
        let node = self.node(index)?;
        let primary = if node.is_primary() { index } else { node.primary()? };
        Some(Shard { map: *self, primary })
    }

    /// The shards: one per primary, slots or not, in the order of the reply.
    pub fn shards(&self) -> impl Iterator<Item = Shard<'a>> + use<'a> {
        let map = *self;
        self.nodes().filter(|(_, node)| node.is_primary()).map(move |(primary, _)| Shard { map, primary })
    }

    /// Every slot once, as maximal runs with one owner, ascending.
    #[must_use]
    pub fn runs(&self) -> Runs<'a> {
        Runs::new(*self)
    }

    /// Every slot from `slot` on once, as runs with one owner, ascending: the first is what is left of the run that
    /// `slot` lies in.
    #[must_use]
    pub fn runs_from(&self, slot: Slot) -> Runs<'a> {
        Runs::from(*self, slot)
    }

    /// The owned ranges, ascending and as large as possible.
    pub fn ranges(&self) -> impl Iterator<Item = (SlotRange, NodeIndex)> + use<'a> {
        self.runs().filter_map(|(range, owner)| match owner {
            Owner::Node(index) => Some((range, index)),
            Owner::Uncovered | Owner::Unknown => None,
        })
    }

    /// The slots nobody serves.
    pub fn uncovered(&self) -> impl Iterator<Item = SlotRange> + use<'a> {
        self.runs().filter_map(|(range, owner)| (owner == Owner::Uncovered).then_some(range))
    }

    /// How many slots have an owner, known or not.
    #[must_use]
    pub fn covered(&self) -> u16 {
        self.head.named
    }

    /// The map's version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.head.version
    }

    /// Whether no slot has an owner.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.head.named == 0
    }

    /// Whether the tables were too small for the cluster: some owners are [`Owner::Unknown`], or some nodes have no
    /// address.
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        self.head.flags & (RANGES_CUT | RANGES_FULL | NODES_CUT | HOSTS_CUT) != 0
    }

    /// Whether every primary with slots has a known config epoch, so that two maps can be compared by it.
    #[must_use]
    pub fn has_epochs(&self) -> bool {
        !self.is_empty() && self.ranges().all(|(_, index)| self.node(index).is_some_and(|node| node.epoch().is_some()))
    }
}

/// A primary and its replicas.
#[derive(Clone, Copy, Debug)]
pub struct Shard<'a> {
    map: Map<'a>,
    primary: NodeIndex,
}

impl<'a> Shard<'a> {
    /// The shard's primary.
    #[must_use]
    pub const fn primary(&self) -> NodeIndex {
        self.primary
    }

    /// The replicas that may serve reads.
    pub fn replicas(&self) -> impl Iterator<Item = NodeIndex> + use<'a> {
        self.map.replicas(self.primary)
    }

    /// The shard's slots, ascending.
    pub fn slots(&self) -> impl Iterator<Item = SlotRange> + use<'a> {
        let primary = self.primary;
        self.map.ranges().filter_map(move |(range, owner)| (owner == primary).then_some(range))
    }
}

/// The place in a table of `len` nodes where the chain of an id begins.
pub(super) fn bucket(id: &NodeId, len: usize) -> usize {
    let bytes = id.as_bytes();
    // The first four bytes of a derived id are zero, so the hash is taken from the eight behind them.
    let tail = bytes.get(4..).and_then(|tail| tail.first_chunk::<8>());
    let hash = u64::from_le_bytes(tail.copied().unwrap_or_default()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    ((hash * (len.min(MAX_NODES) as u64)) >> 32) as usize
}
