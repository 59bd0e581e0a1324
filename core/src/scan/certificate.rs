//! What a scan vouches for.

use super::options::Coverage;
use crate::slot::{Slot, SlotRange, SlotSet, masks};
use core::fmt;

/// Why a slot has no proof, as its last attempt found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Why {
    /// It was not tried in the last pass (the scan is not over, or was cancelled), or its walk was still under way.
    NotReached,
    /// It did not stay at rest: a migration is open, its owner or the owner's config epoch changed during the walk,
    /// or the owner and the map disagree.
    Moving,
    /// Its owner did not answer, refused, saw too few of the other primaries, or is not known.
    Unreachable,
    /// Nobody owns it.
    Uncovered,
}

impl Why {
    /// The reason in snake_case, for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotReached => "not_reached",
            Self::Moving => "moving",
            Self::Unreachable => "unreachable",
            Self::Uncovered => "uncovered",
        }
    }

    /// Its bits in the two planes of [`Reasons`].
    const fn bits(self) -> (bool, bool) {
        match self {
            Self::NotReached => (false, false),
            Self::Moving => (true, false),
            Self::Unreachable => (false, true),
            Self::Uncovered => (true, true),
        }
    }
}

/// How a scan ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Ended {
    /// Everything the coverage asks for is proven.
    Complete,
    /// Too many passes proved nothing new.
    Stalled,
    /// Too many slots were walked again.
    RestartLimit,
    /// The caller cancelled it.
    Cancelled,
}

impl Ended {
    /// The end in snake_case, for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Stalled => "stalled",
            Self::RestartLimit => "restart_limit",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a scan did. Counters stay at their greatest value rather than wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// SCAN pages read, probe pages included.
    pub pages: u64,
    /// Keys handed out, repeats included.
    pub keys: u64,
    /// Keys listed and left out, since their slot was not what the walk was responsible for.
    pub filtered: u64,
    /// Slots begun again after some of their keys may have been handed out: where repeats can come from.
    pub restarts: u64,
    /// Keys too long for the key buffer, which were left out: with one of these no scan is complete.
    pub long_keys: u64,
    /// Passes begun.
    pub passes: u32,
}

impl Counts {
    pub(crate) const NONE: Self = Self { pages: 0, keys: 0, filtered: 0, restarts: 0, long_keys: 0, passes: 0 };
}

/// Why each slot without a proof has none, in two bits a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reasons([SlotSet; 2]);

impl Reasons {
    pub(crate) const NONE: Self = Self([SlotSet::EMPTY, SlotSet::EMPTY]);

    pub(crate) fn get(&self, slot: Slot) -> Why {
        let [low, high] = &self.0;
        match (high.contains(slot), low.contains(slot)) {
            (false, false) => Why::NotReached,
            (false, true) => Why::Moving,
            (true, false) => Why::Unreachable,
            (true, true) => Why::Uncovered,
        }
    }

    /// Gives the slots of `slots` that lie in the range a reason.
    pub(crate) fn set_in(&mut self, slots: &SlotSet, range: SlotRange, why: Why) {
        let [low, high] = &mut self.0;
        let (in_low, in_high) = why.bits();
        put(low, slots, range, in_low);
        put(high, slots, range, in_high);
    }

    /// Gives the slots of the range that are neither proven nor have a reason this one.
    pub(crate) fn fill(&mut self, proven: &SlotSet, range: SlotRange, why: Why) {
        let [low, high] = &mut self.0;
        let (in_low, in_high) = why.bits();
        for (index, mask) in masks(range) {
            let bits = mask & !(proven.word(index) | low.word(index) | high.word(index));
            low.join_word(index, if in_low { bits } else { 0 });
            high.join_word(index, if in_high { bits } else { 0 });
        }
    }

    /// Adds the slots of the range that are neither proven nor have a reason to `slots`.
    pub(crate) fn collect_waiting(&self, proven: &SlotSet, range: SlotRange, slots: &mut SlotSet) {
        let [low, high] = &self.0;
        for (index, mask) in masks(range) {
            slots.join_word(index, mask & !(proven.word(index) | low.word(index) | high.word(index)));
        }
    }

