//! The keys of one primary: a table per slot, and, for servers with node-wide cursors, one index over all of them.

use super::table::Table;
use slotwise::slot::Slot;
use std::collections::{BTreeMap, VecDeque};

/// Bits of a SCAN cursor that name the slot (Redis from 7.4, Valkey from 8.0).
const SLOT_BITS: u32 = 14;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
}

impl Object {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Object::Text(_) => "string",
            Object::List(_) => "list",
            Object::Hash(_) => "hash",
        }
    }
}

#[derive(Debug)]
pub(super) struct Store {
    slots: BTreeMap<u16, Table<Object>>,
    // Names of all keys, where the cursor is node-wide.
    names: Option<Table<()>>,
    count: usize,
    seed: u64,
}

/// The slot of a key as a number.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    Slot::of_key(key).get()
}

impl Store {
    pub(super) fn new(seed: u64, slot_cursors: bool) -> Self {
        Store { slots: BTreeMap::new(), names: (!slot_cursors).then(|| Table::new(seed)), count: 0, seed }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Object> {
        self.slots.get(&slot_of(key))?.get(key)
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn insert(&mut self, key: &[u8], value: Object) {
        let table = self.slots.entry(slot_of(key)).or_insert_with(|| Table::new(self.seed));
        let before = table.len();
        table.insert(key, value);
        self.count += table.len() - before;
        if let Some(names) = &mut self.names {
            names.insert(key, ());
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Object> {
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

    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.slots.values().flat_map(|table| table.iter().map(|(key, _)| key))
    }

    /// The same keys in a process with another hash seed: what a replica that takes over has.
    pub(super) fn reseed(&mut self, seed: u64) {
        let old = std::mem::replace(self, Store::new(seed, self.names.is_none()));
        for table in old.slots.values() {
            for (key, value) in table.iter() {
                self.insert(key, value.clone());
            }
        }
    }

    /// One step of SCAN: hands out a bucket, gives the next cursor. With `only`, nothing but that slot is visited.
    pub(super) fn scan(&self, cursor: u64, only: Option<u16>, each: &mut dyn FnMut(&[u8], &Object)) -> u64 {
        if let Some(names) = &self.names {
            return names.scan(cursor, |key, ()| {
                if let Some(object) = self.get(key) {
                    each(key, object);
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
