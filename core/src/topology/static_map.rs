//! A map that owns its tables.

use super::build::MapMut;
use super::map::{Map, MapHead, MapParts};
use super::node::Node;
use super::ranges::RangeEntry;
use super::reader::{Context, Mark, Reader, ReplyKind, WHOLE};
use super::{MovedCase, Rejection, moved_to};
use crate::addr::NodeAddr;
use crate::limits::Limits;
use crate::resp::{Level, Status, TokenState};
use crate::slot::Slot;

/// A slot map with tables of its own, for authors who use only this room: `NODES` nodes, `RANGES` range entries and
/// `HOSTS` bytes of host names. It keeps two sets of tables, one in use and one that replies are read into, so it
/// takes twice `48 * NODES + 4 * RANGES + HOSTS` bytes; const-constructible, so it can be a `static`.
///
/// ```
/// use slotwise::addr::NodeAddr;
/// use slotwise::slot::Slot;
/// use slotwise::topology::{Context, Owner, ReplyKind, StaticMap};
///
/// let reply = b"*1\r\n*3\r\n:0\r\n:16383\r\n\
///     *3\r\n$0\r\n\r\n:7000\r\n$40\r\n07c37dfeb235213a872192d90877d0cd55635b91\r\n";
/// let mut map = StaticMap::<4, 16, 128>::new();
/// map.apply(reply, ReplyKind::Slots, &Context::new(NodeAddr::new("10.0.0.7", 7000).unwrap())).unwrap();
///
/// let Owner::Node(node) = map.map().owner(Slot::of_key(b"foo")) else { panic!("covered") };
/// assert_eq!(map.map().addr(node), Some(NodeAddr::new("10.0.0.7", 7000).unwrap()));
/// ```
#[derive(Debug)]
pub struct StaticMap<const NODES: usize, const RANGES: usize, const HOSTS: usize> {
    sides: [Side<NODES, RANGES, HOSTS>; 2],
    /// Which side is in use, 0 or 1.
    current: usize,
}

#[derive(Debug)]
struct Side<const NODES: usize, const RANGES: usize, const HOSTS: usize> {
    head: MapHead,
    nodes: [Node; NODES],
    ranges: [RangeEntry; RANGES],
    hosts: [u8; HOSTS],
}

impl<const NODES: usize, const RANGES: usize, const HOSTS: usize> Side<NODES, RANGES, HOSTS> {
    const EMPTY: Self = Self {
        head: MapHead::new(),
        nodes: [Node::EMPTY; NODES],
        ranges: [RangeEntry::EMPTY; RANGES],
        hosts: [0; HOSTS],
    };

    fn map(&self) -> Map<'_> {
        Map::new(&self.head, &self.nodes, &self.ranges, &self.hosts, None)
    }

    fn map_mut(&mut self) -> MapMut<'_> {
        let Self { head, nodes, ranges, hosts } = self;
        MapMut::new(head, MapParts { nodes, ranges, hosts, dense: None })
    }
}

impl<const NODES: usize, const RANGES: usize, const HOSTS: usize> Default for StaticMap<NODES, RANGES, HOSTS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const NODES: usize, const RANGES: usize, const HOSTS: usize> StaticMap<NODES, RANGES, HOSTS> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { sides: [Side::EMPTY; 2], current: 0 }
    }

    /// The map in use.
    #[must_use]
    pub fn map(&self) -> Map<'_> {
        self.sides.get(self.current).map_or(Map::empty(), Side::map)
    }

    /// Reads a whole reply and makes it the map in use. Pushes in front of it are passed by.
    ///
    /// # Errors
    /// Any [`Rejection`]; the map in use then stays as it is.
    pub fn apply(&mut self, reply: &[u8], kind: ReplyKind, context: &Context<'_>) -> Result<(), Rejection> {
        self.apply_with_marks(reply, kind, context, &mut |_| {})
    }

    /// Like [`StaticMap::apply`], and hands the migration marks of a CLUSTER NODES reply to `on_mark`; they are worth
    /// nothing if the reply is rejected.
    ///
    /// # Errors
    /// As [`StaticMap::apply`].
    pub fn apply_with_marks(
        &mut self,
        reply: &[u8],
        kind: ReplyKind,
        context: &Context<'_>,
        on_mark: &mut dyn FnMut(Mark),
    ) -> Result<(), Rejection> {
        let mut levels = [Level::EMPTY; 16];
        let mut state = TokenState::new().with_whole(WHOLE);
        let mut tokens = state.reader(&mut levels, &Limits::DEFAULT, reply);
        let next = 1_usize.wrapping_sub(self.current);
        let [a, b] = &mut self.sides;
        let (current, staging) = if next == 0 { (b, a) } else { (a, b) };
        match Reader::new(kind).feed(&mut tokens, context, &mut staging.map_mut(), on_mark)? {
            Status::Complete(()) => {
                staging.head.follow(&current.head);
                self.current = next;
                Ok(())
            }
            Status::Incomplete => Err(Rejection::Incomplete),
        }
    }

    /// Applies `MOVED slot addr` to the map in use.
    pub fn moved(&mut self, slot: Slot, addr: NodeAddr<'_>) -> MovedCase {
        match self.sides.get_mut(self.current) {
            Some(side) => moved_to(&mut side.map_mut(), slot, addr),
            None => MovedCase::NoRoom,
        }
    }
}
