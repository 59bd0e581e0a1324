//! The blocking client.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use slotwise::cluster::{Config, NodeCounters, NodeLoad, Notice, ReadFrom, SubmitError};
use slotwise::command::{CommandSpec, Target};
use slotwise::ids::NodeId;
use slotwise::resp::Args;
use slotwise::time::Duration;
use slotwise::topology::{Map, Owner, Rejection};

use crate::batch::Batch;
use crate::counters::Counters;
use crate::driver::{Driver, Reply, Work};
use crate::error::Error;
use crate::pipeline::Pipeline;
use crate::profile::Profile;
use crate::results::Results;
use crate::topology::Topology;
use crate::url::Url;
use crate::value::Value;
use crate::work::BatchWork;

/// Commands of one batch with the engine at a time; the others wait in the batch.
const MAX_OPEN: usize = 65_536;

/// How a client is set up; see [`Client::builder`].
#[derive(Clone)]
pub struct Builder {
    pub(crate) profile: Profile,
    pub(crate) config: Config,
    connect_limit: StdDuration,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("seeds", &self.profile.seeds)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// A set-up for the cluster that a URL names.
    #[must_use]
    pub fn new(url: &Url) -> Self {
        Self { profile: Profile::of(url), config: Config::new(seed()), connect_limit: StdDuration::from_secs(10) }
    }

    /// Time from submission to outcome of each command, retries included. 15 seconds unless set.
    #[must_use]
    pub fn command_timeout(mut self, limit: StdDuration) -> Self {
        self.config.command_timeout = Duration::from(limit);
        self
    }

    /// Time for each TCP connect, and for finding the cluster at the start (twice this).
    #[must_use]
    pub fn connect_timeout(mut self, limit: StdDuration) -> Self {
        self.config.timeouts.connect = Duration::from(limit);
        self.connect_limit = limit * 2;
        self
    }

    /// Where read-only commands go. To primaries unless set.
    #[must_use]
    pub fn read_from(mut self, policy: ReadFrom) -> Self {
        self.config.read_from = policy;
        self
    }

    /// Redirects are handed to the caller as errors instead of being followed.
    #[must_use]
    pub fn no_redirects(mut self) -> Self {
        self.config.follow_redirects = false;
        self
    }

    /// Where nodes are dialled, given the host and port they announce; `None` leaves an address as it is. For clusters
    /// behind address translation. Seeds are not translated: they are given as they can be reached. A node that announces
    /// no host is announced at the host of the seed that named it.
    ///
    /// ```no_run
    /// # let builder = slotwise_std::Client::builder("redis://192.0.2.7:16379")?;
    /// let client = builder
    ///     .address_map(|host, port| host.starts_with("172.17.").then(|| ("192.0.2.7".to_owned(), port + 10_000)))
    ///     .connect()?;
    /// # Ok::<(), slotwise_std::Error>(())
    /// ```
    #[must_use]
    pub fn address_map(mut self, map: impl Fn(&str, u16) -> Option<(String, u16)> + Send + Sync + 'static) -> Self {
        self.profile.address_map = Some(Arc::new(map));
        self
    }

    /// Looks host names up with this instead of the operating system, on a thread of its own. Names are looked up again at
    /// every dial, so a cluster whose nodes all went elsewhere is found again by the names of its seeds. IP addresses are
    /// not looked up.
    #[must_use]
    pub fn resolver(
        mut self,
        look_up: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.profile.resolver = Some(Arc::new(look_up));
        self
    }

    /// Which announced hosts and ports may be dialled. Others never are, whatever topology replies and redirects say, and
    /// commands that only such a node serves fail with
    /// [`Reason::EndpointRefused`](slotwise::pipeline::Reason::EndpointRefused). Seeds are not asked about.
    #[must_use]
    pub fn endpoint_filter(mut self, allowed: impl Fn(&str, u16) -> bool + Send + Sync + 'static) -> Self {
        self.profile.endpoint_filter = Some(Arc::new(allowed));
        self
    }

