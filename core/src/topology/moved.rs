//! What a MOVED changes in the map.

use super::build::MapMut;
use super::hosts::Tag;
use super::map::Owner;
use super::node::{Health, NONE, NodeIndex, Role};
use super::ranges::{RangeEntry, UNCOVERED};
use crate::addr::NodeAddr;
use crate::ids::NodeId;
use crate::slot::Slot;

/// What a MOVED meant for the map. After each of these a refresh is due; an ASK never changes the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MovedCase {
    /// The map had it already: another command was redirected before.
    Known,
    /// A replica of the slot's shard: a failover. It is the shard's primary now, for all of its slots.
    Promoted,
    /// The primary of another shard: the slot moved there.
    OtherPrimary,
    /// A replica of another shard (or of nobody known): it is a primary now, with this slot.
    OtherReplica,
    /// A node the map did not have: it is added as a primary with this slot.
    NewNode,
    /// There was no room for the node or for a split range: the slot keeps its old owner, who answers MOVED again.
    /// The map counts as overflowed.
    NoRoom,
}

/// Applies `MOVED slot` to the map: `target` serves the slot from now on.
pub fn moved(map: &mut MapMut<'_>, slot: Slot, target: NodeIndex) -> MovedCase {
    let view = map.map();
    let Some(node) = view.node(target) else { return MovedCase::NoRoom };
    let owner = view.owner(slot);
    if owner == Owner::Node(target) && node.is_primary() {
        return MovedCase::Known;
    }
    let case = match owner {
        _ if node.is_primary() => MovedCase::OtherPrimary,
        Owner::Node(old) if node.primary() == Some(old) => {
            map.promote(target, old);
            MovedCase::Promoted
        }
        _ => {
            map.set_primary(target);
            MovedCase::OtherReplica
        }
    };
    if map.patch(slot, target) { case } else { MovedCase::NoRoom }
}

/// Applies `MOVED slot addr` for an address: the node of that address, which is added if the map has none. The id of
/// an added node is derived from the address until a topology reply gives the real one.
pub fn moved_to(map: &mut MapMut<'_>, slot: Slot, addr: NodeAddr<'_>) -> MovedCase {
    if let Some(target) = map.map().find_addr(addr.host(), addr.port()) {
        return moved(map, slot, target);
    }
    let mut draft = map.draft();
    map.draft_push(&mut draft, Tag::Endpoint, addr.host().as_bytes());
    let id = NodeId::derived(addr.host().as_bytes(), addr.port());
    let Some(target) = map.push_node(id, addr.port(), draft) else { return MovedCase::NoRoom };
    map.chain(target);
    if let Some(node) = map.node_mut(target) {
        node.health = Health::Unknown;
    }
    if map.patch(slot, target) { MovedCase::NewNode } else { MovedCase::NoRoom }
}

