//! A cluster in memory: nodes with their own views, keys, both kinds of migration, failover, partitions, restarts.

use crate::ids::NodeId;
use crate::rand::Rand;
use crate::slot::{Slot, SlotRange, SlotSet};
use crate::topology::{Health, Map, MapHead, MapMut, MapParts, NewNode, Node, RangeEntry, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// How a server orders its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    BySlot,
    /// One table of two to the power of this many buckets.
    OneTable(u32),
}

#[derive(Clone)]
pub(super) struct Server {
    pub(super) id: NodeId,
    pub(super) order: Order,
    seed: u64, // of this process' hash
    pub(super) epoch: u64,
    pub(super) primary: bool,
    pub(super) alive: bool,
    pub(super) isolated: bool,
    pub(super) owns: SlotSet,
    pub(super) out: BTreeMap<u16, usize>,
    pub(super) into: BTreeMap<u16, usize>,
    pub(super) keys: BTreeSet<String>,
    /// Changes with every lost connection.
    pub(super) line: u32,
}

pub(super) struct Cluster {
    pub(super) servers: Vec<Server>,
    /// Who the majority says owns a slot.
    pub(super) owner: Vec<Option<usize>>,
    /// Keys that were readable from the first step on without a break.
    pub(super) throughout: BTreeSet<String>,
    pub(super) rand: Rand,
    next_key: u32,
    /// Keys have few tags, so that few slots hold many.
    pub(super) hot: bool,
}

/// A client's map.
pub(super) struct ClientMap {
    head: MapHead,
    nodes: Vec<Node>,
    ranges: Vec<RangeEntry>,
    hosts: Vec<u8>,
    dense: Vec<u16>,
}

impl ClientMap {
    /// What the majority says now.
    pub(super) fn of(cluster: &Cluster) -> Self {
        let mut this = Self {
            head: MapHead::new(),
            nodes: vec![Node::EMPTY; 16],
            ranges: vec![RangeEntry::EMPTY; 4_096],
            hosts: vec![0; 1_024],
            dense: vec![0; 16_384],
        };
        let Self { head, nodes, ranges, hosts, dense } = &mut this;
        let mut map = MapMut::new(head, MapParts { nodes, ranges, hosts, dense: Some(dense) });
        map.clear();
        let mut indexes = Vec::new();
        for (n, server) in cluster.servers.iter().enumerate() {
            let (host, port) = ("10.0.0.1", 7_100 + n as u16);
            let (role, health) = (Role::Primary, Health::Unknown);
            indexes.push(map.add_node(&NewNode {
                id: server.id,
                host,
                port,
                role,
                primary: None,
                epoch: None,
                health,
            }));
        }
        let owner = &cluster.owner;
        let mut n = 0;
        while n < 16_384 {
            let run = owner[n..].iter().take_while(|other| **other == owner[n]).count();
            if let Some(index) = owner[n].and_then(|owner| indexes[owner]) {
                let range = SlotRange::new(slot(n as u16), slot((n + run - 1) as u16)).unwrap();
                map.add_range(range, Some(index)).unwrap();
            }
            n += run;
        }
        map.finish().unwrap();
        this
    }

    pub(super) fn map(&self) -> Map<'_> {
        Map::new(&self.head, &self.nodes, &self.ranges, &self.hosts, Some(&self.dense))
    }
}

pub(super) fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

fn hash(seed: u64, key: &str) -> u64 {
    key.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)) >> 7
}

fn reverse(index: u64, bits: u32) -> u64 {
    if bits == 0 { 0 } else { index.reverse_bits() >> (64 - bits) }
}

impl Cluster {
    pub(super) fn new(seed: u64, orders: &[Order], keys: u32, hot: bool) -> Self {
        let mut cluster = Self {
            servers: Vec::new(),
            owner: vec![None; 16_384],
            throughout: BTreeSet::new(),
            rand: Rand::new(seed),
            next_key: 0,
            hot,
        };
        for (n, &order) in orders.iter().enumerate() {
            let server = cluster.add_server(order);
            cluster.servers[server].epoch = n as u64 + 1;
        }
        let share = 16_384 / orders.len() + 1;
        for n in 0..16_384 {
            let owner = n / share;
            cluster.owner[n] = Some(owner);
            cluster.servers[owner].owns.insert(slot(n as u16));
        }
        for _ in 0..keys {
            cluster.add_key();
        }
        cluster.throughout = cluster.servers.iter().flat_map(|server| server.keys.iter().cloned()).collect();
        cluster
    }

