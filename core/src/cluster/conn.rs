//! One connection of the engine.

use crate::cluster::event::CloseReason;
use crate::cluster::hold::Hold;
use crate::connection::{Backoff, Greeting, Watch, Work};
use crate::ids::{ConnId, NodeId};
use crate::pipeline::List;
use crate::resp::Parked;
use crate::time::Stamp;
use crate::topology::NodeIndex;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnState {
    /// The entry is not in use.
    Free,
    /// No socket and no work; remembers the node's back-off.
    Idle,
    /// Work waits; the dial waits for the back-off.
    Waiting,
    /// The adapter dials.
    Dialing,
    /// Connected; the handshake runs.
    Handshake,
    /// Commands flow.
    Ready,
    /// No new commands; closes when the last reply is in.
    Draining,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Everybody's commands.
    Shared,
    /// One blocking command at a time.
    Lease,
    /// Subscriptions; RESP2 allows little else on it.
    Subscriber,
}

/// How the bytes at the front of the stream are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Between two values: nothing decided yet.
    Boundary,
    /// The value is gathered to a frame.
    Frame,
    /// The value is read token by token, for this sink.
    Tokens(Sink),
}

/// Who reads tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    Handshake,
    Topology,
    /// The caller, for the command at the head of the FIFO.
    Stream,
    /// Nobody: a tombstone's reply, an answer to a PING, a push too large for the buffer.
    Discard,
    /// Nobody, and it is a push: no command ends with it.
    DiscardPush,
}

/// Control frames a connection still has to send, and events still to be polled: bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(u8);

impl Bits {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const MY_ID: Self = Self(1);
    pub(crate) const REFRESH: Self = Self(1 << 1);
    pub(crate) const FENCE: Self = Self(1 << 2);
    pub(crate) const PROBE: Self = Self(1 << 3);
    /// Among the frames to send, but none: the first reply waits, unread, for a topology reply that shows whether its
    /// redirect is true.
    pub(crate) const STALLED: Self = Self(1 << 4);
    /// Among the frames to send, but none: a probe is in flight.
    pub(crate) const PROBED: Self = Self(1 << 5);
    pub(crate) const DIAL: Self = Self(1);
    pub(crate) const READY: Self = Self(1 << 1);
    pub(crate) const CLOSED: Self = Self(1 << 2);
    pub(crate) const INPUT: Self = Self(1 << 3);
    pub(crate) const ALIVE: Self = Self(1 << 4);

