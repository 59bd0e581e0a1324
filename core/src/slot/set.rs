//! A set of slots as a bitmap.

use core::fmt;

use super::{Slot, SlotRange};

const WORDS: usize = Slot::COUNT as usize / 64;

/// Any set of slots, in 2 KiB.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotSet {
    words: [u64; WORDS], // slot n is bit n % 64 of word n / 64
}

impl SlotSet {
    /// The empty set.
    pub const EMPTY: Self = Self { words: [0; WORDS] };
    /// The set of all 16,384 slots.
    pub const FULL: Self = Self { words: [u64::MAX; WORDS] };

    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self::EMPTY
    }

    /// Adds a slot; whether it was absent.
    pub fn insert(&mut self, slot: Slot) -> bool {
        let (word, bit) = place(slot);
        self.words.get_mut(word).is_some_and(|word| {
            let added = *word & bit == 0;
            *word |= bit;
            added
        })
    }

    /// Takes a slot out; whether it was present.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let (word, bit) = place(slot);
        self.words.get_mut(word).is_some_and(|word| {
            let removed = *word & bit != 0;
            *word &= !bit;
            removed
        })
    }

    /// Whether the slot is in the set.
    #[must_use]
    pub fn contains(&self, slot: Slot) -> bool {
        let (word, bit) = place(slot);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds every slot of the range.
    pub fn insert_range(&mut self, range: SlotRange) {
        self.each_word(range, |word, mask| *word |= mask);
    }

    /// Takes every slot of the range out.
    pub fn remove_range(&mut self, range: SlotRange) {
        self.each_word(range, |word, mask| *word &= !mask);
    }

    /// Whether every slot of the range is in the set.
    #[must_use]
    pub fn contains_range(&self, range: SlotRange) -> bool {
        self.next_absent(range.first()).is_none_or(|absent| absent > range.last())
    }

    /// Empties the set.
    pub fn clear(&mut self) {
        self.words = [0; WORDS];
    }

    /// How many slots are in the set, 0 to 16384.
    #[must_use]
    pub fn len(&self) -> u16 {
        self.words.iter().fold(0_u32, |sum, word| sum.saturating_add(word.count_ones())) as u16
    }

    /// Whether no slot is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Whether all 16,384 slots are in the set.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.words.iter().all(|&word| word == u64::MAX)
    }

    /// Adds every slot of `other`.
    pub fn union(&mut self, other: &Self) {
        self.zip(other, |mine, theirs| mine | theirs);
    }

    /// Takes every slot of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        self.zip(other, |mine, theirs| mine & !theirs);
    }

    /// Keeps only the slots that are also in `other`.
    pub fn intersect(&mut self, other: &Self) {
        self.zip(other, |mine, theirs| mine & theirs);
    }

    /// Whether the two sets share a slot.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(mine, theirs)| mine & theirs != 0)
    }

    /// How many slots of the range are in the set.
    #[must_use]
    pub fn count_in(&self, range: SlotRange) -> u16 {
        let ones = masks(range).map(|(index, mask)| (self.word(index) & mask).count_ones());
        ones.fold(0_u32, u32::saturating_add) as u16
    }

    /// Adds every slot of `other` that lies in the range.
    pub fn insert_from(&mut self, other: &Self, range: SlotRange) {
        for (index, mask) in masks(range) {
            self.join_word(index, other.word(index) & mask);
        }
    }

    /// Takes every slot of `other` that lies in the range out.
    pub fn remove_from(&mut self, other: &Self, range: SlotRange) {
        for (index, mask) in masks(range) {
            if let Some(word) = self.words.get_mut(index) {
                *word &= !(other.word(index) & mask);
            }
        }
    }

    /// The slot that `n` slots of the set lie below.
    #[must_use]
    pub fn nth(&self, n: u16) -> Option<Slot> {
        let mut left = u32::from(n);
        for (index, &word) in self.words.iter().enumerate() {
            let ones = word.count_ones();
            if left >= ones {
                left = left.saturating_sub(ones);
                continue;
            }
            let mut bits = word;
            while left > 0 {
                bits &= bits.wrapping_sub(1);
                left = left.saturating_sub(1);
            }
            return Slot::new(((index as u16) << 6) | bits.trailing_zeros() as u16);
        }
        None
    }

    /// 64 slots of the bitmap.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// Adds slots to one word of the bitmap.
    pub(crate) fn join_word(&mut self, index: usize, bits: u64) {
        if let Some(word) = self.words.get_mut(index) {
            *word |= bits;
        }
    }

    /// The lowest slot of the set.
    #[must_use]
    pub fn first(&self) -> Option<Slot> {
        self.next_from(Slot::FIRST)
    }

    /// The lowest slot of the set that is not below `slot`.
    #[must_use]
    pub fn next_from(&self, slot: Slot) -> Option<Slot> {
        self.seek(slot, |word| word)
    }

    /// The lowest slot outside the set that is not below `slot`.
    #[must_use]
    pub fn next_absent(&self, slot: Slot) -> Option<Slot> {
        self.seek(slot, |word| !word)
    }

    /// The set as ranges, ascending, none touching the next.
    #[must_use]
    pub const fn ranges(&self) -> SlotSetRanges<'_> {
        SlotSetRanges { set: self, from: Some(Slot::FIRST) }
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.ranges().flatten()
    }

    /// The bitmap: slot `n` is bit `n % 64` of word `n / 64`.
    #[must_use]
    pub const fn as_words(&self) -> &[u64; WORDS] {
        &self.words
    }

    /// The set of a bitmap as [`SlotSet::as_words`] gives it.
    #[must_use]
    pub const fn from_words(words: [u64; WORDS]) -> Self {
        Self { words }
    }

    fn seek(&self, slot: Slot, view: impl Fn(u64) -> u64) -> Option<Slot> {
        let start = slot.index() >> 6;
        let mut mask = u64::MAX << (slot.get() & 63);
        for (index, &word) in self.words.iter().enumerate().skip(start) {
            let bits = view(word) & mask;
            if bits != 0 {
                return Slot::new(((index as u16) << 6) | bits.trailing_zeros() as u16);
            }
            mask = u64::MAX;
        }
        None
    }

    fn each_word(&mut self, range: SlotRange, apply: impl Fn(&mut u64, u64)) {
        for (index, mask) in masks(range) {
            if let Some(word) = self.words.get_mut(index) {
                apply(word, mask);
            }
        }
    }

    fn zip(&mut self, other: &Self, join: impl Fn(u64, u64) -> u64) {
        for (mine, &theirs) in self.words.iter_mut().zip(&other.words) {
            *mine = join(*mine, theirs);
        }
    }
}