    /// The first slot of the range that is neither proven nor has a reason.
    pub(crate) fn first_waiting(&self, proven: &SlotSet, range: SlotRange) -> Option<Slot> {
        let [low, high] = &self.0;
        masks(range).find_map(|(index, mask)| {
            let bits = mask & !(proven.word(index) | low.word(index) | high.word(index));
            let slot = ((index as u16) << 6) | bits.trailing_zeros() as u16;
            if bits == 0 { None } else { Slot::new(slot) }
        })
    }

    /// The first slot behind `slot` that has another reason than it has.
    fn next_other(&self, slot: Slot) -> Option<Slot> {
        let change = |set: &SlotSet| if set.contains(slot) { set.next_absent(slot) } else { set.next_from(slot) };
        let [low, high] = &self.0;
        match (change(low), change(high)) {
            (Some(low), Some(high)) => Some(low.min(high)),
            (low, high) => low.or(high),
        }
    }

    pub(crate) fn clear(&mut self) {
        let [low, high] = &mut self.0;
        low.clear();
        high.clear();
    }
}

fn put(plane: &mut SlotSet, slots: &SlotSet, range: SlotRange, on: bool) {
    if on {
        plane.insert_from(slots, range);
    } else {
        plane.remove_from(slots, range);
    }
}

/// What a scan vouches for so far, or at its end.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    pub(crate) proven: &'a SlotSet,
    pub(crate) reasons: &'a Reasons,
    pub(crate) scope: Option<Slot>,
    pub(crate) coverage: Coverage,
    pub(crate) ended: Option<Ended>,
    pub(crate) counts: Counts,
}

impl<'a> Certificate<'a> {
    /// The slots of which every key that was present throughout was returned.
    #[must_use]
    pub const fn proven(&self) -> &'a SlotSet {
        self.proven
    }

    /// The only slot the scan asked for, when its MATCH fixed one; the others are neither proven nor missing.
    #[must_use]
    pub const fn scope(&self) -> Option<Slot> {
        self.scope
    }

    /// How the scan ended; `None` while it goes on.
    #[must_use]
    pub const fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// What the scan did.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The slots without a proof, in order, in runs with one reason.
    #[must_use]
    pub fn unproven(&self) -> Unproven<'a> {
        let from = self.scope.map_or(0, Slot::get);
        let end = self.scope.map_or(Slot::COUNT, |slot| slot.get().saturating_add(1));
        Unproven { proven: self.proven, reasons: self.reasons, from, end }
    }

    /// Whether the scan is over and returned every key that was present throughout, in all slots the coverage asks for.
    ///
    /// # Errors
    /// [`Incomplete`] with the first slots that are missing and their number.
    pub fn check(&self) -> Result<(), Incomplete> {
        let mut missing = self.unproven().filter(|&(_, why)| !self.coverage.forgives(why));
        let first = missing.next();
        let slots = missing.chain(first).fold(0_u16, |sum, (range, _)| sum.saturating_add(range.len()));
        if first.is_none() && self.counts.long_keys == 0 && self.ended.is_some() {
            return Ok(());
        }
        Err(Incomplete { first, slots, long_keys: self.counts.long_keys, ended: self.ended })
    }
}

impl Coverage {
    pub(crate) fn forgives(self, why: Why) -> bool {
        self == Self::AllowUncovered && matches!(why, Why::Uncovered | Why::Unreachable)
    }
}

/// Runs of slots without a proof; from [`Certificate::unproven`].
#[derive(Clone, Debug)]
pub struct Unproven<'a> {
    proven: &'a SlotSet,
    reasons: &'a Reasons,
    from: u16, // <= end
    end: u16,  // <= 16384
}

