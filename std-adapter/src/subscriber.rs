//! The blocking subscriber: channels are kept subscribed wherever their owners go.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration as StdDuration, Instant as StdInstant};

use slotwise::cluster::CloseReason;
use slotwise::command::{Access, CommandSpec, Target};
use slotwise::ids::{CommandId, ConnId, NodeId};
use slotwise::pipeline::Failure;
use slotwise::pubsub::{
    Action, ChannelId, CommandDone, Event as Told, Full, Kind, Message as Pushed, Policy, PushEvent, Reconciler,
    SubRequest, SubTicket,
};
use slotwise::resp::{Frame, encode};
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};
use slotwise::topology::{Map, Owner};

use crate::channels::Channels;
use crate::client::{Builder, Client};
use crate::driver::{Driver, Reply, Work};
use crate::error::{Error, ServerReply};

/// How long a node may take to carry out a subscribe command before the map is asked whether it is still the one.
const REQUEST_LIMIT: Duration = Duration::from_secs(3);

/// A published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which kind of subscription it came through.
    pub kind: Kind,
    /// The channel it was published on.
    pub channel: Vec<u8>,
    /// What was published.
    pub payload: Vec<u8>,
    /// The pattern that the channel matches, where a pattern was subscribed.
    pub pattern: Option<Vec<u8>>,
    /// The channel moves to another node just now and is subscribed at both: the message may come, or have come, twice, and
    /// out of order.
    pub overlap: bool,
}

/// What a [`Subscriber`] has to tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
    /// A server confirmed a subscription: for the first time, or again after it was interrupted.
    Subscribed {
        /// Its kind.
        kind: Kind,
        /// The channel or pattern.
        channel: Vec<u8>,
    },
    /// A subscription that was given up has ended.
    Unsubscribed {
        /// Its kind.
        kind: Kind,
        /// The channel or pattern.
        channel: Vec<u8>,
    },
    /// A subscription ended unasked: its slot moved, its primary failed over, its connection was lost. It is being
    /// made again; messages published meanwhile are lost. Not told where the old node goes on serving the channel until
    /// the new one has confirmed it.
    Interrupted {
        /// Its kind.
        kind: Kind,
        /// The channel or pattern.
        channel: Vec<u8>,
    },
    /// The subscription was made again, and messages may have been lost since then.
    Gap {
        /// Its kind.
        kind: Kind,
        /// The channel or pattern.
        channel: Vec<u8>,
        /// The last proof that the old subscription was alive and at the owner of its slot.
        since: StdInstant,
    },
    /// Messages came in faster than they were taken out, and so many of them were dropped here. What came before stands in
    /// front of this, what comes after behind it.
    Overflow {
        /// How many.
        dropped: u64,
    },
    /// The server refused the subscription for a reason that is not likely to pass, such as a missing permission. It
    /// is tried again every few seconds all the same, until it is given up.
    Error {
        /// Its kind.
        kind: Kind,
        /// The channel or pattern.
        channel: Vec<u8>,
        /// What the server said.
        error: ServerReply,
    },
}

/// Subscriptions to channels of one cluster, on connections of their own.
///
/// A channel stays subscribed until it is given up: through slot migrations, failovers and lost connections. An
/// [`Event::Gap`] comes before the first message after any time in which messages may have been lost.
///
/// ```no_run
/// use slotwise_std::{Event, Subscriber};
/// use std::time::Duration;
///
/// let mut subscriber = Subscriber::connect("redis://127.0.0.1:7000")?;
/// subscriber.ssubscribe(b"{room:1}");
/// loop {
///     match subscriber.next(Duration::from_secs(60))? {
///         Some(Event::Message(message)) => println!("{}", message.payload.escape_ascii()),
///         Some(Event::Gap { .. }) => println!("(something may be missing here)"),
///         _ => {}
///     }
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), slotwise_std::Error>(())
/// ```
pub struct Subscriber {
    driver: Driver,
    state: State,
    /// Topology replies that had been taken over when the reconciler was last told of one.
    refreshes: u32,
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber").field("counts", self.state.wishes.counts()).finish_non_exhaustive()
    }
}

