//! What differs between two maps, told without a copy of either.

use core::fmt;

use super::map::{Map, Owner};
use super::ranges::Runs;
use crate::ids::NodeId;
use crate::slot::{Slot, SlotRange};

/// One difference between two maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MapChange {
    /// The node is in the new map only.
    NodeNew(NodeId),
    /// The node is in the old map only.
    NodeGone(NodeId),
    /// Slots with another owner than before.
    Slots {
        /// The slots, as many in a row as changed alike.
        range: SlotRange,
        /// Who had them; `None` for nobody, or for somebody the map had no room for.
        from: Option<NodeId>,
        /// Who has them.
        to: Option<NodeId>,
    },
}

/// How much differs between two maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MapChanges {
    /// Nodes that are new.
    pub nodes_new: u16,
    /// Nodes that are gone.
    pub nodes_gone: u16,
    /// Ranges with another owner.
    pub ranges: u16,
    /// Slots in them.
    pub slots: u16,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    /// A topology reply replaced the one by the other.
    Replaced { old: Map<'a> },
    /// A redirect gave this slot, or with it every slot its node has now, to another node.
    Moved { slot: Slot, from: Option<NodeId>, to: NodeId, whole_shard: bool },
}

/// What differs between two maps: a view of both, computed as it is read, so it costs nothing unless it is looked at.
/// `Copy`; it borrows the maps' tables.
#[derive(Clone, Copy)]
pub struct MapDiff<'a> {
    new: Map<'a>,
    kind: Kind<'a>,
}

impl<'a> MapDiff<'a> {
    /// What `new` has that `old` had not, and the other way round.
    #[must_use]
    pub const fn between(old: Map<'a>, new: Map<'a>) -> Self {
        Self { new, kind: Kind::Replaced { old } }
    }

    /// What [`moved`](super::moved) changed: `slot`, or after a promotion every slot of the shard, went from one node to
    /// another. `new` is the map afterwards.
    #[must_use]
    pub const fn of_moved(new: Map<'a>, slot: Slot, from: Option<NodeId>, to: NodeId, whole_shard: bool) -> Self {
        Self { new, kind: Kind::Moved { slot, from, to, whole_shard } }
    }

    /// Every difference: new nodes, nodes that are gone, then slots in ascending order. Takes time linear in the sizes
    /// of both maps.
    #[must_use]
    pub fn changes(&self) -> MapChangeIter<'a> {
        let (old, step) = match self.kind {
            Kind::Replaced { old } => (old, Step::New(0)),
            Kind::Moved { .. } => (self.new, Step::Slots),
        };
        let (mut before, mut after) = (old.runs(), self.new.runs());
        let pair = (before.next(), after.next());
        MapChangeIter { diff: *self, old, step, before, after, pair }
    }

    /// How much differs.
    #[must_use]
    pub fn count(&self) -> MapChanges {
        let mut sum = MapChanges::default();
        for change in self.changes() {
            match change {
                MapChange::NodeNew(_) => sum.nodes_new = sum.nodes_new.saturating_add(1),
                MapChange::NodeGone(_) => sum.nodes_gone = sum.nodes_gone.saturating_add(1),
                MapChange::Slots { range, .. } => {
                    sum.ranges = sum.ranges.saturating_add(1);
                    sum.slots = sum.slots.saturating_add(range.len());
                }
            }
        }
        sum
    }

    /// Whether differences may be missing, because one of the maps had no room for all of its cluster.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        match self.kind {
            Kind::Replaced { old } => old.overflowed() || self.new.overflowed(),
            Kind::Moved { .. } => false,
        }
    }

    /// The new map.
    #[must_use]
    pub const fn map(&self) -> Map<'a> {
        self.new
    }
}

/// How much there is, and whether it was cut.
impl fmt::Debug for MapDiff<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapDiff").field("changes", &self.count()).field("cut", &self.is_cut()).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for MapDiff<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "MapDiff {{ changes: {}, cut: {} }}", self.count(), self.is_cut());
    }
}

