//! The keys of one primary: a table per slot, and, for servers with node-wide cursors, one index over all of them.

use super::table::Table;
use slotwise::slot::Slot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Bits of a SCAN cursor that name the slot (Redis from 7.4, Valkey from 8.0).
const SLOT_BITS: u32 = 14;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
}

impl Object {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Object::Text(_) => "string",
            Object::List(_) => "list",
            Object::Hash(_) => "hash",
            Object::Set(_) => "set",
        }
    }
}

/// A value, and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) object: Object,
    pub(super) expires: Option<Duration>,
}

impl From<Object> for Entry {
    fn from(object: Object) -> Self {
        Entry { object, expires: None }
    }
}

#[derive(Debug)]
pub(super) struct Store {
    slots: BTreeMap<u16, Table<Entry>>,
    // Names of all keys, where the cursor is node-wide.
    names: Option<Table<()>>,
    // Keys that expire, soonest first.
    expiries: BTreeSet<(Duration, Vec<u8>)>,
    count: usize,
    seed: u64,
}

/// The slot of a key as a number.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    Slot::of_key(key).get()
}

impl Store {
    pub(super) fn new(seed: u64, slot_cursors: bool) -> Self {
        Store {
            slots: BTreeMap::new(),
            names: (!slot_cursors).then(|| Table::new(seed)),
            expiries: BTreeSet::new(),
            count: 0,
            seed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.slots.get(&slot_of(key))?.get(key)
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn insert(&mut self, key: &[u8], entry: Entry) {
        let expires = entry.expires;
        let table = self.slots.entry(slot_of(key)).or_insert_with(|| Table::new(self.seed));
        let before = table.len();
        let old = table.insert(key, entry);
        self.count += table.len() - before;
        if let Some(at) = old.and_then(|old| old.expires) {
            self.expiries.remove(&(at, key.to_vec()));
        }
        if let Some(at) = expires {
            self.expiries.insert((at, key.to_vec()));
        }
        if let Some(names) = &mut self.names {
            names.insert(key, ());
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let slot = slot_of(key);
        let table = self.slots.get_mut(&slot)?;
        let value = table.remove(key)?;
        self.count -= 1;
        if table.len() == 0 {
            self.slots.remove(&slot);
        }
        if let Some(names) = &mut self.names {
            names.remove(key);
        }
        if let Some(at) = value.expires {
            self.expiries.remove(&(at, key.to_vec()));
        }
        Some(value)
    }

    pub(super) fn clear(&mut self) {
        *self = Store::new(self.seed, self.names.is_none());
    }

    pub(super) fn count_in(&self, slot: u16) -> usize {
        self.slots.get(&slot).map_or(0, Table::len)
    }

    pub(super) fn keys_in(&self, slot: u16, max: usize) -> Vec<Vec<u8>> {
        let table = self.slots.get(&slot);
        table.map(|table| table.iter().map(|(key, _)| key.to_vec()).take(max).collect()).unwrap_or_default()
    }

    /// Slots with keys.
    pub(super) fn slots(&self) -> Vec<u16> {
        self.slots.keys().copied().collect()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.slots.values().flat_map(|table| table.iter().map(|(key, _)| key))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.slots.values().flat_map(Table::iter)
    }

    /// A key that has expired.
    pub(super) fn expired(&self, now: Duration) -> Option<Vec<u8>> {
        self.expiries.first().filter(|(at, _)| *at <= now).map(|(_, key)| key.clone())
    }

    /// When the next key expires.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// The same keys in a process with another hash seed.
    pub(super) fn reseed(&mut self, seed: u64) {
        self.rebuild(seed, self.names.is_none());
    }

    /// The same keys with the other kind of cursors.
    pub(super) fn set_slot_cursors(&mut self, slot_cursors: bool) {
        self.rebuild(self.seed, slot_cursors);
    }

    fn rebuild(&mut self, seed: u64, slot_cursors: bool) {
        let old = std::mem::replace(self, Store::new(seed, slot_cursors));
        for (key, entry) in old.entries() {
            self.insert(key, entry.clone());
        }
    }

    /// One step of SCAN: hands out a bucket, gives the next cursor. With `only`, nothing but that slot is visited.
    pub(super) fn scan(&self, cursor: u64, only: Option<u16>, each: &mut dyn FnMut(&[u8], &Entry)) -> u64 {
        if let Some(names) = &self.names {
            return names.scan(cursor, |key, ()| {
                if let Some(entry) = self.get(key) {
                    each(key, entry);
                }
            });
        }
        let mut slot = (cursor & ((1 << SLOT_BITS) - 1)) as u16;
        let mut inner = cursor >> SLOT_BITS;
        match only {
            Some(only) if slot < only => (slot, inner) = (only, 0),
            Some(only) if slot > only => return 0,
            _ => {}
        }
        let next = self.slots.get(&slot).map_or(0, |table| table.scan(inner, each));
        if next != 0 {
            return (next << SLOT_BITS) | u64::from(slot);
        }
        match self.slots.range(slot + 1..).next() {
            Some((&slot, _)) if only.is_none() => u64::from(slot),
            _ => 0,
        }
    }
}
