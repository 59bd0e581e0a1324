//! A network in memory with the mini cluster's model behind it, and an application that checks what it is asked.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use slotwise::cluster::{CloseReason, SubmitError};
use slotwise::command::{self, CommandSpec};
use slotwise::ids::{CommandId, ConnId, NodeId};
use slotwise::pipeline::Failure;
use slotwise::resp::{Token, encode};
use slotwise::time::{Duration, Instant};
use slotwise_embedded::{At, Dial, Moved, Piece, Reply, Transport, Work, copy_command};
use slotwise_std::mini::model::{ClientId, Model, ModelOptions};

/// Ports of the nodes are this and their number.
pub(crate) const PORT: u16 = 7100;

pub(crate) struct Wire {
    client: ClientId,
    pub(crate) node: usize,
    sent: Vec<u8>,
    coming: VecDeque<u8>,
}

/// The network and the cluster behind it.
pub(crate) struct Net {
    pub(crate) model: Model,
    pub(crate) wires: BTreeMap<usize, (ConnId, Wire)>,
    /// Most bytes of one read and one write.
    pub(crate) read: usize,
    pub(crate) write: usize,
    /// About every second call would block.
    pub(crate) hesitant: bool,
    /// Nodes that take no bytes.
    pub(crate) shut: Vec<usize>,
    /// How many more bytes a node takes, and gives, if that is bounded.
    pub(crate) take: BTreeMap<usize, usize>,
    pub(crate) give: BTreeMap<usize, usize>,
    /// Nodes that carry out commands and say nothing; that lose all they are sent; that cannot be dialled.
    pub(crate) mute: Vec<usize>,
    pub(crate) hole: Vec<usize>,
    pub(crate) dark: Vec<usize>,
    /// Looks a dial needs.
    pub(crate) dial_looks: u32,
    looks: u32,
    turn: u32,
    pub(crate) dials: usize,
    pub(crate) closes: usize,
    pub(crate) most_slots_reply: usize,
    pub(crate) written: usize,
}

impl Net {
    pub(crate) fn new(primaries: usize) -> Self {
        Self::with_options(ModelOptions { primaries, ..ModelOptions::default() })
    }

    pub(crate) fn with_options(options: ModelOptions) -> Self {
        let primaries = options.primaries;
        let mut model = Model::new(options);
        for node in 0..primaries {
            model.set_address(node, "127.0.0.1", PORT + u16::try_from(node).unwrap());
        }
        Self {
            model,
            wires: BTreeMap::new(),
            read: usize::MAX,
            write: usize::MAX,
            hesitant: false,
            shut: Vec::new(),
            take: BTreeMap::new(),
            give: BTreeMap::new(),
            mute: Vec::new(),
            hole: Vec::new(),
            dark: Vec::new(),
            dial_looks: 0,
            looks: 0,
            turn: 0,
            dials: 0,
            closes: 0,
            most_slots_reply: 0,
            written: 0,
        }
    }

    pub(crate) fn hesitates(&mut self) -> bool {
        // Not in step with the order of the driver's calls.
        self.turn = self.turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.hesitant && self.turn >> 31 == 0
    }

    fn wire(&mut self, conn: ConnId) -> Option<&mut Wire> {
        self.wires.get_mut(&conn.index()).filter(|(known, _)| *known == conn).map(|(_, wire)| wire)
    }

    pub(crate) fn readable(&mut self, conn: ConnId) -> bool {
        self.pump(conn);
        self.wire(conn).is_none_or(|wire| !wire.coming.is_empty())
    }

    pub(crate) fn writable(&mut self, conn: ConnId) -> bool {
        let node = self.wire(conn).map(|wire| wire.node);
        node.is_none_or(|node| !self.shut.contains(&node) && self.take.get(&node) != Some(&0))
    }

    fn pump(&mut self, conn: ConnId) {
        let Some((known, wire)) = self.wires.get_mut(&conn.index()) else { return };
        assert_eq!(*known, conn, "a stale connection is used");
        while let Some((words, used)) = request(&wire.sent) {
            wire.sent.drain(..used);
            self.model.request(wire.client, &words);
            if self.model.is_unsettled() {
                self.model.settle();
            }
            if words.len() == 2 && words[1] == b"SLOTS" {
                let reply = self.model.take_output(wire.client);
                self.most_slots_reply = self.most_slots_reply.max(reply.len());
                wire.coming.extend(reply);
            }
        }
        wire.coming.extend(self.model.take_output(wire.client));
        if self.mute.contains(&wire.node) {
            wire.coming.clear();
        }
    }

