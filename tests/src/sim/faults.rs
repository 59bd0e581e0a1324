//! Faults strike, and what they broke is repaired.

use slotwise::slot::Slot;

use super::check::health::Touched;
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
            if self.fault_dice(rate.fault).has_ended() {
                continue;
            }
            let first = self.dice(Label::Fault(rate.fault as u8)).exponential(u64::from(rate.gap));
            self.after(first, Ev::Fault(rate.fault));
        }
    }

    /// A kind of fault strikes, and will again.
    pub fn strike(&mut self, fault: Fault) {
        // Behind the end of a tape nothing strikes.
        if self.phase != Phase::Safety || self.fault_dice(fault).has_ended() {
            return;
        }
        let gap = self.options.faults.iter().find(|rate| rate.fault == fault).map_or(1_000_000, |rate| rate.gap);
        let next = 1_000 + self.fault_dice(fault).exponential(u64::from(gap));
        self.after(next, Ev::Fault(fault));
        self.inject(fault);
        self.touch_nodes();
    }

    pub(super) fn fault_dice(&mut self, fault: Fault) -> &mut super::dice::Dice {
        self.dice(Label::Fault(fault as u8))
    }

    /// A span up to `most` microseconds, mostly short.
    pub(super) fn span(&mut self, fault: Fault, most: u64) -> u64 {
        self.fault_dice(fault).exponential(most / 4).min(most)
    }

    pub(super) fn some_node(&mut self, fault: Fault) -> usize {
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

    /// An open connection with subscriptions; in runs without any, any connection.
    fn some_subscriber(&mut self) -> Option<u32> {
        let model = &self.servers.model;
        let fits = |link: &u32| {
            let link = &self.links[*link as usize];
            let session = link.session.as_ref().filter(|session| !session.alien && link.stage == Stage::Open);
            session.is_some_and(|session| model.is_subscribed(session.client))
        };
        let all: Vec<u32> = self.clients.iter().flat_map(|client| client.links.iter().copied()).filter(fits).collect();
        if all.is_empty() {
            return self.some_link(Fault::OutputLimit).filter(|_| self.options.channels == 0);
        }
        let at = self.fault_dice(Fault::OutputLimit).below(all.len() as u32) as usize;
        Some(all[at])
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
            | Fault::ClientKill
            | Fault::HalfWritten
            | Fault::Tracking => {
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
            Fault::OutputLimit => {
                if let Some(link) = self.some_subscriber() {
                    self.inject_link(fault, link);
                }
            }
            Fault::Dropped => self.drop_client(),
            Fault::Ticks => self.coarsen(),
            Fault::Belated => self.report_late(),
            Fault::Rewished => self.wish_again(),
            Fault::Nameless | Fault::Ipv6 | Fault::LargeCursors | Fault::Nobody | Fault::OldView => {
                self.confuse(fault);
                self.flush();
                self.unsettle();
            }
            _ => self.upheaval(fault),
        }
    }

    /// A client's core is dropped in the middle of its work: its sockets close.
    fn drop_client(&mut self) {
        let fault = Fault::Dropped;
        let client = self.clients.len() - 1;
        // One client stays, to tell of the rest.
        if client == 0 || self.clients[client].dropped || !self.fault_dice(fault).chance(300) {
            return;
        }
        self.strikes(fault, client as u64);
        for link in std::mem::take(&mut self.clients[client].links) {
            self.client_closes(link, slotwise::cluster::CloseReason::Shutdown);
        }
        self.clients[client].dropped = true;
    }

    fn inject_link(&mut self, fault: Fault, link: u32) {
        let dice = self.streams.of(Label::Fault(fault as u8));
        let bytes = dice.below(200) as usize;
        let few = dice.below(3);
        let way = if dice.chance(500) { Way::Up } else { Way::Down };
        self.strikes(fault, u64::from(link));
        self.act_link(fault, link, bytes, few, way);
        match fault {
            Fault::ResetUp => self.links[link as usize].up.cut_after = Some(bytes),
            Fault::ResetDown => self.links[link as usize].down.cut_after = Some(bytes),
            Fault::HalfClose => {
                if let Some(session) = &mut self.links[link as usize].session {
                    session.ends_after = Some(few + 1);
                }
            }
            Fault::HalfWritten => {
                self.links[link as usize].stuck = Some(bytes / 4);
                let later = 1_000_000 + self.span(fault, 60_000_000);
                self.after(later, Ev::Repair(fault, link));
            }
            Fault::Tracking => {
                if let Some(session) = &self.links[link as usize].session {
                    let (alien, client) = (session.alien, session.client);
                    self.servers.model_of(alien).set_tracking(client, true);
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
            Fault::OutputLimit => {
                // Cut off at once, in the middle of what was being sent.
                self.links[link as usize].down.cut_after = Some(bytes);
            }
            _ => self.server_closes(link),
        }
    }

    fn inject_dial(&mut self, fault: Fault) {
        let node = self.some_node(fault);
        let until = self.now + self.span(fault, 6_000_000);
        self.note(What::Fault, [fault as u64, node as u64, until]);
        self.act(|world| {
            let span = until - world.now;
            match fault {
                Fault::ConnectRefused => format!("refuse N{node} {span}us"),
                Fault::ConnectTimeout => format!("ignore N{node} {span}us"),
                Fault::ConnectClosed => format!("closes N{node} {span}us"),
                _ => format!("# {} at N{node}", fault.name()),
            }
        });
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
            self.act(|world| match fault {
                Fault::PartitionBus => format!("# N{node} is off the bus"),
                Fault::PartitionOneWay => format!("mute N{node} {}us", until - world.now),
                _ => format!("partition N{node} {}us", until - world.now),
            });
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
        self.act(|world| match fault {
            Fault::Pause => format!("pause N{node} {}us", until - world.now),
            Fault::SlowNode => format!("slow N{node} {slow}us"),
            _ => format!("rename N{node} 10.1.{}.{}\nhole N{node}", world.servers.renames + 1, node + 1),
        });
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
                self.servers.rename(node, host, super::servers::port_of(node));
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

    /// A client's clock goes in steps from now on. It does not go back.
    fn coarsen(&mut self) {
        let count = self.clients.len() as u32;
        let client = self.fault_dice(Fault::Ticks).below(count) as usize;
        let tick = u64::from(self.fault_dice(Fault::Ticks).pick(&[1_000_u32, 20_000, 250_000]));
        let until = self.span(Fault::Ticks, 20_000_000);
        self.strikes(Fault::Ticks, tick);
        let at = &mut self.clients[client];
        if at.tick < tick {
            (at.ahead, at.tick) = (at.ahead + tick, tick);
            at.wake_at = Some(self.now);
            self.at(self.now, Ev::Wake(client));
            // Up to a tick passes at once.
            self.touch(Touched::Client(client));
        }
        self.after(until, Ev::Repair(Fault::Ticks, client as u32));
    }

    /// What a fault began goes on, or ends.
    pub fn repair(&mut self, fault: Fault, of: u32) {
        match fault {
            Fault::HalfOpen | Fault::HalfWritten => self.reset(of),
            Fault::Ticks => {
                let at = &mut self.clients[of as usize];
                at.tick = u64::from(self.options.tick);
                at.wake_at = Some(self.now);
                self.at(self.now, Ev::Wake(of as usize));
                self.touch(Touched::Client(of as usize));
            }
            Fault::Duplicate => self.end_session(of),
            Fault::Rewished => self.renew_wish(of),
            Fault::LyingLength => self.check_unbelieved(of),
            Fault::SlowNode => self.servers.nodes[of as usize].slow = 0,
            _ => self.calm(fault, of),
        }
    }

    /// Everybody is looked at.
    pub fn tick(&mut self) {
        for client in 0..self.clients.len() {
            if !self.clients[client].dropped {
                self.look_at(client);
                self.check_told(client);
                self.check_waiting(client);
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
            (at.paused, at.deaf, at.mute, at.off_bus) = (0, 0, 0, 0);
            (at.refuses, at.ignores, at.closes, at.late, at.stolen, at.slow) = (0, 0, 0, 0, 0, 0);
        }
        self.servers.slow_network = 0;
        let net = &mut self.options.net;
        (net.delay, net.spread, net.tail, net.partial) = (net.delay.min(1_000), net.spread.min(1_000), 0, 0);
        (net.bandwidth, net.send_buffer) = (0, net.send_buffer.max(4_096));
        self.calm_all();
        for client in &mut self.clients {
            client.frozen = client.frozen.min(self.now);
            client.tick = u64::from(self.options.tick);
        }
        for link in 0..self.links.len() as u32 {
            self.hurry(link, Way::Up);
            self.hurry(link, Way::Down);
            let at = &mut self.links[link as usize];
            at.up.clog = 0;
            at.down.clog = 0;
            let alien = at.session.as_ref().is_some_and(|session| session.alien);
            if at.hole || alien || at.stuck.is_some() {
                (at.hole, at.stuck) = (false, None);
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
