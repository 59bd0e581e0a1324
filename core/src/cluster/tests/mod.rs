//! The engine against a scripted peer: what it sends is read back, what it receives is written by hand.

mod answers;
mod basics;
mod corners;
mod dials;
mod endpoints;
mod failures;
mod groups;
mod lives;
mod options;
mod redirects;
mod refusals;
mod sizes;
mod stale;
mod steps;
mod subscribers;
#[cfg(feature = "observe")]
mod watching;

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::addr::NodeAddr;
use crate::command::{Access, Target};
use crate::connection::{ControlFrame, Settings};
use crate::pipeline::{Failure, Outcome};
use crate::resp::encode;
use crate::slot::Slot;
use crate::time::Duration;

pub(super) type TestStorage = StaticStorage<8, 64, 512, 8, 64, 64>;

/// With the feature, every engine of these tests is watched, and its counters are held against its tables.
#[cfg(feature = "observe")]
pub(super) type TestTables = Watched<TestStorage, watching::Seen>;
#[cfg(not(feature = "observe"))]
pub(super) type TestTables = TestStorage;

fn tables() -> TestTables {
    #[cfg(feature = "observe")]
    return Watched::new(TestStorage::new(), watching::Seen::default());
    #[cfg(not(feature = "observe"))]
    TestStorage::new()
}

/// What came out of the engine.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Out {
    Reply(u64, String),
    Failed(u64, Failure),
    Confirmed(u64),
    Push(String),
}

/// One engine and the text of its conversations.
pub(super) struct World {
    pub(super) cluster: Cluster<TestTables>,
    pub(super) now: Instant,
    pub(super) commands: BTreeMap<u64, (String, CommandSpec)>,
    /// By connection: what the engine wrote and nobody has read yet, as words.
    pub(super) sent: BTreeMap<usize, Vec<String>>,
    rx: BTreeMap<usize, Vec<u8>>,
    /// By connection: the numbers of PINGs that were not answered yet.
    nonces: BTreeMap<usize, Vec<u32>>,
    pub(super) ids: BTreeMap<u64, CommandId>,
    pub(super) conns: BTreeMap<usize, (ConnId, String)>,
    pub(super) out: Vec<Out>,
    pub(super) closed: Vec<CloseReason>,
    pub(super) dials: Vec<String>,
    pub(super) tls_names: Vec<String>,
    /// When the PINGs were sent that connections with subscriptions have answered.
    pub(super) alive: Vec<Instant>,
    pub(super) can_grow: bool,
    /// Nothing can be written.
    pub(super) shut: bool,
    /// Hosts that are refused, and the port that stands for another.
    pub(super) endpoints: Option<Elsewhere>,
    tags: u64,
}

pub(super) const SLOTS: &str = "*2\r\n\
    *3\r\n:0\r\n:8191\r\n*4\r\n$9\r\n127.0.0.1\r\n:7001\r\n$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n*0\r\n\
    *3\r\n:8192\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:7002\r\n$40\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n*0\r\n";

const HELLO: &str = "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n";

/// An address map and filter of tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elsewhere {
    pub(super) refused: u16,
    pub(super) from: u16,
    pub(super) to: u16,
}

impl Endpoints for Elsewhere {
    fn endpoint<'a>(&'a self, announced: NodeAddr<'a>) -> Option<Endpoint<'a>> {
        if announced.port() == self.refused {
            return None;
        }
        let port = if announced.port() == self.from { self.to } else { announced.port() };
        Some(Endpoint { addr: NodeAddr::new("192.0.2.1", port).ok()?, tls_name: "name.example" })
    }
}

