//! Whole replies: the redirects and refusals among them are dealt with, the others are handed out.

use crate::cluster::conn::{Bits, ConnState};
use crate::cluster::engine::Engine;
use crate::cluster::event::{ConnectionError, Output};
use crate::cluster::input::Step;
use crate::cluster::notice::RedirectKind;
use crate::fmt::debug;
use crate::ids::NodeId;
use crate::pipeline::{Budget, Decision, Entry, Flag, GroupRetry, Kind, Outcome, Place, Reason, decide};
use crate::resp::{Frame, Token};
use crate::server_error::{ErrorKind, Redirect, RedirectTarget, ServerError};
use crate::slot::Slot;
use crate::time::{Duration, Instant, Stamp};
use crate::topology::{Node, NodeIndex, Owner, Reason as Why};

/// How long after an ASK to a node without slots the topology is read from CLUSTER NODES, which lists such nodes.
pub(crate) const NODES_FOR: Duration = Duration::from_secs(60);

/// A command that the owner of its slot has sent to an unknown node so many times has it asked who it is.
const DENIALS: u8 = 4;

impl Engine<'_> {
    /// A whole reply to the command at the head of the FIFO.
    pub(crate) fn reply<'rx>(
        &mut self,
        now: Instant,
        conn: u32,
        frame: &Frame<'rx>,
    ) -> Result<Step<'rx>, ConnectionError> {
        let Some(head) = self.conn(conn).in_flight.front() else { return Err(ConnectionError::UnexpectedReply) };
        if self.conn_entry_asking(head) {
            return Ok(Step::Again);
        }
        let flying = self.peek(head);
        match flying.kind() {
            Kind::User => {}
            Kind::MyId => {
                self.answered(now, conn);
                self.free(head);
                self.identified(now, conn, frame);
                return Ok(Step::Again);
            }
            Kind::Probe | Kind::Fence if !self.is_pong(head, frame) => return Err(ConnectionError::OutOfStep),
            _ => {
                self.end_own_reply(now, conn, head);
                return Ok(Step::Again);
            }
        }
        if flying.replies > 1 {
            return self.group_reply(now, conn, head, frame);
        }
        if let Some(line) = frame.error()
            && self.refusal(now, conn, head, line)?
        {
            return Ok(Step::Again);
        }
        if frame.too_deep() {
            self.answered(now, conn);
            self.tell_discarded(conn);
            let node = self.node_at(conn);
            self.fail_at(head, Outcome::ReplyLost, Reason::ReplyTooDeep, node);
            return Ok(Step::Again);
        }
        Ok(self.hand_out(now, conn, head, frame))
    }

    /// A reply to a tombstone or one of the engine's own frames.
    fn end_own_reply(&mut self, now: Instant, conn: u32, head: u32) {
        if self.entry(head).take_reply() == 0 {
            self.note_alive(conn, head);
            self.answered(now, conn);
            self.release_entry(head);
        }
    }

    fn hand_out<'rx>(&mut self, now: Instant, conn: u32, head: u32, frame: &Frame<'rx>) -> Step<'rx> {
        let id = self.command_id(head);
        let entry = self.entry(head);
        let part = entry.replies.saturating_sub(entry.replies_left());
        let last = entry.take_reply() == 0;
        let streamed = entry.is_streamed();
        let (tag, resent) = (entry.tag, entry.was_resent());
        if last {
            self.tell_answered(head, conn, frame.is_error());
            self.answered(now, conn);
            self.free(head);
        } else {
            self.entry(head).set(Flag::STARTED, true);
        }
        if let (true, true, Some(line)) = (streamed, last, frame.error()) {
            return Step::Output(Output::Token { id, tag, token: Token::Error(line), last, resent });
        }
        Step::Output(Output::Reply { id, tag, frame: *frame, part, last, resent })
    }

    /// Takes the head of the FIFO off for good.
    pub(crate) fn answered(&mut self, now: Instant, conn: u32) {
        self.tell_if_discarded(conn);
        self.take_head(conn);
        self.settle(now, conn);
    }

    /// Takes the head of the FIFO off: it was answered, or will be asked again elsewhere.
    pub(crate) fn take_head(&mut self, conn: u32) {
        let commands = &mut *self.t.commands;
        let Some(entry) = self.t.conns.get_mut(conn as usize) else { return };
        if let Some(index) = entry.in_flight.pop_front(commands)
            && let Some(done) = commands.get_mut(index as usize)
        {
            done.set_place(Place::Done);
        }
    }

    /// Ends the connection's hold if that was the last answer it waited for. A command that was refused must have been
    /// routed anew before, or the ones that were held back for it would overtake it.
    pub(crate) fn settle(&mut self, now: Instant, conn: u32) {
        let idle_until = now + self.s.config.lease_idle();
        let entry = self.conn(conn);
        entry.liveness.on_work(now, entry.work());
        if entry.in_flight.is_empty() {
            entry.until = Stamp::at(idle_until);
        }
        if entry.hold.over(entry.answered()) {
            self.drop_hold(conn);
            self.release_held(now);
        }
    }

    // ---- groups ----

    /// A reply inside a MULTI ... EXEC group. Only EXEC's ends it; a redirect anywhere moves the whole group, of which
    /// nothing ran.
    fn group_reply<'rx>(
        &mut self,
        now: Instant,
        conn: u32,
        head: u32,
        frame: &Frame<'rx>,
    ) -> Result<Step<'rx>, ConnectionError> {
        let flying = self.peek(head);
        let last = flying.replies_left() == 1;
        let retry = match frame.error() {
            Some(line) => self.group_retry(now, conn, &flying, line),
            None => None,
        };
        if retry.is_some() && flying.group_retry().is_none() {
            self.entry(head).set_group_retry(retry);
        }
        if !last {
            let refused = frame.is_error() && self.peek(head).group_retry().is_none();
            if refused {
                return Ok(self.hand_out(now, conn, head, frame));
            }
            self.entry(head).take_reply();
            return Ok(Step::Again);
        }
        // With a refusal at queue time EXEC answers EXECABORT; without one, its own error may be the redirect.
        match self.peek(head).group_retry() {
            Some(retry) if frame.is_error() && !flying.has(Flag::STARTED) => {
                match retry {
                    GroupRetry::Moved => self.tell_group_redirected(head, conn, None),
                    GroupRetry::Ask(node) => self.tell_group_redirected(head, conn, Some(node)),
                    GroupRetry::Later => self.tell_refused(head, conn, frame.error()),
                }
                self.take_head(conn);
                let entry = self.entry(head);
                match retry {
                    GroupRetry::Moved => {
                        entry.count_hop();
                        entry.set_ask(None);
                        self.route(now, head);
                    }
                    GroupRetry::Ask(node) => {
                        entry.count_hop();
                        entry.set_ask(Some(node));
                        self.route(now, head);
                    }
                    GroupRetry::Later => {
                        entry.count_attempt();
                        entry.set_ask(None);
                        self.park_refused(now, head);
                    }
                }
                self.settle(now, conn);
                Ok(Step::Again)
            }
            _ => Ok(self.hand_out(now, conn, head, frame)),
        }
    }

    fn group_retry(&mut self, now: Instant, conn: u32, flying: &Entry, line: &[u8]) -> Option<GroupRetry> {
        let error = ServerError::parse(line);
        // A redirect that cannot be followed yet is no hop, but an attempt.
        let later = (flying.attempts() < self.s.config.max_attempts).then_some(GroupRetry::Later);
        match decide(&error, &flying.spec(), self.budget(flying), self.s.config.follow_redirects()) {
            Decision::Deliver { refresh } => {
                self.refresh_if(now, refresh);
                None
            }
            Decision::Moved(target) => {
                let slot = flying.slot()?;
                match self.resolve_other(now, conn, target, false) {
                    Some(node) => {
                        self.patch(now, conn, slot, node);
                        Some(GroupRetry::Moved)
                    }
                    None => later,
                }
            }
            Decision::Ask(target) => match self.resolve_other(now, conn, target, true) {
                Some(node) => Some(GroupRetry::Ask(node)),
                None => later,
            },
            Decision::Later { refresh } => {
                self.refresh_if(now, refresh);
                Some(GroupRetry::Later)
            }
        }
    }

    // ---- refusals ----

    fn budget(&self, entry: &Entry) -> Budget {
        Budget {
            hops: entry.hops,
            max_hops: self.s.config.max_hops,
            attempts: entry.attempts(),
            max_attempts: self.s.config.max_attempts,
        }
    }

    pub(crate) fn refresh_if(&mut self, now: Instant, wanted: bool) {
        if wanted {
            self.s.refresh.request(now, Why::Error);
            self.drive_refresh(now);
        }
    }

    /// An error reply to the head of the FIFO. Says whether the engine dealt with it, so that it is not handed out.
    pub(crate) fn refusal(&mut self, now: Instant, conn: u32, head: u32, line: &[u8]) -> Result<bool, ConnectionError> {
        let error = ServerError::parse(line);
        let flying = self.peek(head);
        match decide(&error, &flying.spec(), self.budget(&flying), self.s.config.follow_redirects()) {
            Decision::Deliver { refresh } => {
                // Whoever subscribes at a node follows redirects himself, but cannot know where the connection leads.
                if let (true, Some(Redirect::Moved { slot, target })) = (flying.has(Flag::SUBSCRIBE), error.redirect())
                {
                    let found = self.resolve_other(now, conn, target, false);
                    // The owner by the map sends it to nobody that is known; nobody else dials this one anew.
                    if found.is_none() && self.owns(conn, slot) {
                        self.drain(conn);
                    }
                }
                self.refresh_if(now, refresh);
                Ok(false)
            }
            Decision::Later { refresh } => {
                self.refresh_if(now, refresh);
                self.tell_refused(head, conn, Some(line));
                if error.kind() == ErrorKind::Unblocked {
                    // The node is no primary any more and closes the connection behind this: what went out on it now would
                    // be lost.
                    self.drain(conn);
                }
                self.take_head(conn);
                let entry = self.entry(head);
                entry.count_attempt();
                entry.set_ask(None);
                self.park_refused(now, head);
                self.settle(now, conn);
                Ok(true)
            }
            Decision::Moved(target) => {
                let Some(slot) = flying.slot() else { return Ok(false) };
                if flying.has(Flag::SCRIPT) {
                    return Ok(self.script_moved(now, conn, head, slot));
                }
                let node = self.resolve_other(now, conn, target, false);
                if node.is_none() && flying.attempts() >= self.s.config.max_attempts {
                    return Ok(false);
                }
                debug!("connection {}: MOVED, slot {}, target known: {}", conn, slot.get(), node.is_some());
                match node {
                    Some(node) => self.patch(now, conn, slot, node),
                    None => self.ask_who(conn, slot, flying.attempts()),
                }
                self.tell_redirected(head, conn, RedirectKind::Moved, node);
                self.follow(now, conn, head, None, node.map(|node| (slot, node)));
                Ok(true)
            }
            // A script can say ASK as well as a server can, and no topology reply of the answering node can be had
            // ahead of this one: the caller gets it.
            Decision::Ask(_) if flying.has(Flag::SCRIPT) => Ok(false),
            Decision::Ask(target) => {
                let node = self.resolve_other(now, conn, target, true);
                if node.is_none() && flying.attempts() >= self.s.config.max_attempts {
                    return Ok(false);
                }
                debug!("connection {}: ASK, target known: {}", conn, node.is_some());
                self.tell_redirected(head, conn, RedirectKind::Ask, node);
                self.follow(now, conn, head, node, None);
                Ok(true)
            }
        }
    }

    /// Sends a redirected command on its way. A redirect to a node that no topology reply has named yet is not followed,
    /// so it is no hop: the command comes back after a delay, by when the map may know more.
    fn follow(&mut self, now: Instant, conn: u32, head: u32, ask: Option<NodeIndex>, moved: Option<(Slot, NodeIndex)>) {
        self.take_head(conn);
        let entry = self.entry(head);
        entry.set_ask(ask);
        if ask.is_some() || moved.is_some() {
            entry.count_hop();
            match moved {
                // The map has no room for what it was told, and would send the command to a wrong node again.
                Some((slot, node)) if self.map().owner(slot) != Owner::Node(node) => self.enqueue_at(now, head, node),
                _ => self.route(now, head),
            }
        } else {
            entry.count_attempt();
            // Sent back by a node that is not the one it was dialled for: that is a hop, or it would go on for long.
            if self.conn(conn).state == ConnState::Draining {
                self.entry(head).count_hop();
            }
            self.park_refused(now, head);
        }
        self.settle(now, conn);
    }

    /// The node a redirect names, if a topology reply has named it before. Else one is asked for that lists every
    /// node, and the command waits.
    fn resolve(&mut self, now: Instant, conn: u32, target: RedirectTarget<'_>, ask: bool) -> Option<NodeIndex> {
        let own = self.node_of(conn);
        let map = self.map();
        let found = match target {
            RedirectTarget::Addr(addr) => map.find_addr(addr.host(), addr.port()),
            RedirectTarget::SameHost { port } => {
                let at = own.and_then(|id| map.find(&id));
                let host = at.and_then(|at| map.addr(at)).map(|addr| addr.host());
                host.and_then(|host| map.find_addr(host, port))
            }
            RedirectTarget::Unknown => None,
        };
        if found.is_none() || ask {
            // Nodes that own no slots are in CLUSTER NODES alone.
            let slotless = found.is_none_or(|at| map.ranges().all(|(_, owner)| owner != at));
            if slotless {
                self.s.nodes_until = Stamp::at(now + NODES_FOR);
            }
        }
        if found.is_none() {
            self.s.refresh.request(now, Why::Redirect(None));
            self.drive_refresh(now);
        }
        found
    }

    /// The node a redirect names. A node that sends a command to itself is not the one its connection was dialled for:
    /// the name or the address leads elsewhere meanwhile. Then the connection takes no more commands and is dialled
    /// again, with back-off, once those in flight are answered.
    fn resolve_other(&mut self, now: Instant, conn: u32, target: RedirectTarget<'_>, ask: bool) -> Option<NodeIndex> {
        let found = self.resolve(now, conn, target, ask)?;
        let id = self.map().node(found)?.id();
        if self.node_of(conn) != Some(id) {
            return Some(found);
        }
        debug!("connection {}: redirected to itself", conn);
        self.drain(conn);
        self.s.refresh.request(now, Why::Redirect(None));
        None
    }

    /// The connection takes no more commands, and closes once those in flight are answered.
    fn drain(&mut self, conn: u32) {
        let entry = self.conn(conn);
        if entry.state == ConnState::Ready {
            entry.state = ConnState::Draining;
        }
    }

    /// The node that has a slot by the map has sent it to nobody that is known, time and again: perhaps the connection
    /// leads to another one.
    fn ask_who(&mut self, conn: u32, slot: Slot, attempts: u8) {
        if self.owns(conn, slot) && attempts % DENIALS == DENIALS - 1 {
            self.conn(conn).wants.set(Bits::MY_ID);
        }
    }

    /// Whether the slot is, by the map, the node's that the connection was dialled for.
    fn owns(&self, conn: u32, slot: Slot) -> bool {
        let map = self.map();
        let Owner::Node(at) = map.owner(slot) else { return false };
        map.node(at).map(Node::id) == self.t.conns.get(conn as usize).and_then(|conn| conn.node)
    }

    /// CLUSTER MYID was answered: the node of a seed is known now, or that a connection leads to another one than it was
    /// dialled for.
    fn identified(&mut self, now: Instant, conn: u32, frame: &Frame<'_>) {
        let Some(id) = frame.bytes().and_then(NodeId::parse) else { return };
        match self.node_of(conn) {
            None => {
                self.conn(conn).node = Some(id);
                self.tell_identified(conn, id);
                self.bind_seed(now, conn);
            }
            Some(own) if own != id && self.find_node(&id, None).is_some() => {
                debug!("connection {}: it leads to another node", conn);
                self.drain(conn);
            }
            Some(_) => {}
        }
    }

    /// Ends a command in flight for its caller; its place in the FIFO stays, to eat the reply.
    pub(crate) fn tombstone(&mut self, index: u32, outcome: Outcome, reason: Reason) {
        let node = self.node_at(self.peek(index).conn.get());
        let entry = self.entry(index);
        debug_assert!(entry.place() == Place::InFlight && entry.kind() == Kind::User);
        entry.set_kind(Kind::Tombstone);
        entry.set_failure(outcome, reason, node);
        self.tell_dropped(index);
        self.queue_event(index);
    }
}
