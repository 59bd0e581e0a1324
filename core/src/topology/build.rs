//! Filling a map, and changing it.

use super::Rejection;
use super::hosts::{Draft, Tag, checked};
use super::map::{HOSTS_CUT, Map, MapHead, MapParts, NODES_CUT, OWNERS_UNSURE, Owner, RANGES_CUT, UNSORTED, bucket};
use super::node::{EPOCH, Health, MAX_NODES, NONE, Node, NodeIndex, REFUSED, REPLICA, Role};
use super::ranges::{RangeEntry, UNCOVERED, UNKNOWN, sort, tidy};
use crate::addr::NodeAddr;
use crate::ids::NodeId;
use crate::slot::{Slot, SlotRange};

/// A node to add to a map by hand; the readers of this room fill maps from replies by themselves.
#[derive(Clone, Copy, Debug)]
pub struct NewNode<'a> {
    /// Identity.
    pub id: NodeId,
    /// Primary or replica.
    pub role: Role,
    /// A replica's primary.
    pub primary: Option<NodeIndex>,
    /// The host to dial: name, IPv4 or bare IPv6 address. Checked; a bad or empty one leaves the node without.
    pub host: &'a str,
    /// The port; 0 for none.
    pub port: u16,
    /// The config epoch, if known.
    pub epoch: Option<u64>,
    /// State.
    pub health: Health,
}

/// A map being built or changed.
///
/// Building: [`MapMut::clear`], then nodes and ranges, then [`MapMut::finish`]. Between the first and the last of
/// these the map is not fit for look-ups, so build in a second set of tables and swap the two when `finish` is `Ok`.
#[derive(Debug)]
pub struct MapMut<'a> {
    pub(super) head: &'a mut MapHead,
    pub(super) parts: MapParts<'a>,
}

impl<'a> MapMut<'a> {
    /// The map of `head` over `parts`.
    #[must_use]
    pub fn new(head: &'a mut MapHead, parts: MapParts<'a>) -> Self {
        let MapParts { nodes, ranges, hosts, dense } = parts;
        let dense = dense.filter(|table| table.len() >= usize::from(Slot::COUNT));
        Self { head, parts: MapParts { nodes, ranges, hosts, dense } }
    }

