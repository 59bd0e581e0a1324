//! Where the engine's tables lie. The engine is compiled once, over lent slices; a storage owns them.

use crate::cluster::conn::ConnEntry;
use crate::cluster::watch::Watch;
use crate::pipeline::Entry;
use crate::resp::Level;
use crate::topology::{Map, MapHead, MapParts, Node, RangeEntry};

/// One engine's memory, lent for the length of a call.
pub struct Tables<'a> {
    /// Two maps: the one that serves, and the one a topology reply is read into.
    pub maps: [MapParts<'a>; 2],
    /// For each node of the map, the index of its shared connection. As long as a map's node table.
    pub by_node: &'a mut [u32],
    /// Connections.
    pub conns: &'a mut [ConnEntry],
    /// Commands, the engine's own frames and tombstones.
    pub commands: &'a mut [Entry],
    /// Nesting levels: `depth` for each connection.
    pub levels: &'a mut [Level],
    /// Nesting levels of one connection, at least 1.
    pub depth: usize,
    /// Who is told what the engine does: [`Watch::NONE`], or what [`Watched`](crate::cluster::Watched) puts here.
    pub watch: Watch<'a>,
}

/// What was too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Need {
    /// One more command entry.
    Command,
    /// One more connection entry (and its levels).
    Connection,
}

/// Owns (or borrows) an engine's tables.
///
/// The tables keep their contents between calls. They may grow when [`Storage::grow`] is called, and never shrink.
pub trait Storage {
    /// Lends the tables.
    fn tables(&mut self) -> Tables<'_>;

    /// Lends what the getters read.
    fn shared(&self) -> Shared<'_>;

    /// Makes room if it can; says whether it did.
    fn grow(&mut self, need: Need) -> bool {
        let _ = need;
        false
    }

    /// Bytes the tables take.
    fn memory_used(&self) -> usize;
}

/// A lent storage serves as well, so that large tables can lie in a `static` that is never copied.
impl<S: Storage + ?Sized> Storage for &mut S {
    fn tables(&mut self) -> Tables<'_> {
        (**self).tables()
    }

    fn shared(&self) -> Shared<'_> {
        (**self).shared()
    }

    fn grow(&mut self, need: Need) -> bool {
        (**self).grow(need)
    }

    fn memory_used(&self) -> usize {
        (**self).memory_used()
    }
}

/// The tables as the getters see them.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    /// Both maps.
    pub maps: [SharedMap<'a>; 2],
    /// Connections.
    pub conns: &'a [ConnEntry],
}

/// One map's tables as the getters see them.
#[derive(Clone, Copy)]
pub struct SharedMap<'a> {
    /// Nodes.
    pub nodes: &'a [Node],
    /// Ranges.
    pub ranges: &'a [RangeEntry],
    /// Host names.
    pub hosts: &'a [u8],
    /// Dense owners, if kept.
    pub dense: Option<&'a [u16]>,
}

impl<'a> SharedMap<'a> {
    pub(crate) fn with(&self, head: &MapHead) -> Map<'a> {
        Map::new(head, self.nodes, self.ranges, self.hosts, self.dense)
    }
}
