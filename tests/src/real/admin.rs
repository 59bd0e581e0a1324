//! What an operator does to a running cluster, apart from migrations.

use super::conn::{Conn, ReadError, Value};
use super::servers::ServerKind;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an operation may take before it is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks at the state of the cluster.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// A node's address and identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Port of the cluster bus.
    pub bus_port: u16,
    /// The 40 hexadecimal digits of `CLUSTER MYID`.
    pub id: String,
}

/// An operation that did not work, in words.
#[derive(Clone, Debug)]
pub struct AdminError(pub String);

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AdminError {}

impl From<std::io::Error> for AdminError {
    fn from(e: std::io::Error) -> Self {
        AdminError(e.to_string())
    }
}

impl From<ReadError> for AdminError {
    fn from(e: ReadError) -> Self {
        AdminError(e.to_string())
    }
}

/// One line of the cluster's map as a node sees it: slots, primary's id, replicas' ids in order of their names.
pub(super) type MapLine = (u16, u16, String, Vec<String>);

/// A handle on the nodes of a cluster (not on its processes); cheap to clone and free to move to other threads.
#[derive(Clone, Debug)]
pub struct Admin {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kind: ServerKind,
    nodes: Vec<NodeInfo>,
    primaries: usize,
    replicas: usize,
}

impl Admin {
    pub(super) fn new(kind: ServerKind, nodes: Vec<NodeInfo>, primaries: usize, replicas: usize) -> Self {
        Admin { shared: Arc::new(Shared { kind, nodes, primaries, replicas }) }
    }

    /// The server family.
    pub fn kind(&self) -> ServerKind {
        self.shared.kind
    }

    /// All nodes; the index is the node's number.
    pub fn nodes(&self) -> &[NodeInfo] {
        &self.shared.nodes
    }

    /// Numbers of the nodes that began as primaries.
    pub fn primaries(&self) -> Range<usize> {
        0..self.shared.primaries
    }

    /// Numbers of the nodes that began as replicas of `primary`.
    pub fn replicas_of(&self, primary: usize) -> Vec<usize> {
        let first = self.shared.primaries + primary * self.shared.replicas;
        (first..first + self.shared.replicas).collect()
    }

    /// The shard (number of its first primary) a node belongs to.
    pub fn shard_of(&self, node: usize) -> usize {
        if node < self.shared.primaries { node } else { (node - self.shared.primaries) / self.shared.replicas }
    }

    /// The node's port.
    pub fn port(&self, node: usize) -> u16 {
        self.shared.nodes[node].port
    }

    /// The node's port of the cluster bus.
    pub fn bus_port(&self, node: usize) -> u16 {
        self.shared.nodes[node].bus_port
    }

