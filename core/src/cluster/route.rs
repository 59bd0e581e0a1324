//! Which connection a command goes to.

use crate::cluster::config::ReadFrom;
use crate::cluster::conn::{Bits, ConnEntry, ConnState, Purpose};
use crate::cluster::engine::Engine;
use crate::connection::{Liveness, Watch, Zone};
use crate::fmt::debug;
use crate::pipeline::{Aim, Entry, Flag, Ix, NONE, Place, Reason};
use crate::slot::Slot;
use crate::time::{Duration, Instant, Stamp};
use crate::topology::{Map, Node, NodeIndex, Owner, Reason as Why, Role};

/// Where a command goes now.
enum Dest {
    Node(NodeIndex),
    /// Wait for a map change, and until the instant at most.
    Wait(Option<Instant>),
    Fail(Reason),
}

/// How long a command waits before it looks for a free connection entry again.
const NO_ROOM_DELAY: Duration = Duration::from_millis(20);
/// How long a lease stays with its node, unused, when others wait for one.
const LEAST_UNUSED: Duration = Duration::from_millis(300);

impl Engine<'_> {
    /// Puts a command that is on no list where it belongs now.
    pub(crate) fn route(&mut self, now: Instant, index: u32) {
        let entry = self.peek(index);
        if let Some(slot) = entry.slot()
            && !self.s.config.strict_order()
            && entry.hops == 0
            && entry.attempts() == 0
            && self.held_back(slot)
        {
            let held = self.entry(index);
            held.set_place(Place::Held);
            // One that was queued before is older than some that are held already.
            if held.conn != Ix::NONE {
                held.set(Flag::DELAYED, true);
            }
            self.s.held.push_back(self.t.commands, index);
            return;
        }
        match self.destination(now, &entry) {
            Dest::Node(node) => self.enqueue_at(now, index, node),
            Dest::Wait(until) => self.park(index, until),
            Dest::Fail(reason) => self.fail(index, reason),
        }
    }

    /// Whether new commands of the slot wait for older ones at a node the slot left.
    fn held_back(&self, slot: Slot) -> bool {
        self.s.holds > 0 && self.t.conns.iter().any(|conn| conn.hold.blocks(slot))
    }

    fn destination(&mut self, now: Instant, entry: &Entry) -> Dest {
        if let Some(target) = entry.ask() {
            return Dest::Node(target);
        }
        if self.map().is_empty() {
            self.s.refresh.request(now, Why::Start);
            return Dest::Wait(None);
        }
        match entry.aim() {
            Aim::Slot(slot) => self.slot_destination(now, slot, entry),
            Aim::Node(Some(node)) => Dest::Node(node),
            Aim::Node(None) => Dest::Fail(Reason::UnknownNode),
            Aim::AnyNode => self.any_node(now, false),
            Aim::AnyPrimary => self.any_node(now, true),
        }
    }

    fn slot_destination(&mut self, now: Instant, slot: Slot, entry: &Entry) -> Dest {
        match self.map().owner(slot) {
            Owner::Node(primary) => {
                // What was redirected goes where it was sent: a replica that does not serve the slot would only say so again.
                // What was refused or lost goes to the primary and to replicas by turns: one that is loading, or has lost
                // its primary, may be so for long.
                let fresh = entry.hops == 0 && entry.attempts() & 1 == 0;
                let reads = entry.has(Flag::READ) && !entry.has(Flag::SUBSCRIBE) && fresh;
                let turn = self.s.turn;
                let replica = if reads {
                    pick_reader(self.s.config.read_from(), &self.map(), primary, turn.into())
                } else {
                    None
                };
                if replica.is_some() {
                    self.s.turn = turn.wrapping_add(1);
                }
                Dest::Node(replica.unwrap_or(primary))
            }
            Owner::Uncovered => {
                self.s.refresh.request(now, Why::Error);
                Dest::Wait(Some(now + self.s.config.retry_delay().saturating_mul(16)))
            }
            Owner::Unknown => self.node_for_unknown(now, slot).map_or(Dest::Wait(None), Dest::Node),
        }
    }

    /// The same node for all commands of a slot whose owner is not known, so that none overtakes another on the way to
    /// its MOVED.
    pub(crate) fn node_for_unknown(&mut self, now: Instant, slot: Slot) -> Option<NodeIndex> {
        self.node_from(now, u32::from(slot.get()), true, false)
    }

    /// A node in turn: one with an open connection if there is one.
    fn any_node(&mut self, now: Instant, primary: bool) -> Dest {
        let turn = self.s.turn;
        self.s.turn = turn.wrapping_add(1);
        self.node_from(now, turn.into(), primary, true).map_or(Dest::Wait(None), Dest::Node)
    }

    /// The first node that fits, counted from a place; one with an open connection is better if `prefer_open`.
    fn node_from(&mut self, now: Instant, turn: u32, primary: bool, prefer_open: bool) -> Option<NodeIndex> {
        let map = self.map();
        let count = u32::try_from(map.node_count()).unwrap_or(u32::MAX);
        let fits = |node: &NodeIndex| {
            map.node(*node).is_some_and(|n| n.is_routable() && (n.role() == Role::Primary || !primary))
        };
        let open = |node: &NodeIndex| {
            let conn = self.t.by_node.get(node.index()).copied().unwrap_or(NONE);
            // One that owes a sign of life, or whose first reply waits, may take its time.
            let prompt = |c: &ConnEntry| c.state == ConnState::Ready && !c.is_stalled() && !c.liveness.is_slow(now);
            self.t.conns.get(conn as usize).is_some_and(prompt)
        };
        let skip = turn.checked_rem(count)? as usize;
        let in_turn = || {
            let rest = map.nodes().skip(skip).map(|(at, _)| at);
            rest.chain(map.nodes().take(skip).map(|(at, _)| at))
        };
        let opened = if prefer_open { in_turn().find(|n| fits(n) && open(n)) } else { None };
        let found = opened.or_else(|| in_turn().find(&fits));
        if found.is_none() {
            self.s.refresh.request(now, Why::Error);
        }
        found
    }

    /// Puts a command at the end of the queue of a connection to that node, opening one if need be.
    pub(crate) fn enqueue_at(&mut self, now: Instant, index: u32, node: NodeIndex) {
        if self.map().node(node).is_some_and(Node::is_refused) {
            return self.fail(index, Reason::EndpointRefused);
        }
        let entry = self.entry(index);
        let purpose = match (entry.has(Flag::BLOCKING), entry.has(Flag::SUBSCRIBE)) {
            (_, true) => Purpose::Subscriber,
            (true, false) => Purpose::Lease,
            (false, false) => Purpose::Shared,
        };
        let conn = match purpose {
            Purpose::Shared => self.shared_conn(node),
            _ => self.extra_conn(node, purpose),
        };
        let Some(conn) = conn else {
            self.end_unused_lease(now);
            return self.park(index, Some(now + NO_ROOM_DELAY));
        };
        self.enqueue(now, index, conn);
    }

    pub(crate) fn enqueue(&mut self, now: Instant, index: u32, conn: u32) {
        let most = self.s.config.max_queue();
        if most.is_some_and(|most| self.conn(conn).queue.len() >= most) {
            return self.fail(index, Reason::QueueFull);
        }
        let entry = self.entry(index);
        entry.set_place(Place::Queued);
        // It waited for another node, and others may have gone to this one meanwhile.
        if entry.conn != Ix::NONE && entry.conn != Ix::new(conn) {
            entry.set(Flag::DELAYED, true);
        }
        entry.conn = Ix::new(conn);
        let commands = &mut *self.t.commands;
        if let Some(entry) = self.t.conns.get_mut(conn as usize) {
            entry.queue.push_back(commands, index);
        }
        self.wake_conn(now, conn);
    }

    /// Starts the dial of a connection without a socket, now or after its back-off.
    pub(crate) fn wake_conn(&mut self, now: Instant, conn: u32) {
        let most = self.longest_backoff();
        let entry = self.conn(conn);
        if entry.state == ConnState::Idle {
            entry.state = ConnState::Waiting;
            if entry.until.left(now) > most {
                entry.until = Stamp::NEVER;
            }
        }
        if entry.state == ConnState::Waiting && (entry.until.is_due(now) || !entry.until.is_some()) {
            self.dial(now, conn);
        }
    }

    /// Has the connection dialled, unless another one is to find out first whether the node is there.
    pub(crate) fn dial(&mut self, now: Instant, conn: u32) {
        let tried = self.tried_by_others(now, conn);
        let entry = self.conn(conn);
        if let Some(until) = tried {
            entry.until = until;
            return;
        }
        entry.state = ConnState::Dialing;
        entry.liveness = Watch::of(Liveness::dialling(now));
        debug!("connection {}: connecting", conn);
        self.tell_connecting(conn);
        self.raise(conn, Bits::DIAL);
    }

    /// A node that no connection reaches is dialled by one at a time, and by none while one backs off. Until when this one
    /// leaves it to others, if it does: [`Stamp::NEVER`] is until the one under way is ready or lost.
    fn tried_by_others(&self, now: Instant, conn: u32) -> Option<Stamp> {
        let node = Some(self.node_of(conn)?);
        let most = self.longest_backoff();
        let (mut under_way, mut backs_off) = (false, None);
        for other in self.t.conns.iter().filter(|other| other.node == node) {
            match other.state {
                ConnState::Ready if !other.liveness.is_slow(now) => return None,
                ConnState::Dialing | ConnState::Handshake => under_way = true,
                ConnState::Idle | ConnState::Waiting if (1..=most).contains(&other.until.left(now)) => {
                    backs_off = Some(other.until);
                }
                _ => {}
            }
        }
        if under_way { Some(Stamp::NEVER) } else { backs_off }
    }

    /// This connection is ready or lost: those that waited for that may go on.
    pub(crate) fn dial_others(&mut self, now: Instant, conn: u32) {
        let Some(node) = self.node_of(conn) else { return };
        for at in 0..self.count() {
            let entry = self.conn(at);
            if entry.state == ConnState::Waiting && !entry.until.is_some() && entry.node == Some(node) {
                self.dial(now, at);
            }
        }
    }

    /// What lies further ahead is an old stamp that seems to lie ahead again.
    fn longest_backoff(&self) -> u32 {
        Stamp::ticks(self.s.config.backoff().cap).saturating_add(1_000)
    }

    fn shared_conn(&mut self, node: NodeIndex) -> Option<u32> {
        let bound = self.t.by_node.get(node.index()).copied()?;
        if bound != NONE {
            return Some(bound);
        }
        let id = self.map().node(node)?.id();
        let conn = self.take_conn(Purpose::Shared)?;
        let entry = self.conn(conn);
        entry.node = Some(id);
        entry.hint = Some(node);
        *self.t.by_node.get_mut(node.index())? = conn;
        Some(conn)
    }

    /// A lease that is free, or the node's subscriber connection, or a new one within the bound.
    fn extra_conn(&mut self, node: NodeIndex, purpose: Purpose) -> Option<u32> {
        let id = self.map().node(node)?.id();
        let held = |conn: &&ConnEntry| {
            conn.purpose == Purpose::Lease && !matches!(conn.state, ConnState::Free | ConnState::Idle)
        };
        let leases = self.t.conns.iter().filter(held).count();
        let full = purpose == Purpose::Lease && leases >= usize::from(self.s.config.max_leases);
        // One that is ready, or one under way; else an idle one, which has no socket: it remembers that the last dial failed,
        // and when the next may be.
        let (mut found, mut best) = (None, 3_u8);
        for (at, conn) in (0_u32..).zip(&*self.t.conns) {
            let rank = match conn.state {
                ConnState::Free | ConnState::Draining => continue,
                ConnState::Ready => 0,
                ConnState::Idle if full => continue,
                ConnState::Idle => 2,
                _ => 1,
            };
            let free = purpose == Purpose::Subscriber || !conn.has_work();
            if rank < best && conn.purpose == purpose && conn.node == Some(id) && free {
                (found, best) = (Some(at), rank);
            }
        }
        if found.is_some() {
            return found;
        }
        if full {
            return None;
        }
        let conn = self.take_conn(purpose)?;
        let entry = self.conn(conn);
        entry.node = Some(id);
        entry.hint = Some(node);
        Some(conn)
    }

    /// Lets the lease that was unused longest end with the next timers: another node needs its place. Not at once, since
    /// the end of a connection routes commands, and this is called while one is routed; and not one that was used just
    /// now, or nodes would take each other's places with every command.
    fn end_unused_lease(&mut self, now: Instant) {
        let kept = self.s.config.lease_idle();
        let rest = |conn: &ConnEntry| conn.until.near(now).map_or(Duration::ZERO, |at| at.since(now));
        let old = |conn: &ConnEntry| rest(conn).saturating_add(LEAST_UNUSED) <= kept;
        let unused = self.t.conns.iter_mut().filter(|conn| conn.is_unused_lease() && old(conn));
        if let Some(conn) = unused.min_by_key(|conn| rest(conn)) {
            conn.until = Stamp::before(now);
        }
    }

    // ---- waiting ----

    /// Parks a command until the map changes or the instant comes.
    pub(crate) fn park(&mut self, index: u32, until: Option<Instant>) {
        // Without a map everybody waits, and goes on in order.
        let mapped = !self.map().is_empty();
        let entry = self.entry(index);
        entry.set_place(Place::Parked);
        if mapped {
            entry.set(Flag::DELAYED, true);
        }
        entry.set_wake(until);
        self.s.parked.push_back(self.t.commands, index);
        self.note_wake(until);
    }

    /// Parks a refused command for a delay that doubles with its attempts.
    pub(crate) fn park_refused(&mut self, now: Instant, index: u32) {
        let attempts = self.peek(index).attempts();
        let doubled = 1_u64.checked_shl(u32::from(attempts.min(4))).unwrap_or(16);
        let most = self.s.config.retry_delay().saturating_mul(doubled);
        let delay = self.s.config.retry_delay().saturating_add(self.s.rand.jitter(most));
        self.park(index, Some(now + delay));
    }

    /// Routes parked commands again: all of them after a map change, else those whose time has come.
    pub(crate) fn unpark(&mut self, now: Instant, all: bool) {
        let mut list = core::mem::take(&mut self.s.parked);
        while let Some(index) = list.pop_front(self.t.commands) {
            let entry = self.peek(index);
            // A refused command keeps its delay: the map alone does not make its slot ready.
            let due = entry.wake().is_due(now) || (all && (entry.attempts() == 0 || !entry.wake().is_some()));
            if due {
                self.entry(index).set_place(Place::Done);
                self.route(now, index);
            } else {
                self.note_wake(entry.wake().near(now));
                self.s.parked.push_back(self.t.commands, index);
            }
        }
    }

    /// Routes held commands again, in order, after a hold ended.
    pub(crate) fn release_held(&mut self, now: Instant) {
        if self.s.config.strict_order() {
            return self.release_in_turn(now);
        }
        let mut list = core::mem::take(&mut self.s.held);
        while let Some(index) = list.pop_front(self.t.commands) {
            self.entry(index).set_place(Place::Done);
            self.route(now, index);
        }
    }
}

