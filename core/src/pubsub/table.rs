//! The tables at work: finding, adding and forgetting channels and nodes, and keeping their names.

use super::channel::{Channel, Kind, Link, NIL, NO_LINK};
use super::storage::{Bucket, Full, Parts, View};
use crate::ids::NodeId;

/// Header of a name: its entry (or `NIL` when nobody needs it any more) and its length.
const HEADER: usize = 8;

/// What is known of the tables as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableHead {
    /// Entries ever used; those behind are untouched. <= channels.len()
    pub(crate) used: u32,
    /// First free entry below `used`.
    free: u32,
    /// Bytes of names, dead ones included. <= names.len()
    names: u32,
    /// Bytes of names that nobody needs. <= names
    dead: u32,
}

impl TableHead {
    pub(crate) const NEW: Self = Self { used: 0, free: NIL, names: 0, dead: 0 };
}

/// The tables and what is known of them.
pub(crate) struct Table<'t> {
    pub(crate) head: &'t mut TableHead,
    pub(crate) parts: Parts<'t>,
}

fn hash(kind: Kind, name: &[u8]) -> u32 {
    let seed = 0x811c_9dc5_u32 ^ (kind as u32 + 1);
    name.iter().fold(seed, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn bucket(buckets: &[Bucket], hash: u32) -> Option<usize> {
    let buckets = u32::try_from(buckets.len()).ok()?;
    // Fibonacci: the low bits of small numbers spread over all buckets.
    (hash.wrapping_mul(0x9e37_79b9) >> 4).checked_rem(buckets).map(|bucket| bucket as usize)
}

/// The entry of a channel.
pub(crate) fn find(view: &View<'_>, kind: Kind, name: &[u8]) -> Option<u32> {
    let mut index = view.buckets.get(bucket(view.buckets, hash(kind, name))?)?.name;
    // A chain holds no entry twice, so this ends before the count does.
    for _ in 0..=view.channels.len() {
        let channel = view.channels.get(index as usize)?;
        if channel.kind() == kind && name_of(view, channel) == name {
            return Some(index);
        }
        index = channel.next_name;
    }
    None
}

/// The name of a channel.
pub(crate) fn name_of<'v>(view: &View<'v>, channel: &Channel) -> &'v [u8] {
    let name = view.names.get(channel.start as usize..).and_then(|names| names.get(..channel.len as usize));
    name.unwrap_or_default()
}

