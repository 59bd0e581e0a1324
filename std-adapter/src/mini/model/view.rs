//! Who owns each slot, as one node sees it.

use std::collections::BTreeMap;

/// Number of slots.
pub(super) const SLOTS: usize = 16384;

const NOBODY: u16 = u16::MAX;

#[derive(Clone, Debug)]
pub(super) struct View {
    // Number of the owning node, or NOBODY.
    owners: Vec<u16>,
    // How many slots each owner has; no zeros.
    counts: BTreeMap<u16, usize>,
    uncovered: usize,
    // Counts changes by `set`.
    version: u64,
}

impl View {
    /// Equal shares for the nodes `0..primaries`; with 0 nobody owns anything.
    pub(super) fn shared_by(primaries: usize) -> Self {
        let mut view = View { owners: vec![NOBODY; SLOTS], counts: BTreeMap::new(), uncovered: SLOTS, version: 0 };
        if primaries > 0 {
            for slot in 0..SLOTS {
                view.set(slot as u16, Some(((slot + 1) * primaries - 1) / SLOTS));
            }
        }
        view
    }

    /// Nobody owns anything any more.
    pub(super) fn clear(&mut self) {
        let version = self.version + 1;
        *self = View { version, ..View::shared_by(0) };
    }

    pub(super) fn owner(&self, slot: u16) -> Option<usize> {
        self.owners.get(usize::from(slot)).filter(|owner| **owner != NOBODY).map(|owner| usize::from(*owner))
    }

    /// The node decides, or is told by an operator, who owns the slot.
    pub(super) fn set(&mut self, slot: u16, owner: Option<usize>) {
        self.version += u64::from(self.owner(slot) != owner);
        self.hear(slot, owner);
    }

    /// The node believes another node's claim. Whatever it did not believe before it does not believe now either: the
    /// version stays.
    pub(super) fn hear(&mut self, slot: u16, owner: Option<usize>) {
        let owner = owner.and_then(|owner| u16::try_from(owner).ok()).unwrap_or(NOBODY);
        let Some(seen) = self.owners.get_mut(usize::from(slot)) else { return };
        let before = std::mem::replace(seen, owner);
        if before == owner {
            return;
        }
        if before == NOBODY {
            self.uncovered -= 1;
        } else if let Some(count) = self.counts.get_mut(&before) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&before);
            }
        }
        if owner == NOBODY {
            self.uncovered += 1;
        } else {
            *self.counts.entry(owner).or_default() += 1;
        }
    }

    /// Number of slots without an owner.
    pub(super) fn uncovered(&self) -> usize {
        self.uncovered
    }

    /// Number of slots of `owner`.
    pub(super) fn count_of(&self, owner: usize) -> usize {
        u16::try_from(owner).ok().and_then(|owner| self.counts.get(&owner)).copied().unwrap_or(0)
    }

    /// Changes by [`set`](View::set) so far.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The slots of `owner`.
    pub(super) fn slots_of(&self, owner: usize) -> impl Iterator<Item = u16> {
        let wanted = u16::try_from(owner).ok().filter(|_| self.count_of(owner) > 0);
        let owners = if wanted.is_some() { self.owners.as_slice() } else { &[] };
        (0..).zip(owners).filter(move |(_, seen)| Some(**seen) == wanted).map(|(slot, _)| slot)
    }

    /// First slot, last slot, owner; in ascending order.
    pub(super) fn ranges(&self) -> Vec<(u16, u16, usize)> {
        let mut ranges: Vec<(u16, u16, usize)> = Vec::new();
        for (slot, owner) in (0..).zip(&self.owners) {
            let owner = usize::from(*owner);
            match ranges.last_mut() {
                Some((_, last, before)) if *before == owner && *last + 1 == slot => *last = slot,
                _ if owner == usize::from(NOBODY) => {}
                _ => ranges.push((slot, slot, owner)),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_the_slots() {
        let mut view = View::shared_by(3);
        assert_eq!((view.uncovered(), view.count_of(0) + view.count_of(1) + view.count_of(2)), (0, SLOTS));
        assert_eq!(view.ranges().len(), 3);
        view.set(100, Some(2));
        view.set(101, None);
        assert_eq!(view.ranges()[..4], [(0, 99, 0), (100, 100, 2), (102, 5460, 0), (5461, 10921, 1)]);
        assert_eq!((view.uncovered(), view.count_of(0)), (1, 5459));
        assert_eq!(view.slots_of(2).next(), Some(100));
        let before = view.version();
        view.set(100, Some(2));
        assert_eq!(view.version(), before);
        for slot in 0..SLOTS as u16 {
            view.set(slot, Some(7));
        }
        assert_eq!((view.count_of(0), view.count_of(7), view.slots_of(0).count()), (0, SLOTS, 0));
        assert_eq!(View::shared_by(0).ranges(), []);
    }
}