    /// The map as it is now.
    #[must_use]
    pub fn map(&self) -> Map<'_> {
        self.parts.map(self.head)
    }

    /// The same map, lent on.
    #[must_use]
    pub fn reborrow(&mut self) -> MapMut<'_> {
        MapMut { head: &mut *self.head, parts: self.parts.reborrow() }
    }

    /// Empties the map; the version stays.
    pub fn clear(&mut self) {
        *self.head = MapHead { version: self.head.version, ..MapHead::new() };
        for node in self.parts.nodes.iter_mut() {
            node.bucket = NONE;
        }
        if let Some(dense) = &mut self.parts.dense {
            dense.fill(UNCOVERED);
        }
    }

    /// Adds a node, or returns the index of the node that has this id already (which stays as it is). `None` when
    /// the node table is full: then the map counts as overflowed, and slots given to `None` are unknown.
    pub fn add_node(&mut self, new: &NewNode<'_>) -> Option<NodeIndex> {
        if let Some(index) = self.map().find(&new.id) {
            return Some(index);
        }
        let mut draft = self.draft();
        if let Some(host) = checked(new.host.as_bytes()) {
            self.draft_push(&mut draft, Tag::Endpoint, host.as_bytes());
        }
        let index = self.push_node(new.id, new.port, draft)?;
        self.chain(index);
        let node = self.node_mut(index)?;
        node.set_role(new.role);
        node.health = new.health;
        node.link = new.primary.filter(|_| new.role == Role::Replica).map_or(NONE, |primary| primary.0);
        if let Some(epoch) = new.epoch {
            node.set_epoch(epoch);
            node.flags |= EPOCH;
        }
        Some(index)
    }

    /// Gives `range` to `node`; to nobody known when `node` is `None`.
    ///
    /// # Errors
    /// [`Rejection::Overlap`] where an overlap shows at once; the others show in [`MapMut::finish`].
    pub fn add_range(&mut self, range: SlotRange, node: Option<NodeIndex>) -> Result<(), Rejection> {
        let named = self.head.named.saturating_add(range.len());
        if named > Slot::COUNT {
            return Err(Rejection::Overlap);
        }
        self.head.named = named;
        let code = node.map_or(UNKNOWN, |index| index.0);
        let (first, end) = (range.first().get(), range.last().get().saturating_add(1));
        if let Some(dense) = &mut self.parts.dense {
            let cells = dense.get_mut(usize::from(first)..usize::from(end)).unwrap_or(&mut []);
            if cells.iter().any(|cell| *cell != UNCOVERED) {
                return Err(Rejection::Overlap);
            }
            cells.fill(code);
            self.head.stored = self.head.stored.saturating_add(range.len());
            return Ok(());
        }
        self.append(first, end, code)
    }

    /// Appends a range's boundaries, or extends or follows the range before it. An end at the last slot needs none.
    fn append(&mut self, first: u16, end: u16, code: u16) -> Result<(), Rejection> {
        if self.head.flags & RANGES_CUT != 0 {
            return Ok(());
        }
        let len = usize::from(self.head.ranges);
        let last = self.entry(len.wrapping_sub(1));
        let follows = last.is_some_and(|last| last.first == first && last.node == UNCOVERED);
        let extends = follows && self.entry(len.wrapping_sub(2)).is_some_and(|before| before.node == code);
        let at = len.wrapping_sub(usize::from(follows)).wrapping_sub(usize::from(extends));
        let ends = usize::from(end < Slot::COUNT);
        let needed = at.saturating_add(1).saturating_add(ends);
        if needed > self.range_room() {
            return self.squeeze(first, end, code);
        }
        if last.is_some_and(|last| first < last.first) {
            self.head.flags |= UNSORTED;
        }
        if !extends {
            self.set_entry(at, RangeEntry::new(first, code));
        }
        self.set_entry(needed.wrapping_sub(ends), RangeEntry::new(end, UNCOVERED));
        self.head.ranges = needed as u16;
        self.head.stored = self.head.stored.saturating_add(end.saturating_sub(first));
        Ok(())
    }

    /// Makes room by joining what lies next to each other. Tried again only while it frees an eighth of the table,
    /// so that the work stays in proportion to the reply; then the rest of the reply's ranges are left out.
    fn squeeze(&mut self, first: u16, end: u16, code: u16) -> Result<(), Rejection> {
        let before = usize::from(self.head.ranges);
        self.settle()?;
        let freed = before.saturating_sub(usize::from(self.head.ranges));
        if freed >= 1 && freed >= self.range_room() / 8 {
            return self.append(first, end, code);
        }
        self.head.flags |= RANGES_CUT;
        Ok(())
    }

    /// Sorts and tidies the ranges, and finds overlaps.
    fn settle(&mut self) -> Result<(), Rejection> {
        let used = self.parts.ranges.get_mut(..usize::from(self.head.ranges)).unwrap_or(&mut []);
        if self.head.flags & UNSORTED != 0 {
            sort(used);
            self.head.flags &= !UNSORTED;
        }
        let tidied = tidy(used);
        self.head.ranges = tidied.len as u16;
        if tidied.covered == u32::from(self.head.stored) { Ok(()) } else { Err(Rejection::Overlap) }
    }

    /// Ends the building of a map: sorts the ranges, links the replicas, and counts one version on.
    ///
    /// # Errors
    /// [`Rejection::Overlap`] when two ranges share a slot, [`Rejection::Empty`] when no slot has an owner. The map
    /// is then not fit for use.
    pub fn finish(&mut self) -> Result<(), Rejection> {
        if self.head.flags & OWNERS_UNSURE != 0 {
            self.forget_replica_owners();
        }
        if self.parts.dense.is_none() {
            self.settle()?;
        }
        if self.head.named == 0 {
            return Err(Rejection::Empty);
        }
        self.link_replicas();
        self.head.version = self.head.version.wrapping_add(1);
        Ok(())
    }

    /// Slots that hang on a node which turned out to be no primary have an unknown owner.
    fn forget_replica_owners(&mut self) {
        let nodes = &*self.parts.nodes;
        let replica = |code: u16| nodes.get(usize::from(code)).is_some_and(|node| node.flags & REPLICA != 0);
        if let Some(dense) = &mut self.parts.dense {
            dense.iter_mut().filter(|code| replica(**code)).for_each(|code| *code = UNKNOWN);
        }
        let used = self.parts.ranges.get_mut(..usize::from(self.head.ranges)).unwrap_or(&mut []);
        used.iter_mut().filter(|entry| replica(entry.node)).for_each(|entry| entry.node = UNKNOWN);
    }

    /// Makes each primary the head of a list of its replicas, in table order.
    pub(super) fn link_replicas(&mut self) {
        let count = usize::from(self.head.nodes);
        for node in self.parts.nodes.iter_mut().take(count) {
            node.sibling = NONE;
            if node.is_primary() {
                node.link = NONE;
            }
        }
        // Backwards, so that each is put in front of those behind it.
        for at in (0..count).rev() {
            let Some(node) = self.parts.nodes.get(at).filter(|node| !node.is_primary()) else { continue };
            let link = usize::from(node.link);
            let first = match self.parts.nodes.get_mut(link).filter(|primary| primary.is_primary() && link < count) {
                Some(primary) => core::mem::replace(&mut primary.link, at as u16),
                None => NONE,
            };
            if let Some(node) = self.parts.nodes.get_mut(at) {
                node.sibling = first;
                if link >= count {
                    node.link = NONE;
                }
            }
        }
    }

    /// Marks the nodes whose address is refused: they are not routable ([`Node::is_routable`]) while this map is used.
    pub fn refuse(&mut self, mut refused: impl FnMut(NodeAddr<'_>) -> bool) {
        for at in 0..self.head.nodes {
            let index = NodeIndex(at);
            let refuse = self.map().addr(index).is_some_and(&mut refused);
            if let Some(node) = self.node_mut(index).filter(|_| refuse) {
                node.flags |= REFUSED;
            }
        }
    }

    /// Makes this map equal to `other`, which may lie in tables of another size; what does not fit is left out as
    /// it would be from a reply. The version counts on.
    ///
    /// # Errors
    /// None for a map that was built by [`MapMut::finish`], an empty one included; [`Rejection::Overlap`] for tables
    /// that do not belong to their head.
    pub fn copy_from(&mut self, other: &Map<'_>) -> Result<(), Rejection> {
        self.clear();
        for (index, node) in other.nodes() {
            let mut draft = self.draft();
            for (tag, text) in other.row(node) {
                self.draft_push_raw(&mut draft, tag, text);
            }
            let Some(copy) = self.push_node(node.id, node.port, draft) else { break };
            // A table too small for all nodes keeps the first ones, so indexes stay the same.
            debug_assert_eq!(copy, index, "nodes are copied in order");
            self.chain(copy);
            if let Some(place) = self.node_mut(copy) {
                let Node { bucket, chain, .. } = *place;
                let (at, len) = place.hosts();
                // What links a primary to its replicas is made anew in the end.
                *place = Node { bucket, chain, ..*node };
                place.set_hosts(at, len);
            }
        }
        for (range, owner) in other.runs() {
            match owner {
                Owner::Node(index) => self.add_range(range, Some(index).filter(|index| index.0 < self.head.nodes))?,
                Owner::Unknown => self.add_range(range, None)?,
                Owner::Uncovered => {}
            }
        }
        match self.finish() {
            Err(Rejection::Empty) => {
                self.head.version = self.head.version.wrapping_add(1);
                Ok(())
            }
            other => other,
        }
    }

    pub(super) const fn draft(&self) -> Draft {
        Draft::at(self.head.hosts)
    }

    /// Appends a text to a row in the making.
    pub(super) fn draft_push(&mut self, draft: &mut Draft, tag: Tag, text: &[u8]) {
        draft.push(self.parts.hosts, tag, text);
    }

    /// The texts of a row in the making.
    pub(super) fn draft_bytes(&self, draft: &Draft) -> &[u8] {
        let row = self.parts.hosts.get(draft.at as usize..).and_then(|rest| rest.get(..usize::from(draft.len)));
        row.unwrap_or(&[])
    }

    pub(super) fn draft_push_raw(&mut self, draft: &mut Draft, tag: u8, text: &[u8]) {
        let tags = [Tag::Endpoint, Tag::Ip, Tag::Hostname, Tag::Zone];
        if let Some(tag) = tags.into_iter().find(|known| *known as u8 == tag) {
            self.draft_push(draft, tag, text);
        }
    }

    /// Appends a node with the hosts of `draft`; it is not found by its id before [`MapMut::chain`].
    pub(super) fn push_node(&mut self, id: NodeId, port: u16, draft: Draft) -> Option<NodeIndex> {
        let index = self.head.nodes;
        if usize::from(index) >= self.parts.nodes.len().min(MAX_NODES) {
            self.head.flags |= NODES_CUT;
            return None;
        }
        self.head.nodes = index.saturating_add(1);
        let node = self.parts.nodes.get_mut(usize::from(index))?;
        // The head of the chain that begins at this place belongs to the table, not to the node.
        *node = Node { id, port, bucket: node.bucket, health: Health::Online, ..Node::EMPTY };
        self.set_hosts(NodeIndex(index), draft);
        Some(NodeIndex(index))
    }

    /// Gives a node the hosts of a draft, shared with the node before it if they are the same.
    pub(super) fn set_hosts(&mut self, index: NodeIndex, draft: Draft) {
        if draft.cut {
            self.head.flags |= HOSTS_CUT;
        }
        let before = self.parts.nodes.get(index.index().wrapping_sub(1)).map(Node::hosts);
        let bytes =
            |(at, len): (u32, u16)| self.parts.hosts.get(at as usize..).and_then(|rest| rest.get(..usize::from(len)));
        let shared = before.filter(|before| before.1 == draft.len && bytes(*before) == bytes((draft.at, draft.len)));
        let (at, len) = shared.unwrap_or((draft.at, draft.len));
        if shared.is_none() {
            self.head.hosts = draft.at.saturating_add(u32::from(draft.len));
        }
        if self.node_mut(index).is_some_and(|node| !node.set_hosts(at, len)) {
            self.head.flags |= HOSTS_CUT;
        }
    }

    /// Makes a node known by its id.
    pub(super) fn chain(&mut self, index: NodeIndex) {
        let place = match self.parts.nodes.get(index.index()) {
            Some(node) => bucket(&node.id, self.parts.nodes.len()),
            None => return,
        };
        let Some(first) = self.parts.nodes.get_mut(place).map(|head| core::mem::replace(&mut head.bucket, index.0))
        else {
            return;
        };
        if let Some(node) = self.node_mut(index) {
            node.chain = first;
        }
    }

    pub(super) fn node_mut(&mut self, index: NodeIndex) -> Option<&mut Node> {
        if index.0 < self.head.nodes { self.parts.nodes.get_mut(index.index()) } else { None }
    }

    pub(super) fn entry(&self, at: usize) -> Option<RangeEntry> {
        if at < usize::from(self.head.ranges) { self.parts.ranges.get(at).copied() } else { None }
    }

    pub(super) fn set_entry(&mut self, at: usize, entry: RangeEntry) {
        if let Some(place) = self.parts.ranges.get_mut(at) {
            *place = entry;
        }
    }

    /// How many range entries there are room for.
    pub(super) const fn range_room(&self) -> usize {
        let len = self.parts.ranges.len();
        if len > u16::MAX as usize { u16::MAX as usize } else { len }
    }
}
