//! A transport without a network: what the engine writes is answered from constant bytes.

use core::hint::black_box;

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Cluster, Config, Endpoint, Endpoints, Env, Event, Output, StaticStorage, Transmit};
use slotwise::command::CommandSpec;
use slotwise::connection::{ControlFrame, Secret, Settings};
use slotwise::ids::ConnId;
use slotwise::time::{Duration, Instant};

use crate::measure::{Step, step};
use crate::{Report, check, world};

/// The engine whose RAM is budgeted: 4 nodes, 64 ranges, 96 bytes of host names, 4 connections, 32 commands and two
/// for the engine's own, 8 levels for each connection.
pub type Storage = StaticStorage<4, 64, 96, 4, 34, 28>;

/// Replies that may be on their way on one connection.
const DUE: usize = 34;

/// Bytes on their way to the engine.
#[derive(Clone, Copy)]
enum Due {
    /// A reply.
    Bytes(&'static [u8]),
    /// The reply to a PING: what was sent.
    Echo([u8; 14]),
}

/// One connection.
struct Line {
    conn: ConnId,
    port: u16,
    due: [Due; DUE],
    len: usize,
    /// A command was left without an answer, so nothing behind it is answered either.
    mute: bool,
}

impl Line {
    fn push(&mut self, due: Due) {
        if self.mute {
            return;
        }
        if let Some(place) = self.due.get_mut(self.len) {
            *place = due;
            self.len += 1;
        }
    }

