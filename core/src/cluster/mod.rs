//! The engine: routes, retries, timers and events over all the rooms below, without a socket, a clock or a heap.
//!
//! # The drive contract
//!
//! A [`Cluster`] has four kinds of methods.
//!
//! - **Getters** tell what is known and change nothing: [`Cluster::map`], [`Cluster::dial_target`],
//!   [`Cluster::poll_timeout`], [`Cluster::memory_used`].
//! - **Network and clock** tell it what happened: `handle_*`. The current time is the first argument.
//! - **The application** says what it wants: [`Cluster::submit`], [`Cluster::cancel`], [`Cluster::shutdown`].
//! - **Drain** takes out what it decided: `poll_*`, where `None` means nothing more for now.
//!
//! After each call of the second and third kind, drain: first [`Cluster::poll_event`] until `None`, then
//! [`Cluster::poll_transmit`] of every connection that is open, then wait for bytes, writability or
//! [`Cluster::poll_timeout`], whichever is first. Draining late delays work and loses nothing.
//!
//! The bytes of a command stay with the caller from [`Cluster::submit`] until its one end: an
//! [`Output::Reply`] or [`Output::Token`] with `last`, an [`Event::Failed`], or an [`Event::Confirmed`]. The engine
//! may ask for them more than once ([`Transmit::Command`]), since a refused command is sent again.
//!
//! ```
//! use slotwise::addr::NodeAddr;
//! use slotwise::cluster::{Cluster, Config, Env, Event, StaticStorage, Transmit};
//! use slotwise::command::{FULL, analyse};
//! use slotwise::connection::Settings;
//! use slotwise::resp::encode;
//! use slotwise::time::Instant;
//!
//! let seeds = [NodeAddr::new("10.0.0.1", 6379)?];
//! let env = Env::new(&Settings::DEFAULT, &seeds);
//! // 4 nodes, 64 ranges, 256 bytes of host names, 4 connections, 30 commands and 2 of its own, 8 levels for each.
//! let mut cluster = Cluster::new(Config::new(0x5eed), StaticStorage::<4, 64, 256, 4, 32, 32>::new());
//! let now = Instant::from_micros(0);
//!
//! let command = ["GET", "user:1"];
//! let len = u32::try_from(encode::encoded_len(&command)?)?;
//! let id = cluster.submit(now, analyse(&FULL, &command)?.spec(len)?)?;
//!
//! // No map yet: the engine wants a seed.
//! let Some(Event::Dial(conn)) = cluster.poll_event() else { panic!("a dial is due") };
//! assert_eq!(cluster.dial_target(conn, &env).map(|target| target.addr), Some(seeds[0]));
//! cluster.handle_connected(now, conn);
//! let Some(Transmit::Control(hello)) = cluster.poll_transmit(now, conn, &env) else { panic!("HELLO is due") };
//! let mut out = [0; 64];
//! let n = hello.encode(env.settings, &mut out)?;
//! assert_eq!(&out[..n], b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
//! cluster.handle_written(now, conn, n);
//! // Received bytes go to `handle_input`; the command goes out once the slot map is known.
//! assert_eq!(cluster.poll_transmit(now, conn, &env), None);
//! # let _ = id;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When something is full
//!
//! | what | the call says | what makes it go on |
//! |---|---|---|
//! | command entries | [`SubmitError::Full`] | handing out replies and events |
//! | bytes of commands ([`Config::max_bytes`]) | [`SubmitError::FullBytes`] | the same |
//! | unsent commands for one node ([`Config::max_queue`]) | the command ends with `Reason::QueueFull` | the node, or its deadline |
//! | a connection's window ([`Config::window`]) | `poll_transmit` gives `None` | replies |
//! | leases ([`Config::max_leases`]) | nothing; the command waits | a free lease, or its deadline |
//! | connection entries | nothing; the command waits | a connection that ends, or its deadline: none that is open is closed for another node, so have as many as [`StaticStorage`] says |
//! | slot map storage | the slots that do not fit have an unknown owner | any node is asked, and MOVED followed |
//! | receive buffer | [`Progress`] with nothing consumed | more bytes, or with `can_grow == false` tokens instead of a frame |
//! | receive buffer, behind a reply that waits for a topology reply | the same, and [`Cluster::wants_input`] is false | [`Event::InputReady`], within a second |

mod admit;
mod config;
mod confirm;
mod conn;
mod counters;
mod endpoint;
mod engine;
mod event;
mod hold;
mod input;
mod lose;
mod notice;
mod order;
mod policy;
mod probe;
mod refreshing;
mod reply;
mod route;
mod stall;
mod static_storage;
mod storage;
mod timers;
mod transmit;
mod watch;

