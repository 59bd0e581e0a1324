//! One command between submission and outcome, packed: a gateway with 64 KiB of RAM keeps 32 of them and a batch job a
//! million. 40 bytes where pointers have 32 bits, else 48.

use crate::command::{Access, CommandSpec, Target};
use crate::ids::NodeId;
use crate::pipeline::list::{Ix, Link, Linked};
use crate::pipeline::outcome::{Failure, Outcome, Reason};
use crate::pipeline::retry::may_resend;
use crate::slot::Slot;
use crate::time::{Instant, Stamp};
use crate::topology::{Map, NodeIndex};

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A command of the application.
    User = 0,
    /// A command whose caller has gone: its reply is eaten.
    Tombstone = 1,
    /// A topology question.
    Refresh = 2,
    /// `CLUSTER MYID`, which ties a seed's connection to a node.
    MyId = 3,
    /// The PING behind a subscribe command, whose answer proves that the subscribe was carried out.
    Fence = 4,
    /// A PING that asks a silent connection for a sign of life. Its tag is the time it was asked for.
    Probe = 5,
}

impl Kind {
    const fn of(bits: u32) -> Self {
        match bits {
            0 => Self::User,
            1 => Self::Tombstone,
            2 => Self::Refresh,
            3 => Self::MyId,
            4 => Self::Fence,
            _ => Self::Probe,
        }
    }
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the free list.
    Free = 0,
    /// Waiting for a better map, a node or a point in time.
    Parked = 1,
    /// Held back until an earlier command of the slot was answered elsewhere.
    Held = 2,
    /// In a connection's queue; no byte was handed to the adapter.
    Queued = 3,
    /// In a connection's FIFO; its bytes were handed to the adapter.
    InFlight = 4,
    /// On no list, kept until its last event was handed out.
    Done = 5,
}

impl Place {
    const fn of(bits: u32) -> Self {
        match bits {
            0 => Self::Free,
            1 => Self::Parked,
            2 => Self::Held,
            3 => Self::Queued,
            4 => Self::InFlight,
            _ => Self::Done,
        }
    }
}

/// One thing that is so or not of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(u16);

impl Flag {
    /// ASKING's own reply has not come yet.
    pub(crate) const ASKING: Self = Self(1);
    /// A part of its answer was handed out: never sent again.
    pub(crate) const STARTED: Self = Self(1 << 1);
    /// An earlier attempt left, was not answered, and was repeated: whatever else comes, it may have run.
    pub(crate) const MAYBE: Self = Self(1 << 2);
    /// It waited where commands behind it need not have waited, so they may have run before it.
    pub(crate) const DELAYED: Self = Self(1 << 3);
    /// ASKING was sent in front of it.
    pub(crate) const ASKED: Self = Self(1 << 4);
    /// It ended without a reply, as [`Entry::failure`] says.
    pub(crate) const FAILED: Self = Self(1 << 5);
    /// A replica may serve it.
    pub(crate) const READ: Self = Self(1 << 6);
    /// See `CommandSpec::blocking`.
    pub(crate) const BLOCKING: Self = Self(1 << 7);
    /// See `CommandSpec::streamed`.
    pub(crate) const STREAMED: Self = Self(1 << 8);
    /// See `CommandSpec::script_like`.
    pub(crate) const SCRIPT: Self = Self(1 << 9);
    /// See `CommandSpec::subscribe`.
    pub(crate) const SUBSCRIBE: Self = Self(1 << 10);
    /// It may be sent again though it may have run.
    pub(crate) const RESEND: Self = Self(1 << 11);

    const fn when(self, on: bool) -> u16 {
        if on { self.0 } else { 0 }
    }
}

/// Where a command is meant to go: [`Target`] with the node's place in the map that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    Slot(Slot),
    /// `None`: a node that is not in the map (any more).
    Node(Option<NodeIndex>),
    AnyNode,
    AnyPrimary,
}