/// The replica, if any, that answers this read.
fn pick_reader(policy: ReadFrom, map: &Map<'_>, primary: NodeIndex, turn: u32) -> Option<NodeIndex> {
    if let ReadFrom::SameZone(zone) = policy {
        return pick_near(zone, map, primary, turn);
    }
    let readable = || map.replicas(primary);
    let count = u32::try_from(readable().count()).unwrap_or(u32::MAX);
    let place = match policy {
        ReadFrom::Primary => return None,
        ReadFrom::PreferReplica | ReadFrom::SameZone(_) => turn.checked_rem(count)?,
        ReadFrom::Any => turn.checked_rem(count.saturating_add(1))?,
    };
    readable().nth(place as usize)
}

/// The replica, if any, that answers this read for a caller in a zone.
fn pick_near(zone: Zone, map: &Map<'_>, primary: NodeIndex, turn: u32) -> Option<NodeIndex> {
    let near = |at: &NodeIndex| map.zone(*at).is_some_and(|name| Zone::of(name.as_bytes()) == zone);
    let count = |near: usize| u32::try_from(near).unwrap_or(u32::MAX);
    if let Some(place) = turn.checked_rem(count(map.replicas(primary).filter(near).count())) {
        return map.replicas(primary).filter(near).nth(place as usize);
    }
    if near(&primary) {
        return None;
    }
    let place = turn.checked_rem(count(map.replicas(primary).count()))?;
    map.replicas(primary).nth(place as usize)
}