    pub(super) fn add_server(&mut self, order: Order) -> usize {
        let index = self.servers.len();
        self.servers.push(Server {
            id: NodeId::from_bytes([index as u8 + 1; 20]),
            order,
            seed: u64::from(self.rand.next_u32()),
            epoch: 0,
            primary: true,
            alive: true,
            isolated: false,
            owns: SlotSet::EMPTY,
            out: BTreeMap::new(),
            into: BTreeMap::new(),
            keys: BTreeSet::new(),
            line: 0,
        });
        index
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        self.rand.below(n as u32) as usize
    }

    pub(super) fn max_epoch(&self) -> u64 {
        self.servers.iter().map(|server| server.epoch).max().unwrap_or(0)
    }

    /// A new key, at its slot's owner or, when the slot is on the move, at the target (the source answers ASK).
    pub(super) fn add_key(&mut self) {
        self.next_key += 1;
        // Some keys share tags, so that some slots hold many.
        let hot = self.hot || self.below(4) == 0;
        let key = match hot {
            true => format!("{{tag{}}}{}", self.below(5), self.next_key),
            false => format!("key:{}", self.next_key),
        };
        let n = Slot::of_key(key.as_bytes()).get();
        if let Some(owner) = self.owner[usize::from(n)] {
            let at = self.servers[owner].out.get(&n).copied().unwrap_or(owner);
            self.servers[at].keys.insert(key);
        }
    }

    pub(super) fn delete_key(&mut self) {
        let Some(key) = self.throughout.iter().next().cloned() else { return };
        self.lose_key(&key);
        for server in &mut self.servers {
            server.keys.remove(&key);
        }
    }

    fn lose_key(&mut self, key: &str) {
        self.throughout.remove(key);
    }

    fn keys_of(&self, server: usize, n: u16) -> Vec<String> {
        let keys = self.servers[server].keys.iter();
        keys.filter(|key| Slot::of_key(key.as_bytes()).get() == n).cloned().collect()
    }

    fn at_rest(&self, n: u16) -> bool {
        self.servers.iter().all(|server| !server.out.contains_key(&n) && !server.into.contains_key(&n))
    }

    fn usable(&self, server: usize) -> bool {
        let server = &self.servers[server];
        server.alive && server.primary && !server.isolated
    }

    fn target(&mut self, from: usize) -> Option<usize> {
        let to = self.below(self.servers.len());
        (to != from && self.usable(to) && self.usable(from)).then_some(to)
    }

    /// A slot that is worth moving: one with keys, mostly.
    fn some_slot(&mut self) -> u16 {
        let keys: Vec<_> = self.servers.iter().flat_map(|server| server.keys.iter()).collect();
        if keys.is_empty() {
            return 0;
        }
        let at = self.rand.below(keys.len() as u32) as usize;
        Slot::of_key(keys[at].as_bytes()).get()
    }

    fn bump(&mut self, server: usize) {
        let max = self.max_epoch();
        if self.servers[server].epoch < max {
            self.servers[server].epoch = max + 1;
        }
    }

    fn give(&mut self, n: u16, from: usize, to: usize) {
        self.servers[from].owns.remove(slot(n));
        self.servers[to].owns.insert(slot(n));
        self.owner[usize::from(n)] = Some(to);
        self.bump(to);
    }

    /// CLUSTER SETSLOT IMPORTING, MIGRATING.
    pub(super) fn open_migration(&mut self) {
        let n = self.some_slot();
        let Some(from) = self.owner[usize::from(n)] else { return };
        let Some(to) = self.target(from) else { return };
        if self.at_rest(n) {
            self.servers[to].into.insert(n, from);
            self.servers[from].out.insert(n, to);
        }
    }

    /// MIGRATE of one key of an open migration, or its end.
    pub(super) fn step_migration(&mut self) {
        let open: Vec<_> = self.open();
        if open.is_empty() {
            return;
        }
        let (n, from, to) = open[self.below(open.len())];
        if !self.usable(from) || !self.usable(to) {
            return;
        }
        let Some(key) = self.keys_of(from, n).into_iter().next() else {
            self.servers[from].out.remove(&n);
            self.servers[to].into.remove(&n);
            self.give(n, from, to);
            return;
        };
        self.servers[from].keys.remove(&key);
        self.servers[to].keys.insert(key);
    }

