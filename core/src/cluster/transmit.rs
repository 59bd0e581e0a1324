//! What goes out on a connection next.

use crate::cluster::config::Env;
use crate::cluster::conn::{Bits, ConnState, Purpose};
use crate::cluster::engine::Engine;
use crate::cluster::event::Transmit;
use crate::connection::ControlFrame;
use crate::pipeline::{Flag, Ix, Kind, Place};
use crate::time::Instant;

/// Bytes of ASKING in front of a command.
pub(crate) const ASKING_LEN: usize = b"*1\r\n$6\r\nASKING\r\n".len();

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
                None => self.next_command(now, conn),
            },
            _ => None,
        }
    }

    fn handed(&mut self, conn: u32, bytes: usize) {
        let entry = self.conn(conn);
        entry.unsent = entry.unsent.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// The engine's own frame that is due on this connection, if any.
    fn own_frame(&mut self, conn: u32) -> Option<(Kind, ControlFrame)> {
        let kind = self.refresh_kind();
        let wants = &mut self.conn(conn).wants;
        // The fence comes first: nothing may stand between it and its subscribe command.
        Some(if wants.take(Bits::FENCE) {
            (Kind::Fence, ControlFrame::Ping { nonce: 0 })
        } else if wants.take(Bits::MY_ID) {
            (Kind::MyId, ControlFrame::ClusterMyId)
        } else if wants.take(Bits::REFRESH) {
            (Kind::Refresh, kind)
        } else if wants.take(Bits::PROBE) {
            (Kind::Probe, ControlFrame::Ping { nonce: 0 })
        } else {
            return None;
        })
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
            self.entry(index).tag = now.as_micros();
            self.conn(conn).wants.set(Bits::PROBED);
        }
        let frame = match frame {
            ControlFrame::Ping { .. } => ControlFrame::Ping { nonce: self.nonce(index) },
            frame => frame,
        };
        let len = frame.encoded_len(env.settings);
        let entry = self.entry(index);
        entry.set_replies_left(1);
        entry.len = u32::try_from(len).unwrap_or(u32::MAX);
        self.fly(now, conn, index, len);
        Some(Transmit::Control(frame))
    }

    fn next_command(&mut self, now: Instant, conn: u32) -> Option<Transmit> {
        let window = self.s.config.window();
        let entry = self.conn(conn);
        // One that is to be dialled anew keeps its queue until then.
        let busy = entry.state == ConnState::Draining || entry.purpose == Purpose::Lease && !entry.in_flight.is_empty();
        if entry.in_flight.len() >= window || busy {
            return None;
        }
        let commands = &mut *self.t.commands;
        let index = self.t.conns.get_mut(conn as usize)?.queue.pop_front(commands)?;
        let entry = self.entry(index);
        let asking = entry.ask().is_some();
        entry.set_replies_left(entry.replies);
        entry.set(Flag::ASKING, asking);
        entry.set(Flag::ASKED, asking);
        entry.set_group_retry(None);
        let (tag, len, subscribe) = (entry.tag, entry.len, entry.has(Flag::SUBSCRIBE));
        self.fly(now, conn, index, (len as usize).saturating_add(if asking { ASKING_LEN } else { 0 }));
        self.tell_sent(index, conn);
        if subscribe {
            self.conn(conn).wants.set(Bits::FENCE);
        }
        Some(Transmit::Command { id: self.command_id(index), tag, len, asking })
    }

    /// Moves an entry on no list to the connection's FIFO.
    fn fly(&mut self, now: Instant, conn: u32, index: u32, len: usize) {
        let entry = self.conn(conn);
        entry.sent = entry.sent.wrapping_add(1);
        let question = self.s.questions;
        let flying = self.entry(index);
        flying.set_place(Place::InFlight);
        flying.set_asked(question);
        flying.conn = Ix::new(conn);
        let commands = &mut *self.t.commands;
        if let Some(entry) = self.t.conns.get_mut(conn as usize) {
            entry.in_flight.push_back(commands, index);
            entry.liveness.on_work(now, entry.work());
        }
        self.handed(conn, len);
    }
}
