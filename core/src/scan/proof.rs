//! Proofs: what a node's own CLUSTER NODES line does to the claim of a walk, before and after it.

use super::certificate::Why;
use super::cluster_scan::Core;
use super::own_line::{Item, Summary};
use super::start::below;
use super::walk::{Mode, Phase, Walk};
use crate::ids::NodeId;
use crate::slot::{Slot, SlotRange};
use crate::topology::{Map, Node, Owner};

impl Core {
    /// Takes what stands on the `myself` line. Slots that the line leaves out, or that it marks, leave the claim at once.
    pub(crate) fn own_item(&mut self, walk: &mut Walk, item: Item) {
        match item {
            Item::Owned(range) => {
                if range.first().get() < walk.listed {
                    // Servers list slots in order; without that, what is left out cannot be told as the line goes by.
                    walk.ordered = false;
                }
                if !walk.at_target {
                    self.leave_out(walk, walk.listed, range.first().get());
                    let first = walk.own.filter(|_| walk.listed > 0).map_or(range.first(), |(first, _)| first);
                    walk.own = Some((first, range.last()));
                }
                walk.listed = range.last().get().saturating_add(1);
            }
            Item::Mark { slot, out, other } if walk.claim.contains(slot) => {
                if self.is_pair(walk, out, other) {
                    walk.marks = walk.marks.saturating_add(1);
                } else if !walk.at_target {
                    self.leave_out(walk, slot.get(), slot.get().saturating_add(1));
                }
            }
            Item::Mark { .. } => {}
        }
    }

    /// Whether the mark belongs to the open migration the walk covers at both ends, or may come to cover.
    fn is_pair(&self, walk: &mut Walk, out: bool, other: Option<NodeId>) -> bool {
        if walk.at_target {
            return !out && other == Some(walk.node);
        }
        if !out || other.is_none() || !walk.may_pair {
            return false;
        }
        if walk.target.is_none() && walk.phase == Phase::Before {
            walk.target = other;
        }
        walk.target == other
    }

    /// Takes claimed slots from `from` to before `end` out of the claim without a proof.
    fn leave_out(&mut self, walk: &mut Walk, from: u16, end: u16) {
        let last = end.checked_sub(1).and_then(Slot::new);
        let Some(range) = Slot::new(from).zip(last).and_then(|(first, last)| SlotRange::new(first, last)) else {
            return;
        };
        let count = walk.claim.count_in(range);
        if count == 0 {
            return;
        }
        let hand = walk.cursor.slot(); // slot-wise
        let at_hand = walk.partial && range.contains(hand) && walk.claim.contains(hand);
        let walked = match walk.mode {
            Mode::Unknown => 0,
            Mode::NodeWise => count,
            Mode::SlotWise => {
                let walked = below(walk.done_below).and_then(|done| done.intersection(range));
                let more = at_hand && hand.get() >= walk.done_below;
                walked.map_or(0, |walked| walk.claim.count_in(walked)).saturating_add(u16::from(more))
            }
        };
        self.reasons.set_in(&walk.claim, range, Why::Moving);
        walk.claim.remove_range(range);
        self.refresh = true;
        self.restarted(u64::from(walked));
        if at_hand {
            walk.restart_slot();
        }
    }

    /// The CLUSTER NODES reply is whole.
    pub(crate) fn own_line_read(&mut self, walk: &mut Walk, summary: &Summary, map: &Map<'_>) {
        walk.in_flight = false;
        if !walk.at_target {
            self.leave_out(walk, walk.listed, Slot::COUNT);
        }
        // A node the map knows by no id of its own is believed to be the one that was asked.
        let known = summary.id == walk.at() || walk.at().is_derived();
        if !known || summary.isolated || !walk.ordered {
            self.refresh = true;
            return self.give_up(walk, Why::Unreachable);
        }
        if walk.claim.is_empty() {
            return self.release(walk);
        }
        if !summary.primary {
            return self.give_up(walk, Why::Moving);
        }
        match (walk.phase, walk.target.is_some()) {
            (Phase::Before, false) => {
                walk.epoch = summary.epoch;
                self.begin_pages(walk);
            }
            (Phase::Before, true) => self.pair_begins(walk, summary),
            (_, false) => self.close(walk, summary, map),
            (_, true) => self.pair_closes(walk, summary, map),
        }
    }

