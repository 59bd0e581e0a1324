//! The engine's inner state machine: the state, a view that joins it to the lent tables, and the small helpers that
//! every part of it uses.

use crate::cluster::config::Config;
use crate::cluster::conn::{Bits, ConnEntry, ConnState, NO_SEED, Purpose};
use crate::cluster::event::CloseReason;
use crate::cluster::hold::Hold;
use crate::cluster::policy::Policy;
use crate::cluster::storage::Tables;
use crate::ids::{CommandId, ConnId, NodeId};
use crate::pipeline::{Aim, Entry, Flag, Ix, Kind, List, NONE, Outcome, Place, Reason, SlabHead};
use crate::rand::Rand;
use crate::time::{Instant, Stamp};
use crate::topology::{Freshness, Map, MapHead, MapMut, NodeIndex, Reader, Refresh, Rejection, ReplyKind};

/// What the engine keeps besides its tables.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Policy,
    pub(crate) rand: Rand,
    pub(crate) slab: SlabHead,
    pub(crate) maps: [MapHead; 2],
    /// Which of the two maps serves.
    pub(crate) active: bool,
    /// Waiting for a map, a node or a moment.
    pub(crate) parked: List,
    /// Waiting for older commands of their slot, in submission order.
    pub(crate) held: List,
    /// Commands with an event to poll, singly linked through [`Entry::event_next`].
    pub(crate) event_head: Ix,
    pub(crate) event_tail: Ix,
    /// Connections with an event to poll.
    pub(crate) conn_events: u16,
    /// Connections with a hold.
    pub(crate) holds: u16,
    pub(crate) refresh: Refresh,
    pub(crate) freshness: Freshness,
    /// Reads the topology reply under way.
    pub(crate) reader: Option<Reader>,
    /// The topology reply under way was read to its end (`true`), or refused, as `last_rejection` says.
    pub(crate) verdict: Option<bool>,
    /// What was asked last, and on which connection.
    pub(crate) asked_kind: ReplyKind,
    pub(crate) refresh_conn: u32,
    /// Topology questions put so far, and which of them the map that serves answers; wrapping.
    pub(crate) questions: u8,
    pub(crate) answered_question: u8,
    /// CLUSTER SLOTS is answered with an error.
    pub(crate) slots_refused: bool,
    pub(crate) last_rejection: Option<Rejection>,
    /// Topology replies taken so far.
    pub(crate) refreshes: u32,
    /// The map knows nodes without slots only from CLUSTER NODES: asked until then instead of CLUSTER SLOTS.
    pub(crate) nodes_until: Stamp,
    pub(crate) seed_conn: u32,
    pub(crate) next_seed: u16,
    /// When the question under way was asked, and that of the map that serves.
    pub(crate) asked_at: Instant,
    pub(crate) map_asked: Instant,
    /// For turns among equals.
    pub(crate) turn: u16,
    /// There was no free connection entry.
    pub(crate) wants_conn: bool,
    /// What the numbers of PINGs are mixed with, so that no value of a caller is taken for one.
    pub(crate) nonce: u32,
    /// No command's deadline lies before this.
    pub(crate) next_deadline: Stamp,
    /// No parked command wakes before this.
    pub(crate) next_wake: Stamp,
    /// Bytes of the caller's commands that have entries.
    pub(crate) bytes: u32,
    /// A command ended, or a new one is held: held ones may go on.
    pub(crate) settled: bool,
    pub(crate) map_event: bool,
    pub(crate) refresh_event: bool,
    pub(crate) shutting_down: bool,
    /// The time of the last call that told it.
    pub(crate) clock: Instant,
}

