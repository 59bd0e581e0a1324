//! Which walks begin: claims, passes, the end of the scan, and what a walk does that was interrupted.

use super::certificate::{Ended, Why};
use super::cluster_scan::Core;
use super::cursor::Cursor;
use super::options::Coverage;
use super::walk::{Mode, Phase, Walk};
use crate::slot::{Slot, SlotRange};
use crate::time::{Duration, Instant};
use crate::topology::{Map, Node, NodeIndex, Owner};

/// Fewest slots left to a walk of which another one takes a half.
const WORTH_SHARING: u16 = 64;

/// The slots below `end`, at most 16384; `None` when there are none.
pub(crate) fn below(end: u16) -> Option<SlotRange> {
    SlotRange::new(Slot::FIRST, Slot::new(end.checked_sub(1)?)?)
}

impl Core {
    /// Gives free places to nodes with waiting slots, and ends the pass when there is neither a walk nor such a slot.
    pub(crate) fn fill(&mut self, now: Instant, map: &Map<'_>, walks: &mut [Walk]) {
        // Every round of this loop ends the scan, sets a time to go on, or leaves a walk running.
        while self.ended.is_none() && self.resume_at.is_none() {
            if map.is_empty() {
                self.refresh = true;
                return;
            }
            if self.startable {
                self.claim_all(map, walks);
            }
            if !self.startable {
                self.share(walks);
            }
            if walks.iter().any(|walk| !walk.is_idle()) {
                return;
            }
            if walks.is_empty() {
                self.ended = Some(Ended::Stalled);
                return;
            }
            self.end_pass(now);
        }
    }

    /// Begins walks until no place is free, or no slot waits at a node without a walk. Once around, from where the
    /// last search ended.
    fn claim_all(&mut self, map: &Map<'_>, walks: &mut [Walk]) {
        let mut busy = None; // a node with a walk, met last
        let mut turned = false;
        let scope = self.scope.map_or(SlotRange::ALL, SlotRange::one);
        loop {
            let rest = SlotRange::new(Slot::masked(self.seek).max(scope.first()), scope.last());
            let Some(slot) = rest.and_then(|rest| self.reasons.first_waiting(&self.proven, rest)) else {
                if turned || self.seek == 0 {
                    break;
                }
                turned = true;
                self.seek = 0;
                continue;
            };
            let Some((run, owner)) = map.runs_from(slot).next() else { break };
            let run = SlotRange::new(slot, run.last().min(scope.last())).unwrap_or(SlotRange::one(slot));
            match owner {
                Owner::Uncovered => self.reasons.fill(&self.proven, run, Why::Uncovered),
                Owner::Unknown => {
                    self.reasons.fill(&self.proven, run, Why::Unreachable);
                    self.refresh = true;
                }
                Owner::Node(index) if busy == Some(index) => {}
                Owner::Node(index) => {
                    let node = map.node(index).map(Node::id);
                    if walks.iter().all(|walk| walk.is_idle() || Some(walk.node) != node) {
                        let Some(walk) = walks.iter_mut().find(|walk| walk.is_idle()) else {
                            self.seek = slot.get();
                            return;
                        };
                        self.claim(map, walk, index, slot);
                    }
                    busy = Some(index);
                }
            }
            match run.last().next() {
                Some(next) => self.seek = next.get(),
                None if turned => break,
                None => {
                    turned = true;
                    self.seek = 0;
                }
            }
        }
        self.startable = false;
    }

