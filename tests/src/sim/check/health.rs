//! I9 while faults strike: requests to shards that nothing has touched end, and end well, within [`T_OK`].
//!
//! What a fault touches is written down with a time until which that may show. A request is judged only if neither the
//! node of its slot, nor the slot, nor its client, nor the way between the two was touched while it was under way.

use std::collections::BTreeMap;

use super::Planted;
use crate::sim::client::{End, Owner};
use crate::sim::kinds::Fault;
use crate::sim::world::{Phase, World};

/// Requests to untouched shards end within this time.
pub const T_OK: u64 = 2_000_000;
/// For so long a fault may show after it struck: the longest one, the longest silence before a connection is given up,
/// and the longest back-off together.
const SHOWS: u64 = 40_000_000;

/// What a fault touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touched {
    /// Everything.
    All,
    /// A node.
    Node(usize),
    /// A slot, wherever it is.
    Slot(u16),
    /// A client.
    Client(usize),
    /// The connections between a client and a node.
    Way(usize, usize),
}

/// What was touched, and until when that may show.
#[derive(Clone, Debug, Default)]
pub struct Health {
    until: BTreeMap<Touched, u64>,
}

impl Health {
    /// Whether it was touched and that may have shown since then.
    #[must_use]
    pub fn shows(&self, what: Touched, since: u64) -> bool {
        self.until.get(&what).is_some_and(|until| *until >= since)
    }
}

impl World {
    /// A fault touches something.
    pub fn touch(&mut self, what: Touched) {
        let until = self.now + SHOWS;
        self.health.until.insert(what, until);
    }

    /// A fault struck; `of` is what it says of itself.
    pub fn touched_by(&mut self, fault: Fault, of: u64) {
        let at = of as usize;
        if self.options.full_coverage && matches!(fault, Fault::DelSlots | Fault::Reset) {
            // A slot of nobody takes the whole cluster down.
            self.touch(Touched::All);
        }
        match fault {
            // They last for the run and are among the options that are judged, or strike one request.
            Fault::Fragment | Fault::PartialWrite | Fault::Cancel | Fault::ShortTimeout | Fault::Burst => {}
            Fault::ResetUp
            | Fault::ResetDown
            | Fault::HalfClose
            | Fault::HalfOpen
            | Fault::Clog
            | Fault::Duplicate
            | Fault::ClientKill
            | Fault::OutputLimit => {
                if let Some(link) = self.links.get(at) {
                    let (client, node) = (link.client, link.node);
                    self.touch(node.map_or(Touched::Client(client), |node| Touched::Way(client, node)));
                }
            }
            Fault::ClockJump | Fault::Suspend | Fault::Dropped | Fault::LargeValue => self.touch(Touched::Client(at)),
            // By the state of the nodes, below.
            Fault::ConnectRefused
            | Fault::ConnectTimeout
            | Fault::ConnectClosed
            | Fault::ConnectWrong
            | Fault::ConnectLate
            | Fault::PartitionNode
            | Fault::PartitionHalf
            | Fault::PartitionOneWay => {}
            // Nodes that do not hear each other answer as before.
            Fault::PartitionBus => {}
            Fault::NameChange
            | Fault::Crash
            | Fault::RestartEmpty
            | Fault::Loading
            | Fault::Pause
            | Fault::SlowNode
            | Fault::Busy
            | Fault::OutOfMemory
            | Fault::Reset
            | Fault::ReplicaMoves
            | Fault::ScaleOut
            | Fault::ScaleIn
            | Fault::TlsPorts
            | Fault::Nat => self.touch(Touched::Node(at)),
            // The nodes are touched where they change their roles.
            Fault::Failover => {}
            Fault::Migration
            | Fault::MigrationAtomic
            | Fault::MigrationAborted
            | Fault::FailoverMigrating
            | Fault::Aba
            | Fault::DelSlots => {
                self.touch(Touched::Slot(of as u16));
            }
            Fault::Acl => {}
            Fault::Slowness | Fault::Password | Fault::Endpoints => self.touch(Touched::All),
            _ => {
                let node = self.options.hostile.map(usize::from);
                self.touch(node.map_or(Touched::All, Touched::Node));
            }
        }
    }

