//! The ends of connections, and what becomes of the commands on them.

use crate::cluster::conn::{ConnState, Purpose};
use crate::cluster::engine::Engine;
use crate::cluster::event::CloseReason;
use crate::cluster::transmit::ASKING_LEN;
use crate::fmt::{debug, warning};
use crate::ids::NodeId;
use crate::pipeline::{Entry, Flag, Kind, List, NONE, Outcome, Place, Reason};
use crate::time::{Duration, Instant, Stamp};
use crate::topology::Reason as Why;

/// A connection that lived this long starts its next back-off from the beginning.
const HEALTHY: Duration = Duration::from_secs(1);

/// Bytes that a command in flight has in its connection's output.
fn bytes(entry: &Entry) -> u64 {
    u64::from(entry.len).saturating_add(if entry.has(Flag::ASKED) { ASKING_LEN as u64 } else { 0 })
}

/// What becomes of a command whose connection ended before its reply.
enum Fate {
    Free,
    Resend { counts: bool },
    Fail(Outcome, Reason),
}

impl Engine<'_> {
    /// Ends a connection: its in-flight commands end or are sent again, its queue moves on.
    pub(crate) fn lose(&mut self, now: Instant, conn: u32, reason: CloseReason) {
        self.tell_lost(conn, reason);
        let entry = self.conn(conn);
        let (known, unsent, purpose) = (entry.node.is_some(), u64::from(entry.unsent), entry.purpose);
        let healthy = entry.is_open() && entry.ready_since.age(now) >= HEALTHY;
        let mut in_flight = core::mem::take(&mut entry.in_flight);
        let mut queue = core::mem::take(&mut entry.queue);
        let node = self.node_at(conn);
        self.note_closed(conn, reason);
        match reason {
            CloseReason::Protocol | CloseReason::UnexpectedReply | CloseReason::OutOfStep | CloseReason::Handshake => {
                warning!("connection {} closed: {}", conn, reason.name());
            }
            _ => debug!("connection {} closed: {}", conn, reason.name()),
        }
        if self.s.refresh_conn == conn {
            self.refresh_lost(now);
        }

        let mut again = List::EMPTY;
        // All that was handed out and not answered stands in the FIFO, in order, so the bytes from a command on are
        // those of the commands from it on.
        let mut rest = self.bytes_of(&in_flight);
        while let Some(index) = in_flight.pop_front(self.t.commands) {
            self.entry(index).set_place(Place::Done);
            let entry = self.peek(index);
            match self.fate(&entry, unsent >= rest) {
                Fate::Free => self.release_entry(index),
                Fate::Fail(outcome, reason) => self.fail_at(index, outcome, reason, node),
                Fate::Resend { counts } => {
                    self.tell_resend(index, conn, counts);
                    let entry = self.entry(index);
                    if counts {
                        entry.count_attempt();
                        entry.set(Flag::MAYBE, true);
                    }
                    entry.set_ask(None);
                    again.push_back(self.t.commands, index);
                }
            }
            rest = rest.saturating_sub(bytes(&entry));
        }
        while let Some(index) = queue.pop_front(self.t.commands) {
            self.entry(index).set_place(Place::Done);
            again.push_back(self.t.commands, index);
        }

        self.end_stream(now, conn, purpose, healthy, reason);
        if known && !self.s.shutting_down && reason != CloseReason::Retired {
            // The node may be gone for good, or no longer be what it was.
            self.s.refresh.request(now, Why::Unreachable);
        }
        while let Some(index) = again.pop_front(self.t.commands) {
            if self.s.shutting_down {
                self.fail(index, Reason::ShuttingDown);
            } else {
                self.route(now, index);
            }
        }
        self.release_held(now);
        self.dial_others(now, conn);
    }

    /// Bytes of the commands on a FIFO.
    fn bytes_of(&self, list: &List) -> u64 {
        let mut sum = 0_u64;
        let mut next = list.front();
        while let Some(index) = next {
            sum = sum.saturating_add(bytes(&self.peek(index)));
            next = list.after(self.t.commands, index);
        }
        sum
    }

    fn fate(&self, entry: &Entry, unsent: bool) -> Fate {
        if entry.kind() != Kind::User {
            return Fate::Free;
        }
        if entry.has(Flag::STARTED) {
            return Fate::Fail(entry.cut_outcome(), Reason::ReplyCut);
        }
        if unsent {
            return Fate::Resend { counts: false };
        }
        if entry.has(Flag::SUBSCRIBE) {
            return Fate::Fail(Outcome::MaybeExecuted, Reason::ConnectionLost);
        }
        if entry.has(Flag::RESEND) && entry.attempts() < self.s.config.max_attempts && !self.s.shutting_down {
            return Fate::Resend { counts: true };
        }
        Fate::Fail(Outcome::MaybeExecuted, Reason::ConnectionLost)
    }

    /// Frees an entry that is on no list; one whose event was not polled yet is freed by the poll.
    pub(crate) fn release_entry(&mut self, index: u32) {
        if !self.peek(index).has(Flag::FAILED) {
            self.free(index);
        }
    }

    fn end_stream(&mut self, now: Instant, conn: u32, purpose: Purpose, healthy: bool, reason: CloseReason) {
        self.drop_hold(conn);
        let policy = self.s.config.backoff();
        if healthy {
            self.conn(conn).backoff.reset();
        }
        let mut backoff = self.conn(conn).backoff;
        let delay = backoff.next_delay(&mut self.s.rand, &policy);
        let entry = self.conn(conn);
        entry.backoff = backoff;
        entry.reset_stream();
        entry.until = Stamp::at(now + delay);
        entry.state = ConnState::Idle;
        if purpose != Purpose::Shared {
            // Lost, it keeps the back-off for the next dial of its kind to that node. So does one for subscriptions that was
            // given up for what its node said, though the node is in the map: it may say so again.
            let kept = match reason {
                CloseReason::Retired => purpose == Purpose::Subscriber && self.node_at(conn).is_some(),
                CloseReason::Shutdown => false,
                _ => true,
            };
            if !kept {
                self.conn(conn).state = ConnState::Free;
            }
        } else if self.s.seed_conn == conn && self.conn(conn).node.is_none() {
            // The next seed, after the same back-off.
            self.s.next_seed = self.s.next_seed.wrapping_add(1);
        } else if !self.is_bound(conn) {
            self.unbind(conn);
            self.conn(conn).state = ConnState::Free;
        }
    }

    fn is_bound(&mut self, conn: u32) -> bool {
        let Some(id) = self.conn(conn).node else { return false };
        let hint = self.conn(conn).hint;
        let at = self.find_node(&id, hint);
        at.and_then(|at| self.t.by_node.get(at.index())).copied() == Some(conn)
    }

    /// Closes a connection that nobody needs any more; one with work closes after its last reply.
    pub(crate) fn retire(&mut self, now: Instant, conn: u32, reason: CloseReason) {
        self.bequeath(conn);
        self.unbind(conn);
        let entry = self.conn(conn);
        match entry.state {
            ConnState::Free => {}
            ConnState::Ready | ConnState::Draining if !entry.in_flight.is_empty() => {
                entry.state = ConnState::Draining;
                self.move_queue(now, conn);
            }
            ConnState::Idle | ConnState::Waiting => {
                entry.state = ConnState::Free;
                entry.reset_stream();
                self.move_queue(now, conn);
            }
            _ => self.lose(now, conn, reason),
        }
    }

    /// What dials of a node have failed is the node's: it goes to the connection that takes this one's place. Else a
    /// node that greets and closes is dialled without a back-off, by turns as itself and as a seed.
    fn bequeath(&mut self, conn: u32) {
        let entry = self.conn(conn);
        let (backoff, failed) = (entry.backoff, entry.purpose == Purpose::Shared && !entry.is_open());
        let heir = self.node_at(conn).and_then(|at| self.t.by_node.get(at.index())).copied();
        if let Some(heir) = heir.filter(|heir| failed && *heir != NONE && *heir != conn) {
            let heir = self.conn(heir);
            heir.backoff = heir.backoff.max(backoff);
        }
    }

    /// Routes a connection's unsent commands anew.
    fn move_queue(&mut self, now: Instant, conn: u32) {
        let mut queue = core::mem::take(&mut self.conn(conn).queue);
        while let Some(index) = queue.pop_front(self.t.commands) {
            self.entry(index).set_place(Place::Done);
            if self.s.shutting_down {
                self.fail(index, Reason::ShuttingDown);
            } else {
                self.route(now, index);
            }
        }
    }

    /// Routes every unsent command anew after a change of the map: what waits for a node that lost its slot must not be
    /// overtaken by what comes later.
    pub(crate) fn requeue(&mut self, now: Instant) {
        for conn in 0..self.count() {
            let entry = self.conn(conn);
            let waits = entry.purpose == Purpose::Shared || entry.state == ConnState::Waiting;
            if waits && !entry.queue.is_empty() {
                self.move_queue(now, conn);
            }
        }
    }

    /// Ends what was not sent, and lets connections go that have nothing in flight.
    pub(crate) fn shutdown(&mut self, now: Instant) {
        self.s.shutting_down = true;
        for list in [core::mem::take(&mut self.s.parked), core::mem::take(&mut self.s.held)] {
            let mut list = list;
            while let Some(index) = list.pop_front(self.t.commands) {
                self.fail(index, Reason::ShuttingDown);
            }
        }
        for conn in 0..self.count() {
            self.retire(now, conn, CloseReason::Shutdown);
        }
    }

    /// The node behind a connection.
    pub(crate) fn node_of(&self, conn: u32) -> Option<NodeId> {
        self.t.conns.get(conn as usize).and_then(|entry| entry.node)
    }
}