/// Why a group must run again elsewhere or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupRetry {
    /// The slot's owner changed; the map knows it.
    Moved,
    /// Run it at this node, behind ASKING.
    Ask(NodeIndex),
    /// Try again after a while.
    Later,
}

/// One slab entry. Lent storage is filled with [`Entry::EMPTY`].
///
/// Nodes are kept as their places in the map that serves; `Entry::renumber` follows a change of the map.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The caller's tag; of a probe, when it was asked for.
    pub(crate) tag: u64,
    /// Generation, kind and place: 24, 4 and 4 bits.
    pub(super) word: u32,
    /// Its length in the connection's output, ASKING not counted.
    pub(crate) len: u32,
    /// Until it ended: its deadline. From then on: the next entry with an event.
    until: u32,
    /// Parked: when to try again. In flight: replies still to come, ASKING's own not counted, and the number of the last
    /// topology question before it. Confirmed: the generation of the connection.
    wait: u32,
    link: Link,
    /// Index of the connection while queued or in flight, and of the last one before.
    pub(crate) conn: Ix,
    /// A slot or a node's place, by `AIM` bits.
    aim: u16,
    /// Where an ASK sent it; of an ended one, the node of its failure; while a group is in flight, where to ask next.
    node: u16,
    /// Replies it gets in all.
    pub(crate) replies: u16,
    /// [`Flag`]s, two bits of aim, two bits of group retry.
    flags: u16,
    pub(crate) hops: u8,
    /// Delayed retries; of an ended one, outcome and reason.
    tries: u8,
}

#[cfg(not(target_pointer_width = "64"))]
const _: () = assert!(size_of::<Entry>() == 40);
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Entry>() == 48);

const AIM: u16 = 12;
const GROUP: u16 = 14;
const NO_NODE: u16 = u16::MAX;

const fn pack_node(node: Option<NodeIndex>) -> u16 {
    match node {
        // Below MAX_NODES, so it fits.
        Some(node) => node.index() as u16,
        None => NO_NODE,
    }
}

const fn unpack_node(node: u16) -> Option<NodeIndex> {
    NodeIndex::new(node as usize)
}

impl Entry {
    /// An entry that was never used.
    pub const EMPTY: Self = Self {
        tag: 0,
        word: 0,
        len: 0,
        until: 0,
        wait: 0,
        link: Link::FREE,
        conn: Ix::NONE,
        aim: 0,
        node: NO_NODE,
        replies: 1,
        flags: 2 << AIM,
        hops: 0,
        tries: 0,
    };

    // ---- identity ----

    /// Begins a new use of the entry, on no list.
    pub(crate) fn renew(&mut self, kind: Kind) {
        *self = Self { word: (self.word & !0xff) | (kind as u32) << 4 | Place::Done as u32, ..Self::EMPTY };
    }

    /// Ends the present use: its ids are dead from here on.
    pub(crate) const fn retire(&mut self) {
        // Wraps into nothing: the generation has the upper bits.
        self.word = (self.word & !0xff).wrapping_add(0x100);
    }

    /// How often the entry was used before, in 24 bits.
    pub(crate) const fn generation(&self) -> u32 {
        self.word >> 8
    }

    pub(crate) const fn place(&self) -> Place {
        Place::of(self.word & 0xf)
    }

    pub(crate) const fn set_place(&mut self, place: Place) {
        self.word = self.word & !0xf | place as u32;
    }

    pub(crate) const fn kind(&self) -> Kind {
        Kind::of(self.word >> 4 & 0xf)
    }

    pub(crate) const fn set_kind(&mut self, kind: Kind) {
        self.word = self.word & !0xf0 | (kind as u32) << 4;
    }

    pub(crate) const fn has(&self, flag: Flag) -> bool {
        self.flags & flag.0 != 0
    }

    pub(crate) const fn set(&mut self, flag: Flag, on: bool) {
        self.flags = self.flags & !flag.0 | flag.when(on);
    }

    // ---- what was submitted ----

