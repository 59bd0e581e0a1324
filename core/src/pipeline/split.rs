//! Cutting one command into one part for each slot.

use core::fmt;

use super::shape::Shape;
use crate::resp::Args;
use crate::slot::Slot;

/// The part table's entry for one key. 8 bytes.
#[derive(Clone, Copy, Debug)]
pub struct KeyPlace {
    /// The part that the key at this position is in.
    part: u16,
    /// The order of all keys by part: the position of the key that stands here in it.
    order: u32,
}

impl KeyPlace {
    /// What a table is filled with before use.
    pub const EMPTY: Self = Self { part: 0, order: 0 };
}

/// The part table's entry for one part. 16 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    slot: Slot,
    /// The table is also a hash table: first part whose slot hashes to this entry's index.
    bucket: u16,
    /// Next part with the same hash.
    chain: u16,
    /// Where in the order of keys this part's keys end, and how many they are: `count <= end`.
    end: u32,
    count: u32,
}

impl Part {
    /// What a table is filled with before use.
    pub const EMPTY: Self = Self { slot: Slot::masked(0), bucket: NONE, chain: NONE, end: 0, count: 0 };
}

const NONE: u16 = u16::MAX;

/// Most parts a command can have.
const MOST_PARTS: usize = Slot::COUNT as usize;

/// Why a command was not cut. Nothing was sent; the tables' content is of no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SplitError {
    /// There is no command name, or the command cannot be cut.
    NotSplittable,
    /// No keys, or a key without a value.
    Arity,
    /// More keys than the key table has entries.
    TooManyKeys {
        /// Entries needed.
        needed: usize,
    },
    /// Keys in more slots than the part table has entries. As many entries as keys (at most 16,384) always do.
    TooManyParts,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSplittable => f.write_str("this command cannot be split by slot"),
            Self::Arity => f.write_str("wrong number of arguments"),
            Self::TooManyKeys { needed } => write!(f, "the key table needs {needed} entries"),
            Self::TooManyParts => f.write_str("the keys are in more slots than the part table has entries"),
        }
    }
}

impl core::error::Error for SplitError {}

/// Cuts `args` by the slots of its keys. The keys of a part keep their order and their repeats (EXISTS and DEL count
/// repeats, the last value of a repeated MSET key wins); the parts stand in the order of their first keys.
///
/// Time is linear in the number of keys however they are spread: each key is hashed once, found in a hash table
/// inside `parts`, and sorted by counting. `parts` is best given as many entries as there are keys, up to 16,384.
///
/// # Errors
/// A [`SplitError`]; nothing else is touched but the two tables.
pub fn split<'a, A: Args + ?Sized>(
    args: &'a A,
    keys: &'a mut [KeyPlace],
    parts: &'a mut [Part],
) -> Result<Split<'a, A>, SplitError> {
    let shape = args.arg(0).and_then(Shape::of).ok_or(SplitError::NotSplittable)?;
    let needed = shape.keys(args.count()).ok_or(SplitError::Arity)?;
    let too_many = SplitError::TooManyKeys { needed };
    let total = u32::try_from(needed).map_err(|_| too_many)?;
    let keys = keys.get_mut(..needed).ok_or(too_many)?;
    let room = parts.len().min(MOST_PARTS).min(needed);
    let parts = parts.get_mut(..room).unwrap_or_default();

    for part in parts.iter_mut() {
        *part = Part::EMPTY;
    }
    let (mut used, mut at, step) = (0, 1, shape.step());
    for key in keys.iter_mut() {
        let slot = Slot::of_key(args.arg(at).ok_or(SplitError::Arity)?);
        key.part = enter(parts, &mut used, slot).ok_or(SplitError::TooManyParts)?;
        at += step;
    }
    // Sorting by counting: `end` begins at the part's first place and moves on with each key put there.
    let mut start = 0;
    for part in parts.iter_mut().take(usize::from(used)) {
        part.end = start;
        start += part.count;
    }
    for position in 0..total {
        let Some(key) = keys.get(position as usize) else { break };
        let Some(part) = parts.get_mut(usize::from(key.part)) else { break };
        let at = part.end;
        part.end = at + 1;
        if let Some(place) = keys.get_mut(at as usize) {
            place.order = position;
        }
    }
    let layout = Layout { shape, keys: total, parts: used };
    Ok(Split { layout, args, keys, parts })
}

