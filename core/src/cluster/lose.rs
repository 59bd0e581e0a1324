//! The ends of connections, and what becomes of the commands on them.

use crate::cluster::conn::{ConnState, Purpose};
use crate::cluster::engine::Engine;
use crate::cluster::event::CloseReason;
use crate::ids::NodeId;
use crate::pipeline::{Entry, Failure, Kind, List, NONE, Outcome, Place, Reason, may_resend};
use crate::time::{Duration, Instant};
use crate::topology::Reason as Why;

/// A connection that lived this long starts its next back-off from the beginning.
const HEALTHY: Duration = Duration::from_secs(1);

/// What becomes of a command whose connection ended before its reply.
enum Fate {
    Free,
    Resend { counts: bool },
    Fail(Outcome, Reason),
}

impl Engine<'_> {
    /// Ends a connection: its in-flight commands end or are sent again, its queue moves on.
    pub(crate) fn lose(&mut self, now: Instant, conn: u32, reason: CloseReason) {
        let entry = self.conn(conn);
        let (node, written, purpose) = (entry.node, entry.written, entry.purpose);
        let healthy = entry.is_open() && now.since(entry.ready_since) >= HEALTHY;
        let mut in_flight = core::mem::take(&mut entry.in_flight);
        let mut queue = core::mem::take(&mut entry.queue);
        self.note_closed(conn, reason);
        if self.s.refresh_conn == conn {
            self.refresh_lost(now);
        }

        let mut again = List::EMPTY;
        while let Some(index) = in_flight.pop_front(self.t.commands) {
            self.entry(index).place = Place::Done;
            let entry = self.peek(index);
            match self.fate(&entry, written) {
                Fate::Free => self.release_entry(index),
                Fate::Fail(outcome, reason) => self.fail_at(index, Failure { outcome, reason, node }),
                Fate::Resend { counts } => {
                    let entry = self.entry(index);
                    entry.attempts = entry.attempts.saturating_add(u8::from(counts));
                    entry.maybe |= counts;
                    entry.ask = None;
                    again.push_back(self.t.commands, index);
                }
            }
        }
        while let Some(index) = queue.pop_front(self.t.commands) {
            self.entry(index).place = Place::Done;
            again.push_back(self.t.commands, index);
        }

        self.end_stream(now, conn, purpose, healthy, reason);
        if node.is_some() && !self.s.shutting_down && reason != CloseReason::Retired {
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
    }

    fn fate(&self, entry: &Entry, written: u64) -> Fate {
        if entry.kind != Kind::User {
            return Fate::Free;
        }
        let spec = &entry.spec;
        if entry.started {
            return Fate::Fail(entry.cut_outcome(), Reason::ReplyCut);
        }
        if written <= entry.tx_start {
            return Fate::Resend { counts: false };
        }
        if spec.subscribe {
            return Fate::Fail(Outcome::MaybeExecuted, Reason::ConnectionLost);
        }
        if may_resend(spec) && entry.attempts < self.s.config.max_attempts && !self.s.shutting_down {
            return Fate::Resend { counts: true };
        }
        Fate::Fail(Outcome::MaybeExecuted, Reason::ConnectionLost)
    }

    /// Frees an entry that is on no list; one whose event was not polled yet is freed by the poll.
    pub(crate) fn release_entry(&mut self, index: u32) {
        if self.peek(index).failure.is_none() {
            self.free(index);
        }
    }

    fn end_stream(&mut self, now: Instant, conn: u32, purpose: Purpose, healthy: bool, reason: CloseReason) {
        self.drop_hold(conn);
        let policy = self.s.config.backoff;
        if healthy {
            self.conn(conn).backoff.reset();
        }
        let mut backoff = self.conn(conn).backoff;
        let delay = backoff.next_delay(&mut self.s.rand, &policy);
        let entry = self.conn(conn);
        entry.backoff = backoff;
        entry.reset_stream();
        entry.until = now + delay;
        entry.state = ConnState::Idle;
        if purpose != Purpose::Shared {
            // Lost, it keeps the back-off for the next dial of its kind to that node.
            if matches!(reason, CloseReason::Retired | CloseReason::Shutdown) {
                entry.state = ConnState::Free;
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

    /// Routes a connection's unsent commands anew.
    fn move_queue(&mut self, now: Instant, conn: u32) {
        let mut queue = core::mem::take(&mut self.conn(conn).queue);
        while let Some(index) = queue.pop_front(self.t.commands) {
            self.entry(index).place = Place::Done;
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
            if self.conn(conn).purpose == Purpose::Shared && !self.conn(conn).queue.is_empty() {
                self.move_queue(now, conn);
            }
        }
    }

    /// Moves unsent commands of a slot that left this connection's node to the held ones, in order.
    pub(crate) fn hold_queued(&mut self, conn: u32, slot: crate::slot::Slot) {
        let mut queue = core::mem::take(&mut self.conn(conn).queue);
        let mut kept = List::EMPTY;
        while let Some(index) = queue.pop_front(self.t.commands) {
            let entry = self.peek(index);
            if entry.spec.target == crate::command::Target::Slot(slot) && entry.ask.is_none() {
                let entry = self.entry(index);
                entry.place = Place::Parked;
                entry.held = true;
                entry.delayed = true;
                entry.conn = NONE;
                self.s.held.push_back(self.t.commands, index);
            } else {
                kept.push_back(self.t.commands, index);
            }
        }
        self.conn(conn).queue = kept;
    }

    /// The node behind a connection.
    pub(crate) fn node_of(&self, conn: u32) -> Option<NodeId> {
        self.t.conns.get(conn as usize).and_then(|entry| entry.node)
    }
}