/// The words of the bitmap that the range touches, and which of their bits.
pub(crate) fn masks(range: SlotRange) -> impl Iterator<Item = (usize, u64)> {
    let (first, last) = (range.first().index() >> 6, range.last().index() >> 6);
    (first..=last).map(move |index| {
        let low = if index == first { u64::MAX << (range.first().get() & 63) } else { u64::MAX };
        let high = if index == last { u64::MAX >> (63 - (range.last().get() & 63)) } else { u64::MAX };
        (index, low & high)
    })
}

const fn place(slot: Slot) -> (usize, u64) {
    (slot.index() >> 6, 1 << (slot.get() & 63))
}

impl Default for SlotSet {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl From<SlotRange> for SlotSet {
    fn from(range: SlotRange) -> Self {
        let mut set = Self::EMPTY;
        set.insert_range(range);
        set
    }
}

impl Extend<Slot> for SlotSet {
    fn extend<I: IntoIterator<Item = Slot>>(&mut self, slots: I) {
        for slot in slots {
            self.insert(slot);
        }
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::EMPTY;
        set.extend(slots);
        set
    }
}

impl fmt::Debug for SlotSet {
    /// Its ranges, as `{0-5460, 7}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.ranges().map(DisplayAsDebug)).finish()
    }
}

struct DisplayAsDebug(SlotRange);

impl fmt::Debug for DisplayAsDebug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for SlotSet {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "SlotSet({=u16} slots)", self.len());
    }
}

/// The ranges of a [`SlotSet`], ascending, none touching the next.
#[derive(Clone, Debug)]
pub struct SlotSetRanges<'a> {
    set: &'a SlotSet,
    from: Option<Slot>, // where to look for the next range; None at the end
}

impl Iterator for SlotSetRanges<'_> {
    type Item = SlotRange;

    fn next(&mut self) -> Option<SlotRange> {
        let first = self.set.next_from(self.from?)?;
        self.from = self.set.next_absent(first);
        let last = match self.from {
            Some(absent) => Slot::masked(absent.get().wrapping_sub(1)),
            None => Slot::LAST,
        };
        SlotRange::new(first, last)
    }
}