    /// Speaks TLS with every node, with this set-up; the URL need not say `rediss://` then. Without it `rediss://` trusts
    /// what the operating system trusts. See [`tls`](crate::tls) and [`tls::Files`](crate::tls::Files).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: Arc<crate::tls::rustls::ClientConfig>) -> Self {
        self.profile.tls.config = Some(config);
        self
    }

    /// The name that a node's certificate must carry, given the host and port it announces (a seed's: those of the URL);
    /// `None` leaves it at the announced host, whatever [`Builder::address_map`] makes of that.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_names(mut self, names: impl Fn(&str, u16) -> Option<String> + Send + Sync + 'static) -> Self {
        self.profile.tls.names = Some(Arc::new(names));
        self
    }

    /// Commands of one slot go out one by one, so that none runs before an older one whatever happens; see
    /// [`Config::strict_order`].
    #[must_use]
    pub fn strict_order(mut self) -> Self {
        self.config.strict_order = true;
        self
    }

    /// Commands are sent again also when they may have run, whether they write or not. For one command alone there is
    /// [`Batch::push_repeatable`].
    #[must_use]
    pub fn resend_unsure(mut self) -> Self {
        self.config.resend_unsure = true;
        self
    }

    /// Most bytes of commands that were submitted and have not ended. A batch holds the rest back; a pipeline answers
    /// those beyond with [`SubmitError::FullBytes`].
    #[must_use]
    pub fn max_bytes(mut self, bytes: u32) -> Self {
        self.config.max_bytes = bytes;
        self
    }

    /// Most unsent commands that wait for one node; those beyond fail with
    /// [`Reason::QueueFull`](slotwise::pipeline::Reason::QueueFull).
    #[must_use]
    pub fn max_queue(mut self, commands: u32) -> Self {
        self.config.max_queue = commands;
        self
    }

    /// Most bytes of one reply, which is gathered whole before it is handed out; 1 GiB unless set. A larger one is read to
    /// its end and dropped, and its command fails with
    /// [`Reason::ReplyTooLarge`](slotwise::pipeline::Reason::ReplyTooLarge). Messages of subscriptions that are larger are
    /// lost.
    #[must_use]
    pub fn max_reply(mut self, bytes: usize) -> Self {
        self.profile.max_reply = Some(bytes);
        self
    }

    /// Tells `observer` what the engine does, as it happens: connections, redirects, retries, refreshes, what changed in
    /// the map, and each command from submission to end. No [`Notice`] holds a key, a value or a password. It is called
    /// from within the client's methods, some times for each command, so it should be brief.
    #[must_use]
    pub fn observe(mut self, observer: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Self {
        self.profile.observer = Some(Arc::new(observer));
        self
    }

    /// Speaks RESP2 even where RESP3 is known.
    #[must_use]
    pub fn resp2(mut self) -> Self {
        self.profile.resp2 = true;
        self
    }

    /// The name that CLIENT LIST shows.
    #[must_use]
    pub fn client_name(mut self, name: &str) -> Self {
        self.profile.client_name = Some(name.to_owned());
        self
    }

    /// Everything else: the engine's own configuration.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Finds the cluster.
    ///
    /// # Errors
    /// [`Error::NoCluster`] when no seed leads to one in time, [`Error::Settings`], [`Error::Io`]; `Error::Tls` where that
    /// is built in.
    pub fn connect(self) -> Result<Client, Error> {
        let mut client = self.start()?;
        client.find_cluster()?;
        Ok(client)
    }

    /// A client that has not looked for its cluster yet: for programs that may start before the cluster, or while it is
    /// down. Seeds are dialled, in turn and with back-off, whenever the client is used; until a topology is known commands
    /// wait, each until its own deadline. Commands for every node wait for as long as [`Builder::connect`] would; on a
    /// [`Pipeline`] they fail as `NotSent` instead.
    ///
    /// # Errors
    /// [`Error::Settings`], [`Error::Io`]; `Error::Tls` where that is built in.
    #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "what TLS needs is completed"))]
    pub fn start(mut self) -> Result<Client, Error> {
        self.profile.settings().check().map_err(Error::Settings)?;
        #[cfg(feature = "tls")]
        {
            self.profile.tls = std::mem::take(&mut self.profile.tls).or_system(self.profile.secure)?;
        }
        let limit = self.connect_limit;
        Ok(Client { driver: Driver::new(self.profile, self.config)?, limit, scan_tags: 0 })
    }
}

/// A client of one cluster: all nodes in parallel over one event loop, run by the calling thread.
///
/// ```no_run
/// use slotwise_std::Client;
///
/// let mut client = Client::connect("redis://127.0.0.1:7000")?;
/// client.command(&["SET", "greeting", "hello"])?;
/// assert_eq!(client.command(&["GET", "greeting"])?.as_bytes(), Some(&b"hello"[..]));
/// # Ok::<(), slotwise_std::Error>(())
/// ```
pub struct Client {
    pub(crate) driver: Driver,
    limit: StdDuration,
    /// Tags given to requests of scans so far.
    pub(crate) scan_tags: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let map = self.map();
        f.debug_struct("Client").field("nodes", &map.node_count()).field("map", &map.version()).finish_non_exhaustive()
    }
}