    /// Nodes that cannot be reached as usual now are touched.
    pub fn touch_nodes(&mut self) {
        let now = self.now;
        for node in 0..self.servers.nodes.len() {
            let at = &self.servers.nodes[node];
            let times = [at.paused, at.deaf, at.mute, at.refuses, at.ignores, at.closes, at.late, at.stolen];
            if !at.up || at.slow > 0 || times.iter().any(|until| *until > now) {
                self.touch(Touched::Node(node));
            }
        }
    }

    /// Whether the network and the load of this run let requests end in time at all.
    fn is_swift(&self) -> bool {
        let (options, net) = (&self.options, &self.drawn);
        // A window of a few commands, a trickle of bytes or a reply a hundred times as late add up behind one another.
        let slow = net.delay + net.spread > 11_000 || (net.tail > 0 && net.delay + net.spread > 200);
        let narrow = options.window < 64 || net.bandwidth > 0 || net.send_buffer < 4_096;
        // What imitates a redirect is held back, and all behind it on the connection; what blocks may stand in front.
        // Of runs with an adversary this is not asked.
        let honest = options.hostile.is_none() && self.stage.is_none();
        !slow && !narrow && options.mix.script == 0 && honest
    }

    /// Whether a request has nothing to do with any fault, so far.
    fn is_prompt(&self, client: usize, tag: u64) -> bool {
        let request = &self.clients[client].requests[tag as usize];
        let Some(slot) = request.spec.target.slot() else { return false };
        let since = request.submitted;
        let own = matches!(request.owner, Owner::Work | Owner::Part(..) | Owner::Second(_));
        let plain = own && !request.spec.blocking && request.spec.timeout.is_none() && !request.cancelled;
        let reads = self.options.reads != 0 && request.spec.access == slotwise::command::Access::Read;
        if !plain || reads || request.notes.early || self.phase == Phase::Shutdown {
            return false;
        }
        let Some(node) = self.servers.model.owner(slot.get()) else { return false };
        let shows = |what| self.health.shows(what, since);
        !shows(Touched::All)
            && !shows(Touched::Node(node))
            && !shows(Touched::Slot(slot.get()))
            && !shows(Touched::Client(client))
            && !shows(Touched::Way(client, node))
    }

    /// I9: a request has ended. If no fault had anything to do with it, it did well, and in time.
    pub fn check_prompt(&mut self, client: usize, tag: u64) {
        if !self.is_swift() || !self.is_prompt(client, tag) {
            return;
        }
        let request = &self.clients[client].requests[tag as usize];
        let Some((end, at)) = request.end else { return };
        let took = at - request.submitted;
        let well = matches!(end, End::Done { .. } | End::Error { refusal: false, .. });
        self.check(9, well, || format!("client {client}: command {tag} to a healthy shard ended as {end:?}"));
        self.check(9, took <= T_OK, || format!("client {client}: command {tag} to a healthy shard took {took} us"));
    }

    /// I9: no request to a healthy shard has been under way for too long.
    pub fn check_waiting(&mut self, client: usize) {
        if !self.is_swift() || self.clients[client].frozen > self.now {
            return;
        }
        let late = self.now.saturating_sub(T_OK);
        // They are in the order of their times; those that ended are skipped for good.
        let at = &mut self.clients[client];
        while at.requests.get(at.notes.oldest).is_some_and(|request| request.end.is_some()) {
            at.notes.oldest += 1;
        }
        let oldest = self.clients[client].notes.oldest;
        for tag in oldest..self.clients[client].requests.len() {
            let request = &self.clients[client].requests[tag];
            if request.submitted >= late {
                return;
            }
            if request.end.is_none() && self.is_prompt(client, tag as u64) {
                let took = self.now - request.submitted;
                self.check(9, false, || {
                    format!("client {client}: command {tag} to a healthy shard is under way for {took} us")
                });
            }
        }
    }

    /// How long what a healthy node says is held back, if that is planted.
    #[must_use]
    pub fn withheld(&self, link: u32) -> u64 {
        if self.planted(Planted::Withheld) && link.is_multiple_of(2) && self.phase == Phase::Safety {
            T_OK + 500_000
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_touched_shows_for_a_while() {
        let mut health = Health::default();
        health.until.insert(Touched::Way(0, 1), 500);
        assert!(health.shows(Touched::Way(0, 1), 400));
        assert!(!health.shows(Touched::Way(0, 1), 501));
        assert!(!health.shows(Touched::Way(1, 0), 400) && !health.shows(Touched::Node(1), 400));
    }
}
