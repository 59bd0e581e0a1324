//! One run: the engine, its adapter, the network and the faults, in virtual time.

use std::collections::BTreeMap;

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Cluster, Config, Env, Event, Output, ReadFrom, StaticStorage, SubmitError, Transmit};
use slotwise::command::{Access, CommandSpec, RetryPermission, Target};
use slotwise::connection::{ControlFrame, Protocol, Settings};
use slotwise::ids::{CommandId, ConnId};
use slotwise::pipeline::Outcome;
use slotwise::resp::{Frame, Text, Token, encode};
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};

use crate::dice::Dice;
use crate::model::{BUCKETS, Model, slot};
use crate::net::Link;

type Storage = StaticStorage<8, 64, 512, 14, 64, 112>;

/// One submitted command, and what is known of it.
pub(crate) struct Request {
    pub(crate) spec: CommandSpec,
    pub(crate) id: CommandId,
    pub(crate) kind: &'static str,
    wire: Vec<u8>,
    pub(crate) sends: u32,
    pub(crate) end: Option<End>,
    handed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Done { resent: bool },
    Error { text: String },
    Failed(Outcome),
    Confirmed,
}

pub(crate) struct Run {
    pub(crate) cluster: Cluster<Storage>,
    pub(crate) model: Model,
    pub(crate) requests: BTreeMap<u64, Request>,
    pub(crate) now: u64,
    pub(crate) trace: Vec<String>,
    pub(crate) hash: u64,
    pub(crate) dials: u64,
    pub(crate) links: Vec<Link>,
    pub(crate) dice: Dice,
    config: Config,
    pub(crate) protocol: Protocol,
    stream_text: BTreeMap<u64, Vec<u8>>,
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let model = Model::new(&mut dice);
        let mut config = Config::new(seed);
        config.window = [1, 2, 16, 65_536][dice.below(4)];
        config.max_leases = 1 + dice.below(3) as u16;
        config.read_from = [ReadFrom::Primary, ReadFrom::PreferReplica, ReadFrom::Any][dice.below(3)];
        config.follow_redirects = !dice.one_in(10);
        config.strict_order = seed.is_multiple_of(3);
        config.command_timeout = Duration::from_secs(8);
        let protocol = if dice.one_in(4) { Protocol::Resp2 } else { Settings::DEFAULT.protocol };
        Self {
            cluster: Cluster::new(config, Storage::new()),
            model,
            requests: BTreeMap::new(),
            now: 1_000_000,
            trace: Vec::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            dials: 0,
            links: Vec::new(),
            dice,
            config,
            protocol,
            stream_text: BTreeMap::new(),
        }
    }

    pub(crate) fn at(&self) -> Instant {
        Instant::from_micros(self.now)
    }

    pub(crate) fn note(&mut self, text: String) {
        for byte in text.bytes().chain(self.now.to_le_bytes()) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.trace.len() >= 8_000 {
            self.trace.drain(..4_000);
        }
        self.trace.push(format!("{:>9} us  {text}", self.now));
    }

    pub(crate) fn with_env<T>(protocol: Protocol, f: impl FnOnce(&Env<'_>) -> T) -> T {
        let settings = Settings { protocol, ..Settings::DEFAULT };
        let one = NodeAddr::new("127.0.0.1", 7_100).unwrap();
        let two = NodeAddr::new("127.0.0.1", 7_101).unwrap();
        f(&Env::new(&settings, &[one, one, two]))
    }

    // ---- the whole run ----

    /// Faults and load, healing, proof of life, shutdown.
    pub(crate) fn play(&mut self) {
        for _ in 0..600 {
            self.fault();
            for _ in 0..self.dice.below(3) {
                self.submit_any();
            }
            if self.dice.one_in(12) {
                self.cancel_any();
            }
            self.step();
        }
        self.model.heal();
        for link in &mut self.links {
            link.silent = false;
        }
        self.until("every command has ended", 40_000_000, |run| run.requests.values().all(|r| r.end.is_some()));
        self.live();
        self.cluster.shutdown(self.at());
        self.note("shutdown".into());
        assert_eq!(
            self.cluster.submit(self.at(), CommandSpec::new(Target::AnyNode, Access::Read, 9)),
            Err(SubmitError::ShuttingDown)
        );
        self.until("the engine is drained", 40_000_000, |run| run.cluster.is_drained());
        assert_eq!(self.cluster.commands_live(), 0, "entries leak");
        // What is still on the way reaches the servers.
        for _ in 0..400 {
            self.step();
        }
    }

    /// After healing every slot serves, within a bounded time.
    fn live(&mut self) {
        let first = self.now;
        for bucket in 0..BUCKETS {
            let mut done = false;
            while !done {
                assert!(self.now - first < 15_000_000, "bucket {bucket} does not serve after healing");
                let Some(tag) = self.submit(Target::Slot(Slot::masked(slot(bucket, 1))), "write", |_| {}) else {
                    self.step();
                    continue;
                };
                self.until("the new command has ended", 15_000_000, |run| run.requests[&tag].end.is_some());
                done = matches!(self.requests[&tag].end, Some(End::Done { .. }));
            }
        }
    }

    fn until(&mut self, what: &str, limit: u64, mut done: impl FnMut(&mut Self) -> bool) {
        let start = self.now;
        while !done(self) {
            assert!(self.now - start < limit, "not within {limit} us: {what}");
            self.step();
        }
    }

    // ---- the application ----

    fn submit_any(&mut self) {
        let bucket = self.dice.below(BUCKETS);
        let target = Target::Slot(Slot::masked(slot(bucket, self.dice.below(2))));
        let kind = ["write", "write", "write", "read", "read", "always", "group", "block", "sub", "forge", "any"]
            [self.dice.below(11)];
        let target = if kind == "any" { Target::AnyNode } else { target };
        let short = self.dice.one_in(6).then(|| Duration::from_millis(1 + self.dice.below(300) as u64));
        let streamed = self.dice.one_in(5);
        let domain = self.dice.below(2) as u16;
        self.submit(target, kind, |spec| {
            spec.timeout = short;
            spec.streamed = streamed && kind != "sub";
            spec.domain = domain;
        });
    }

    fn submit(&mut self, target: Target, kind: &'static str, change: impl FnOnce(&mut CommandSpec)) -> Option<u64> {
        let tag = self.requests.len() as u64 + 1;
        let at = target.slot().map_or(-1, |slot| i32::from(slot.get()));
        let mut wire = Vec::new();
        let mut add = |words: &[String]| {
            let start = wire.len();
            let len = usize::try_from(encode::encoded_len(words).unwrap()).unwrap();
            wire.resize(start + len, 0);
            encode::encode(words, &mut wire[start..]).unwrap();
        };
        let command = ["X".to_string(), tag.to_string(), at.to_string(), kind.to_string()];
        if kind == "group" {
            add(&["MULTI".to_string()]);
            add(&command);
            add(&command);
            add(&["EXEC".to_string()]);
        } else {
            add(&command);
        }
        let access = if matches!(kind, "read" | "any") { Access::Read } else { Access::Write };
        let mut spec = CommandSpec::new(target, access, u32::try_from(wire.len()).unwrap()).with_tag(tag);
        spec.replies = if kind == "group" { 4 } else { 1 };
        spec.blocking = kind == "block";
        spec.subscribe = kind == "sub";
        spec.script_like = kind == "forge";
        if kind == "always" {
            spec.retry = RetryPermission::Always;
        }
        change(&mut spec);
        match self.cluster.submit(self.at(), spec) {
            Ok(id) => {
                self.note(format!("submit {tag} {kind} {target:?}"));
                let request = Request { spec, id, kind, wire, sends: 0, end: None, handed: false };
                self.requests.insert(tag, request);
                Some(tag)
            }
            Err(error) => {
                assert_eq!(error, SubmitError::Full);
                self.model.count("table full");
                None
            }
        }
    }

    fn cancel_any(&mut self) {
        let open: Vec<u64> = self.requests.iter().filter(|(_, r)| r.end.is_none()).map(|(tag, _)| *tag).collect();
        if open.is_empty() {
            return;
        }
        let tag = open[self.dice.below(open.len())];
        let stage = self.cluster.cancel(self.at(), self.requests[&tag].id);
        self.model.count("cancel");
        self.note(format!("cancel {tag}: {stage:?}"));
    }

    // ---- the adapter and the network ----

    fn step(&mut self) {
        self.now += match self.dice.below(40) {
            0 => 400_000,
            1..4 => 40_000,
            _ => self.dice.below(4_000) as u64,
        };
        self.timers();
        self.drain();
        for at in 0..self.links.len() {
            if !self.links[at].silent {
                self.carry(at);
            }
        }
        self.links.retain(|link| !link.dropped || !link.up.is_empty());
        self.drain();
    }

    fn timers(&mut self) {
        let mut rounds = 0;
        while self.cluster.poll_timeout().is_some_and(|at| at <= self.at()) {
            self.cluster.handle_timeout(self.at());
            self.drain();
            rounds += 1;
            assert!(rounds < 30, "the timer spins at {:?}", self.cluster.poll_timeout());
        }
    }

    /// Moves some bytes of a link, in pieces of any size.
    fn carry(&mut self, at: usize) {
        if !self.links[at].open {
            if !self.links[at].dropped && self.dice.one_in(2) {
                let node = self.links[at].node;
                if self.model.nodes[node].listens {
                    self.links[at].open = true;
                    self.cluster.handle_connected(self.at(), self.links[at].conn);
                } else {
                    self.model.count("refused dial");
                    self.hang_up(at);
                }
            }
            return;
        }
        if !self.links[at].dropped {
            self.write(at);
        }
        let piece = self.piece(self.links[at].up.len());
        let bytes: Vec<u8> = self.links[at].up.drain(..piece).collect();
        let link = &mut self.links[at];
        link.session.input.extend_from_slice(&bytes);
        let mut answers = Vec::new();
        self.model.serve(self.now, &mut link.session, &mut self.dice, &mut answers);
        self.links[at].down.extend_from_slice(&answers);
        if self.links[at].dropped {
            return;
        }
        let piece = self.piece(self.links[at].down.len());
        let bytes: Vec<u8> = self.links[at].down.drain(..piece).collect();
        if !bytes.is_empty() {
            self.links[at].rx.extend_from_slice(&bytes);
            self.read(at);
        }
        if self.links[at].finished && self.links[at].down.is_empty() && !self.links[at].dropped {
            self.hang_up(at);
        }
    }

    fn piece(&mut self, len: usize) -> usize {
        match self.dice.below(5) {
            0 => 0,
            1 => len.min(1 + self.dice.below(3)),
            2 => self.dice.below(len + 1),
            _ => len,
        }
    }

    fn write(&mut self, at: usize) {
        if self.links[at].tx.len() < 200 {
            for _ in 0..64 {
                let (conn, now, cluster) = (self.links[at].conn, self.at(), &mut self.cluster);
                let Some(transmit) = Self::with_env(self.protocol, |env| cluster.poll_transmit(now, conn, env)) else {
                    break;
                };
                self.put(at, transmit);
            }
        }
        let piece = self.piece(self.links[at].tx.len());
        let bytes: Vec<u8> = self.links[at].tx.drain(..piece).collect();
        self.links[at].up.extend_from_slice(&bytes);
        self.cluster.handle_written(self.at(), self.links[at].conn, bytes.len());
    }

    pub(crate) fn put(&mut self, at: usize, transmit: Transmit) {
        self.note(format!("send on {:?}: {transmit:?}", self.links[at].conn));
        match transmit {
            Transmit::Control(frame) => self.put_control(at, frame),
            Transmit::Command { tag, asking, .. } => {
                if asking {
                    self.put_control(at, ControlFrame::Asking);
                }
                let request = self.requests.get_mut(&tag).unwrap();
                assert_eq!(request.end, None, "command {tag} is sent after its end");
                assert!(!request.handed, "command {tag} is sent again after a part of its answer was handed out");
                request.sends += 1;
                self.links[at].tx.extend_from_slice(&request.wire);
            }
        }
    }

    fn put_control(&mut self, at: usize, frame: ControlFrame) {
        let settings = Settings { protocol: self.protocol, ..Settings::DEFAULT };
        let mut bytes = vec![0; frame.encoded_len(&settings)];
        frame.encode(&settings, &mut bytes).unwrap();
        self.links[at].tx.extend_from_slice(&bytes);
    }

    fn read(&mut self, at: usize) {
        for round in 0.. {
            assert!(round < 10_000, "input is read for ever");
            let (conn, now) = (self.links[at].conn, self.at());
            let rx = std::mem::take(&mut self.links[at].rx);
            let can_grow = rx.len() < 200;
            let cluster = &mut self.cluster;
            let seen = Self::with_env(self.protocol, |env| {
                let progress = cluster.handle_input(now, conn, env, &rx, can_grow)?;
                Ok::<_, slotwise::cluster::ConnectionError>((progress.consumed, progress.output.map(Seen::of)))
            });
            match seen {
                Ok((consumed, output)) => {
                    assert!(consumed <= rx.len());
                    self.links[at].rx = rx[consumed..].to_vec();
                    let done = consumed == 0 && output.is_none();
                    if let Some(seen) = output {
                        self.seen(seen);
                    }
                    if done {
                        return;
                    }
                }
                Err(error) => {
                    self.note(format!("{conn:?} ends: {error}"));
                    panic!("honest bytes were refused: {error}: {:?}", String::from_utf8_lossy(&rx));
                }
            }
        }
    }

    fn drain(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "events never end");
            let Some(event) = self.cluster.poll_event() else { return };
            self.note(format!("{event:?}"));
            match event {
                Event::Dial(conn) => self.dial(conn),
                Event::Closed { conn, .. } => {
                    for link in self.links.iter_mut().filter(|link| link.conn == conn) {
                        link.dropped = true;
                    }
                }
                Event::InputReady(conn) => {
                    if let Some(at) = self.links.iter().position(|link| link.conn == conn && !link.dropped) {
                        self.read(at);
                    }
                }
                Event::Failed { tag, failure, .. } => self.end(tag, End::Failed(failure.outcome)),
                Event::Confirmed { tag, .. } => self.end(tag, End::Confirmed),
                _ => {}
            }
        }
    }

    fn dial(&mut self, conn: ConnId) {
        self.dials += 1;
        let port = Self::with_env(self.protocol, |env| self.cluster.dial_target(conn, env).map(|t| t.addr.port()));
        let node = port.and_then(|port| self.model.nodes.iter().position(|node| node.port == port));
        match node {
            Some(node) => self.links.push(Link::new(conn, node)),
            None => panic!("a dial to nowhere: {port:?}"),
        }
    }

    // ---- what the caller sees ----

    fn seen(&mut self, seen: Seen) {
        match seen {
            Seen::Push => {}
            Seen::Reply { tag, raw, error, last, resent } => {
                self.note(format!("reply to {tag}: {:?}", raw.chars().take(30).collect::<String>()));
                let belongs = error.is_some() || names(&raw, tag);
                assert!(belongs, "command {tag} was handed a reply that is not its own: {raw:?}");
                self.requests.get_mut(&tag).unwrap().handed = true;
                if last {
                    self.end(tag, error.map_or(End::Done { resent }, |text| End::Error { text }));
                }
            }
            Seen::Token { tag, text, last } => {
                self.requests.get_mut(&tag).unwrap().handed = true;
                let whole = self.stream_text.entry(tag).or_default();
                whole.extend_from_slice(&text);
                if last {
                    let whole = String::from_utf8_lossy(&self.stream_text.remove(&tag).unwrap()).into_owned();
                    let error = whole.strip_prefix('-').map(str::to_string);
                    let plain = whole.replace("OK", "").replace("QUEUED", "").replace("ttl", "");
                    let own = error.is_some() || plain.trim_start().starts_with(&format!("{tag} "));
                    assert!(own, "command {tag} was streamed a reply that is not its own: {whole:?}");
                    self.end(tag, error.map_or(End::Done { resent: true }, |text| End::Error { text }));
                }
            }
        }
    }

    fn end(&mut self, tag: u64, end: End) {
        self.note(format!("end of {tag}: {end:?}"));
        let request = self.requests.get_mut(&tag).unwrap();
        assert_eq!(request.end, None, "command {tag} ends twice, now as {end:?}");
        request.end = Some(end);
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

/// Whether every bulk of the reply names the command.
fn names(raw: &str, tag: u64) -> bool {
    raw.contains(&format!("\n{tag} ")) || raw.starts_with("+QUEUED") || raw.starts_with("+OK")
}

/// An output without its borrow.
enum Seen {
    Push,
    Reply { tag: u64, raw: String, error: Option<String>, last: bool, resent: bool },
    Token { tag: u64, text: Vec<u8>, last: bool },
}

impl Seen {
    fn of(output: Output<'_>) -> Self {
        match output {
            Output::Push { .. } => Self::Push,
            Output::Reply { tag, frame, last, resent, .. } => {
                Self::Reply { tag, raw: text(frame.raw()), error: error(&frame), last, resent }
            }
            Output::Token { tag, token, last, .. } => Self::Token { tag, text: words(&token), last },
        }
    }
}

fn text(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).into_owned()
}

fn error(frame: &Frame<'_>) -> Option<String> {
    frame.error().map(text)
}

fn words(token: &Token<'_>) -> Vec<u8> {
    match token {
        Token::Bulk(bytes) | Token::Simple(bytes) => bytes.to_vec(),
        Token::Error(line) => [b"-", *line].concat(),
        Token::Begin { kind: Text::Error, .. } => b"-".to_vec(),
        Token::Chunk { bytes, .. } => bytes.to_vec(),
        _ => Vec::new(),
    }
}
