//! A hash table of a power-of-two size with the reverse-binary cursor of real servers, resized bit by bit.

/// Smallest size; also that of a new table.
const SMALLEST: usize = 4;

type Bucket<V> = Vec<(Vec<u8>, V)>;
type Buckets<V> = Vec<Bucket<V>>;

/// Chained buckets. While it grows or shrinks there are two arrays, and every change moves a bucket on.
#[derive(Debug)]
pub(super) struct Table<V> {
    buckets: Buckets<V>,
    // The array of the new size, and how many buckets of the old one have been moved into it.
    next: Option<(Buckets<V>, usize)>,
    used: usize,
    seed: u64,
}

fn empty<V>(size: usize) -> Buckets<V> {
    std::iter::repeat_with(Vec::new).take(size).collect()
}

impl<V> Table<V> {
    pub(super) fn new(seed: u64) -> Self {
        Table { buckets: empty(SMALLEST), next: None, used: 0, seed }
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    fn hash(&self, key: &[u8]) -> usize {
        // FNV-1a and a finisher: the low bits choose the bucket and must be good.
        let mut hash = key
            .iter()
            .fold(0xcbf2_9ce4_8422_2325 ^ self.seed, |h: u64, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        // 32 bits of it, so that the order is the same on every machine.
        hash as u32 as usize
    }

    /// The buckets in which the key can be: one, or two while the table is resized.
    fn places(&mut self, key: &[u8]) -> [Option<&mut Bucket<V>>; 2] {
        let hash = self.hash(key);
        let old = hash & (self.buckets.len() - 1);
        let new = self.next.as_mut().map(|(next, _)| {
            let at = hash & (next.len() - 1);
            &mut next[at]
        });
        [Some(&mut self.buckets[old]), new]
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        let hash = self.hash(key);
        let find = |buckets: &'_ Buckets<V>| buckets[hash & (buckets.len() - 1)].iter().position(|(k, _)| k == key);
        let value = |buckets: &'_ Buckets<V>| find(buckets).map(|at| (hash & (buckets.len() - 1), at));
        match (value(&self.buckets), &self.next) {
            (Some((bucket, at)), _) => Some(&self.buckets[bucket][at].1),
            (None, Some((next, _))) => value(next).map(|(bucket, at)| &next[bucket][at].1),
            (None, None) => None,
        }
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let places = self.places(key).into_iter().flatten();
        places.flat_map(|bucket| bucket.iter_mut()).find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// The value that was there before.
    pub(super) fn insert(&mut self, key: &[u8], value: V) -> Option<V> {
        self.step();
        if let Some(old) = self.get_mut(key) {
            return Some(std::mem::replace(old, value));
        }
        if self.used >= self.buckets.len() && self.next.is_none() {
            self.resize(self.buckets.len() * 2);
        }
        let [old, new] = self.places(key);
        // Only one array takes new entries.
        if let Some(bucket) = new.or(old) {
            bucket.push((key.to_vec(), value));
        }
        self.used += 1;
        None
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        self.step();
        let mut gone = None;
        for bucket in self.places(key).into_iter().flatten() {
            if let Some(at) = bucket.iter().position(|(k, _)| k == key) {
                gone = Some(bucket.swap_remove(at).1);
            }
        }
        let value = gone?;
        self.used -= 1;
        if self.buckets.len() > SMALLEST && self.used * 8 < self.buckets.len() && self.next.is_none() {
            self.resize(self.used.next_power_of_two());
        }
        Some(value)
    }

    fn resize(&mut self, size: usize) {
        self.next = Some((empty(size.max(SMALLEST)), 0));
    }

    /// Moves on one bucket with something in it, or a few empty ones.
    fn step(&mut self) {
        let Some((next, moved)) = &mut self.next else { return };
        for _ in 0..10 {
            let Some(bucket) = self.buckets.get_mut(*moved) else { break };
            *moved += 1;
            if bucket.is_empty() {
                continue;
            }
            let entries = std::mem::take(bucket);
            let mut rest = std::mem::take(next);
            for (key, value) in entries {
                let at = self.hash(&key) & (rest.len() - 1);
                rest[at].push((key, value));
            }
            if let Some((next, _)) = &mut self.next {
                *next = rest;
            }
            break;
        }
        if let Some((next, moved)) = &mut self.next
            && *moved == self.buckets.len()
        {
            self.buckets = std::mem::take(next);
            self.next = None;
        }
    }

    /// Entries in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        let next = self.next.iter().flat_map(|(next, _)| next);
        self.buckets.iter().chain(next).flatten().map(|(k, v)| (k.as_slice(), v))
    }

    /// Hands out the bucket under `cursor` (while the table is resized, that of the smaller array and all of the larger one
    /// that it stands for); the next cursor, 0 at the end. The cursor counts in reversed bits, so that the buckets already
    /// seen stay seen when the table grows or shrinks in between.
    pub(super) fn scan<'a>(&'a self, cursor: u64, mut each: impl FnMut(&'a [u8], &'a V)) -> u64 {
        let mut emit = |buckets: &'a Buckets<V>, cursor: u64| {
            let mask = buckets.len() as u64 - 1;
            for (key, value) in &buckets[(cursor & mask) as usize] {
                each(key, value);
            }
        };
        let advance = |cursor: u64, mask: u64| (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits();
        let mask = |buckets: &Buckets<V>| buckets.len() as u64 - 1;
        let Some((next, _)) = &self.next else {
            emit(&self.buckets, cursor);
            return advance(cursor, mask(&self.buckets));
        };
        let (small, large) =
            if self.buckets.len() < next.len() { (&self.buckets, next) } else { (next, &self.buckets) };
        emit(small, cursor);
        let mut cursor = cursor;
        loop {
            emit(large, cursor);
            cursor = advance(cursor, mask(large));
            if cursor & (mask(small) ^ mask(large)) == 0 {
                return cursor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use std::collections::BTreeSet;

    #[test]
    fn a_scan_returns_what_was_there_all_along_while_the_table_grows_and_shrinks() {
        for changes in [0, 50, 2000] {
            for pace in [1, 40, 2000] {
                let mut table = Table::new(7);
                for n in 0..500 {
                    table.insert(format!("stay{n}").as_bytes(), n);
                }
                let (mut cursor, mut seen, mut step, mut resizing) = (0, BTreeSet::new(), 0, 0);
                loop {
                    cursor = table.scan(cursor, |key, _| {
                        seen.insert(key.to_vec());
                    });
                    step += 1;
                    // They come and go a few at a time, so that the scan meets the table in every state.
                    for n in 0..pace {
                        let place = step * pace + n;
                        let key = format!("come{}", place % changes.max(1));
                        if changes > 0 && place / changes % 2 == 0 {
                            table.insert(key.as_bytes(), n);
                        } else {
                            table.remove(key.as_bytes());
                        }
                    }
                    resizing += usize::from(table.next.is_some());
                    if cursor == 0 {
                        break;
                    }
                }
                assert!((0..500).all(|n| seen.contains(format!("stay{n}").as_bytes())), "with {changes} changes");
                assert!(changes < 2000 || resizing > 0, "never met while it was resized");
            }
        }
    }

    #[test]
    fn without_changes_a_scan_returns_everything_once() {
        for count in [3, 5, 1000, 1024, 1030] {
            let mut table = Table::new(1);
            for n in 0..count {
                table.insert(format!("{n}").as_bytes(), ());
            }
            let (mut cursor, mut found) = (0, 0);
            loop {
                cursor = table.scan(cursor, |_, ()| found += 1);
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!((found, table.len()), (count, count));
        }
    }

    #[test]
    fn insert_replaces_and_remove_forgets_in_every_state() {
        let mut table = Table::new(1);
        for n in 0..3000_u32 {
            let key = n.to_be_bytes();
            assert_eq!(table.insert(&key, n), None);
            assert_eq!(table.insert(&key, n + 1), Some(n));
            assert_eq!(table.get(&(n / 2).to_be_bytes()), Some(&(n / 2 + 1)));
        }
        assert_eq!(table.iter().count(), 3000);
        for n in 0..3000_u32 {
            let key = n.to_be_bytes();
            assert_eq!(table.remove(&key), Some(n + 1));
            assert_eq!((table.remove(&key), table.get(&key)), (None, None));
        }
        assert_eq!((table.len(), table.iter().count()), (0, 0));
        assert!(table.buckets.len() < 64, "it has shrunk");
    }
}