impl State {
    pub(crate) const fn new(config: Config) -> Self {
        Self {
            config: Policy::of(&config),
            rand: Rand::new(config.seed),
            slab: SlabHead::new(),
            maps: [MapHead::new(), MapHead::new()],
            active: false,
            parked: List::EMPTY,
            held: List::EMPTY,
            event_head: Ix::NONE,
            event_tail: Ix::NONE,
            conn_events: 0,
            holds: 0,
            refresh: Refresh::new(config.refresh),
            freshness: Freshness::new(Freshness::HOLD),
            reader: None,
            verdict: None,
            asked_kind: ReplyKind::Slots,
            refresh_conn: NONE,
            questions: 0,
            answered_question: 0,
            slots_refused: false,
            last_rejection: None,
            refreshes: 0,
            nodes_until: Stamp::NEVER,
            seed_conn: NONE,
            next_seed: 0,
            turn: 0,
            asked_at: Instant::EPOCH,
            map_asked: Instant::EPOCH,
            wants_conn: false,
            nonce: Rand::new(!config.seed).next_u32(),
            next_deadline: Stamp::NEVER,
            next_wake: Stamp::NEVER,
            bytes: 0,
            settled: false,
            map_event: false,
            refresh_event: false,
            shutting_down: false,
            clock: Instant::EPOCH,
        }
    }
}

impl State {
    /// The topology reply under way is refused.
    pub(crate) fn refuse(&mut self, why: Rejection) {
        self.verdict = Some(false);
        self.last_rejection = Some(why);
    }
}

/// State and tables, joined for the length of a call.
pub(crate) struct Engine<'a> {
    pub(crate) s: &'a mut State,
    pub(crate) t: Tables<'a>,
    /// What an index outside of its table gives, so that no access can panic. Never there in a sound engine.
    pub(crate) scrap: (Option<Entry>, Option<ConnEntry>),
}

