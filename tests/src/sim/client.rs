//! A client: an engine, what drives it, and what its applications asked for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Config, Env, ReadFrom};
use slotwise::command::CommandSpec;
use slotwise::connection::{Protocol, Secret, Settings};
use slotwise::ids::CommandId;
use slotwise::pipeline::{Outcome, Reason};
use slotwise::scan::Ticket;
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};

use super::check::Watched;
use super::check::witness::{ClientNotes, RequestNotes};
use super::kinds::Fault;
use super::names::AddressMap;
use super::options::{Options, Wishes};
use super::scanning::ScanRun;
use super::servers::{PASSWORDS, port_of};
use super::subscribing::Subs;

/// What an answer of a server to a request was.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// Its place among all answers of the run.
    pub order: u64,
    /// When.
    pub at: u64,
    /// Which node answered.
    pub node: usize,
    /// On which link.
    pub link: u32,
    /// The reply.
    pub hash: u64,
    /// The reply as a reader of tokens sees it, where the request is read so.
    pub flat: Option<u64>,
    /// Whether the command ran.
    pub ran: bool,
    /// Whether it was a redirect.
    pub redirect: bool,
    /// Whether that was of another slot than the request's.
    pub strange: bool,
    /// Whether an adversary answered.
    pub hostile: bool,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a reply.
    Done {
        /// The engine says that it was delayed.
        resent: bool,
    },
    /// With an error reply.
    Error {
        /// The engine says that it was delayed.
        resent: bool,
        /// The error proves that the command did not run.
        refusal: bool,
    },
    /// Without a reply.
    Failed(Outcome, Reason),
    /// A subscribe command was carried out.
    Confirmed,
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The workload.
    Work,
    /// A part of a command that was split: which command, which part.
    Part(usize, usize),
    /// A scan.
    Scan(Ticket),
    /// The subscriptions.
    Sub(u64),
    /// The test after repair: this slot must be served.
    Probe(Slot),
    /// A deletion by pattern.
    Unlink,
    /// The test after that: this slot must be served at once.
    Second(Slot),
    /// A script line.
    Script(usize),
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the engine was told.
    pub spec: CommandSpec,
    /// The engine's name for it.
    pub id: CommandId,
    /// Who asked.
    pub owner: Owner,
    /// Its bytes.
    pub wire: Vec<u8>,
    /// When it was submitted.
    pub submitted: u64,
    /// How often it was written.
    pub sends: u32,
    /// A part of its answer was handed out.
    pub handed: bool,
    /// How it ended, and when.
    pub end: Option<(End, u64)>,
    /// What servers answered.
    pub served: Vec<Served>,
    /// The answer of the last reply handed out.
    pub answer: Option<u64>,
    /// What was read as tokens so far.
    pub text: Vec<u8>,
    /// An adversary may have seen it.
    pub tainted: bool,
    /// The application gave it up.
    pub cancelled: bool,
    /// What the checks noticed.
    pub notes: RequestNotes,
}

/// What every connection of a client is told.
#[derive(Debug)]
pub struct Profile {
    /// Credentials and the like.
    pub settings: Settings<'static>,
    /// Where to begin.
    pub seeds: Vec<NodeAddr<'static>>,
    /// Where announced addresses lead.
    pub addresses: AddressMap,
}

impl Profile {
    /// What the engine is lent.
    #[must_use]
    pub fn env(&self) -> Env<'_> {
        Env::new(&self.settings, &self.seeds).with_endpoints(&self.addresses)
    }
}

/// Names that seeds go by: whatever address a node gets, its name leads there.
static HOSTS: LazyLock<Vec<String>> = LazyLock::new(|| (0..128).map(super::servers::seed_name).collect());