    /// Takes in what was submitted; `node` is the place of [`Target::Node`] in the map.
    pub(crate) fn admit(&mut self, spec: &CommandSpec, node: Option<NodeIndex>) {
        let (aim, bits) = match spec.target {
            Target::Slot(slot) => (slot.get(), 0),
            Target::Node(_) => (pack_node(node), 1),
            Target::AnyNode => (0, 2),
            Target::AnyPrimary => (0, 3),
        };
        self.aim = aim;
        self.flags = bits << AIM
            | Flag::READ.when(spec.access == Access::Read)
            | Flag::BLOCKING.when(spec.blocking)
            | Flag::STREAMED.when(spec.streamed)
            | Flag::SCRIPT.when(spec.script_like)
            | Flag::SUBSCRIBE.when(spec.subscribe)
            | Flag::RESEND.when(may_resend(spec));
        self.tag = spec.tag;
        self.len = spec.len;
        self.replies = spec.replies;
    }

    pub(crate) fn aim(&self) -> Aim {
        match self.flags >> AIM & 3 {
            0 => Aim::Slot(Slot::masked(self.aim)),
            1 => Aim::Node(unpack_node(self.aim)),
            2 => Aim::AnyNode,
            _ => Aim::AnyPrimary,
        }
    }

    /// The slot of a command that is routed by a key.
    pub(crate) fn slot(&self) -> Option<Slot> {
        match self.aim() {
            Aim::Slot(slot) => Some(slot),
            _ => None,
        }
    }

    /// Whether it is one plain reply that the caller reads token by token.
    pub(crate) const fn is_streamed(&self) -> bool {
        self.has(Flag::STREAMED) && self.replies == 1
    }

    /// The submitted facts as far as the decision on an error reply needs them.
    pub(crate) fn spec(&self) -> CommandSpec {
        let target = match self.aim() {
            Aim::Slot(slot) => Target::Slot(slot),
            // Which one does not matter for what is decided by this.
            Aim::Node(_) => Target::Node(NodeId::from_bytes([0; 20])),
            Aim::AnyNode | Aim::AnyPrimary => Target::AnyNode,
        };
        let access = if self.has(Flag::READ) { Access::Read } else { Access::Write };
        CommandSpec { script_like: self.has(Flag::SCRIPT), ..CommandSpec::new(target, access, self.len) }
    }

    // ---- time and replies ----

    pub(crate) const fn set_deadline(&mut self, at: Stamp) {
        self.until = at.bits();
    }

    pub(crate) const fn deadline(&self) -> Stamp {
        Stamp::from_bits(self.until)
    }

    /// The next entry with an event.
    pub(crate) const fn event_next(&self) -> u32 {
        self.until
    }

    /// For an entry that ended: its deadline means nothing any more.
    pub(crate) const fn set_event_next(&mut self, index: u32) {
        self.until = index;
    }

    /// When a parked command is to be tried again; never is "when the map changes".
    pub(crate) const fn wake(&self) -> Stamp {
        Stamp::from_bits(self.wait)
    }

    pub(crate) fn set_wake(&mut self, at: Option<Instant>) {
        self.wait = at.map_or(Stamp::NEVER, Stamp::at).bits();
    }

    /// Replies that a command in flight still gets, ASKING's own not counted.
    pub(crate) const fn replies_left(&self) -> u16 {
        self.wait as u16
    }

    pub(crate) const fn set_replies_left(&mut self, replies: u16) {
        self.wait = self.wait & !0xffff | replies as u32;
    }

    /// Notes which topology question was the last one when the command went out.
    pub(crate) const fn set_asked(&mut self, question: u8) {
        self.wait = self.wait & 0xffff | (question as u32) << 16;
    }

    /// Whether this topology question was put after the command in flight went out. Wrong after more than a hundred
    /// questions.
    pub(crate) const fn is_older_than(&self, question: u8) -> bool {
        let ahead = question.wrapping_sub((self.wait >> 16) as u8);
        ahead != 0 && ahead <= u8::MAX / 2
    }