#[cfg(test)]
mod tests;

pub use config::{Config, Env, ReadFrom};
pub use conn::ConnEntry;
pub use counters::{Counters, EngineCounters, NodeCounters};
pub use endpoint::{Endpoint, Endpoints};
pub use event::{
    CancelStage, CloseReason, ConnectionError, DialTarget, Event, Output, Progress, SubmitError, Transmit,
};
pub use notice::{Notice, Observe, RedirectKind, RefreshFailure, RetryCause};
pub use static_storage::StaticStorage;
pub use storage::{Need, Shared, SharedMap, Storage, Tables};
#[cfg(feature = "observe")]
pub use watch::Watched;
pub use watch::{NodeLoad, Watch};

use conn::{Bits, ConnState};
use engine::{Engine, State};

use crate::command::CommandSpec;
use crate::ids::{CommandId, ConnId, NodeId};
use crate::pipeline::{Flag, Ix, Kind, NONE, Place, Reason, SlabHead};
use crate::time::Instant;
use crate::topology::{Map, Reason as Why, Rejection};

/// The engine of one cluster client. See the [module's page](self) for how to drive it.
pub struct Cluster<S> {
    state: State,
    storage: S,
}

/// Command entries that only the engine's own frames may take, so that a full table cannot stop topology questions
/// and fences.
const RESERVE: usize = 2;

impl<S: Storage> Cluster<S> {
    /// An engine that knows nothing yet; the first submission, or [`Cluster::connect`], makes it dial a seed.
    #[must_use]
    pub const fn new(config: Config, storage: S) -> Self {
        Self { state: State::new(config), storage }
    }

