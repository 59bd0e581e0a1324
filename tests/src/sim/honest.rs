//! What honest servers say besides plain replies.

use super::kinds::Fault;
use super::servers::Sent;
use super::world::World;

impl World {
    /// Some replies on RESP3 connections have attributes in front.
    pub(super) fn attributed(&mut self, link: u32, out: Vec<u8>) -> Vec<u8> {
        let fault = Fault::Attributed;
        let session = self.links[link as usize].session.as_ref();
        let fits = session.is_some_and(|session| {
            let model = if session.alien { &self.servers.alien } else { &self.servers.model };
            model.is_resp3(session.client)
        });
        if !self.options.has(fault) || !fits || out.starts_with(b">") || !self.fault_dice(fault).chance(40) {
            return out;
        }
        let nested = self.fault_dice(fault).chance(300);
        self.strikes(fault, u64::from(link));
        let attribute: &[u8] = if nested {
            b"|2\r\n+key-popularity\r\n%1\r\n$1\r\na\r\n,0.19\r\n+ttl\r\n*2\r\n:1\r\n:2\r\n"
        } else {
            b"|1\r\n+ttl\r\n:3600\r\n"
        };
        [attribute, &out].concat()
    }

    /// Some replies of several elements have an attribute before one of them.
    pub(super) fn annotated(&mut self, link: u32, sent: Sent, out: Vec<u8>) -> Vec<u8> {
        let fault = Fault::NestedAttributes;
        if !self.options.has(fault) || !out.starts_with(b"*") || out.starts_with(b"*0") || out.starts_with(b"*-") {
            return out;
        }
        let at = &self.links[link as usize];
        let (Sent::One(tag) | Sent::Member(tag, _)) = sent else { return out };
        let request = self.clients[at.client].requests.get(tag as usize);
        // What is read as tokens is compared without its attributes' tokens, which are handed out.
        let whole = request.is_some_and(|r| !r.spec.streamed && r.served.last().is_some_and(|s| s.flat.is_none()));
        let three = at.session.as_ref().is_some_and(|session| {
            let model = if session.alien { &self.servers.alien } else { &self.servers.model };
            model.is_resp3(session.client)
        });
        let fits = out.len() + 200 < self.options.net.receive_buffer as usize;
        if !whole || !three || !fits || !self.fault_dice(fault).chance(150) {
            return out;
        }
        self.strikes(fault, u64::from(link));
        let first = out.iter().position(|byte| *byte == b'\n').map_or(out.len(), |at| at + 1);
        let second = first + super::wire::value_len(&out[first..]).unwrap_or(0);
        let place = if self.fault_dice(fault).chance(300) && second < out.len() { second } else { first };
        [&out[..place], b"|1\r\n+ttl\r\n:3600\r\n", &out[place..]].concat()
    }

    /// The slot of a command that blocks moves away: its client is redirected.
    pub(super) fn move_under_blocked(&mut self) {
        let fault = Fault::DoubleMoved;
        let slot_of = |link: &super::net::Link| {
            let session = link.session.as_ref().filter(|session| !session.alien)?;
            let Some((Sent::One(tag), _)) = session.blocked else { return None };
            self.clients[link.client].requests.get(tag as usize)?.spec.target.slot()
        };
        let Some(slot) = self.links.iter().rev().take(200).find_map(slot_of).map(slotwise::slot::Slot::get) else {
            return;
        };
        let primaries = self.primaries();
        let Some(to) = self.one_of(fault, &primaries) else { return };
        let up = self.servers.model.owner(slot).is_some_and(|owner| self.servers.nodes[owner].up);
        if up && !self.is_busy(slot) && self.servers.model.move_atomically(slot, to).is_ok() {
            self.watch(slot);
        }
    }

    /// A blocked command is told twice where to go, as happens when both the move and the end of the wait say so.
    pub(super) fn doubled(&mut self, link: u32, out: Vec<u8>) -> Vec<u8> {
        if !self.options.has(Fault::DoubleMoved) || !out.starts_with(b"-MOVED ") {
            return out;
        }
        self.strikes(Fault::DoubleMoved, u64::from(link));
        self.links[link as usize].doubled = true;
        [&out[..], &out].concat()
    }
}
