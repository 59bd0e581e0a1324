//! Received bytes: which value comes next, who reads it, and in which form.

use crate::cluster::config::Env;
use crate::cluster::confirm::is_message;
use crate::cluster::conn::{Bits, ConnState, Mode, Purpose, Sink};
use crate::cluster::engine::Engine;
use crate::cluster::event::{CloseReason, ConnectionError, Output, Progress};
use crate::cluster::probe::Front;
use crate::connection::{Progress as HandshakeProgress, Session};
use crate::fmt::{debug, warning};
use crate::limits::Limits;
use crate::pipeline::{Entry, Flag, Kind, Outcome, Reason};
use crate::resp::{Frame, Parked, RespError, Status, Token, TokenReader};
use crate::time::{Instant, Stamp};
use crate::topology;

/// What a step on the front of the stream came to.
pub(crate) enum Step<'rx> {
    /// Go on with what is left.
    Again,
    /// Nothing more can be read from these bytes.
    More,
    Output(Output<'rx>),
}

/// What one token did, told after the reader's borrow ended.
struct Pulled<'rx> {
    token: Option<Token<'rx>>,
    consumed: usize,
    end: bool,
    aside: bool,
}

impl Engine<'_> {
    /// Reads from the front of `rx` until there is an output or nothing more to read.
    pub(crate) fn handle_input<'rx>(
        &mut self,
        now: Instant,
        conn: u32,
        env: &Env<'_>,
        rx: &'rx [u8],
        can_grow: bool,
    ) -> Result<Progress<'rx>, ConnectionError> {
        let entry = self.conn(conn);
        if !rx.is_empty() {
            entry.liveness.on_bytes(now);
        }
        let mut consumed = 0;
        loop {
            let rest = rx.get(consumed..).unwrap_or_default();
            // What was consumed makes room.
            let more = can_grow || consumed > 0;
            let step = match self.conn(conn).mode {
                Mode::Boundary => self.decide(now, conn, rest),
                Mode::Frame => self.read_frame(now, conn, env, rest, &mut consumed, more),
                Mode::Tokens(sink) => self.read_token(now, conn, env, sink, rest, &mut consumed),
            };
            match step {
                Ok(Step::Again) if self.conn(conn).has_socket() => {}
                Ok(Step::Again | Step::More) => {
                    self.close_if_drained(now, conn);
                    return Ok(Progress::only(consumed));
                }
                Ok(Step::Output(output)) => {
                    self.close_if_drained(now, conn);
                    return Ok(Progress { consumed, output: Some(output) });
                }
                Err(error) => {
                    warning!("connection {}: {}", conn, error);
                    self.lose(now, conn, close_reason(&error));
                    return Err(error);
                }
            }
        }
    }

    /// A retired connection closes with its last reply. What nobody waits for needs no answer any more.
    fn close_if_drained(&mut self, now: Instant, conn: u32) {
        let reason = self.retirement();
        if self.t.conns.get(conn as usize).is_some_and(|entry| self.is_drained(entry)) {
            self.lose(now, conn, reason);
        }
    }

    /// At a value's first byte: decides how to read it.
    fn decide<'rx>(&mut self, now: Instant, conn: u32, rx: &[u8]) -> Result<Step<'rx>, ConnectionError> {
        let Some(first) = rx.first() else { return Ok(Step::More) };
        let entry = self.conn(conn);
        if entry.is_stalled() && !self.stall_over(now, conn) {
            return Ok(Step::More);
        }
        let entry = self.conn(conn);
        let mode = if matches!(first, b'>' | b'|') {
            Mode::Frame
        } else if entry.state == ConnState::Handshake {
            Mode::Tokens(Sink::Handshake)
        } else if entry.purpose == Purpose::Subscriber && entry.proto == 2 && *first == b'*' {
            // In RESP2 messages and confirmations are arrays, told from replies by their first element.
            Mode::Frame
        } else {
            let Some(head) = entry.in_flight.front() else { return Err(ConnectionError::UnexpectedReply) };
            let flying = self.peek(head);
            match self.early_pong(conn, &flying, rx) {
                Front::Other => {}
                Front::Unclear => return Ok(Step::More),
                Front::TooEarly => return Err(ConnectionError::OutOfStep),
            }
            let fenced = flying.has(Flag::SUBSCRIBE) && !flying.has(Flag::ASKING);
            if fenced && (*first != b'-' || flying.has(Flag::STARTED)) {
                // The answer of the fence behind it: the subscribe itself was answered by pushes.
                self.confirm(now, conn, head);
                return Ok(Step::Again);
            }
            match head_mode(&flying, self.s.refresh_conn == conn) {
                // An error is judged before any of it is handed out, and a script's may be put back unread: whole.
                Mode::Tokens(Sink::Stream) if *first == b'-' => Mode::Frame,
                mode => mode,
            }
        };
        let entry = self.conn(conn);
        entry.mode = mode;
        entry.frame = match mode {
            Mode::Tokens(sink) => token_state(sink),
            _ => Parked::FRESH,
        };
        Ok(Step::Again)
    }

    fn read_frame<'rx>(
        &mut self,
        now: Instant,
        conn: u32,
        env: &Env<'_>,
        rx: &'rx [u8],
        consumed: &mut usize,
        can_grow: bool,
    ) -> Result<Step<'rx>, ConnectionError> {
        let limits = self.limits(conn);
        let depth = self.t.depth;
        let start = (conn as usize).saturating_mul(depth);
        let levels = self.t.levels.get_mut(start..start.saturating_add(depth)).unwrap_or_default();
        let Some(entry) = self.t.conns.get_mut(conn as usize) else { return Ok(Step::More) };
        let mut state = entry.frame.resume(&limits);
        let extent = match state.scan(levels, &limits, rx).map_err(ConnectionError::Protocol)? {
            Status::Complete(extent) => extent,
            Status::Incomplete if can_grow || rx.is_empty() || is_short_error(rx) => {
                entry.frame = Parked::park(&state);
                return Ok(Step::More);
            }
            Status::Incomplete => return Ok(self.too_large(conn, rx)),
        };
        entry.frame = Parked::FRESH;
        entry.mode = Mode::Boundary;
        *consumed = consumed.saturating_add(extent.len);
        let Some(frame) = Frame::from_extent(rx, extent) else { return Ok(Step::More) };
        if entry.state == ConnState::Handshake {
            // Pushes have no business here; attributes may stand before a handshake reply.
            return if frame.is_push() {
                Ok(Step::Again)
            } else {
                self.replay(now, conn, env, Sink::Handshake, &frame)
            };
        }
        if frame.is_push() || (entry.purpose == Purpose::Subscriber && is_message(&frame)) {
            let id = entry.id(conn);
            self.note_subscribed(conn, &frame);
            return Ok(Step::Output(Output::Push { conn: id, frame }));
        }
        if self.is_awaited_topology(conn) {
            // Attributes stood before it.
            return self.replay(now, conn, env, Sink::Topology, &frame);
        }
        // RESP2 answers the fence with an array too, and arrays are read before it is known what they are.
        let head = self.conn(conn).in_flight.front();
        let fenced = |flying: Entry| flying.has(Flag::SUBSCRIBE) && !flying.has(Flag::ASKING) && !frame.is_error();
        if let Some(head) = head.filter(|head| fenced(self.peek(*head))) {
            self.confirm(now, conn, head);
        }
        let step = self.reply(now, conn, &frame)?;
        self.unread_if_stalled(conn, extent.len, consumed);
        Ok(step)
    }

    /// Whether the next reply is the topology that is waited for.
    fn is_awaited_topology(&mut self, conn: u32) -> bool {
        let head = self.conn(conn).in_flight.front();
        self.s.refresh_conn == conn && head.is_some_and(|head| self.peek(head).kind() == Kind::Refresh)
    }

    /// A stalled reply stays unread until a topology reply shows whether it tells the truth.
    fn unread_if_stalled(&mut self, conn: u32, len: usize, consumed: &mut usize) {
        let entry = self.conn(conn);
        if entry.is_stalled() {
            entry.mode = Mode::Boundary;
            *consumed = consumed.saturating_sub(len);
        }
    }

    /// A value that will not fit the buffer goes on as tokens, from its first byte.
    fn too_large<'rx>(&mut self, conn: u32, rx: &[u8]) -> Step<'rx> {
        let entry = self.conn(conn);
        let head = entry.in_flight.front();
        let message = entry.purpose == Purpose::Subscriber && rx.first() == Some(&b'*');
        let sink = if message || rx.first() == Some(&b'>') {
            Sink::DiscardPush
        } else if self.is_awaited_topology(conn) {
            Sink::Topology
        } else {
            match head.map(|head| self.peek(head)) {
                Some(flying) if flying.kind() == Kind::User && !flying.has(Flag::ASKING) => Sink::Stream,
                _ => Sink::Discard,
            }
        };
        let entry = self.conn(conn);
        entry.mode = Mode::Tokens(sink);
        entry.frame = token_state(sink);
        Step::Again
    }

    fn read_token<'rx>(
        &mut self,
        now: Instant,
        conn: u32,
        env: &Env<'_>,
        sink: Sink,
        rx: &'rx [u8],
        consumed: &mut usize,
    ) -> Result<Step<'rx>, ConnectionError> {
        let pulled = self.pull(conn, sink, rx).map_err(ConnectionError::Protocol)?;
        *consumed = consumed.saturating_add(pulled.consumed);
        let Some(token) = pulled.token else { return Ok(Step::More) };
        let push = matches!(token, Token::Push(_)) && !pulled.aside;
        self.conn(conn).mode = match (pulled.end, push) {
            (true, _) => Mode::Boundary,
            // Behind an attribute: it is no reply, and what stands in it is nobody's.
            (false, true) => Mode::Tokens(Sink::DiscardPush),
            (false, false) => Mode::Tokens(sink),
        };
        if push {
            return Ok(Step::Again);
        }
        match sink {
            Sink::Handshake => {
                if !pulled.aside {
                    self.handshake_token(now, conn, env, &token, pulled.end)?;
                }
                Ok(Step::Again)
            }
            Sink::Topology => {
                if !pulled.aside {
                    self.topology_token(conn, env, &token);
                }
                if pulled.end {
                    self.topology_done(now, conn, env);
                }
                Ok(Step::Again)
            }
            Sink::Stream => {
                let step = self.stream_token(now, conn, token, pulled.end, pulled.aside)?;
                self.unread_if_stalled(conn, pulled.consumed, consumed);
                Ok(step)
            }
            Sink::Discard => {
                if pulled.end {
                    self.discard_done(now, conn)?;
                }
                Ok(Step::Again)
            }
            Sink::DiscardPush => Ok(Step::Again),
        }
    }

    fn pull<'rx>(&mut self, conn: u32, sink: Sink, rx: &'rx [u8]) -> Result<Pulled<'rx>, RespError> {
        let limits = self.limits(conn);
        let depth = self.t.depth;
        let start = (conn as usize).saturating_mul(depth);
        let levels = self.t.levels.get_mut(start..start.saturating_add(depth)).unwrap_or_default();
        let Some(entry) = self.t.conns.get_mut(conn as usize) else {
            return Ok(Pulled { token: None, consumed: 0, end: false, aside: false });
        };
        let mut state = entry.frame.resume(&limits);
        let mut reader = state.tokens().reader(levels, &limits, rx);
        let token = match sink {
            Sink::Discard | Sink::DiscardPush => last_token(&mut reader)?,
            _ => reader.next()?,
        };
        let pulled = Pulled {
            token,
            consumed: reader.consumed(),
            end: token.is_some() && reader.at_boundary(),
            aside: reader.out_of_band() || reader.in_attribute(),
        };
        entry.frame = if pulled.end { Parked::FRESH } else { Parked::park(&state) };
        Ok(pulled)
    }

    fn limits(&mut self, conn: u32) -> Limits {
        let full = self.s.config.limits();
        if self.conn(conn).state == ConnState::Handshake { Limits::HANDSHAKE } else { full }
    }

    fn handshake_token(
        &mut self,
        now: Instant,
        conn: u32,
        env: &Env<'_>,
        token: &Token<'_>,
        end: bool,
    ) -> Result<(), ConnectionError> {
        let progress = self
            .conn(conn)
            .handshake
            .on_token(env.settings, token, end, &mut Session::default())
            .map_err(ConnectionError::Handshake)?;
        if let HandshakeProgress::Ready(session) = progress {
            self.ready(now, conn, if session.resp3 { 3 } else { 2 });
        }
        Ok(())
    }

    /// A reply with attributes in front was gathered to a frame: its values go to where they are read one by one.
    fn replay<'rx>(
        &mut self,
        now: Instant,
        conn: u32,
        env: &Env<'_>,
        sink: Sink,
        frame: &Frame<'_>,
    ) -> Result<Step<'rx>, ConnectionError> {
        let mut rest = frame.raw();
        self.conn(conn).frame = token_state(sink);
        loop {
            let pulled = self.pull(conn, sink, rest).map_err(ConnectionError::Protocol)?;
            let Some(token) = pulled.token else { return Ok(Step::Again) };
            match sink {
                _ if pulled.aside => {}
                Sink::Handshake => self.handshake_token(now, conn, env, &token, pulled.end)?,
                _ => self.topology_token(conn, env, &token),
            }
            if pulled.end && sink == Sink::Topology {
                self.topology_done(now, conn, env);
                return Ok(Step::Again);
            }
            rest = rest.get(pulled.consumed..).unwrap_or_default();
        }
    }

    /// The last handshake reply is in.
    fn ready(&mut self, now: Instant, conn: u32, proto: u8) {
        let shutting_down = self.s.shutting_down;
        let seed = self.conn(conn).node.is_none();
        let entry = self.conn(conn);
        entry.state = if shutting_down { ConnState::Draining } else { ConnState::Ready };
        entry.proto = proto;
        entry.ready_since = Stamp::before(now);
        entry.liveness.change(now, |liveness| liveness.on_ready(now));
        // All that was handed out so far was answered, so it was written.
        entry.unsent = 0;
        if seed {
            entry.wants.set(Bits::MY_ID);
        }
        debug!("connection {}: ready", conn);
        self.raise(conn, Bits::READY);
        self.tell_ready(conn);
        self.dial_others(now, conn);
        self.ask_when_ready(conn);
        self.drive_refresh(now);
    }

    fn discard_done(&mut self, now: Instant, conn: u32) -> Result<(), ConnectionError> {
        let Some(head) = self.conn(conn).in_flight.front() else { return Ok(()) };
        if matches!(self.peek(head).kind(), Kind::Probe | Kind::Fence) {
            // A PING's answer is not so long that it is not read whole.
            return Err(ConnectionError::OutOfStep);
        }
        if self.conn_entry_asking(head) || self.entry(head).take_reply() > 0 {
            return Ok(());
        }
        self.answered(now, conn);
        self.release_entry(head);
        Ok(())
    }

    /// Takes note of ASKING's own reply; says whether this was it.
    pub(crate) fn conn_entry_asking(&mut self, head: u32) -> bool {
        let entry = self.entry(head);
        let asking = entry.has(Flag::ASKING);
        entry.set(Flag::ASKING, false);
        asking
    }

    /// One token of a reply that the caller reads as it comes.
    fn stream_token<'rx>(
        &mut self,
        now: Instant,
        conn: u32,
        token: Token<'rx>,
        end: bool,
        aside: bool,
    ) -> Result<Step<'rx>, ConnectionError> {
        let Some(head) = self.conn(conn).in_flight.front() else { return Err(ConnectionError::UnexpectedReply) };
        let (id, flying) = (self.command_id(head), self.peek(head));
        if flying.has(Flag::ASKING) {
            self.entry(head).set(Flag::ASKING, !end);
            return Ok(Step::Again);
        }
        if flying.kind() != Kind::User {
            // Cancelled while its reply was being read: the rest is eaten.
            if end {
                self.discard_done(now, conn)?;
            }
            return Ok(Step::Again);
        }
        if aside && !flying.has(Flag::STARTED) {
            // An attribute in front of the reply, which may be a refusal: nothing of it is handed out ahead of that.
            return Ok(Step::Again);
        }
        if let Token::Error(line) = token
            && end
            && !flying.has(Flag::STARTED)
            && flying.replies == 1
            && self.refusal(now, conn, head, line)?
        {
            return Ok(Step::Again);
        }
        if matches!(token, Token::TooDeep) {
            self.entry(head).set(Flag::STARTED, true);
            self.tombstone(head, Outcome::ReplyLost, Reason::ReplyTooDeep);
            if end {
                self.discard_done(now, conn)?;
            }
            return Ok(Step::Again);
        }
        let entry = self.entry(head);
        entry.set(Flag::STARTED, true);
        let last = end && entry.take_reply() == 0;
        let (tag, resent) = (entry.tag, entry.was_resent());
        if last {
            let error = !flying.has(Flag::STARTED) && matches!(token, Token::Error(_));
            self.tell_answered(head, conn, error);
            self.answered(now, conn);
            self.free(head);
        }
        Ok(Step::Output(Output::Token { id, tag, token, last, resent }))
    }
}

