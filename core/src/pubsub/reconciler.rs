//! Wanted and actual subscriptions, and the requests that make them the same.

use super::channel::{Channel, ChannelId, Heard, Kind, Link, NIL, NO_LINK, Need, PATTERN, PLAIN};
use super::request::{Action, SubArgs, SubRequest, SubTicket};
use super::storage::{Full, Storage};
use super::table::{Table, TableHead, find, name_of};
use crate::ids::NodeId;
use crate::rand::Rand;
use crate::time::{Duration, Instant, earlier};
use crate::topology::{Map, Owner};

/// How requests are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Policy {
    /// Most channels in one request; at least 1.
    pub channels: u16,
    /// First wait after a failed request. It is doubled with every further failure of the channel, and jittered:
    /// between half of it and all of it.
    pub delay: Duration,
    /// Longest wait.
    pub max_delay: Duration,
}

impl Policy {
    /// 32 channels a request, 50 ms to 5 s.
    pub const DEFAULT: Self =
        Self { channels: 32, delay: Duration::from_millis(50), max_delay: Duration::from_secs(5) };
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What happened to a channel; from [`Reconciler::poll_event`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// A server confirmed its subscription.
    Confirmed(ChannelId),
    /// Its subscription ended unasked; it is being made again. Messages are being lost.
    Interrupted(ChannelId),
    /// It is subscribed again, and messages may have been lost since then.
    Gap {
        /// Which channel.
        channel: ChannelId,
        /// The last proof that the old subscription was alive and owned.
        since: Instant,
    },
    /// The server refused it for a reason that trying again is unlikely to cure (NOPERM, ...). It is tried again all the
    /// same, at the longest wait: unwant it if that is not wanted.
    Refused(ChannelId),
}

/// Where a wanted channel stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// Not subscribed: a request is under way or waits.
    Pending,
    /// Subscribed at this node.
    Active(NodeId),
}

/// What the reconciler did. Counters stay at their greatest value rather than wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Messages handed out.
    pub messages: u64,
    /// Messages left out: their channel is not wanted, or they came on another connection than its subscription.
    pub dropped: u64,
    /// Subscriptions that ended unasked.
    pub interrupted: u64,
}

/// Pub/sub over lent tables: see the [room](super).
#[derive(Debug)]
pub struct Reconciler<S> {
    pub(crate) core: Core,
    storage: S,
}

/// Everything but the tables.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) head: TableHead,
    pub(crate) policy: Policy,
    pub(crate) rand: Rand,
    pub(crate) counts: Counts,
    pub(crate) serial: u32,
    /// Entry to look at first for a request, and for an event. <= used
    next_request: u32,
    next_event: u32,
    /// Whether an entry may need a request now, or may have an event.
    pub(crate) work: bool,
    pub(crate) events: bool,
    pub(crate) refresh: bool,
    /// The earliest time at which an entry that waits may be asked for; kept while there is no work.
    pub(crate) wait: Option<Instant>,
    /// The node with the plain channels and patterns, and where in the map to look for the next one.
    pub(crate) plain: Option<NodeId>,
    pub(crate) plain_turn: u16,
    /// When the last map was asked for that gave all slots of subscriptions to somebody.
    pub(crate) map_asked: Instant,
    /// A time by which it had come; not known until the next [`poll`](Reconciler::poll).
    pub(crate) map_seen: Option<Instant>,
    /// The last request before it came.
    pub(crate) map_serial: u32,
}

/// The core and its tables at work.
pub(crate) struct Work<'w> {
    pub(crate) core: &'w mut Core,
    pub(crate) table: Table<'w>,
}

impl<S: Storage> Reconciler<S> {
    /// A reconciler with empty tables. `seed` jitters its waits: different on every client.
    #[must_use]
    pub fn new(policy: Policy, seed: u64, storage: S) -> Self {
        let core = Core {
            head: TableHead::NEW,
            policy,
            rand: Rand::new(seed),
            counts: Counts::default(),
            serial: 0,
            next_request: 0,
            next_event: 0,
            work: false,
            events: false,
            refresh: false,
            wait: None,
            plain: None,
            plain_turn: 0,
            map_asked: Instant::EPOCH,
            map_seen: None,
            map_serial: 0,
        };
        let mut this = Self { core, storage };
        // Whatever was in the buckets and links is not ours.
        this.storage.parts().links.fill(Link::EMPTY);
        this.grow(|_| {});
        this
    }

