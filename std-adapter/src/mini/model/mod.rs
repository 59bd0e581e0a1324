//! The server side of a cluster as a pure state machine: commands in, replies and pushes out.
//!
//! It owns no socket, reads no clock, draws no random number and starts no thread: given the same calls it does the same,
//! so that a simulator can put a network of its own around it and a TCP server can serve it. It is compared with
//! real servers, command by command, by the tests of the repository.
//!
//! Views of the slot table are per node, with configuration epochs, and differ until somebody calls
//! [`Model::gossip`] (one message) or [`Model::settle`] (until nothing changes).
//!
//! Time is handed in ([`Model::advance`]); what really ran, and what of it was lost, can be asked for
//! ([`Model::take_events`]).

mod atomic;
mod blocking;
mod client;
mod clock;
mod commands;
mod control;
mod endpoint;
mod failover;
#[cfg(test)]
mod fault_tests;
mod faults;
mod glob;
mod gossip;
mod ledger;
mod lua;
mod members;
mod node;
mod process;
mod profile;
mod replication;
mod reply;
mod route;
#[cfg(test)]
mod rule_tests;
mod run_acl;
mod run_blocking;
mod run_cluster;
mod run_cluster_scan;
mod run_connection;
mod run_expiry;
mod run_keys;
mod run_lists;
mod run_pubsub;
mod run_scan;
mod run_script;
mod run_server;
mod run_sets;
mod run_strings;
mod run_transaction;
mod sha1;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod tracking;
mod users;
mod view;

use client::Client;
pub use client::ClientId;
pub use control::ControlError;
pub use endpoint::Endpoint;
pub use faults::{Restart, Switches};
pub use ledger::{Event, Execution, Inside};
use node::Node;
pub use profile::Profile;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What to model.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// The servers' habits.
    pub profile: Profile,
    /// Number of primaries (1 to 1000), which share the slots equally.
    pub primaries: usize,
    /// Number of replicas of each primary.
    pub replicas: usize,
    /// Password of the default user.
    pub password: Option<Vec<u8>>,
    /// Whether a slot without an owner takes the whole cluster down.
    pub full_coverage: bool,
    /// Seed of node ids and hash functions.
    pub seed: u64,
}

impl Default for ModelOptions {
    fn default() -> Self {
        ModelOptions {
            profile: Profile::Valkey9,
            primaries: 3,
            replicas: 0,
            password: None,
            full_coverage: true,
            seed: 1,
        }
    }
}

/// Commands that were answered with a redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redirects {
    /// With MOVED.
    pub moved: u64,
    /// With ASK.
    pub ask: u64,
}

/// A cluster of model servers.
#[derive(Debug)]
pub struct Model {
    options: ModelOptions,
    nodes: Vec<Node>,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    // Something was written for a connection, or one was closed, otherwise than by its own command.
    stirred: bool,
    // The last command changed a node's view of the slots.
    unsettled: bool,
    redirects: Redirects,
    now: Duration,
    ledger: ledger::Ledger,
    // Counts changes of data.
    changes: u64,
    next_history: u64,
    // Some node is or was a replica.
    replicas_exist: bool,
    // Clients with blocked commands, the one that waits longest first; some may have ended.
    waiting: Vec<u64>,
    // Clients whose waiting commands can perhaps run.
    awake: VecDeque<u64>,
    // Clients with tracking; some may have ended.
    tracking: BTreeSet<u64>,
    // The client whose command runs.
    running: Option<ClientId>,
    // Clients that watch keys; some may have stopped.
    watching: BTreeSet<u64>,
    finishing: bool,
    any_failed: bool,
    jobs: BTreeMap<u64, atomic::Job>,
    next_job: u64,
}

