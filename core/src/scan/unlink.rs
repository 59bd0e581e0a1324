//! Deleting what a scan found: keys collected into a window and given back as UNLINK commands of one slot each.

use crate::resp::Args;
use crate::slot::Slot;
use core::fmt;

/// A key in a window; 12 bytes of the caller's memory each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnlinkKey {
    start: u32, // start + len <= bytes used
    len: u32,
    slot: u16, // < 16384
}

impl UnlinkKey {
    /// A place without a key.
    pub const EMPTY: Self = Self { start: 0, len: 0, slot: 0 };

    fn order(self) -> (u16, u32) {
        (self.slot, self.start)
    }

    fn text(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(self.start as usize..)?.get(..self.len as usize)
    }
}

/// Why a key was not taken into a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UnlinkError {
    /// There is no room left, or commands were already taken: send the commands, then [`UnlinkBatch::clear`] the window.
    Full,
    /// The key is longer than the whole window.
    TooLong,
}

impl fmt::Display for UnlinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the window of keys is full",
            Self::TooLong => "the key is longer than the window",
        })
    }
}

impl core::error::Error for UnlinkError {}

/// A window of keys to delete, in memory of the caller's: it bounds what is in flight.
///
/// [`push`](Self::push) keys until it is full, then take commands from [`command`](Self::command) until there is none, send
/// each (their order does not matter), and [`clear`](Self::clear) the window when their bytes are no longer needed.
/// All keys of a command hash to one slot, so it is routed like any keyed command and cannot fail with CROSSSLOT. Its
/// reply is the number of keys that were there.
#[derive(Debug)]
pub struct UnlinkBatch<'b> {
    bytes: &'b mut [u8],
    keys: &'b mut [UnlinkKey],
    used: usize,  // <= bytes.len(), <= u32::MAX
    len: usize,   // <= keys.len()
    taken: usize, // <= len
    sorted: bool,
}

impl<'b> UnlinkBatch<'b> {
    /// An empty window for as many keys as there are places in `keys`, whose texts share `bytes`.
    #[must_use]
    pub fn new(bytes: &'b mut [u8], keys: &'b mut [UnlinkKey]) -> Self {
        Self { bytes, keys, used: 0, len: 0, taken: 0, sorted: false }
    }

    /// Copies a key into the window.
    ///
    /// # Errors
    /// [`UnlinkError`]; the window is unchanged.
    pub fn push(&mut self, key: &[u8]) -> Result<(), UnlinkError> {
        if key.len() > self.bytes.len() || self.keys.is_empty() {
            return Err(UnlinkError::TooLong);
        }
        if self.sorted {
            return Err(UnlinkError::Full);
        }
        let start = u32::try_from(self.used).map_err(|_| UnlinkError::Full)?;
        let len = u32::try_from(key.len()).map_err(|_| UnlinkError::TooLong)?;
        let room = self.bytes.get_mut(self.used..).and_then(|room| room.get_mut(..key.len()));
        let (Some(room), Some(place)) = (room, self.keys.get_mut(self.len)) else { return Err(UnlinkError::Full) };
        room.copy_from_slice(key);
        *place = UnlinkKey { start, len, slot: Slot::of_key(key).get() };
        self.used = self.used.saturating_add(key.len());
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// The next command, of at most `most` keys (at least one). After the first, no key can be pushed until the window is cleared.
    pub fn command(&mut self, most: usize) -> Option<UnlinkCommand<'_>> {
        if !self.sorted {
            sort(self.keys.get_mut(..self.len)?);
            self.sorted = true;
        }
        let rest = self.keys.get(self.taken..self.len)?;
        let slot = rest.first()?.slot;
        let count = rest.iter().take(most.max(1)).take_while(|key| key.slot == slot).count();
        self.taken = self.taken.saturating_add(count);
        Some(UnlinkCommand { bytes: self.bytes, keys: rest.get(..count)?, slot: Slot::masked(slot) })
    }

    /// Starts taking commands from the first again, for instance after a dry run.
    pub fn rewind(&mut self) {
        self.taken = 0;
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        (self.used, self.len, self.taken, self.sorted) = (0, 0, 0, false);
    }