    /// The server ends every connection of the node.
    pub(crate) fn cut(&mut self, node: usize) {
        self.wires.retain(|_, (_, wire)| wire.node != node);
    }
}

impl Transport for Net {
    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial {
        assert_eq!(host, "127.0.0.1");
        if self.dark.contains(&usize::from(port - PORT)) {
            return Dial::Pending;
        }
        self.looks += 1;
        if self.looks <= self.dial_looks {
            return Dial::Pending;
        }
        self.looks = 0;
        let node = usize::from(port - PORT);
        let client = self.model.connect(node);
        let wire = Wire { client, node, sent: Vec::new(), coming: VecDeque::new() };
        self.wires.insert(conn.index(), (conn, wire));
        self.dials += 1;
        Dial::Open
    }

    fn recv(&mut self, conn: ConnId, buf: &mut [u8]) -> Moved {
        assert!(!buf.is_empty());
        if self.hesitates() {
            return Moved::WouldBlock;
        }
        self.pump(conn);
        let most = self.read;
        let Some((_, wire)) = self.wires.get_mut(&conn.index()).filter(|(known, _)| *known == conn) else {
            return Moved::Closed;
        };
        let mut count = wire.coming.len().min(buf.len()).min(most);
        if let Some(left) = self.give.get_mut(&wire.node) {
            count = count.min(*left);
            *left -= count;
        }
        buf.iter_mut().zip(wire.coming.drain(..count)).for_each(|(to, byte)| *to = byte);
        if count == 0 { Moved::WouldBlock } else { Moved::Bytes(count) }
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Moved {
        assert!(!bytes.is_empty());
        if self.hesitates() || !self.writable(conn) {
            return Moved::WouldBlock;
        }
        let mut count = bytes.len().min(self.write);
        let Some((_, wire)) = self.wires.get_mut(&conn.index()).filter(|(known, _)| *known == conn) else {
            return Moved::Closed;
        };
        if let Some(left) = self.take.get_mut(&wire.node) {
            count = count.min(*left);
            *left -= count;
        }
        if !self.hole.contains(&wire.node) {
            wire.sent.extend_from_slice(&bytes[..count]);
        }
        self.written += count;
        Moved::Bytes(count)
    }

    fn close(&mut self, conn: ConnId) {
        self.closes += 1;
        if self.wire(conn).is_some() {
            let (_, (_, wire)) = self.wires.remove_entry(&conn.index()).unwrap();
            self.model.disconnect(wire.client);
        }
    }
}

/// One command from the front of the bytes, and its length.
pub(crate) fn request(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut at = 0;
    let number = |mark: u8, at: &mut usize| -> Option<usize> {
        let line = bytes.get(*at..)?;
        let end = line.iter().position(|byte| *byte == b'\n')?;
        assert_eq!(line[0], mark, "not a command: {:?}", String::from_utf8_lossy(line));
        *at += end + 1;
        Some(std::str::from_utf8(&line[1..end - 1]).unwrap().parse().unwrap())
    };
    let count = number(b'*', &mut at)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let len = number(b'$', &mut at)?;
        words.push(bytes.get(at..at + len)?.to_vec());
        assert!(bytes.get(at + len..at + len + 2).is_none_or(|end| end == b"\r\n"));
        at += len + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Reply {
        raw: String,
        resent: bool,
    },
    /// The pieces of a string, joined.
    Tokens(String),
    Failed(Failure),
}

/// The application: commands by tag. It panics if it is asked for bytes of a command that has ended, or one ends twice.
#[derive(Default)]
pub(crate) struct App {
    pub(crate) commands: Vec<Vec<String>>,
    next: usize,
    pub(crate) ids: BTreeMap<u64, CommandId>,
    pub(crate) ends: BTreeMap<u64, End>,
    streams: BTreeMap<u64, String>,
    /// Commands whose replies came in pieces, from a second place.
    pub(crate) resent_streams: BTreeSet<u64>,
    pub(crate) streamed: bool,
    /// The time-out of the commands that are submitted, if not the engine's own.
    pub(crate) patience: Option<Duration>,
    pub(crate) closed: Vec<CloseReason>,
    pub(crate) maps: u32,
}

impl App {
    pub(crate) fn push(&mut self, words: &[&str]) -> u64 {
        self.commands.push(words.iter().map(ToString::to_string).collect());
        self.commands.len() as u64 - 1
    }