    pub(crate) fn with<R>(&mut self, f: impl FnOnce(&mut Work<'_>) -> R) -> R {
        let mut head = self.core.head;
        let parts = self.storage.parts();
        let mut work = Work { core: &mut self.core, table: Table { head: &mut head, parts } };
        let result = f(&mut work);
        self.core.head = head;
        result
    }

    /// Lets the caller grow its tables: append empty places, keep what is there.
    pub fn grow(&mut self, f: impl FnOnce(&mut S)) {
        f(&mut self.storage);
        self.with(|work| work.table.rehash());
    }

    /// Wants a channel. Wanting it twice is wanting it once.
    ///
    /// # Errors
    /// [`Full`]: the channel is not wanted.
    pub fn want(&mut self, kind: Kind, channel: &[u8]) -> Result<ChannelId, Full> {
        self.with(|work| {
            let known = find(&work.table.view(), kind, channel);
            let index = match known {
                Some(index) => index,
                None => work.table.add(kind, channel)?,
            };
            work.core.work = true;
            let entry = work.table.get(index).ok_or(Full::Channels)?;
            if !entry.wanted {
                entry.wanted = true;
                // A subscription that is still there, since its unsubscribe was not sent, goes on as a new wish.
                entry.tell_confirmed = entry.active && !entry.leaving;
                // On the move it is heard at its old node until the new one confirms; its gap stays to be told. Once that
                // has confirmed, the new wish begins with it.
                if entry.active || entry.old == NO_LINK {
                    entry.heard = Heard::Not;
                }
                entry.gap = entry.hears_old() && !entry.active;
                entry.was_active = entry.tell_confirmed || entry.gap;
                entry.at = if entry.busy { entry.at } else { Instant::EPOCH };
                work.core.events |= entry.was_active;
            }
            Ok(ChannelId { index, generation: entry.generation })
        })
    }

    /// No longer wants a channel: no further message or event of it is handed out. Says whether it was wanted.
    pub fn unwant(&mut self, kind: Kind, channel: &[u8]) -> bool {
        self.with(|work| {
            let Some(index) = find(&work.table.view(), kind, channel) else { return false };
            let Some(entry) = work.table.get(index) else { return false };
            let was = core::mem::replace(&mut entry.wanted, false);
            entry.gap = false;
            entry.heard = if entry.hears_old() { Heard::Yes } else { Heard::Not };
            (entry.tell_confirmed, entry.tell_interrupted, entry.tell_refused) = (false, false, false);
            if !entry.busy {
                entry.at = Instant::EPOCH;
                entry.attempts = 0;
            }
            work.core.work = true;
            work.forget_if_done(index);
            was
        })
    }

    /// The next request, if one can be sent now. Ask again until there is none; then again when anything came in, and at
    /// [`poll_timeout`](Self::poll_timeout).
    pub fn poll(&mut self, now: Instant, map: &Map<'_>) -> Option<SubRequest> {
        self.with(|work| work.poll(now, map))
    }

    /// When to call [`poll`](Self::poll) again though nothing came in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.wait.filter(|_| !self.core.work)
    }

