//! What comes in: pushes, ends of requests, lost connections, new maps.

use super::channel::{Channel, ChannelId, Heard, Kind, NIL, NO_CONN, NO_LINK};
use super::push::Push;
use super::reconciler::{Core, Reconciler, Work};
use super::request::SubTicket;
use super::storage::Storage;
use super::table::find;
use crate::ids::ConnId;
use crate::resp::Frame;
use crate::server_error::{ErrorKind, ServerError};
use crate::time::{Duration, Instant};
use crate::topology::{Map, Owner};

/// Messages of a channel may have been lost, up to those that follow.
///
/// It is said after any interval in which the channel may not have been subscribed at the owner of its slot, before or with
/// the first message that comes through the new subscription, and once. So where no gap is said between two messages of a
/// channel, nothing that its owner sent between them is missing. (What another node accepts that
/// holds itself for the owner at the same time, as both sides of a cluster that has come apart do, reaches no
/// subscriber of the first one, and nothing tells them: no client can know.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gap {
    /// Since then: the last proof that the old subscription was alive and owned. A map that named its node as the owner,
    /// followed by a request of its connection that was sent after that map had come, and answered: a node that lost the
    /// slot in between, and has it back, would have ended the subscription before that answer. Of plain channels
    /// and patterns, which any node serves: when the last request was sent that the connection answered.
    pub since: Instant,
}

/// A message for the application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message<'a> {
    /// The wanted channel or pattern it is for.
    pub subscription: ChannelId,
    /// The name space of that.
    pub kind: Kind,
    /// The pattern it matched, where that is what was wanted.
    pub pattern: Option<&'a [u8]>,
    /// The channel it was published on.
    pub channel: &'a [u8],
    /// What was published.
    pub payload: &'a [u8],
    /// Messages before this one may have been lost, and no event has said so yet.
    pub gap: Option<Gap>,
    /// The channel moves, or has just moved: it is, or was, subscribed at the node it leaves and at the one it goes to, and
    /// both may bring this message (nodes of one shard tell each other of messages), and what the old node sent before
    /// the move may come after what the new one sends.
    ///
    /// Messages that do not say so come in the order in which their node sent them, each at most once, and after all that was
    /// handed out before them; with those that do, any message of the move may come twice, or late.
    /// It ends when the new node has answered a request that was sent after the old one had let go. (It does not cover a replica
    /// that hands on a message, from one node of its shard to another, only after that.)
    pub overlap: bool,
}

/// What a push was.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum PushEvent<'a> {
    /// A message for the application.
    Message(Message<'a>),
    /// A message that nobody wants, or from a subscription that was replaced: dropped.
    Dropped,
    /// A confirmation; [`Reconciler::poll`] and [`Reconciler::poll_event`] may have something to say.
    Handled,
    /// Not about subscriptions: invalidations, `pong`, announcements.
    Other(Push<'a>),
    /// Not a push at all.
    Unknown,
}

/// Which of two subscriptions of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    Current,
    /// The one at the node it moves away from.
    Old,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CommandDone<'a> {
    /// The PING behind it was answered, so every push it caused has come: on this connection.
    Fenced {
        /// The connection that carried both.
        conn: ConnId,
    },
    /// The server answered with an error, which stands for all its channels.
    Refused {
        /// The error line, without its type byte.
        error: &'a [u8],
    },
    /// It was not sent, or nothing is known of it: timed out, connection lost.
    Failed,
}

