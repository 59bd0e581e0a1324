//! The `crc` crate's 512-byte table behind slotwise's tag search: what slotwise does without `fast-crc`.

use super::Hasher;
use crc::{CRC_16_XMODEM, Crc, Table};
use std::hint::black_box;

pub struct SmallTable {
    crc: Crc<u16, Table<1>>,
}

impl SmallTable {
    pub fn new() -> Self {
        Self { crc: Crc::<u16, Table<1>>::new(&CRC_16_XMODEM) }
    }
    #[inline]
    fn hash(&self, key: &[u8]) -> u16 {
        self.crc.checksum(slotwise::slot::hash_tag(key)) % 16384
    }
}

impl Hasher for SmallTable {
    fn name(&self) -> &'static str {
        "crc, small table"
    }
    fn makes(&self) -> &'static str {
        "512 B table, byte by byte"
    }
    fn slot(&self, key: &[u8]) -> Option<u16> {
        Some(self.hash(key))
    }
    fn pass(&self, keys: &[Vec<u8>]) -> u64 {
        keys.iter().fold(0, |total, key| total ^ u64::from(self.hash(black_box(key))))
    }
}