    /// The arguments of a request that was just given out.
    #[must_use]
    pub fn args(&self, request: &SubRequest) -> SubArgs<'_> {
        request.args(self.storage.view())
    }

    /// The next event. Messages may be handed out before events of their channels are asked for; a message takes the
    /// gap before it along.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method itself fits one lifetime only")]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.with(|work| work.poll_event())
    }

    /// Whether the map was contradicted since the last call: fetch a new one.
    pub fn wants_refresh(&mut self) -> bool {
        core::mem::take(&mut self.core.refresh)
    }

    /// The id of a channel that is wanted, or is being unsubscribed.
    #[must_use]
    pub fn find(&self, kind: Kind, channel: &[u8]) -> Option<ChannelId> {
        let view = self.storage.view();
        let index = find(&view, kind, channel)?;
        Some(ChannelId { index, generation: view.channels.get(index as usize)?.generation })
    }

    /// A channel's kind and name.
    #[must_use]
    pub fn name(&self, id: ChannelId) -> Option<(Kind, &[u8])> {
        let view = self.storage.view();
        let channel = self.entry(id)?;
        Some((channel.kind(), name_of(&view, channel)))
    }

    /// Where a wanted channel stands; `None` when it is not wanted. One that moves is where it was until its new node
    /// has confirmed it.
    #[must_use]
    pub fn state(&self, id: ChannelId) -> Option<State> {
        let channel = self.entry(id).filter(|channel| channel.wanted)?;
        let link = if channel.active { channel.link } else { channel.old };
        let link = self.storage.view().links.get(usize::from(link));
        Some(link.map_or(State::Pending, |link| State::Active(link.node)))
    }

    /// The wanted channels.
    pub fn wanted(&self) -> impl Iterator<Item = ChannelId> + '_ {
        let places = (0..self.core.head.used).zip(self.storage.view().channels);
        let wanted = places.filter(|(_, channel)| channel.used && channel.wanted);
        wanted.map(|(index, channel)| ChannelId { index, generation: channel.generation })
    }

    /// Whether every wanted channel is subscribed, and nothing else is.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let channels = self.storage.view().channels.iter().take(self.core.head.used as usize);
        let still = |channel: &Channel| !channel.busy && channel.need().is_none();
        let settled = |channel: &Channel| channel.wanted && channel.active && still(channel);
        channels.filter(|channel| channel.used).all(settled)
    }

    /// What it did.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.core.counts
    }

    /// Bytes of the reconciler itself and of its tables.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        let view = self.storage.view();
        let tables =
            [size_of_val(view.channels), size_of_val(view.buckets), size_of_val(view.links), size_of_val(view.names)];
        tables.iter().fold(size_of::<Core>(), |sum, bytes| sum.saturating_add(*bytes))
    }

    fn entry(&self, id: ChannelId) -> Option<&Channel> {
        let channel = self.storage.view().channels.get(id.index())?;
        Some(channel).filter(|channel| channel.used && channel.generation == id.generation)
    }
}