    fn engine(&mut self) -> Engine<'_> {
        if core::mem::take(&mut self.state.wants_conn) {
            self.storage.grow(Need::Connection);
        }
        Engine { s: &mut self.state, t: self.storage.tables(), scrap: (None, None) }
    }

    fn engine_at(&mut self, now: Instant) -> Engine<'_> {
        self.state.clock = now;
        self.engine()
    }

    // ---- network and clock ----

    /// The dial of `conn` succeeded.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId) {
        let mut engine = self.engine_at(now);
        if let Some(index) = engine.live(conn) {
            engine.connected(now, index);
        }
    }

    /// The dial of `conn` failed.
    pub fn handle_connect_failed(&mut self, now: Instant, conn: ConnId) {
        let mut engine = self.engine_at(now);
        if let Some(index) = engine.live(conn) {
            engine.lose(now, index, CloseReason::ConnectFailed);
            engine.drive_refresh(now);
        }
    }

    /// The peer closed `conn`, or it broke. Every reply received before has been presented.
    pub fn handle_disconnected(&mut self, now: Instant, conn: ConnId) {
        let mut engine = self.engine_at(now);
        if let Some(index) = engine.live(conn) {
            engine.lose(now, index, CloseReason::Disconnected);
            engine.drive_refresh(now);
        }
    }

    /// The transport of `conn` took `bytes` more bytes. Report this before the replies to them: it tells commands that
    /// were not sent from commands that may have run.
    pub fn handle_written(&mut self, _now: Instant, conn: ConnId, bytes: usize) {
        let mut engine = self.engine();
        if let Some(index) = engine.live(conn) {
            let entry = engine.conn(index);
            entry.unsent = entry.unsent.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
            engine.tell_written(conn, index, bytes);
        }
    }

    /// Presents the bytes received on `conn` and not yet consumed, from the first one on.
    ///
    /// `can_grow` says whether the receive buffer can still become larger (or be emptied further); if not, a reply
    /// that does not fit is handed out as tokens. The buffer needs room for [`WHOLE`](crate::topology::WHOLE) bytes and
    /// 64 more, since host names and refusals are only understood whole. Call again with the rest for as long as something is consumed or
    /// handed out.
    ///
    /// # Errors
    /// A [`ConnectionError`]: the connection is over and its commands have been dealt with; drop the socket. Replies
    /// that stood before the fault were handed out.
    pub fn handle_input<'rx>(
        &mut self,
        now: Instant,
        conn: ConnId,
        env: &Env<'_>,
        rx: &'rx [u8],
        can_grow: bool,
    ) -> Result<Progress<'rx>, ConnectionError> {
        let mut engine = self.engine_at(now);
        match engine.live(conn) {
            Some(index) => {
                let result = engine.handle_input(now, index, env, rx, can_grow);
                engine.tell_received(conn, index, result.as_ref().map_or(rx.len(), |progress| progress.consumed));
                result
            }
            None => Ok(Progress::only(rx.len())),
        }
    }

    /// Time has come to [`Cluster::poll_timeout`]'s instant. Harmless when called early.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.engine_at(now).handle_timeout(now);
    }

    // ---- application ----

    /// Asks for contact with the cluster before the first command.
    pub fn connect(&mut self, now: Instant) {
        let mut engine = self.engine_at(now);
        if engine.map().is_empty() {
            engine.s.refresh.request(now, Why::Start);
        }
        engine.drive_refresh(now);
    }

    /// Asks for a fresh map, under the usual limits.
    pub fn refresh(&mut self, now: Instant) {
        let mut engine = self.engine_at(now);
        engine.s.refresh.request(now, Why::Error);
        engine.drive_refresh(now);
    }

    /// Takes in a command.
    ///
    /// # Errors
    /// A [`SubmitError`]; nothing was sent.
    pub fn submit(&mut self, now: Instant, spec: CommandSpec) -> Result<CommandId, SubmitError> {
        if self.state.shutting_down {
            return Err(SubmitError::ShuttingDown);
        }
        if spec.replies == 0 || spec.len == 0 {
            return Err(SubmitError::BadSpec);
        }
        let mut grown = false;
        loop {
            let mut engine = self.engine_at(now);
            if !engine.has_room_for(spec.len) {
                return Err(SubmitError::FullBytes);
            }
            let room = engine.t.commands.len().saturating_sub(engine.s.slab.live());
            if room > RESERVE
                && let Some(index) = engine.s.slab.take(engine.t.commands, Kind::User)
            {
                return Ok(engine.admit(now, index, spec));
            }
            if grown || !self.storage.grow(Need::Command) {
                return Err(SubmitError::Full);
            }
            grown = true;
        }
    }

    /// Gives a command up. Its `Failed` event, with what is known, follows; a reply that still comes is eaten.
    pub fn cancel(&mut self, _now: Instant, id: CommandId) -> CancelStage {
        let mut engine = self.engine();
        match SlabHead::find(engine.t.commands, id) {
            Some(index) => engine.cancel(index),
            None => CancelStage::Unknown,
        }
    }

    /// Takes no more commands. What was not sent fails as `NotSent`; what is in flight is waited for; then the
    /// connections close.
    pub fn shutdown(&mut self, now: Instant) {
        self.engine_at(now).shutdown(now);
    }

    // ---- drain ----

    /// The next thing to write on `conn`.
    pub fn poll_transmit(&mut self, now: Instant, conn: ConnId, env: &Env<'_>) -> Option<Transmit> {
        let mut engine = self.engine_at(now);
        let index = engine.live(conn)?;
        engine.poll_transmit(now, index, env)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.engine().poll_event()
    }

    /// When [`Cluster::handle_timeout`] wants to be called; `None` for never.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.engine().poll_timeout()
    }

    // ---- getters ----

    /// Where to dial for an [`Event::Dial`].
    pub fn dial_target<'e>(&'e self, conn: ConnId, env: &Env<'e>) -> Option<DialTarget<'e>> {
        let shared = self.storage.shared();
        let entry = shared.conns.get(conn.index())?;
        if entry.generation != conn.generation() {
            return None;
        }
        let endpoint = match entry.node {
            Some(id) => {
                let map = self.map();
                let right = |at: &crate::topology::NodeIndex| map.node(*at).is_some_and(|node| node.id() == id);
                env.endpoint(map.addr(entry.hint.filter(right).or_else(|| map.find(&id))?)?)?
            }
            None => Endpoint::announced(refreshing::seed_addr(env, entry)?),
        };
        Some(DialTarget { addr: endpoint.addr, tls_name: endpoint.tls_name, node: entry.node })
    }

    /// The slot map that serves.
    #[must_use]
    pub fn map(&self) -> Map<'_> {
        let shared = self.storage.shared();
        let [first, second] = shared.maps;
        let [first_head, second_head] = &self.state.maps;
        if self.state.active { second.with(second_head) } else { first.with(first_head) }
    }

    /// The node behind a live connection, once known.
    #[must_use]
    pub fn node(&self, conn: ConnId) -> Option<NodeId> {
        let entry = *self.storage.shared().conns.get(conn.index()).as_ref()?;
        if entry.generation == conn.generation() { entry.node } else { None }
    }

    /// Commands, own frames and tombstones the engine holds now.
    #[must_use]
    pub fn commands_live(&self) -> usize {
        self.state.slab.live()
    }

    /// Topology replies taken over so far.
    #[must_use]
    pub const fn refreshes(&self) -> u32 {
        self.state.refreshes
    }

    /// When the last topology reply that was taken over had been asked for: what it says of a slot's owner was true
    /// then or later.
    #[must_use]
    pub const fn map_asked(&self) -> Instant {
        self.state.map_asked
    }

    /// Why the last topology reply was refused, unless a later one was taken over.
    #[must_use]
    pub const fn last_rejection(&self) -> Option<Rejection> {
        self.state.last_rejection
    }

    /// Whether a shutdown has come to its end: no command and no connection is left.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.state.shutting_down
            && self.state.slab.live() == 0
            && self.storage.shared().conns.iter().all(|conn| !conn.has_socket() && conn.events.is_empty())
    }

    /// Bytes the engine and its tables take.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        size_of::<State>().saturating_add(self.storage.memory_used())
    }

    /// The storage.
    pub const fn storage(&self) -> &S {
        &self.storage
    }
}

