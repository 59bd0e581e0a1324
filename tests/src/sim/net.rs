//! The network: for each connection two queues of bytes, in order, delayed, and sometimes worse.

use std::collections::VecDeque;

use slotwise::cluster::CloseReason;
use slotwise::ids::{ConnId, NodeId};

use super::bytes::Bytes;
use super::check::Planted;
use super::check::health::Touched;
use super::dice::Label;
use super::kinds::Fault;
use super::options::Cut;
use super::servers::{Sent, Session};
use super::trace::{What, hash_of};
use super::world::{Ev, World};

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// Bytes on the way; `None` is the end of the stream.
#[derive(Clone, Debug)]
struct Segment {
    at: u64,
    bytes: Option<Vec<u8>>,
}

/// One direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct Pipe {
    queue: VecDeque<Segment>,
    /// When the last segment arrives.
    last: u64,
    /// Bytes on the way.
    pub in_flight: usize,
    /// Nothing arrives before.
    pub clog: u64,
    /// The connection breaks after so many more bytes.
    pub cut_after: Option<usize>,
    /// Nothing is put in any more.
    pub ended: bool,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The client waits for an answer to its dial.
    Dialling,
    /// Both sides have it, as far as the client knows.
    Open,
    /// The client has closed it or lost it.
    Gone,
}

/// What a dial comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It succeeds.
    Connects,
    /// It is refused.
    Refused,
    /// It succeeds and the stream ends at once.
    Closes,
}

/// One connection, from the dial to the last byte.
#[derive(Debug)]
pub struct Link {
    /// The client's number.
    pub client: usize,
    /// The client's name for it.
    pub conn: ConnId,
    /// The host and port that was dialled.
    pub addr: (String, u16),
    /// The client's side.
    pub stage: Stage,
    /// What the dial comes to.
    pub fate: Fate,
    /// The node that listens there now.
    pub node: Option<usize>,
    /// The server's side, while it has one.
    pub session: Option<Session>,
    /// What was written and not yet read by the server, command by command.
    pub frames: VecDeque<Sent>,
    /// To the server.
    pub up: Pipe,
    /// To the client.
    pub down: Pipe,
    /// What the client wants to write and the transport did not take yet.
    pub tx: Bytes,
    /// What the client received and the engine did not consume yet.
    pub rx: Bytes,
    /// Nothing is delivered in either direction.
    pub hole: bool,
    /// So many bytes more are taken from the client, and then none.
    pub stuck: Option<usize>,
    /// A server said something twice here.
    pub doubled: bool,
    /// An adversary answers.
    pub hostile: bool,
    /// Since when the client waits for bytes with work in flight.
    pub silent_since: Option<u64>,
    /// Bytes delivered to the client.
    pub received: u64,
    /// The byte, as counted there, before which a read ends.
    pub split: Option<u64>,
    /// It carries blocking commands, so that silence means nothing.
    pub leased: bool,
    /// What the checks noticed.
    pub notes: super::check::witness::LinkNotes,
}

impl World {
    fn delay(&mut self, way: Way, link: u32) -> u64 {
        let net = self.options.net;
        let slow = if self.servers.slow_network > self.now { 10 } else { 1 };
        let dice = self.dice(Label::Network);
        let mut delay = u64::from(net.delay) + dice.exponential(u64::from(net.spread));
        if dice.chance(net.tail) {
            delay *= 100;
        }
        let node = self.links[link as usize].node;
        if way == Way::Down
            && let Some(node) = node
        {
            delay += self.servers.nodes[node].slow + self.later + self.withheld(link);
        }
        delay * slow
    }

    /// Puts bytes, or the end of the stream, on their way.
    pub fn put(&mut self, link: u32, way: Way, bytes: Option<Vec<u8>>) {
        let delay = self.delay(way, link);
        let (now, bandwidth) = (self.now, u64::from(self.options.net.bandwidth));
        let len = bytes.as_ref().map_or(0, Vec::len);
        let drip = self.links[link as usize].node.map_or(0, |node| self.servers.nodes[node].drip);
        let pipe = self.links[link as usize].pipe(way);
        if pipe.ended {
            return;
        }
        if way == Way::Down {
            self.links[link as usize].notes.sent_down += len as u64;
        }
        let pipe = self.links[link as usize].pipe(way);
        if drip > 0 && way == Way::Down {
            return self.drip(link, drip, bytes);
        }
        let transfer = (len as u64 * 1_000).checked_div(bandwidth).unwrap_or(0);
        let at = (now + delay).max(pipe.last) + transfer;
        pipe.last = at;
        pipe.in_flight += len;
        pipe.ended = bytes.is_none();
        pipe.queue.push_back(Segment { at, bytes });
        self.at(at, Ev::Arrive(link, way));
    }