impl World {
    pub(super) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(1);
        // Rounds start without delay, so that scripts read in order.
        config.refresh.jitter = Duration::ZERO;
        change(&mut config);
        Self {
            cluster: Cluster::new(config, tables()),
            now: Instant::from_micros(1_000_000),
            commands: BTreeMap::new(),
            sent: BTreeMap::new(),
            rx: BTreeMap::new(),
            nonces: BTreeMap::new(),
            ids: BTreeMap::new(),
            conns: BTreeMap::new(),
            out: Vec::new(),
            closed: Vec::new(),
            dials: Vec::new(),
            tls_names: Vec::new(),
            alive: Vec::new(),
            can_grow: true,
            shut: false,
            endpoints: None,
            tags: 0,
        }
    }

    /// A world whose engine knows the two-node map and has a connection to both nodes.
    pub(super) fn ready() -> Self {
        Self::ready_with(|_| {})
    }

    pub(super) fn ready_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::new(change);
        world.cluster.connect(world.now);
        world.pump();
        world.join("127.0.0.1:7001");
        world.expect("127.0.0.1:7001", &["CLUSTER MYID", "CLUSTER SLOTS"]);
        world.feed("127.0.0.1:7001", "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
        world.feed("127.0.0.1:7001", SLOTS);
        let other = world.get(9_000);
        world.join("127.0.0.1:7002");
        world.expect("127.0.0.1:7002", &[&format!("cmd{other}")]);
        world.feed("127.0.0.1:7002", "+x\r\n");
        world.out.clear();
        world
    }

    /// A ready world that asks for no topology: redirects alone change its map.
    pub(super) fn quiet() -> Self {
        Self::quiet_with(|_| {})
    }

    pub(super) fn quiet_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::ready_with(|config| {
            config.refresh.burst = 1;
            config.refresh.interval = Duration::from_secs(3_600);
            change(config);
        })
    }

    pub(super) fn env<T>(endpoints: Option<Elsewhere>, f: impl FnOnce(&Env<'_>) -> T) -> T {
        let seeds = [NodeAddr::new("127.0.0.1", 7001).unwrap(), NodeAddr::new("127.0.0.1", 7009).unwrap()];
        let env = Env::new(&Settings::DEFAULT, &seeds);
        match &endpoints {
            Some(endpoints) => f(&env.with_endpoints(endpoints)),
            None => f(&env),
        }
    }

    pub(super) fn spec(slot: u16, access: Access) -> CommandSpec {
        CommandSpec::new(Target::Slot(Slot::masked(slot)), access, 0)
    }

    pub(super) fn get(&mut self, slot: u16) -> u64 {
        self.submit(Self::spec(slot, Access::Read))
    }

    pub(super) fn set(&mut self, slot: u16) -> u64 {
        self.submit(Self::spec(slot, Access::Write))
    }

    /// Submits a command whose only argument is its own name.
    pub(super) fn submit(&mut self, spec: CommandSpec) -> u64 {
        self.tags += 1;
        let tag = self.tags;
        let name = format!("cmd{tag}");
        let len = encode::encoded_len(&[&name]).unwrap() * u64::from(spec.replies);
        let spec = CommandSpec { tag, len: u32::try_from(len).unwrap(), ..spec };
        self.commands.insert(tag, (name, spec));
        let id = self.cluster.submit(self.now, spec).unwrap();
        self.ids.insert(tag, id);
        self.pump();
        tag
    }

    /// Dials and handshake of the connection to `addr` succeed.
    pub(super) fn join(&mut self, addr: &str) {
        let at = self.at(addr);
        let conn = self.conns[&at].0;
        self.cluster.handle_connected(self.now, conn);
        self.pump();
        self.feed(addr, HELLO);
        // CLIENT SETINFO and the like are not asked for by the default settings.
        self.sent.get_mut(&at).unwrap().retain(|line| !line.starts_with("HELLO"));
    }

    pub(super) fn at(&self, addr: &str) -> usize {
        let found = self.conns.iter().rev().find(|(_, (_, known))| known == addr);
        *found.unwrap_or_else(|| panic!("no connection to {addr}: {:?}", self.conns)).0
    }

    pub(super) fn is_connected(&self, addr: &str) -> bool {
        self.conns.values().any(|(_, known)| known == addr)
    }

    /// The lines written to `addr` since the last look are exactly these.
    #[track_caller]
    pub(super) fn expect(&mut self, addr: &str, lines: &[&str]) {
        let at = self.at(addr);
        let sent = core::mem::take(self.sent.entry(at).or_default());
        assert_eq!(sent, lines, "written to {addr}");
    }

    /// Bytes arrive from `addr`; `{nonce}` is the number of the next PING to be answered.
    pub(super) fn feed(&mut self, addr: &str, bytes: &str) {
        let at = self.at(addr);
        let mut bytes = bytes.to_string();
        while bytes.contains("{nonce}") {
            let nonce = self.nonces.get_mut(&at).unwrap().remove(0);
            bytes = bytes.replacen("{nonce}", &format!("{nonce:08x}"), 1);
        }
        self.rx.entry(at).or_default().extend_from_slice(bytes.as_bytes());
        self.read(at);
        self.pump();
    }

    /// Bytes arrive in a buffer that is full until some of them are taken out; the others come then.
    pub(super) fn feed_cut(&mut self, addr: &str, first: &str, second: &str) {
        self.can_grow = false;
        self.feed(addr, first);
        self.can_grow = true;
        self.feed(addr, second);
    }

    /// Bytes of a connection that were not taken yet.
    pub(super) fn unread(&self, addr: &str) -> usize {
        self.rx[&self.at(addr)].len()
    }

    pub(super) fn read(&mut self, at: usize) {
        let mut taken = false;
        loop {
            let Some((conn, _)) = self.conns.get(&at).cloned() else { return };
            let bytes = self.rx.entry(at).or_default();
            let (now, can_grow) = (self.now, self.can_grow || taken);
            let cluster = &mut self.cluster;
            let progress =
                Self::env(self.endpoints, |env| match cluster.handle_input(now, conn, env, bytes, can_grow) {
                    Ok(progress) => {
                        let out = progress.output.map(|output| match output {
                            Output::Reply { tag, frame, .. } => Out::Reply(tag, text(frame.raw())),
                            Output::Push { frame, .. } => Out::Push(text(frame.raw())),
                            Output::Token { tag, token, last, .. } => Out::Reply(tag, format!("{token:?} {last}")),
                        });
                        Some((progress.consumed, out))
                    }
                    Err(error) => {
                        std::eprintln!("connection {at}: {error}");
                        None
                    }
                });
            let Some((consumed, out)) = progress else {
                self.conns.remove(&at);
                self.rx.remove(&at);
                return;
            };
            self.rx.entry(at).or_default().drain(..consumed);
            taken |= consumed > 0;
            let done = consumed == 0 && out.is_none();
            self.out.extend(out);
            if done {
                return;
            }
        }
    }

    /// Polls events and transmits until nothing is left, as an adapter does.
    pub(super) fn pump(&mut self) {
        while let Some(event) = self.cluster.poll_event() {
            match event {
                Event::Dial(conn) => {
                    let target = Self::env(self.endpoints, |env| {
                        self.cluster
                            .dial_target(conn, env)
                            .map(|target| (target.addr.to_string(), target.tls_name.to_string()))
                    });
                    let (target, tls_name) = target.unwrap_or_default();
                    self.dials.push(target.clone());
                    self.tls_names.push(tls_name);
                    self.conns.insert(conn.index(), (conn, target));
                    self.sent.insert(conn.index(), Vec::new());
                    self.rx.insert(conn.index(), Vec::new());
                    self.nonces.insert(conn.index(), Vec::new());
                }
                Event::Closed { conn, reason, .. } => {
                    self.closed.push(reason);
                    if self.conns.get(&conn.index()).is_some_and(|(known, _)| *known == conn) {
                        self.conns.remove(&conn.index());
                    }
                }
                Event::Failed { tag, failure, .. } => self.out.push(Out::Failed(tag, failure)),
                Event::Confirmed { tag, .. } => self.out.push(Out::Confirmed(tag)),
                Event::Alive { asked, .. } => self.alive.push(asked),
                Event::InputReady(conn) => self.read(conn.index()),
                _ => {}
            }
        }
        let open = self.conns.iter().filter(|_| !self.shut);
        let conns: Vec<(usize, ConnId)> = open.map(|(at, (conn, _))| (*at, *conn)).collect();
        for (at, conn) in conns {
            while let Some(transmit) = Self::env(self.endpoints, |env| self.cluster.poll_transmit(self.now, conn, env))
            {
                if let Transmit::Control(ControlFrame::Ping { nonce }) = transmit {
                    self.nonces.entry(at).or_default().push(nonce);
                }
                let (line, len) = match transmit {
                    Transmit::Control(frame) => (control_name(frame), frame.encoded_len(&Settings::DEFAULT)),
                    Transmit::Command { tag, asking, .. } => {
                        let (name, spec) = &self.commands[&tag];
                        let asked = if asking { ControlFrame::Asking.encoded_len(&Settings::DEFAULT) } else { 0 };
                        let line = if asking { format!("ASKING+{name}") } else { name.clone() };
                        (line, asked + spec.len as usize)
                    }
                };
                self.sent.entry(at).or_default().push(line);
                self.cluster.handle_written(self.now, conn, len);
            }
        }
        #[cfg(feature = "observe")]
        watching::add_up(&mut self.cluster);
    }

    pub(super) fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.cluster.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.cluster.handle_timeout(self.now);
            self.pump();
        }
        self.now = end;
        self.cluster.handle_timeout(self.now);
        self.pump();
    }

    pub(super) fn lose(&mut self, addr: &str) {
        let at = self.at(addr);
        let (conn, _) = self.conns.remove(&at).unwrap();
        self.cluster.handle_disconnected(self.now, conn);
        self.pump();
    }

    pub(super) fn take_out(&mut self) -> Vec<Out> {
        core::mem::take(&mut self.out)
    }
}

pub(super) fn reply(tag: u64, raw: &str) -> Out {
    Out::Reply(tag, raw.to_string())
}

fn text(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).trim_end().to_string()
}

fn control_name(frame: ControlFrame) -> String {
    let args = frame.args(&Settings::DEFAULT);
    let words: Vec<String> = (0..crate::resp::Args::count(&args))
        .map(|i| String::from_utf8_lossy(crate::resp::Args::arg(&args, i).unwrap()).into_owned())
        .collect();
    match frame {
        ControlFrame::Ping { .. } => "PING".to_string(),
        _ => words.join(" "),
    }
}