impl Table<'_> {
    pub(crate) fn view(&self) -> View<'_> {
        let Parts { channels, buckets, links, names } = &self.parts;
        View { channels, buckets, links, names }
    }

    pub(crate) fn get(&mut self, index: u32) -> Option<&mut Channel> {
        self.parts.channels.get_mut(index as usize).filter(|channel| channel.used)
    }

    /// Adds a channel that is not there yet.
    pub(crate) fn add(&mut self, kind: Kind, name: &[u8]) -> Result<u32, Full> {
        let index = match self.head.free {
            NIL => self.head.used,
            free => free,
        };
        if self.parts.channels.get(index as usize).is_none() || self.parts.buckets.is_empty() {
            return Err(Full::Channels);
        }
        let start = self.keep_name(index, name)?;
        let len = u32::try_from(name.len()).map_err(|_| Full::Names)?;
        let Some(channel) = self.parts.channels.get_mut(index as usize) else { return Err(Full::Channels) };
        if self.head.free == index {
            self.head.free = channel.next_name;
        } else {
            self.head.used = self.head.used.saturating_add(1);
        }
        let generation = channel.generation;
        *channel = Channel { start, len, group: kind.group(name), generation, used: true, ..Channel::EMPTY };
        self.chain(index, hash(kind, name));
        Ok(index)
    }

    /// Hangs an entry into its buckets.
    fn chain(&mut self, index: u32, hash: u32) {
        let Some(channel) = self.parts.channels.get_mut(index as usize) else { return };
        let names = bucket(self.parts.buckets, hash);
        if let Some(bucket) = names.and_then(|at| self.parts.buckets.get_mut(at)) {
            channel.next_name = core::mem::replace(&mut bucket.name, index);
        }
        let groups = bucket(self.parts.buckets, u32::from(channel.group));
        if let Some(bucket) = groups.and_then(|at| self.parts.buckets.get_mut(at)) {
            channel.next_group = core::mem::replace(&mut bucket.group, index);
        }
    }

    /// First entry that may be of the group.
    pub(crate) fn group(&self, group: u16) -> u32 {
        let at = bucket(self.parts.buckets, u32::from(group));
        at.and_then(|at| self.parts.buckets.get(at)).map_or(NIL, |bucket| bucket.group)
    }

    /// Hangs all entries into their buckets anew: the storage has grown.
    pub(crate) fn rehash(&mut self) {
        self.parts.buckets.fill(Bucket::EMPTY);
        for index in 0..self.head.used {
            let view = self.view();
            let Some(channel) = view.channels.get(index as usize).filter(|channel| channel.used) else { continue };
            let hash = hash(channel.kind(), name_of(&view, channel));
            self.chain(index, hash);
        }
    }

    /// Forgets a channel.
    pub(crate) fn remove(&mut self, index: u32) {
        let view = self.view();
        let Some(channel) = view.channels.get(index as usize).filter(|channel| channel.used) else { return };
        let (group, len, start) = (channel.group, channel.len, channel.start);
        let hash = hash(channel.kind(), name_of(&view, channel));
        self.unchain(index, hash, group);
        if let Some(header) = (start as usize).checked_sub(HEADER).and_then(|at| self.parts.names.get_mut(at..)) {
            write_header(header, NIL, len);
        }
        self.head.dead = self.head.dead.saturating_add(len).saturating_add(HEADER as u32);
        let free = self.head.free;
        if let Some(channel) = self.parts.channels.get_mut(index as usize) {
            let generation = channel.generation.wrapping_add(1);
            *channel = Channel { generation, next_name: free, ..Channel::EMPTY };
            self.head.free = index;
        }
    }

    fn unchain(&mut self, index: u32, hash: u32, group: u16) {
        let Some(channel) = self.parts.channels.get(index as usize) else { return };
        let (next_name, next_group) = (channel.next_name, channel.next_group);
        let names = bucket(self.parts.buckets, hash);
        let groups = bucket(self.parts.buckets, u32::from(group));
        if let Some(bucket) = names.and_then(|at| self.parts.buckets.get_mut(at)) {
            unlink(&mut bucket.name, self.parts.channels, index, next_name, |channel| &mut channel.next_name);
        }
        if let Some(bucket) = groups.and_then(|at| self.parts.buckets.get_mut(at)) {
            unlink(&mut bucket.group, self.parts.channels, index, next_group, |channel| &mut channel.next_group);
        }
    }

    fn keep_name(&mut self, index: u32, name: &[u8]) -> Result<u32, Full> {
        let needed = name.len().saturating_add(HEADER);
        let free = self.parts.names.len().saturating_sub(self.head.names as usize);
        // Dead names go when there is no room, and when they are more than half.
        if free < needed || self.head.dead > self.head.names / 2 {
            self.compact();
        }
        let start = self.head.names as usize;
        let place = self.parts.names.get_mut(start..).and_then(|names| names.get_mut(..needed)).ok_or(Full::Names)?;
        let end = u32::try_from(start.saturating_add(needed)).map_err(|_| Full::Names)?;
        let (header, text) = place.split_at_mut_checked(HEADER).ok_or(Full::Names)?;
        write_header(header, index, name.len() as u32);
        text.copy_from_slice(name);
        self.head.names = end;
        Ok(end.saturating_sub(name.len() as u32))
    }

    /// Closes the holes that forgotten names left.
    fn compact(&mut self) {
        let names = &mut *self.parts.names;
        let end = self.head.names as usize;
        let (mut from, mut to) = (0_usize, 0_usize);
        while from < end {
            let Some((index, len)) = names.get(from..).and_then(read_header) else { break };
            let size = (len as usize).saturating_add(HEADER);
            if index != NIL {
                for offset in 0..size {
                    let byte = names.get(from.saturating_add(offset)).copied().unwrap_or_default();
                    if let Some(place) = names.get_mut(to.saturating_add(offset)) {
                        *place = byte;
                    }
                }
                if let Some(channel) = self.parts.channels.get_mut(index as usize) {
                    channel.start = to.saturating_add(HEADER) as u32;
                }
                to = to.saturating_add(size);
            }
            from = from.saturating_add(size);
        }
        self.head.names = to as u32;
        self.head.dead = 0;
    }

    /// The place of a node, made if there is room.
    pub(crate) fn link(&mut self, node: NodeId) -> Option<u16> {
        let links = self.parts.links.iter();
        let known = links.clone().position(|link| link.used && link.node == node);
        let index = known.or_else(|| links.clone().position(|link| !link.used)).or_else(|| self.unused_link())?;
        let number = u16::try_from(index).ok().filter(|&number| number != NO_LINK)?;
        if known.is_none() {
            *self.parts.links.get_mut(index)? = Link { node, used: true, ..Link::EMPTY };
        }
        Some(number)
    }

    /// A place of a node without subscriptions and requests.
    fn unused_link(&self) -> Option<usize> {
        let channels = self.parts.channels.iter().take(self.head.used as usize);
        (0..self.parts.links.len()).find(|&index| {
            let at = |link: u16| usize::from(link) == index;
            let here = |c: &Channel| (c.active || c.busy) && at(c.link) || at(c.old);
            !channels.clone().any(|channel| channel.used && here(channel))
        })
    }
}