    /// Puts bytes on their way to a client, one by one.
    fn drip(&mut self, link: u32, gap: u64, bytes: Option<Vec<u8>>) {
        let pipe = &mut self.links[link as usize].down;
        let mut times = Vec::new();
        pipe.last = pipe.last.max(self.now);
        pipe.ended = bytes.is_none();
        let pieces = bytes.map_or(vec![None], |bytes| bytes.into_iter().map(|byte| Some(vec![byte])).collect());
        for piece in pieces {
            pipe.last += gap;
            pipe.in_flight += usize::from(piece.is_some());
            pipe.queue.push_back(Segment { at: pipe.last, bytes: piece });
            times.push(pipe.last);
        }
        for at in times {
            self.at(at, Ev::Arrive(link, Way::Down));
        }
    }

    /// Until when nothing gets through.
    fn blocked_until(&self, link: u32, way: Way) -> u64 {
        let link = &self.links[link as usize];
        let pipe = if way == Way::Up { &link.up } else { &link.down };
        let node = link.node.map_or(0, |node| {
            let node = &self.servers.nodes[node];
            if way == Way::Up { node.deaf } else { node.mute }
        });
        let frozen = if way == Way::Down { self.clients[link.client].frozen } else { 0 };
        pipe.clog.max(node).max(frozen)
    }

    /// After a repair: what left before arrives within a second.
    pub(super) fn hurry(&mut self, link: u32, way: Way) {
        let soon = self.now + 1_000_000;
        let pipe = self.links[link as usize].pipe(way);
        if pipe.last > soon {
            pipe.last = soon;
            pipe.queue.iter_mut().for_each(|segment| segment.at = segment.at.min(soon));
            self.at(soon, Ev::Arrive(link, way));
        }
    }

    /// What has come as far as it must arrives.
    pub fn arrive(&mut self, link: u32, way: Way) {
        let until = self.blocked_until(link, way);
        if until > self.now {
            if !self.links[link as usize].pipe(way).queue.is_empty() {
                self.at(until, Ev::Arrive(link, way));
            }
            return;
        }
        let mut bytes = Vec::new();
        let mut end = false;
        let now = self.now;
        let pipe = self.links[link as usize].pipe(way);
        while let Some(segment) = pipe.queue.front()
            && segment.at <= now
        {
            match pipe.queue.pop_front().and_then(|segment| segment.bytes) {
                Some(more) => bytes.extend_from_slice(&more),
                None => end = true,
            }
        }
        pipe.in_flight -= bytes.len();
        let mut broken = false;
        if let Some(left) = pipe.cut_after {
            broken = bytes.len() >= left;
            bytes.truncate(left);
            pipe.cut_after = Some(left - bytes.len());
        }
        if self.links[link as usize].hole {
            // Acknowledged by nobody: the sender's buffer stays full.
            self.links[link as usize].pipe(way).in_flight += bytes.len();
            return;
        }
        if bytes.is_empty() && !end && !broken {
            return;
        }
        self.note(What::Arrive, [u64::from(link) << 1 | way as u64, bytes.len() as u64, hash_of(&bytes)]);
        match way {
            Way::Up => self.arrive_up(link, &bytes, end),
            Way::Down => self.arrive_down(link, &bytes, end),
        }
        if broken {
            self.reset(link);
        }
    }

    fn arrive_up(&mut self, link: u32, bytes: &[u8], end: bool) {
        let at = &mut self.links[link as usize];
        match &mut at.session {
            Some(session) => session.input.put(bytes),
            // The server has closed: what comes is answered with a reset.
            None if !end => return self.reset(link),
            None => return,
        }
        self.serve_link(link);
        if end {
            self.end_session(link);
        }
        let at = &self.links[link as usize];
        if at.stage == Stage::Open && !at.tx.is_empty() {
            self.drive(at.client);
        }
    }

    fn arrive_down(&mut self, link: u32, bytes: &[u8], end: bool) {
        let client = self.links[link as usize].client;
        if self.links[link as usize].stage != Stage::Open {
            return;
        }
        let swaps = self.wishes.canary || self.planted(Planted::SwappedReplies);
        let swapped = if swaps { swap(bytes) } else { None };
        let bytes = swapped.as_deref().unwrap_or(bytes);
        let mut at = 0;
        while at < bytes.len() {
            let mut take = self.cut(&bytes[at..]);
            let open = &mut self.links[link as usize];
            if let Some(split) = open.split.take_if(|split| open.received < *split) {
                let left = (split - open.received) as usize;
                // Further on in what comes later.
                open.split = Some(split).filter(|_| left > take);
                take = take.min(left);
            }
            let piece = &bytes[at..at + take];
            at += take;
            let open = &mut self.links[link as usize];
            open.rx.put(piece);
            open.received += take as u64;
            open.silent_since = None;
            open.notes.heard = self.clients[client].at(self.now);
            self.learn(link);
            self.present(link);
            if self.links[link as usize].stage != Stage::Open || self.violation.is_some() {
                break;
            }
        }
        if end && self.links[link as usize].stage == Stage::Open {
            self.lose(link);
        }
        self.drive(client);
    }

