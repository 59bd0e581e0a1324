//! An engine's tables as one value of fixed size.

#[cfg(all(target_pointer_width = "32", not(feature = "streamed")))]
use crate::cluster::Cluster;
use crate::cluster::conn::ConnEntry;
use crate::cluster::storage::{Shared, SharedMap, Storage, Tables};
use crate::cluster::watch::Watch;
use crate::pipeline::{Entry, NONE};
use crate::resp::Level;
use crate::topology::{MapParts, Node, RangeEntry};

/// Tables of fixed size, for a `static` or the stack of a `main` that never returns.
///
/// - `NODES`: nodes of the map, primaries and replicas (twice).
/// - `RANGES`: ranges of the map and gaps between them (4 bytes each, twice).
/// - `HOSTS`: bytes of host names and addresses (twice).
/// - `CONNS`: connections: one for each node that gets commands (replicas too where they answer reads), one for a seed,
///   [`Config::max_leases`](super::Config::max_leases), and one more for each node with subscriptions. A connection is
///   kept for as long as its node is in the map, however idle, and none is closed to make room: with fewer entries than
///   that, commands for the nodes that came last wait for one that ends, or end as `NotSent` at their deadline.
/// - `COMMANDS`: commands between submission and outcome, and two for the engine's own.
/// - `LEVELS`: nesting levels of replies over all connections: `CONNS` times the depth wanted for each.
///
/// What an engine over it takes in bytes, receive buffers and secrets not counted:
///
/// | for each | 32-bit pointers | 64-bit pointers |
/// |---|---|---|
/// | node | 84 | 100 |
/// | range | 8 | 8 |
/// | byte of host names | 2 | 2 |
/// | connection | 192 | 224 |
/// | command | 40 | 48 |
/// | level | 8 | 8 |
/// | engine | 696 | 912 |
///
/// So 4 nodes, 64 ranges, 96 bytes of names, 4 connections, 34 commands (two for the engine's own) and 7 levels for each
/// connection make 4,088 bytes on a device with 32-bit pointers, and 3 nodes, 16 ranges, 64 bytes of names, 3
/// connections, 8 commands and 4 levels for each connection 2,200. The figures hold for the default features; `streamed` adds to connections.
#[derive(Debug)]
pub struct StaticStorage<
    const NODES: usize,
    const RANGES: usize,
    const HOSTS: usize,
    const CONNS: usize,
    const COMMANDS: usize,
    const LEVELS: usize,
> {
    maps: [StaticMapTables<NODES, RANGES, HOSTS>; 2],
    by_node: [u32; NODES],
    conns: [ConnEntry; CONNS],
    commands: [Entry; COMMANDS],
    levels: [Level; LEVELS],
}

/// The figures above, held by the compiler where it builds for a device.
#[cfg(all(target_pointer_width = "32", not(feature = "streamed")))]
const _: () = {
    assert!(size_of::<Cluster<StaticStorage<4, 64, 96, 4, 34, 28>>>() <= 4_088);
    assert!(size_of::<Cluster<StaticStorage<3, 16, 64, 3, 8, 12>>>() <= 2_200);
};

#[derive(Debug)]
struct StaticMapTables<const NODES: usize, const RANGES: usize, const HOSTS: usize> {
    nodes: [Node; NODES],
    ranges: [RangeEntry; RANGES],
    hosts: [u8; HOSTS],
}

impl<const NODES: usize, const RANGES: usize, const HOSTS: usize> StaticMapTables<NODES, RANGES, HOSTS> {
    const EMPTY: Self = Self { nodes: [Node::EMPTY; NODES], ranges: [RangeEntry::EMPTY; RANGES], hosts: [0; HOSTS] };

    fn parts(&mut self) -> MapParts<'_> {
        MapParts { nodes: &mut self.nodes, ranges: &mut self.ranges, hosts: &mut self.hosts, dense: None }
    }

    fn shared(&self) -> SharedMap<'_> {
        SharedMap { nodes: &self.nodes, ranges: &self.ranges, hosts: &self.hosts, dense: None }
    }
}

impl<
    const NODES: usize,
    const RANGES: usize,
    const HOSTS: usize,
    const CONNS: usize,
    const COMMANDS: usize,
    const LEVELS: usize,
> StaticStorage<NODES, RANGES, HOSTS, CONNS, COMMANDS, LEVELS>
{
    const DEPTH: usize = {
        assert!(CONNS > 0 && LEVELS >= CONNS, "each connection needs at least one level");
        LEVELS / CONNS
    };

    /// Empty tables.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            maps: [StaticMapTables::EMPTY; 2],
            by_node: [NONE; NODES],
            conns: [ConnEntry::EMPTY; CONNS],
            commands: [Entry::EMPTY; COMMANDS],
            levels: [Level::EMPTY; LEVELS],
        }
    }
}

impl<
    const NODES: usize,
    const RANGES: usize,
    const HOSTS: usize,
    const CONNS: usize,
    const COMMANDS: usize,
    const LEVELS: usize,
> Default for StaticStorage<NODES, RANGES, HOSTS, CONNS, COMMANDS, LEVELS>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<
    const NODES: usize,
    const RANGES: usize,
    const HOSTS: usize,
    const CONNS: usize,
    const COMMANDS: usize,
    const LEVELS: usize,
> Storage for StaticStorage<NODES, RANGES, HOSTS, CONNS, COMMANDS, LEVELS>
{
    fn tables(&mut self) -> Tables<'_> {
        let [first, second] = &mut self.maps;
        Tables {
            maps: [first.parts(), second.parts()],
            by_node: &mut self.by_node,
            conns: &mut self.conns,
            commands: &mut self.commands,
            levels: &mut self.levels,
            depth: Self::DEPTH,
            watch: Watch::NONE,
        }
    }

    fn shared(&self) -> Shared<'_> {
        let [first, second] = &self.maps;
        Shared { maps: [first.shared(), second.shared()], conns: &self.conns }
    }

    fn memory_used(&self) -> usize {
        size_of::<Self>()
    }
}
