//! What an engine is told once, and what its adapter lends at each call.

use crate::addr::NodeAddr;
use crate::cluster::endpoint::{Endpoint, Endpoints};
use crate::connection::{BackoffPolicy, Settings, Timeouts, Zone};
use crate::limits::Limits;
use crate::time::Duration;
use crate::topology::RefreshPolicy;

/// Which nodes answer read-only commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadFrom {
    /// The slot's primary: the only choice that reads one's own writes.
    #[default]
    Primary,
    /// A replica of the slot if one is known, else the primary.
    PreferReplica,
    /// The primary and its replicas in turn.
    Any,
    /// Nodes of one availability zone first, which saves the price and the delay of crossing zones: a replica of the slot
    /// there, else the primary if it is there, else another replica, else the primary. Zones are known from topology
    /// replies (Valkey 9.1 and later, where `availability-zone` is configured); without any this is
    /// [`ReadFrom::PreferReplica`]. What HELLO says of a zone (Valkey 8.1 and later) does not count: only nodes with a
    /// connection would have one.
    SameZone(Zone),
}

/// Time-outs, bounds and policies of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// From submission to outcome, retries included, for commands that bring no time-out of their own.
    pub command_timeout: Duration,
    /// Time for dials and handshakes, and how much silence is borne.
    pub timeouts: Timeouts,
    /// Silence on a connection with subscriptions before it is probed: nothing else tells a quiet channel from a dead
    /// connection.
    pub subscriber_keepalive: Duration,
    /// Most commands in flight on one connection, 65,535 at most; the others wait in its queue.
    pub window: u32,
    /// Most redirects followed for one command.
    pub max_hops: u8,
    /// Most delayed retries (TRYAGAIN, CLUSTERDOWN, LOADING ...) of one command.
    pub max_attempts: u8,
    /// First delay of such a retry; doubles up to sixteen times itself, with jitter.
    pub retry_delay: Duration,
    /// Redirects are followed; otherwise they are the command's reply.
    ///
    /// Commands that run scripts or module code (`CommandSpec::script_like`) can answer the text of any error after they
    /// ran, so even when redirects are followed: their MOVED is followed only if a topology reply shows by itself that
    /// the slot has another owner, and is waited for no longer than a second. Their ASK, TRYAGAIN, CLUSTERDOWN and the like
    /// are always the command's reply: only the migration mark of the node that answers would prove an ASK, and its answer
    /// to that question would stand behind the ASK. A caller whose script may run twice can send it again, or send a plain
    /// command of the same slot first, whose ASK is followed.
    pub follow_redirects: bool,
    /// Where read-only commands go.
    pub read_from: ReadFrom,
    /// Commands of one slot go out one by one: each waits until the one before it has ended, so that none ever runs before
    /// an older one, whatever is refused, redirected or sent again. Without it they are pipelined, and one that was
    /// held up says so (`resent`). Commands of different slots still go side by side. Blocking commands and
    /// subscriptions, which have connections of their own, neither wait nor are waited for.
    pub strict_order: bool,
    /// Commands whose [`RetryPermission`](crate::command::RetryPermission) is the default are sent again also when they
    /// may have run, whether they write or not: for callers whose commands may all run twice.
    pub resend_unsure: bool,
    /// Most bytes of commands that have not ended; more are refused with [`SubmitError::FullBytes`], but one alone is
    /// always taken. Kept to one part in a thousand; `u32::MAX` bounds nothing.
    ///
    /// [`SubmitError::FullBytes`]: crate::cluster::SubmitError::FullBytes
    pub max_bytes: u32,
    /// Most unsent commands that wait for one connection; those beyond end with
    /// [`Reason::QueueFull`](crate::pipeline::Reason::QueueFull), so that a node that hangs or is gone does not fill the
    /// tables that all nodes share. 65,535 and more bound nothing.
    pub max_queue: u32,
    /// Delays between dials of one node.
    pub backoff: BackoffPolicy,
    /// How often, and how patiently, the topology is asked for.
    pub refresh: RefreshPolicy,
    /// What an established connection may send.
    pub limits: Limits,
    /// How many connections blocking commands may hold beside the shared ones.
    pub max_leases: u16,
    /// How long an unused lease is kept.
    pub lease_idle: Duration,
    /// Seed of the jitter. Firmware must mix in a device id.
    pub seed: u64,
}

impl Config {
    /// The defaults, with a jitter seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            command_timeout: Duration::from_secs(15),
            timeouts: Timeouts::DEFAULT,
            subscriber_keepalive: Duration::from_secs(10),
            window: 65_536,
            max_hops: 5,
            max_attempts: 64,
            retry_delay: Duration::from_millis(10),
            follow_redirects: true,
            read_from: ReadFrom::Primary,
            strict_order: false,
            resend_unsure: false,
            max_bytes: u32::MAX,
            max_queue: u32::MAX,
            backoff: BackoffPolicy::DEFAULT,
            refresh: RefreshPolicy::DEFAULT,
            limits: Limits::DEFAULT,
            max_leases: 64,
            lease_idle: Duration::from_secs(10),
            seed,
        }
    }
}

/// What the adapter lends the engine at each call: it stays the adapter's, and is the same in every call.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    /// Credentials and handshake wishes.
    pub settings: &'a Settings<'a>,
    /// Where to begin, and to return to when the map leads nowhere.
    pub seeds: &'a [NodeAddr<'a>],
    /// Where announced addresses lead, and which are refused; with `None` every node is dialled where it says it is.
    pub endpoints: Option<&'a dyn Endpoints>,
}

impl<'a> Env<'a> {
    /// Settings and seeds; nodes are dialled where they say they are.
    #[must_use]
    pub const fn new(settings: &'a Settings<'a>, seeds: &'a [NodeAddr<'a>]) -> Self {
        Self { settings, seeds, endpoints: None }
    }

    /// The same with a map or filter of addresses.
    #[must_use]
    pub const fn with_endpoints(self, endpoints: &'a dyn Endpoints) -> Self {
        Self { endpoints: Some(endpoints), ..self }
    }

    /// Where a node announced at `addr` is dialled; `None` if it is refused.
    pub(crate) fn endpoint(&self, addr: NodeAddr<'a>) -> Option<Endpoint<'a>> {
        match self.endpoints {
            Some(endpoints) => endpoints.endpoint(addr),
            None => Some(Endpoint::announced(addr)),
        }
    }
}
