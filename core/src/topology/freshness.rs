//! Whether a topology reply is newer than the map in use.
//!
//! Nodes learn of changes one after another, so a node asked later may know less. Where config epochs are known (CLUSTER
//! NODES), they decide per slot, as between the nodes themselves: the higher epoch holds a slot (Redis cluster
//! specification, "Hash slots configuration propagation"). CLUSTER SLOTS and SHARDS carry none; there, a reply is
//! suspect when it loses slots, when it shows a view that was replaced a short while ago, or when it names none of the
//! nodes that are known: then an address probably leads to another cluster by now. A suspect reply has to be confirmed:
//! more of the nodes that answer must say so than otherwise, and for a hold time. That also lets a cluster that was
//! reset or rebuilt through; but as many nodes have to say that it is another one as the caller wants
//! ([`Freshness::set_quorum`]), for it may be two addresses of many that lead elsewhere. What else it says meanwhile does
//! not begin the hold time anew, nor does it that redirects have taught a part of it. The word of a node that is not heard
//! any more counts for twice the hold time at most, so that nobody who is gone keeps a wrong map in use.
//!
//! What a redirect taught goes by slot: a reply that says otherwise is suspect too, and [`Freshness::keep_redirects`] puts
//! it into that reply, so that the rest of it is of use meanwhile.

use super::build::MapMut;
use super::map::{Map, Owner};
use super::node::Node;
use crate::ids::NodeId;
use crate::slot::Slot;
use crate::time::{Duration, Instant, Span, Stamp};

/// What to do with a complete reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// It agrees with the map in use on every slot: the map may be replaced for the sake of addresses and health.
    Same,
    /// It is newer, as far as can be known: replace the map.
    Newer,
    /// It may be older: keep the map and ask another node.
    Suspect,
}

/// Redirects remembered.
const PATCHES: usize = 6;
/// Replaced views remembered.
const VIEWS: usize = 4;
/// Answers remembered while a suspect view waits for confirmation.
const VOTERS: usize = 8;

/// A voter's word: whether it was for the suspect view, and whether it came in this round.
const SUSPECT: u32 = 1;
const HEARD: u32 = 2;
/// The voter that nobody knows the id of.
const NAMELESS: u32 = 4 | SUSPECT | HEARD;

/// How long, beside the hold time, a suspect view waits to be confirmed before all is counted anew.
const PENDING: Duration = Duration::from_secs(3_600);

/// A redirect. Nodes are kept as [`NodeId::short`]: two that look alike make a reply look fresh that is not, once in
/// four thousand million.
#[derive(Clone, Copy, Debug)]
struct Patch {
    owner: u32,
    at: Stamp,
    slot: Slot,
}

/// A view that was replaced: half of its digest, and when. Two that look alike cost a question more.
#[derive(Clone, Copy, Debug)]
struct View {
    digest: u32,
    at: Stamp,
}

/// The memory that keeps a map from going back: recent redirects, recently replaced views, and who said what about a
/// suspect one. Less than 200 bytes; bounded, so the oldest is forgotten first.
#[derive(Clone, Debug)]
pub struct Freshness {
    /// What is suspect about the replies, and when that was first seen.
    pending: Stamp,
    suspect: Suspect,
    /// What all say that is suspect, and since when they do.
    said: View,
    hold: Span,
    /// Unused ones have no time.
    patches: [Patch; PATCHES],
    views: [View; VIEWS],
    /// Who answered since then; the lowest bit says whether with the suspect view, the next whether in this round.
    /// 0: nobody.
    voters: [u32; VOTERS],
    /// When the round began: each lasts for the hold time, and who said nothing in a whole one counts no more.
    round: Stamp,
    next_patch: u8,
    next_view: u8,
    next_voter: u8,
    quorum: u8,
}

impl Freshness {
    /// How long a suspect view has to be confirmed by default.
    pub const HOLD: Duration = Duration::from_secs(2);

