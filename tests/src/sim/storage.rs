//! An engine's tables, of the sizes a run asks for.

use slotwise::cluster::{ConnEntry, Need, Shared, SharedMap, Storage, Tables, Watch};
use slotwise::pipeline::Entry;
use slotwise::resp::Level;
use slotwise::topology::{MapParts, Node, RangeEntry};

/// Sizes of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Nodes of a map.
    pub nodes: u16,
    /// Ranges of a map; with a dense table instead if 0.
    pub ranges: u16,
    /// Connections to begin with, and at most.
    pub conns: (u16, u16),
    /// Commands to begin with, and at most.
    pub commands: (u16, u16),
    /// Nesting levels of a reply.
    pub depth: u8,
}

/// Tables that grow up to a bound.
#[derive(Debug)]
pub struct SimStorage {
    sizes: Sizes,
    maps: [MapTables; 2],
    by_node: Vec<u32>,
    conns: Vec<ConnEntry>,
    commands: Vec<Entry>,
    levels: Vec<Level>,
}

#[derive(Debug)]
struct MapTables {
    nodes: Vec<Node>,
    ranges: Vec<RangeEntry>,
    hosts: Vec<u8>,
    dense: Option<Vec<u16>>,
}

impl MapTables {
    fn new(sizes: &Sizes) -> Self {
        let nodes = usize::from(sizes.nodes);
        Self {
            nodes: vec![Node::EMPTY; nodes],
            ranges: vec![RangeEntry::EMPTY; usize::from(sizes.ranges)],
            hosts: vec![0; nodes * 64],
            dense: (sizes.ranges == 0).then(|| vec![0; 16_384]),
        }
    }

    fn parts(&mut self) -> MapParts<'_> {
        let dense = self.dense.as_deref_mut();
        MapParts { nodes: &mut self.nodes, ranges: &mut self.ranges, hosts: &mut self.hosts, dense }
    }

    fn shared(&self) -> SharedMap<'_> {
        SharedMap { nodes: &self.nodes, ranges: &self.ranges, hosts: &self.hosts, dense: self.dense.as_deref() }
    }
}

impl SimStorage {
    /// Empty tables.
    #[must_use]
    pub fn new(sizes: Sizes) -> Self {
        let conns = usize::from(sizes.conns.0);
        Self {
            maps: [MapTables::new(&sizes), MapTables::new(&sizes)],
            by_node: vec![u32::MAX; usize::from(sizes.nodes)],
            conns: vec![ConnEntry::EMPTY; conns],
            commands: vec![Entry::EMPTY; usize::from(sizes.commands.0)],
            levels: vec![Level::EMPTY; conns * usize::from(sizes.depth)],
            sizes,
        }
    }
}

impl Storage for SimStorage {
    fn tables(&mut self) -> Tables<'_> {
        let [first, second] = &mut self.maps;
        Tables {
            maps: [first.parts(), second.parts()],
            by_node: &mut self.by_node,
            conns: &mut self.conns,
            commands: &mut self.commands,
            levels: &mut self.levels,
            depth: usize::from(self.sizes.depth),
            watch: Watch::NONE,
        }
    }

    fn shared(&self) -> Shared<'_> {
        let [first, second] = &self.maps;
        Shared { maps: [first.shared(), second.shared()], conns: &self.conns }
    }

    fn grow(&mut self, need: Need) -> bool {
        let (now, most) = match need {
            Need::Connection => (self.conns.len(), self.sizes.conns.1),
            Need::Command => (self.commands.len(), self.sizes.commands.1),
        };
        let next = (now * 2).min(usize::from(most));
        match need {
            Need::Connection => {
                self.conns.resize(next.max(now), ConnEntry::EMPTY);
                self.levels.resize(self.conns.len() * usize::from(self.sizes.depth), Level::EMPTY);
            }
            Need::Command => self.commands.resize(next.max(now), Entry::EMPTY),
        }
        next > now
    }

    fn memory_used(&self) -> usize {
        let map = |map: &MapTables| {
            let dense = map.dense.as_deref().map_or(0, size_of_val);
            size_of_val(&*map.nodes) + size_of_val(&*map.ranges) + map.hosts.len() + dense
        };
        self.maps.iter().map(map).sum::<usize>()
            + size_of_val(&*self.by_node)
            + size_of_val(&*self.conns)
            + size_of_val(&*self.commands)
            + size_of_val(&*self.levels)
    }
}