    pub(crate) fn is_done(&self) -> bool {
        self.ends.len() == self.commands.len()
    }

    /// Bytes of the command's reply that were handed out so far.
    pub(crate) fn partly(&self, tag: u64) -> usize {
        self.streams.get(&tag).map_or(0, String::len)
    }

    pub(crate) fn reply(&self, tag: u64) -> &str {
        match self.ends.get(&tag) {
            Some(End::Reply { raw, .. } | End::Tokens(raw)) => raw,
            other => panic!("command {tag} ended with {other:?}"),
        }
    }

    fn end(&mut self, tag: u64, end: End) {
        assert!(self.ids.contains_key(&tag), "{tag} was not submitted");
        assert_eq!(self.ends.insert(tag, end), None, "command {tag} ended twice");
    }
}

impl Work for App {
    fn next_command(&mut self, _: &At<'_>) -> Option<CommandSpec> {
        let words = self.commands.get(self.next)?;
        let len = u32::try_from(encode::encoded_len(words.as_slice()).unwrap()).unwrap();
        let spec = command::analyse(&command::FULL, words.as_slice()).unwrap().spec(len).unwrap();
        let spec = spec.with_tag(self.next as u64).with_streamed(self.streamed);
        Some(self.patience.map_or(spec, |patience| spec.with_timeout(patience)))
    }

    fn submitted(&mut self, tag: u64, result: Result<CommandId, SubmitError>) {
        assert_eq!(tag, self.next as u64);
        self.ids.insert(tag, result.unwrap());
        self.next += 1;
    }

    fn encode(&mut self, tag: u64, offset: usize, out: &mut [u8]) -> usize {
        assert!(!self.ends.contains_key(&tag), "bytes of command {tag}, which has ended");
        copy_command(self.commands[usize::try_from(tag).unwrap()].as_slice(), offset, out)
    }

    fn reply(&mut self, _: &At<'_>, tag: u64, reply: Reply<'_>) {
        assert!(reply.last && reply.part == 0);
        let raw = String::from_utf8_lossy(reply.frame.raw()).into_owned();
        self.end(tag, End::Reply { raw, resent: reply.resent });
    }

    fn token(&mut self, _: &At<'_>, tag: u64, Piece { token, last, resent }: Piece<'_>) {
        if resent {
            self.resent_streams.insert(tag);
        }
        assert_eq!(self.resent_streams.contains(&tag), resent, "all pieces of {tag} say the same");
        let text = self.streams.entry(tag).or_default();
        match token {
            Token::Bulk(bytes) | Token::Simple(bytes) | Token::Error(bytes) | Token::Chunk { bytes, .. } => {
                text.push_str(&String::from_utf8_lossy(bytes));
            }
            Token::Begin { .. } => {}
            other => text.push_str(&format!("{other:?}")),
        }
        if last {
            let text = self.streams.remove(&tag).unwrap();
            self.end(tag, End::Tokens(text));
        }
    }

    fn failed(&mut self, _: &At<'_>, tag: u64, failure: Failure) {
        self.end(tag, End::Failed(failure));
    }

    fn closed(&mut self, _: &At<'_>, _: ConnId, _: Option<NodeId>, reason: CloseReason) {
        self.closed.push(reason);
    }

    fn map_changed(&mut self, _: &At<'_>) {
        self.maps += 1;
    }
}

/// A clock that goes on by a little with every look.
pub(crate) struct Ticks(pub(crate) u64);

impl slotwise_embedded::Clock for Ticks {
    fn now(&mut self) -> Instant {
        self.0 += 1;
        Instant::from_micros(self.0)
    }
}
