//! A hash table of a power-of-two size with the reverse-binary cursor of real servers.

/// Smallest size; also that of a new table.
const SMALLEST: usize = 4;

/// Chained buckets. Unlike a real server's it is resized at once, not bit by bit; a cursor sees no difference.
#[derive(Debug)]
pub(super) struct Table<V> {
    buckets: Vec<Vec<(Vec<u8>, V)>>,
    used: usize,
    seed: u64,
}

impl<V> Table<V> {
    pub(super) fn new(seed: u64) -> Self {
        Table { buckets: std::iter::repeat_with(Vec::new).take(SMALLEST).collect(), used: 0, seed }
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    fn bucket(&self, key: &[u8]) -> usize {
        // FNV-1a and a finisher: the low bits choose the bucket and must be good.
        let mut hash = key
            .iter()
            .fold(0xcbf2_9ce4_8422_2325 ^ self.seed, |h: u64, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        // The size is a power of two, at most the memory of this machine.
        (hash as usize) & (self.buckets.len() - 1)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        self.buckets[self.bucket(key)].iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let bucket = self.bucket(key);
        self.buckets[bucket].iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The value that was there before.
    pub(super) fn insert(&mut self, key: &[u8], value: V) -> Option<V> {
        if let Some(old) = self.get_mut(key) {
            return Some(std::mem::replace(old, value));
        }
        if self.used == self.buckets.len() {
            self.resize(self.buckets.len() * 2);
        }
        let bucket = self.bucket(key);
        self.buckets[bucket].push((key.to_vec(), value));
        self.used += 1;
        None
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let bucket = self.bucket(key);
        let at = self.buckets[bucket].iter().position(|(k, _)| k == key)?;
        let (_, value) = self.buckets[bucket].swap_remove(at);
        self.used -= 1;
        if self.buckets.len() > SMALLEST && self.used * 8 < self.buckets.len() {
            self.resize(self.buckets.len() / 4);
        }
        Some(value)
    }

    fn resize(&mut self, size: usize) {
        let size = size.max(SMALLEST);
        let old = std::mem::replace(&mut self.buckets, std::iter::repeat_with(Vec::new).take(size).collect());
        for (key, value) in old.into_iter().flatten() {
            let bucket = self.bucket(&key);
            self.buckets[bucket].push((key, value));
        }
    }

    /// Entries in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.buckets.iter().flatten().map(|(k, v)| (k.as_slice(), v))
    }

    /// Hands out the bucket under `cursor`; the next cursor, 0 at the end. The cursor counts in reversed bits, so that the
    /// buckets already seen stay seen when the table grows or shrinks in between.
    pub(super) fn scan<'a>(&'a self, cursor: u64, mut each: impl FnMut(&'a [u8], &'a V)) -> u64 {
        let mask = self.buckets.len() as u64 - 1;
        for (key, value) in &self.buckets[(cursor & mask) as usize] {
            each(key, value);
        }
        (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use std::collections::BTreeSet;

    #[test]
    fn a_scan_returns_what_was_there_all_along_while_the_table_grows_and_shrinks() {
        for changes in [0, 50, 2000] {
            let mut table = Table::new(7);
            for n in 0..500 {
                table.insert(format!("stay{n}").as_bytes(), n);
            }
            let (mut cursor, mut seen, mut step) = (0, BTreeSet::new(), 0);
            loop {
                cursor = table.scan(cursor, |key, _| {
                    seen.insert(key.to_vec());
                });
                step += 1;
                for n in 0..changes {
                    let key = format!("come{n}");
                    if step == 3 {
                        table.insert(key.as_bytes(), n);
                    } else if step == 100 {
                        table.remove(key.as_bytes());
                    }
                }
                if cursor == 0 {
                    break;
                }
            }
            assert!((0..500).all(|n| seen.contains(format!("stay{n}").as_bytes())), "with {changes} changes");
        }
    }

    #[test]
    fn without_changes_a_scan_returns_everything_once() {
        let mut table = Table::new(1);
        for n in 0..1000 {
            table.insert(format!("{n}").as_bytes(), ());
        }
        let (mut cursor, mut count) = (0, 0);
        loop {
            cursor = table.scan(cursor, |_, ()| count += 1);
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((count, table.len()), (1000, 1000));
    }

    #[test]
    fn insert_replaces_and_remove_forgets() {
        let mut table = Table::new(1);
        table.insert(b"a", 1);
        table.insert(b"a", 2);
        assert_eq!((table.len(), table.get(b"a")), (1, Some(&2)));
        assert_eq!(table.remove(b"a"), Some(2));
        assert_eq!((table.len(), table.get(b"a")), (0, None));
        assert_eq!(table.remove(b"a"), None);
    }
}
