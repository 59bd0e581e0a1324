//! What an engine is told once, and what its adapter lends at each call.

use crate::addr::NodeAddr;
use crate::cluster::endpoint::{Endpoint, Endpoints};
use crate::connection::{BackoffPolicy, Settings, Timeouts};
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
    /// Most commands in flight on one connection; the others wait in its queue.
    pub window: u32,
    /// Most redirects followed for one command.
    pub max_hops: u8,
    /// Most delayed retries (TRYAGAIN, CLUSTERDOWN, LOADING ...) of one command.
    pub max_attempts: u8,
    /// First delay of such a retry; doubles up to sixteen times itself, with jitter.
    pub retry_delay: Duration,
    /// Redirects are followed; otherwise they are the command's reply.
    pub follow_redirects: bool,
    /// Where read-only commands go.
    pub read_from: ReadFrom,
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