    fn pop(&mut self) -> Option<Due> {
        let first = self.due.first().copied().filter(|_| self.len > 0)?;
        self.due.rotate_left(1);
        self.len -= 1;
        Some(first)
    }
}

/// The other half of an image: what servers answer, and what becomes of what the engine hands out.
pub trait Scenario {
    /// What the server on `port` answers to the command; `None` leaves it without an answer.
    fn answer(&mut self, port: u16, tag: u64, asking: bool) -> Option<&'static [u8]>;
    /// Something came out of the engine.
    fn output(&mut self, now: Instant, cluster: &Cluster<Storage>, output: &Output<'_>, report: &mut Report);
    /// Something happened.
    fn event(&mut self, now: Instant, cluster: &Cluster<Storage>, event: Event, report: &mut Report);
}

/// The engine, its connections and a clock.
pub struct Adapter {
    /// The engine.
    pub cluster: Cluster<Storage>,
    /// The time.
    pub now: Instant,
    lines: [Option<Line>; 4],
    /// Replies are handed over in pieces of so many bytes; 0 for whole.
    pub piece: usize,
    /// Topology replies that were asked for.
    pub asked: u32,
}

/// What the engine is told of credentials.
pub const SETTINGS: Settings<'static> = Settings {
    username: Some("gateway"),
    password: Some(Secret::new(b"secret")),
    client_name: Some("gw-7"),
    ..Settings::DEFAULT
};

/// Nodes are dialled where they say they are, on this host alone.
struct Local;

static LOCAL: Local = Local;

impl Endpoints for Local {
    fn endpoint<'a>(&'a self, announced: NodeAddr<'a>) -> Option<Endpoint<'a>> {
        (announced.host() == "127.0.0.1").then_some(Endpoint::announced(announced))
    }
}

fn with_env<T>(f: impl FnOnce(&Env<'_>) -> T) -> Option<T> {
    let seeds: [NodeAddr<'static>; 2] = [world::addr(world::A_PORT)?, world::addr(world::B_PORT)?];
    Some(f(&Env::new(&SETTINGS, &seeds).with_endpoints(&LOCAL)))
}

impl Adapter {
    /// An engine that knows nothing.
    pub fn new() -> Self {
        let mut config = Config::new(0x5eed);
        config.refresh.jitter = Duration::ZERO;
        Self {
            cluster: Cluster::new(config, Storage::new()),
            now: Instant::from_micros(1_000_000),
            lines: [const { None }; 4],
            piece: 0,
            asked: 0,
        }
    }

    /// Takes in a command.
    pub fn submit(&mut self, spec: CommandSpec, report: &mut Report) {
        check!(report, step(Step::Submit, || self.cluster.submit(self.now, spec)).is_ok());
    }

    /// Lets everything happen that can happen now.
    #[inline(never)]
    pub fn pump(&mut self, scenario: &mut impl Scenario, report: &mut Report) {
        for _ in 0..1_000 {
            let mut busy = false;
            while let Some(event) = step(Step::Event, || self.cluster.poll_event()) {
                busy = true;
                self.event(event, report);
                scenario.event(self.now, &self.cluster, event, report);
            }
            for at in 0..self.lines.len() {
                busy |= self.write(at, scenario, report);
            }
            for at in 0..self.lines.len() {
                busy |= self.read(at, scenario, report);
            }
            if !busy {
                return;
            }
        }
        check!(report, false);
    }

    /// Lets time pass.
    pub fn wait(&mut self, span: Duration, scenario: &mut impl Scenario, report: &mut Report) {
        let end = self.now + span;
        for _ in 0..1_000 {
            let Some(at) = step(Step::PollTimeout, || self.cluster.poll_timeout()).filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            step(Step::Timeout, || self.cluster.handle_timeout(self.now));
            self.pump(scenario, report);
        }
        self.now = end;
        step(Step::Timeout, || self.cluster.handle_timeout(end));
        self.pump(scenario, report);
    }

    /// Bytes that nobody asked for come from `port`.
    pub fn bring(&mut self, port: u16, bytes: &'static [u8]) {
        for line in self.lines.iter_mut().flatten().filter(|line| line.port == port) {
            line.push(Due::Bytes(bytes));
        }
    }

    /// Every connection to `port` breaks; says how many did.
    pub fn break_off(&mut self, port: u16) -> u32 {
        let mut broken = 0;
        for place in &mut self.lines {
            if let Some(line) = place.take_if(|line| line.port == port) {
                step(Step::Disconnected, || self.cluster.handle_disconnected(self.now, line.conn));
                broken += 1;
            }
        }
        broken
    }

    fn event(&mut self, event: Event, report: &mut Report) {
        match event {
            Event::Dial(conn) => {
                let target = with_env(|env| self.cluster.dial_target(conn, env).map(|target| target.addr.port()));
                let (Some(Some(port)), Some(place)) = (target, self.lines.get_mut(conn.index())) else {
                    check!(report, false);
                    return;
                };
                *place = Some(Line { conn, port, due: [Due::Bytes(&[]); DUE], len: 0, mute: false });
                step(Step::Connected, || self.cluster.handle_connected(self.now, conn));
            }
            Event::Closed { conn, .. } => {
                if let Some(place) = self.lines.get_mut(conn.index()) {
                    place.take_if(|line| line.conn == conn);
                }
            }
            _ => {}
        }
    }

    fn write(&mut self, at: usize, scenario: &mut impl Scenario, report: &mut Report) -> bool {
        let mut busy = false;
        loop {
            let Some(line) = self.lines.get_mut(at).and_then(Option::as_mut) else { return busy };
            let transmit =
                with_env(|env| step(Step::Transmit, || self.cluster.poll_transmit(self.now, line.conn, env))).flatten();
            let Some(transmit) = transmit else { return busy };
            busy = true;
            let written = match transmit {
                Transmit::Control(frame) => {
                    let mut out = [0; 96];
                    let len = frame.encode(&SETTINGS, &mut out).unwrap_or(0);
                    check!(report, len == frame.encoded_len(&SETTINGS) && len > 0);
                    self.asked += u32::from(matches!(frame, ControlFrame::ClusterSlots | ControlFrame::ClusterNodes));
                    line.push(control(frame, line.port, out.get(..len).unwrap_or_default()));
                    len
                }
                Transmit::Command { tag, asking, len, .. } => {
                    if asking {
                        line.push(Due::Bytes(b"+OK\r\n"));
                    }
                    match scenario.answer(line.port, tag, asking) {
                        Some(reply) => line.push(Due::Bytes(reply)),
                        None => line.mute = true,
                    }
                    len as usize + if asking { ControlFrame::Asking.encoded_len(&SETTINGS) } else { 0 }
                }
            };
            step(Step::Written, || self.cluster.handle_written(self.now, line.conn, written));
        }
    }

    fn read(&mut self, at: usize, scenario: &mut impl Scenario, report: &mut Report) -> bool {
        let Some(line) = self.lines.get_mut(at).and_then(Option::as_mut) else { return false };
        let Some(due) = line.pop() else { return false };
        let conn = line.conn;
        match due {
            Due::Bytes(bytes) => self.receive(conn, bytes, scenario, report),
            Due::Echo(bytes) => self.receive(conn, &bytes, scenario, report),
        }
        true
    }

    fn receive(&mut self, conn: ConnId, bytes: &[u8], scenario: &mut impl Scenario, report: &mut Report) {
        let bytes = black_box(bytes);
        let (mut from, mut end) = (0, 0);
        while end < bytes.len() {
            end = if self.piece == 0 { bytes.len() } else { bytes.len().min(end + self.piece) };
            loop {
                let rx = bytes.get(from..end).unwrap_or_default();
                let progress =
                    with_env(|env| step(Step::Input, || self.cluster.handle_input(self.now, conn, env, rx, true)));
                let Some(Ok(progress)) = progress else {
                    report.fold(1);
                    if let Some(place) = self.lines.get_mut(conn.index()) {
                        *place = None;
                    }
                    return;
                };
                from += progress.consumed;
                if let Some(output) = progress.output {
                    scenario.output(self.now, &self.cluster, &output, report);
                } else if progress.consumed == 0 {
                    break;
                }
            }
        }
        check!(report, from == bytes.len());
    }
}

impl Default for Adapter {
    fn default() -> Self {
        Self::new()
    }
}

/// What the server on `port` answers to a frame of the engine's own.
fn control(frame: ControlFrame, port: u16, sent: &[u8]) -> Due {
    let at_a = port == world::A_PORT;
    Due::Bytes(match frame {
        ControlFrame::Hello { .. } => b"%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n",
        ControlFrame::ClusterMyId if at_a => b"$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
        ControlFrame::ClusterMyId => b"$40\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n",
        ControlFrame::ClusterSlots => world::SLOTS,
        ControlFrame::ClusterNodes => world::scan_reply(at_a, true),
        ControlFrame::Ping { .. } => {
            // `*2\r\n$4\r\nPING\r\n` and then the nonce.
            return sent
                .get(14..)
                .and_then(|nonce| nonce.first_chunk())
                .map_or(Due::Bytes(b"+PONG\r\n"), |n| Due::Echo(*n));
        }
        _ => b"+OK\r\n",
    })
}