    const NO_PATCHES: [Patch; PATCHES] = [Patch { owner: 0, at: Stamp::NEVER, slot: Slot::masked(0) }; PATCHES];
    const NO_VIEWS: [View; VIEWS] = [View { digest: 0, at: Stamp::NEVER }; VIEWS];

    /// Nothing remembered; `hold` is how long a suspect view must be confirmed before it is believed.
    #[must_use]
    pub const fn new(hold: Duration) -> Self {
        Self {
            pending: Stamp::NEVER,
            suspect: Suspect::NOTHING,
            said: View { digest: 0, at: Stamp::NEVER },
            hold: Span::of(hold),
            patches: Self::NO_PATCHES,
            views: Self::NO_VIEWS,
            voters: [0; VOTERS],
            round: Stamp::NEVER,
            next_patch: 0,
            next_view: 0,
            next_voter: 0,
            quorum: 1,
        }
    }

    /// How many nodes have to say that every node is another one before that is believed; 1 until it is set. A connection
    /// may lead to another cluster that has got an address of this one: that should be more nodes than addresses are
    /// likely to have changed hands, and no more than can be asked.
    pub const fn set_quorum(&mut self, nodes: u8) {
        self.quorum = nodes;
    }

    /// Remembers that a MOVED gave `slot` to `owner`: for the hold time a reply that says otherwise is suspect.
    pub fn note_moved(&mut self, now: Instant, slot: Slot, owner: NodeId) {
        let known = self.patches.iter().position(|patch| patch.at.is_some() && patch.slot == slot);
        let at = known.unwrap_or(usize::from(self.next_patch));
        if known.is_none() {
            self.next_patch = (self.next_patch.wrapping_add(1)) % PATCHES as u8;
        }
        if let Some(place) = self.patches.get_mut(at) {
            *place = Patch { slot, owner: owner.short(), at: Stamp::at(now) };
        }
    }

    /// Makes a suspect reply that is not in use yet agree with recent redirects: what keeps to them is of use though the
    /// node that answered is behind. Gives the slots of the redirects to the nodes they led to, where the map in use still
    /// does and the reply has the node as a primary. `Suspect` if that is not all there is to it; after `Same` and `Newer`
    /// the caller applies the reply, and asks another node soon.
    pub fn keep_redirects(&mut self, now: Instant, current: &Map<'_>, candidate: &mut MapMut<'_>) -> Verdict {
        let before = half(digest(&candidate.map()));
        let back = Suspect { what: before | WHOLE, left: 0 };
        if self.is_back(before) && !(back.is_part_of(self.suspect) && self.is_confirmed(now, self.pending, 1)) {
            return Verdict::Suspect;
        }
        for patch in self.patches.iter().filter(|patch| patch.at.is_some()) {
            let Owner::Node(owner) = current.owner(patch.slot) else { continue };
            let Some(id) = current.node(owner).map(Node::id).filter(|id| id.short() == patch.owner) else { continue };
            let view = candidate.map();
            let Some(target) = view.find(&id) else { continue };
            if view.node(target).is_some_and(Node::is_primary) {
                candidate.patch(patch.slot, target);
            }
        }
        let (old, new) = (digest(current), digest(&candidate.map()));
        if old == new {
            return Verdict::Same;
        }
        let doubt = self.doubt(current, &candidate.map(), half(new));
        if !doubt.id().is_nothing() {
            let least = self.votes_for(&doubt);
            let confirmed = doubt.id().is_part_of(self.suspect) && self.is_confirmed(now, self.pending, least);
            // Some redirects cannot be kept: all must have said the same for as long, as against redirects alone.
            let kept = doubt.redirects == 0 || self.said.digest == before && self.said.at.age(now) >= self.hold.get();
            if !confirmed || !kept {
                return Verdict::Suspect;
            }
            self.overrule(now);
        }
        self.remember(now, half(old));
        Verdict::Newer
    }