impl Work<'_> {
    fn poll(&mut self, now: Instant, map: &Map<'_>) -> Option<SubRequest> {
        self.core.map_seen.get_or_insert(now);
        if !self.core.work && self.core.wait.is_none_or(|at| at > now) {
            return None;
        }
        let used = self.table.head.used;
        let start = self.core.next_request.min(used);
        for index in (start..used).chain(0..start) {
            let Some(channel) = self.table.get(index) else { continue };
            let Some(need) = channel.needs_now(now) else { continue };
            let (group, link, old) = (channel.group, channel.link, channel.old);
            // One that is subscribed is asked for where it is.
            let only = if need == Need::Join && channel.active { link } else { NO_LINK };
            let link = match need {
                Need::Join => self.target(map, group),
                Need::Leave => Some(link),
                Need::Drop => Some(old),
            };
            let Some(link) = link.filter(|&link| only == NO_LINK || link == only) else {
                // No owner, no node, or no room for one: wait for another map. Or this one was not told yet.
                self.core.refresh = true;
                self.put_off(now, index, true);
                continue;
            };
            if need == Need::Join && link == old {
                self.stay(index);
                continue;
            }
            self.core.next_request = index.saturating_add(1);
            return self.request(now, index, need, link);
        }
        // Nothing can be sent now. What waits, waits for its time.
        self.core.work = false;
        let channels = self.table.parts.channels.iter().take(used as usize);
        let waiting = channels.filter(|channel| channel.need().is_some());
        self.core.wait = waiting.fold(None, |first, channel| earlier(first, Some(channel.at)));
        None
    }

    /// The place of the node where channels of the group belong.
    fn target(&mut self, map: &Map<'_>, group: u16) -> Option<u16> {
        let node = match crate::slot::Slot::new(group) {
            Some(slot) => match map.owner(slot) {
                Owner::Node(index) => map.node(index)?.id(),
                Owner::Uncovered | Owner::Unknown => return None,
            },
            None => self.plain_node(map)?,
        };
        self.table.link(node)
    }

    /// The node for plain channels and patterns: the one they have, while the map has it.
    fn plain_node(&mut self, map: &Map<'_>) -> Option<NodeId> {
        if let Some(node) = self.core.plain.filter(|node| map.find(node).is_some()) {
            return Some(node);
        }
        let nodes = map.node_count();
        let turn = usize::from(self.core.plain_turn).checked_rem(nodes)?;
        let primary = |&(_, node): &(_, &crate::topology::Node)| node.is_primary();
        let after = map.nodes().skip(turn).find(primary).or_else(|| map.nodes().find(primary));
        let node = after.or_else(|| map.nodes().next()).map(|(_, node)| node.id());
        self.core.plain = node;
        node
    }

    /// A request for the channel and others of its group that need the same.
    fn request(&mut self, now: Instant, first: u32, need: Need, link: u16) -> Option<SubRequest> {
        let entry = *self.table.get(first)?;
        let unsure = self.table.parts.links.get(usize::from(link)).is_some_and(|link| link.unsure);
        self.core.serial = self.core.serial.wrapping_add(1);
        let serial = self.core.serial;
        let mut channels = 0_u16;
        let mut last = NIL;
        let mut others = self.table.group(entry.group);
        let mut index = first;
        // `first`, then its group; a chain holds no entry twice.
        for _ in 0..=self.table.head.used {
            let Some(channel) = self.table.get(index) else { break };
            let same = channel.group == entry.group && channel.needs_now(now) == Some(need);
            let there = match need {
                // One that is still subscribed there only has to notice.
                Need::Join => channel.old != link && (!channel.active || channel.link == link),
                Need::Leave => channel.link == link,
                Need::Drop => channel.old == link,
            };
            let next = channel.next_group;
            if same && there {
                channel.busy = true;
                channel.leaving = need == Need::Leave;
                channel.dropping = need == Need::Drop;
                channel.misplaced = false;
                if need == Need::Join {
                    channel.link = link;
                    if channel.heard == Heard::Again || unsure && channel.heard == Heard::Not {
                        channel.heard = Heard::Asked;
                    }
                }
                channel.serial = serial;
                channel.at = now;
                channel.next_request = NIL;
                if let Some(channel) = self.table.get(last) {
                    channel.next_request = index;
                }
                last = index;
                channels = channels.saturating_add(1);
            }
            if channels >= self.core.policy.channels {
                break;
            }
            index = if index == first && channels == 1 && others != NIL {
                core::mem::replace(&mut others, NIL)
            } else {
                next
            };
        }
        let node = self.table.parts.links.get(usize::from(link))?.node;
        Some(SubRequest {
            ticket: SubTicket { head: first, serial },
            node,
            action: if need == Need::Join { Action::Subscribe } else { Action::Unsubscribe },
            kind: entry.kind(),
            slot: entry.slot(),
            channels,
        })
    }

    fn poll_event(&mut self) -> Option<Event> {
        if !self.core.events {
            return None;
        }
        let used = self.table.head.used;
        let start = self.core.next_event.min(used);
        for index in (start..used).chain(0..start) {
            let Some(channel) = self.table.get(index).filter(|channel| channel.has_events()) else { continue };
            let id = ChannelId { index, generation: channel.generation };
            self.core.next_event = index;
            return Some(if core::mem::take(&mut channel.tell_interrupted) {
                Event::Interrupted(id)
            } else if channel.gap && channel.active {
                channel.gap = false;
                Event::Gap { channel: id, since: channel.since }
            } else if core::mem::take(&mut channel.tell_confirmed) {
                Event::Confirmed(id)
            } else {
                channel.tell_refused = false;
                Event::Refused(id)
            });
        }
        self.core.events = false;
        None
    }

    /// Makes the channel wait after a failure; a first one only if `always`.
    pub(crate) fn put_off(&mut self, now: Instant, index: u32, always: bool) {
        let Some(channel) = self.table.get(index) else { return };
        let again = channel.attempts;
        channel.attempts = again.saturating_add(1);
        if again == 0 && !always {
            channel.at = now;
            return;
        }
        let policy = self.core.policy;
        let delay = policy.delay.saturating_mul(1 << u32::from(again).min(20)).min(policy.max_delay);
        let half = Duration::from_micros(delay.as_micros() / 2);
        channel.at = now + half + self.core.rand.jitter(half);
        self.core.work = true;
    }

    /// Forgets a channel that is neither wanted nor subscribed.
    pub(crate) fn forget_if_done(&mut self, index: u32) {
        if self.table.get(index).is_some_and(|channel| channel.is_over()) {
            self.table.remove(index);
        }
    }

    /// Whether the group is one of those that any node serves.
    pub(crate) fn is_plain(group: u16) -> bool {
        group == PLAIN || group == PATTERN
    }
}
