//! Scans of a cluster that changes under them: what the certificate says is true.

mod cluster;
mod directed;

use super::*;
use crate::ids::NodeId;
use crate::limits::Limits;
use crate::resp::{Frame, Status, Tokens};
use crate::slot::Slot;
use crate::time::{Duration, Instant};
use cluster::{ClientMap, Cluster, Order};
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// A request on its way: to the server, or its reply on the way back.
struct Pending {
    request: ScanRequest,
    server: usize,
    line: u32,
    reply: Option<Vec<u8>>,
}

/// What may happen in a run.
#[derive(Clone, Copy)]
struct World {
    /// Changes of the cluster.
    events: u32,
    /// One in so many steps is a change.
    rate: usize,
    key_migrations: bool,
    atomic_migrations: bool,
    failovers: bool,
    reconnects: bool,
    /// Open migrations stay open at the end.
    leave_open: bool,
    /// All keys in five slots.
    hot: bool,
}

const CALM: World = World {
    events: 0,
    rate: 1,
    key_migrations: false,
    atomic_migrations: false,
    failovers: false,
    reconnects: false,
    leave_open: false,
    hot: false,
};

const WILD: World = World {
    events: 60,
    rate: 4,
    key_migrations: true,
    atomic_migrations: true,
    failovers: true,
    reconnects: true,
    leave_open: true,
    hot: false,
};

struct Run {
    cluster: Cluster,
    scan: ClusterScan<Vec<Walk>>,
    found: BTreeMap<String, u32>,
    /// The client's map.
    map: ClientMap,
    now: Instant,
    pending: Vec<Pending>,
    world: World,
    /// Cut replies into pieces of this size and read tokens; 0: whole frames.
    piece: usize,
    requests: Vec<(NodeId, RequestKind)>,
    /// What MATCH asks for.
    prefix: &'static str,
}

fn wire(kind: RequestKind, cluster: &Cluster, at: usize, resp3: bool, keep: impl Fn(&str) -> bool) -> Vec<u8> {
    let (cursor, count) = match kind {
        RequestKind::Nodes => {
            let text = cluster.nodes(at);
            let (head, len) = if resp3 { ("txt:", text.len() + 4) } else { ("", text.len()) };
            return format!("{}{len}\r\n{head}{text}\r\n", if resp3 { '=' } else { '$' }).into_bytes();
        }
        RequestKind::Probe { cursor, count } | RequestKind::Page { cursor, count } => (cursor.get(), count),
    };
    let (next, mut keys) = cluster.scan(at, cursor, count.into());
    if matches!(kind, RequestKind::Page { .. }) {
        keys.retain(|key| keep(key));
    }
    let next = format!("{next}");
    let mut reply = format!("*2\r\n${}\r\n{next}\r\n*{}\r\n", next.len(), keys.len());
    for key in keys {
        reply += &format!("${}\r\n{key}\r\n", key.len());
    }
    reply.into_bytes()
}

impl Run {
    fn new(cluster: Cluster, options: &ScanOptions<'static>, walks: usize, world: World) -> Self {
        let map = ClientMap::of(&cluster);
        let scan = ClusterScan::new(options, vec![Walk::IDLE; walks]);
        let prefix = options.pattern.map_or("", |glob| std::str::from_utf8(glob).unwrap().trim_end_matches('*'));
        let (found, pending, requests) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { cluster, scan, found, map, now: Instant::EPOCH, pending, world, piece: 0, requests, prefix }
    }

    fn change(&mut self) {
        let world = self.world;
        match self.cluster.below(12) {
            0 if world.key_migrations => self.cluster.open_migration(),
            1..=4 if world.key_migrations => self.cluster.step_migration(),
            5 if world.key_migrations => self.cluster.abort_migration(),
            6 | 7 if world.atomic_migrations => self.cluster.atomic_migration(),
            8 if world.failovers => self.cluster.failover(),
            9 if world.reconnects => {
                let node = self.cluster.reconnect();
                self.scan.on_lost(self.now, &node);
            }
            10 => self.cluster.add_key(),
            11 => self.cluster.delete_key(),
            _ => {}
        }
    }

    /// One thing happens: a request is sent, served, answered, the map is fetched, time passes.
    fn step(&mut self) {
        self.now = self.now + Duration::from_micros(100);
        if self.world.events > 0 && self.cluster.below(self.world.rate) == 0 {
            self.world.events -= 1;
            self.change();
            if self.world.events == 0 {
                self.cluster.heal();
                while !self.world.leave_open && !self.cluster.open().is_empty() {
                    self.cluster.step_migration();
                }
            }
        }
        if self.scan.wants_refresh() {
            self.map = ClientMap::of(&self.cluster);
        }
        if let Some(request) = self.scan.poll(self.now, &self.map.map()) {
            self.requests.push((request.node, request.kind));
            let server = self.cluster.servers.iter().position(|server| server.id == request.node).unwrap();
            self.pending.push(Pending { request, server, line: self.cluster.servers[server].line, reply: None });
            return;
        }
        if self.pending.is_empty() {
            if let Some(at) = self.scan.poll_timeout() {
                self.now = at.max(self.now);
            }
            return;
        }
        let index = self.cluster.below(self.pending.len());
        let server = &self.cluster.servers[self.pending[index].server];
        if !server.alive || server.line != self.pending[index].line {
            let pending = self.pending.swap_remove(index);
            self.scan.on_failed(self.now, pending.request.ticket);
            return;
        }
        if self.pending[index].reply.is_none() {
            let resp3 = self.cluster.below(2) == 0;
            let at = self.pending[index].server;
            let prefix = self.prefix;
            self.pending[index].reply =
                Some(wire(self.pending[index].request.kind, &self.cluster, at, resp3, |key| key.starts_with(prefix)));
            return;
        }
        let pending = self.pending.swap_remove(index);
        self.deliver(pending.request.ticket, &pending.reply.unwrap());
    }

