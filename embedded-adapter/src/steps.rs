//! The single steps: what is done at each place of the round. The blocking and the async driver share them.

use slotwise::cluster::{Event, Output, Storage, SubmitError, Transmit};
use slotwise::connection::ControlFrame;
use slotwise::ids::{CommandId, ConnId};

use crate::buffers::{Kept, Lane, Stage, Writing};
use crate::driver::{Driver, Phase, Place};
use crate::transport::{Dial, Moved, Transport};
use crate::work::{At, Piece, Reply, Work};

/// What filling the transmit buffer came to.
enum Filled {
    Some,
    /// No room, or nothing to write.
    Nothing,
    /// The rest of a command is not to be had.
    Broken,
}

impl<S: Storage> Driver<'_, S> {
    /// Does the step of the current place; says whether anything was done.
    pub(crate) fn step<T: Transport + ?Sized, W: Work + ?Sized>(&mut self, net: &mut T, work: &mut W) -> bool {
        match self.place {
            Place::Submit => self.take_in(work),
            Place::Events => self.event(net, work),
            Place::Timer => self.timer(),
            Place::Lane(at, Phase::Dial) => self.dial(net, at),
            Place::Lane(at, Phase::Receive) => self.receive(net, work, at),
            Place::Lane(at, Phase::Present) => self.present(net, work, at),
            Place::Lane(at, Phase::Fill) => self.fill(net, work, at),
            Place::Lane(at, Phase::Send) => self.send(net, at),
        }
    }

    fn take_in<W: Work + ?Sized>(&mut self, work: &mut W) -> bool {
        let Some(spec) = work.next_command(&At::new(self.now, self.cluster)) else { return false };
        match self.cluster.submit(self.now, spec) {
            Err(SubmitError::Full) => false,
            result => {
                work.submitted(spec.tag, result);
                true
            }
        }
    }

    fn timer(&mut self) -> bool {
        let due = self.cluster.poll_timeout().is_some_and(|at| at <= self.now);
        if due {
            self.cluster.handle_timeout(self.now);
        }
        due
    }

    // ---- events ----

    fn event<T: Transport + ?Sized, W: Work + ?Sized>(&mut self, net: &mut T, work: &mut W) -> bool {
        let Some(event) = self.cluster.poll_event() else { return false };
        match event {
            Event::Dial(conn) => self.open(net, work, conn),
            Event::Closed { conn, node, reason } => {
                if self.buffers.lane(conn.index()).is_some_and(|lane| lane.is(conn)) {
                    self.close(net, work, conn.index());
                }
                work.closed(&At::new(self.now, self.cluster), conn, node, reason);
            }
            Event::InputReady(conn) => {
                if let Some(lane) = self.buffers.lane(conn.index())
                    && lane.is(conn)
                {
                    lane.fresh = true;
                }
            }
            Event::Failed { id, tag, failure } => match self.writer(id) {
                // Its stream cannot go on without the rest of its bytes.
                Some(lane) => lane.failure = Kept::Failure(tag, failure),
                None => work.failed(&At::new(self.now, self.cluster), tag, failure),
            },
            Event::Confirmed { tag, conn, .. } => work.confirmed(tag, conn),
            Event::MapChanged { .. } => work.map_changed(&At::new(self.now, self.cluster)),
            _ => {}
        }
        true
    }

    /// The lane that has a part of the command in its transmit buffer and needs the rest.
    fn writer(&mut self, id: CommandId) -> Option<&mut Lane> {
        self.buffers.lanes().iter_mut().find(|lane| lane.is_writing(id))
    }

    fn open<T: Transport + ?Sized, W: Work + ?Sized>(&mut self, net: &mut T, work: &mut W, conn: ConnId) {
        self.close(net, work, conn.index());
        match self.buffers.lane(conn.index()) {
            Some(lane) => *lane = Lane::dialing(conn),
            // There is a lane for each connection of the storage; a storage that grew has outgrown its driver.
            None => self.cluster.handle_connect_failed(self.now, conn),
        }
    }

    /// Ends the lane's connection, if there is one, towards the transport.
    fn close<T: Transport + ?Sized, W: Work + ?Sized>(&mut self, net: &mut T, work: &mut W, at: usize) {
        let Some(mut line) = self.buffers.line(at) else { return };
        line.wipe();
        let mut old = core::mem::replace(line.lane, Lane::EMPTY);
        if old.stage != Stage::Free {
            net.close(old.conn);
        }
        if let Some((tag, failure)) = old.failure.take() {
            work.failed(&At::new(self.now, self.cluster), tag, failure);
        }
    }

    /// Ends the lane's connection because it broke.
    fn lose<T: Transport + ?Sized, W: Work + ?Sized>(&mut self, net: &mut T, work: &mut W, at: usize) {
        let Some(conn) = self.buffers.lane(at).map(|lane| lane.conn) else { return };
        self.close(net, work, at);
        self.cluster.handle_disconnected(self.now, conn);
    }

    // ---- one connection ----

    fn dial<T: Transport + ?Sized>(&mut self, net: &mut T, at: usize) -> bool {
        let Some(lane) = self.buffers.lane(at) else { return false };
        if lane.stage != Stage::Dialing {
            return false;
        }
        let conn = lane.conn;
        let dialled = match self.cluster.dial_target(conn, &self.env) {
            Some(target) => net.dial(conn, target.addr.host(), target.addr.port()),
            // The node left the map meanwhile.
            None => Dial::Failed,
        };
        match dialled {
            Dial::Pending => return false,
            Dial::Open => {
                lane.stage = Stage::Open;
                self.cluster.handle_connected(self.now, conn);
            }
            Dial::Failed => {
                *lane = Lane::EMPTY;
                net.close(conn);
                self.cluster.handle_connect_failed(self.now, conn);
            }
        }
        true
    }

    fn receive<T: Transport + ?Sized, W: Work + ?Sized>(&mut self, net: &mut T, work: &mut W, at: usize) -> bool {
        let Some(mut line) = self.buffers.line(at) else { return false };
        if line.lane.stage != Stage::Open || line.lane.fresh {
            return false;
        }
        let (conn, deaf) = (line.lane.conn, line.lane.deaf);
        let room = line.rx_room();
        if room.is_empty() {
            // The engine keeps a reply unread until it knows more; it says when.
            return false;
        }
        match net.recv(conn, room) {
            Moved::Bytes(count) if count > 0 => {
                line.took(count);
                line.lane.fresh = true;
                true
            }
            // A broken connection that has nothing more to read.
            Moved::WouldBlock if !deaf => false,
            _ => {
                self.lose(net, work, at);
                true
            }
        }
    }

    /// Shows received bytes to the engine and hands out what it makes of them, at most one output.
    fn present<T: Transport + ?Sized, W: Work + ?Sized>(&mut self, net: &mut T, work: &mut W, at: usize) -> bool {
        let Some(mut line) = self.buffers.line(at) else { return false };
        if line.lane.stage != Stage::Open || !line.lane.fresh {
            return false;
        }
        let conn = line.lane.conn;
        let (bytes, can_grow) = line.received();
        let Ok(progress) = self.cluster.handle_input(self.now, conn, &self.env, bytes, can_grow) else {
            // The engine has ended the connection and its commands.
            self.close(net, work, at);
            return true;
        };
        let mut ended = None;
        let (consumed, handed_out) = (progress.consumed, progress.output.is_some());
        match progress.output {
            Some(Output::Reply { id, tag, frame, part, last, resent }) => {
                ended = last.then_some(id);
                work.reply(&At::new(self.now, self.cluster), tag, Reply { frame, part, last, resent });
            }
            Some(Output::Token { id, tag, token, last, resent }) => {
                ended = last.then_some(id);
                work.token(&At::new(self.now, self.cluster), tag, Piece { token, last, resent });
            }
            Some(Output::Push { conn, frame }) => {
                let node = self.cluster.node(conn);
                work.push(&At::new(self.now, self.cluster), conn, node, &frame);
            }
            None => {}
        }
        line.consume(consumed);
        if consumed == 0 && !handed_out {
            line.lane.fresh = false;
        }
        if let Some(id) = ended
            && self.writer(id).is_some()
        {
            // Answered before all of it was sent, and the rest of its bytes is gone: the stream cannot go on.
            for other in 0..self.buffers.connections() {
                if self.buffers.lane(other).is_some_and(|lane| lane.is_writing(id)) {
                    self.lose(net, work, other);
                }
            }
        }
        true
    }

    /// Puts the next piece of output into the transmit buffer.
    fn fill<T: Transport + ?Sized, W: Work + ?Sized>(&mut self, net: &mut T, work: &mut W, at: usize) -> bool {
        match self.filled(work, at) {
            Filled::Some => true,
            Filled::Nothing => false,
            Filled::Broken => {
                self.lose(net, work, at);
                true
            }
        }
    }

    fn filled<W: Work + ?Sized>(&mut self, work: &mut W, at: usize) -> Filled {
        let Some(mut line) = self.buffers.line(at) else { return Filled::Nothing };
        if line.lane.stage != Stage::Open || line.lane.deaf {
            return Filled::Nothing;
        }
        let conn = line.lane.conn;
        if line.tx_room().is_empty() {
            return Filled::Nothing;
        }
        match line.lane.writing {
            Writing::Nothing => {
                line.lane.writing = match self.cluster.poll_transmit(self.now, conn, &self.env) {
                    Some(Transmit::Control(frame)) => Writing::Control(frame),
                    Some(Transmit::Command { id, tag, len, asking }) => {
                        Writing::Command { id, tag, at: 0, len, asking }
                    }
                    None => return Filled::Nothing,
                };
                Filled::Some
            }
            Writing::Control(frame) => match frame.encode(self.env.settings, line.tx_room()) {
                Ok(count) => {
                    if matches!(frame, ControlFrame::Hello { auth: true, .. } | ControlFrame::Auth) {
                        line.mark_secret();
                    }
                    line.put(count);
                    line.lane.writing = Writing::Nothing;
                    Filled::Some
                }
                // It fits an empty buffer.
                Err(_) => Filled::Nothing,
            },
            Writing::Command { id, tag, at, len, asking: true } => {
                let Ok(count) = ControlFrame::Asking.encode(self.env.settings, line.tx_room()) else {
                    return Filled::Nothing;
                };
                line.put(count);
                line.lane.writing = Writing::Command { id, tag, at, len, asking: false };
                Filled::Some
            }
            Writing::Command { id, tag, at, len, asking: false } => {
                let left = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX);
                let room = line.tx_room();
                let most = room.len().min(left);
                let room = room.get_mut(..most).unwrap_or_default();
                let count = work.encode(tag, at as usize, room);
                if count == 0 || count > most {
                    return Filled::Broken;
                }
                line.put(count);
                let at = at.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                if at < len {
                    line.lane.writing = Writing::Command { id, tag, at, len, asking: false };
                    return Filled::Some;
                }
                line.lane.writing = Writing::Nothing;
                if let Some((tag, failure)) = line.lane.failure.take() {
                    work.failed(&At::new(self.now, self.cluster), tag, failure);
                }
                Filled::Some
            }
        }
    }

    fn send<T: Transport + ?Sized>(&mut self, net: &mut T, at: usize) -> bool {
        let Some(mut line) = self.buffers.line(at) else { return false };
        if line.lane.stage != Stage::Open || line.lane.deaf || line.unsent().is_empty() {
            return false;
        }
        let conn = line.lane.conn;
        match net.send(conn, line.unsent()) {
            Moved::Bytes(count) if count > 0 => {
                line.sent(count);
                self.cluster.handle_written(self.now, conn, count);
            }
            Moved::WouldBlock => return false,
            _ => {
                // Replies that came before the break are read first.
                line.lane.deaf = true;
            }
        }
        true
    }
}
