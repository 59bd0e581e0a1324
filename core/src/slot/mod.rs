//! Slots: which of a cluster's 16,384 partitions a key belongs to.
//!
//! ```
//! use slotwise::slot::{Slot, SlotSet, hash_tag};
//!
//! assert_eq!(Slot::of_key(b"foo").get(), 12182);
//! assert_eq!(hash_tag(b"{user1000}.following"), b"user1000");
//! assert_eq!(Slot::of_key(b"{user1000}.following"), Slot::of_key(b"{user1000}.followers"));
//!
//! let mut set = SlotSet::new();
//! set.insert(Slot::of_key(b"foo"));
//! assert_eq!(set.len(), 1);
//! ```
//!
//! # Cost
//!
//! Two implementations of CRC16/XMODEM give the same numbers. Without the feature `fast-crc` a table of 512 bytes is
//! walked one byte at a time; with it eight tables of 512 bytes (4 KiB) take eight bytes a step. The search for the
//! hash tag's brace looks at eight bytes at a time in both.

mod crc16;
mod range;
mod set;
mod tag;

pub use crc16::crc16;
pub use range::{SlotRange, SlotRangeIter};
#[cfg(feature = "scan")]
pub(crate) use set::masks;
pub use set::{SlotSet, SlotSetRanges};
pub use tag::{hash_tag, tag_for};

use core::fmt;

/// One of the 16,384 hash slots (Redis cluster specification, "Key distribution model").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot(u16); // < COUNT

impl Slot {
    /// How many slots there are.
    pub const COUNT: u16 = 16_384;
    /// Slot 0.
    pub const FIRST: Self = Self(0);
    /// Slot 16383.
    pub const LAST: Self = Self(Self::COUNT - 1);

    /// Slot `n`, or `None` when there is no such slot.
    #[must_use]
    pub const fn new(n: u16) -> Option<Self> {
        if n < Self::COUNT { Some(Self(n)) } else { None }
    }

    /// The slot in the low 14 bits of `n`.
    #[must_use]
    pub const fn masked(n: u16) -> Self {
        Self(n & (Self::COUNT - 1))
    }

    /// The slot of a key: CRC16 of its hash tag, or of the whole key when it has none, modulo 16384.
    #[must_use]
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub fn of_key(key: &[u8]) -> Self {
        Self::masked(crc16(hash_tag(key)))
    }

    /// The slot's number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The slot's number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The slot after this one, `None` after the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<Slot> for u16 {
    fn from(slot: Slot) -> Self {
        slot.0
    }
}

#[cfg(test)]
mod tests;