    fn deliver(&mut self, ticket: Ticket, reply: &[u8]) {
        let (scan, now, found, map) = (&mut self.scan, self.now, &mut self.found, &self.map.map());
        let mut each = |key: &[u8]| *found.entry(String::from_utf8(key.to_vec()).unwrap()).or_default() += 1;
        if self.piece == 0 {
            let Ok(Status::Complete((frame, _))) = Frame::new_checked(reply, &Limits::DEFAULT) else { panic!() };
            scan.on_reply(now, ticket, &frame, map, &mut each).unwrap();
            return;
        }
        let mut tokens = Tokens::<8>::new(Limits::DEFAULT);
        let mut keys = [0; 64];
        let (mut from, mut end) = (0, 0);
        while end < reply.len() {
            end = (end + self.piece).min(reply.len());
            let mut reader = tokens.reader(&reply[from..end]);
            while let Some(token) = reader.next().unwrap() {
                scan.on_token(now, ticket, &token, &mut keys, map, &mut each).unwrap();
            }
            from += reader.consumed();
        }
    }

    fn finish(&mut self) {
        for _ in 0..200_000 {
            if self.scan.is_done() {
                return;
            }
            self.step();
        }
        panic!("the scan does not end");
    }

    /// Every key that was there throughout, in a proven slot, was found.
    fn check(&self) {
        let certificate = self.scan.certificate();
        for key in &self.cluster.throughout {
            let slot = Slot::of_key(key.as_bytes());
            assert!(
                !certificate.proven().contains(slot) || self.found.contains_key(key),
                "{key} of slot {} was missed",
                slot.get()
            );
        }
        if certificate.counts().restarts == 0 {
            assert!(self.found.values().all(|&times| times == 1), "repeats without a restart");
        }
        let keys: u64 = self.found.values().map(|&times| u64::from(times)).sum();
        assert_eq!(certificate.counts().keys, keys);
    }
}

fn orders(seed: u64) -> Vec<Order> {
    match seed % 4 {
        0 | 1 => vec![Order::BySlot; 3],
        2 => vec![Order::OneTable(6), Order::OneTable(9), Order::OneTable(17)],
        _ => vec![Order::BySlot, Order::OneTable(7), Order::BySlot, Order::OneTable(15)],
    }
}

fn options(seed: u64) -> ScanOptions<'static> {
    let mut options = ScanOptions::new().count([3, 20, 1][seed as usize % 3]).per_node(1 + (seed % 5 / 3) as u8);
    // Tables of 2^17 buckets take too many pages of few buckets.
    if seed % 4 >= 2 {
        options.count = 2_000;
    }
    options.checkpoint = 1 + (seed % 7) as u16;
    options.stalls = 20;
    options
}

fn run(seed: u64, world: World) -> Run {
    let keys = if world.hot { 60 } else { 150 + (seed % 3) as u32 * 100 };
    let cluster = Cluster::new(seed, &orders(seed), keys, world.hot);
    let mut run = Run::new(cluster, &options(seed), 1 + seed as usize % 6, world);
    run.piece = [0, 1, 7, 500][seed as usize / 2 % 4];
    run.finish();
    run.check();
    run
}

#[test]
fn a_calm_cluster_is_complete_without_repeats() {
    for seed in 0..24 {
        let run = run(seed, CALM);
        let certificate = run.scan.certificate();
        assert_eq!(certificate.check(), Ok(()), "seed {seed}");
        assert!(certificate.proven().is_full());
        assert_eq!((certificate.counts().restarts, certificate.counts().passes), (0, 1));
        assert!(run.found.values().all(|&times| times == 1));
        assert_eq!(run.found.len(), run.cluster.throughout.len());
    }
}

#[test]
fn every_kind_of_change_alone_and_together() {
    let kinds = [
        World { atomic_migrations: true, ..CALM },
        World { key_migrations: true, ..CALM },
        World { key_migrations: true, leave_open: true, ..CALM },
        World { failovers: true, ..CALM },
        World { reconnects: true, ..CALM },
        WILD,
        World { key_migrations: true, leave_open: true, hot: true, ..CALM },
        World { reconnects: true, hot: true, ..CALM },
        World { hot: true, ..WILD },
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let mut restarts = 0;
        for seed in 0..60 {
            let run = run(seed, World { events: 40 + (seed as u32 % 5) * 40, rate: 2 + seed as usize % 5, ..kind });
            restarts += run.scan.certificate().counts().restarts;
            // The cluster came to rest, so in the end everything is proven, open migrations included.
            assert_eq!(run.scan.certificate().check(), Ok(()), "kind {number} seed {seed}");
        }
        assert!(restarts > 0, "kind {number} changed nothing");
    }
}