impl MapMut<'_> {
    /// Gives one slot to a node. `false` when the range table has no room for the split: then nothing changed but
    /// the mark that the map overflowed.
    pub fn patch(&mut self, slot: Slot, node: NodeIndex) -> bool {
        if node.0 >= self.head.nodes {
            return false;
        }
        let owner = self.map().owner(slot);
        if owner == Owner::Node(node) {
            return true;
        }
        let blank = self.head.stored == 0;
        let done = match &mut self.parts.dense {
            Some(dense) if blank => {
                // Whatever the lent table held before is not this map's.
                dense.fill(UNCOVERED);
                dense.get_mut(slot.index()).map(|cell| *cell = node.0).is_some()
            }
            Some(dense) => dense.get_mut(slot.index()).map(|cell| *cell = node.0).is_some(),
            None => self.split(slot.get(), node.0),
        };
        if !done {
            self.head.flags |= super::map::RANGES_FULL;
            return false;
        }
        if owner == Owner::Uncovered {
            self.head.named = self.head.named.saturating_add(1);
        }
        self.head.stored = self.head.stored.max(1);
        self.head.version = self.head.version.wrapping_add(1);
        true
    }

    /// Gives slot `slot` to `code` in the range table: the run around it becomes up to three, and joins its
    /// neighbours where they have the same owner.
    fn split(&mut self, slot: u16, code: u16) -> bool {
        let len = usize::from(self.head.ranges);
        let after = slot.saturating_add(1);
        let used = self.parts.ranges.get(..len).unwrap_or(&[]);
        let next = used.partition_point(|entry| entry.first <= slot); // the first entry behind the run
        let run = next.checked_sub(1).and_then(|at| self.entry(at));
        let old = run.map_or(UNCOVERED, |run| run.node);
        let run_first = run.map_or(0, |run| run.first);
        let run_end = self.entry(next).map_or(Slot::COUNT, |entry| entry.first);

        // What replaces the entries `from..to`.
        let mut new = [RangeEntry::EMPTY; 2];
        let mut count = 0_usize;
        let mut put = |entry: RangeEntry| {
            if let Some(place) = new.get_mut(count) {
                *place = entry;
                count = count.saturating_add(1);
            }
        };
        let (mut from, mut to) = (next, next);
        let mut before = old; // the owner in front of the patched slot
        if run_first == slot {
            from = next.saturating_sub(usize::from(run.is_some()));
            before = from.checked_sub(1).and_then(|at| self.entry(at)).map_or(UNCOVERED, |entry| entry.node);
        }
        if before != code {
            put(RangeEntry::new(slot, code));
        }
        if run_end == after {
            // The patched slot was the run's last: the next run joins it if it has the same owner.
            if self.entry(next).is_some_and(|entry| entry.node == code) {
                to = next.saturating_add(1);
            }
        } else {
            put(RangeEntry::new(after, old));
        }
        let new = new.get(..count).unwrap_or(&[]);
        self.splice(from, to, new)
    }

    /// Replaces the entries `from..to` by `new`.
    fn splice(&mut self, from: usize, to: usize, new: &[RangeEntry]) -> bool {
        let len = usize::from(self.head.ranges);
        let kept = to.saturating_sub(from);
        let total = len.saturating_sub(kept).saturating_add(new.len());
        if total > self.range_room() {
            return false;
        }
        let end = from.saturating_add(new.len());
        if end > to {
            for at in (to..len).rev() {
                if let Some(entry) = self.entry(at) {
                    self.set_entry(at.saturating_add(end.saturating_sub(to)), entry);
                }
            }
        } else {
            for at in to..len {
                if let Some(entry) = self.entry(at) {
                    self.set_entry(at.saturating_sub(to.saturating_sub(end)), entry);
                }
            }
        }
        for (at, entry) in (from..).zip(new) {
            self.set_entry(at, *entry);
        }
        self.head.ranges = total as u16;
        true
    }

    /// Makes a replica the primary of its shard: it takes the slots of `old` and the other replicas follow it. What
    /// became of `old` is not known, so it stays as a replica that does not serve reads.
    fn promote(&mut self, target: NodeIndex, old: NodeIndex) {
        let count = usize::from(self.head.nodes);
        for (at, node) in (0_u16..).zip(self.parts.nodes.iter_mut().take(count)) {
            if at == old.0 {
                node.set_role(Role::Replica);
                node.link = target.0;
                node.health = Health::Unknown;
            } else if at == target.0 {
                node.set_role(Role::Primary);
            } else if !node.is_primary() && node.link == old.0 {
                node.link = target.0;
            }
        }
        if let Some(dense) = &mut self.parts.dense {
            dense.iter_mut().filter(|code| **code == old.0).for_each(|code| *code = target.0);
        }
        let used = self.parts.ranges.get_mut(..usize::from(self.head.ranges)).unwrap_or(&mut []);
        used.iter_mut().filter(|entry| entry.node == old.0).for_each(|entry| entry.node = target.0);
        self.link_replicas();
        self.head.version = self.head.version.wrapping_add(1);
    }

    /// Makes a replica a primary of its own.
    fn set_primary(&mut self, target: NodeIndex) {
        if let Some(node) = self.node_mut(target) {
            node.set_role(Role::Primary);
            node.link = NONE;
        }
        self.link_replicas();
    }
}