impl<S: Storage> Reconciler<S> {
    /// Takes a push of RESP3, or an array on a RESP2 connection with subscriptions, from the connection it came on. Pushes of one
    /// connection must come in order, before the ends of requests that stand behind them.
    pub fn on_push<'a>(&mut self, conn: ConnId, frame: &Frame<'a>) -> PushEvent<'a> {
        let Some(push) = Push::read(frame) else { return PushEvent::Unknown };
        self.with(|work| match push {
            Push::Message { kind, channel, payload } => work.message(conn, kind, channel, None, channel, payload),
            Push::PatternMessage { pattern, channel, payload } => {
                work.message(conn, Kind::Pattern, pattern, Some(pattern), channel, payload)
            }
            Push::Subscribed { kind, channel, .. } => {
                work.subscribed(conn, kind, channel);
                PushEvent::Handled
            }
            Push::Unsubscribed { kind, channel, .. } => {
                if let Some(channel) = channel {
                    work.unsubscribed(conn, kind, channel);
                }
                PushEvent::Handled
            }
            other => PushEvent::Other(other),
        })
    }

    /// A request ended. A ticket that is not (or no longer) of a request under way is ignored.
    pub fn on_command_done(&mut self, now: Instant, ticket: SubTicket, done: CommandDone<'_>) {
        self.with(|work| work.command_done(now, ticket, done));
    }

    /// A connection was lost, and its subscriptions with it. Pushes from it that come later are not handed out.
    pub fn on_lost(&mut self, conn: ConnId) {
        self.with(|work| {
            for index in 0..work.table.head.used {
                if work.table.get(index).is_some_and(|channel| channel.active && channel.conn == conn) {
                    work.lose(index);
                }
                if work.is_old(index, conn) {
                    work.lose_old(index);
                }
            }
            for link in work.table.parts.links.iter_mut().filter(|link| link.conn == conn) {
                link.conn = NO_CONN;
            }
        });
    }

    /// The connection answered a request (a PING, say) that was sent at `asked`: its subscriptions were alive then.
    pub fn on_alive(&mut self, conn: ConnId, asked: Instant) {
        self.with(|work| {
            // Clocks may be coarse: what was asked at the same time may have been asked before.
            let informed = work.core.map_seen.is_some_and(|seen| asked > seen);
            work.alive(conn, asked, informed);
        });
    }

    /// A new map, or the same again, which was asked for at `asked`: subscriptions whose owner it names were owned then, and
    /// the others move.
    pub fn on_map(&mut self, asked: Instant, map: &Map<'_>) {
        self.with(|work| {
            let (fresh, mut complete) = (asked > work.core.map_asked, true);
            for index in 0..work.table.head.used {
                work.doubt(index, map, fresh);
                let Some(channel) = work.table.get(index).filter(|channel| channel.active || channel.busy) else {
                    continue;
                };
                let (slot, link) = (channel.slot(), channel.link);
                let Some(node) = work.table.parts.links.get(usize::from(link)).map(|link| link.node) else { continue };
                let stays = match slot.map(|slot| map.owner(slot)) {
                    Some(Owner::Node(owner)) => map.node(owner).is_some_and(|owner| owner.id() == node),
                    Some(Owner::Uncovered | Owner::Unknown) => {
                        complete = false;
                        true
                    }
                    None => map.is_empty() || map.find(&node).is_some(),
                };
                if stays {
                    continue;
                }
                let joining = |channel: &Channel| channel.busy && !channel.leaving && !channel.dropping;
                if let Some(channel) = work.table.get(index).filter(|channel| joining(channel)) {
                    // This map is no proof for what the old owner may still confirm.
                    channel.misplaced = true;
                }
                if work.table.get(index).is_some_and(|channel| channel.active && !channel.leaving) {
                    work.part(index);
                }
            }
            if complete && fresh {
                (work.core.map_asked, work.core.map_seen, work.core.map_serial) = (asked, None, work.core.serial);
            }
            work.core.work = true;
        });
    }
}