    pub(super) fn open(&self) -> Vec<(u16, usize, usize)> {
        let servers = self.servers.iter().enumerate();
        servers.flat_map(|(from, server)| server.out.iter().map(move |(&n, &to)| (n, from, to))).collect()
    }

    /// SETSLOT STABLE: what has moved cannot be read until it is brought back, which happens at once here.
    pub(super) fn abort_migration(&mut self) {
        let open = self.open();
        if open.is_empty() {
            return;
        }
        let (n, from, to) = open[self.below(open.len())];
        self.servers[from].out.remove(&n);
        self.servers[to].into.remove(&n);
        for key in self.keys_of(to, n) {
            self.lose_key(&key);
            self.servers[to].keys.remove(&key);
            self.servers[from].keys.insert(key);
        }
    }

    /// Atomic migration of one slot, or of a range.
    pub(super) fn atomic_migration(&mut self) {
        let n = self.some_slot();
        let Some(from) = self.owner[usize::from(n)] else { return };
        let Some(to) = self.target(from) else { return };
        let end = n.saturating_add([1, 300][self.below(2)]).min(16_384);
        let moves = |n: u16| self.owner[usize::from(n)] == Some(from) && self.at_rest(n);
        let slots: BTreeSet<u16> = (n..end).filter(|&n| moves(n)).collect();
        let leaves = |key: &String| slots.contains(&Slot::of_key(key.as_bytes()).get());
        let keys: Vec<_> = self.servers[from].keys.iter().filter(|key| leaves(key)).cloned().collect();
        for key in keys {
            self.servers[from].keys.remove(&key);
            self.servers[to].keys.insert(key);
        }
        for n in slots {
            self.give(n, from, to);
        }
    }

    /// A replica takes over. The old primary dies, becomes a replica, or does not know (`isolated`).
    pub(super) fn failover(&mut self) {
        let old = self.below(self.servers.len());
        if !self.usable(old) || self.servers[old].owns.is_empty() || self.servers.len() > 12 {
            return;
        }
        // Slots on the move: the marks stay with the shard.
        let order = self.servers[old].order;
        let new = self.add_server(order);
        let epoch = self.max_epoch() + 1;
        let (keys, owns) = (self.servers[old].keys.clone(), self.servers[old].owns.clone());
        let (out, into) = (self.servers[old].out.clone(), self.servers[old].into.clone());
        for server in &mut self.servers {
            for other in server.out.values_mut().chain(server.into.values_mut()) {
                *other = if *other == old { new } else { *other };
            }
        }
        for owner in self.owner.iter_mut().filter(|owner| **owner == Some(old)) {
            *owner = Some(new);
        }
        let server = &mut self.servers[new];
        (server.epoch, server.keys, server.owns, server.out, server.into) = (epoch, keys, owns, out, into);
        let fate = self.below(3);
        let others = (0..self.servers.len()).filter(|&other| other != old && self.usable(other)).count();
        let old = &mut self.servers[old];
        match fate {
            0 if others >= 2 => old.isolated = true,
            1 => old.alive = false,
            _ => demote(old),
        }
    }

    /// A new server takes all slots of `old`, which knows nothing of it, and whether it is cut off.
    pub(super) fn depose(&mut self, old: usize, cut_off: bool) {
        let new = self.add_server(self.servers[old].order);
        let epoch = self.max_epoch() + 1;
        let (keys, owns) = (self.servers[old].keys.clone(), self.servers[old].owns.clone());
        for owner in self.owner.iter_mut().filter(|owner| **owner == Some(old)) {
            *owner = Some(new);
        }
        let server = &mut self.servers[new];
        (server.epoch, server.keys, server.owns) = (epoch, keys, owns);
        self.servers[old].isolated = cut_off;
    }

    /// What can be read now counts from now on.
    pub(super) fn all_throughout(&mut self) {
        let owner = |key: &String| self.owner[Slot::of_key(key.as_bytes()).index()];
        let servers = self.servers.iter().enumerate();
        let keys = servers.flat_map(|(at, server)| server.keys.iter().filter(move |key| owner(key) == Some(at)));
        self.throughout = keys.cloned().collect();
    }