    pub(crate) const fn has(self, bit: Self) -> bool {
        self.0 & bit.0 != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn set(&mut self, bit: Self) {
        self.0 |= bit.0;
    }

    /// Clears the bit and says whether it was set.
    pub(crate) const fn take(&mut self, bit: Self) -> bool {
        let had = self.has(bit);
        self.0 &= !bit.0;
        had
    }
}

/// One connection entry. Lent storage is filled with [`ConnEntry::EMPTY`].
#[derive(Clone, Debug)]
pub struct ConnEntry {
    pub(crate) generation: u32,
    pub(crate) state: ConnState,
    pub(crate) purpose: Purpose,
    /// The node, once it is known (a seed's is learned on the way).
    pub(crate) node: Option<NodeId>,
    /// Where the node stood in the map last; checked before it is believed.
    pub(crate) hint: Option<NodeIndex>,
    /// Which seed it was dialled as, if it was; else [`NO_SEED`].
    pub(crate) seed: u16,
    pub(crate) backoff: Backoff,
    /// Idle and Waiting: not to be dialled before. A lease without work: when it closes.
    pub(crate) until: Stamp,
    pub(crate) handshake: Greeting,
    pub(crate) proto: u8,
    /// The reader of the value at the front of the stream, as frame or as tokens; set anew where `mode` is.
    pub(crate) frame: Parked,
    pub(crate) mode: Mode,
    /// Commands to send, in order.
    pub(crate) queue: List,
    /// Commands whose replies are due, in order.
    pub(crate) in_flight: List,
    /// Commands moved from queue to FIFO since the connection was made, wrapping.
    pub(crate) sent: u32,
    pub(crate) hold: Hold,
    /// Output bytes handed to the adapter that the transport has not accepted yet. Counting stops at 4 GiB: what is not
    /// known to be unsent counts as sent.
    pub(crate) unsent: u32,
    pub(crate) ready_since: Stamp,
    /// The clocks of dial, handshake and silence.
    pub(crate) liveness: Watch,
    /// When the last PING that was answered had been sent.
    pub(crate) alive: Stamp,
    /// No reply waits for a topology reply any more from then on, nor for a while after.
    pub(crate) stalled_until: Stamp,
    pub(crate) wants: Bits,
    pub(crate) events: Bits,
    /// What a `Closed` event that was not polled yet will say.
    pub(crate) closed: CloseReason,
    /// How many uses ago that was.
    pub(crate) closed_ago: u8,
}

/// Not dialled as a seed.
pub(crate) const NO_SEED: u16 = u16::MAX;

impl ConnEntry {
    /// An entry that was never used.
    pub const EMPTY: Self = Self {
        generation: 0,
        state: ConnState::Free,
        purpose: Purpose::Shared,
        node: None,
        hint: None,
        seed: NO_SEED,
        backoff: Backoff::new(),
        until: Stamp::NEVER,
        handshake: Greeting::new(),
        proto: 0,
        frame: Parked::FRESH,
        mode: Mode::Boundary,
        queue: List::EMPTY,
        in_flight: List::EMPTY,
        sent: 0,
        hold: Hold::None,
        unsent: 0,
        ready_since: Stamp::NEVER,
        liveness: Watch::IDLE,
        alive: Stamp::NEVER,
        stalled_until: Stamp::NEVER,
        wants: Bits::NONE,
        events: Bits::NONE,
        closed: CloseReason::Retired,
        closed_ago: 0,
    };

    /// Commands answered since the connection was made, wrapping.
    pub(crate) const fn answered(&self) -> u32 {
        self.sent.wrapping_sub(self.in_flight.len() as u32)
    }

    /// Whether the first reply waits unread.
    pub(crate) const fn is_stalled(&self) -> bool {
        self.wants.has(Bits::STALLED)
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, ConnState::Ready | ConnState::Draining)
    }

    pub(crate) const fn has_socket(&self) -> bool {
        matches!(self.state, ConnState::Dialing | ConnState::Handshake | ConnState::Ready | ConnState::Draining)
    }

    /// Whether it was leased for blocking commands and has none.
    pub(crate) fn is_unused_lease(&self) -> bool {
        self.purpose == Purpose::Lease && self.state == ConnState::Ready && !self.has_work()
    }

    pub(crate) const fn has_work(&self) -> bool {
        !self.queue.is_empty() || !self.in_flight.is_empty()
    }

    /// Forgets all that belongs to one byte stream; ids of it die.
    pub(crate) fn reset_stream(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.closed_ago = self.closed_ago.wrapping_add(1);
        self.handshake = Greeting::new();
        self.frame = Parked::FRESH;
        self.mode = Mode::Boundary;
        self.proto = 0;
        self.sent = 0;
        self.unsent = 0;
        self.stalled_until = Stamp::NEVER;
        self.wants = Bits::NONE;
        self.events.take(Bits::DIAL);
        self.events.take(Bits::READY);
        self.events.take(Bits::INPUT);
        self.events.take(Bits::ALIVE);
    }

    /// What the peer owes.
    pub(crate) const fn work(&self) -> Work {
        match self.purpose {
            _ if self.in_flight.is_empty() => Work::Idle,
            Purpose::Lease => Work::Blocked,
            Purpose::Shared | Purpose::Subscriber => Work::Replies,
        }
    }

    pub(crate) const fn id(&self, index: u32) -> ConnId {
        ConnId::new(index, self.generation)
    }
}
