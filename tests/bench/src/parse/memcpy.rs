//! Limit: the copy into the receive buffer, and nothing else.

use super::Contestant;
use crate::digest::Digest;
use crate::recv::{Feed, Recv};
use std::hint::black_box;

#[derive(Default)]
pub struct Memcpy {
    recv: Recv,
}

impl Contestant for Memcpy {
    fn name(&self) -> &'static str {
        "memcpy"
    }
    fn makes(&self) -> &'static str {
        "limit: the copy only"
    }
    fn check(&mut self, _feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        Ok(None)
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        let mut total = 0;
        while let Some(chunk) = feed.next() {
            self.recv.push(chunk);
            total += black_box(self.recv.data()).len() as u64;
            self.recv.clear();
        }
        total
    }
}