    /// Judges the reply of node `from`. After `Same` and `Newer` the caller applies it; what has to be remembered of
    /// the map it replaces is remembered here.
    pub fn judge(&mut self, now: Instant, from: NodeId, current: &Map<'_>, candidate: &Map<'_>) -> Verdict {
        let (old, new) = (digest(current), digest(candidate));
        self.forget(now);
        let mut doubt = Doubt::NONE;
        let verdict = if current.is_empty() {
            Verdict::Newer
        } else if old == new {
            Verdict::Same
        } else {
            doubt = self.doubt(current, candidate, half(new));
            if doubt.id().is_nothing() { Verdict::Newer } else { Verdict::Suspect }
        };
        if verdict != Verdict::Suspect {
            self.said.at = Stamp::NEVER;
        } else if self.said.digest != half(new) || !self.said.at.is_some() {
            self.said = View { digest: half(new), at: Stamp::at(now) };
        }
        match verdict {
            Verdict::Newer => self.replaced(now, half(old)),
            Verdict::Same => {
                self.vote(from, false);
                if !self.voters.iter().any(|voter| *voter & SUSPECT != 0) {
                    // Nobody says so any more.
                    self.pending = Stamp::NEVER;
                }
            }
            Verdict::Suspect => {
                let known = if self.pending.is_some() { self.suspect } else { Suspect::NOTHING };
                if !doubt.id().is_part_of(known) {
                    self.suspect = doubt.joined(known);
                    self.pending = Stamp::at(now);
                    self.voters = [0; VOTERS];
                    self.round = Stamp::at(now);
                }
                self.vote(from, true);
                // What all have said for so long counts, whatever was suspect of it before.
                let said = self.said.at.age(now) >= self.hold.get();
                let since = if said { self.said.at } else { self.pending };
                // What redirects taught meanwhile is not confirmed along with something else.
                let confirmed = self.is_confirmed(now, since, self.votes_for(&doubt));
                if confirmed && (doubt.rest.is_nothing() || doubt.redirects == 0) {
                    if doubt.redirects != 0 {
                        self.patches = Self::NO_PATCHES;
                    }
                    self.overrule(now);
                    self.remember(now, half(old));
                    return Verdict::Newer;
                }
            }
        }
        verdict
    }

    /// What was suspect is confirmed: views of before it was first said do not count any more.
    fn overrule(&mut self, now: Instant) {
        let hold = self.hold.get();
        for view in self.views.iter_mut().filter(|view| !view.at.is_recent(now, hold)) {
            view.at = Stamp::NEVER;
        }
        self.pending = Stamp::NEVER;
        self.voters = [0; VOTERS];
    }

    /// Drops what is older than it counts, so that times of long ago are never compared.
    fn forget(&mut self, now: Instant) {
        let hold = self.hold.get();
        if !self.pending.is_recent(now, hold.saturating_add(PENDING)) {
            self.pending = Stamp::NEVER;
        }
        if !self.said.at.is_recent(now, PENDING) {
            self.said.at = Stamp::NEVER;
        }
        for patch in &mut self.patches {
            if !patch.at.is_recent(now, hold) {
                patch.at = Stamp::NEVER;
            }
        }
        for view in &mut self.views {
            if !view.at.is_recent(now, hold.saturating_mul(4)) {
                view.at = Stamp::NEVER;
            }
        }
        if self.pending.is_some() && !self.round.is_recent(now, hold) {
            self.round = Stamp::at(now);
            for voter in &mut self.voters {
                *voter = if *voter & HEARD == 0 { 0 } else { *voter & !HEARD };
            }
        }
    }

    fn replaced(&mut self, now: Instant, old: u32) {
        self.pending = Stamp::NEVER;
        self.voters = [0; VOTERS];
        self.remember(now, old);
    }

    /// A view is replaced: for a while it is not to come back.
    fn remember(&mut self, now: Instant, old: u32) {
        if let Some(place) = self.views.get_mut(usize::from(self.next_view)) {
            *place = View { digest: old, at: Stamp::at(now) };
        }
        self.next_view = self.next_view.wrapping_add(1) % VIEWS as u8;
    }