/// What is told by the loop and what is to be told to the caller.
struct State {
    epoch: StdInstant,
    wishes: Reconciler<Channels>,
    requests: HashMap<u64, Request>,
    events: VecDeque<Event>,
    /// Most events that wait for the caller before messages are dropped.
    most: usize,
    /// The last refusal, for the events it causes.
    refusal: ServerReply,
    map_changed: bool,
}

/// A subscribe or unsubscribe command under way.
struct Request {
    bytes: Vec<u8>,
    id: Option<CommandId>,
    node: NodeId,
    slot: Option<Slot>,
    action: Action,
    kind: Kind,
    channels: Vec<Vec<u8>>,
}

impl Subscriber {
    /// Finds the cluster that a URL names, with the default set-up.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect(url: &str) -> Result<Self, Error> {
        Self::with(Client::builder(url)?)
    }

    /// Finds the cluster as the builder says.
    ///
    /// # Errors
    /// As [`Builder::connect`].
    pub fn with(builder: Builder) -> Result<Self, Error> {
        // An owner that lost its slot and does not know it yet is found out by asking the others.
        let builder = builder.config(|config| {
            let often = Duration::from_secs(10);
            config.refresh.idle = Some(config.refresh.idle.map_or(often, |idle| idle.min(often)));
        });
        let seed = builder.config.seed;
        let driver = builder.connect()?.driver;
        let wishes = Reconciler::new(Policy::DEFAULT, seed, Channels::new());
        let state = State {
            epoch: driver.epoch(),
            wishes,
            requests: HashMap::new(),
            events: VecDeque::new(),
            most: 65_536,
            refusal: ServerReply::new(b""),
            map_changed: true,
        };
        let refreshes = driver.cluster.refreshes();
        Ok(Self { driver, state, refreshes })
    }

    /// Wants a plain channel. Wanting it twice is wanting it once.
    pub fn subscribe(&mut self, channel: impl AsRef<[u8]>) {
        self.state.want(Kind::Plain, channel.as_ref());
    }

    /// Wants every plain channel that matches a glob pattern.
    pub fn psubscribe(&mut self, pattern: impl AsRef<[u8]>) {
        self.state.want(Kind::Pattern, pattern.as_ref());
    }

    /// Wants a sharded channel: it hashes to a slot like a key, and its messages stay in that slot's shard. Redis and
    /// Valkey 7.0 and later.
    pub fn ssubscribe(&mut self, channel: impl AsRef<[u8]>) {
        self.state.want(Kind::Sharded, channel.as_ref());
    }

    /// No longer wants a plain channel: no further message of it is handed out.
    pub fn unsubscribe(&mut self, channel: impl AsRef<[u8]>) {
        self.state.unwant(Kind::Plain, channel.as_ref());
    }

    /// No longer wants a pattern.
    pub fn punsubscribe(&mut self, pattern: impl AsRef<[u8]>) {
        self.state.unwant(Kind::Pattern, pattern.as_ref());
    }

    /// No longer wants a sharded channel.
    pub fn sunsubscribe(&mut self, channel: impl AsRef<[u8]>) {
        self.state.unwant(Kind::Sharded, channel.as_ref());
    }

    /// How many events may wait for [`Subscriber::next`] before further messages are dropped, which an
    /// [`Event::Overflow`] then tells. 65,536 unless set.
    pub fn set_max_waiting(&mut self, events: usize) {
        self.state.most = events;
    }

    /// Whether every wanted channel is subscribed at a server, and no other is.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state.wishes.is_settled()
    }

    /// The slot map as it is known now.
    #[must_use]
    pub fn map(&self) -> Map<'_> {
        self.driver.cluster.map()
    }

    /// The next event, waiting for it at most so long; `None` when none came. Subscriptions are only looked after
    /// while this is called.
    ///
    /// # Errors
    /// [`Error::Io`] when the event loop itself fails.
    pub fn next(&mut self, timeout: StdDuration) -> Result<Option<Event>, Error> {
        let until = StdInstant::now().checked_add(timeout);
        let mut waited = false;
        loop {
            self.look_after()?;
            if let Some(event) = self.state.events.pop_front() {
                return Ok(Some(event));
            }
            let left = until.map(|until| until.saturating_duration_since(StdInstant::now()));
            if waited && left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            let now = self.driver.now();
            let own = self.state.wishes.poll_timeout().map(|at| StdDuration::from(at.since(now)));
            let wait = match (left, own) {
                (Some(left), Some(own)) => Some(left.min(own)),
                (left, own) => left.or(own),
            };
            self.driver.turn(&mut self.state, wait)?;
            waited = true;
        }
    }

    /// Acts on what came in: tells the reconciler of maps, sends what it asks for.
    fn look_after(&mut self) -> Result<(), Error> {
        let refreshes = self.driver.cluster.refreshes();
        if self.state.map_changed || refreshes != self.refreshes {
            self.state.map_changed = false;
            self.refreshes = refreshes;
            let nodes = self.driver.cluster.map().node_count();
            self.state.wishes.grow(|tables| tables.nodes(nodes));
            let asked = self.driver.cluster.map_asked();
            self.state.wishes.on_map(asked, &self.driver.cluster.map());
            self.give_up_moved();
        }
        while let Some(request) = self.state.wishes.poll(self.driver.now(), &self.driver.cluster.map()) {
            self.send(&request)?;
        }
        if self.state.wishes.wants_refresh() {
            let now = self.driver.now();
            self.driver.cluster.refresh(now);
        }
        self.state.tell();
        Ok(())
    }

    fn send(&mut self, request: &SubRequest) -> Result<(), Error> {
        let args = self.state.wishes.args(request);
        let channels = args.channels().map(<[u8]>::to_vec).collect();
        let len = encode::encoded_len(&args).unwrap_or(0);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let written = encode::encode(&args, &mut bytes).unwrap_or(0);
        bytes.truncate(written);
        let tag = request.ticket.to_bits();
        let mut spec = CommandSpec::new(Target::Node(request.node), Access::Read, clamp(written)).with_tag(tag);
        spec.subscribe = true;
        spec.timeout = Some(REQUEST_LIMIT);
        let mut entry = Request {
            bytes,
            id: None,
            node: request.node,
            slot: request.slot,
            action: request.action,
            kind: request.kind,
            channels,
        };
        let now = self.driver.now();
        // It may fail before the call returns, so it is known before.
        match self.driver.cluster.submit(now, spec) {
            Ok(id) => {
                entry.id = Some(id);
                self.state.requests.insert(tag, entry);
                Ok(())
            }
            Err(error) => {
                self.state.wishes.on_command_done(now, request.ticket, CommandDone::Failed);
                Err(Error::Submit { command: name_of(request).to_owned(), error })
            }
        }
    }

    /// Cancels subscribe commands that wait for a node which does not own their slot any more.
    fn give_up_moved(&mut self) {
        let map = self.driver.cluster.map();
        let owner = |slot| match map.owner(slot) {
            Owner::Node(at) => map.node(at).map(slotwise::topology::Node::id),
            _ => None,
        };
        let moved = |request: &&Request| {
            let owner = request.slot.and_then(owner);
            request.action == Action::Subscribe && owner.is_some_and(|owner| owner != request.node)
        };
        let ids: Vec<CommandId> = self.state.requests.values().filter(moved).filter_map(|request| request.id).collect();
        let now = self.driver.now();
        for id in ids {
            self.driver.cluster.cancel(now, id);
        }
    }
}

