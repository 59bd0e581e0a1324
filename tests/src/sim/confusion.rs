//! What servers say that is right and easily misunderstood: redirects without hosts, addresses with colons, large cursors,
//! slots of nobody, views of yesterday.

use slotwise::command::{Access, CommandSpec, Target};
use slotwise::slot::Slot;
use slotwise_std::mini::model::Endpoint as Announced;

use super::client::Owner;
use super::kinds::Fault;
use super::wire;
use super::working::{TAGS, slot_of_tag};
use super::world::{Ev, Phase, World};

impl World {
    /// One of these strikes.
    pub(super) fn confuse(&mut self, fault: Fault) {
        match fault {
            Fault::Nameless => self.unname(),
            // They have had them from the beginning: a slot moves, and its redirects name them.
            Fault::Ipv6 => {
                if let Some(slot) = self.move_some_slot(fault) {
                    self.strikes(fault, u64::from(slot));
                }
            }
            Fault::LargeCursors => {
                self.strikes(fault, 0);
                self.servers.cursor_bits = 1 << 40 | u64::from(self.fault_dice(fault).below(2)) << 63;
            }
            Fault::Nobody => self.leave_to_nobody(),
            _ => self.keep_old_view(),
        }
    }

    /// A slot of the tags goes to another node at once.
    fn move_some_slot(&mut self, fault: Fault) -> Option<u16> {
        let slot = slot_of_tag(self.fault_dice(fault).below(TAGS)).get();
        let owner = self.servers.model.owner(slot);
        let others: Vec<usize> = self.primaries().into_iter().filter(|node| Some(*node) != owner).collect();
        let to = self.one_of(fault, &others)?;
        self.hand_over(slot, to).then_some(slot)
    }

    /// Nodes announce no host names where those are preferred, and a slot moves.
    fn unname(&mut self) {
        let fault = Fault::Nameless;
        let named = self.fault_dice(fault).chance(150);
        for node in 0..self.servers.nodes.len() {
            self.servers.model.set_endpoint(node, if named { Announced::Address } else { Announced::MissingHost });
        }
        let slot = self.move_some_slot(fault);
        self.strikes(fault, slot.map_or(0, u64::from));
    }

    /// A slot belongs to nobody, by all views, for some seconds.
    fn leave_to_nobody(&mut self) {
        let fault = Fault::Nobody;
        let tag = self.fault_dice(fault).below(TAGS);
        let slot = slot_of_tag(tag).get();
        let Some(from) = self.servers.model.owner(slot).filter(|from| self.servers.nodes[*from].up) else { return };
        if self.is_busy(slot) {
            return;
        }
        self.watch(slot);
        self.strikes(fault, u64::from(slot));
        for node in 0..self.servers.nodes.len() {
            self.servers.model.forget_owner(node, slot);
        }
        self.servers.orphans.insert(slot, from);
        let until = 3_000_000 + self.span(fault, 5_000_000);
        self.after(until, Ev::Repair(fault, u32::from(slot)));
        self.after(100_000, Ev::Repair(fault, (tag + 1) << 16 | u32::from(slot)));
    }

    /// A slot of nobody gets its owner, or its keys are asked for meanwhile.
    pub(super) fn ask_for_nobody(&mut self, of: u32) {
        let (tag, slot) = (of >> 16, (of & 0xffff) as u16);
        if tag == 0 {
            return self.adopt(slot);
        }
        if self.phase != Phase::Safety || !self.servers.orphans.contains_key(&slot) {
            return;
        }
        let next = 60_000 + self.span(Fault::Nobody, 400_000);
        self.after(next, Ev::Repair(Fault::Nobody, of));
        for client in 0..self.clients.len() {
            if self.clients[client].dropped || self.clients[client].frozen > self.now {
                continue;
            }
            let mut wire = Vec::new();
            wire::command(&[b"INCR", format!("{{t{}}}n0", tag - 1).as_bytes()], &mut wire);
            let spec = CommandSpec::new(Target::Slot(Slot::masked(slot)), Access::Write, wire.len() as u32);
            self.submit_some(client, spec, wire, Owner::Work);
            self.drive(client);
        }
    }

    /// Clients have to read CLUSTER NODES, in which epochs are; a node hears nothing any more, and a slot moves.
    fn keep_old_view(&mut self) {
        let fault = Fault::OldView;
        let node = self.some_node(fault);
        let until = 2_000_000 + self.span(fault, 8_000_000);
        self.strikes(fault, node as u64);
        self.servers.model.set_allowed(None, b"default", "cluster|slots", false);
        self.servers.nodes[node].off_bus = self.now + until;
        self.after(until, Ev::Repair(fault, node as u32));
        self.move_some_slot(fault);
    }

    /// What the model is asked, with cursors as it gave them.
    pub(super) fn inward(&self, words: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let bits = 1 << 40 | 1 << 63;
        if self.servers.cursor_bits == 0 || words[0] != b"SCAN" {
            return None;
        }
        let cursor = std::str::from_utf8(words.get(1)?).ok()?.parse::<u64>().ok()?;
        let mut words = words.to_vec();
        words[1] = (cursor & !bits).to_string().into_bytes();
        Some(words)
    }

    /// A page of a scan with a larger cursor than the model's.
    pub(super) fn outward(&self, words: &[Vec<u8>], page: Vec<u8>) -> Vec<u8> {
        if self.servers.cursor_bits == 0 || words[0] != b"SCAN" || !page.starts_with(b"*2\r\n$") {
            return page;
        }
        let mut ends = page.windows(2).enumerate().filter(|(_, end)| end == b"\r\n").map(|(at, _)| at + 2);
        let (Some(start), Some(end)) = (ends.nth(1), ends.next()) else { return page };
        let cursor = std::str::from_utf8(&page[start..end - 2]).ok().and_then(|text| text.parse::<u64>().ok());
        let Some(cursor) = cursor.filter(|cursor| *cursor > 0) else { return page };
        let text = (cursor | self.servers.cursor_bits).to_string();
        [format!("*2\r\n${}\r\n{text}\r\n", text.len()).as_bytes(), &page[end..]].concat()
    }
}
