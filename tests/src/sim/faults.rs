//! Faults strike, and what they broke is repaired.

use slotwise::slot::Slot;

use super::dice::Label;
use super::kinds::Fault;
use super::net::{Stage, Way};
use super::trace::What;
use super::working::{TAGS, slot_of_tag};
use super::world::{Ev, Phase, World};

impl World {
    /// Plans the first strike of every kind.
    pub fn plan_faults(&mut self) {
        for rate in self.options.faults.clone() {
            let first = self.dice(Label::Fault(rate.fault as u8)).exponential(u64::from(rate.gap));
            self.after(first, Ev::Fault(rate.fault));
        }
    }

    /// A kind of fault strikes, and will again.
    pub fn strike(&mut self, fault: Fault) {
        if self.phase != Phase::Safety {
            return;
        }
        let gap = self.options.faults.iter().find(|rate| rate.fault == fault).map_or(1_000_000, |rate| rate.gap);
        let next = 1_000 + self.fault_dice(fault).exponential(u64::from(gap));
        self.after(next, Ev::Fault(fault));
        self.inject(fault);
    }

    fn fault_dice(&mut self, fault: Fault) -> &mut super::dice::Dice {
        self.dice(Label::Fault(fault as u8))
    }

    /// A span up to `most` microseconds, mostly short.
    fn span(&mut self, fault: Fault, most: u64) -> u64 {
        self.fault_dice(fault).exponential(most / 4).min(most)
    }

    fn some_node(&mut self, fault: Fault) -> usize {
        let count = self.servers.nodes.len() as u32;
        self.fault_dice(fault).below(count) as usize
    }

    /// An open connection.
    fn some_link(&mut self, fault: Fault) -> Option<u32> {
        let open: Vec<u32> = self.clients.iter().flat_map(|client| client.links.iter().copied()).collect();
        let open: Vec<u32> = open.into_iter().filter(|link| self.links[*link as usize].stage == Stage::Open).collect();
        if open.is_empty() {
            return None;
        }
        let at = self.fault_dice(fault).below(open.len() as u32) as usize;
        Some(open[at])
    }

