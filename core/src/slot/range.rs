//! Inclusive ranges of slots.

use core::fmt;

use super::Slot;

/// The slots from `first` to `last`, both included, as topology replies give them. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SlotRange {
    first: Slot,
    last: Slot, // >= first
}

impl SlotRange {
    /// All 16,384 slots.
    pub const ALL: Self = Self { first: Slot::FIRST, last: Slot::LAST };

    /// The range from `first` to `last`, or `None` when `last` comes before `first`.
    #[must_use]
    pub const fn new(first: Slot, last: Slot) -> Option<Self> {
        if first.get() <= last.get() { Some(Self { first, last }) } else { None }
    }

    /// The range of one slot.
    #[must_use]
    pub const fn one(slot: Slot) -> Self {
        Self { first: slot, last: slot }
    }

    /// The lowest slot.
    #[must_use]
    pub const fn first(self) -> Slot {
        self.first
    }

    /// The highest slot.
    #[must_use]
    pub const fn last(self) -> Slot {
        self.last
    }

    /// How many slots, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub const fn len(self) -> u16 {
        self.last.get() - self.first.get() + 1
    }

    /// Whether `slot` lies in the range.
    #[must_use]
    pub const fn contains(self, slot: Slot) -> bool {
        self.first.get() <= slot.get() && slot.get() <= self.last.get()
    }

    /// The slots that the two ranges share, if there are any.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Option<Self> {
        let first = if self.first.get() > other.first.get() { self.first } else { other.first };
        let last = if self.last.get() < other.last.get() { self.last } else { other.last };
        Self::new(first, last)
    }

    /// Whether the two ranges share a slot.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.first.get() <= other.last.get() && other.first.get() <= self.last.get()
    }

    /// The slots in ascending order.
    #[must_use]
    pub const fn iter(self) -> SlotRangeIter {
        SlotRangeIter { next: Some(self.first), last: self.last }
    }
}

impl IntoIterator for SlotRange {
    type Item = Slot;
    type IntoIter = SlotRangeIter;

    fn into_iter(self) -> SlotRangeIter {
        self.iter()
    }
}

impl fmt::Display for SlotRange {
    /// `0-5460`, or `7` for one slot, as servers print them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// The slots of a [`SlotRange`] in ascending order.
#[derive(Clone, Debug)]
pub struct SlotRangeIter {
    next: Option<Slot>, // None once the last was given
    last: Slot,
}

impl Iterator for SlotRangeIter {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        let slot = self.next?;
        self.next = if slot < self.last { slot.next() } else { None };
        Some(slot)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.next.map_or(0, |next| self.last.index().saturating_sub(next.index()).saturating_add(1));
        (left, Some(left))
    }
}

impl ExactSizeIterator for SlotRangeIter {}