    fn begin_pages(&mut self, walk: &mut Walk) {
        if walk.mode == Mode::SlotWise && !walk.again {
            walk.restart_slot();
            walk.phase = Phase::Pages;
        } else {
            walk.again = false;
            walk.start_probe();
            walk.phase = Phase::Probe;
        }
    }

    /// Ends the proof of what is walked, and begins the next one for the rest.
    fn close(&mut self, walk: &mut Walk, summary: &Summary, map: &Map<'_>) {
        let end = if walk.mode == Mode::NodeWise { Slot::COUNT } else { walk.done_below };
        let same = summary.epoch == walk.epoch;
        walk.epoch = summary.epoch;
        self.settle(walk, end, same, map);
        if !same && walk.partial {
            self.restarted(1);
            walk.restart_slot();
        }
        if walk.claim.is_empty() {
            return self.release(walk);
        }
        walk.pages = 0;
        self.sharable = true;
        if walk.again {
            self.begin_pages(walk);
        } else {
            walk.phase = Phase::Pages;
        }
    }

    /// Takes the walked slots, those below `end`, out of the claim: proven if the node's line says so (`same`) and the map
    /// agrees.
    fn settle(&mut self, walk: &mut Walk, end: u16, same: bool, map: &Map<'_>) {
        let Some(walked) = below(end) else { return };
        for (run, owner) in map.runs() {
            let Some(range) = run.intersection(walked) else { return };
            let count = walk.claim.count_in(range);
            if count == 0 {
                continue;
            }
            let owns = matches!(owner, Owner::Node(index) if map.node(index).map(Node::id) == Some(walk.node));
            if same && owns {
                self.proven.insert_from(&walk.claim, range);
                walk.tries = 0;
            } else {
                self.reasons.set_in(&walk.claim, range, Why::Moving);
                self.refresh = true;
                self.restarted(u64::from(count));
            }
            walk.claim.remove_range(range);
        }
    }

    /// A CLUSTER NODES before the walk of slots of which some have marks: at the source, then at the target.
    fn pair_begins(&mut self, walk: &mut Walk, summary: &Summary) {
        if walk.marks < walk.claim.len() {
            if walk.at_target {
                return self.give_up(walk, Why::Moving);
            }
            // Some have a mark and some do not: ask again, and leave those with a mark to the next pass.
            walk.target = None;
            walk.may_pair = false;
            return;
        }
        if walk.at_target {
            walk.target_epoch = summary.epoch;
        } else {
            walk.epoch = summary.epoch;
        }
        self.begin_pages(walk);
    }

    /// A CLUSTER NODES after the walk at the target: first its own, then the source's.
    fn pair_closes(&mut self, walk: &mut Walk, summary: &Summary, map: &Map<'_>) {
        let epoch = if walk.at_target { walk.target_epoch } else { walk.epoch };
        if walk.marks < walk.claim.len() || summary.epoch != epoch {
            self.refresh = true;
            return self.give_up(walk, Why::Moving);
        }
        if walk.at_target {
            walk.at_target = false;
            return;
        }
        self.settle(walk, Slot::COUNT, true, map);
        self.release(walk);
    }

    /// All pages are read. A walk of slots on the move goes on at their target.
    pub(crate) fn walked_all(&mut self, walk: &mut Walk) {
        if walk.target.is_none() || walk.at_target {
            walk.phase = Phase::After;
            return;
        }
        // Keys that move while they are listed are listed at both ends.
        self.restarted(u64::from(walk.claim.len()));
        walk.at_target = true;
        walk.phase = Phase::Before;
        walk.own = None;
        walk.forget_place();
    }
}