/// No commands: the loop runs for the engine's own sake.
struct Idle;

impl Work for Idle {
    fn encode(&mut self, _tag: u64, _out: &mut Vec<u8>) {}
    fn reply(&mut self, _tag: u64, _reply: Reply<'_>) {}
    fn failed(&mut self, _tag: u64, _failure: slotwise::pipeline::Failure) {}
}

impl Client {
    /// Finds the cluster that a URL names, with the default set-up.
    ///
    /// # Errors
    /// As [`Builder::connect`], and [`Error::Url`].
    pub fn connect(url: &str) -> Result<Self, Error> {
        Self::builder(url)?.connect()
    }

    /// A set-up to change before connecting.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn builder(url: &str) -> Result<Builder, Error> {
        Ok(Builder::new(&Url::parse(url)?))
    }

    fn find_cluster(&mut self) -> Result<(), Error> {
        let until = std::time::Instant::now() + self.limit;
        let now = self.driver.now();
        self.driver.cluster.connect(now);
        while self.map().is_empty() {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() || self.is_hopeless() {
                return Err(self.no_cluster());
            }
            self.driver.turn(&mut Idle, Some(left))?;
        }
        Ok(())
    }

    /// Whether waiting longer is not likely to help: every seed has failed twice, or was met and has no cluster.
    fn is_hopeless(&self) -> bool {
        let seeds = self.driver.profile.seeds.len() as u64;
        let no_cluster = self.driver.cluster.last_rejection() == Some(Rejection::NoCluster);
        self.driver.counters.closed >= 2 * seeds || (no_cluster && seeds == 1)
    }

    fn no_cluster(&self) -> Error {
        Error::NoCluster {
            last: self.driver.last_close().cloned(),
            rejected: self.driver.cluster.last_rejection().map(|rejection| rejection.to_string()),
        }
    }