impl State {
    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn want(&mut self, kind: Kind, channel: &[u8]) {
        loop {
            match self.wishes.want(kind, channel) {
                Err(Full::Names) => self.wishes.grow(|tables| tables.more_names(channel.len())),
                Err(_) => self.wishes.grow(Channels::more_channels),
                Ok(_) => return,
            }
        }
    }

    fn unwant(&mut self, kind: Kind, channel: &[u8]) {
        let was = self.wishes.unwant(kind, channel);
        if was && self.wishes.find(kind, channel).is_none() {
            // No server knew of it.
            self.events.push_back(Event::Unsubscribed { kind, channel: channel.to_vec() });
        }
    }

    /// Takes over the reconciler's events.
    fn tell(&mut self) {
        while let Some(told) = self.wishes.poll_event() {
            let event = match told {
                Told::Confirmed(id) => self.named(id).map(|(kind, channel)| Event::Subscribed { kind, channel }),
                Told::Interrupted(id) => self.named(id).map(|(kind, channel)| Event::Interrupted { kind, channel }),
                Told::Gap { channel, since } => {
                    let since = self.time(since);
                    self.named(channel).map(|(kind, channel)| Event::Gap { kind, channel, since })
                }
                Told::Refused(id) => {
                    let error = self.refusal.clone();
                    self.named(id).map(|(kind, channel)| Event::Error { kind, channel, error })
                }
                _ => None,
            };
            self.events.extend(event);
        }
    }