    /// Counts a reply of a command in flight, and gives how many are still to come.
    pub(crate) fn take_reply(&mut self) -> u16 {
        let left = self.replies_left().saturating_sub(1);
        self.set_replies_left(left);
        left
    }

    /// The generation that the connection of a confirmed subscribe command had then.
    pub(crate) const fn confirmed_by(&self) -> u32 {
        self.wait
    }

    /// A subscribe command ends, confirmed on a connection of this generation.
    pub(crate) const fn set_confirmed_by(&mut self, generation: u32) {
        self.wait = generation;
    }

    // ---- retries ----

    /// Delayed retries so far.
    pub(crate) const fn attempts(&self) -> u8 {
        if self.has(Flag::FAILED) { 0 } else { self.tries }
    }

    /// Whether later commands of its slot may have run before it.
    pub(crate) const fn was_resent(&self) -> bool {
        self.hops > 0 || self.attempts() > 0 || self.has(Flag::DELAYED)
    }

    pub(crate) const fn count_attempt(&mut self) {
        self.tries = self.tries.saturating_add(1);
    }

    pub(crate) const fn count_hop(&mut self) {
        self.hops = self.hops.saturating_add(1);
    }

    /// Where an ASK sent it.
    pub(crate) const fn ask(&self) -> Option<NodeIndex> {
        unpack_node(self.node)
    }

    pub(crate) const fn set_ask(&mut self, node: Option<NodeIndex>) {
        self.node = pack_node(node);
    }

    /// In a group in flight: what a queued command was answered, if it was a refusal that moves the whole group.
    pub(crate) fn group_retry(&self) -> Option<GroupRetry> {
        match self.flags >> GROUP {
            0 => None,
            1 => Some(GroupRetry::Moved),
            2 => Some(self.ask().map_or(GroupRetry::Later, GroupRetry::Ask)),
            _ => Some(GroupRetry::Later),
        }
    }

    pub(crate) fn set_group_retry(&mut self, retry: Option<GroupRetry>) {
        let bits = match retry {
            None => 0,
            Some(GroupRetry::Moved) => 1,
            Some(GroupRetry::Ask(node)) => {
                self.set_ask(Some(node));
                2
            }
            Some(GroupRetry::Later) => 3,
        };
        self.flags = self.flags & !(3 << GROUP) | bits << GROUP;
    }

    // ---- ends ----

    /// What is known of a command in flight whose answer will not come, or not to its end. In a group, what was handed
    /// out are errors of queueing: they say nothing of EXEC.
    pub(crate) const fn cut_outcome(&self) -> Outcome {
        if self.has(Flag::STARTED) && self.replies == 1 { Outcome::ReplyLost } else { Outcome::MaybeExecuted }
    }

    pub(crate) const fn set_failure(&mut self, outcome: Outcome, reason: Reason, node: Option<NodeIndex>) {
        self.tries = (outcome as u8) << 4 | reason as u8;
        self.set(Flag::FAILED, true);
        self.set_ask(node);
    }

    /// How it ended; `map` is the one that serves.
    pub(crate) fn failure(&self, map: &Map<'_>) -> Option<Failure> {
        if !self.has(Flag::FAILED) {
            return None;
        }
        let node = self.ask().and_then(|node| map.node(node)).map(crate::topology::Node::id);
        Some(Failure { outcome: Outcome::of(self.tries >> 4), reason: Reason::of(self.tries & 0xf), node })
    }

    /// Follows a change of the map: `to` gives a node's new place.
    pub(crate) fn renumber(&mut self, mut to: impl FnMut(NodeIndex) -> Option<NodeIndex>) {
        if self.node != NO_NODE {
            self.node = pack_node(self.ask().and_then(&mut to));
        }
        if let Aim::Node(node) = self.aim() {
            self.aim = pack_node(node.and_then(to));
        }
    }
}

impl Linked for Entry {
    fn link(&self) -> Link {
        self.link
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}
