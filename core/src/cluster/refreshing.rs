//! Keeping the map fresh: who is asked, what becomes of the answer, which connection belongs to which node.

use crate::addr::NodeAddr;
use crate::cluster::config::Env;
use crate::cluster::conn::{Bits, ConnEntry, ConnState, NO_SEED, Purpose};
use crate::cluster::engine::Engine;
use crate::cluster::event::CloseReason;
use crate::cluster::notice::RefreshFailure;
use crate::cluster::reply::NODES_FOR;
use crate::connection::ControlFrame;
use crate::fmt::{debug, warning};
use crate::ids::NodeId;
use crate::pipeline::NONE;
use crate::resp::{Status, Token};
use crate::time::{Duration, Instant, Stamp};
use crate::topology::{Ask, Context, MapMut, NodeIndex, Reader, Reason as Why, Rejection, ReplyKind, Verdict};

/// A dial comes after the end of the one before was told.
const AFTER_CLOSED: Duration = Duration::from_millis(2);

impl Engine<'_> {
    /// The topology question to ask now.
    pub(crate) fn refresh_kind(&self) -> ControlFrame {
        match self.s.asked_kind {
            ReplyKind::Nodes => ControlFrame::ClusterNodes,
            _ => ControlFrame::ClusterSlots,
        }
    }

    /// Asks for the topology if that is due: a connected node, or a seed if no node is left to ask.
    pub(crate) fn drive_refresh(&mut self, now: Instant) {
        if self.s.shutting_down || self.s.refresh.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        // A question that is under way now is overdue.
        self.tell_refresh_failed(self.s.refresh_conn, RefreshFailure::TimedOut);
        let [first, second] = &self.t.maps;
        let [first_head, second_head] = &self.s.maps;
        let map = if self.s.active { second.map(second_head) } else { first.map(first_head) };
        let (by_node, conns) = (&*self.t.by_node, &*self.t.conns);
        // A connection whose first reply waits for this very answer cannot give it, and one that has owed an answer for
        // a while, perhaps the last one of this kind, is not asked for more.
        let prompt =
            |conn: &ConnEntry| conn.state == ConnState::Ready && !conn.is_stalled() && !conn.liveness.is_slow(now);
        let usable =
            |at: NodeIndex| by_node.get(at.index()).and_then(|conn| conns.get(*conn as usize)).is_some_and(prompt);
        match self.s.refresh.poll(now, &mut self.s.rand, &map, usable) {
            Some(Ask::Node(id)) => {
                let conn = map.find(&id).and_then(|at| by_node.get(at.index()).copied());
                self.tell_refresh_started(Some(id));
                self.choose_question(now);
                self.ask(conn.unwrap_or(NONE));
            }
            Some(Ask::Seed) => {
                self.tell_refresh_started(None);
                self.choose_question(now);
                self.dial_seed(now);
            }
            None => {}
        }
    }

    /// Whether CLUSTER NODES is asked instead of CLUSTER SLOTS.
    fn nodes_wanted(&mut self, now: Instant) -> bool {
        if self.s.nodes_until.is_due(now) {
            self.s.nodes_until = Stamp::NEVER;
        }
        // A time that lies further ahead than it was ever set is one of weeks ago.
        self.s.nodes_until.near(now).is_some_and(|until| until.since(now) <= NODES_FOR.saturating_mul(2))
    }

    fn choose_question(&mut self, now: Instant) {
        self.s.asked_at = now;
        self.s.questions = self.s.questions.wrapping_add(1);
        let nodes = self.s.slots_refused || self.nodes_wanted(now);
        let built = cfg!(feature = "nodes-reply");
        self.s.asked_kind = if nodes && built { ReplyKind::Nodes } else { ReplyKind::Slots };
    }

    /// The question goes out on this connection, at once or when it is ready.
    fn ask(&mut self, conn: u32) {
        let former = core::mem::replace(&mut self.s.refresh_conn, conn);
        if former != NONE {
            // What could not be written so far need not be any more.
            self.conn(former).wants.take(Bits::REFRESH);
        }
        self.s.reader = None;
        self.s.verdict = None;
        if conn != NONE && self.conn(conn).state == ConnState::Ready {
            self.conn(conn).wants.set(Bits::REFRESH);
        }
    }

    /// A connection is ready: the question that waits for it goes out, or the one that waits until a seed is dialled.
    pub(crate) fn ask_when_ready(&mut self, conn: u32) {
        let asked = self.s.refresh_conn;
        let entry = |conn: u32| self.t.conns.get(conn as usize);
        let known = entry(conn).is_some_and(|entry| entry.purpose == Purpose::Shared && entry.node.is_some());
        let dialled = asked == self.s.seed_conn && entry(asked).is_some_and(|seed| seed.state != ConnState::Ready);
        if self.s.refresh.in_flight() && (asked == conn || known && dialled) {
            self.ask(conn);
        }
    }

    /// Asks a seed, over a connection of its own that becomes its node's later.
    fn dial_seed(&mut self, now: Instant) {
        let mut conn = self.s.seed_conn;
        if conn == NONE {
            let Some(fresh) = self.take_conn(Purpose::Shared) else { return self.refresh_lost(now) };
            conn = fresh;
            self.s.seed_conn = conn;
        }
        self.ask(conn);
        let next = self.s.next_seed;
        let entry = self.conn(conn);
        if entry.has_socket() || entry.state == ConnState::Waiting {
            return;
        }
        entry.seed = next.min(NO_SEED.saturating_sub(1));
        entry.node = None;
        self.wake_conn(now, conn);
    }

    /// The topology question under way will not be answered.
    pub(crate) fn refresh_lost(&mut self, now: Instant) {
        self.tell_refresh_failed(self.s.refresh_conn, RefreshFailure::ConnectionLost);
        self.s.reader = None;
        self.s.verdict = None;
        self.s.refresh_conn = NONE;
        self.s.refresh.failed(now);
    }

    /// One token of the topology reply.
    pub(crate) fn topology_token(&mut self, conn: u32, env: &Env<'_>, token: &Token<'_>) {
        if self.s.verdict.is_some() || self.s.refresh_conn != conn {
            return;
        }
        let kind = self.s.asked_kind;
        let [first, second] = &mut self.t.maps;
        let [first_head, second_head] = &mut self.s.maps;
        let (serving, mut staging) = if self.s.active {
            (second.map(second_head), MapMut::new(first_head, first.reborrow()))
        } else {
            (first.map(first_head), MapMut::new(second_head, second.reborrow()))
        };
        let entry = self.t.conns.get(conn as usize);
        let known = entry.and_then(|entry| entry.node).and_then(|id| serving.find(&id)).and_then(|at| serving.addr(at));
        let answered_by = known.or_else(|| entry.and_then(|entry| seed_addr(env, entry)));
        let reader = self.s.reader.get_or_insert_with(|| Reader::new(kind));
        let Some(answered_by) = answered_by else {
            return self.s.refuse(Rejection::Malformed("nobody knows where the node is"));
        };
        match reader.token(token, &Context::new(answered_by), &mut staging) {
            Ok(Status::Incomplete) => {}
            Ok(Status::Complete(())) => self.s.verdict = Some(true),
            Err(rejection) => self.s.refuse(rejection),
        }
    }

    /// The topology reply ended.
    pub(crate) fn topology_done(&mut self, now: Instant, conn: u32, env: &Env<'_>) {
        let head = self.conn(conn).in_flight.front();
        self.answered(now, conn);
        if let Some(head) = head {
            self.free(head);
        }
        if self.s.refresh_conn != conn {
            // Another node was asked meanwhile.
            return;
        }
        self.s.reader = None;
        self.s.refresh_conn = NONE;
        let verdict = self.s.verdict.take();
        if verdict.is_none() {
            self.s.last_rejection = Some(Rejection::Malformed("the reply ended early"));
        }
        match self.s.last_rejection {
            Some(rejection) if verdict != Some(true) => {
                warning!("topology reply refused: {}", rejection.name());
                if matches!(rejection, Rejection::ServerError(_)) {
                    // Renamed or denied: the other question tells the same.
                    self.s.slots_refused = self.s.asked_kind == ReplyKind::Slots;
                    self.s.nodes_until = Stamp::NEVER;
                }
                self.s.refresh_event = true;
                self.tell_refresh_failed(conn, RefreshFailure::Refused(rejection));
                self.s.refresh.failed(now);
            }
            _ => {
                self.refuse_endpoints(env);
                self.judge(now, conn);
            }
        }
        self.drive_refresh(now);
    }

    /// Marks the nodes of the staged map that the caller does not want dialled.
    fn refuse_endpoints(&mut self, env: &Env<'_>) {
        let Some(endpoints) = env.endpoints else { return };
        let [first, second] = &mut self.t.maps;
        let [first_head, second_head] = &mut self.s.maps;
        let mut staging = if self.s.active {
            MapMut::new(first_head, first.reborrow())
        } else {
            MapMut::new(second_head, second.reborrow())
        };
        staging.refuse(|addr| endpoints.endpoint(addr).is_none());
    }

    /// Takes a whole reply over unless it may be older than what is known.
    fn judge(&mut self, now: Instant, conn: u32) {
        let from = self.node_of(conn).unwrap_or(NodeId::from_bytes([0; 20]));
        let [first, second] = &mut self.t.maps;
        let [first_head, second_head] = &mut self.s.maps;
        let (current, mut staging) = if self.s.active {
            (second.map(second_head), MapMut::new(first_head, first.reborrow()))
        } else {
            (first.map(first_head), MapMut::new(second_head, second.reborrow()))
        };
        // That this is another cluster: more than half of the nodes that there are connections to, or three of many.
        let ready = |conn: &&u32| self.t.conns.get(**conn as usize).is_some_and(|conn| conn.state == ConnState::Ready);
        let ready = self.t.by_node.iter().filter(ready).count();
        self.s.freshness.set_quorum(match ready {
            0 | 1 => 1,
            2 | 3 => 2,
            _ => 3,
        });
        let mut verdict = self.s.freshness.judge(now, from, &current, &staging.map());
        if verdict == Verdict::Suspect {
            verdict = self.s.freshness.keep_redirects(now, &current, &mut staging);
            if verdict != Verdict::Suspect {
                // Others know more.
                self.s.refresh.request(now, Why::Error);
            }
        }
        match verdict {
            Verdict::Suspect => {
                self.tell_refresh_failed(conn, RefreshFailure::Unconfirmed);
                self.s.refresh.unconfirmed(now);
            }
            verdict => self.adopt(now, conn, verdict == Verdict::Newer),
        }
    }

    /// The staged map serves from here on.
    fn adopt(&mut self, now: Instant, conn: u32, changed: bool) {
        self.renumber();
        let [first, second] = &mut self.s.maps;
        if self.s.active {
            first.follow(second);
        } else {
            second.follow(first);
        }
        self.s.active = !self.s.active;
        self.tell_adopted(conn, changed);
        self.s.map_event |= changed;
        self.s.refreshes = self.s.refreshes.wrapping_add(1);
        self.s.map_asked = self.s.asked_at;
        self.s.answered_question = self.s.questions;
        self.s.last_rejection = None;
        self.s.refresh.succeeded(now);
        debug!("new slot map: {} nodes, version {}", self.map().node_count(), self.map().version());
        if self.map().overflowed() {
            warning!("the slot map has no room for all ranges");
        }
        self.rebind(now);
        self.readdress(now);
        self.tell_overtaken(now);
        self.requeue(now);
        self.unpark(now, true);
        self.wake_stalled(now);
    }

    /// A node that moved is dialled at its new place, and no back-off of the old one counts.
    fn readdress(&mut self, now: Instant) {
        for conn in 0..self.count() {
            let entry = self.conn(conn);
            let (state, Some(id)) = (entry.state, entry.node) else { continue };
            if !matches!(state, ConnState::Idle | ConnState::Waiting | ConnState::Dialing) {
                continue;
            }
            let [first, second] = &self.t.maps;
            let [first_head, second_head] = &self.s.maps;
            let maps = [first.map(first_head), second.map(second_head)];
            let [one, other] = maps.map(|map| map.find(&id).and_then(|at| map.addr(at)));
            if one.is_none() || other.is_none() || one == other {
                continue;
            }
            if state == ConnState::Dialing {
                self.lose(now, conn, CloseReason::ConnectFailed);
            }
            let entry = self.conn(conn);
            entry.backoff.reset();
            entry.until = Stamp::at(now + AFTER_CLOSED);
        }
    }

    /// Commands that name nodes follow them to their places in the map that will serve.
    fn renumber(&mut self) {
        let [first, second] = &self.t.maps;
        let [first_head, second_head] = &self.s.maps;
        let (first, second) = (first.map(first_head), second.map(second_head));
        let (old, new) = if self.s.active { (second, first) } else { (first, second) };
        for entry in self.s.slab.used(self.t.commands) {
            entry.renumber(|at| old.node(at).and_then(|node| new.find(&node.id())));
        }
    }

    /// Ties connections to the nodes of the new map; those of nodes that are gone retire.
    fn rebind(&mut self, now: Instant) {
        let count = self.count();
        self.t.by_node.fill(NONE);
        // Of two to one node the open one stays, and a seed's goes: the other has commands in flight, which those that
        // come later must not overtake.
        let seed = self.s.seed_conn;
        let order = (0..3_u8).flat_map(|turn| (0..count).map(move |conn| (turn, conn)));
        for (turn, conn) in order {
            let entry = self.conn(conn);
            let mine = match entry.state {
                ConnState::Ready if conn != seed => 0,
                ConnState::Ready => 1,
                _ => 2,
            };
            if mine != turn {
                continue;
            }
            let (Some(id), hint) = (entry.node, entry.hint) else { continue };
            if entry.state == ConnState::Free {
                continue;
            }
            let at = self.find_node(&id, hint);
            let entry = self.conn(conn);
            entry.hint = at;
            let shared = entry.purpose == Purpose::Shared && entry.state != ConnState::Draining;
            if shared
                && let Some(at) = at
                && let Some(place) = self.t.by_node.get_mut(at.index())
                && *place == NONE
            {
                *place = conn;
                if self.s.seed_conn == conn {
                    self.s.seed_conn = NONE;
                }
            }
        }
        for conn in 0..self.count() {
            let entry = self.conn(conn);
            let live = entry.state != ConnState::Free && entry.node.is_some();
            let (shared, hint) = (entry.purpose == Purpose::Shared, entry.hint);
            let bound = hint.and_then(|at| self.t.by_node.get(at.index())).copied() == Some(conn);
            let needed = if shared { bound || self.s.seed_conn == conn } else { hint.is_some() };
            if live && !needed {
                self.retire(now, conn, CloseReason::Retired);
            }
        }
    }

    /// A seed's node is known now: its connection becomes that node's, unless that has one.
    pub(crate) fn bind_seed(&mut self, now: Instant, conn: u32) {
        let Some(id) = self.node_of(conn) else { return };
        let Some(at) = self.find_node(&id, None) else { return };
        self.conn(conn).hint = Some(at);
        let bound = self.t.by_node.get(at.index()).copied().unwrap_or(NONE);
        let open = bound != NONE && self.conn(bound).state == ConnState::Ready;
        if open {
            // Two to one node are one too many, but for the answer this one was dialled for.
            if self.s.refresh_conn != conn {
                self.retire(now, conn, CloseReason::Retired);
            }
            return;
        }
        if let Some(place) = self.t.by_node.get_mut(at.index()) {
            *place = conn;
        }
        if self.s.seed_conn == conn {
            self.s.seed_conn = NONE;
        }
        if bound != NONE {
            // It has no connection yet, perhaps because the map's address is of yesterday: its commands come over.
            self.retire(now, bound, CloseReason::Retired);
        }
    }
}

/// The seed the connection was dialled as, counted round.
pub(crate) fn seed_addr<'e>(env: &Env<'e>, conn: &ConnEntry) -> Option<NodeAddr<'e>> {
    if conn.seed == NO_SEED {
        return None;
    }
    let at = usize::from(conn.seed).checked_rem(env.seeds.len())?;
    env.seeds.get(at).copied()
}
