//! Telling an observer: the storage that carries one, and the engine's side of it.
//!
//! Each thing is told where it happens, by one call that returns at once when nobody looks on. Without the feature
//! `observe` nobody can, the compiler knows, and the calls are gone.

use crate::cluster::Cluster;
use crate::cluster::conn::{ConnEntry, ConnState};
use crate::cluster::engine::Engine;
use crate::cluster::event::CloseReason;
use crate::cluster::notice::{Notice, Observe, RedirectKind, RefreshFailure, RetryCause};
use crate::ids::{ConnId, NodeId};
use crate::pipeline::{Entry, Kind};
use crate::server_error::{ErrorKind, ServerError};
use crate::slot::Slot;
use crate::topology::{MapDiff, MovedCase, Node, NodeIndex, Owner};

use crate::cluster::storage::Storage;
#[cfg(feature = "observe")]
use crate::cluster::storage::{Need, Shared, Tables};

/// Who is told what an engine does, if anybody: a part of the lent tables.
#[derive(Default)]
pub struct Watch<'a> {
    #[cfg(feature = "observe")]
    observer: Option<&'a mut dyn Observe>,
    #[cfg(not(feature = "observe"))]
    nobody: core::marker::PhantomData<&'a ()>,
}

impl<'a> Watch<'a> {
    /// Nobody is told.
    #[cfg(feature = "observe")]
    pub const NONE: Self = Self { observer: None };
    /// Nobody is told.
    #[cfg(not(feature = "observe"))]
    pub const NONE: Self = Self { nobody: core::marker::PhantomData };

    /// This one is told. Feature `observe`.
    #[cfg(feature = "observe")]
    #[must_use]
    pub fn new(observer: &'a mut dyn Observe) -> Self {
        Self { observer: Some(observer) }
    }

    #[cfg(feature = "observe")]
    fn get(&mut self) -> Option<&mut (dyn Observe + 'a)> {
        self.observer.as_deref_mut()
    }

    #[cfg(not(feature = "observe"))]
    #[inline(always)]
    const fn get(&mut self) -> Option<&mut (dyn Observe + 'a)> {
        None
    }

    #[cfg(feature = "observe")]
    const fn is_some(&self) -> bool {
        self.observer.is_some()
    }

    #[cfg(not(feature = "observe"))]
    #[inline(always)]
    const fn is_some(&self) -> bool {
        false
    }
}

/// A storage with an observer beside its tables. Feature `observe`.
///
/// ```
/// use slotwise::cluster::{Cluster, Config, Counters, StaticStorage, Watched};
///
/// // Counts for 4 nodes beside the tables of a small device.
/// let storage = Watched::new(StaticStorage::<4, 64, 96, 4, 34, 28>::new(), Counters::<4>::new());
/// let cluster = Cluster::new(Config::new(0x5eed), storage);
/// assert_eq!(cluster.observer().engine().pending(), 0);
/// ```
#[cfg(feature = "observe")]
#[derive(Clone, Debug)]
pub struct Watched<S, O> {
    storage: S,
    observer: O,
}

#[cfg(feature = "observe")]
impl<S, O> Watched<S, O> {
    /// The storage, and who is told what the engine over it does.
    #[must_use]
    pub const fn new(storage: S, observer: O) -> Self {
        Self { storage, observer }
    }

    /// Who is told.
    #[must_use]
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// Who is told, to be changed.
    #[must_use]
    pub const fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }
}

#[cfg(feature = "observe")]
impl<S: Storage, O: Observe> Storage for Watched<S, O> {
    fn tables(&mut self) -> Tables<'_> {
        Tables { watch: Watch::new(&mut self.observer), ..self.storage.tables() }
    }

    fn shared(&self) -> Shared<'_> {
        self.storage.shared()
    }

    fn grow(&mut self, need: Need) -> bool {
        self.storage.grow(need)
    }

    fn memory_used(&self) -> usize {
        self.storage.memory_used().saturating_add(size_of::<O>())
    }
}