    /// How many of the bytes are read at once.
    fn cut(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len();
        let take = match self.options.net.cut {
            Cut::Whole => len,
            // Small pieces of very large replies would only cost time.
            Cut::Small | Cut::Bytes if len > 2_000 => len - 1_900,
            Cut::Small => self.dice(Label::Network).range(1, 3) as usize,
            Cut::Bytes => 1,
            Cut::Anywhere => len - self.dice(Label::Network).below(len as u32) as usize,
            Cut::Crlf => bytes.iter().position(|byte| *byte == b'\r').map_or(len, |at| at + 1),
        };
        if take < len {
            self.stats.fault(Fault::Fragment);
        }
        take.min(len)
    }

    /// A connection ends that was ready, and led to this node.
    pub(super) fn note_ended(&mut self, link: u32, node: Option<NodeId>) {
        let at = &mut self.links[link as usize];
        if at.notes.ready.is_some() {
            at.notes.ended = Some((self.now, node.or(at.notes.node)));
        }
    }

    /// The client learns that the stream has ended.
    pub fn lose(&mut self, link: u32) {
        let at = &mut self.links[link as usize];
        let (stage, client, conn) = (at.stage, at.client, at.conn);
        let node = self.clients[client].engine.node(conn);
        self.note_ended(link, node);
        self.links[link as usize].stage = Stage::Gone;
        let now = self.clients[client].at(self.now);
        self.note_failed(link);
        match stage {
            Stage::Open => {
                self.note(What::Closed, [u64::from(link), 1, 0]);
                self.clients[client].engine.handle_disconnected(now, conn);
            }
            Stage::Dialling => {
                self.note(What::DialFailed, [u64::from(link), 0, 0]);
                self.clients[client].engine.handle_connect_failed(now, conn);
            }
            Stage::Gone => {}
        }
    }

    /// The stream breaks: both sides learn of it, and what is on the way is lost.
    pub fn reset(&mut self, link: u32) {
        let at = &mut self.links[link as usize];
        for pipe in [&mut at.up, &mut at.down] {
            pipe.queue.clear();
            pipe.in_flight = 0;
            pipe.ended = true;
        }
        let client = at.client;
        let known = at.stage == Stage::Gone;
        let node = at.node;
        self.touch(node.map_or(Touched::Client(client), |node| Touched::Way(client, node)));
        self.end_session(link);
        if !known {
            self.lose(link);
            self.drive(client);
        }
    }

    /// The engine has closed a connection: what it wrote still arrives, and then the end of the stream.
    pub fn client_closes(&mut self, link: u32, reason: CloseReason) {
        let at = &mut self.links[link as usize];
        if at.stage == Stage::Gone {
            return;
        }
        self.check_close(link, reason);
        self.note_given_up(link, reason);
        let at = &mut self.links[link as usize];
        at.stage = Stage::Gone;
        at.tx.clear();
        self.note(What::Closed, [u64::from(link), 0, reason as u64]);
        if self.links[link as usize].session.is_some() {
            self.put(link, Way::Up, None);
        }
    }

    /// Takes what the engine wants to write, and gives the transport what it takes.
    pub fn write(&mut self, link: u32) -> bool {
        let mut any = false;
        loop {
            any |= self.fill(link);
            let net = self.options.net;
            let at = &self.links[link as usize];
            let room = (net.send_buffer as usize).saturating_sub(at.up.in_flight);
            let mut take = at.tx.len().min(room).min(at.stuck.unwrap_or(usize::MAX));
            if take == 0 {
                return any;
            }
            if net.partial > 0 && self.dice(Label::Network).chance(net.partial) {
                take -= self.dice(Label::Network).below(take as u32) as usize;
            }
            let at = &mut self.links[link as usize];
            let bytes = at.tx.take(take);
            at.stuck = at.stuck.map(|left| left - take);
            let (client, conn, all) = (at.client, at.conn, at.tx.is_empty());
            at.notes.taken += take as u64;
            at.silent_since.get_or_insert(self.now);
            self.note(What::Write, [u64::from(link), take as u64, hash_of(&bytes)]);
            let now = self.clients[client].at(self.now);
            self.clients[client].engine.handle_written(now, conn, take);
            self.put(link, Way::Up, Some(bytes));
            if !all {
                // The rest when this has arrived, if the stream lives so long.
                self.stats.fault(Fault::PartialWrite);
                return true;
            }
        }
    }
}

impl Link {
    /// A direction of it.
    pub fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

/// What a broken driver does: of two replies that came together, the second goes first.
fn swap(bytes: &[u8]) -> Option<Vec<u8>> {
    let first = super::wire::value_len(bytes)?;
    let second = super::wire::value_len(&bytes[first..])?;
    let (two, rest) = bytes.split_at(first + second);
    Some([&two[first..], &two[..first], rest].concat())
}
