//! The event loop: one engine, one readiness poll, all nodes in parallel.

use std::collections::HashMap;
use std::io;
use std::time::Duration as StdDuration;

use mio::{Events, Poll, Token as MioToken, Waker};
use slotwise::cluster::{CloseReason, Cluster, Config, Env, Event, Output, Transmit, Watched};
use slotwise::connection::{ControlFrame, Settings};
use slotwise::ids::{ConnId, NodeId};
use slotwise::pipeline::{Failure, Outcome, Reason};
use slotwise::resp::Frame;
use slotwise::time::Instant;

use crate::counters::{Counters, Watcher};
use crate::profile::{AddressMap, Profile};
use crate::resolve::Resolver;
use crate::socket::{Connect, Received, Socket};
use crate::storage::HeapStorage;
use crate::tls;

/// The poll token of the resolver's waker; sockets use their connection's index.
const WAKER: MioToken = MioToken(usize::MAX);
/// Readiness events taken at once.
const EVENTS: usize = 256;
/// After so long without a round, sockets are looked at before anything is written.
const AWAY: StdDuration = StdDuration::from_millis(20);
/// Reads of one socket in a row, so that one peer that never falls silent stalls none of the others.
const READS: usize = 32;
/// Most bytes of a reply that is kept, unless the caller wants another bound.
const MAX_REPLY: usize = 1 << 30;

/// What the application does with the engine's outputs, and where its bytes come from.
pub(crate) trait Work {
    /// Appends the bytes of the command with this tag.
    fn encode(&mut self, tag: u64, out: &mut Vec<u8>);
    /// A whole reply.
    fn reply(&mut self, tag: u64, reply: Reply<'_>);
    /// The end of a command without a reply.
    fn failed(&mut self, tag: u64, failure: Failure);
    /// A subscribe command was carried out.
    fn confirmed(&mut self, tag: u64, conn: ConnId) {
        let _ = (tag, conn);
    }
    /// A push.
    fn push(&mut self, conn: ConnId, node: Option<NodeId>, frame: &Frame<'_>) {
        let _ = (conn, node, frame);
    }
    /// A connection ended.
    fn closed(&mut self, conn: ConnId, node: Option<NodeId>, reason: CloseReason) {
        let _ = (conn, node, reason);
    }
    /// A connection with subscriptions was alive when it was asked.
    fn alive(&mut self, conn: ConnId, asked: Instant) {
        let _ = (conn, asked);
    }
    /// The slot map changed.
    fn map_changed(&mut self) {}
}

/// One reply of a command.
pub(crate) struct Reply<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) last: bool,
    pub(crate) resent: bool,
    /// Who answered, of error replies.
    pub(crate) node: Option<NodeId>,
}

pub(crate) struct Driver {
    pub(crate) cluster: Cluster<Watched<HeapStorage, Watcher>>,
    pub(crate) profile: Profile,
    pub(crate) counters: Counters,
    /// Dials of each address.
    pub(crate) dialled: HashMap<String, u64>,
    poll: Poll,
    /// Taken out while it is walked.
    events: Option<Events>,
    sockets: Vec<Option<Socket>>,
    resolver: Resolver,
    epoch: std::time::Instant,
    last_close: Option<(CloseReason, String)>,
    address_map: Option<AddressMap>,
    max_reply: usize,
    tls: tls::Setup,
    /// Bytes were read since the last round of writes, so there may be more to write.
    dirty: bool,
    last_turn: std::time::Instant,
}