/// Takes `index` out of a chain.
fn unlink(head: &mut u32, channels: &mut [Channel], index: u32, next: u32, link: impl Fn(&mut Channel) -> &mut u32) {
    if *head == index {
        *head = next;
        return;
    }
    let mut at = *head;
    for _ in 0..channels.len() {
        let Some(channel) = channels.get_mut(at as usize) else { return };
        let place = link(channel);
        if *place == index {
            *place = next;
            return;
        }
        at = *place;
    }
}

fn write_header(place: &mut [u8], index: u32, len: u32) {
    if let Some((header, rest)) = place.split_first_chunk_mut::<4>() {
        *header = index.to_le_bytes();
        if let Some(length) = rest.first_chunk_mut::<4>() {
            *length = len.to_le_bytes();
        }
    }
}

fn read_header(place: &[u8]) -> Option<(u32, u32)> {
    let (index, rest) = place.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*index), u32::from_le_bytes(*rest.first_chunk::<4>()?)))
}

#[cfg(test)]
mod tests {
    use super::super::storage::{StaticStorage, Storage};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::string::String;

    proptest! {
        /// Against a map: what was added and not removed is found, under its own index, with its own name.
        #[test]
        fn the_table_is_a_map(steps in prop::collection::vec((any::<bool>(), 0_u8..3, "[ab]{0,3}"), 0..200)) {
            let mut storage = StaticStorage::<12, 2, 150>::new();
            let mut head = TableHead::NEW;
            let mut model: BTreeMap<(u8, String), u32> = BTreeMap::new();
            for (add, kind_number, name) in steps {
                let kind = [Kind::Sharded, Kind::Plain, Kind::Pattern][usize::from(kind_number)];
                let key = (kind_number, name.clone());
                let mut table = Table { head: &mut head, parts: storage.parts() };
                let found = find(&table.view(), kind, name.as_bytes());
                prop_assert_eq!(found, model.get(&key).copied());
                match (add, found) {
                    (true, None) => match table.add(kind, name.as_bytes()) {
                        Ok(index) => {
                            model.insert(key, index);
                        }
                        Err(Full::Channels) => prop_assert_eq!(model.len(), 12),
                        Err(Full::Names) => {
                            let bytes: usize = model.keys().map(|(_, name)| name.len() + HEADER).sum();
                            prop_assert!(bytes + name.len() + HEADER > 150);
                        }
                    },
                    (false, Some(index)) => {
                        table.remove(index);
                        model.remove(&key);
                    }
                    _ => {}
                }
                if name.len() == 3 {
                    table.rehash();
                }
                for ((kind_number, name), index) in &model {
                    let kind = [Kind::Sharded, Kind::Plain, Kind::Pattern][usize::from(*kind_number)];
                    prop_assert_eq!(find(&table.view(), kind, name.as_bytes()), Some(*index));
                    let mut at = table.group(kind.group(name.as_bytes()));
                    while at != *index {
                        prop_assert_ne!(at, NIL);
                        at = table.parts.channels[at as usize].next_group;
                    }
                }
            }
        }
    }

    #[test]
    fn links_are_reused_only_when_nothing_needs_them() {
        let mut storage = StaticStorage::<4, 2, 100>::new();
        let mut head = TableHead::NEW;
        let mut table = Table { head: &mut head, parts: storage.parts() };
        let node = |n| NodeId::from_bytes([n; 20]);
        assert_eq!((table.link(node(1)), table.link(node(2)), table.link(node(1))), (Some(0), Some(1), Some(0)));
        for (link, busy) in [(0, true), (1, false)] {
            let index = table.add(Kind::Plain, &[link]).unwrap();
            let channel = table.get(index).unwrap();
            (channel.link, channel.busy, channel.active) = (link.into(), busy, !busy);
        }
        assert_eq!(table.link(node(3)), None);
        table.get(1).unwrap().active = false;
        assert_eq!(table.link(node(3)), Some(1));
    }
}
