//! One slab of commands for the whole engine: user commands, the engine's own control frames, and tombstones.
//!
//! The entries are lent by the caller; which list an entry stands on (a connection's queue, its in-flight FIFO, the
//! parked ones) is decided above. An entry's answer may only be matched by its place in one connection's FIFO.

use crate::ids::CommandId;
use crate::pipeline::entry::{Entry, Kind, Place};
use crate::pipeline::list::{Ix, List};

/// The slab's own few words; the entries are lent at each call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlabHead {
    free: List,
    /// Entries below this index were used at least once; the others need not be on the free list, so that storage
    /// may grow.
    touched: u32,
    live: u32,
}

impl SlabHead {
    pub(crate) const fn new() -> Self {
        Self { free: List::EMPTY, touched: 0, live: 0 }
    }

    /// Entries in use.
    pub(crate) const fn live(&self) -> usize {
        self.live as usize
    }

    /// Takes a free entry, cleared, on no list.
    pub(crate) fn take(&mut self, entries: &mut [Entry], kind: Kind) -> Option<u32> {
        let index = match self.free.pop_front(entries) {
            Some(index) => index,
            None if (self.touched as usize) < entries.len() && self.touched < Ix::LIMIT => {
                let fresh = self.touched;
                self.touched = fresh.saturating_add(1);
                fresh
            }
            None => return None,
        };
        entries.get_mut(index as usize)?.renew(kind);
        self.live = self.live.saturating_add(1);
        Some(index)
    }

    /// Gives an entry back; it must be on no list. Ids of its past use are dead from here on.
    pub(crate) fn give(&mut self, entries: &mut [Entry], index: u32) {
        let Some(entry) = entries.get_mut(index as usize) else { return };
        debug_assert!(entry.place() != Place::Free, "freed twice");
        entry.retire();
        self.live = self.live.saturating_sub(1);
        self.free.push_front(entries, index);
    }

    /// The entries that were ever used.
    pub(crate) fn used<'a>(&self, entries: &'a mut [Entry]) -> &'a mut [Entry] {
        let all = entries.len();
        entries.get_mut(..all.min(self.touched as usize)).unwrap_or_default()
    }

    /// The index of a live user command.
    pub(crate) fn find(entries: &[Entry], id: CommandId) -> Option<u32> {
        let entry = entries.get(id.index())?;
        let live = entry.generation() == id.generation() && entry.place() != Place::Free && entry.kind() == Kind::User;
        if live { u32::try_from(id.index()).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_taken_until_there_are_none_and_again_when_storage_has_grown() {
        let mut entries = std::vec![Entry::EMPTY; 2];
        let mut slab = SlabHead::new();
        assert_eq!([0; 4].map(|_: u8| slab.take(&mut entries, Kind::User)), [Some(0), Some(1), None, None]);
        assert_eq!((slab.live(), slab.used(&mut entries).len()), (2, 2));
        entries.push(Entry::EMPTY);
        assert_eq!([0; 2].map(|_: u8| slab.take(&mut entries, Kind::User)), [Some(2), None]);
        for index in [1, 0] {
            slab.give(&mut entries, index);
        }
        assert_eq!([0; 3].map(|_: u8| slab.take(&mut entries, Kind::User)), [Some(0), Some(1), None]);
        assert_eq!(slab.live(), 3);
        assert_eq!(SlabHead::new().take(&mut [], Kind::User), None);
    }

    #[test]
    fn ids_die_with_their_use() {
        let mut entries = [Entry::EMPTY; 2];
        let mut slab = SlabHead::new();
        let a = slab.take(&mut entries, Kind::User).unwrap();
        let b = slab.take(&mut entries, Kind::Fence).unwrap();
        assert_eq!(slab.take(&mut entries, Kind::User), None);
        assert_eq!(slab.live(), 2);
        let id = CommandId::new(a, entries[a as usize].generation());
        assert_eq!(SlabHead::find(&entries, id), Some(a));
        assert_eq!(SlabHead::find(&entries, CommandId::new(b, 0)), None, "control entries have no command id");
        slab.give(&mut entries, a);
        assert_eq!(SlabHead::find(&entries, id), None);
        let again = slab.take(&mut entries, Kind::User).unwrap();
        assert_eq!(again, a);
        assert_eq!(SlabHead::find(&entries, id), None, "the old id must not name the new command");
    }
}
