//! The sorted-range layout: one entry per boundary.

use super::map::{Map, Owner};
use crate::slot::{Slot, SlotRange};

/// One boundary: from `first` up to the next entry's `first`, the slots belong to `node`. 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RangeEntry {
    pub(super) first: u16, // <= Slot::COUNT
    pub(super) node: u16,
}

/// Nobody serves the slots from here on.
pub(super) const UNCOVERED: u16 = u16::MAX;
/// Somebody does, but it was not kept who.
pub(super) const UNKNOWN: u16 = u16::MAX - 1;

impl RangeEntry {
    /// A free entry, to build a table with.
    pub const EMPTY: Self = Self { first: 0, node: UNCOVERED };

    pub(super) const fn new(first: u16, node: u16) -> Self {
        Self { first, node }
    }

    /// Order while sorting: by slot, an end before the start at the same slot.
    const fn key(self) -> u32 {
        ((self.first as u32) << 1) | (self.node != UNCOVERED) as u32
    }
}

/// Every slot once, as maximal runs with one owner, ascending; from [`Map::runs`].
#[derive(Clone, Debug)]
pub struct Runs<'a> {
    map: Map<'a>,
    /// The first slot not given yet.
    at: u16,
    /// The first range entry that begins behind `at`.
    entry: usize,
}

impl<'a> Runs<'a> {
    pub(super) const fn new(map: Map<'a>) -> Self {
        Self { map, at: 0, entry: 0 }
    }

    pub(super) fn from(map: Map<'a>, slot: Slot) -> Self {
        let entry = map.ranges.partition_point(|entry| entry.first <= slot.get());
        Self { map, at: slot.get(), entry }
    }

    /// The owner's code at `at` and where its run ends (exclusive).
    fn run(&mut self) -> (u16, u16) {
        let count = Slot::COUNT;
        match self.map.dense {
            Some(_) if self.map.head.stored == 0 => (UNCOVERED, count),
            Some(dense) => {
                let rest = dense.get(usize::from(self.at)..usize::from(count)).unwrap_or(&[]);
                let code = rest.first().copied().unwrap_or(UNCOVERED);
                let len = rest.iter().position(|other| *other != code).unwrap_or(rest.len());
                (code, self.at.saturating_add(len as u16))
            }
            None => {
                while self.map.ranges.get(self.entry).is_some_and(|entry| entry.first <= self.at) {
                    self.entry = self.entry.saturating_add(1);
                }
                let code = self.map.ranges.get(self.entry.wrapping_sub(1)).map_or(UNCOVERED, |entry| entry.node);
                (code, self.map.ranges.get(self.entry).map_or(count, |entry| entry.first.min(count)))
            }
        }
    }
}

impl Iterator for Runs<'_> {
    type Item = (SlotRange, Owner);

    fn next(&mut self) -> Option<Self::Item> {
        let first = Slot::new(self.at)?;
        let (code, end) = self.run();
        let end = end.max(self.at.saturating_add(1));
        self.at = end;
        let last = Slot::new(end.saturating_sub(1))?;
        Some((SlotRange::new(first, last)?, self.map.owner_of_code(code)))
    }
}

/// Sorts boundaries by slot. A heap sort: no panic paths, no recursion, n log n for any input.
pub(super) fn sort(entries: &mut [RangeEntry]) {
    let len = entries.len();
    for root in (0..len / 2).rev() {
        sift_down(entries, root, len);
    }
    for end in (1..len).rev() {
        swap(entries, 0, end);
        sift_down(entries, 0, end);
    }
}

fn sift_down(entries: &mut [RangeEntry], mut root: usize, end: usize) {
    let key = |entries: &[RangeEntry], at: usize| entries.get(at).map_or(0, |entry| entry.key());
    loop {
        let mut child = root.saturating_mul(2).saturating_add(1);
        if child >= end {
            return;
        }
        let right = child.saturating_add(1);
        if right < end && key(entries, right) > key(entries, child) {
            child = right;
        }
        if key(entries, root) >= key(entries, child) {
            return;
        }
        swap(entries, root, child);
        root = child;
    }
}

fn swap(entries: &mut [RangeEntry], a: usize, b: usize) {
    if let (Some(x), Some(y)) = (entries.get(a).copied(), entries.get(b).copied()) {
        if let Some(place) = entries.get_mut(a) {
            *place = y;
        }
        if let Some(place) = entries.get_mut(b) {
            *place = x;
        }
    }
}

/// What [`tidy`] left.
pub(super) struct Tidied {
    /// Entries in use, from the front.
    pub(super) len: usize,
    /// Slots the entries cover. Less than what was added means that ranges overlapped: the walk never counts a slot
    /// twice, and with disjoint ranges it counts each.
    pub(super) covered: u32,
}

/// Brings sorted boundaries into the one form look-ups and patches rely on: neighbours differ, no end where a start
/// follows at the same slot, nothing at or behind the last slot, no leading gap.
pub(super) fn tidy(entries: &mut [RangeEntry]) -> Tidied {
    let mut out = 0_usize;
    let mut covered = 0_u32;
    let mut open = RangeEntry::EMPTY; // the boundary written last; a gap before the first
    for at in 0..entries.len() {
        let Some(entry) = entries.get(at).copied() else { break };
        let end = entries.get(at.saturating_add(1)).map_or(Slot::COUNT, |next| next.first.min(Slot::COUNT));
        let len = end.saturating_sub(entry.first);
        if len == 0 {
            continue;
        }
        if entry.node != UNCOVERED {
            covered = covered.saturating_add(u32::from(len));
        }
        if entry.node == open.node {
            continue;
        }
        open = entry;
        if let Some(place) = entries.get_mut(out) {
            *place = entry;
            out = out.saturating_add(1);
        }
    }
    Tidied { len: out, covered }
}
