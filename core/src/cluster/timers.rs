//! Time: dial and handshake limits, silence, deadlines, wake-ups.

use crate::cluster::conn::{Bits, ConnEntry, ConnState, Purpose};
use crate::cluster::engine::Engine;
use crate::cluster::event::CloseReason;
use crate::connection::{Timeouts, Verdict};
use crate::pipeline::{Kind, List, Place, Reason};
use crate::time::{Instant, Stamp, earlier};

impl Engine<'_> {
    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let clock = self.s.clock;
        let commands = earlier(self.s.next_deadline.near(clock), self.s.next_wake.near(clock));
        let refresh = if self.s.shutting_down { None } else { self.s.refresh.poll_timeout() };
        let mut next = earlier(commands, refresh);
        for conn in self.t.conns.iter() {
            next = earlier(next, self.conn_timeout(conn));
        }
        next
    }

    fn conn_timeout(&self, conn: &ConnEntry) -> Option<Instant> {
        let now = self.s.clock;
        match conn.state {
            ConnState::Free | ConnState::Idle => None,
            ConnState::Waiting => conn.until.near(now),
            ConnState::Dialing | ConnState::Handshake => {
                conn.liveness.get(now).poll_timeout(&self.s.config.timeouts(false))
            }
            ConnState::Ready | ConnState::Draining => {
                let silence = conn.liveness.get(now).poll_timeout(&self.silence_limits(conn));
                let unused = if conn.is_unused_lease() { conn.until.near(now) } else { None };
                let given_up = if self.is_given_up(conn) { Some(Instant::EPOCH) } else { None };
                let stall = if conn.is_stalled() { conn.stalled_until.near(now) } else { None };
                earlier(earlier(silence, unused), earlier(stall, given_up))
            }
        }
    }

    /// A blocking command that nobody waits for any more must not take what it would have blocked for: its lease closes.
    /// So does a retired connection that owes nobody a reply.
    fn is_given_up(&self, conn: &ConnEntry) -> bool {
        if self.is_drained(conn) {
            return true;
        }
        let head = conn.in_flight.front().and_then(|head| self.t.commands.get(head as usize));
        conn.purpose == Purpose::Lease && head.is_some_and(|head| head.kind() == Kind::Tombstone)
    }

    /// Whether a retired connection owes nobody a reply any more.
    pub(crate) fn is_drained(&self, conn: &ConnEntry) -> bool {
        let mut next = if conn.state == ConnState::Draining { conn.in_flight.front() } else { return false };
        while let Some(index) = next {
            if self.peek(index).kind() == Kind::User {
                return false;
            }
            next = conn.in_flight.after(self.t.commands, index);
        }
        true
    }

    /// Why a connection closes that nobody needs.
    pub(crate) fn retirement(&self) -> CloseReason {
        if self.s.shutting_down { CloseReason::Shutdown } else { CloseReason::Retired }
    }

    fn silence_limits(&self, conn: &ConnEntry) -> Timeouts {
        self.s.config.timeouts(conn.purpose == Purpose::Subscriber)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for conn in 0..self.count() {
            self.conn_timer(now, conn);
        }
        if self.s.next_deadline.is_due(now) {
            self.deadlines(now);
        }
        if self.s.next_wake.is_due(now) {
            self.s.next_wake = Stamp::NEVER;
            self.unpark(now, false);
        }
        self.drive_refresh(now);
    }

    fn conn_timer(&mut self, now: Instant, conn: u32) {
        let Some(entry) = self.t.conns.get(conn as usize) else { return };
        if self.conn_timeout(entry).is_none_or(|at| at > now) {
            return;
        }
        if entry.state == ConnState::Waiting {
            return self.dial(now, conn);
        }
        if entry.is_open() && self.is_given_up(entry) {
            return self.lose(now, conn, self.retirement());
        }
        if entry.is_unused_lease() && entry.until.is_due(now) {
            return self.retire(now, conn, CloseReason::Retired);
        }
        let limits = self.silence_limits(entry);
        let verdict = entry.liveness.get(now).poll(now, &limits);
        if entry.is_stalled() && self.stall_over(now, conn) {
            self.raise(conn, Bits::INPUT);
        }
        match verdict {
            Some(Verdict::ConnectTimedOut) => self.lose(now, conn, CloseReason::ConnectFailed),
            Some(Verdict::HandshakeTimedOut) => self.lose(now, conn, CloseReason::Handshake),
            Some(Verdict::Dead) => self.lose(now, conn, CloseReason::Silent),
            Some(Verdict::Probe) => {
                let entry = self.conn(conn);
                entry.liveness.change(now, |liveness| liveness.on_probe(now));
                entry.wants.set(Bits::PROBE);
            }
            None => {}
        }
    }

    /// Ends commands whose deadline has passed.
    fn deadlines(&mut self, now: Instant) {
        self.s.next_deadline = Stamp::NEVER;
        self.expire_list(now, Where::Held);
        self.expire_list(now, Where::Parked);
        for conn in 0..self.count() {
            if self.conn(conn).has_work() {
                self.expire_list(now, Where::Queue(conn));
                self.expire_in_flight(now, conn);
            }
        }
    }

    fn list(&mut self, place: Where) -> &mut List {
        match place {
            Where::Held => &mut self.s.held,
            Where::Parked => &mut self.s.parked,
            Where::Queue(conn) => &mut self.conn(conn).queue,
        }
    }

    /// Ends the expired commands of a list of unsent ones.
    fn expire_list(&mut self, now: Instant, place: Where) {
        let mut list = core::mem::take(self.list(place));
        let mut next = list.front();
        while let Some(index) = next {
            next = list.after(self.t.commands, index);
            let entry = self.peek(index);
            if !entry.deadline().is_due(now) {
                self.note_deadline(entry.deadline().near(now));
                continue;
            }
            list.remove(self.t.commands, index);
            let reason = match place {
                Where::Parked if entry.hops == 0 && entry.attempts() == 0 && !self.map().is_empty() => {
                    Reason::SlotUncovered
                }
                _ => Reason::TimedOut,
            };
            self.fail(index, reason);
        }
        *self.list(place) = list;
    }

    /// Turns expired commands in flight into tombstones: their replies will be eaten.
    fn expire_in_flight(&mut self, now: Instant, conn: u32) {
        // Nothing is taken off here: tombstones keep their places.
        let list = self.conn(conn).in_flight;
        let mut next = list.front();
        while let Some(index) = next {
            let entry = self.peek(index);
            next = list.after(self.t.commands, index);
            if entry.kind() != Kind::User || entry.place() != Place::InFlight {
                continue;
            }
            if !entry.deadline().is_due(now) {
                self.note_deadline(entry.deadline().near(now));
                continue;
            }
            // Bytes that are still with the adapter may leave yet, so they count as sent.
            self.tombstone(index, entry.cut_outcome(), Reason::TimedOut);
        }
    }
}

/// A list of unsent commands.
#[derive(Clone, Copy)]
enum Where {
    Held,
    Parked,
    Queue(u32),
}