    /// Gives all waiting slots of the node to the walk, `slot` among them.
    fn claim(&mut self, map: &Map<'_>, walk: &mut Walk, index: NodeIndex, slot: Slot) {
        if let Some(node) = map.node(index) {
            // In the first pass a mark is left to a later pass, so that the slots at rest are out of the way.
            walk.begin(node.id(), self.settings.count, self.counts.passes > 1);
            let scope = self.scope.map_or(SlotRange::ALL, SlotRange::one);
            for (range, _) in map.ranges().filter(|&(_, owner)| owner == index) {
                if let Some(range) = range.intersection(scope) {
                    self.reasons.collect_waiting(&self.proven, range, &mut walk.claim);
                }
            }
        }
        if !walk.claim.contains(slot) {
            // A map that contradicts itself; nothing may wait for it.
            self.reasons.fill(&self.proven, SlotRange::one(slot), Why::Unreachable);
        }
        self.reasons.set_in(&walk.claim, SlotRange::ALL, Why::Moving);
        if walk.claim.is_empty() {
            walk.free();
        }
    }

    /// Gives free places to slot-wise nodes that may have more walks: half of what is left to the walk with the most.
    fn share(&mut self, walks: &mut [Walk]) {
        if self.settings.per_node <= 1 || !core::mem::take(&mut self.sharable) {
            return;
        }
        while let Some(free) = walks.iter().position(Walk::is_idle) {
            let mut best: Option<(usize, u16)> = None;
            for (index, walk) in walks.iter().enumerate() {
                let left = self.sharable(walk, walks);
                if left >= WORTH_SHARING && best.is_none_or(|(_, most)| left > most) {
                    best = Some((index, left));
                }
            }
            let Some((from, left)) = best else { return };
            let Ok([walk, giver]) = walks.get_disjoint_mut([free, from]) else { return };
            self.give(giver, walk, left / 2);
        }
    }

    /// How many slots the walk has not come to yet and may share.
    fn sharable(&self, walk: &Walk, walks: &[Walk]) -> u16 {
        let steady = walk.mode == Mode::SlotWise && walk.phase == Phase::Pages && walk.target.is_none() && !walk.again;
        if !steady || walk.reads_page() {
            return 0;
        }
        let there = walks.iter().filter(|other| !other.is_idle() && other.node == walk.node).count();
        if there >= usize::from(self.settings.per_node) {
            return 0;
        }
        let behind = walk.cursor.slot().next().and_then(|next| SlotRange::new(next, Slot::LAST));
        behind.map_or(0, |behind| walk.claim.count_in(behind))
    }

    /// Moves the last `count` slots. The page in flight may list keys of them: the giver filters them out from here on,
    /// and the new walk lists them.
    fn give(&self, giver: &mut Walk, walk: &mut Walk, count: u16) {
        walk.begin(giver.node, self.settings.count, giver.may_pair);
        walk.mode = Mode::SlotWise;
        walk.own = giver.own;
        let keep = giver.claim.len().saturating_sub(count);
        let Some(first) = giver.claim.nth(keep) else { return };
        let Some(range) = SlotRange::new(first, Slot::LAST) else { return };
        walk.claim = giver.claim.clone();
        giver.claim.remove_range(range);
        walk.claim.subtract(&giver.claim);
    }

    fn end_pass(&mut self, now: Instant) {
        let certificate = self.certificate();
        let left = certificate.unproven().next().is_some();
        let forgiven = certificate.unproven().all(|(_, why)| why == Why::Uncovered);
        if !left || (forgiven && self.settings.coverage == Coverage::AllowUncovered) {
            self.ended = Some(Ended::Complete);
            return;
        }
        let proven = self.proven.len();
        self.stalled = if proven > self.proven_before { 0 } else { self.stalled.saturating_add(1) };
        self.proven_before = proven;
        if self.counts.restarts > u64::from(self.settings.restarts) {
            self.ended = Some(Ended::RestartLimit);
            return;
        }
        if self.stalled > self.settings.stalls {
            // What is left was forgiven, or was not.
            let forgiven = self.certificate().unproven().all(|(_, why)| self.settings.coverage.forgives(why));
            self.ended = Some(if forgiven { Ended::Complete } else { Ended::Stalled });
            return;
        }
        self.reasons.clear();
        self.counts.passes = self.counts.passes.saturating_add(1);
        self.startable = true;
        self.seek = 0;
        self.refresh = true;
        self.resume_at = Some(now + self.wait(self.stalled));
    }

