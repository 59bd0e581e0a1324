//! Nodes that know less than others, or something else: replicas that lag, half a migration, a slot that came back.

use slotwise_std::mini::model::Profile;

use super::kinds::Fault;
use super::working::{TAGS, slot_of_tag};
use super::world::{Ev, World};

impl World {
    /// A replica receives nothing for a while. Sometimes its primary ends before it has everything.
    pub(super) fn fall_behind(&mut self) {
        let fault = Fault::Lag;
        let replicas = self.replicas();
        let Some(replica) = self.one_of(fault, &replicas) else { return };
        self.strikes(fault, replica as u64);
        self.servers.model.set_switches(replica, |switches| switches.lagging = true);
        let until = 100_000 + self.span(fault, 8_000_000);
        self.after(until, Ev::Repair(fault, replica as u32));
        let primary = self.servers.model.primary_of(replica);
        let fit = primary.filter(|primary| self.servers.nodes[*primary].up && !self.moves(*primary));
        if let Some(primary) = fit
            && self.fault_dice(fault).chance(300)
        {
            let ends = self.span(fault, until);
            self.after(ends, Ev::Elect(replica, primary));
        }
    }

    /// The replica lags no longer.
    pub(super) fn catch_up(&mut self, replica: usize) {
        self.servers.model.set_switches(replica, |switches| switches.lagging = false);
    }

    /// The primary of a replica that lags ends: what the replica lacks is lost.
    pub(super) fn lose_primary(&mut self, heir: usize, primary: usize) {
        let lags = self.servers.model.switches(heir).is_some_and(|switches| switches.lagging);
        let safety = self.phase == super::world::Phase::Safety;
        if safety && lags && self.servers.nodes[primary].up && !self.moves(primary) {
            self.kill(Fault::Crash, primary, Some((heir, 50_000)));
        }
    }

    /// One node sends a slot's missing keys on to a second one, which does not import the slot, and perhaps believes
    /// that it is a third one's.
    pub(super) fn chain(&mut self) {
        let fault = Fault::AskChain;
        let slot = slot_of_tag(self.fault_dice(fault).below(TAGS)).get();
        let primaries = self.primaries();
        let owner = self.servers.model.owner(slot).filter(|owner| self.servers.nodes[*owner].up);
        let (Some(from), Some(to)) = (owner, self.one_of(fault, &primaries)) else { return };
        if to == from || self.is_busy(slot) {
            return;
        }
        let third = self.one_of(fault, &primaries).filter(|third| *third != from && *third != to);
        let number = slot.to_string();
        let set = |world: &mut Self, at: usize, what: &[u8], other: usize| {
            let id = world.servers.model.node_id(other).unwrap_or_default().to_owned();
            world.servers.operate(at, &[b"CLUSTER", b"SETSLOT", number.as_bytes(), what, id.as_bytes()])
        };
        if set(self, from, b"MIGRATING", to) != b"+OK\r\n" {
            return;
        }
        self.strikes(fault, u64::from(slot));
        self.watch(slot);
        self.servers.chained.insert(slot, (from, to));
        if let Some(third) = third {
            set(self, to, b"NODE", third);
        }
        let until = self.span(fault, 4_000_000);
        self.after(until, Ev::Repair(fault, u32::from(slot)));
    }

    /// Somebody cleans up half a migration.
    pub(super) fn unchain(&mut self, slot: u16) {
        let Some((from, to)) = self.servers.chained.remove(&slot) else { return };
        let number = slot.to_string();
        for node in [from, to] {
            self.servers.operate(node, &[b"CLUSTER", b"SETSLOT", number.as_bytes(), b"STABLE"]);
        }
        let owner = self.servers.model.owner(slot);
        if let Some(id) = owner.and_then(|owner| self.servers.model.node_id(owner)).map(str::to_owned) {
            self.servers.operate(to, &[b"CLUSTER", b"SETSLOT", number.as_bytes(), b"NODE", id.as_bytes()]);
        }
    }

    /// A slot's owner refuses writes because it still deletes what it once had there.
    pub(super) fn trim(&mut self) {
        let fault = Fault::Trimming;
        let slot = slot_of_tag(self.fault_dice(fault).below(TAGS)).get();
        let able = [Some(self.options.server), self.options.mixed].contains(&Some(Profile::Redis84));
        let owner = self.servers.model.owner(slot).filter(|_| able && !self.servers.trimmed.contains_key(&slot));
        let Some(owner) = owner else { return };
        self.strikes(fault, u64::from(slot));
        self.servers.model.set_trimming(owner, slot, true);
        self.servers.trimmed.insert(slot, owner);
        let until = self.span(fault, 3_000_000);
        self.after(until, Ev::Repair(fault, u32::from(slot)));
    }

    /// It has deleted everything.
    pub(super) fn trimmed(&mut self, slot: u16) {
        if let Some(node) = self.servers.trimmed.remove(&slot) {
            self.servers.model.set_trimming(node, slot, false);
        }
    }

    /// Whether something goes on with a slot already.
    pub(super) fn is_busy(&self, slot: u16) -> bool {
        let servers = &self.servers;
        servers.moving.contains_key(&slot) || servers.orphans.contains_key(&slot) || servers.chained.contains_key(&slot)
    }
}
