//! redis-protocol (and fred, which calls it).

use super::Hasher;
use std::hint::black_box;

pub struct RedisProtocol;

impl Hasher for RedisProtocol {
    fn name(&self) -> &'static str {
        "redis-protocol"
    }
    fn makes(&self) -> &'static str {
        "512 B table, byte by byte"
    }
    fn slot(&self, key: &[u8]) -> Option<u16> {
        Some(redis_protocol::redis_keyslot(key))
    }
    fn pass(&self, keys: &[Vec<u8>]) -> u64 {
        keys.iter().fold(0, |total, key| total ^ u64::from(redis_protocol::redis_keyslot(black_box(key))))
    }
}
