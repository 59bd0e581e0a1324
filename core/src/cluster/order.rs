//! Who may go before whom on one slot.
//!
//! Every keyed command but the blocking ones and subscriptions goes over its slot's *way*: one connection, which is
//! first in, first out. So order is kept for as long as a slot keeps its way, and this is what holds when it changes:
//!
//! - Unsent commands come along, in order, to the back of the queue of the new way.
//! - One in flight on the old way is either waited for ([`Hold`]: a node that has just answered MOVED answers the rest
//!   soon), or it says that others may have run before it ([`Flag::DELAYED`]: a topology reply speaks of nodes that may
//!   never answer, and nobody waits for those).
//! - One that leaves its place for another reason (refused, parked, sent again) says so too.

use crate::cluster::config::ReadFrom;
use crate::cluster::conn::Purpose;
use crate::cluster::engine::Engine;
use crate::cluster::hold::Hold;
use crate::pipeline::{Entry, Flag, Ix, Kind, List, NONE, Place};
use crate::slot::Slot;
use crate::time::Instant;
use crate::topology::{MovedCase, Node, NodeIndex, Owner, Reason as Why};

impl Engine<'_> {
    /// The connection over which new commands of a slot go, if it has one.
    fn way(&mut self, now: Instant, slot: Slot) -> Option<u32> {
        let node = match self.map().owner(slot) {
            Owner::Node(at) => at,
            Owner::Uncovered => return None,
            Owner::Unknown => self.node_for_unknown(now, slot)?,
        };
        self.t.by_node.get(node.index()).copied().filter(|conn| *conn != NONE)
    }

    /// Notes a slot's new owner. Unsent commands of the slot, and new ones, wait for those still in flight.
    pub(crate) fn patch(&mut self, now: Instant, conn: u32, slot: Slot, node: NodeIndex) {
        let id = self.map().node(node).map(Node::id);
        self.s.refresh.request(now, Why::Redirect(id));
        if let Some(id) = id {
            self.s.freshness.note_moved(now, slot, id);
        }
        if self.map().owner(slot) == Owner::Node(node) {
            self.drive_refresh(now);
            return;
        }
        // Not always the connection that answers.
        let former = self.way(now, slot);
        let from = self.owner_id(slot);
        let case = crate::topology::moved(&mut self.map_mut(), slot, node);
        self.tell_moved(case, slot, from, node);
        self.s.map_event = true;
        if self.s.config.strict_order() {
            // One command of a slot at a time: there is none to hold back.
            return self.drive_refresh(now);
        }
        // A promoted replica took over every slot of its shard.
        let moved = if case == MovedCase::Promoted { None } else { Some(slot) };
        if let Some(former) = former.filter(|former| *former != conn) {
            if !self.conn(former).in_flight.is_empty() {
                self.hold_back(former, moved);
            }
            self.hold_queued(former, moved);
        }
        // The refused command is still the first in flight, so the hold lasts at least until it was routed anew.
        self.hold_back(conn, moved);
        self.hold_queued(conn, moved);
        self.drive_refresh(now);
    }

    /// New commands of the slot (or of every one) wait until the connection has answered what it has now.
    fn hold_back(&mut self, conn: u32, slot: Option<Slot>) {
        let entry = self.conn(conn);
        let before = entry.hold;
        entry.hold = match slot {
            Some(slot) => before.and(slot, entry.sent),
            None => before.and_all(entry.sent),
        };
        if before == Hold::None {
            self.s.holds = self.s.holds.saturating_add(1);
        }
    }

    /// Moves unsent commands of a slot (or of every one) that left this connection's node to the held ones, in order.
    fn hold_queued(&mut self, conn: u32, slot: Option<Slot>) {
        let mut queue = core::mem::take(&mut self.conn(conn).queue);
        let mut kept = List::EMPTY;
        while let Some(index) = queue.pop_front(self.t.commands) {
            let entry = self.peek(index);
            if entry.slot().is_some_and(|its| slot.is_none_or(|slot| its == slot)) && entry.ask().is_none() {
                let entry = self.entry(index);
                entry.set_place(Place::Held);
                entry.set(Flag::DELAYED, true);
                entry.conn = Ix::NONE;
                self.s.held.push_back(self.t.commands, index);
            } else {
                kept.push_back(self.t.commands, index);
            }
        }
        self.conn(conn).queue = kept;
    }

    /// After a change of the map as a whole: what is in flight where its slot's way no longer leads, and is not waited
    /// for, will say that others may have run before it.
    pub(crate) fn tell_overtaken(&mut self, now: Instant) {
        let anywhere = !matches!(self.s.config.read_from(), ReadFrom::Primary);
        for conn in 0..self.count() {
            if self.conn(conn).purpose != Purpose::Shared {
                continue;
            }
            let (list, hold) = (self.conn(conn).in_flight, self.conn(conn).hold);
            let mut next = list.front();
            while let Some(index) = next {
                next = list.after(self.t.commands, index);
                let Some(slot) = in_order(&self.peek(index), anywhere) else { continue };
                if !hold.blocks(slot) && self.way(now, slot) != Some(conn) {
                    self.entry(index).set(Flag::DELAYED, true);
                }
            }
        }
    }
}

/// The slot of a command that keeps its place among those of its slot; reads do not where replicas serve them.
fn in_order(entry: &Entry, anywhere: bool) -> Option<Slot> {
    let apart = entry.kind() != Kind::User || (anywhere && entry.has(Flag::READ));
    if apart { None } else { entry.slot() }
}
