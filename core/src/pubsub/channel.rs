//! What is kept of each channel, and of each node with subscriptions.

use crate::ids::{ConnId, NodeId};
use crate::slot::Slot;
use crate::time::Instant;

/// The three name spaces of pub/sub.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// SSUBSCRIBE: the channel hashes to a slot, its messages stay in that shard. Redis and Valkey 7.0 and later.
    Sharded,
    /// SUBSCRIBE: messages reach all nodes.
    Plain,
    /// PSUBSCRIBE: a glob over plain channels.
    Pattern,
}

impl Kind {
    /// The kind in snake_case, for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sharded => "sharded",
            Self::Plain => "plain",
            Self::Pattern => "pattern",
        }
    }

    /// The channels that may share a request: those of a slot, all plain ones, all patterns.
    pub(crate) fn group(self, name: &[u8]) -> u16 {
        match self {
            Self::Sharded => Slot::of_key(name).get(),
            Self::Plain => PLAIN,
            Self::Pattern => PATTERN,
        }
    }
}

/// Groups of channels: the slot, or one of these.
pub(crate) const PLAIN: u16 = Slot::COUNT;
pub(crate) const PATTERN: u16 = Slot::COUNT + 1;

/// No entry.
pub(crate) const NIL: u32 = u32::MAX;
/// No link.
pub(crate) const NO_LINK: u16 = u16::MAX;
/// No connection.
pub(crate) const NO_CONN: ConnId = ConnId::new(u32::MAX, u32::MAX);

/// A channel that was wanted; valid until it is forgotten, which is some time after it was unwanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChannelId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl ChannelId {
    /// Its place in the table; stable while the id is valid, reused afterwards.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// A place for one channel in the caller's [`Storage`](super::Storage); at most 72 bytes, its name apart.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// Where its name begins in the names; the name's header lies before it.
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// Next entry of the same name bucket, or of the free list.
    pub(crate) next_name: u32,
    /// Next entry of the same group bucket.
    pub(crate) next_group: u32,
    /// Next entry of the same request.
    pub(crate) next_request: u32,
    pub(crate) generation: u32,
    /// The request at hand.
    pub(crate) serial: u32,
    pub(crate) group: u16,
    pub(crate) link: u16,
    /// The node it moves away from, where it is still subscribed, on that link's connection; else `NO_LINK`.
    pub(crate) old: u16,
    /// The connection it is subscribed on.
    pub(crate) conn: ConnId,
    /// Not busy: the next request waits until then. Busy: when the request was given out.
    pub(crate) at: Instant,
    /// Begin of the gap to tell.
    pub(crate) since: Instant,
    pub(crate) attempts: u8,
    pub(crate) used: bool,
    pub(crate) wanted: bool,
    /// A server confirmed it, on `conn`, and nothing says it ended.
    pub(crate) active: bool,
    /// A request concerns it.
    pub(crate) busy: bool,
    /// That request is an unsubscribe.
    pub(crate) leaving: bool,
    /// That request is an unsubscribe at `old`.
    pub(crate) dropping: bool,
    /// That request is a subscribe at a node which the map no longer names.
    pub(crate) misplaced: bool,
    /// It was active since it is wanted: the end of a subscription makes a gap.
    pub(crate) was_active: bool,
    /// A gap is to be told, once it is active.
    pub(crate) gap: bool,
    /// What comes from `old`, or has come from there.
    pub(crate) heard: Heard,
    /// Events to tell.
    pub(crate) tell_confirmed: bool,
    pub(crate) tell_interrupted: bool,
    pub(crate) tell_refused: bool,
}

impl Channel {
    /// A free place.
    pub const EMPTY: Self = Self {
        start: 0,
        len: 0,
        next_name: NIL,
        next_group: NIL,
        next_request: NIL,
        generation: 0,
        serial: 0,
        group: 0,
        link: NO_LINK,
        old: NO_LINK,
        conn: ConnId::new(0, 0),
        at: Instant::EPOCH,
        since: Instant::EPOCH,
        attempts: 0,
        used: false,
        wanted: false,
        active: false,
        busy: false,
        leaving: false,
        dropping: false,
        misplaced: false,
        was_active: false,
        gap: false,
        heard: Heard::Not,
        tell_confirmed: false,
        tell_interrupted: false,
        tell_refused: false,
    };