impl Engine<'_> {
    fn connected(&mut self, now: Instant, conn: u32) {
        let read_only = self.is_replica(conn);
        let entry = self.conn(conn);
        if entry.state != ConnState::Dialing {
            return;
        }
        entry.state = ConnState::Handshake;
        entry.handshake = crate::connection::Greeting::new().with_read_only(read_only);
        entry.liveness.change(now, |liveness| liveness.on_connected(now));
    }

    fn is_replica(&mut self, conn: u32) -> bool {
        let hint = self.conn(conn).hint;
        let at = self.node_of(conn).and_then(|id| self.find_node(&id, hint));
        let map = self.map();
        at.and_then(|at| map.node(at)).is_some_and(|node| node.role() == crate::topology::Role::Replica)
    }

    fn cancel(&mut self, index: u32) -> CancelStage {
        let entry = self.peek(index);
        let commands = &mut *self.t.commands;
        match entry.place() {
            Place::InFlight => {
                self.tombstone(index, entry.cut_outcome(), Reason::Cancelled);
                return CancelStage::InFlight;
            }
            Place::Queued => {
                if let Some(conn) = self.t.conns.get_mut(entry.conn.get() as usize) {
                    conn.queue.remove(commands, index);
                }
            }
            Place::Held => self.s.held.remove(commands, index),
            Place::Parked => self.s.parked.remove(commands, index),
            Place::Free | Place::Done => return CancelStage::Unknown,
        }
        self.fail(index, Reason::Cancelled);
        CancelStage::NotSent
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.go_on();
        self.conn_event().or_else(|| self.command_event()).or_else(|| self.map_event())
    }

    fn conn_event(&mut self) -> Option<Event> {
        if self.s.conn_events == 0 {
            return None;
        }
        let clock = self.s.clock;
        for conn in 0..self.count() {
            let entry = self.conn(conn);
            if entry.events.is_empty() {
                continue;
            }
            let id = entry.id(conn);
            let event = if entry.events.take(Bits::CLOSED) {
                let conn = ConnId::new(conn, entry.generation.wrapping_sub(u32::from(entry.closed_ago)));
                Event::Closed { conn, node: entry.node, reason: entry.closed }
            } else if entry.events.take(Bits::DIAL) {
                Event::Dial(id)
            } else if entry.events.take(Bits::READY) {
                Event::Ready(id)
            } else if entry.events.take(Bits::ALIVE) {
                Event::Alive { conn: id, asked: entry.alive.near(clock).unwrap_or(clock) }
            } else {
                entry.events.take(Bits::INPUT);
                Event::InputReady(id)
            };
            if entry.events.is_empty() {
                self.s.conn_events = self.s.conn_events.saturating_sub(1);
            }
            return Some(event);
        }
        self.s.conn_events = 0;
        None
    }

    fn command_event(&mut self) -> Option<Event> {
        let index = self.s.event_head.get();
        if index == NONE {
            return None;
        }
        let id = self.command_id(index);
        let ended = self.peek(index);
        self.s.event_head = Ix::new(ended.event_next());
        if self.s.event_head == Ix::NONE {
            self.s.event_tail = Ix::NONE;
        }
        let (tag, failure) = (ended.tag, ended.failure(&self.map()));
        if ended.place() == Place::Done {
            self.free(index);
        } else {
            self.entry(index).set(Flag::FAILED, false);
        }
        Some(match failure {
            Some(failure) => Event::Failed { id, tag, failure },
            None => Event::Confirmed { id, tag, conn: ConnId::new(ended.conn.get(), ended.confirmed_by()) },
        })
    }

    fn map_event(&mut self) -> Option<Event> {
        if core::mem::take(&mut self.s.map_event) {
            return Some(Event::MapChanged { version: self.map().version() });
        }
        core::mem::take(&mut self.s.refresh_event).then_some(Event::RefreshFailed)
    }
}