impl Engine<'_> {
    /// The map that serves.
    pub(crate) fn map(&self) -> Map<'_> {
        let [first, second] = &self.t.maps;
        let [first_head, second_head] = &self.s.maps;
        if self.s.active { second.map(second_head) } else { first.map(first_head) }
    }

    /// The map that serves, to patch.
    pub(crate) fn map_mut(&mut self) -> MapMut<'_> {
        let [first, second] = &mut self.t.maps;
        let [first_head, second_head] = &mut self.s.maps;
        if self.s.active {
            MapMut::new(second_head, second.reborrow())
        } else {
            MapMut::new(first_head, first.reborrow())
        }
    }

    pub(crate) fn entry(&mut self, index: u32) -> &mut Entry {
        debug_assert!((index as usize) < self.t.commands.len(), "index outside of the slab");
        match self.t.commands.get_mut(index as usize) {
            Some(entry) => entry,
            None => self.scrap.0.insert(Entry::EMPTY),
        }
    }

    /// A copy of an entry, for reading while the engine changes.
    pub(crate) fn peek(&self, index: u32) -> Entry {
        self.t.commands.get(index as usize).copied().unwrap_or(Entry::EMPTY)
    }

    pub(crate) fn conn(&mut self, index: u32) -> &mut ConnEntry {
        debug_assert!((index as usize) < self.t.conns.len(), "index outside of the connection table");
        match self.t.conns.get_mut(index as usize) {
            Some(entry) => entry,
            None => self.scrap.1.insert(ConnEntry::EMPTY),
        }
    }

    /// The index of a live connection; ids of an earlier use give `None`.
    pub(crate) fn live(&self, id: ConnId) -> Option<u32> {
        let conn = self.t.conns.get(id.index())?;
        let live = conn.generation == id.generation() && conn.has_socket();
        if live { u32::try_from(id.index()).ok() } else { None }
    }

    pub(crate) fn command_id(&self, index: u32) -> CommandId {
        CommandId::new(index, self.t.commands.get(index as usize).map_or(0, Entry::generation))
    }

    /// The node's place in the map that serves.
    pub(crate) fn find_node(&self, id: &NodeId, hint: Option<NodeIndex>) -> Option<NodeIndex> {
        let map = self.map();
        let right = |at: &NodeIndex| map.node(*at).is_some_and(|node| node.id() == *id);
        hint.filter(right).or_else(|| map.find(id))
    }

    /// The place in the map of the node behind a connection.
    pub(crate) fn node_at(&self, conn: u32) -> Option<NodeIndex> {
        let entry = self.t.conns.get(conn as usize)?;
        self.find_node(&entry.node?, entry.hint)
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.t.conns.len()).unwrap_or(u32::MAX)
    }

    // ---- events ----

    pub(crate) fn raise(&mut self, conn: u32, bit: Bits) {
        let entry = self.conn(conn);
        let fresh = entry.events.is_empty();
        entry.events.set(bit);
        if fresh {
            self.s.conn_events = self.s.conn_events.saturating_add(1);
        }
    }

    pub(crate) fn note_closed(&mut self, conn: u32, reason: CloseReason) {
        let entry = self.conn(conn);
        entry.closed = reason;
        entry.closed_ago = 0;
        self.raise(conn, Bits::CLOSED);
    }

    /// Queues the event of a command that is on no list, or is a tombstone in a FIFO.
    pub(crate) fn queue_event(&mut self, index: u32) {
        self.entry(index).set_event_next(NONE);
        let tail = self.s.event_tail.get();
        if tail == NONE {
            self.s.event_head = Ix::new(index);
        } else {
            self.entry(tail).set_event_next(index);
        }
        self.s.event_tail = Ix::new(index);
    }

    // ---- ends of commands ----

    /// Ends a command that is on no list, without a reply. It is not in flight, so what earlier attempts showed is
    /// what is known of it.
    pub(crate) fn fail(&mut self, index: u32, reason: Reason) {
        let entry = self.entry(index);
        debug_assert!(entry.kind() == Kind::User);
        let outcome = if entry.has(Flag::MAYBE) {
            Outcome::MaybeExecuted
        } else if entry.hops > 0 || entry.attempts() > 0 {
            Outcome::Rejected
        } else {
            Outcome::NotSent
        };
        let node = match entry.aim() {
            Aim::Node(node) => node,
            _ => None,
        };
        self.fail_at(index, outcome, reason, node);
    }

    pub(crate) fn fail_at(&mut self, index: u32, outcome: Outcome, reason: Reason, node: Option<NodeIndex>) {
        let entry = self.entry(index);
        entry.set_place(Place::Done);
        self.s.settled = true;
        let entry = self.entry(index);
        entry.set_failure(outcome, reason, node);
        self.tell_dropped(index);
        self.queue_event(index);
    }

    /// Gives back an entry that has no event to come.
    pub(crate) fn free(&mut self, index: u32) {
        let entry = self.peek(index);
        if matches!(entry.kind(), Kind::User | Kind::Tombstone) {
            self.s.bytes = self.s.bytes.saturating_sub(entry.len);
        }
        self.s.settled = true;
        self.s.slab.give(self.t.commands, index);
    }

    pub(crate) fn note_deadline(&mut self, at: Option<Instant>) {
        self.s.next_deadline = self.s.next_deadline.or_earlier(at, self.s.clock);
    }

    pub(crate) fn note_wake(&mut self, at: Option<Instant>) {
        self.s.next_wake = self.s.next_wake.or_earlier(at, self.s.clock);
    }

    // ---- connections ----

    /// Takes an entry for a new connection: a free one, else an idle one that remembers nothing but a back-off.
    pub(crate) fn take_conn(&mut self, purpose: Purpose) -> Option<u32> {
        let usable = |state: ConnState| {
            self.t
                .conns
                .iter()
                .position(|conn| conn.state == state && !conn.has_work() && !conn.events.has(Bits::CLOSED))
        };
        let Some(found) = usable(ConnState::Free).or_else(|| usable(ConnState::Idle)) else {
            self.s.wants_conn = true;
            return None;
        };
        let index = u32::try_from(found).ok()?;
        self.unbind(index);
        let conn = self.conn(index);
        conn.reset_stream();
        conn.backoff.reset();
        conn.purpose = purpose;
        conn.node = None;
        conn.hint = None;
        conn.seed = NO_SEED;
        conn.until = Stamp::NEVER;
        conn.state = ConnState::Idle;
        Some(index)
    }

    /// Removes the connection from the table of shared ones. What it makes others wait for stays: a retired connection
    /// still has commands in flight, and the hold ends with them, or with the connection.
    pub(crate) fn unbind(&mut self, conn: u32) {
        if let Some(place) = self.t.by_node.iter_mut().find(|place| **place == conn) {
            *place = NONE;
        }
        if self.s.seed_conn == conn {
            self.s.seed_conn = NONE;
        }
    }

    /// Ends the connection's hold.
    pub(crate) fn drop_hold(&mut self, conn: u32) {
        let entry = self.conn(conn);
        if entry.hold != Hold::None {
            entry.hold = Hold::None;
            self.s.holds = self.s.holds.saturating_sub(1);
        }
    }
}