    /// How many keys are in the window.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no key is in the window.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// `UNLINK key...`, with keys of one slot.
#[derive(Clone, Copy, Debug)]
pub struct UnlinkCommand<'w> {
    bytes: &'w [u8],
    keys: &'w [UnlinkKey],
    slot: Slot,
}

impl<'w> UnlinkCommand<'w> {
    /// The slot of all its keys.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// Its keys.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &'w [u8]> + use<'w> {
        let bytes = self.bytes;
        self.keys.iter().map(move |key| key.text(bytes).unwrap_or_default())
    }
}

impl Args for UnlinkCommand<'_> {
    fn count(&self) -> usize {
        self.keys.len().saturating_add(1)
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        match index.checked_sub(1) {
            None => Some(b"UNLINK"),
            Some(index) => self.keys.get(index)?.text(self.bytes),
        }
    }
}

/// Heap sort: no allocation, no recursion, and never quadratic.
fn sort(keys: &mut [UnlinkKey]) {
    for root in (0..keys.len() / 2).rev() {
        sift(keys, root);
    }
    let mut heap = keys;
    while let Some((last, rest)) = heap.split_last_mut() {
        if let Some(first) = rest.first_mut() {
            core::mem::swap(first, last);
        }
        sift(rest, 0);
        heap = rest;
    }
}

fn sift(keys: &mut [UnlinkKey], mut root: usize) {
    loop {
        let left = root.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        let Some(mut child) = keys.get(left).map(|_| left) else { return };
        if let (Some(a), Some(b)) = (keys.get(left), keys.get(right))
            && a.order() < b.order()
        {
            child = right;
        }
        let Ok([parent, child_key]) = keys.get_disjoint_mut([root, child]) else { return };
        if parent.order() >= child_key.order() {
            return;
        }
        core::mem::swap(parent, child_key);
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_window_is_bounded() {
        let (mut bytes, mut keys) = ([0; 10], [UnlinkKey::EMPTY; 3]);
        let mut batch = UnlinkBatch::new(&mut bytes, &mut keys);
        assert!(batch.command(8).is_none());
        batch.clear();
        assert_eq!(batch.push(b"12345678901"), Err(UnlinkError::TooLong));
        batch.push(b"12345678").unwrap();
        assert_eq!(batch.push(b"abc"), Err(UnlinkError::Full));
        batch.push(b"ab").unwrap();
        batch.push(b"").unwrap();
        assert_eq!(batch.push(b""), Err(UnlinkError::Full));
        assert_eq!(batch.len(), 3);
        assert!(batch.command(1).is_some());
        batch.clear();
        assert!(batch.is_empty() && batch.push(b"12345678").is_ok());
        assert!(batch.command(1).is_some());
        assert_eq!(batch.push(b"x"), Err(UnlinkError::Full));
    }

    proptest! {
        #[test]
        fn every_key_comes_once_in_commands_of_one_slot(
            names in prop::collection::vec("[ab{}]{0,4}", 0..60),
            most in 0_usize..5,
        ) {
            let (mut bytes, mut keys) = ([0; 512], [UnlinkKey::EMPTY; 64]);
            let mut batch = UnlinkBatch::new(&mut bytes, &mut keys);
            for name in &names {
                batch.push(name.as_bytes()).unwrap();
            }
            let mut taken = Vec::new();
            let mut slots = Vec::new();
            while let Some(command) = batch.command(most) {
                prop_assert!(command.keys().len() <= most.max(1) && command.keys().len() > 0);
                prop_assert_eq!(command.arg(0), Some(&b"UNLINK"[..]));
                for (index, key) in command.keys().enumerate() {
                    prop_assert_eq!(Slot::of_key(key), command.slot());
                    prop_assert_eq!(command.arg(index + 1), Some(key));
                    taken.push(key.to_vec());
                }
                prop_assert_eq!(command.count(), command.keys().len() + 1);
                slots.push(command.slot());
            }
            prop_assert!(slots.is_sorted());
            taken.sort();
            let mut wanted: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            wanted.sort();
            prop_assert_eq!(taken, wanted);
        }
    }
}