impl Iterator for Unproven<'_> {
    type Item = (SlotRange, Why);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.proven.next_absent(Slot::new(self.from)?)?;
        if first.get() >= self.end {
            return None;
        }
        let why = self.reasons.get(first);
        let change = |slot: Option<Slot>| slot.map_or(self.end, Slot::get);
        let end = change(self.proven.next_from(first)).min(change(self.reasons.next_other(first))).min(self.end);
        self.from = end;
        Some((SlotRange::new(first, Slot::new(end.checked_sub(1)?)?)?, why))
    }
}

/// A scan that did not return everything; the scan can be saved and gone on with later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Incomplete {
    /// The first run of slots without a proof, and why.
    pub first: Option<(SlotRange, Why)>,
    /// How many slots have none.
    pub slots: u16,
    /// Keys that were too long to be handed out.
    pub long_keys: u64,
    /// How the scan ended; `None` while it goes on.
    pub ended: Option<Ended>,
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.ended.map_or("not over", Ended::name);
        write!(f, "the scan is incomplete ({state})")?;
        if let Some((range, why)) = self.first {
            let (first, last) = (range.first().get(), range.last().get());
            write!(f, ": {} slots without proof, first {first}-{last} ({})", self.slots, why.name())?;
        }
        if self.long_keys > 0 {
            write!(f, "; {} keys too long to be handed out", self.long_keys)?;
        }
        Ok(())
    }
}

impl core::error::Error for Incomplete {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn slot(n: u16) -> Slot {
        Slot::new(n).unwrap()
    }

    fn range(first: u16, last: u16) -> SlotRange {
        SlotRange::new(slot(first), slot(last)).unwrap()
    }

    #[test]
    fn unproven_runs_have_one_reason() {
        let mut proven = SlotSet::EMPTY;
        proven.insert_range(range(10, 16_379));
        let mut reasons = Reasons::NONE;
        for why in [Why::Uncovered, Why::NotReached, Why::Unreachable, Why::Moving] {
            reasons.set_in(&SlotSet::FULL, range(0, 0), why);
            assert_eq!(reasons.get(slot(0)), why);
        }
        reasons.fill(&proven, range(16_383, 16_383), Why::Uncovered);
        // What is proven or has a reason keeps it.
        reasons.fill(&proven, range(0, 0), Why::Unreachable);
        reasons.fill(&proven, range(11, 12), Why::Unreachable);
        assert_eq!(reasons.first_waiting(&proven, range(0, 16_383)), Some(slot(1)));
        assert_eq!(reasons.first_waiting(&proven, range(10, 16_379)), None);
        let mut waiting = SlotSet::EMPTY;
        reasons.collect_waiting(&proven, range(5, 16_383), &mut waiting);
        assert_eq!(waiting.ranges().collect::<Vec<_>>(), [range(5, 9), range(16_380, 16_382)]);
        let counts = Counts::NONE;
        let ended = Some(Ended::Stalled);
        let mut certificate =
            Certificate { proven: &proven, reasons: &reasons, scope: None, coverage: Coverage::Strict, ended, counts };
        let runs: Vec<_> = certificate.unproven().collect();
        let expected = [
            (range(0, 0), Why::Moving),
            (range(1, 9), Why::NotReached),
            (range(16_380, 16_382), Why::NotReached),
            (range(16_383, 16_383), Why::Uncovered),
        ];
        assert_eq!(runs, expected);
        let incomplete = certificate.check().unwrap_err();
        assert_eq!((incomplete.first, incomplete.slots), (Some(expected[0]), 14));

        certificate.scope = Some(slot(16_383));
        assert_eq!(certificate.unproven().collect::<Vec<_>>(), expected[3..]);
        assert!(certificate.check().is_err());
        certificate.coverage = Coverage::AllowUncovered;
        assert_eq!(certificate.check(), Ok(()));
        certificate.counts.long_keys = 1;
        assert!(certificate.check().is_err());
        certificate.counts.long_keys = 0;
        certificate.ended = None;
        assert!(certificate.check().is_err());
    }
}
