//! Channels on the move: subscribed at the new node first, then unsubscribed at the old one.
//!
//! What moves a channel this way is a map that names another owner while the old one still serves the subscription. Until
//! the new owner has confirmed, what the old one sends is handed out as ever. From then on both are heard, and say
//! so ([`Message::overlap`](super::Message::overlap)), until the old one has confirmed that it let go. Where the old
//! one ends first, the channel is interrupted.
//!
//! The connection to the new node may be the slower one: what the old one has brought comes over it once more, and that
//! may be after the old one has let go. So the new one is asked to subscribe the channel again, which
//! changes nothing there, and messages are said to overlap until that is answered.
//!
//! The new owner served the slot before it was asked to subscribe, since it refuses channels of slots that it does not
//! own: what was published there until then is lost. So a gap is told all the same.

use super::channel::{Heard, NO_CONN, NO_LINK};
use super::handle::CommandDone;
use super::reconciler::Work;
use crate::ids::ConnId;
use crate::time::Instant;
use crate::topology::{Map, Node, Owner};

impl Work<'_> {
    /// A map names another owner of an active channel: it keeps what it has until it has something better.
    pub(super) fn part(&mut self, index: u32) {
        let Some(channel) = self.table.get(index) else { return };
        let (link, conn) = (channel.link, channel.conn);
        let alone = channel.old == NO_LINK && channel.heard == Heard::Not;
        let free = !channel.busy && alone && channel.wanted && channel.was_active;
        let carried = self.table.parts.links.get(usize::from(link)).is_some_and(|link| link.conn == conn);
        // Plain channels leave only nodes that have left the cluster: no message reaches those any more.
        let Some(channel) = self.table.get(index).filter(|channel| free && carried && channel.slot().is_some()) else {
            return self.lose(index);
        };
        channel.active = false;
        channel.old = link;
        channel.heard = if channel.gap { Heard::AfterGap } else { Heard::Yes };
        channel.attempts = 0;
        channel.at = Instant::EPOCH;
        self.note_gap(index);
        self.core.work = true;
    }

    /// A further map came while a channel waits for its new node to confirm. Where it does not name the old node either,
    /// messages were lost if that one has more: they come with a gap.
    pub(super) fn doubt(&mut self, index: u32, map: &Map<'_>, fresh: bool) {
        let Some(channel) = self.table.get(index).filter(|channel| !channel.active) else { return };
        let (slot, old) = (channel.slot(), usize::from(channel.old));
        let owner = slot.map_or(Owner::Unknown, |slot| map.owner(slot));
        let Owner::Node(owner) = owner else { return };
        let (owner, old) = (map.node(owner).map(Node::id), self.table.parts.links.get(old).map(|link| link.node));
        let Some(channel) = self.table.get(index) else { return };
        if fresh && channel.heard == Heard::Yes && owner != old {
            channel.heard = Heard::AfterGap;
        }
    }

    /// The map names the node again that the channel was about to leave, and is still subscribed at.
    pub(super) fn stay(&mut self, index: u32) {
        let Some(channel) = self.table.get(index) else { return };
        let old = core::mem::replace(&mut channel.old, NO_LINK);
        let conn = self.table.parts.links.get(usize::from(old)).map_or(NO_CONN, |link| link.conn);
        let Some(channel) = self.table.get(index) else { return };
        channel.heard = Heard::Not;
        if conn == NO_CONN {
            return;
        }
        (channel.active, channel.link, channel.conn) = (true, old, conn);
        channel.was_active = true;
        channel.attempts = 0;
        channel.tell_confirmed = channel.wanted;
        self.core.events = true;
    }

    /// The channel was subscribed at a node that the map no longer names, and not while it did: whatever comes from
    /// there proves nothing, but the node must not go on sending it.
    pub(super) fn misplace(&mut self, index: u32) {
        let Some(channel) = self.table.get(index) else { return };
        if channel.old == NO_LINK {
            channel.old = channel.link;
            channel.heard = Heard::Not;
        }
    }

    /// The subscription at the old node is gone.
    pub(super) fn lose_old(&mut self, index: u32) {
        let Some(channel) = self.table.get(index) else { return };
        let heard = channel.hears_old() && !channel.active;
        channel.let_go();
        if heard && channel.wanted && channel.was_active {
            self.interrupt(index);
        }
        self.core.work = true;
        self.forget_if_done(index);
    }

    /// An unsubscribe at the old node ended.
    pub(super) fn dropped(&mut self, now: Instant, index: u32, done: CommandDone<'_>) {
        let Some(channel) = self.table.get(index) else { return };
        // As with every unsubscribe: MOVED means that there was nothing to end, and silence that it is tried again. But
        // where the new subscription has been lost meanwhile, messages of this one were left out: it is of no use.
        if done == CommandDone::Failed && channel.old != NO_LINK && channel.active && channel.attempts < 3 {
            return self.put_off(now, index, true);
        }
        channel.attempts = 0;
        channel.let_go();
    }

    /// A node's requests were answered on this connection: it carries the node's subscriptions. Those on another one
    /// have ended; and those of another node that it carried before, under another id of the same node, are these.
    pub(super) fn carries(&mut self, link: u16, conn: ConnId) {
        if link == NO_LINK {
            // An unsubscribe at a node that has let go already: which one it was is known no more.
            return;
        }
        for at in 0..NO_LINK {
            let Some(place) = self.table.parts.links.get_mut(usize::from(at)) else { return };
            let mine = at == link;
            if (place.conn == conn) == mine {
                continue;
            }
            if core::mem::replace(&mut place.conn, if mine { conn } else { NO_CONN }) == NO_CONN {
                continue;
            }
            for index in 0..self.table.head.used {
                if self.table.get(index).is_some_and(|channel| channel.old == at) {
                    self.lose_old(index);
                }
            }
        }
    }

    /// A request was answered on this connection that was sent at `asked`; `informed`: after the last map had come.
    pub(super) fn alive(&mut self, conn: ConnId, asked: Instant, informed: bool) {
        let map_asked = self.core.map_asked;
        for link in self.table.parts.links.iter_mut().filter(|link| link.conn == conn) {
            link.alive = link.alive.max(asked);
            // A node that has a slot back has told its subscribers before that it had lost it.
            link.owned = if informed { link.owned.max(map_asked) } else { link.owned };
        }
    }

    /// Messages may be lost from the last proof on that the present subscription was alive and at the owner.
    pub(super) fn note_gap(&mut self, index: u32) {
        let Some(channel) = self.table.get(index) else { return };
        let (plain, link) = (Self::is_plain(channel.group), usize::from(channel.link));
        let proof = self.table.parts.links.get(link).map(|link| if plain { link.alive } else { link.owned });
        let proof = proof.unwrap_or(Instant::EPOCH);
        let Some(channel) = self.table.get(index) else { return };
        // A gap that nobody was told of goes on.
        channel.since = if channel.gap { channel.since.min(proof) } else { proof };
        channel.gap = true;
        channel.tell_confirmed = false;
    }

    /// No server has the wanted channel any more: messages are being lost.
    pub(super) fn interrupt(&mut self, index: u32) {
        let Some(channel) = self.table.get(index) else { return };
        channel.tell_interrupted = true;
        self.core.events = true;
        self.core.counts.interrupted = self.core.counts.interrupted.saturating_add(1);
    }
}
