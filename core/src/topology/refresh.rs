//! When to ask for the topology, and whom.

use super::map::Map;
use super::node::NodeIndex;
use crate::ids::NodeId;
use crate::rand::Rand;
use crate::time::{Duration, Instant, Span};

/// How often and how patiently the topology is asked for. The defaults: one round a second sustained, three in a
/// burst, up to three nodes a round, two seconds per node, up to 100 ms of jitter, 10 s after failures, and once a
/// minute without a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RefreshPolicy {
    /// A round may start once per this time, sustained.
    pub interval: Duration,
    /// This many rounds may start at once after a quiet time. At least 1.
    pub burst: u8,
    /// At most this many nodes are asked in one round; at least 1, at most [`RefreshPolicy::MAX_ASKED`].
    pub nodes: u8,
    /// How long one node may take to answer.
    pub timeout: Duration,
    /// A round starts up to this long after it was asked for, drawn at random, so that the clients that saw the same
    /// failover do not all ask at once.
    pub jitter: Duration,
    /// The bound of the jitter doubles with every failed round, up to this.
    pub max_jitter: Duration,
    /// A round without a reason after so much time since the last good one; `None` for never.
    pub idle: Option<Duration>,
}

impl RefreshPolicy {
    /// Most nodes of one round.
    pub const MAX_ASKED: u8 = 8;

    /// See the type.
    pub const DEFAULT: Self = Self {
        interval: Duration::from_secs(1),
        burst: 3,
        nodes: 3,
        timeout: Duration::from_secs(2),
        jitter: Duration::from_millis(100),
        max_jitter: Duration::from_secs(10),
        idle: Some(Duration::from_secs(60)),
    };
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why the topology should be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// There is no map yet: the round starts without jitter.
    Start,
    /// A redirect said that the map is wrong. Carries the node it led to, which knows better and is asked first.
    Redirect(Option<NodeId>),
    /// An error reply asked for it (`CLUSTERDOWN`, `READONLY` and the like).
    Error,
    /// A node cannot be reached.
    Unreachable,
}

/// Whom to ask now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ask {
    /// This node of the map.
    Node(NodeId),
    /// A seed: the map has no node left that was not asked in this round. Which seed is the caller's turn-taking;
    /// seeds are kept for ever and resolved again.
    Seed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to do before the idle time is over.
    Idle,
    /// Wanted; the jitter is drawn by the next poll.
    Wanted { since: Instant },
    /// A round starts at this time.
    Due { at: Instant },
    /// A round is under way and its next node may be asked at once.
    Next,
    /// A node was asked.
    Asked { deadline: Instant },
}

/// A [`RefreshPolicy`] in a third of its size.
#[derive(Clone, Copy, Debug)]
struct Packed {
    interval: Span,
    timeout: Span,
    jitter: Span,
    max_jitter: Span,
    idle: Span,
    burst: u8,
    nodes: u8,
}

impl Packed {
    const fn of(policy: &RefreshPolicy) -> Self {
        Self {
            interval: Span::of(policy.interval),
            timeout: Span::of(policy.timeout),
            jitter: Span::of(policy.jitter),
            max_jitter: Span::of(policy.max_jitter),
            idle: Span::of_option(policy.idle),
            burst: policy.burst,
            nodes: policy.nodes,
        }
    }
}

/// The refresh state machine: at most one round at a time, at most one node asked at a time, rounds rate-limited and
/// jittered. The old map serves meanwhile.
///
/// Drive it with [`Refresh::request`] when something is wrong, [`Refresh::poll`] when the clock reaches
/// [`Refresh::poll_timeout`] or anything else happened, and tell how each ask ended: [`Refresh::succeeded`] or
/// [`Refresh::failed`] (also for a reply that was rejected), or [`Refresh::unconfirmed`] for one not to be trusted alone.
#[derive(Clone, Debug)]
pub struct Refresh {
    policy: Packed,
    state: State,
    /// When the token bucket would be empty: a round may start while this is less than `burst - 1` intervals ahead.
    bucket: Instant,
    /// Rounds in a row that ended without a map.
    failures: u8,
    /// A request came in while a node was being asked: its answer may be older than the reason.
    again: bool,
    /// The node a redirect led to, as [`NodeId::short`]; 0 for none. Taking one node for another asks the wrong one.
    prefer: u32,
    asked: [u32; RefreshPolicy::MAX_ASKED as usize],
    asks: u8,
    last_good: Option<Instant>,
    rounds: u32,
}

/// So many failed rounds count at most while nodes answer, if only with what has to be confirmed.
const ANSWERED: u8 = 2;

impl Refresh {
    /// A machine at rest.
    #[must_use]
    pub const fn new(policy: RefreshPolicy) -> Self {
        Self {
            policy: Packed::of(&policy),
            state: State::Idle,
            bucket: Instant::EPOCH,
            failures: 0,
            again: false,
            prefer: 0,
            asked: [0; RefreshPolicy::MAX_ASKED as usize],
            asks: 0,
            last_good: None,
            rounds: 0,
        }
    }

    /// Asks for a refresh. Any number of requests before the round starts make one round; one that comes while a
    /// node is being asked makes one more round afterwards.
    pub fn request(&mut self, now: Instant, reason: Reason) {
        if let Reason::Redirect(Some(node)) = reason {
            self.prefer = node.short();
        }
        match self.state {
            State::Idle if reason == Reason::Start => self.state = State::Due { at: self.allowed(now) },
            State::Idle => self.state = State::Wanted { since: now },
            State::Wanted { .. } | State::Due { .. } => {}
            State::Next | State::Asked { .. } => self.again = true,
        }
    }