    fn named(&self, id: ChannelId) -> Option<(Kind, Vec<u8>)> {
        self.wishes.name(id).map(|(kind, name)| (kind, name.to_vec()))
    }

    fn time(&self, at: Instant) -> StdInstant {
        self.epoch + StdDuration::from_micros(at.as_micros())
    }

    fn message(&mut self, message: Pushed<'_>) {
        if let Some(gap) = message.gap
            && let Some((kind, channel)) = self.named(message.subscription)
        {
            let since = self.time(gap.since);
            self.events.push_back(Event::Gap { kind, channel, since });
        }
        if self.events.len() >= self.most {
            match self.events.back_mut() {
                Some(Event::Overflow { dropped }) => *dropped += 1,
                _ => self.events.push_back(Event::Overflow { dropped: 1 }),
            }
            return;
        }
        self.events.push_back(Event::Message(Message {
            kind: message.kind,
            channel: message.channel.to_vec(),
            payload: message.payload.to_vec(),
            pattern: message.pattern.map(<[u8]>::to_vec),
            overlap: message.overlap,
        }));
    }

    fn done(&mut self, tag: u64, done: CommandDone<'_>) {
        let Some(request) = self.requests.remove(&tag) else { return };
        let now = self.now();
        self.wishes.on_command_done(now, SubTicket::from_bits(tag), done);
        if request.action == Action::Unsubscribe {
            for channel in request.channels {
                // One that is to be tried again, or is wanted again, is not over.
                if self.wishes.find(request.kind, &channel).is_none() {
                    self.events.push_back(Event::Unsubscribed { kind: request.kind, channel });
                }
            }
        }
        self.tell();
    }
}

impl Work for State {
    fn encode(&mut self, tag: u64, out: &mut Vec<u8>) {
        if let Some(request) = self.requests.get(&tag) {
            out.extend_from_slice(&request.bytes);
        }
    }

    fn reply(&mut self, tag: u64, reply: Reply<'_>) {
        let line = reply.frame.error().unwrap_or_default();
        self.refusal = ServerReply::new(line);
        self.done(tag, CommandDone::Refused { error: line });
    }

    fn failed(&mut self, tag: u64, _: Failure) {
        self.done(tag, CommandDone::Failed);
    }

    fn confirmed(&mut self, tag: u64, conn: ConnId) {
        self.done(tag, CommandDone::Fenced { conn });
    }

    fn alive(&mut self, conn: ConnId, asked: Instant) {
        self.wishes.on_alive(conn, asked);
    }

    fn push(&mut self, conn: ConnId, _: Option<NodeId>, frame: &Frame<'_>) {
        // What happened before this message is told before it.
        self.tell();
        if let PushEvent::Message(message) = self.wishes.on_push(conn, frame) {
            self.message(message);
        }
    }

    fn closed(&mut self, conn: ConnId, _: Option<NodeId>, _: CloseReason) {
        self.wishes.on_lost(conn);
        self.tell();
    }

    fn map_changed(&mut self) {
        self.map_changed = true;
    }
}

/// Lengths beyond 4 GiB do not occur.
fn clamp(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The command's name, for error texts.
const fn name_of(request: &SubRequest) -> &'static str {
    match (request.kind, request.action) {
        (Kind::Sharded, Action::Subscribe) => "SSUBSCRIBE",
        (Kind::Plain, Action::Subscribe) => "SUBSCRIBE",
        (Kind::Pattern, Action::Subscribe) => "PSUBSCRIBE",
        (Kind::Sharded, Action::Unsubscribe) => "SUNSUBSCRIBE",
        (Kind::Plain, Action::Unsubscribe) => "UNSUBSCRIBE",
        (Kind::Pattern, Action::Unsubscribe) => "PUNSUBSCRIBE",
    }
}
