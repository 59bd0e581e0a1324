//! A node: identity, view of the slots, marks, data.

use super::ModelOptions;
use super::store::Store;
use std::collections::BTreeMap;

/// Number of slots.
pub(super) const SLOTS: usize = 16384;

#[derive(Debug)]
pub(super) struct Node {
    /// 40 hexadecimal digits.
    pub(super) id: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// The primary, if this is a replica.
    pub(super) primary: Option<usize>,
    pub(super) epoch: u64,
    // Who owns each slot, as this node sees it.
    view: Vec<Option<usize>>,
    // Slots without an owner in `view`.
    uncovered: usize,
    pub(super) migrating: BTreeMap<u16, usize>,
    pub(super) importing: BTreeMap<u16, usize>,
    /// Empty at replicas, which read their primary's.
    pub(super) store: Store,
}

pub(super) fn formed(options: &ModelOptions) -> Vec<Node> {
    let primaries = options.primaries.clamp(1, 1000);
    let view: Vec<Option<usize>> = (0..SLOTS).map(|slot| Some(((slot + 1) * primaries - 1) / SLOTS)).collect();
    (0..primaries * (1 + options.replicas))
        .map(|index| {
            let seed = mix(options.seed.wrapping_add(index as u64));
            Node {
                id: format!("{:016x}{:016x}{:08x}", seed, mix(seed), mix(mix(seed)) >> 32),
                host: "127.0.0.1".to_owned(),
                port: 0,
                primary: (index >= primaries).then(|| (index - primaries) / options.replicas),
                epoch: index as u64 + 1,
                view: view.clone(),
                uncovered: 0,
                migrating: BTreeMap::new(),
                importing: BTreeMap::new(),
                store: Store::new(mix(seed ^ 0x5eed), options.profile.slot_cursors()),
            }
        })
        .collect()
}

/// SplitMix64.
pub(super) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Node {
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Who owns the slot, as this node sees it.
    pub(super) fn owner(&self, slot: u16) -> Option<usize> {
        self.view.get(usize::from(slot)).copied().flatten()
    }

    pub(super) fn set_owner(&mut self, slot: u16, owner: Option<usize>) {
        if let Some(seen) = self.view.get_mut(usize::from(slot)) {
            self.uncovered -= usize::from(seen.is_none());
            self.uncovered += usize::from(owner.is_none());
            *seen = owner;
        }
    }

    /// Number of slots without an owner, as this node sees it.
    pub(super) fn uncovered(&self) -> usize {
        self.uncovered
    }

    /// The slots `owner` has in this node's view, as ranges.
    pub(super) fn ranges_of(&self, owner: usize) -> Vec<(usize, usize)> {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for (slot, seen) in self.view.iter().enumerate() {
            if *seen != Some(owner) {
                continue;
            }
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == slot => *last = slot,
                _ => ranges.push((slot, slot)),
            }
        }
        ranges
    }
}