    fn wait(&self, times: u16) -> Duration {
        self.settings.delay.saturating_mul(1 << times.min(6))
    }

    /// The walk's connection or request was lost: it goes on behind its last proof, or gives up until the next pass.
    pub(crate) fn interrupt(&mut self, now: Instant, walk: &mut Walk) {
        let begun = walk.in_flight || walk.phase != Phase::Before;
        walk.in_flight = false;
        walk.generation = walk.generation.wrapping_add(1);
        if !begun {
            return;
        }
        walk.tries = walk.tries.saturating_add(1);
        if walk.tries >= self.settings.tries.max(1) || walk.target.is_some() {
            self.give_up(walk, Why::Unreachable);
            return;
        }
        walk.not_before = Some(now + self.wait(u16::from(walk.tries.saturating_sub(1))));
        match walk.mode {
            Mode::SlotWise => {
                // The slot at hand begins again; those before it are whole, and CLUSTER NODES will prove them.
                self.restarted(walk.begun());
                walk.restart_slot();
                walk.again = true;
                if walk.phase != Phase::Before {
                    walk.phase = Phase::After;
                }
            }
            Mode::NodeWise => {
                self.restarted(u64::from(walk.claim.len()));
                walk.forget_place();
                walk.phase = Phase::Before;
            }
            Mode::Unknown => {
                walk.forget_place();
                walk.phase = Phase::Before;
            }
        }
    }

    /// Counts slots whose keys may come again.
    pub(crate) fn restarted(&mut self, slots: u64) {
        self.counts.restarts = self.counts.restarts.saturating_add(slots);
    }

    /// Ends the walk without a proof of what is left of its claim.
    pub(crate) fn give_up(&mut self, walk: &mut Walk, why: Why) {
        self.reasons.set_in(&walk.claim, SlotRange::ALL, why);
        let walked = match walk.mode {
            Mode::Unknown => 0,
            Mode::NodeWise => u64::from(walk.claim.len()),
            Mode::SlotWise => walk.walked().saturating_add(walk.begun()),
        };
        self.restarted(walked);
        self.release(walk);
    }

    /// The scan was cancelled: what the walk had is as if not reached.
    pub(crate) fn drop_walk(&mut self, walk: &mut Walk) {
        self.reasons.set_in(&walk.claim, SlotRange::ALL, Why::NotReached);
        self.release(walk);
    }

    /// Frees the walk's place.
    pub(crate) fn release(&mut self, walk: &mut Walk) {
        walk.free();
        self.startable = true;
        self.sharable = true;
    }
}

impl Walk {
    /// Whether part of a page was read.
    fn reads_page(&self) -> bool {
        self.in_flight && matches!(&self.reading, super::walk::Reading::Page(page) if !page.is_fresh())
    }

    /// How many slots are walked to their end and wait for their proof.
    pub(crate) fn walked(&self) -> u64 {
        below(self.done_below).map_or(0, |walked| u64::from(self.claim.count_in(walked)))
    }

    /// Slot-wise: how many slots that are not walked to their end may have had keys handed out.
    pub(crate) fn begun(&self) -> u64 {
        if !self.partial {
            return 0;
        }
        let top = self.highest.max(Some(self.cursor.slot()));
        let begun = Slot::new(self.done_below).zip(top).and_then(|(first, last)| SlotRange::new(first, last));
        begun.map_or(0, |begun| u64::from(self.claim.count_in(begun)))
    }

    /// Slot-wise: begins the slot at hand again.
    pub(crate) fn restart_slot(&mut self) {
        self.partial = false;
        self.cursor = self.next_slot().map_or(Cursor::START, Cursor::at_slot);
        self.start_probe();
    }
}
