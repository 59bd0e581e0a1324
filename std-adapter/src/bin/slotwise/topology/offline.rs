//! A topology from a captured reply.

use std::ffi::OsStr;
use std::fmt;

use slotwise::addr::NodeAddr;
use slotwise::limits::Limits;
use slotwise::resp::{Level, Status, TokenState};
use slotwise::slot::Slot;
use slotwise::topology::{
    Context, MAX_NODES, Map, MapHead, MapMut, MapParts, Mark, Node, RangeEntry, Reader, Rejection, WHOLE,
};

use super::Kind;
use crate::exit::Failure;
use crate::input::Source;

/// A slot map in memory of its own.
pub(crate) struct Snapshot {
    head: MapHead,
    nodes: Vec<Node>,
    ranges: Vec<RangeEntry>,
    hosts: Vec<u8>,
    dense: Vec<u16>,
    marks: Vec<Mark>,
}

/// Why a captured reply gives no topology.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The reader's reason.
    Reply(Rejection),
    /// So many bytes follow the reply.
    TrailingBytes(usize),
}

impl Refusal {
    /// The word for JSON.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Reply(rejection) => rejection.name(),
            Self::TrailingBytes(_) => "trailing_bytes",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(rejection) => rejection.fmt(f),
            Self::TrailingBytes(n) => write!(f, "{n} bytes follow the reply"),
        }
    }
}

impl Snapshot {
    /// Memory for the map of any reply of `len` bytes: a node takes more than 8 bytes of it, and with the dense table
    /// there is no bound on ranges.
    fn sized_for(len: usize) -> Self {
        Self {
            head: MapHead::new(),
            nodes: vec![Node::EMPTY; (len / 8 + 16).min(MAX_NODES)],
            ranges: Vec::new(),
            hosts: vec![0; 2 * len + 4096],
            dense: vec![0; usize::from(Slot::COUNT)],
            marks: Vec::new(),
        }
    }

    /// The map.
    pub(crate) fn map(&self) -> Map<'_> {
        Map::new(&self.head, &self.nodes, &self.ranges, &self.hosts, Some(&self.dense))
    }

    /// The migration marks of a CLUSTER NODES reply.
    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The map of a reply that `answered_by` gave.
    pub(crate) fn of(kind: Kind, reply: &[u8], answered_by: NodeAddr<'_>) -> Result<Self, Refusal> {
        let mut snapshot = Self::sized_for(reply.len());
        snapshot.fill(kind, reply, answered_by).map(|()| snapshot)
    }

    /// Takes over what another node says of its own migrations.
    pub(crate) fn add_marks(&mut self, marks: &[Mark]) {
        for mark in marks {
            if !self.marks.contains(mark) {
                self.marks.push(*mark);
            }
        }
    }

    fn fill(&mut self, kind: Kind, reply: &[u8], answered_by: NodeAddr<'_>) -> Result<(), Refusal> {
        let parts = MapParts {
            nodes: &mut self.nodes,
            ranges: &mut self.ranges,
            hosts: &mut self.hosts,
            dense: Some(&mut self.dense),
        };
        let mut map = MapMut::new(&mut self.head, parts);
        let mut levels = [Level::EMPTY; Limits::DEFAULT.depth as usize];
        let mut state = TokenState::new().with_whole(WHOLE);
        let mut tokens = state.reader(&mut levels, &Limits::DEFAULT, reply);
        let marks = &mut self.marks;
        let mut reader = Reader::new(kind.into());
        let read = reader.feed(&mut tokens, &Context::new(answered_by), &mut map, &mut |mark| marks.push(mark));
        match read.map_err(Refusal::Reply)? {
            Status::Incomplete => Err(Refusal::Reply(Rejection::Incomplete)),
            Status::Complete(()) if tokens.consumed() < reply.len() => {
                Err(Refusal::TrailingBytes(reply.len() - tokens.consumed()))
            }
            Status::Complete(()) => Ok(()),
        }
    }
}

/// Reads the reply in the file as one that `answered_by` gave.
pub(crate) fn read(path: &OsStr, kind: Kind, answered_by: &str) -> Result<Result<Snapshot, Refusal>, Failure> {
    let answered_by = NodeAddr::parse(answered_by.as_bytes())
        .map_err(|error| Failure::Usage(format!("--answered-by takes HOST:PORT: {error}")))?;
    let reply = Source::open(Some(path), "a reply")?.read_to_end()?;
    Ok(Snapshot::of(kind, &reply, answered_by))
}
