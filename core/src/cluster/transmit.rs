//! What goes out on a connection next.

use crate::cluster::config::Env;
use crate::cluster::conn::{Bits, ConnState, Purpose};
use crate::cluster::engine::Engine;
use crate::cluster::event::Transmit;
use crate::connection::ControlFrame;
use crate::pipeline::{Kind, Place};
use crate::time::Instant;

impl Engine<'_> {
    pub(crate) fn poll_transmit(&mut self, now: Instant, conn: u32, env: &Env<'_>) -> Option<Transmit> {
        match self.conn(conn).state {
            ConnState::Handshake => {
                let frame = self.conn(conn).handshake.poll(env.settings)?;
                self.handed(conn, frame.encoded_len(env.settings));
                Some(Transmit::Control(frame))
            }
            ConnState::Ready | ConnState::Draining => match self.own_frame(conn) {
                Some((kind, frame)) => self.send_own(now, conn, env, kind, frame),
                None => self.next_command(now, conn, env),
            },
            _ => None,
        }
    }

    fn handed(&mut self, conn: u32, bytes: usize) {
        let entry = self.conn(conn);
        entry.handed = entry.handed.saturating_add(bytes as u64);
    }

    /// The engine's own frame that is due on this connection, if any.
    fn own_frame(&mut self, conn: u32) -> Option<(Kind, ControlFrame)> {
        let kind = self.refresh_kind();
        let nonce = self.s.nonce;
        let wants = &mut self.conn(conn).wants;
        // The fence comes first: nothing may stand between it and its subscribe command.
        let frame = if wants.take(Bits::FENCE) {
            (Kind::Fence, ControlFrame::Ping { nonce })
        } else if wants.take(Bits::MY_ID) {
            (Kind::MyId, ControlFrame::ClusterMyId)
        } else if wants.take(Bits::REFRESH) {
            (Kind::Refresh, kind)
        } else if wants.take(Bits::PROBE) {
            (Kind::Probe, ControlFrame::Ping { nonce })
        } else {
            return None;
        };
        self.s.nonce = nonce.wrapping_add(1);
        Some(frame)
    }

    fn send_own(
        &mut self,
        now: Instant,
        conn: u32,
        env: &Env<'_>,
        kind: Kind,
        frame: ControlFrame,
    ) -> Option<Transmit> {
        let Some(index) = self.s.slab.take(self.t.commands, kind) else {
            // The table is full of commands; one of them ends before this frame can go.
            let bit = match kind {
                Kind::Fence => Bits::FENCE,
                Kind::MyId => Bits::MY_ID,
                Kind::Refresh => Bits::REFRESH,
                _ => Bits::PROBE,
            };
            self.conn(conn).wants.set(bit);
            return None;
        };
        if kind == Kind::Probe {
            // Not parked: remembers when the question was asked.
            self.entry(index).wake = Some(now);
        }
        self.entry(index).replies_left = 1;
        self.fly(now, conn, index, frame.encoded_len(env.settings));
        Some(Transmit::Control(frame))
    }

    fn next_command(&mut self, now: Instant, conn: u32, env: &Env<'_>) -> Option<Transmit> {
        let window = self.s.config.window as usize;
        let entry = self.conn(conn);
        let busy = entry.purpose == Purpose::Lease && !entry.in_flight.is_empty();
        if entry.in_flight.len() >= window || busy {
            return None;
        }
        let commands = &mut *self.t.commands;
        let index = self.t.conns.get_mut(conn as usize)?.queue.pop_front(commands)?;
        let spec = self.peek(index).spec;
        let asking = self.peek(index).ask.is_some();
        let mut len = spec.len as usize;
        if asking {
            len = len.saturating_add(ControlFrame::Asking.encoded_len(env.settings));
        }
        let entry = self.entry(index);
        entry.replies_left = spec.replies;
        entry.asking = asking;
        entry.group_retry = None;
        self.fly(now, conn, index, len);
        if spec.subscribe {
            self.conn(conn).wants.set(Bits::FENCE);
        }
        Some(Transmit::Command { id: self.command_id(index), tag: spec.tag, len: spec.len, asking })
    }

    /// Moves an entry on no list to the connection's FIFO.
    fn fly(&mut self, now: Instant, conn: u32, index: u32, len: usize) {
        let entry = self.conn(conn);
        let start = entry.handed;
        entry.sent = entry.sent.wrapping_add(1);
        let flying = self.entry(index);
        flying.place = Place::InFlight;
        flying.conn = conn;
        flying.tx_start = start;
        let commands = &mut *self.t.commands;
        if let Some(entry) = self.t.conns.get_mut(conn as usize) {
            entry.in_flight.push_back(commands, index);
            entry.liveness.on_work(now, entry.work());
        }
        self.handed(conn, len);
    }
}
