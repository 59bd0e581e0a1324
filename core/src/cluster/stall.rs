//! Redirects that a script may have made up.
//!
//! EVAL, FCALL and commands that the table does not know can answer any error text after they ran. So MOVED as their
//! reply is followed only if the map shows by itself that the slot has another owner. If the map is older than the
//! command, the reply is left unread until a topology reply comes, within narrow bounds, and what it shows decides. Where
//! nothing is shown, the error is the caller's.

use crate::cluster::Cluster;
use crate::cluster::conn::Bits;
use crate::cluster::engine::Engine;
use crate::cluster::storage::Storage;
use crate::ids::ConnId;
use crate::slot::Slot;
use crate::time::{Duration, Instant, Stamp};
use crate::topology::{Node, Owner, Reason as Why};

/// How long replies of a connection are left unread, all in all, while a topology reply is awaited.
const STALL: Duration = Duration::from_secs(1);
/// How long after that no reply is left unread again, unless a redirect proved true.
const PAUSE: Duration = Duration::from_secs(4);

impl<S: Storage> Cluster<S> {
    /// Whether more bytes of a connection are of use now. They are not while its first reply is left unread because a
    /// topology reply has to show first whether its redirect is true: for a second at most, until
    /// [`Event::InputReady`](crate::cluster::Event::InputReady). An adapter whose receive buffers grow stops reading
    /// meanwhile, or replies pile up behind that one.
    #[must_use]
    pub fn wants_input(&self, conn: ConnId) -> bool {
        let entry = self.storage().shared().conns.get(conn.index());
        entry.is_none_or(|entry| entry.generation != conn.generation() || !entry.is_stalled())
    }
}

impl Engine<'_> {
    /// MOVED as the answer of a command that runs a script, for the slot of that command. Says whether the engine has
    /// dealt with it: sent the command on, or left its reply unread for now.
    pub(crate) fn script_moved(&mut self, now: Instant, conn: u32, head: u32, slot: Slot) -> bool {
        let own = self.node_of(conn);
        let owner = match self.map().owner(slot) {
            Owner::Node(at) => self.map().node(at).map(Node::id),
            _ => None,
        };
        if owner.is_some() && owner != own {
            self.conn(conn).stalled_until = Stamp::NEVER;
            self.tell_group_redirected(head, conn, None);
            self.take_head(conn);
            let entry = self.entry(head);
            entry.count_hop();
            entry.set_ask(None);
            self.route(now, head);
            self.settle(now, conn);
            return true;
        }
        if self.is_answered(head) || !self.may_stall(now, conn) {
            return false;
        }
        self.conn(conn).wants.set(Bits::STALLED);
        self.s.refresh.request(now, Why::Redirect(None));
        self.drive_refresh(now);
        true
    }

    /// Whether the map that serves was asked for after this command went out.
    fn is_answered(&self, head: u32) -> bool {
        self.peek(head).is_older_than(self.s.answered_question)
    }

    /// Whether a reply may be left unread now; sets the end of that.
    fn may_stall(&mut self, now: Instant, conn: u32) -> bool {
        let entry = self.conn(conn);
        if !entry.stalled_until.is_some() || entry.stalled_until.age(now) >= PAUSE {
            entry.stalled_until = Stamp::at(now + STALL);
        }
        !entry.stalled_until.is_due(now)
    }

    /// Whether a stalled reply can be read now: a topology reply came, or none did in time.
    pub(crate) fn stall_over(&mut self, now: Instant, conn: u32) -> bool {
        let entry = self.conn(conn);
        if !entry.is_stalled() {
            return true;
        }
        let over = entry.stalled_until.is_due(now);
        let head = entry.in_flight.front();
        let over = over || head.is_none_or(|head| self.is_answered(head));
        if over {
            self.conn(conn).wants.take(Bits::STALLED);
        }
        over
    }

    /// Wakes connections whose first reply waited for a topology reply.
    pub(crate) fn wake_stalled(&mut self, now: Instant) {
        for conn in 0..self.count() {
            if self.conn(conn).is_stalled() && self.stall_over(now, conn) {
                self.raise(conn, Bits::INPUT);
            }
        }
    }
}