    /// The slot map as it is known now.
    #[must_use]
    pub fn map(&self) -> Map<'_> {
        self.driver.cluster.map()
    }

    /// What the client did so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.driver.counters.with(self.driver.cluster.observer())
    }

    /// How many commands were written to each node so far: those sent again, and parts of split ones, each time.
    pub fn sent_to(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        self.node_counters().map(|(node, counters)| (node, counters.commands)).filter(|(_, count)| *count > 0)
    }

    /// What happened at each node so far, by node id; nodes that have left the cluster included.
    pub fn node_counters(&self) -> impl Iterator<Item = (NodeId, NodeCounters)> + '_ {
        self.driver.cluster.observer().nodes()
    }

    /// What happened at no node that is known: at seeds that had not said which node they are, and to commands that
    /// reached no node.
    #[must_use]
    pub fn other_counters(&self) -> NodeCounters {
        self.driver.cluster.observer().elsewhere()
    }

    /// What a node has to do now: commands that wait for it, and those whose replies are due.
    #[must_use]
    pub fn node_load(&self, node: &NodeId) -> NodeLoad {
        self.driver.cluster.load(Some(node))
    }

    /// How often each address (`host:port`) was dialled so far.
    pub fn dialled(&self) -> impl Iterator<Item = (&str, u64)> + '_ {
        self.driver.dialled.iter().map(|(addr, count)| (addr.as_str(), *count))
    }

    /// A copy of the slot map, freshly asked for.
    ///
    /// # Errors
    /// [`Error::NoCluster`] when no node answers in time.
    pub fn topology(&mut self) -> Result<Topology, Error> {
        let before = self.driver.cluster.refreshes();
        let until = std::time::Instant::now() + self.limit;
        let now = self.driver.now();
        self.driver.cluster.refresh(now);
        while self.driver.cluster.refreshes() == before {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Err(self.no_cluster());
            }
            self.driver.turn(&mut Idle, Some(left))?;
        }
        Ok(Topology::of(&self.map()))
    }

    /// Runs one command and waits for its reply.
    ///
    /// # Errors
    /// The server's error reply, or why no reply came and whether the command ran.
    pub fn command<A: Args + ?Sized>(&mut self, args: &A) -> Result<Value, Error> {
        let mut batch = Batch::new();
        batch.push(args);
        self.run(&batch)?.value(0)
    }

    /// Runs one command at a place of the caller's choice.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn command_to<A: Args + ?Sized>(&mut self, target: Target, args: &A) -> Result<Value, Error> {
        let mut batch = Batch::new();
        batch.push_to(target, args);
        self.run(&batch)?.value(0)
    }

    /// Publishes a message to the subscribers of a channel on all nodes; how many of those on the node that was asked
    /// got it.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn publish(&mut self, channel: &[u8], message: &[u8]) -> Result<i64, Error> {
        self.receivers("PUBLISH", channel, message)
    }

    /// Publishes a message to the subscribers of a sharded channel; how many of those on the node that serves its slot
    /// got it. Redis and Valkey 7.0 and later.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn spublish(&mut self, channel: &[u8], message: &[u8]) -> Result<i64, Error> {
        self.receivers("SPUBLISH", channel, message)
    }

    fn receivers(&mut self, name: &str, channel: &[u8], message: &[u8]) -> Result<i64, Error> {
        let reply = self.command(&[name.as_bytes(), channel, message])?;
        reply.as_i64().ok_or_else(|| Error::UnexpectedReply { command: name.to_owned() })
    }

    /// Runs a batch: every command reaches its node in one go, redirects are followed, results come in submission
    /// order.
    ///
    /// # Errors
    /// [`Error::Io`] when the event loop itself fails. What happens to single commands is in the results.
    pub fn run(&mut self, batch: &Batch) -> Result<Results, Error> {
        self.run_with(batch, |_| {})
    }

    /// Runs a batch and tells `progress`, from time to time, how many commands have been answered.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub fn run_with(&mut self, batch: &Batch, mut progress: impl FnMut(usize)) -> Result<Results, Error> {
        let mut work = BatchWork::new(batch);
        let mut next = 0;
        while next < batch.len() || work.open > 0 {
            while next < batch.len() && work.open < MAX_OPEN {
                self.submit(&mut work, next)?;
                next += 1;
            }
            if work.open > 0 {
                self.driver.turn(&mut work, None)?;
            }
            progress(next.saturating_sub(work.open));
        }
        Ok(work.results)
    }

    /// Commands for every node need to know them first.
    fn await_nodes(&mut self, work: &mut BatchWork<&Batch>) -> Result<(), Error> {
        let until = std::time::Instant::now() + self.limit;
        let now = self.driver.now();
        self.driver.cluster.connect(now);
        while self.map().is_empty() {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                break;
            }
            self.driver.turn(work, Some(left))?;
        }
        Ok(())
    }

    fn submit(&mut self, work: &mut BatchWork<&Batch>, index: usize) -> Result<(), Error> {
        if self.map().is_empty() && work.goes_everywhere(index) {
            self.await_nodes(work)?;
        }
        let map = self.driver.cluster.map();
        let specs = work.units_of(index, |replicas| everywhere(&map, replicas));
        for (part, spec) in specs.into_iter().enumerate() {
            let tag = work.tag(index, part);
            loop {
                let now = self.driver.now();
                match self.driver.cluster.submit(now, CommandSpec { tag, ..spec }) {
                    Ok(_) => break,
                    // Others of this batch, or replies that nobody waits for, make room as they come in.
                    Err(SubmitError::FullBytes) => self.driver.turn(work, None)?,
                    Err(error) => {
                        work.refused(tag, error);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// A pipeline without an end: commands go out as they are added, answers come as they arrive.
    pub fn pipeline(&mut self) -> Pipeline<'_> {
        Pipeline::new(self)
    }

    /// Ends the client: waits for what is in flight and closes the connections.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn close(mut self) -> Result<(), Error> {
        let now = self.driver.now();
        self.driver.cluster.shutdown(now);
        let until = std::time::Instant::now() + self.limit;
        while !self.driver.cluster.is_drained() && std::time::Instant::now() < until {
            self.driver.turn(&mut Idle, Some(StdDuration::from_millis(50)))?;
        }
        Ok(())
    }
}

/// Every primary with slots, or every node that can be dialled.
pub(crate) fn everywhere(map: &Map<'_>, replicas: bool) -> Vec<NodeId> {
    if replicas {
        return map.nodes().filter(|(_, node)| node.is_routable()).map(|(_, node)| node.id()).collect();
    }
    let owns = |at| map.ranges().any(|(range, _)| map.owner(range.first()) == Owner::Node(at));
    map.nodes().filter(|(at, node)| node.is_primary() && owns(*at)).map(|(_, node)| node.id()).collect()
}

/// A jitter seed that differs from process to process.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