    /// The node's `host:port`.
    pub fn addr(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.port(node))
    }

    /// `host:port` of every node.
    pub fn seeds(&self) -> Vec<String> {
        (0..self.shared.nodes.len()).map(|node| self.addr(node)).collect()
    }

    /// The number of the node on `port`.
    pub fn node_at(&self, port: u16) -> Option<usize> {
        self.shared.nodes.iter().position(|node| node.port == port)
    }

    /// The number of the node called `id`.
    pub fn node_by_id(&self, id: &str) -> Option<usize> {
        self.shared.nodes.iter().position(|node| node.id == id)
    }

    /// A connection to a node.
    ///
    /// # Panics
    ///
    /// When the node does not accept it.
    pub fn connect(&self, node: usize) -> Conn {
        Conn::open(self.port(node)).unwrap_or_else(|e| panic!("node {node}: {e}"))
    }

    /// Sends one command on a connection of its own; an error reply is an error.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached, does not answer or answers with an error.
    pub fn ask<A: AsRef<[u8]>>(&self, node: usize, args: &[A]) -> Result<Value, AdminError> {
        let words = || args.iter().map(|a| String::from_utf8_lossy(a.as_ref())).collect::<Vec<_>>().join(" ");
        let reply = Conn::open(self.port(node))
            .map_err(ReadError::from)
            .and_then(|mut conn| conn.try_call(args))
            .map_err(|e| AdminError(format!("node {node}: {}: {e}", words())))?;
        match reply.error() {
            Some(text) => Err(AdminError(format!("node {node}: {}: {}", words(), String::from_utf8_lossy(text)))),
            None => Ok(reply),
        }
    }

    /// The node that serves `slot`, by the vote of all nodes that answer.
    pub fn owner(&self, slot: u16) -> Option<usize> {
        let mut votes = vec![0; self.nodes().len()];
        for node in 0..votes.len() {
            let Ok(map) = self.map_of(node) else { continue };
            let line = map.iter().find(|(first, last, ..)| (*first..=*last).contains(&slot));
            if let Some(owner) = line.and_then(|(_, _, id, _)| self.node_by_id(id)) {
                votes[owner] += 1;
            }
        }
        let most = votes.iter().enumerate().max_by_key(|(_, votes)| **votes)?;
        (*most.1 > 0).then_some(most.0)
    }

    /// The node of a shard that is its primary now, by the nodes' own word.
    pub fn primary_of(&self, shard: usize) -> Option<usize> {
        let mut members = vec![shard];
        members.extend(self.replicas_of(shard));
        members.into_iter().find(|node| self.is_primary(*node))
    }

    /// Whether the node says it is a primary.
    pub fn is_primary(&self, node: usize) -> bool {
        self.ask(node, &["ROLE"]).is_ok_and(|role| role.items().first().is_some_and(|r| r.text() == "master"))
    }

    /// The slot map one node reports, in ascending order.
    pub(super) fn map_of(&self, node: usize) -> Result<Vec<MapLine>, AdminError> {
        let reply = self.ask(node, &["CLUSTER", "SLOTS"])?;
        let mut lines = Vec::new();
        for line in reply.items() {
            let [first, last, primary, replicas @ ..] = line.items() else { continue };
            let id = |entry: &Value| entry.items().get(2).map(Value::text).unwrap_or_default();
            let mut replicas: Vec<String> = replicas.iter().map(id).collect();
            replicas.sort();
            let slot = |value: &Value| value.int().and_then(|n| u16::try_from(n).ok()).unwrap_or(u16::MAX);
            lines.push((slot(first), slot(last), id(primary), replicas));
        }
        lines.sort();
        Ok(lines)
    }

    /// Waits until every node that answers reports `cluster_state:ok` and the same complete map.
    ///
    /// # Errors
    ///
    /// After 20 s, with the last disagreement.
    pub fn wait_agreed(&self) -> Result<(), AdminError> {
        self.wait_agreed_with(|_| Ok(()))
    }

    /// As [`wait_agreed`](Admin::wait_agreed), with a further condition on the common map.
    pub(super) fn wait_agreed_with(&self, check: impl Fn(&[MapLine]) -> Result<(), String>) -> Result<(), AdminError> {
        self.wait(|| {
            let mut common: Option<Vec<MapLine>> = None;
            for node in 0..self.nodes().len() {
                if Conn::open(self.port(node)).is_err() {
                    continue;
                }
                let info = self.ask(node, &["CLUSTER", "INFO"]).map_err(|e| e.0)?.text();
                if !info.contains("cluster_state:ok") {
                    return Err(format!("node {node} does not say cluster_state:ok"));
                }
                let map = self.map_of(node).map_err(|e| e.0)?;
                let covered: u32 = map.iter().map(|(first, last, ..)| u32::from(last - first) + 1).sum();
                if covered != 16384 {
                    return Err(format!("node {node} knows {covered} slots"));
                }
                match &common {
                    Some(common) if *common != map => {
                        return Err(format!("node {node} has another map than the first"));
                    }
                    _ => common = Some(map),
                }
            }
            check(&common.ok_or("no node answers")?)
        })
    }

    /// Waits until `check` says Ok; after 20 s its last complaint is the error.
    pub(super) fn wait(&self, mut check: impl FnMut() -> Result<(), String>) -> Result<(), AdminError> {
        let end = Instant::now() + PATIENCE;
        loop {
            match check() {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() > end => return Err(AdminError(format!("gave up waiting: {why}"))),
                Err(_) => std::thread::sleep(TICK),
            }
        }
    }

    /// Makes `replica` the primary of its shard by agreement with the old primary (no write is lost), and waits until all
    /// nodes agree. Open connections stay open.
    ///
    /// # Errors
    ///
    /// When the servers refuse, or do not agree in time.
    pub fn failover(&self, replica: usize) -> Result<(), AdminError> {
        self.promote(replica, &["CLUSTER", "FAILOVER"])
    }

    /// Makes `replica` the primary of its shard without asking anybody, for when the primary is dead or paused.
    ///
    /// # Errors
    ///
    /// When the servers refuse, or do not agree in time.
    pub fn takeover(&self, replica: usize) -> Result<(), AdminError> {
        self.promote(replica, &["CLUSTER", "FAILOVER", "TAKEOVER"])
    }

    fn promote(&self, replica: usize, command: &[&str]) -> Result<(), AdminError> {
        let mut asked: Option<Instant> = None;
        // A replica whose link is just being made anew refuses, and a vote can be lost: both are tried again.
        self.wait(|| {
            if asked.is_none_or(|at| at.elapsed() > Duration::from_secs(6)) {
                self.ask(replica, command).map_err(|e| e.0)?;
                asked = Some(Instant::now());
            }
            if self.is_primary(replica) { Ok(()) } else { Err(format!("node {replica} is still a replica")) }
        })?;
        let id = &self.nodes()[replica].id;
        let old: Vec<MapLine> = self.map_of(replica)?;
        let holds = old.iter().any(|(_, _, primary, _)| primary == id);
        self.wait_agreed_with(|map| {
            let seen = map.iter().any(|(_, _, primary, _)| primary == id);
            if seen || !holds { Ok(()) } else { Err(format!("node {replica} is not seen as a primary")) }
        })
    }

    /// Closes every ordinary client connection of a node; the number of them.
    ///
    /// # Errors
    ///
    /// When the node does not answer.
    pub fn kill_clients(&self, node: usize) -> Result<i64, AdminError> {
        let reply = self.ask(node, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
        Ok(reply.int().unwrap_or(0))
    }

    /// Removes every key of every primary.
    ///
    /// # Errors
    ///
    /// When a primary does not answer.
    pub fn flush_all(&self) -> Result<(), AdminError> {
        for shard in self.primaries() {
            if let Some(node) = self.primary_of(shard) {
                self.ask(node, &["FLUSHALL"])?;
            }
        }
        Ok(())
    }

    /// The number of keys on all primaries, by `DBSIZE`.
    ///
    /// # Errors
    ///
    /// When a primary does not answer.
    pub fn key_count(&self) -> Result<i64, AdminError> {
        let mut count = 0;
        for shard in self.primaries() {
            let node = self.primary_of(shard).ok_or_else(|| AdminError(format!("shard {shard} has no primary")))?;
            count += self.ask(node, &["DBSIZE"])?.int().unwrap_or(0);
        }
        Ok(count)
    }
}