#[cfg(feature = "observe")]
impl<S: Storage, O: Observe> Cluster<Watched<S, O>> {
    /// Who is told what this engine does.
    #[must_use]
    pub const fn observer(&self) -> &O {
        &self.storage.observer
    }

    /// Who is told what this engine does, to be changed.
    #[must_use]
    pub const fn observer_mut(&mut self) -> &mut O {
        &mut self.storage.observer
    }
}

/// What one node has to do now. Read off the tables, so it is there with the feature `observe` and without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct NodeLoad {
    /// Connections that are open, leases and those for subscriptions included.
    pub connections: u32,
    /// Commands that wait for a connection to it or for room in its window.
    pub queued: u32,
    /// Commands handed over for writing whose replies are due: the engine's own and those of commands that were dropped
    /// meanwhile included.
    pub in_flight: u32,
}

impl<S: Storage> Cluster<S> {
    /// What a node has to do now; with `None`, seeds that have not said which node they are.
    #[must_use]
    pub fn load(&self, node: Option<&NodeId>) -> NodeLoad {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut load = NodeLoad::default();
        let mine = |conn: &&ConnEntry| conn.state != ConnState::Free && conn.node.as_ref() == node;
        for conn in self.storage.shared().conns.iter().filter(mine) {
            load.connections = load.connections.saturating_add(u32::from(conn.is_open()));
            load.queued = load.queued.saturating_add(narrow(conn.queue.len()));
            load.in_flight = load.in_flight.saturating_add(narrow(conn.in_flight.len()));
        }
        load
    }

    /// Commands that wait for no connection: for a map, a node, a moment, or an older command of their slot.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.state.parked.len().saturating_add(self.state.held.len())
    }
}