impl Driver {
    pub(crate) fn new(profile: Profile, config: Config) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(Self {
            cluster: Cluster::new(config, Watched::new(HeapStorage::new(), Watcher::new(profile.observer.clone()))),
            address_map: profile.address_map.clone(),
            max_reply: profile.max_reply.unwrap_or(MAX_REPLY),
            tls: profile.tls.clone(),
            resolver: Resolver::new(waker, profile.resolver.clone()),
            profile,
            counters: Counters::default(),
            dialled: HashMap::new(),
            poll,
            events: None,
            sockets: Vec::new(),
            epoch: std::time::Instant::now(),
            last_close: None,
            dirty: false,
            last_turn: std::time::Instant::now(),
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.at(std::time::Instant::now())
    }

    /// A moment as the engine counts time.
    pub(crate) fn at(&self, moment: std::time::Instant) -> Instant {
        let micros = moment.saturating_duration_since(self.epoch).as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// When the loop's clock began.
    pub(crate) const fn epoch(&self) -> std::time::Instant {
        self.epoch
    }

    /// Why the last connection ended, for error texts.
    pub(crate) fn last_close(&self) -> Option<&(CloseReason, String)> {
        self.last_close.as_ref()
    }

    /// One round: acts on the engine's decisions, writes, waits for at most `wait` (for ever if `None`), reads.
    pub(crate) fn turn(&mut self, work: &mut dyn Work, wait: Option<StdDuration>) -> io::Result<()> {
        let profile = std::mem::take(&mut self.profile);
        let result = profile.with_env(|env| self.turn_with(env, work, wait));
        self.profile = profile;
        result
    }

    fn turn_with(&mut self, env: &Env<'_>, work: &mut dyn Work, wait: Option<StdDuration>) -> io::Result<()> {
        if self.last_turn.elapsed() > AWAY {
            // Connections that ended while nobody looked must be known before a command goes out on them.
            self.poll_once(env, work, Some(StdDuration::ZERO))?;
        }
        // Whoever called may have been waiting for just these events: no sleep behind them.
        let mut acted = self.drain(env, work);
        self.dirty = false;
        self.transmit_all(env, work);
        acted |= self.drain(env, work);
        let timeout = if acted || self.dirty || self.unread() { Some(StdDuration::ZERO) } else { self.wait_time(wait) };
        self.poll_once(env, work, timeout)?;
        let now = self.now();
        if self.cluster.poll_timeout().is_some_and(|at| at <= now) {
            self.cluster.handle_timeout(now);
        }
        self.drain(env, work);
        self.last_turn = std::time::Instant::now();
        Ok(())
    }

    /// Waits for readiness and reads what has come.
    fn poll_once(&mut self, env: &Env<'_>, work: &mut dyn Work, timeout: Option<StdDuration>) -> io::Result<()> {
        let mut events = self.events.take().unwrap_or_else(|| Events::with_capacity(EVENTS));
        let polled = self.poll.poll(&mut events, timeout);
        if let Err(error) = polled
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.events = Some(events);
            return Err(error);
        }
        for event in &events {
            if event.token() == WAKER {
                self.take_resolved();
            } else {
                let at = event.token().0;
                let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                self.ready(env, work, at, readable, event.is_writable());
            }
        }
        self.events = Some(events);
        for at in 0..self.sockets.len() {
            self.receive(env, work, at);
        }
        Ok(())
    }

    /// Whether a socket has more to read that is of use now.
    fn unread(&self) -> bool {
        self.sockets.iter().flatten().any(|socket| socket.readable && self.cluster.wants_input(socket.conn))
    }

    fn wait_time(&mut self, wait: Option<StdDuration>) -> Option<StdDuration> {
        let now = self.now();
        let engine = self.cluster.poll_timeout().map(|at| StdDuration::from(at.since(now)));
        match (engine, wait) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    // ---- events ----

    /// Acts on every event the engine has; says whether there was any.
    fn drain(&mut self, env: &Env<'_>, work: &mut dyn Work) -> bool {
        let mut any = false;
        while let Some(event) = self.cluster.poll_event() {
            any = true;
            match event {
                Event::Dial(conn) => self.dial(env, conn),
                Event::Ready(_) => self.counters.connections += 1,
                Event::Closed { conn, node, reason } => {
                    self.counters.closed += 1;
                    self.drop_socket(conn);
                    work.closed(conn, node, reason);
                }
                Event::InputReady(conn) => {
                    self.present(env, work, conn.index());
                    self.receive(env, work, conn.index());
                }
                Event::Failed { tag, failure, .. } => work.failed(tag, failure),
                Event::Confirmed { tag, conn, .. } => work.confirmed(tag, conn),
                Event::Alive { conn, asked } => work.alive(conn, asked),
                Event::MapChanged { .. } => {
                    self.counters.maps += 1;
                    work.map_changed();
                }
                _ => {}
            }
        }
        any
    }

    fn dial(&mut self, env: &Env<'_>, conn: ConnId) {
        let at = conn.index();
        if self.sockets.len() <= at {
            self.sockets.resize_with(at + 1, || None);
        }
        self.drop_at(at);
        self.counters.dials += 1;
        let target = self.cluster.dial_target(conn, env).map(|target| {
            let (host, port) = (target.addr.host(), target.addr.port());
            // Seeds are where the caller says they are; what nodes announce may need translation.
            let mapped = self.address_map.as_ref().filter(|_| target.node.is_some()).and_then(|map| map(host, port));
            let wish = self.tls.to(host, port, target.tls_name);
            let (host, port) = mapped.unwrap_or_else(|| (host.to_owned(), port));
            (host, port, wish)
        });
        let Some((host, port, wish)) = target else {
            return self.cluster.handle_connect_failed(self.now(), conn);
        };
        *self.dialled.entry(format!("{host}:{port}")).or_default() += 1;
        self.sockets[at] = Some(Socket::new(conn, wish));
        if let Some(addrs) = self.resolver.look_up(conn, &host, port) {
            self.connect(conn, addrs);
        }
    }

    fn take_resolved(&mut self) {
        while let Some((conn, addrs)) = self.resolver.answer() {
            self.connect(conn, addrs);
        }
    }

    fn connect(&mut self, conn: ConnId, addrs: Vec<std::net::SocketAddr>) {
        let at = conn.index();
        let Some(socket) = self.sockets.get_mut(at).and_then(Option::as_mut) else { return };
        if socket.conn != conn {
            return;
        }
        socket.candidates = addrs.into();
        if !socket.connect_next(self.poll.registry(), MioToken(at)) {
            self.connect_failed(at, String::new());
        }
    }

    fn connect_failed(&mut self, at: usize, why: String) {
        let Some(conn) = self.sockets.get(at).and_then(Option::as_ref).map(|socket| socket.conn) else { return };
        self.drop_at(at);
        self.last_close = Some((CloseReason::ConnectFailed, why));
        self.cluster.handle_connect_failed(self.now(), conn);
    }

    fn drop_socket(&mut self, conn: ConnId) {
        let at = conn.index();
        if self.sockets.get(at).and_then(Option::as_ref).is_some_and(|socket| socket.conn == conn) {
            self.drop_at(at);
        }
    }

    fn drop_at(&mut self, at: usize) {
        if let Some(mut socket) = self.sockets.get_mut(at).and_then(Option::take) {
            socket.close(self.poll.registry());
        }
    }

    // ---- output ----

    fn transmit_all(&mut self, env: &Env<'_>, work: &mut dyn Work) {
        for at in 0..self.sockets.len() {
            self.transmit(env, work, at);
        }
    }

    fn transmit(&mut self, env: &Env<'_>, work: &mut dyn Work, at: usize) {
        loop {
            let now = self.now();
            let Some(socket) = self.sockets.get_mut(at).and_then(Option::as_mut) else { return };
            if !socket.can_write() {
                return;
            }
            let conn = socket.conn;
            while socket.wants_output() {
                match self.cluster.poll_transmit(now, conn, env) {
                    Some(Transmit::Control(frame)) => append_control(frame, env.settings, socket),
                    Some(Transmit::Command { tag, asking, .. }) => {
                        if asking {
                            append_control(ControlFrame::Asking, env.settings, socket);
                        }
                        work.encode(tag, &mut socket.tx);
                        self.counters.commands += 1;
                    }
                    None => break,
                }
            }
            if socket.tx.is_empty() {
                return;
            }
            let (taken, broken) = socket.flush();
            self.counters.bytes_out += taken as u64;
            self.cluster.handle_written(now, conn, taken);
            if broken {
                // Replies that came before the break are read first; reading meets the break too.
                self.readable(env, work, at);
                return;
            }
        }
    }

    // ---- input ----

    fn ready(&mut self, env: &Env<'_>, work: &mut dyn Work, at: usize, readable: bool, writable: bool) {
        let Some(socket) = self.sockets.get_mut(at).and_then(Option::as_mut) else { return };
        if !socket.is_open() {
            match socket.connect_result() {
                Connect::Pending => return,
                Connect::Open => {
                    let conn = socket.conn;
                    self.cluster.handle_connected(self.now(), conn);
                }
                Connect::Failed => {
                    if !socket.connect_next(self.poll.registry(), MioToken(at)) {
                        self.connect_failed(at, String::new());
                    }
                    return;
                }
                Connect::Unsecured(why) => return self.connect_failed(at, why),
            }
        }
        if writable && let Some(socket) = self.sockets.get_mut(at).and_then(Option::as_mut) {
            socket.set_writable();
        }
        if readable {
            self.readable(env, work, at);
        }
    }

    /// There is something to read, or the end of the connection.
    fn readable(&mut self, env: &Env<'_>, work: &mut dyn Work, at: usize) {
        if let Some(socket) = self.sockets.get_mut(at).and_then(Option::as_mut) {
            socket.readable = true;
            self.receive(env, work, at);
        }
    }

    /// Reads what has come, some pieces at a time. What the engine cannot use yet stays with the peer: an open-ended
    /// buffer would take in all that is behind it.
    fn receive(&mut self, env: &Env<'_>, work: &mut dyn Work, at: usize) {
        for _ in 0..READS {
            let Some(socket) = self.sockets.get_mut(at).and_then(Option::as_mut) else { return };
            let conn = socket.conn;
            if !socket.readable || !self.cluster.wants_input(conn) {
                return;
            }
            let before = socket.received().len();
            let received = socket.receive();
            self.counters.bytes_in += (socket.received().len() - before) as u64;
            self.present(env, work, at);
            match received {
                Received::Some => {}
                Received::WouldBlock => return,
                Received::Closed => {
                    self.drop_socket(conn);
                    self.cluster.handle_disconnected(self.now(), conn);
                    return;
                }
            }
        }
    }

    /// Hands received bytes to the engine for as long as it takes some.
    fn present(&mut self, env: &Env<'_>, work: &mut dyn Work, at: usize) {
        let now = self.now();
        self.dirty = true;
        loop {
            let Some(socket) = self.sockets.get_mut(at).and_then(Option::as_mut) else { return };
            let conn = socket.conn;
            let can_grow = socket.received().len() < self.max_reply;
            match self.cluster.handle_input(now, conn, env, socket.received(), can_grow) {
                Ok(progress) => {
                    match progress.output {
                        Some(Output::Reply { tag, frame, last, resent, .. }) => {
                            self.counters.resent += u64::from(resent);
                            let node = if frame.is_error() { self.cluster.node(conn) } else { None };
                            work.reply(tag, Reply { frame, last, resent, node });
                        }
                        Some(Output::Push { conn, frame }) => {
                            let node = self.cluster.node(conn);
                            work.push(conn, node, &frame);
                        }
                        // The rest of a reply that is not kept goes by in pieces.
                        Some(Output::Token { tag, last: true, .. }) => {
                            let node = self.cluster.node(conn);
                            work.failed(
                                tag,
                                Failure { outcome: Outcome::ReplyLost, reason: Reason::ReplyTooLarge, node },
                            );
                        }
                        Some(Output::Token { .. }) => {}
                        None if progress.consumed == 0 => return,
                        None => {}
                    }
                    socket.consume(progress.consumed);
                }
                Err(error) => {
                    self.last_close = Some((CloseReason::Protocol, error.to_string()));
                    self.drop_socket(conn);
                    return;
                }
            }
        }
    }
}

fn append_control(frame: ControlFrame, settings: &Settings<'_>, socket: &mut Socket) {
    let len = frame.encoded_len(settings);
    if matches!(frame, ControlFrame::Hello { .. } | ControlFrame::Auth) || socket.holds_secret() {
        return socket.append_secret(len, |room| frame.encode(settings, room).is_ok());
    }
    let start = socket.tx.len();
    socket.tx.resize(start + len, 0);
    if frame.encode(settings, &mut socket.tx[start..]).is_err() {
        socket.tx.truncate(start);
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
