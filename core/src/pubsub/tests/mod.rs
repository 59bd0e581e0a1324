//! Subscriptions in a cluster that changes under them: what is wanted is subscribed in the end, and no loss is hidden.

mod late;
mod refusals;
mod steps;

use super::*;
use crate::ids::{ConnId, NodeId};
use crate::limits::Limits;
use crate::rand::Rand;
use crate::resp::{Args, Frame, Status};
use crate::slot::{Slot, SlotRange};
use crate::time::{Duration, Instant};
use crate::topology::{Health, Map, MapHead, MapMut, MapParts, NewNode, Node, RangeEntry, Role};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::format;
use std::string::{String, ToString};

use std::vec::Vec;

const SERVERS: usize = 3;
type Name = (&'static str, String);

/// What the client sent.
#[derive(Clone, Debug)]
enum Sent {
    Request(SubRequest, Vec<String>),
    Ping(Instant),
}

/// What the server sent.
#[derive(Clone, Debug)]
enum Came {
    Push(String),
    Done(SubTicket, Option<String>),
    Pong(Instant),
}

#[derive(Default)]
struct Server {
    subscribed: BTreeSet<Name>,
    generation: u32,
    to_server: VecDeque<Sent>,
    to_client: VecDeque<Came>,
    /// Does not know that its slots have gone.
    unaware: bool,
}

struct World {
    rand: Rand,
    now: Instant,
    servers: Vec<Server>,
    /// By channel: every sharded channel of the test has a slot of its own or shares one.
    owner: BTreeMap<u16, usize>,
    published: BTreeMap<Name, Vec<Instant>>,
    wanted: BTreeSet<Name>,
    client: Reconciler<StaticStorage<16, 4, 400>>,
    /// Last message of a channel that was handed out, and the gap told since.
    seen: BTreeMap<Name, (Option<usize>, Option<Instant>)>,
    delivered: u32,
    gaps: u32,
    /// Messages that came while their channel was subscribed at two nodes.
    overlaps: u32,
}

fn kind(name: &str) -> Kind {
    match name {
        "s" => Kind::Sharded,
        "p" => Kind::Pattern,
        _ => Kind::Plain,
    }
}

fn conn(server: usize, generation: u32) -> ConnId {
    ConnId::new(server as u32, generation)
}

fn node(server: usize) -> NodeId {
    NodeId::from_bytes([server as u8 + 1; 20])
}

fn slot(name: &Name) -> u16 {
    Slot::of_key(name.1.as_bytes()).get()
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn with_map<R>(owner: &BTreeMap<u16, usize>, f: impl FnOnce(&Map<'_>) -> R) -> R {
    let (mut head, mut nodes) = (MapHead::new(), [Node::EMPTY; 4]);
    let (mut ranges, mut hosts) = ([RangeEntry::EMPTY; 64], [0; 128]);
    let parts = MapParts { nodes: &mut nodes, ranges: &mut ranges, hosts: &mut hosts, dense: None };
    let mut map = MapMut::new(&mut head, parts);
    map.clear();
    let mut indexes = Vec::new();
    for n in 0..SERVERS {
        let (host, port, role, health) = ("10.0.0.1", 7_200 + n as u16, Role::Primary, Health::Unknown);
        indexes.push(map.add_node(&NewNode { id: node(n), host, port, role, primary: None, epoch: None, health }));
    }
    for (&n, &owner) in owner {
        map.add_range(SlotRange::one(Slot::new(n).unwrap()), indexes[owner]).unwrap();
    }
    map.finish().unwrap();
    f(&map.map())
}

impl World {
    fn new(seed: u64) -> Self {
        let names = World::names();
        Self {
            rand: Rand::new(seed),
            now: Instant::from_micros(1_000_000),
            servers: (0..SERVERS).map(|_| Server::default()).collect(),
            owner: names.iter().filter(|name| name.0 == "s").map(|name| (slot(name), 0)).collect(),
            published: BTreeMap::new(),
            wanted: BTreeSet::new(),
            client: Reconciler::new(Policy::DEFAULT, seed, StaticStorage::new()),
            seen: BTreeMap::new(),
            delivered: 0,
            gaps: 0,
            overlaps: 0,
        }
    }

    fn names() -> Vec<Name> {
        let sharded = ["{a}1", "{a}2", "{a}3", "b", "c", "d"].map(|name| ("s", name.to_string()));
        let plain = ["x", "y", "b"].map(|name| ("", name.to_string()));
        sharded.into_iter().chain(plain).chain([("p", "x*".to_string())]).collect()
    }

    fn below(&mut self, n: usize) -> usize {
        self.rand.below(n as u32) as usize
    }

    fn refresh(&mut self) {
        let (client, now) = (&mut self.client, self.now);
        with_map(&self.owner, |map| client.on_map(now, map));
    }

    /// The slot leaves its owner, which tells its subscribers, unless it does not know.
    fn move_slot(&mut self, n: u16, to: usize) {
        // A server that gets a slot back has learned before that it had lost it.
        self.notice(to);
        let from = self.owner.insert(n, to).unwrap();
        if from != to && !self.servers[from].unaware {
            self.drop_foreign(from);
        }
    }

    fn notice(&mut self, at: usize) {
        self.servers[at].unaware = false;
        self.drop_foreign(at);
    }

    fn drop_foreign(&mut self, at: usize) {
        let owner = &self.owner;
        let server = &mut self.servers[at];
        let gone: Vec<_> = server.subscribed.iter().filter(|n| n.0 == "s" && owner[&slot(n)] != at).cloned().collect();
        for name in gone {
            server.subscribed.remove(&name);
            server.to_client.push_back(Came::Push(format!(">3\r\n+sunsubscribe\r\n{}:0\r\n", bulk(&name.1))));
        }
    }

    fn lose_connection(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let old = conn(at, server.generation);
        server.generation += 1;
        server.subscribed.clear();
        let mut lost: Vec<_> = Vec::new();
        for sent in server.to_server.drain(..) {
            if let Sent::Request(request, _) = sent {
                lost.push(request.ticket);
            }
        }
        for came in server.to_client.drain(..) {
            if let Came::Done(ticket, _) = came {
                lost.push(ticket);
            }
        }
        self.client.on_lost(old);
        for ticket in lost {
            self.client.on_command_done(self.now, ticket, CommandDone::Failed);
        }
    }

    fn publish(&mut self) {
        let names = Self::names();
        let name = names[self.below(names.len() - 1)].clone();
        let times = self.published.entry(name.clone()).or_default();
        let number = times.len();
        times.push(self.now);
        if name.1.starts_with('x') {
            self.published.entry(("p", "x*".into())).or_default().push(self.now);
        }
        for (at, server) in self.servers.iter_mut().enumerate() {
            // The first two servers are one shard, and tell each other.
            let owner = self.owner.get(&slot(&name)).copied().unwrap_or(at);
            if name.0 == "s" && owner != at && owner + at != 1 {
                continue;
            }
            if server.subscribed.contains(&name) {
                let word = if name.0 == "s" { "smessage" } else { "message" };
                let push = format!(">3\r\n{}{}{}", bulk(word), bulk(&name.1), bulk(&number.to_string()));
                server.to_client.push_back(Came::Push(push));
            }
            if name.1.starts_with('x') && server.subscribed.contains(&("p", "x*".into())) {
                let push =
                    format!("*4\r\n{}{}{}{}", bulk("pmessage"), bulk("x*"), bulk("x"), bulk(&number.to_string()));
                server.to_client.push_back(Came::Push(push));
            }
        }
    }

    fn wish(&mut self) {
        let names = Self::names();
        let name = names[self.below(names.len())].clone();
        if self.wanted.remove(&name) {
            assert!(self.client.unwant(kind(name.0), name.1.as_bytes()));
            self.seen.remove(&name);
        } else {
            self.client.want(kind(name.0), name.1.as_bytes()).unwrap();
            self.wanted.insert(name);
        }
    }

    /// The server takes what came in first.
    fn serve(&mut self, at: usize) {
        let owner = &self.owner;
        let server = &mut self.servers[at];
        let (request, channels) = match server.to_server.pop_front() {
            Some(Sent::Request(request, channels)) => (request, channels),
            Some(Sent::Ping(asked)) => return server.to_client.push_back(Came::Pong(asked)),
            None => return,
        };
        if request.kind == Kind::Sharded {
            let slots: BTreeSet<_> = channels.iter().map(|name| Slot::of_key(name.as_bytes()).get()).collect();
            assert_eq!(slots.len(), 1, "CROSSSLOT");
            let n = *slots.first().unwrap();
            assert_eq!(request.slot, Slot::new(n));
            if owner[&n] != at && !server.unaware {
                let error = format!("MOVED {n} 10.0.0.1:{}", 7_200 + owner[&n]);
                return server.to_client.push_back(Came::Done(request.ticket, Some(error)));
            }
        }
        let (letter, word) = match request.kind {
            Kind::Sharded => ("s", "s"),
            Kind::Plain => ("", ""),
            Kind::Pattern => ("p", "p"),
        };
        for channel in channels {
            let name = (letter, channel);
            let verb = match request.action {
                Action::Subscribe => {
                    server.subscribed.insert(name.clone());
                    "subscribe"
                }
                Action::Unsubscribe => {
                    server.subscribed.remove(&name);
                    "unsubscribe"
                }
            };
            server.to_client.push_back(Came::Push(format!(">3\r\n+{word}{verb}\r\n{}:1\r\n", bulk(&name.1))));
        }
        server.to_client.push_back(Came::Done(request.ticket, None));
    }

    /// The client takes what came in first.
    fn receive(&mut self, at: usize) {
        let from = conn(at, self.servers[at].generation);
        match self.servers[at].to_client.pop_front() {
            None => {}
            Some(Came::Pong(asked)) => self.client.on_alive(from, asked),
            Some(Came::Done(ticket, error)) => {
                let done = match &error {
                    Some(error) => CommandDone::Refused { error: error.as_bytes() },
                    None => CommandDone::Fenced { conn: from },
                };
                self.client.on_command_done(self.now, ticket, done);
            }
            Some(Came::Push(wire)) => {
                let Ok(Status::Complete((frame, _))) = Frame::new_checked(wire.as_bytes(), &Limits::DEFAULT) else {
                    panic!("{wire:?}")
                };
                if let PushEvent::Message(message) = self.client.on_push(from, &frame) {
                    let name = match (message.kind, message.pattern) {
                        (Kind::Sharded, _) => ("s", message.channel),
                        (_, Some(pattern)) => ("p", pattern),
                        (_, None) => ("", message.channel),
                    };
                    let name = (name.0, String::from_utf8(name.1.to_vec()).unwrap());
                    let number: usize = std::str::from_utf8(message.payload).unwrap().parse().unwrap();
                    self.message(&name, number, message.gap, message.overlap);
                }
            }
        }
    }

    fn message(&mut self, name: &Name, number: usize, gap: Option<Gap>, overlap: bool) {
        assert!(self.wanted.contains(name), "nobody wants {name:?}");
        self.delivered += 1;
        self.overlaps += u32::from(overlap);
        let seen = self.seen.entry(name.clone()).or_default();
        if let Some(gap) = gap {
            seen.1 = Some(seen.1.map_or(gap.since, |first| first.min(gap.since)));
            self.gaps += 1;
        }
        // The pattern matches one channel here, so its messages are numbered by that.
        let times = &self.published[&if name.0 == "p" { ("", "x".to_string()) } else { name.clone() }];
        if overlap && seen.0.is_some_and(|last| number <= last) {
            return;
        }
        if let Some(last) = seen.0 {
            assert!(number > last, "{name:?} came again or out of order");
            let lost = times[last + 1..number].first();
            if let Some(lost) = lost {
                let since = seen.1.unwrap_or_else(|| panic!("{name:?} lost {} before {number} unsaid", last + 1));
                assert!(
                    since <= *lost,
                    "the gap of {name:?} begins too late: {since:?} after {lost:?}, now {:?}",
                    self.now
                );
            }
        }
        // What comes from two sides is in no order: the gap holds for what follows as well.
        *seen = (Some(number), seen.1.filter(|_| overlap));
    }

    fn events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            if let Event::Gap { channel, since } = event {
                let (kind, name) = self.client.name(channel).unwrap();
                let letter = ["s", "", "p"][kind as usize];
                let name = (letter, String::from_utf8(name.to_vec()).unwrap());
                assert!(self.wanted.contains(&name), "an event of {name:?}, which nobody wants");
                let gap = &mut self.seen.entry(name).or_default().1;
                *gap = Some(gap.map_or(since, |first| first.min(since)));
                self.gaps += 1;
            }
        }
    }

    fn send(&mut self, map: &BTreeMap<u16, usize>) {
        let (client, now) = (&mut self.client, self.now);
        let Some(request) = with_map(map, |map| client.poll(now, map)) else { return };
        let args = self.client.args(&request);
        let channels: Vec<_> =
            (1..args.count()).map(|i| String::from_utf8(args.arg(i).unwrap().to_vec()).unwrap()).collect();
        assert_eq!(channels.len(), usize::from(request.channels));
        let at = (0..SERVERS).find(|&n| node(n) == request.node).unwrap();
        self.servers[at].to_server.push_back(Sent::Request(request, channels));
    }

    fn step(&mut self, map: &mut BTreeMap<u16, usize>, wild: bool) {
        self.now = self.now + Duration::from_millis(1);
        let at = self.below(SERVERS);
        match self.below(if wild { 40 } else { 26 }) {
            0..6 => self.send(map),
            6..12 => self.serve(at),
            12..20 => self.receive(at),
            20..22 => self.events(),
            22 if self.client.wants_refresh() || self.below(4) == 0 => {
                map.clone_from(&self.owner);
                self.refresh();
            }
            23 => {
                let ping = Sent::Ping(self.now);
                self.servers[at].to_server.push_back(ping);
            }
            24 | 25 | 30..34 => self.publish(),
            26 | 27 => self.wish(),
            28 => {
                let slots: Vec<_> = self.owner.keys().copied().collect();
                let n = slots[self.below(slots.len())];
                let to = self.below(SERVERS);
                self.move_slot(n, to);
            }
            29 => self.lose_connection(at),
            34 => {
                // Failover: all slots of a server leave it at once.
                self.servers[at].unaware = self.below(2) == 0;
                for (n, _) in self.owner.clone().into_iter().filter(|(_, owner)| *owner == at) {
                    self.move_slot(n, (at + 1) % SERVERS);
                }
            }
            35 => self.notice(at),
            _ => {}
        }
    }

    /// Every wanted channel is subscribed once, at its owner; nothing else is.
    fn settled(&self) -> bool {
        let mut subscribed: Vec<_> = self.servers.iter().flat_map(|server| server.subscribed.iter().cloned()).collect();
        subscribed.sort();
        subscribed == self.wanted.iter().cloned().collect::<Vec<_>>()
            && self
                .servers
                .iter()
                .enumerate()
                .all(|(at, server)| server.subscribed.iter().all(|name| name.0 != "s" || self.owner[&slot(name)] == at))
            && self.client.is_settled()
    }
}

#[test]
fn wishes_are_kept_and_no_loss_is_hidden() {
    let (mut delivered, mut gaps, mut overlaps) = (0, 0, 0);
    for seed in 0..400 {
        let mut world = World::new(seed);
        let mut map = world.owner.clone();
        for _ in 0..1_500 {
            world.step(&mut map, true);
        }
        (0..SERVERS).for_each(|at| world.notice(at));
        for round in 0.. {
            let there: Vec<_> = world.servers.iter().map(|server| &server.subscribed).collect();
            assert!(round < 60_000, "seed {seed}: {:?} {there:?}", world.wanted);
            world.step(&mut map, false);
            if world.settled() {
                break;
            }
            // Time enough for the longest wait.
            world.now = world.now + Duration::from_millis(1);
        }
        delivered += world.delivered;
        gaps += world.gaps;
        overlaps += world.overlaps;
    }
    assert!(delivered > 5_000 && gaps > 1_000, "{delivered} messages, {gaps} gaps");
    assert!(overlaps > 20, "{overlaps} messages while moving");
}