impl Engine<'_> {
    fn is_watched(&self) -> bool {
        self.t.watch.is_some()
    }

    fn tell(&mut self, notice: &Notice<'_>) {
        if let Some(observer) = self.t.watch.get() {
            observer.observe(self.s.clock, notice);
        }
    }

    fn id_at(&self, node: NodeIndex) -> Option<NodeId> {
        self.map().node(node).map(Node::id)
    }

    /// The node that owns a slot, for [`Engine::tell_moved`].
    pub(crate) fn owner_id(&self, slot: Slot) -> Option<NodeId> {
        match self.map().owner(slot) {
            Owner::Node(at) if self.is_watched() => self.id_at(at),
            _ => None,
        }
    }

    // ---- connections ----

    pub(crate) fn tell_connecting(&mut self, conn: u32) {
        if self.is_watched() {
            let (id, node) = (self.conn(conn).id(conn), self.node_of(conn));
            self.tell(&Notice::Connecting { conn: id, node });
        }
    }

    pub(crate) fn tell_ready(&mut self, conn: u32) {
        if self.is_watched() {
            let (id, node) = (self.conn(conn).id(conn), self.node_of(conn));
            self.tell(&Notice::Ready { conn: id, node });
        }
    }

    pub(crate) fn tell_identified(&mut self, conn: u32, node: NodeId) {
        if self.is_watched() {
            let conn = self.conn(conn).id(conn);
            self.tell(&Notice::Identified { conn, node });
        }
    }

    /// Before the commands in flight are taken off.
    pub(crate) fn tell_lost(&mut self, conn: u32, reason: CloseReason) {
        if !self.is_watched() {
            return;
        }
        let (id, node, list) = (self.conn(conn).id(conn), self.node_of(conn), self.conn(conn).in_flight);
        let (mut next, mut in_flight) = (list.front(), 0_u32);
        while let Some(index) = next {
            in_flight = in_flight.saturating_add(u32::from(is_the_callers(&self.peek(index))));
            next = list.after(self.t.commands, index);
        }
        self.tell(&Notice::Lost { conn: id, node, reason, in_flight });
    }

    pub(crate) fn tell_written(&mut self, conn: ConnId, index: u32, bytes: usize) {
        if self.is_watched() && bytes > 0 {
            let node = self.node_of(index);
            self.tell(&Notice::Written { conn, node, bytes });
        }
    }

    pub(crate) fn tell_received(&mut self, conn: ConnId, index: u32, bytes: usize) {
        if self.is_watched() && bytes > 0 {
            let node = self.node_of(index);
            self.tell(&Notice::Received { conn, node, bytes });
        }
    }

    // ---- commands ----

    pub(crate) fn tell_submitted(&mut self, index: u32) {
        if self.is_watched() {
            let (id, entry) = (self.command_id(index), self.peek(index));
            self.tell(&Notice::Submitted { id, tag: entry.tag, bytes: entry.len });
        }
    }

    pub(crate) fn tell_sent(&mut self, index: u32, conn: u32) {
        if self.is_watched() {
            let (id, tag) = (self.command_id(index), self.peek(index).tag);
            let (conn, node) = (self.conn(conn).id(conn), self.node_of(conn));
            self.tell(&Notice::Sent { id, tag, conn, node });
        }
    }

    pub(crate) fn tell_answered(&mut self, index: u32, conn: u32, error: bool) {
        if self.is_watched() {
            let (id, entry, node) = (self.command_id(index), self.peek(index), self.node_of(conn));
            self.tell(&Notice::Answered { id, tag: entry.tag, node, error, resent: entry.was_resent() });
        }
    }

    pub(crate) fn tell_confirmed(&mut self, index: u32, conn: u32) {
        if self.is_watched() {
            let (id, tag, node) = (self.command_id(index), self.peek(index).tag, self.node_of(conn));
            self.tell(&Notice::Confirmed { id, tag, node });
        }
    }

    /// The reply of a command was thrown away.
    pub(crate) fn tell_discarded(&mut self, conn: u32) {
        if self.is_watched() {
            let node = self.node_of(conn);
            self.tell(&Notice::Discarded { node });
        }
    }

    /// The head of the FIFO is about to be taken off for good: if nobody waited for its reply any more, that was
    /// thrown away.
    pub(crate) fn tell_if_discarded(&mut self, conn: u32) {
        let head = if self.is_watched() { self.conn(conn).in_flight.front() } else { None };
        if head.is_some_and(|head| self.peek(head).kind() == Kind::Tombstone) {
            self.tell_discarded(conn);
        }
    }

    /// `to` is the node if it is known; else the command waits until it is.
    pub(crate) fn tell_redirected(&mut self, index: u32, conn: u32, kind: RedirectKind, to: Option<NodeIndex>) {
        let entry = self.peek(index);
        if let (true, Some(slot)) = (self.is_watched(), entry.slot()) {
            let (id, tag, from) = (self.command_id(index), entry.tag, self.node_of(conn));
            let target = to.and_then(|to| self.id_at(to));
            self.tell(&Notice::Redirected { id, tag, slot, kind, from, to: target });
            if to.is_none() {
                self.tell_retried(index, conn, RetryCause::UnknownTarget);
            }
        }
    }

    /// A group was redirected: to this node behind ASKING, or to the one that owns its slot now.
    pub(crate) fn tell_group_redirected(&mut self, index: u32, conn: u32, ask: Option<NodeIndex>) {
        if let (true, Some(slot)) = (self.is_watched(), self.peek(index).slot()) {
            let owner = match self.map().owner(slot) {
                Owner::Node(at) => Some(at),
                Owner::Uncovered | Owner::Unknown => None,
            };
            let kind = if ask.is_some() { RedirectKind::Ask } else { RedirectKind::Moved };
            self.tell_redirected(index, conn, kind, ask.or(owner));
        }
    }

    /// An error of the server let the command be tried again; before it is counted as an attempt.
    pub(crate) fn tell_refused(&mut self, index: u32, conn: u32, line: Option<&[u8]>) {
        if self.is_watched() {
            let kind = line.map_or(ErrorKind::Other, |line| ServerError::parse(line).kind());
            self.tell_retried(index, conn, RetryCause::Refused(kind));
        }
    }

    fn tell_retried(&mut self, index: u32, conn: u32, why: RetryCause) {
        let (id, entry, node) = (self.command_id(index), self.peek(index), self.node_of(conn));
        let counts = why != RetryCause::NotWritten;
        let attempt = entry.attempts().saturating_add(u8::from(counts));
        self.tell(&Notice::Retried { id, tag: entry.tag, node, why, attempt });
    }

    /// The connection ended and the command goes out again; before it is counted as an attempt.
    pub(crate) fn tell_resend(&mut self, index: u32, conn: u32, written: bool) {
        if self.is_watched() && !self.s.shutting_down {
            let why = if written { RetryCause::ReplyMissing } else { RetryCause::NotWritten };
            self.tell_retried(index, conn, why);
        }
    }

    /// The command has its failure.
    pub(crate) fn tell_dropped(&mut self, index: u32) {
        if self.is_watched() {
            let (id, entry) = (self.command_id(index), self.peek(index));
            if let Some(failure) = entry.failure(&self.map()) {
                self.tell(&Notice::Dropped { id, tag: entry.tag, failure });
            }
        }
    }

    // ---- topology ----

    pub(crate) fn tell_refresh_started(&mut self, node: Option<NodeId>) {
        if self.is_watched() {
            self.tell(&Notice::RefreshStarted { node });
        }
    }

    /// The question under way, if one is, comes to nothing; before that is told to [`Engine`]'s refresh.
    pub(crate) fn tell_refresh_failed(&mut self, conn: u32, reason: RefreshFailure) {
        if self.is_watched() && self.s.refresh.in_flight() {
            let node = self.node_of(conn);
            self.tell(&Notice::RefreshFailed { node, reason });
        }
    }

    /// The staged map serves now.
    pub(crate) fn tell_adopted(&mut self, conn: u32, changed: bool) {
        if !self.is_watched() {
            return;
        }
        // A late answer to a question that was given up is taken over too, and is no answer to count.
        if self.s.refresh.in_flight() {
            let node = self.node_of(conn);
            self.tell(&Notice::Refreshed { node, changed });
        }
        if let (true, Some(observer)) = (changed, self.t.watch.get()) {
            let [first, second] = &self.t.maps;
            let [first_head, second_head] = &self.s.maps;
            let (first, second) = (first.map(first_head), second.map(second_head));
            let (old, new) = if self.s.active { (first, second) } else { (second, first) };
            let notice = Notice::MapChanged { version: new.version(), diff: MapDiff::between(old, new) };
            observer.observe(self.s.clock, &notice);
        }
    }

    /// A redirect changed the map; `from` is the slot's owner before.
    pub(crate) fn tell_moved(&mut self, case: MovedCase, slot: Slot, from: Option<NodeId>, to: NodeIndex) {
        if !self.is_watched() || matches!(case, MovedCase::Known | MovedCase::NoRoom) {
            return;
        }
        if let (Some(to), Some(observer)) = (self.id_at(to), self.t.watch.get()) {
            let [first, second] = &self.t.maps;
            let [first_head, second_head] = &self.s.maps;
            let new = if self.s.active { second.map(second_head) } else { first.map(first_head) };
            let diff = MapDiff::of_moved(new, slot, from, to, case == MovedCase::Promoted);
            observer.observe(self.s.clock, &Notice::MapChanged { version: new.version(), diff });
        }
    }
}

/// Whether it is, or was before it was dropped, a command of the caller.
fn is_the_callers(entry: &Entry) -> bool {
    matches!(entry.kind(), Kind::User | Kind::Tombstone)
}
