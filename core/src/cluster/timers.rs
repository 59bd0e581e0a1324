//! Time: dial and handshake limits, silence, deadlines, wake-ups.

use crate::cluster::conn::{Bits, ConnState, Purpose};
use crate::cluster::engine::Engine;
use crate::cluster::event::CloseReason;
use crate::pipeline::{Kind, List, Outcome, Place, Reason};
use crate::time::{Instant, earlier};

impl Engine<'_> {
    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let commands = earlier(self.s.next_deadline, self.s.next_wake);
        let refresh = if self.s.shutting_down { None } else { self.s.refresh.poll_timeout() };
        let mut next = earlier(commands, refresh);
        for conn in self.t.conns.iter() {
            next = earlier(next, self.conn_timeout(conn));
        }
        next
    }

    fn conn_timeout(&self, conn: &crate::cluster::conn::ConnEntry) -> Option<Instant> {
        match conn.state {
            ConnState::Free | ConnState::Idle => None,
            ConnState::Waiting | ConnState::Dialing | ConnState::Handshake => Some(conn.until),
            ConnState::Ready | ConnState::Draining => earlier(self.silence_limit(conn), conn.stalled_until),
        }
    }

    /// When a silent connection is probed, or an unused lease closed.
    fn silence_limit(&self, conn: &crate::cluster::conn::ConnEntry) -> Option<Instant> {
        match conn.purpose {
            Purpose::Lease if !conn.has_work() => Some(conn.last_input + self.s.config.lease_idle),
            // A blocking command is silent by nature; its deadline ends it.
            Purpose::Lease => None,
            Purpose::Shared | Purpose::Subscriber if conn.in_flight.is_empty() => None,
            Purpose::Shared | Purpose::Subscriber => Some(conn.last_input + self.s.config.idle_probe),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for conn in 0..self.count() {
            self.conn_timer(now, conn);
        }
        if self.s.next_deadline.is_some_and(|at| at <= now) {
            self.deadlines(now);
        }
        if self.s.next_wake.is_some_and(|at| at <= now) {
            self.s.next_wake = None;
            self.unpark(now, false);
        }
        self.drive_refresh(now);
    }

    fn conn_timer(&mut self, now: Instant, conn: u32) {
        let Some(entry) = self.t.conns.get(conn as usize) else { return };
        if self.conn_timeout(entry).is_none_or(|at| at > now) {
            return;
        }
        let (state, stalled) = (entry.state, entry.stalled_until.is_some_and(|at| at <= now));
        match state {
            ConnState::Waiting => self.dial(now, conn),
            ConnState::Dialing => self.lose(now, conn, CloseReason::ConnectFailed),
            ConnState::Handshake => self.lose(now, conn, CloseReason::Handshake),
            ConnState::Ready | ConnState::Draining => {
                if stalled && self.stall_over(now, conn) {
                    self.raise(conn, Bits::INPUT);
                }
                self.silence(now, conn);
            }
            ConnState::Free | ConnState::Idle => {}
        }
    }

    fn silence(&mut self, now: Instant, conn: u32) {
        let Some(entry) = self.t.conns.get(conn as usize) else { return };
        if self.silence_limit(entry).is_none_or(|at| at > now) {
            return;
        }
        if entry.purpose == Purpose::Lease {
            self.retire(now, conn, CloseReason::Retired);
        } else if entry.probed {
            self.lose(now, conn, CloseReason::Silent);
        } else {
            let entry = self.conn(conn);
            entry.probed = true;
            entry.last_input = now;
            entry.wants.set(Bits::PROBE);
        }
    }

    /// Ends commands whose deadline has passed.
    fn deadlines(&mut self, now: Instant) {
        self.s.next_deadline = None;
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
            if entry.deadline.is_none_or(|at| at > now) {
                self.note_deadline(entry.deadline);
                continue;
            }
            list.remove(self.t.commands, index);
            let reason = match place {
                Where::Parked if entry.hops == 0 && entry.attempts == 0 && !self.map().is_empty() => {
                    Reason::SlotUncovered
                }
                _ => Reason::TimedOut,
            };
            let refused = entry.hops > 0 || entry.attempts > 0;
            self.fail(index, if refused { Outcome::Rejected } else { Outcome::NotSent }, reason);
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
            if entry.kind != Kind::User || entry.failure.is_some() || entry.place != Place::InFlight {
                continue;
            }
            if entry.deadline.is_none_or(|at| at > now) {
                self.note_deadline(entry.deadline);
                continue;
            }
            // Bytes that are still with the adapter may leave yet, so they count as sent.
            let outcome = if entry.started { Outcome::ReplyLost } else { Outcome::MaybeExecuted };
            self.tombstone(index, outcome, Reason::TimedOut);
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
