//! An engine between an application, an adapter and peers that are all played from the bytes of an input.
//!
//! Each operation is one byte and its operands. A peer is honest until the input makes it say bytes of its own: what an
//! honest peer answers carries the tag of the command it answers, so that every reply can be told from every other.
//!
//! The input and the course of a run are here; [`application`] submits, [`adapter`] moves bytes and events, [`saying`]
//! makes peers answer what [`peer`] has for them.

mod adapter;
mod application;
mod peer;
mod saying;
mod seen;

use slotwise::cluster::{Cluster, Config, Env, StaticStorage, Transmit};
use slotwise::command::CommandSpec;
use slotwise::connection::{Protocol, Settings};
use slotwise::ids::{CommandId, ConnId};
use slotwise::time::{Duration, Instant};

use peer::address;

type Storage = StaticStorage<4, 16, 128, 6, 16, 96>;

/// More rounds than this without an end are a spin.
const ROUNDS: usize = 2_000;

/// Frames on their way to a peer.
struct Sent {
    what: Transmit,
    /// Where it starts and ends in all that was written on the link.
    start: u64,
    end: u64,
}

struct Link {
    conn: ConnId,
    node: usize,
    open: bool,
    gone: bool,
    /// Said bytes of its own.
    liar: bool,
    /// Bytes handed out by the engine, and taken by the transport.
    handed: u64,
    written: u64,
    sent: std::collections::VecDeque<Sent>,
    /// Said by the peer, not yet arrived; arrived, not yet consumed.
    down: Vec<u8>,
    rx: Vec<u8>,
}

struct Request {
    id: CommandId,
    spec: CommandSpec,
    ended: bool,
    /// A byte of it was taken by a transport.
    touched: bool,
    /// Where it was sent last.
    link: Option<usize>,
    sends: u32,
    /// A part of its answer was handed out.
    handed: bool,
    text: Vec<u8>,
    /// There is an error in it.
    refused: bool,
}

/// An engine and all that is around it.
pub struct Run<'a> {
    input: &'a [u8],
    cluster: Cluster<Storage>,
    config: Config,
    settings: Settings<'static>,
    now: u64,
    links: Vec<Link>,
    requests: Vec<Request>,
}

impl<'a> Run<'a> {
    /// Plays the whole input, then ends everything.
    pub fn play(input: &'a [u8]) {
        let Some((&flags, rest)) = input.split_first() else { return };
        let mut config = Config::new(u64::from(flags));
        config.window = [1, 2, 16, 65_536][usize::from(flags & 3)];
        config.follow_redirects = flags & 4 == 0;
        config.max_leases = 2;
        config.command_timeout = Duration::from_secs(8);
        let protocol = if flags & 8 == 0 { Settings::DEFAULT.protocol } else { Protocol::Resp2 };
        let mut run = Run {
            input: rest,
            cluster: Cluster::new(config, Storage::new()),
            config,
            settings: Settings { protocol, ..Settings::DEFAULT },
            now: 1_000_000,
            links: Vec::new(),
            requests: Vec::new(),
        };
        let memory = run.cluster.memory_used();
        while let Some(op) = run.byte() {
            run.operate(op);
            run.settle();
        }
        run.end();
        assert_eq!(run.cluster.memory_used(), memory, "tables of fixed size grow");
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.input.split_first()?;
        self.input = rest;
        Some(*first)
    }

    fn number(&mut self) -> usize {
        usize::from(self.byte().unwrap_or(0))
    }

    fn link(&mut self) -> Option<usize> {
        let pick = self.number();
        pick.checked_rem(self.links.len()).map(|nth| self.links.len() - 1 - nth)
    }

    fn at(&self) -> Instant {
        Instant::from_micros(self.now)
    }

    fn with<T>(&mut self, f: impl FnOnce(&mut Cluster<Storage>, Instant, &Env<'_>) -> T) -> T {
        let seeds = [address(0), address(1)];
        let now = self.at();
        f(&mut self.cluster, now, &Env::new(&self.settings, &seeds))
    }

    fn operate(&mut self, op: u8) {
        match op % 16 {
            0 => self.now += 1_000 * self.number() as u64,
            1 => self.now += 100_000 * self.number() as u64,
            2 | 3 => self.submit(),
            4 => {
                let pick = self.number();
                if let Some(at) = pick.checked_rem(self.requests.len()) {
                    let (id, ended) = (self.requests[at].id, self.requests[at].ended);
                    let stage = self.with(|cluster, now, _| cluster.cancel(now, id));
                    assert!(!ended || stage == slotwise::cluster::CancelStage::Unknown, "an ended command is alive");
                }
            }
            5 => self.dialled(true),
            6 => self.dialled(false),
            7 => {
                if let Some(at) = self.link() {
                    let conn = self.links[at].conn;
                    self.links[at].gone = true;
                    self.with(|cluster, now, _| cluster.handle_disconnected(now, conn));
                }
            }
            8 | 9 => {
                if let Some(at) = self.link() {
                    let most = 1 + self.number() % 32;
                    self.transmit(at, most);
                    let bytes = if op & 16 == 0 { u64::MAX } else { self.number() as u64 };
                    self.write(at, bytes);
                }
            }
            10 | 11 => {
                if let Some(at) = self.link() {
                    self.answer(at);
                    if op & 16 == 0 {
                        self.arrive(at, usize::MAX, true);
                    }
                }
            }
            12 => {
                if let Some(at) = self.link() {
                    let (piece, can_grow) = (self.number(), op & 16 == 0);
                    self.arrive(at, piece, can_grow);
                }
            }
            13 => self.lie(),
            14 if op & 0x70 == 0 => self.with(|cluster, now, _| cluster.shutdown(now)),
            14 => self.with(|cluster, now, _| cluster.refresh(now)),
            _ => self.everything(),
        }
    }

    /// All that is due on every link: the course of things without faults.
    fn everything(&mut self) {
        for at in 0..self.links.len() {
            if !self.links[at].open && !self.links[at].gone {
                self.open(at, true);
            }
            self.transmit(at, 8);
            self.write(at, u64::MAX);
            while self.can_answer(at) {
                self.say(at, 0);
            }
            self.arrive(at, usize::MAX, true);
        }
    }

    /// Whatever the state, a shutdown and the loss of every connection end every command.
    fn end(&mut self) {
        self.with(|cluster, now, _| cluster.shutdown(now));
        self.settle();
        for at in 0..self.links.len() {
            let conn = self.links[at].conn;
            self.links[at].gone = true;
            self.with(|cluster, now, _| cluster.handle_disconnected(now, conn));
            self.settle();
        }
        for _ in 0..20 {
            self.now += 2_000_000;
            self.settle();
        }
        for (tag, request) in self.requests.iter().enumerate() {
            assert!(request.ended, "command {tag} has no end: {:?}", request.spec);
        }
        assert_eq!(self.cluster.commands_live(), 0, "entries leak");
        assert!(self.cluster.is_drained());
    }
}
