//! The cluster gets more nodes, and loses them again.

use super::check::health::Touched;
use super::kinds::Fault;
use super::working::{TAGS, slot_of_tag};
use super::world::{Ev, World};

impl World {
    fn join(&mut self) -> usize {
        let node = self.servers.model.add_node();
        self.servers.introduce(node, self.options.password);
        node
    }

    /// A slot goes to a node at once, if nothing else happens to it.
    pub(super) fn hand_over(&mut self, slot: u16, node: usize) -> bool {
        let owner = self.servers.model.owner(slot);
        let free = !self.is_busy(slot) && owner.is_some_and(|owner| self.servers.nodes[owner].up);
        let moved = free && self.servers.model.move_atomically(slot, node).is_ok();
        if moved {
            self.watch(slot);
            self.touch(Touched::Slot(slot));
        }
        moved
    }

    pub(super) fn scale_out(&mut self) {
        if self.servers.nodes.len() >= 16 {
            return;
        }
        let node = self.join();
        self.strikes(Fault::ScaleOut, node as u64);
        // Some slots go there at once; others may follow.
        for _ in 0..2 {
            let slot = slot_of_tag(self.fault_dice(Fault::ScaleOut).below(TAGS)).get();
            self.hand_over(slot, node);
        }
    }

    pub(super) fn scale_in(&mut self) {
        let late = self.late_primaries();
        if let Some(node) = self.one_of(Fault::ScaleIn, &late) {
            self.leave(Fault::ScaleIn, node);
        }
    }

    /// Only nodes that came later go: the others have too many slots to move one by one.
    fn late_primaries(&self) -> Vec<usize> {
        let first = usize::from(self.options.shards.0) * (1 + usize::from(self.options.shards.1));
        self.primaries().into_iter().filter(|node| *node >= first && !self.moves(*node)).collect()
    }

    /// A node gives its slots away, and leaves for good.
    fn leave(&mut self, fault: Fault, node: usize) {
        let first = usize::from(self.options.shards.0) * (1 + usize::from(self.options.shards.1));
        let stay: Vec<usize> = self.primaries().into_iter().filter(|other| *other < first).collect();
        let Some(to) = self.one_of(fault, &stay) else { return };
        for slot in self.servers.model.slots_of(node) {
            let _ = self.servers.model.move_atomically(slot, to);
            self.touch(Touched::Slot(slot));
        }
        self.servers.model.settle();
        if self.servers.model.remove_node(node).is_ok() {
            self.strikes(Fault::ScaleIn, node as u64);
            self.servers.retired.insert(node);
            let later = self.span(fault, 2_000_000);
            self.after(later, Ev::Repair(Fault::ScaleIn, node as u32));
        }
    }

    /// Thirty nodes, all with a slot of their own, for a while.
    pub(super) fn grow(&mut self) {
        let fault = Fault::Thirty;
        if self.servers.nodes.len() > 16 {
            return;
        }
        self.strikes(fault, 0);
        while self.servers.nodes.len() < 30 {
            let node = self.join();
            let slot = slot_of_tag(self.fault_dice(fault).below(TAGS)).get();
            let any = self.fault_dice(fault).below(16_384) as u16;
            if !self.hand_over(slot, node) {
                self.hand_over(any, node);
            }
        }
        let until = 500_000 + self.span(fault, 6_000_000);
        self.after(until, Ev::Repair(fault, 0));
    }

    /// Those that came leave again.
    pub(super) fn shrink(&mut self) {
        for node in self.late_primaries() {
            self.leave(Fault::Thirty, node);
        }
    }
}
