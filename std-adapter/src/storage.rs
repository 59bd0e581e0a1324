//! The engine's tables on the heap.

use slotwise::cluster::{ConnEntry, Need, Shared, SharedMap, Storage, Tables, Watch};
use slotwise::pipeline::Entry;
use slotwise::resp::Level;
use slotwise::topology::{MapParts, Node, RangeEntry};

/// Nesting levels of one connection's replies, as many as the core's default limit.
const DEPTH: usize = 128;
/// Nodes the maps hold from the start.
const NODES: usize = 2_000;
/// Bytes of host names per node.
const HOST_BYTES: usize = 64;
/// No connection.
const NONE: u32 = u32::MAX;

/// Tables that grow: commands and connections without bound of their own (the client bounds them), a dense slot
/// table for look-ups in one load.
#[derive(Debug)]
pub(crate) struct HeapStorage {
    maps: [HeapMap; 2],
    by_node: Vec<u32>,
    conns: Vec<ConnEntry>,
    commands: Vec<Entry>,
    levels: Vec<Level>,
}

#[derive(Debug)]
struct HeapMap {
    nodes: Vec<Node>,
    ranges: Vec<RangeEntry>,
    hosts: Vec<u8>,
    dense: Vec<u16>,
}

impl HeapMap {
    fn new() -> Self {
        Self {
            nodes: vec![Node::EMPTY; NODES],
            ranges: Vec::new(),
            hosts: vec![0; NODES * HOST_BYTES],
            dense: vec![0; 16_384],
        }
    }

    fn parts(&mut self) -> MapParts<'_> {
        MapParts {
            nodes: &mut self.nodes,
            ranges: &mut self.ranges,
            hosts: &mut self.hosts,
            dense: Some(&mut self.dense),
        }
    }

    fn shared(&self) -> SharedMap<'_> {
        SharedMap { nodes: &self.nodes, ranges: &self.ranges, hosts: &self.hosts, dense: Some(&self.dense) }
    }
}

impl HeapStorage {
    pub(crate) fn new() -> Self {
        let mut storage = Self {
            maps: [HeapMap::new(), HeapMap::new()],
            by_node: vec![NONE; NODES],
            conns: Vec::new(),
            commands: vec![Entry::EMPTY; 256],
            levels: Vec::new(),
        };
        storage.more_connections(8);
        storage
    }

    fn more_connections(&mut self, count: usize) {
        let total = self.conns.len() + count;
        self.conns.resize(total, ConnEntry::EMPTY);
        self.levels.resize(total * DEPTH, Level::EMPTY);
    }
}

impl Storage for HeapStorage {
    fn tables(&mut self) -> Tables<'_> {
        let [first, second] = &mut self.maps;
        Tables {
            maps: [first.parts(), second.parts()],
            by_node: &mut self.by_node,
            conns: &mut self.conns,
            commands: &mut self.commands,
            levels: &mut self.levels,
            depth: DEPTH,
            watch: Watch::NONE,
        }
    }

    fn shared(&self) -> Shared<'_> {
        let [first, second] = &self.maps;
        Shared { maps: [first.shared(), second.shared()], conns: &self.conns }
    }

    fn grow(&mut self, need: Need) -> bool {
        match need {
            Need::Command => self.commands.resize(self.commands.len() * 2, Entry::EMPTY),
            Need::Connection => self.more_connections(self.conns.len()),
        }
        true
    }

    fn memory_used(&self) -> usize {
        let map = |map: &HeapMap| {
            size_of_val(&*map.nodes) + size_of_val(&*map.ranges) + map.hosts.len() + size_of_val(&*map.dense)
        };
        self.maps.iter().map(map).sum::<usize>()
            + size_of_val(&*self.by_node)
            + size_of_val(&*self.conns)
            + size_of_val(&*self.commands)
            + size_of_val(&*self.levels)
    }
}
