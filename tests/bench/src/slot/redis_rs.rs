//! redis-rs.

use super::Hasher;
use redis::cluster_routing::{Route, SlotAddr};
use std::hint::black_box;

pub struct RedisRs;

impl Hasher for RedisRs {
    fn name(&self) -> &'static str {
        "redis-rs"
    }
    fn makes(&self) -> &'static str {
        "512 B table, byte by byte"
    }
    fn slot(&self, key: &[u8]) -> Option<u16> {
        // A route does not show its slot; it can be compared.
        let route = Route::with_key(key, SlotAddr::Master);
        (0..16384).find(|&slot| Route::new(slot, SlotAddr::Master) == route)
    }
    fn pass(&self, keys: &[Vec<u8>]) -> u64 {
        for key in keys {
            black_box(Route::with_key(black_box(key), SlotAddr::Master));
        }
        keys.len() as u64
    }
}