impl Model {
    /// A formed cluster without keys. Nodes `0..primaries` are primaries, the others replicas of them in order. Every node's
    /// address is 127.0.0.1 with port 0 until [`set_address`](Model::set_address) is called.
    #[must_use]
    pub fn new(options: ModelOptions) -> Self {
        let nodes = node::formed(&options);
        Model {
            next_history: nodes.len() as u64,
            replicas_exist: options.replicas > 0,
            options,
            nodes,
            clients: BTreeMap::new(),
            next_client: 1,
            stirred: false,
            unsettled: false,
            redirects: Redirects::default(),
            now: Duration::ZERO,
            ledger: ledger::Ledger::default(),
            changes: 0,
            waiting: Vec::new(),
            awake: VecDeque::new(),
            tracking: BTreeSet::new(),
            running: None,
            watching: BTreeSet::new(),
            finishing: false,
            any_failed: false,
            jobs: BTreeMap::new(),
            next_job: 1,
        }
    }

    /// What the model was made from.
    #[must_use]
    pub fn options(&self) -> &ModelOptions {
        &self.options
    }

    /// Where a node says it can be reached.
    pub fn set_address(&mut self, node: usize, host: &str, port: u16) {
        if let Some(node) = self.nodes.get_mut(node) {
            host.clone_into(&mut node.host);
            node.port = port;
        }
    }

    /// A new connection to a node. Where there are too many it gets an error and is closed; one to a node that does not run
    /// ([`accepts`](Model::accepts)) is closed at once.
    pub fn connect(&mut self, node: usize) -> ClientId {
        let id = self.next_client;
        self.next_client += 1;
        let found = self.nodes.get(node);
        let mut client = Client::new(node, found.is_some_and(|node| node.users.open()));
        if !found.is_some_and(|node| node.up) {
            client.cut();
        } else if let Some(most) = found.and_then(|node| node.switches.most_clients)
            && self.clients.values().filter(|client| client.node == node && !client.closing).count() >= most
        {
            client.out.extend_from_slice(b"-ERR max number of clients reached\r\n");
            client.closing = true;
        }
        self.stirred |= client.closing;
        self.clients.insert(id, client);
        ClientId(id)
    }

    /// The connection has ended.
    pub fn disconnect(&mut self, client: ClientId) {
        self.clients.remove(&client.0);
    }

    /// Takes the bytes that wait for the connection's peer: replies and pushes, in order.
    pub fn take_output(&mut self, client: ClientId) -> Vec<u8> {
        self.clients.get_mut(&client.0).map(|client| std::mem::take(&mut client.out)).unwrap_or_default()
    }

    /// Whether the connection speaks RESP3.
    #[must_use]
    pub fn is_resp3(&self, client: ClientId) -> bool {
        self.clients.get(&client.0).is_some_and(|client| client.resp3)
    }

    /// Whether the connection has subscriptions.
    #[must_use]
    pub fn is_subscribed(&self, client: ClientId) -> bool {
        self.clients.get(&client.0).is_some_and(Client::subscribed)
    }

    /// Whether bytes wait for the connection's peer.
    #[must_use]
    pub fn has_output(&self, client: ClientId) -> bool {
        self.clients.get(&client.0).is_some_and(|client| !client.out.is_empty())
    }

    /// Connections with bytes for their peer, or about to be closed, in ascending order.
    pub fn loud_clients(&self) -> impl Iterator<Item = ClientId> {
        self.clients.iter().filter(|(_, client)| client.closing || !client.out.is_empty()).map(|(id, _)| ClientId(*id))
    }

    /// Whether since the last call something may have been written for a connection, or one been closed, otherwise than in
    /// answer to the command that [`request`](Model::request) was called with: if not, nobody else need be looked at.
    pub fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    /// Whether the server closes the connection once its output is written.
    #[must_use]
    pub fn is_closing(&self, client: ClientId) -> bool {
        self.clients.get(&client.0).is_none_or(|client| client.closing)
    }

    /// The client behind a command that is being run.
    fn client(&mut self, id: ClientId) -> &mut Client {
        // A command only runs for a client of the map, and only `disconnect` takes one out.
        self.clients.get_mut(&id.0).expect("the client of a running command")
    }

    fn profile(&self, id: ClientId) -> Profile {
        self.nodes[self.node_of(id)].profile
    }

    fn node_of(&self, id: ClientId) -> usize {
        self.clients.get(&id.0).map_or(0, |client| client.node)
    }
}
