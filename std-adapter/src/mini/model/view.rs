//! Who owns each slot, as one node sees it.

use super::node::mix;
use std::cell::OnceCell;

/// Number of slots.
pub(super) const SLOTS: usize = 16384;

const NOBODY: u16 = u16::MAX;

/// First slot, last slot, owner; in ascending order.
type Ranges = Vec<(u16, u16, usize)>;

/// What one node owns, in short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    count: usize,
    // Sum over the slots of a hash of each: equal sets have equal sums, others hardly ever.
    sum: u64,
}

#[derive(Clone, Debug)]
pub(super) struct View {
    // Number of the owning node, or NOBODY.
    owners: Vec<u16>,
    // By owner; as long as the greatest number of one asked for.
    shares: Vec<Share>,
    // What `ranges` found, until something changes.
    ranges: OnceCell<Ranges>,
    uncovered: usize,
    // Counts changes by `set`.
    version: u64,
}

impl View {
    /// Equal shares for the nodes `0..primaries`; with 0 nobody owns anything.
    pub(super) fn shared_by(primaries: usize) -> Self {
        let mut view = View {
            owners: vec![NOBODY; SLOTS],
            shares: Vec::new(),
            ranges: OnceCell::new(),
            uncovered: SLOTS,
            version: 0,
        };
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
        self.ranges.take();
        let hash = mix(u64::from(slot));
        if before == NOBODY {
            self.uncovered -= 1;
        } else if let Some(share) = self.shares.get_mut(usize::from(before)) {
            share.count -= 1;
            share.sum = share.sum.wrapping_sub(hash);
        }
        if owner == NOBODY {
            self.uncovered += 1;
            return;
        }
        let place = usize::from(owner);
        if place >= self.shares.len() {
            self.shares.resize(place + 1, Share::default());
        }
        if let Some(share) = self.shares.get_mut(place) {
            share.count += 1;
            share.sum = share.sum.wrapping_add(hash);
        }
    }

    fn share_of(&self, owner: usize) -> Share {
        self.shares.get(owner).copied().unwrap_or_default()
    }

    /// Whether `owner` has the same slots in both views.
    pub(super) fn agrees(&self, other: &View, owner: usize) -> bool {
        self.share_of(owner) == other.share_of(owner)
    }

    /// Slots that `owner` has here and not in the other view.
    pub(super) fn beyond(&self, other: &View, owner: usize) -> Vec<u16> {
        let wanted = u16::try_from(owner).unwrap_or(NOBODY);
        let pairs = (0..).zip(self.owners.iter().zip(&other.owners));
        pairs.filter(|(_, (mine, theirs))| **mine == wanted && **theirs != wanted).map(|(slot, _)| slot).collect()
    }

    /// Number of slots without an owner.
    pub(super) fn uncovered(&self) -> usize {
        self.uncovered
    }

    /// Number of slots of `owner`.
    pub(super) fn count_of(&self, owner: usize) -> usize {
        self.share_of(owner).count
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
    pub(super) fn ranges(&self) -> &[(u16, u16, usize)] {
        self.ranges.get_or_init(|| self.find_ranges())
    }

    fn find_ranges(&self) -> Ranges {
        let mut ranges = Ranges::new();
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

    #[test]
    fn views_are_told_apart_owner_by_owner() {
        let view = View::shared_by(3);
        let mut other = view.clone();
        assert!((0..4).all(|owner| view.agrees(&other, owner)));
        other.set(5, Some(2));
        assert_eq!([0, 1, 2].map(|owner| view.agrees(&other, owner)), [false, true, false]);
        assert_eq!((view.beyond(&other, 0), other.beyond(&view, 2)), (vec![5], vec![5]));
        // As many slots as before, but not the same ones.
        other.set(6000, Some(0));
        other.set(6001, Some(1));
        assert!(!view.agrees(&other, 0));
        other.set(5, Some(0));
        other.set(6000, Some(1));
        assert!((0..4).all(|owner| view.agrees(&other, owner)));
    }
}