    fn is_back(&self, digest: u32) -> bool {
        self.views.iter().any(|view| view.at.is_some() && view.digest == digest)
    }

    fn doubt(&self, current: &Map<'_>, candidate: &Map<'_>, new: u32) -> Doubt {
        let mut doubt = Doubt::NONE;
        for patch in self.patches.iter().filter(|patch| patch.at.is_some()) {
            let owner = owner_id(candidate, patch.slot);
            // A patch the current map no longer holds was overruled already.
            if owner != Some(patch.owner) && owner_id(current, patch.slot) == Some(patch.owner) {
                let said = owner.unwrap_or_default() ^ u32::from(patch.slot.get());
                doubt.redirects = (doubt.redirects.rotate_left(5) ^ said).wrapping_mul(0x9e37_79b9) | WHOLE;
            }
        }
        let epochs = current.has_epochs() && candidate.has_epochs();
        if candidate.covered() < current.covered() {
            doubt.rest.left = candidate.covered().wrapping_add(1);
        }
        doubt.rest.what = strangers(current, candidate);
        doubt.strangers = doubt.rest.what != 0;
        if doubt.strangers {
            return doubt;
        }
        if epochs {
            older_epochs(current, candidate, &mut doubt.rest.what);
        } else if self.is_back(new) {
            doubt.rest.what = new | WHOLE;
        }
        doubt
    }

    /// Counts each node once, with its last word; those whose ids nobody told count as one.
    fn vote(&mut self, from: NodeId, suspect: bool) {
        if !self.pending.is_some() {
            return;
        }
        let node = (from.short() | SUSPECT | HEARD).max(NAMELESS);
        let known = self.voters.iter().position(|voter| *voter | SUSPECT | HEARD == node);
        let at = known.unwrap_or(usize::from(self.next_voter));
        if known.is_none() {
            self.next_voter = self.next_voter.wrapping_add(1) % VOTERS as u8;
        }
        if let Some(place) = self.voters.get_mut(at) {
            *place = if suspect { node } else { node & !SUSPECT };
        }
    }

    /// How many have to say so.
    const fn votes_for(&self, doubt: &Doubt) -> u8 {
        if doubt.strangers { self.quorum } else { 1 }
    }

    fn is_confirmed(&self, now: Instant, since: Stamp, least: u8) -> bool {
        let held = self.pending.is_some() && since.age(now) >= self.hold.get();
        let count = |said: u32| {
            let voted = |voter: &&u32| **voter & !(SUSPECT | HEARD) != 0 && **voter & SUSPECT == said;
            self.voters.iter().filter(voted).count()
        };
        let said = count(SUSPECT);
        held && said > count(0) && said >= usize::from(least)
    }
}

/// The half of a digest that is kept.
const fn half(digest: u64) -> u32 {
    (digest >> 32) as u32
}

/// If no node is in both maps, what the strangers are told by, whatever changes among them: the least of them. Else 0.
fn strangers(current: &Map<'_>, candidate: &Map<'_>) -> u32 {
    let mut least = u32::MAX;
    for (_, node) in candidate.nodes() {
        if current.find(&node.id()).is_some() {
            return 0;
        }
        least = least.min(node.id().short() | WHOLE);
    }
    least
}

/// What is suspect about a reply.
struct Doubt {
    redirects: u32,
    rest: Suspect,
    /// No node is in both maps.
    strangers: bool,
}

impl Doubt {
    const NONE: Self = Self { redirects: 0, rest: Suspect::NOTHING, strangers: false };

    /// What has to be confirmed: redirects are forgotten soon, and what else is suspect stays.
    const fn id(&self) -> Suspect {
        if self.rest.is_nothing() { Suspect { what: self.redirects, left: 0 } } else { self.rest }
    }

    /// With what was suspect before, as far as that can be kept.
    const fn joined(&self, known: Suspect) -> Suspect {
        let Suspect { what, left } = self.id();
        if (what | known.what) & WHOLE != 0 {
            return self.id();
        }
        Suspect { what: what | known.what, left: if left == 0 { known.left } else { left } }
    }
}