    /// What a kind of fault does.
    fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::ResetUp
            | Fault::ResetDown
            | Fault::HalfClose
            | Fault::HalfOpen
            | Fault::Clog
            | Fault::Duplicate
            | Fault::ClientKill => {
                if let Some(link) = self.some_link(fault) {
                    self.inject_link(fault, link);
                }
            }
            Fault::Slowness => {
                self.servers.slow_network = self.now + self.span(fault, 5_000_000);
                self.strikes(fault, 0);
            }
            Fault::ConnectRefused
            | Fault::ConnectTimeout
            | Fault::ConnectClosed
            | Fault::ConnectWrong
            | Fault::ConnectLate => self.inject_dial(fault),
            Fault::PartitionNode | Fault::PartitionHalf | Fault::PartitionOneWay | Fault::PartitionBus => {
                self.inject_partition(fault);
            }
            Fault::Pause | Fault::SlowNode | Fault::NameChange => {
                let node = self.some_node(fault);
                self.inject_node(fault, node);
            }
            Fault::ClockJump | Fault::Suspend => self.inject_clock(fault),
            Fault::Migration | Fault::MigrationAtomic | Fault::MigrationAborted | Fault::Aba | Fault::DelSlots => {
                self.inject_move(fault);
            }
            Fault::Failover => self.inject_failover(fault),
            _ => {}
        }
    }

    fn inject_link(&mut self, fault: Fault, link: u32) {
        let dice = self.streams.of(Label::Fault(fault as u8));
        let bytes = dice.below(200) as usize;
        let few = dice.below(3);
        let way = if dice.chance(500) { Way::Up } else { Way::Down };
        self.strikes(fault, u64::from(link));
        match fault {
            Fault::ResetUp => self.links[link as usize].up.cut_after = Some(bytes),
            Fault::ResetDown => self.links[link as usize].down.cut_after = Some(bytes),
            Fault::HalfClose => {
                if let Some(session) = &mut self.links[link as usize].session {
                    session.ends_after = Some(few + 1);
                }
            }
            Fault::HalfOpen => {
                self.links[link as usize].hole = true;
                // The other side is gone; in the end somebody says so.
                self.after(900_000_000, Ev::Repair(fault, link));
            }
            Fault::Clog => {
                let until = self.now + self.span(fault, 5_000_000);
                self.links[link as usize].pipe(way).clog = until;
            }
            Fault::Duplicate => {
                let client = self.links[link as usize].client;
                let later = self.span(fault, 20_000_000);
                self.lose(link);
                self.after(later, Ev::Repair(fault, link));
                self.drive(client);
            }
            _ => self.server_closes(link),
        }
    }

    fn inject_dial(&mut self, fault: Fault) {
        let node = self.some_node(fault);
        let until = self.now + self.span(fault, 6_000_000);
        self.note(What::Fault, [fault as u64, node as u64, until]);
        let node = &mut self.servers.nodes[node];
        match fault {
            Fault::ConnectRefused => node.refuses = until,
            Fault::ConnectTimeout => node.ignores = until,
            Fault::ConnectClosed => node.closes = until,
            Fault::ConnectWrong => node.stolen = until,
            _ => node.late = until,
        }
        // The connections of now must end for a dial to be made.
        if let Some(link) = self.some_link(fault)
            && self.fault_dice(fault).chance(700)
        {
            self.reset(link);
        }
    }

    fn inject_partition(&mut self, fault: Fault) {
        let until = self.now + 200_000 + self.span(fault, 20_000_000);
        let first = self.some_node(fault);
        let mut hit = vec![first];
        if fault == Fault::PartitionHalf {
            hit = (0..self.servers.nodes.len()).filter(|node| node % 2 == first % 2).collect();
        }
        self.strikes(fault, first as u64);
        for node in hit {
            let node = &mut self.servers.nodes[node];
            match fault {
                Fault::PartitionBus => node.off_bus = until,
                Fault::PartitionOneWay => node.mute = until,
                _ => (node.deaf, node.mute) = (until, until),
            }
        }
    }

    fn inject_node(&mut self, fault: Fault, node: usize) {
        let until = self.now + self.span(fault, 15_000_000);
        let slow = self.fault_dice(fault).exponential(300_000);
        self.strikes(fault, node as u64);
        match fault {
            Fault::Pause => {
                self.servers.nodes[node].paused = until;
                self.at(until, Ev::Node(node));
            }
            Fault::SlowNode => {
                self.servers.nodes[node].slow = slow;
                self.at(until, Ev::Repair(fault, node as u32));
            }
            _ => {
                self.servers.renames += 1;
                let host = format!("10.1.{}.{}", self.servers.renames, node + 1);
                self.servers.rename(node, host);
                // It has moved: nobody answers at the old address, and the old connections are dead.
                for link in 0..self.links.len() as u32 {
                    if self.links[link as usize].node == Some(node) && self.links[link as usize].stage == Stage::Open {
                        self.links[link as usize].hole = true;
                        self.after(20_000_000, Ev::Repair(Fault::HalfOpen, link));
                    }
                }
            }
        }
    }

    fn inject_clock(&mut self, fault: Fault) {
        let count = self.clients.len() as u32;
        let client = self.fault_dice(fault).below(count) as usize;
        let span = self.span(fault, 20_000_000);
        self.strikes(fault, client as u64);
        if fault == Fault::ClockJump {
            self.clients[client].ahead += span;
            self.clients[client].wake_at = Some(self.now);
            self.at(self.now, Ev::Wake(client));
        } else {
            self.clients[client].frozen = self.now + span;
        }
    }

    // ---- slots and roles ----

    fn primaries(&self) -> Vec<usize> {
        let model = &self.servers.model;
        (0..self.servers.nodes.len()).filter(|node| model.primary_of(*node).is_none()).collect()
    }

    fn inject_move(&mut self, fault: Fault) {
        let slot = slot_of_tag(self.fault_dice(fault).below(TAGS));
        let primaries = self.primaries();
        let to = primaries[self.fault_dice(fault).below(primaries.len() as u32) as usize];
        let slot = slot.get();
        if self.servers.moving.contains_key(&slot) || self.servers.model.owner(slot).is_none_or(|from| from == to) {
            return;
        }
        if !self.servers.moved.contains(&slot) {
            self.servers.moved.push(slot);
        }
        match fault {
            Fault::Migration | Fault::MigrationAborted => {
                if self.servers.model.begin_move(slot, to).is_err() {
                    return;
                }
                self.strikes(fault, u64::from(slot));
                self.servers.moving.insert(slot, to);
                let step = self.span(fault, 1_000_000);
                self.after(step, Ev::Repair(fault, u32::from(slot)));
            }
            Fault::DelSlots => {
                // Without steady keys: they would be gone.
                let _ = to;
                return;
            }
            _ => {
                let from = self.servers.model.owner(slot);
                if self.servers.model.move_atomically(slot, to).is_err() {
                    return;
                }
                self.strikes(fault, u64::from(slot));
                if fault == Fault::Aba {
                    let back = self.span(fault, 2_000_000);
                    let from = from.unwrap_or(0) as u32;
                    self.after(back, Ev::Repair(fault, from << 16 | u32::from(slot)));
                }
            }
        }
        self.flush();
        self.unsettle();
    }

    fn inject_failover(&mut self, fault: Fault) {
        let model = &self.servers.model;
        let replicas: Vec<usize> =
            (0..self.servers.nodes.len()).filter(|node| model.primary_of(*node).is_some()).collect();
        if replicas.is_empty() {
            return;
        }
        let replica = replicas[self.fault_dice(fault).below(replicas.len() as u32) as usize];
        let old = self.servers.model.primary_of(replica);
        // A migration ends with its source or target.
        let model = &self.servers.model;
        let broken: Vec<u16> = (self.servers.moving.iter())
            .filter(|(slot, to)| Some(**to) == old || model.owner(**slot) == old)
            .map(|(slot, _)| *slot)
            .collect();
        if !broken.is_empty() {
            return;
        }
        if self.servers.model.failover(replica).is_ok() {
            self.strikes(fault, replica as u64);
            for tag in 0..TAGS {
                let slot = slot_of_tag(tag).get();
                if !self.servers.moved.contains(&slot) {
                    self.servers.moved.push(slot);
                }
            }
            self.flush();
            self.unsettle();
        }
    }

    /// What a fault began goes on, or ends.
    pub fn repair(&mut self, fault: Fault, of: u32) {
        match fault {
            Fault::HalfOpen => self.reset(of),
            Fault::Duplicate => self.end_session(of),
            Fault::SlowNode => self.servers.nodes[of as usize].slow = 0,
            Fault::Migration | Fault::MigrationAborted => self.move_on(fault, of as u16),
            Fault::Aba if self.phase == Phase::Safety => {
                let (slot, from) = (of as u16, (of >> 16) as usize);
                if self.servers.model.primary_of(from).is_none()
                    && self.servers.model.move_atomically(slot, from).is_ok()
                {
                    self.note(What::Heal, [fault as u64, u64::from(slot), from as u64]);
                    self.flush();
                    self.unsettle();
                }
            }
            _ => {}
        }
    }

    /// Some keys of a moving slot move, or the move ends.
    fn move_on(&mut self, fault: Fault, slot: u16) {
        let Some(to) = self.servers.moving.get(&slot).copied() else { return };
        let most = self.fault_dice(fault).range(1, 3) as usize;
        let moved = self.servers.model.move_keys(slot, most);
        self.note(What::Heal, [fault as u64, u64::from(slot), to as u64]);
        if matches!(moved, Ok(n) if n > 0) {
            self.flush();
            let step = self.span(fault, 1_000_000);
            return self.after(step, Ev::Repair(fault, u32::from(slot)));
        }
        self.servers.moving.remove(&slot);
        if moved.is_ok() {
            let _ = self.servers.model.finish_move(slot);
        }
        self.flush();
        self.unsettle();
    }

    /// The servers' own timers.
    pub fn tick(&mut self) {
        for client in 0..self.clients.len() {
            if !self.clients[client].dropped {
                self.look_at(client);
            }
        }
        if self.phase != Phase::Shutdown {
            self.after(500_000, Ev::Tick);
        }
    }

    /// Everything is repaired.
    pub fn heal(&mut self) {
        self.note(What::Heal, [u64::MAX, 0, 0]);
        for node in 0..self.servers.nodes.len() {
            let at = &mut self.servers.nodes[node];
            at.up = true;
            (at.paused, at.deaf, at.mute, at.off_bus) = (0, 0, 0, 0);
            (at.refuses, at.ignores, at.closes, at.late, at.stolen, at.slow) = (0, 0, 0, 0, 0, 0);
        }
        self.servers.slow_network = 0;
        let net = &mut self.options.net;
        (net.delay, net.spread, net.tail, net.partial) = (net.delay.min(1_000), net.spread.min(1_000), 0, 0);
        (net.bandwidth, net.send_buffer) = (0, net.send_buffer.max(4_096));
        let moving: Vec<u16> = self.servers.moving.keys().copied().collect();
        for slot in moving {
            self.servers.moving.remove(&slot);
            let _ = self.servers.model.move_keys(slot, usize::MAX);
            let _ = self.servers.model.finish_move(slot);
        }
        self.servers.model.settle();
        self.flush();
        for client in &mut self.clients {
            client.frozen = client.frozen.min(self.now);
        }
        for link in 0..self.links.len() as u32 {
            let at = &mut self.links[link as usize];
            at.up.clog = 0;
            at.down.clog = 0;
            let alien = at.session.as_ref().is_some_and(|session| session.alien);
            if at.hole || alien {
                at.hole = false;
                self.reset(link);
            } else if at.stage == Stage::Gone && !at.up.ended {
                self.end_session(link);
            } else if at.stage != Stage::Gone || at.session.is_some() {
                self.at(self.now, Ev::Arrive(link, Way::Up));
                self.at(self.now, Ev::Arrive(link, Way::Down));
            }
        }
        for node in 0..self.servers.nodes.len() {
            self.node_goes_on(node);
        }
        for client in 0..self.clients.len() {
            self.clients[client].wake_at = Some(self.now);
            self.at(self.now, Ev::Wake(client));
        }
    }

    /// The slots that are watched: those of the tags.
    #[must_use]
    pub fn watched() -> Vec<Slot> {
        (0..TAGS).map(slot_of_tag).collect()
    }
}