/// A client.
pub struct Client {
    /// The engine under test.
    pub engine: Watched,
    /// Its settings and seeds.
    pub profile: Profile,
    /// Its time-outs and bounds.
    pub config: Config,
    /// Its open links.
    pub links: Vec<u32>,
    /// Every request it ever had; the tag is the place.
    pub requests: Vec<Request>,
    /// Requests without an end.
    pub open: usize,
    /// Commands that were split.
    pub splits: Vec<super::splitting::SplitRun>,
    /// Subscriptions.
    pub subs: Option<Subs>,
    /// The scan under way.
    pub scan: Option<ScanRun>,
    /// The deletion under way, or the last one.
    pub unlink: Option<super::unlinking::UnlinkRun>,
    /// Its clock is ahead by so much.
    pub ahead: u64,
    /// The granularity of its clock.
    pub tick: u64,
    /// It stands still until then.
    pub frozen: u64,
    /// When its timer rings.
    pub wake_at: Option<u64>,
    /// Nodes that a topology reply, or the caller, has named; the greatest number stands for another cluster's.
    pub confirmed: BTreeSet<usize>,
    /// Its core is gone.
    pub dropped: bool,
    /// Counts up, for values.
    pub sequence: u64,
    /// What the checks noticed.
    pub notes: ClientNotes,
    /// Topology questions: when.
    pub asked: Vec<u64>,
    /// Tests after the repair that are under way.
    pub probing: usize,
    /// Slots that are still to be tested after the repair.
    pub probes: Vec<slotwise::slot::Slot>,
}

impl Client {
    /// A client that has not done anything.
    #[must_use]
    pub fn new(number: usize, options: &Options, wishes: &Wishes) -> Self {
        let mut config = Config::new(0x5eed ^ (number as u64) << 8);
        config.window = options.window;
        config.command_timeout = Duration::from_secs(8);
        config.read_from = match options.reads {
            0 => ReadFrom::Primary,
            1 => ReadFrom::PreferReplica,
            _ => ReadFrom::Any,
        };
        config.max_leases = 4;
        config.max_bytes = options.max_bytes;
        config.strict_order = options.has(Fault::StrictOrder);
        config.refresh.idle = Some(Duration::from_secs(10));
        let settings = Settings {
            protocol: if options.resp2 { Protocol::Resp2 } else { Protocol::Resp3OrFallback },
            password: options.password.then(|| Secret::from(PASSWORDS[0])),
            client_name: Some("sim"),
            ..Settings::DEFAULT
        };
        let nodes = usize::from(options.shards.0) * (1 + usize::from(options.shards.1));
        let seeds: Vec<NodeAddr<'static>> = (0..nodes.min(3))
            .map(|n| (n + number) % nodes)
            .filter_map(|n| NodeAddr::new(&HOSTS[n], port_of(n)).ok())
            .collect();
        let mut engine = Watched::new(config, options.sizes, wishes.planted);
        if options.password {
            engine.listen();
        }
        Self {
            engine,
            confirmed: (0..nodes.min(3)).map(|n| (n + number) % nodes).collect(),
            profile: Profile { settings, seeds, addresses: AddressMap::default() },
            config,
            links: Vec::new(),
            requests: Vec::new(),
            open: 0,
            splits: Vec::new(),
            subs: (options.channels > 0).then(|| Subs::new(number)),
            scan: None,
            unlink: None,
            ahead: 0,
            tick: u64::from(options.tick),
            frozen: 0,
            wake_at: None,
            dropped: false,
            sequence: 0,
            notes: ClientNotes::default(),
            asked: Vec::new(),
            probing: 0,
            probes: Vec::new(),
        }
    }

    /// Begins again with another configuration; nothing may have happened yet.
    pub fn reconfigure(&mut self, config: Config, sizes: super::storage::Sizes) {
        self.config = config;
        self.engine = Watched::new(config, sizes, None);
    }

    /// The time as this client knows it.
    #[must_use]
    pub fn at(&self, now: u64) -> Instant {
        let real = now + self.ahead;
        // Most clocks are exact, and this is asked all the time.
        Instant::from_micros(if self.tick == 1 { real } else { real / self.tick * self.tick })
    }

    /// When this client's clock shows that time.
    #[must_use]
    pub fn when(&self, at: Instant) -> u64 {
        let at = at.as_micros();
        (at.div_ceil(self.tick) * self.tick).saturating_sub(self.ahead)
    }
}