/// Things that are suspect.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    /// Either a number with this bit, for a view as a whole or for some redirects, or a set with some bits for each thing.
    what: u32,
    /// One more than the slots that are left where some are lost.
    left: u16,
}

const WHOLE: u32 = 1 << 31;

impl Suspect {
    const NOTHING: Self = Self { what: 0, left: 0 };

    const fn is_nothing(self) -> bool {
        self.what == 0 && self.left == 0
    }

    /// Whether it was all suspect before.
    const fn is_part_of(self, known: Self) -> bool {
        let part =
            if (self.what | known.what) & WHOLE == 0 { self.what & !known.what == 0 } else { self.what == known.what };
        part && (self.left == 0 || self.left == known.left)
    }
}

/// Three bits of a set. A thing whose bits are all there already counts as known: of two that is one in some thousands,
/// and it is confirmed with the others then.
pub(super) const fn bits(of: u32) -> u32 {
    // The highest bits of a product are the best mixed.
    let hash = of.wrapping_mul(0x9e37_79b9);
    let (a, b, c) = ((hash >> 24) % 31, (hash >> 16 & 0xff) % 31, (hash >> 8 & 0xff) % 31);
    1 << a | 1 << b | 1 << c
}

/// Doubts the nodes that would get slots with a lower config epoch, from each that has a higher one.
fn older_epochs(current: &Map<'_>, candidate: &Map<'_>, doubt: &mut u32) {
    let (mut old, mut new) = (current.runs(), candidate.runs());
    let (mut a, mut b) = (old.next(), new.next());
    // Both give every slot once, so stepping past the run that ends first visits each pair of owners.
    while let (Some((old_range, old_owner)), Some((new_range, new_owner))) = (a, b) {
        if is_older(current, old_owner, candidate, new_owner) {
            // By node: what a redirect taught of some slots meanwhile takes nothing away.
            let short = |map: &Map<'_>, owner: Owner| owner_of(map, owner).map_or(0, |node| node.id().short());
            *doubt |= bits(short(current, old_owner).rotate_left(16) ^ short(candidate, new_owner));
        }
        let (old_last, new_last) = (old_range.last(), new_range.last());
        if old_last <= new_last {
            a = old.next();
        }
        if new_last <= old_last {
            b = new.next();
        }
    }
}

/// Whether a slot would go to another node with a lower config epoch.
fn is_older(current: &Map<'_>, old: Owner, candidate: &Map<'_>, new: Owner) -> bool {
    let (Some(old), Some(new)) = (owner_of(current, old), owner_of(candidate, new)) else { return false };
    old.id() != new.id() && old.epoch().zip(new.epoch()).is_some_and(|(old, new)| new < old)
}

fn owner_of<'a>(map: &Map<'a>, owner: Owner) -> Option<&'a Node> {
    match owner {
        Owner::Node(index) => map.node(index),
        Owner::Uncovered | Owner::Unknown => None,
    }
}

fn owner_id(map: &Map<'_>, slot: Slot) -> Option<u32> {
    owner_of(map, map.owner(slot)).map(|node| node.id().short())
}

/// A number for "who serves what": equal for maps that agree on every slot, whatever the addresses (which differ
/// between connections of different address families) and whatever the order.
#[must_use]
pub fn digest(map: &Map<'_>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |word: u64| hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    for (range, owner) in map.runs() {
        mix(u64::from(range.first().get()));
        match owner {
            Owner::Node(index) => {
                let id = map.node(index).map_or([0; 20], |node| *node.id().as_bytes());
                let mut words = id.chunks_exact(8);
                for word in words.by_ref().filter_map(|word| word.first_chunk::<8>()) {
                    mix(u64::from_le_bytes(*word));
                }
                mix(words.remainder().first_chunk::<4>().map_or(0, |rest| u64::from(u32::from_le_bytes(*rest))));
            }
            Owner::Uncovered => mix(1),
            Owner::Unknown => mix(2),
        }
    }
    hash
}