impl Work<'_> {
    fn message<'a>(
        &mut self,
        conn: ConnId,
        kind: Kind,
        name: &[u8],
        pattern: Option<&'a [u8]>,
        channel: &'a [u8],
        payload: &'a [u8],
    ) -> PushEvent<'a> {
        let index = find(&self.table.view(), kind, name);
        let Some((index, source)) = index.and_then(|index| Some((index, self.source(index, conn)?))) else {
            self.core.counts.dropped = self.core.counts.dropped.saturating_add(1);
            return PushEvent::Dropped;
        };
        let Some(entry) = self.table.get(index) else { return PushEvent::Dropped };
        // What the old node sent stands before the gap of the move.
        let gap = match source {
            Source::Current => core::mem::take(&mut entry.gap),
            Source::Old => core::mem::replace(&mut entry.heard, Heard::Yes) == Heard::AfterGap,
        };
        let gap = gap.then_some(Gap { since: entry.since });
        let overlap = entry.active && entry.heard != Heard::Not;
        let subscription = ChannelId { index, generation: entry.generation };
        self.core.counts.messages = self.core.counts.messages.saturating_add(1);
        PushEvent::Message(Message { subscription, kind, pattern, channel, payload, gap, overlap })
    }

    /// Which subscription of a wanted channel a message comes through, if it is one that counts.
    fn source(&mut self, index: u32, conn: ConnId) -> Option<Source> {
        let old = self.is_old(index, conn);
        let entry = self.table.get(index).filter(|entry| entry.wanted)?;
        // While it is being unsubscribed (or subscribed at a node that the map no longer names) it is not handed out
        // either, though it may be wanted again: that subscription ends, and the next one begins without a gap.
        if entry.active && entry.conn == conn && !entry.leaving && !entry.misplaced {
            return Some(Source::Current);
        }
        (old && entry.hears_old()).then_some(Source::Old)
    }

    /// Whether the connection carries the subscription at the node that the channel moves away from.
    fn is_old(&mut self, index: u32, conn: ConnId) -> bool {
        let carrier = self.carrier(conn);
        carrier != NO_LINK && self.table.get(index).is_some_and(|channel| channel.old == carrier)
    }

    /// The place of the node whose subscriptions the connection carries, as far as is known; else `NO_LINK`.
    fn carrier(&self, conn: ConnId) -> u16 {
        let mut links = (0..NO_LINK).zip(self.table.parts.links.iter());
        links.find(|(_, link)| link.conn == conn).map_or(NO_LINK, |(at, _)| at)
    }

    /// A server says the channel is subscribed.
    fn subscribed(&mut self, conn: ConnId, kind: Kind, name: &[u8]) {
        let carrier = self.carrier(conn);
        let Some(index) = find(&self.table.view(), kind, name) else { return };
        let Some(channel) = self.table.get(index) else { return };
        // Only what was asked for now counts: a late confirmation on a connection of before is of no use.
        if !channel.busy || channel.leaving || channel.dropping {
            return;
        }
        // A node may be known by another id now, and its connection is the same.
        let renamed = carrier == channel.old && channel.hears_old();
        if carrier != NO_LINK && carrier != channel.link && !renamed {
            // Another node has carried out a request that was given up: it is to end what it has begun.
            if channel.old == NO_LINK && channel.heard == Heard::Not {
                channel.old = carrier;
            }
            return;
        }
        if channel.active && channel.conn == conn {
            return;
        }
        if channel.active && channel.was_active {
            // What was believed until now was such a request too, at a node of which nothing was known.
            channel.gap = true;
            channel.heard = if channel.old == NO_LINK { Heard::Again } else { channel.heard };
        }
        channel.active = true;
        channel.conn = conn;
        if channel.wanted && !channel.misplaced {
            channel.tell_confirmed = true;
            channel.was_active = true;
            self.core.events = true;
        }
    }

    /// A server says the channel is not subscribed: asked, or unasked.
    fn unsubscribed(&mut self, conn: ConnId, kind: Kind, name: &[u8]) {
        let Some(index) = find(&self.table.view(), kind, name) else { return };
        if self.is_old(index, conn) {
            return self.lose_old(index);
        }
        let Some(channel) = self.table.get(index).filter(|channel| channel.active && channel.conn == conn) else {
            return;
        };
        if channel.leaving {
            // The request is done when its PING is answered; until then nothing else is asked for this channel.
            channel.active = false;
            return;
        }
        self.core.refresh = true;
        self.lose(index);
    }

    /// The channel's subscription is gone, and it was not our wish.
    pub(super) fn lose(&mut self, index: u32) {
        let Some(channel) = self.table.get(index) else { return };
        channel.active = false;
        // What its old node still sends is older than what the new one has sent. But what it, or a subscribe that was given
        // up, has brought may come once more.
        if matches!(channel.heard, Heard::Yes | Heard::AfterGap) {
            channel.heard = Heard::Again;
        }
        if channel.wanted && channel.was_active {
            self.note_gap(index);
            self.interrupt(index);
        }
        self.core.work = true;
        self.forget_if_done(index);
    }

    fn command_done(&mut self, now: Instant, ticket: SubTicket, done: CommandDone<'_>) {
        let mut index = ticket.head;
        let fenced = match done {
            CommandDone::Fenced { conn } => Some(conn),
            CommandDone::Refused { .. } | CommandDone::Failed => None,
        };
        for _ in 0..=self.table.head.used {
            let Some(channel) = self.table.get(index) else { break };
            if !channel.busy || channel.serial != ticket.serial {
                break;
            }
            let next = channel.next_request;
            channel.busy = false;
            let (leaving, dropping) = (core::mem::take(&mut channel.leaving), core::mem::take(&mut channel.dropping));
            let (asked, link, old) = (channel.at, channel.link, channel.old);
            channel.at = now;
            if let Some(conn) = fenced {
                self.carries(if dropping { old } else { link }, conn);
                // Numbers wrap around.
                let later = (1..1 << 31).contains(&ticket.serial.wrapping_sub(self.core.map_serial));
                self.alive(conn, asked, later);
            }
            if dropping {
                self.dropped(now, index, done);
            } else if leaving {
                self.left(now, index, done);
            } else {
                self.joined(now, index, done);
            }
            self.core.work = true;
            self.forget_if_done(index);
            index = next;
            if index == NIL {
                break;
            }
        }
    }

    /// An unsubscribe ended.
    fn left(&mut self, now: Instant, index: u32, done: CommandDone<'_>) {
        let Some(channel) = self.table.get(index) else { return };
        // An error means that there was nothing to end (MOVED: the slot has left, and its subscriptions with it). Where
        // nothing is known it is tried again, some times: whoever lost the connection will say so.
        if done == CommandDone::Failed && channel.active && channel.attempts < 3 && !channel.wanted {
            self.put_off(now, index, true);
            return;
        }
        channel.active = false;
        channel.was_active = false;
        channel.attempts = 0;
    }

    /// A subscribe ended.
    fn joined(&mut self, now: Instant, index: u32, done: CommandDone<'_>) {
        let Some(channel) = self.table.get(index) else { return };
        // At a node the map no longer names: it begins again elsewhere, or is unsubscribed if nobody wants it now.
        let misplaced = core::mem::take(&mut channel.misplaced) && channel.wanted;
        let link = channel.link;
        match done {
            CommandDone::Fenced { conn } if !misplaced && channel.active && channel.conn == conn => {
                channel.attempts = 0;
                if channel.heard == Heard::Asked {
                    channel.heard = Heard::Not;
                    self.set_unsure(link, false);
                }
                return;
            }
            CommandDone::Failed if !misplaced && channel.active && channel.heard == Heard::Asked => {
                channel.heard = Heard::Again;
                self.put_off(now, index, true);
            }
            CommandDone::Fenced { .. } | CommandDone::Failed => {
                // Confirmed on another connection, not confirmed, or ended again before the PING was answered.
                let plain = Self::is_plain(channel.group);
                if channel.active {
                    self.lose(index);
                }
                if done == CommandDone::Failed {
                    self.set_unsure(link, true);
                } else if misplaced {
                    self.misplace(index);
                }
                if plain && done == CommandDone::Failed {
                    self.leave_plain_node();
                }
                self.put_off(now, index, done == CommandDone::Failed);
            }
            CommandDone::Refused { error } => {
                if channel.active {
                    self.lose(index);
                }
                self.refused(now, index, error);
            }
        }
        self.core.refresh = true;
    }

    fn set_unsure(&mut self, link: u16, unsure: bool) {
        if let Some(link) = self.table.parts.links.get_mut(usize::from(link)) {
            link.unsure = unsure;
        }
    }

    fn refused(&mut self, now: Instant, index: u32, error: &[u8]) {
        let moves = matches!(
            ServerError::parse(error).kind(),
            ErrorKind::Moved
                | ErrorKind::Ask
                | ErrorKind::TryAgain
                | ErrorKind::ClusterDown
                | ErrorKind::Loading
                | ErrorKind::MasterDown
                | ErrorKind::Busy
        );
        // The first MOVED is followed at once: the map was patched by it.
        let moved = ServerError::parse(error).kind() == ErrorKind::Moved;
        self.put_off(now, index, !moved);
        if moves {
            return;
        }
        let longest: Duration = self.core.policy.max_delay;
        if let Some(channel) = self.table.get(index) {
            channel.at = now + longest;
            channel.tell_refused = channel.wanted;
            self.core.events |= channel.wanted;
        }
    }

    /// The node for plain channels does not answer: the next one in the map, unless channels are subscribed there.
    fn leave_plain_node(&mut self) {
        let core: &mut Core = self.core;
        let used = self.table.head.used as usize;
        let mut channels = self.table.parts.channels.iter().take(used);
        if !channels.any(|channel| channel.used && channel.active && Self::is_plain(channel.group)) {
            core.plain = None;
            core.plain_turn = core.plain_turn.wrapping_add(1);
        }
    }
}