/// Finds or makes the part of a slot and counts a key in it.
fn enter(parts: &mut [Part], used: &mut u16, slot: Slot) -> Option<u16> {
    let bucket = bucket(slot, parts.len());
    let first = parts.get(bucket)?.bucket;
    let mut at = first;
    while let Some(part) = parts.get_mut(usize::from(at)) {
        if part.slot == slot {
            part.count += 1;
            return Some(at);
        }
        at = part.chain;
    }
    let made = *used;
    let part = parts.get_mut(usize::from(made))?;
    part.slot = slot;
    part.chain = first;
    part.count = 1;
    parts.get_mut(bucket)?.bucket = made;
    *used = made + 1;
    Some(made)
}

/// Spreads the slots over `room` buckets. The factor is odd, so the first step is a permutation of all slots: at most
/// `16384 / room + 1` slots share a bucket, whoever chooses the keys, and neighbours do not. `room` is at most 16384.
fn bucket(slot: Slot, room: usize) -> usize {
    let mixed = u32::from(slot.get()).wrapping_mul(0x2545) & u32::from(Slot::COUNT - 1);
    (mixed as usize * room) >> Slot::COUNT.trailing_zeros()
}

/// The outcome of [`split`] without the borrows: for callers who keep arguments and tables in one place and come back
/// to them while the parts are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layout {
    shape: Shape,
    keys: u32,
    parts: u16,
}

impl Layout {
    /// The split again, over the arguments and tables that [`split`] was given. Other ones give other parts, or
    /// parts with arguments missing.
    #[must_use]
    pub fn view<'a, A: Args + ?Sized>(self, args: &'a A, keys: &'a [KeyPlace], parts: &'a [Part]) -> Split<'a, A> {
        Split { layout: self, args, keys, parts }
    }
}

/// A command cut by slot.
#[derive(Debug)]
pub struct Split<'a, A: ?Sized> {
    layout: Layout,
    args: &'a A,
    keys: &'a [KeyPlace],
    parts: &'a [Part],
}

impl<A: ?Sized> Clone for Split<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: ?Sized> Copy for Split<'_, A> {}

impl<'a, A: Args + ?Sized> Split<'a, A> {
    /// The same without the borrows.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// How many parts there are; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a split is never empty")]
    pub const fn len(&self) -> usize {
        self.layout.parts as usize
    }

    /// How many keys the command has, repeats included.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.layout.keys as usize
    }

    /// What kind of command it is, and with it how its answers are merged.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.layout.shape
    }

    /// One part.
    #[must_use]
    pub fn part(&self, index: usize) -> Option<PartView<'a, A>> {
        let part = self.parts.get(..self.len())?.get(index)?;
        let order = self.keys.get(part.end.checked_sub(part.count)? as usize..part.end as usize)?;
        Some(PartView { shape: self.layout.shape, args: self.args, slot: part.slot, order })
    }

    /// All parts, in the order of their first keys.
    pub fn parts(&self) -> impl Iterator<Item = PartView<'a, A>> + use<'a, A> {
        let split = *self;
        (0..split.len()).filter_map(move |index| split.part(index))
    }

    /// Which of the original keys stands at `nth` in part `index`: where its element of an MGET answer belongs.
    #[must_use]
    pub fn position(&self, index: usize, nth: usize) -> Option<usize> {
        self.part(index)?.position(nth)
    }
}

/// One part: a command for one slot. Its [`Args`] are the command's name and the part's keys (and values).
#[derive(Debug)]
pub struct PartView<'a, A: ?Sized> {
    shape: Shape,
    args: &'a A,
    slot: Slot,
    order: &'a [KeyPlace],
}

impl<A: ?Sized> Clone for PartView<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: ?Sized> Copy for PartView<'_, A> {}

impl<'a, A: Args + ?Sized> PartView<'a, A> {
    /// The slot of all its keys.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// How many keys it has.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.order.len()
    }

    /// Which of the original keys is its `nth`.
    #[must_use]
    pub fn position(&self, nth: usize) -> Option<usize> {
        self.order.get(nth).map(|place| place.order as usize)
    }

    /// Which of the original keys it has, counted from 0, in ascending order.
    pub fn positions(&self) -> impl Iterator<Item = usize> + use<'a, A> {
        self.order.iter().map(|place| place.order as usize)
    }
}

impl<A: Args + ?Sized> Args for PartView<'_, A> {
    fn count(&self) -> usize {
        1 + (self.order.len() << u32::from(self.shape.pairs))
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        let Some(rest) = index.checked_sub(1) else { return self.args.arg(0) };
        let (nth, value) = if self.shape.pairs { (rest >> 1, rest & 1) } else { (rest, 0) };
        self.args.arg(self.shape.key_at(self.position(nth)?) + value)
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