    pub(crate) fn kind(&self) -> Kind {
        match self.group {
            PLAIN => Kind::Plain,
            PATTERN => Kind::Pattern,
            _ => Kind::Sharded,
        }
    }

    /// The slot of a sharded channel.
    pub(crate) fn slot(&self) -> Option<Slot> {
        Slot::new(self.group)
    }

    /// The request that brings it nearer to what is wanted.
    pub(crate) fn need(&self) -> Option<Need> {
        match (self.wanted, self.active) {
            _ if !self.used || self.busy => None,
            _ if self.old != NO_LINK && !matches!(self.heard, Heard::Yes | Heard::AfterGap) => Some(Need::Drop),
            (true, false) => Some(Need::Join),
            (_, _) if self.old != NO_LINK => Some(Need::Drop),
            (false, true) => Some(Need::Leave),
            // Nothing new, but its fence tells when the node has sent what the old one had sent before.
            (true, true) if self.heard == Heard::Again => Some(Need::Join),
            (true, true) | (false, false) => None,
        }
    }

    /// What is needed, if it may be asked for now.
    pub(crate) fn needs_now(&self, now: Instant) -> Option<Need> {
        self.need().filter(|_| self.at <= now)
    }

    /// Whether messages of the subscription at `old` count.
    pub(crate) fn hears_old(&self) -> bool {
        let counts = matches!(self.heard, Heard::Yes | Heard::AfterGap);
        self.old != NO_LINK && counts && (self.active || !self.dropping)
    }

    /// The node it moves away from has let go.
    pub(crate) fn let_go(&mut self) {
        self.old = NO_LINK;
        if self.heard != Heard::Not {
            self.heard = Heard::Again;
        }
    }

    /// Whether nobody wants it and no server has it.
    pub(crate) fn is_over(&self) -> bool {
        !self.wanted && !self.active && !self.busy && self.old == NO_LINK
    }

    pub(crate) fn has_events(&self) -> bool {
        self.used
            && self.wanted
            && (self.tell_confirmed || self.tell_interrupted || self.tell_refused || (self.gap && self.active))
    }
}

/// Whether messages from the node that a channel moves away from are handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// They are not: the node, if there is one, is to be left before another is asked.
    Not,
    /// They are.
    Yes,
    /// They are, and the next one has a gap before it that began before the move.
    AfterGap,
    /// They were, and the node is left, or to be left before another is asked. The new node, if it is slower, may bring the
    /// same ones now, until it answers something that was asked since.
    Again,
    /// As above, and that has been asked. So it is too where an earlier subscribe at the node was given up: what that has
    /// brought meanwhile may come before the answer.
    Asked,
}

/// A request that a channel needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// Subscribe.
    Join,
    /// Unsubscribe: nobody wants it.
    Leave,
    /// Unsubscribe at the node it has moved away from.
    Drop,
}

/// A place for one node with subscriptions in the caller's [`Storage`](super::Storage); at most 48 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub(crate) node: NodeId,
    pub(crate) used: bool,
    /// The connection whose subscriptions count, or `NO_CONN`.
    pub(crate) conn: ConnId,
    /// When the last request was sent that the connection has answered.
    pub(crate) alive: Instant,
    /// A subscribe was given up, and nothing that was asked since has been answered: what it brought may still come.
    pub(crate) unsure: bool,
    /// When the last map was asked for that came before such a request was sent: slots that it gives to the node were
    /// the node's then, and their subscriptions unbroken.
    pub(crate) owned: Instant,
}

impl Link {
    /// A free place.
    pub const EMPTY: Self = Self {
        node: NodeId::from_bytes([0; 20]),
        used: false,
        unsure: false,
        conn: NO_CONN,
        alive: Instant::EPOCH,
        owned: Instant::EPOCH,
    };
}