/// The start of an error line that fits the least receive buffer there may be: it is judged whole.
fn is_short_error(rx: &[u8]) -> bool {
    rx.first() == Some(&b'-') && rx.len() < topology::WHOLE
}

/// How the reply of the command at the head of the FIFO is read.
fn head_mode(head: &Entry, informant: bool) -> Mode {
    match head.kind() {
        Kind::User if head.is_streamed() && !head.has(Flag::ASKING) => Mode::Tokens(Sink::Stream),
        Kind::User | Kind::MyId | Kind::Fence | Kind::Probe => Mode::Frame,
        Kind::Refresh if informant => Mode::Tokens(Sink::Topology),
        // Asked again elsewhere meanwhile.
        Kind::Refresh | Kind::Tombstone => Mode::Tokens(Sink::Discard),
    }
}

fn token_state(sink: Sink) -> Parked {
    match sink {
        // A caller's reply may be a refusal, which must be whole to be understood.
        Sink::Handshake | Sink::Topology | Sink::Stream => Parked::FRESH.with_whole(topology::WHOLE as u16),
        Sink::Discard | Sink::DiscardPush => Parked::FRESH,
    }
}

/// Reads on to the end of the value or of the bytes, for nobody. Stops at a push's header: a push is no reply.
fn last_token<'rx>(reader: &mut TokenReader<'_, 'rx>) -> Result<Option<Token<'rx>>, RespError> {
    let mut last = None;
    while let Some(token) = reader.next()? {
        last = Some(token);
        if reader.at_boundary() || matches!(token, Token::Push(_)) && !reader.out_of_band() {
            break;
        }
    }
    Ok(last)
}

fn close_reason(error: &ConnectionError) -> CloseReason {
    match error {
        ConnectionError::Protocol(_) => CloseReason::Protocol,
        ConnectionError::UnexpectedReply => CloseReason::UnexpectedReply,
        ConnectionError::OutOfStep => CloseReason::OutOfStep,
        ConnectionError::Handshake(_) => CloseReason::Handshake,
    }
}