    /// Whom to ask now, if anybody. `usable` says which nodes could be asked (the caller may want only connected
    /// ones, or none that is in back-off); the node a redirect led to comes first, then nodes drawn at random.
    pub fn poll(
        &mut self,
        now: Instant,
        rand: &mut Rand,
        map: &Map<'_>,
        mut usable: impl FnMut(NodeIndex) -> bool,
    ) -> Option<Ask> {
        if let State::Asked { deadline } = self.state
            && now >= deadline
        {
            self.failed(now);
        }
        if let (State::Idle, Some(at)) = (self.state, self.idle_at())
            && now >= at
        {
            self.state = State::Wanted { since: now };
        }
        if let State::Wanted { since } = self.state {
            let (least, most) = (self.policy.jitter.get(), self.policy.max_jitter.get());
            let doubled = least.saturating_mul(1 << self.failures.min(16));
            let at = since + rand.jitter(doubled.min(most.max(least)));
            self.state = State::Due { at: at.max(self.allowed(now)) };
        }
        if let State::Due { at } = self.state
            && now >= at
        {
            self.bucket = self.bucket.max(now) + self.policy.interval.get();
            self.rounds = self.rounds.wrapping_add(1);
            (self.asks, self.again) = (0, false);
            self.state = State::Next;
        }
        if self.state != State::Next {
            return None;
        }
        self.state = State::Asked { deadline: now + self.policy.timeout.get() };
        let ask = self.choose(rand, map, &mut usable);
        let asked = match ask {
            Ask::Node(node) => node.short(),
            Ask::Seed => 0,
        };
        if let Some(place) = self.asked.get_mut(usize::from(self.asks)) {
            *place = asked;
        }
        self.asks = self.asks.saturating_add(1);
        Some(ask)
    }

    /// The node a redirect led to, else one that was not asked in this round, every one equally likely.
    fn choose(&mut self, rand: &mut Rand, map: &Map<'_>, usable: &mut dyn FnMut(NodeIndex) -> bool) -> Ask {
        let asked = self.asked.get(..usize::from(self.asks)).unwrap_or(&[]);
        let mut fit = |index: NodeIndex, id: &NodeId| {
            map.node(index).is_some_and(super::Node::is_routable) && !asked.contains(&id.short()) && usable(index)
        };
        let prefer = core::mem::take(&mut self.prefer);
        if prefer != 0
            && let Some((index, node)) = map.nodes().find(|(_, node)| node.id().short() == prefer)
            && fit(index, &node.id())
        {
            return Ask::Node(node.id());
        }
        let mut chosen = None;
        let mut seen = 0_u32;
        for (index, node) in map.nodes() {
            if fit(index, &node.id()) {
                seen = seen.saturating_add(1);
                if rand.below(seen) == 0 {
                    chosen = Some(node.id());
                }
            }
        }
        chosen.map_or(Ask::Seed, Ask::Node)
    }

    /// The round brought a map, or showed that the map is right.
    pub fn succeeded(&mut self, now: Instant) {
        self.failures = 0;
        self.last_good = Some(now);
        self.state = if core::mem::take(&mut self.again) { State::Wanted { since: now } } else { State::Idle };
    }

    /// The node that was asked gave nothing to build on: it cannot be reached, or answered with an error or a rejected
    /// reply. The next node of the round is asked; after the last
    /// one the round has failed and another follows after a longer jitter.
    pub fn failed(&mut self, now: Instant) {
        if !matches!(self.state, State::Asked { .. }) {
            return;
        }
        let most = self.policy.nodes.clamp(1, RefreshPolicy::MAX_ASKED);
        if self.asks < most {
            self.state = State::Next;
        } else {
            self.failures = self.failures.saturating_add(1);
            self.state = State::Wanted { since: now };
        }
    }

    /// [`Refresh::failed`] with a reply that has to be confirmed: nodes answer, so the next rounds are not put off for
    /// longer than a few times the jitter.
    pub fn unconfirmed(&mut self, now: Instant) {
        self.failures = self.failures.min(ANSWERED);
        self.failed(now);
    }

    /// When to call [`Refresh::poll`] again without other cause; an instant in the past means now.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Idle => self.idle_at(),
            State::Wanted { since } => Some(since),
            State::Due { at } => Some(at),
            State::Next => Some(Instant::EPOCH),
            State::Asked { deadline } => Some(deadline),
        }
    }

    /// Whether a refresh is wanted or under way.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.state != State::Idle
    }

    /// Whether a node was asked and has not answered.
    #[must_use]
    pub const fn in_flight(&self) -> bool {
        matches!(self.state, State::Asked { .. })
    }

    /// How many rounds have started, wrapping.
    #[must_use]
    pub const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The state's name, for traces.
    #[must_use]
    pub const fn state_name(&self) -> &'static str {
        match self.state {
            State::Idle => "idle",
            State::Wanted { .. } => "wanted",
            State::Due { .. } => "due",
            State::Next => "next",
            State::Asked { .. } => "asked",
        }
    }

    /// The earliest time the token bucket lets a round start.
    fn allowed(&self, now: Instant) -> Instant {
        let ahead = self.policy.interval.get().saturating_mul(u64::from(self.policy.burst.saturating_sub(1)));
        now.max(self.bucket - ahead)
    }

    fn idle_at(&self) -> Option<Instant> {
        Some(self.last_good? + self.policy.idle.option()?)
    }
}
