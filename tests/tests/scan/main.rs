//! Scans of whole clusters through the blocking client: every key, whatever happens meanwhile.

mod mini;
mod real;

use std::collections::HashMap;

use slotwise_std::{Batch, Client, Error, Scan};

/// Key number `n`.
pub(crate) fn key(n: usize) -> String {
    format!("key:{n}")
}

/// Sets `count` keys.
pub(crate) fn load(client: &mut Client, count: usize) {
    let mut batch = Batch::new();
    for n in 0..count {
        batch.push(&["SET", &key(n), "value"]);
    }
    for (n, result) in client.run(&batch).unwrap().iter().enumerate() {
        result.unwrap_or_else(|error| panic!("key {n}: {error}"));
    }
}

/// How often each key came.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    times: HashMap<Vec<u8>, u32>,
}

impl Seen {
    pub(crate) fn add(&mut self, key: &[u8]) {
        *self.times.entry(key.to_vec()).or_default() += 1;
    }

    /// Reads a scan to its end.
    pub(crate) fn all(&mut self, scan: &mut Scan<'_>) -> Result<(), Error> {
        scan.for_each_key(|key| self.add(key))
    }

    pub(crate) fn keys(&self) -> usize {
        self.times.len()
    }

    /// Keys handed out again.
    pub(crate) fn repeats(&self) -> u64 {
        self.times.values().map(|times| u64::from(*times) - 1).sum()
    }

    /// Every one of keys `0..count` was seen, and no other.
    pub(crate) fn assert_exactly(&self, count: usize) {
        let missing: Vec<String> = (0..count).map(key).filter(|key| !self.times.contains_key(key.as_bytes())).collect();
        assert!(missing.is_empty(), "{} keys are missing, first {:?}", missing.len(), missing.first());
        assert_eq!(self.keys(), count);
    }
}
