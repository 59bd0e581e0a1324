//! An engine between an application, an adapter and peers that are all played from the bytes of an input.
//!
//! Each operation is one byte and its operands. A peer is honest until the input makes it say bytes of its own: what an
//! honest peer answers carries the tag of the command it answers, so that every reply can be told from every other.

mod peer;
mod seen;

use slotwise::cluster::{Cluster, Config, Env, Event, StaticStorage, SubmitError, Transmit};
use slotwise::command::{Access, CommandSpec, RetryPermission, Target};
use slotwise::connection::{ControlFrame, Protocol, Settings};
use slotwise::ids::{CommandId, ConnId};
use slotwise::pipeline::Outcome;
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};

use peer::{address, command, control};
use seen::Seen;

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

    // ---- the application ----

    fn submit(&mut self) {
        let tag = self.requests.len() as u64;
        let (place, flags) = (self.number(), self.number());
        let target = match place % 8 {
            7 => Target::AnyNode,
            _ => Target::Slot(Slot::masked(place as u16 * 67)),
        };
        let access = if flags & 1 == 0 { Access::Read } else { Access::Write };
        let mut spec = CommandSpec::new(target, access, 1 + place as u32 % 40).with_tag(tag);
        match flags >> 1 & 7 {
            1 => spec.replies = 3,
            2 => spec.blocking = true,
            3 => spec.subscribe = true,
            4 => spec.script_like = true,
            5 => spec.streamed = true,
            6 => spec.retry = RetryPermission::Always,
            _ => {}
        }
        spec.domain = u16::from(flags & 16 != 0);
        if flags & 32 != 0 {
            spec.timeout = Some(Duration::from_millis(place as u64));
        }
        match self.with(|cluster, now, _| cluster.submit(now, spec)) {
            Ok(id) => self.requests.push(Request {
                id,
                spec,
                ended: false,
                touched: false,
                link: None,
                sends: 0,
                handed: false,
                text: Vec::new(),
                refused: false,
            }),
            Err(error) => assert!(matches!(error, SubmitError::Full | SubmitError::ShuttingDown), "{error:?}"),
        }
    }

    fn ended(&mut self, tag: u64) {
        let request = &mut self.requests[tag as usize];
        assert!(!request.ended, "command {tag} ends twice");
        request.ended = true;
        let id = request.id;
        let stage = self.with(|cluster, now, _| cluster.cancel(now, id));
        assert_eq!(stage, slotwise::cluster::CancelStage::Unknown, "command {tag} is alive after its end");
    }

    // ---- the adapter ----

    fn dialled(&mut self, good: bool) {
        let Some(at) = self.link() else { return };
        if !self.links[at].open {
            self.open(at, good);
        }
    }

    fn open(&mut self, at: usize, good: bool) {
        let conn = self.links[at].conn;
        let live = !self.links[at].gone;
        if good {
            self.links[at].open = live;
            self.with(|cluster, now, _| cluster.handle_connected(now, conn));
        } else {
            self.links[at].gone = true;
            self.with(|cluster, now, _| cluster.handle_connect_failed(now, conn));
        }
        self.settle();
    }

    /// Takes what the engine wants to send, at most so many frames.
    fn transmit(&mut self, at: usize, most: usize) {
        let (conn, live) = (self.links[at].conn, self.links[at].open && !self.links[at].gone);
        for _ in 0..most {
            let Some(what) = self.with(|cluster, now, env| cluster.poll_transmit(now, conn, env)) else { return };
            assert!(live, "{what:?} is sent on a connection that is not open");
            let len = match what {
                Transmit::Control(frame) => frame.encoded_len(&self.settings),
                Transmit::Command { tag, len, asking, id } => {
                    let request = &mut self.requests[tag as usize];
                    assert!(!request.ended, "command {tag} is sent after its end");
                    assert!(!request.handed, "command {tag} is sent again after a part of its answer was handed out");
                    assert_eq!((id, len), (request.id, request.spec.len));
                    request.link = Some(at);
                    request.sends += 1;
                    let most = u32::from(self.config.max_hops) + u32::from(self.config.max_attempts) + 2;
                    assert!(request.sends <= most, "command {tag} is sent for ever");
                    len as usize + if asking { ControlFrame::Asking.encoded_len(&self.settings) } else { 0 }
                }
            };
            let link = &mut self.links[at];
            let start = link.handed;
            link.handed += len as u64;
            link.sent.push_back(Sent { what, start, end: link.handed });
        }
    }

    /// The transport takes so many bytes more.
    fn write(&mut self, at: usize, bytes: u64) {
        let link = &mut self.links[at];
        let bytes = bytes.min(link.handed - link.written);
        if link.gone {
            // No transport takes them any more; that somebody says so late changes nothing.
            let conn = link.conn;
            return self.with(|cluster, now, _| cluster.handle_written(now, conn, bytes as usize));
        }
        link.written += bytes;
        for sent in &link.sent {
            if let Transmit::Command { tag, .. } = sent.what
                && sent.start < link.written
            {
                self.requests[tag as usize].touched = true;
            }
        }
        let conn = link.conn;
        self.with(|cluster, now, _| cluster.handle_written(now, conn, bytes as usize));
    }

    /// So many bytes more arrive, and are presented.
    fn arrive(&mut self, at: usize, piece: usize, can_grow: bool) {
        let link = &mut self.links[at];
        let piece = piece.min(link.down.len());
        link.rx.extend(link.down.drain(..piece));
        self.present(at, can_grow);
    }

    fn present(&mut self, at: usize, can_grow: bool) {
        if !self.links[at].open || self.links[at].gone {
            return;
        }
        let rx = std::mem::take(&mut self.links[at].rx);
        let mut from = 0;
        for round in 0.. {
            assert!(round < ROUNDS + rx.len(), "input is read for ever");
            let conn = self.links[at].conn;
            let mut seen = Vec::new();
            let step = self.with(|cluster, now, env| {
                let progress = cluster.handle_input(now, conn, env, &rx[from..], can_grow)?;
                let some = progress.output.is_some();
                seen.extend(progress.output.and_then(Seen::of));
                Ok::<_, slotwise::cluster::ConnectionError>((progress.consumed, some))
            });
            match step {
                Ok((consumed, some)) => {
                    assert!(consumed <= rx.len() - from);
                    from += consumed;
                    for seen in seen {
                        self.see(at, seen);
                    }
                    if consumed == 0 && !some {
                        break;
                    }
                }
                Err(error) => {
                    assert!(self.links[at].liar, "honest bytes are refused: {error:?}: {:?}", rx.escape_ascii());
                    self.links[at].gone = true;
                    return;
                }
            }
        }
        self.links[at].rx = rx[from..].to_vec();
    }

    fn see(&mut self, at: usize, seen: Seen) {
        let Seen { tag, text, error, last } = seen;
        let request = &mut self.requests[tag as usize];
        assert!(!request.ended, "command {tag} is answered after its end");
        assert_eq!(request.link, Some(at), "command {tag} is answered where it was not sent");
        assert!(request.touched, "command {tag} is answered before a byte of it was written");
        request.handed = true;
        request.text.extend(text);
        request.refused |= error;
        if !self.links[at].liar {
            let request = &self.requests[tag as usize];
            let text = String::from_utf8_lossy(&request.text).into_owned();
            let named =
                text.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == format!("t{tag}"));
            let plain = request.refused || (!last && request.spec.replies > 1) || !last;
            assert!(named || plain, "command {tag} is handed the answer of another: {text:?}");
        }
        if last {
            self.ended(tag);
        }
    }

    /// Events and timers, until the engine rests.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 40, "the timer spins at {}, due {:?}", self.now, self.cluster.poll_timeout());
            self.events();
            if self.cluster.poll_timeout().is_none_or(|due| due > self.at()) {
                return;
            }
            self.with(|cluster, now, _| cluster.handle_timeout(now));
        }
    }

    fn events(&mut self) {
        for round in 0.. {
            assert!(round < ROUNDS, "events never end");
            match self.cluster.poll_event() {
                None => return,
                Some(Event::Dial(conn)) => self.dial(conn),
                Some(Event::Closed { conn, .. }) => {
                    for link in self.links.iter_mut().filter(|link| link.conn == conn) {
                        link.gone = true;
                    }
                }
                Some(Event::InputReady(conn)) => {
                    if let Some(at) = self.links.iter().position(|link| link.conn == conn) {
                        self.present(at, true);
                    }
                }
                Some(Event::Failed { id, tag, failure }) => {
                    let request = &self.requests[tag as usize];
                    assert_eq!(id, request.id);
                    let unsent = failure.outcome == Outcome::NotSent;
                    assert!(!unsent || !request.touched, "command {tag} was written and is told to be unsent");
                    let lost = failure.outcome == Outcome::ReplyLost;
                    assert!(!lost || request.touched, "command {tag} lost its reply unsent");
                    self.ended(tag);
                }
                Some(Event::Confirmed { tag, .. }) => {
                    assert!(self.requests[tag as usize].spec.subscribe && self.requests[tag as usize].touched);
                    self.ended(tag);
                }
                Some(_) => {}
            }
        }
    }

    fn dial(&mut self, conn: ConnId) {
        let port = self.with(|cluster, _, env| cluster.dial_target(conn, env).map(|target| target.addr.port()));
        let node = usize::from(port.expect("a dial to nowhere") - 7_000);
        assert!(self.links.iter().all(|link| link.conn != conn), "two dials for one id");
        self.links.push(Link {
            conn,
            node,
            open: false,
            gone: false,
            liar: false,
            handed: 0,
            written: 0,
            sent: std::collections::VecDeque::new(),
            down: Vec::new(),
            rx: Vec::new(),
        });
    }

    // ---- the peers ----

    fn can_answer(&self, at: usize) -> bool {
        let link = &self.links[at];
        link.sent.front().is_some_and(|sent| sent.end <= link.written)
    }

    fn answer(&mut self, at: usize) {
        let (count, how) = (1 + self.number() % 8, self.number());
        for _ in 0..count {
            if self.can_answer(at) {
                self.say(at, how);
            }
        }
    }

    /// The peer answers the oldest frame it has whole.
    fn say(&mut self, at: usize, how: usize) {
        let resp2 = self.settings.protocol == Protocol::Resp2;
        let Some(sent) = self.links[at].sent.pop_front() else { return };
        let node = self.links[at].node;
        let mut text = String::new();
        if how & 64 != 0 && !resp2 {
            text += "|1\r\n+ttl\r\n:3\r\n";
        }
        match sent.what {
            Transmit::Control(frame) => control(&mut text, frame, node, how),
            Transmit::Command { tag, asking, .. } => {
                if asking {
                    text += "+OK\r\n";
                }
                command(&mut text, &self.requests[tag as usize].spec, how, resp2);
            }
        }
        // Only where the handshake is over: a push has no business before.
        if how & 128 != 0 && !resp2 && matches!(sent.what, Transmit::Command { .. }) {
            text += ">2\r\n+invalidate\r\n*1\r\n$2\r\nt0\r\n";
        }
        self.links[at].down.extend_from_slice(text.as_bytes());
    }

    /// The peer says bytes of the input.
    fn lie(&mut self) {
        let Some(at) = self.link() else { return };
        let len = self.number().min(self.input.len());
        let (bytes, rest) = self.input.split_at(len);
        self.input = rest;
        self.links[at].liar = true;
        self.links[at].down.extend_from_slice(bytes);
        self.arrive(at, usize::MAX, len % 2 == 0);
    }

    // ---- the end ----

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