    /// The server keeps one slot; the next one gets its others.
    pub(super) fn own_only(&mut self, server: usize, only: u16) {
        for n in 0..16_384 {
            let to = if n == only { server } else { server + 1 };
            for (at, server) in self.servers.iter_mut().enumerate() {
                server.owns.remove(slot(n));
                if at == to {
                    server.owns.insert(slot(n));
                }
            }
            self.owner[usize::from(n)] = Some(to);
        }
    }

    /// One slot changes hands at once.
    pub(super) fn hand_over(&mut self, n: u16, from: usize, to: usize) {
        for key in self.keys_of(from, n) {
            self.servers[from].keys.remove(&key);
            self.servers[to].keys.insert(key);
        }
        self.give(n, from, to);
    }

    pub(super) fn insert(&mut self, server: usize, key: &str) {
        self.servers[server].keys.insert(key.into());
    }

    /// Isolated servers learn what happened.
    pub(super) fn heal(&mut self) {
        for server in self.servers.iter_mut().filter(|server| server.isolated) {
            demote(server);
        }
    }

    /// A new process with another hash seed, or only a lost connection.
    pub(super) fn reconnect(&mut self) -> NodeId {
        let at = self.below(self.servers.len());
        let restart = self.below(2) == 0;
        let seed = u64::from(self.rand.next_u32());
        let server = &mut self.servers[at];
        server.line += 1;
        if restart {
            server.seed = seed;
        }
        server.id
    }

    /// CLUSTER NODES, as this server sees it.
    pub(super) fn nodes(&self, at: usize) -> String {
        let me = &self.servers[at];
        let mut text = String::new();
        for (index, server) in self.servers.iter().enumerate() {
            let (role, flags) = if server.primary { ("master", "") } else { ("slave", "") };
            let failing =
                if index != at && (me.isolated || server.isolated || !server.alive) { ",fail?" } else { flags };
            let myself = if index == at { "myself," } else { "" };
            text += &format!(
                "{} 10.0.0.1:{}@1 {myself}{role}{failing} - 0 0 {} connected",
                server.id,
                7_100 + index,
                server.epoch
            );
            if me.isolated && index != at {
                // What it last knew of the others; only that they had slots matters.
                text += " 0";
            }
            for range in server.owns.ranges() {
                // An isolated server still owns, in its own view; a dead one nowhere.
                if index == at || (server.alive && !server.isolated && !me.isolated) {
                    text += &format!(" {}-{}", range.first().get(), range.last().get());
                }
            }
            if index == at {
                for (n, &to) in &server.out {
                    text += &format!(" [{n}->-{}]", self.servers[to].id);
                }
                for (n, &from) in &server.into {
                    text += &format!(" [{n}-<-{}]", self.servers[from].id);
                }
            }
            text.push('\n');
        }
        text
    }

    /// SCAN, as this server answers it now.
    pub(super) fn scan(&self, at: usize, cursor: u64, count: u64) -> (u64, Vec<String>) {
        let server = &self.servers[at];
        match server.order {
            Order::OneTable(bits) => {
                let mask = (1 << bits) - 1;
                let from = reverse(cursor & mask, bits);
                let end = (from + count).min(1 << bits);
                let place = |key: &String| reverse(hash(server.seed, key) & mask, bits);
                let keys = server.keys.iter().filter(|key| (from..end).contains(&place(key))).cloned().collect();
                (if end == 1 << bits { 0 } else { reverse(end, bits) }, keys)
            }
            Order::BySlot => {
                // Four buckets a slot; a page ends after `count` buckets with keys.
                let place = |key: &String| (Slot::of_key(key.as_bytes()).get(), reverse(hash(server.seed, key) & 3, 2));
                // The buckets of a table of 2^50, so that cursors are great.
                let from = ((cursor & 0x3fff) as u16, reverse(cursor >> 62, 2));
                let mut buckets: BTreeMap<_, Vec<String>> = BTreeMap::new();
                for key in server.keys.iter().filter(|key| place(key) >= from) {
                    buckets.entry(place(key)).or_default().push(key.clone());
                }
                let next = buckets.keys().nth(count as usize).copied();
                let keys = buckets.into_values().take(count as usize).flatten().collect();
                (next.map_or(0, |(n, bucket)| (reverse(bucket, 2) << 62) | u64::from(n)), keys)
            }
        }
    }
}

fn demote(server: &mut Server) {
    server.isolated = false;
    server.primary = false;
    server.owns = SlotSet::EMPTY;
    server.out.clear();
    server.into.clear();
    server.keys.clear();
}