type Run = (SlotRange, Owner);

#[derive(Clone, Copy, Debug)]
enum Step {
    New(usize),
    Gone(usize),
    Slots,
}

/// The differences of a [`MapDiff`]; from [`MapDiff::changes`].
#[derive(Clone, Debug)]
pub struct MapChangeIter<'a> {
    diff: MapDiff<'a>,
    old: Map<'a>,
    step: Step,
    before: Runs<'a>,
    after: Runs<'a>,
    /// What is left of the runs under comparison; both begin at the same slot.
    pair: (Option<Run>, Option<Run>),
}

impl MapChangeIter<'_> {
    /// The next range whose owners differ in two whole maps.
    fn replaced(&mut self) -> Option<MapChange> {
        loop {
            let (Some((old_range, old_owner)), Some((new_range, new_owner))) = self.pair else { return None };
            let last = old_range.last().min(new_range.last());
            self.pair = (
                rest(old_range, old_owner, last).or_else(|| self.before.next()),
                rest(new_range, new_owner, last).or_else(|| self.after.next()),
            );
            let (from, to) = (id_of(&self.old, old_owner), id_of(&self.diff.new, new_owner));
            if from != to {
                return Some(MapChange::Slots { range: SlotRange::new(new_range.first(), last)?, from, to });
            }
        }
    }

    /// The next range that a redirect moved.
    fn moved(&mut self, slot: Slot, from: Option<NodeId>, to: NodeId, whole_shard: bool) -> Option<MapChange> {
        loop {
            let (range, owner) = self.pair.1?;
            self.pair.1 = self.after.next();
            let mine = id_of(&self.diff.new, owner) == Some(to);
            let range = match whole_shard {
                true if mine => range,
                false if mine && range.contains(slot) => SlotRange::one(slot),
                _ => continue,
            };
            return Some(MapChange::Slots { range, from, to: Some(to) });
        }
    }
}

impl Iterator for MapChangeIter<'_> {
    type Item = MapChange;

    fn next(&mut self) -> Option<MapChange> {
        loop {
            match self.step {
                Step::New(at) => match nth_only_in(&self.diff.new, &self.old, at) {
                    Some((at, id)) => {
                        self.step = Step::New(at.saturating_add(1));
                        return Some(MapChange::NodeNew(id));
                    }
                    None => self.step = Step::Gone(0),
                },
                Step::Gone(at) => match nth_only_in(&self.old, &self.diff.new, at) {
                    Some((at, id)) => {
                        self.step = Step::Gone(at.saturating_add(1));
                        return Some(MapChange::NodeGone(id));
                    }
                    None => self.step = Step::Slots,
                },
                Step::Slots => {
                    return match self.diff.kind {
                        Kind::Replaced { .. } => self.replaced(),
                        Kind::Moved { slot, from, to, whole_shard } => self.moved(slot, from, to, whole_shard),
                    };
                }
            }
        }
    }
}

/// The first node from a place on that is in the one map and not in the other.
fn nth_only_in(map: &Map<'_>, other: &Map<'_>, from: usize) -> Option<(usize, NodeId)> {
    let mut rest = map.nodes().skip(from).map(|(at, node)| (at.index(), node.id()));
    rest.find(|(_, id)| other.find(id).is_none())
}

fn id_of(map: &Map<'_>, owner: Owner) -> Option<NodeId> {
    match owner {
        Owner::Node(at) => map.node(at).map(super::Node::id),
        Owner::Uncovered | Owner::Unknown => None,
    }
}

/// What is left of a run behind `last`.
fn rest(range: SlotRange, owner: Owner, last: Slot) -> Option<Run> {
    let next = Slot::new(last.get().saturating_add(1))?;
    Some((SlotRange::new(next, range.last())?, owner))
}
