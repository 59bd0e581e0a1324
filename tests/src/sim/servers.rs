//! The servers: the cluster model, and what happens to the processes around it.

use std::collections::{BTreeMap, BTreeSet};

use slotwise::connection::ControlFrame;
use slotwise::slot::Slot;
use slotwise_std::mini::model::{ClientId, Event, Inside, Model, ModelOptions};

use super::bus::Bus;
use super::bytes::Bytes;
use super::kinds::Fault;
use super::options::Options;
use super::wire::{Request, request};

/// The port of the first node; the others follow.
pub const PORT: u16 = 7000;
/// Addresses that begin so belong to nobody: only an adversary or a script names them.
pub const FORGED: &str = "10.66.";
/// Where the other cluster says it can be reached.
pub const ALIEN: &str = "10.77.0.1";
/// The passwords, in the order in which they are used. Nothing else contains their beginning.
pub const PASSWORDS: [&str; 3] = ["canary-pw-one", "canary-pw-two", "canary-pw-three"];
/// What shows a password.
pub const CANARY: &[u8] = b"canary-pw-";

/// The name of a node in the name service, which clients know from the beginning.
#[must_use]
pub fn seed_name(node: usize) -> String {
    format!("seed-{}.test", node + 1)
}

/// The host name that a node announces where it announces one.
#[must_use]
pub fn node_name(node: usize) -> String {
    format!("node-{}.test", node + 1)
}

/// A node's port.
#[must_use]
pub const fn port_of(node: usize) -> u16 {
    PORT + node as u16
}

/// A command as the client's side wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A frame of the engine's own.
    Own(ControlFrame),
    /// A request.
    One(u64),
    /// A command of a MULTI ... EXEC group, and whether it is EXEC.
    Member(u64, bool),
}

/// The server's side of a connection.
#[derive(Debug)]
pub struct Session {
    /// The model's name for it.
    pub client: ClientId,
    /// Whether it is a node of another cluster.
    pub alien: bool,
    /// Bytes that are no whole command yet, or wait because the process stands still.
    pub input: Bytes,
    /// The request that blocks it, and its number.
    pub blocked: Option<(Sent, u64)>,
    /// Commands it was given.
    pub number: u64,
    /// The server ends it behind so many replies.
    pub ends_after: Option<u32>,
    /// Cursors of scans that it was given.
    pub cursors: BTreeSet<u64>,
}

/// A server process.
#[derive(Clone, Debug, Default)]
pub struct SimNode {
    /// Where it listens.
    pub addr: (String, u16),
    /// Whether the process runs.
    pub up: bool,
    /// It stands still until then.
    pub paused: u64,
    /// Nothing gets to it before.
    pub deaf: u64,
    /// Nothing comes from it before.
    pub mute: u64,
    /// Dials are refused until then.
    pub refuses: u64,
    /// Dials are not answered until then.
    pub ignores: u64,
    /// Further fates of dials until then: closed at once, too late, another cluster.
    pub closes: u64,
    /// Dials are answered when the client has given up, until then.
    pub late: u64,
    /// Its address belongs to another cluster until then.
    pub stolen: u64,
    /// New connections end behind so many replies.
    pub hangs_up: Option<u32>,
    /// Every reply takes so much longer.
    pub slow: u64,
    /// Every byte of a reply comes so much behind the one before it.
    pub drip: u64,
    /// The nodes do not hear it until then.
    pub off_bus: u64,
}

/// Everything on the other side.
#[derive(Debug)]
pub struct Servers {
    /// The cluster.
    pub model: Model,
    /// Another cluster, which has got addresses of this one.
    pub alien: Model,
    /// The processes.
    pub nodes: Vec<SimNode>,
    /// Who listens where.
    pub by_addr: BTreeMap<(String, u16), usize>,
    /// Who ever listened where.
    pub ever: BTreeMap<(String, u16), usize>,
    /// Connections by the model's names.
    pub sessions: BTreeMap<(bool, ClientId), u32>,
    /// Executions and refusals so far.
    pub order: u64,
    /// The network is slow until then.
    pub slow_network: u64,
    /// How far the news have spread.
    pub bus: Bus,
    /// Slots that changed their owner in this run, or may have.
    pub moved: Vec<u16>,
    /// An operator's connections, one to each node.
    pub operators: Vec<ClientId>,
    /// The password that is asked for.
    pub password: usize,
    /// Names of addresses used so far.
    pub renames: u32,
    /// Slots that move key by key now, and where to.
    pub moving: BTreeMap<u16, usize>,
    /// Commands that ran and whose replies have not been written down yet: cluster, connection, number.
    pub(super) executed: BTreeSet<(bool, ClientId, u64)>,
    /// Slots with half a migration, and the nodes that take part.
    pub chained: BTreeMap<u16, (usize, usize)>,
    /// Slots that are trimmed, and where.
    pub trimmed: BTreeMap<u16, usize>,
    /// Host names that lead elsewhere, and whose they are.
    pub strayed: BTreeMap<(String, u16), usize>,
    /// Slots without an owner now, and whose they were.
    pub orphans: BTreeMap<u16, usize>,
    /// Nodes that left the cluster for good.
    pub retired: BTreeSet<usize>,
    /// Nodes are found by their ports, whatever host is dialled.
    pub by_port: bool,
    /// All nodes listen at the first port.
    one_port: bool,
    /// Nodes have IPv6 addresses.
    wide: bool,
    /// What stands in outward cursors beside those of the model.
    pub(super) cursor_bits: u64,
    /// When keys were lost last, and all keys of a node.
    lost: BTreeMap<Vec<u8>, u64>,
    /// When the other cluster was asked last.
    pub alien_at: u64,
    all_lost: u64,
    /// Keys that were written at any time, and when last.
    names: BTreeMap<Vec<u8>, u64>,
    /// The first topology reply, for a planted violation.
    pub first_news: Option<Vec<u8>>,
    /// When the model wants to be told the time.
    pub(super) alarm: Option<u64>,
    /// Slots of which two nodes held themselves for the owner when a page of a scan was served, or of which the owner
    /// lacked a key that others had, and when last.
    contested: BTreeMap<u16, u64>,
    /// Messages published on each channel.
    pub published: BTreeMap<Vec<u8>, u64>,
    /// Those of them that were published while other nodes held themselves for the owner, and these nodes.
    pub disputed: BTreeMap<(Vec<u8>, u64), Vec<usize>>,
}

impl Servers {
    /// The servers of a run.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let (primaries, replicas) = options.shards;
        let model = |seed, primaries: u8, replicas: u8| {
            Model::new(ModelOptions {
                profile: options.server,
                primaries: usize::from(primaries),
                replicas: usize::from(replicas),
                password: options.password.then(|| PASSWORDS[0].as_bytes().to_vec()),
                full_coverage: options.full_coverage,
                seed,
            })
        };
        let mut servers = Self {
            model: model(1, primaries, replicas),
            alien: model(77, 1, 0),
            nodes: Vec::new(),
            by_addr: BTreeMap::new(),
            ever: BTreeMap::new(),
            sessions: BTreeMap::new(),
            order: 0,
            slow_network: 0,
            bus: Bus::default(),
            moved: Vec::new(),
            operators: Vec::new(),
            password: 0,
            renames: 0,
            moving: BTreeMap::new(),
            executed: BTreeSet::new(),
            chained: BTreeMap::new(),
            trimmed: BTreeMap::new(),
            strayed: BTreeMap::new(),
            orphans: BTreeMap::new(),
            retired: BTreeSet::new(),
            by_port: false,
            one_port: options.has(Fault::Nameless),
            wide: options.has(Fault::Ipv6),
            cursor_bits: 0,
            lost: BTreeMap::new(),
            alien_at: 0,
            all_lost: 0,
            names: BTreeMap::new(),
            first_news: None,
            alarm: None,
            contested: BTreeMap::new(),
            published: BTreeMap::new(),
            disputed: BTreeMap::new(),
        };
        servers.alien.set_address(0, ALIEN, PORT);
        servers.model.record(true);
        servers.alien.record(true);
        servers.model.record_words(false);
        servers.alien.record_words(false);
        for node in 0..servers.model.node_count() {
            servers.introduce(node, options.password);
            if let Some(mixed) = options.mixed.filter(|_| node % 2 == 1) {
                servers.model.set_profile(node, mixed);
            }
        }
        servers
    }

    /// A node gets an address and an operator.
    pub fn introduce(&mut self, node: usize, password: bool) {
        self.nodes.push(SimNode { up: true, ..SimNode::default() });
        let host = if self.wide { format!("fd00::{:x}", node + 1) } else { format!("10.0.0.{}", node + 1) };
        self.rename(node, host, if self.one_port { PORT } else { port_of(node) });
        self.by_addr.insert((seed_name(node), port_of(node)), node);
        self.by_addr.insert((node_name(node), port_of(node)), node);
        let operator = self.model.connect(node);
        self.operators.push(operator);
        if password {
            self.model.set_password(Some(node), Some(PASSWORDS[self.password].as_bytes()));
            self.operate(node, &[b"AUTH", PASSWORDS[self.password].as_bytes()]);
        }
    }

    /// Gives a node another host.
    pub fn rename(&mut self, node: usize, host: String, port: u16) {
        self.model.set_address(node, &host, port);
        let old = std::mem::replace(&mut self.nodes[node].addr, (host, port));
        if self.by_addr.get(&old) == Some(&node) {
            self.by_addr.remove(&old);
        }
        self.by_addr.insert(self.nodes[node].addr.clone(), node);
        self.ever.insert(self.nodes[node].addr.clone(), node);
    }

    /// Who listens at an address.
    #[must_use]
    pub fn find(&self, addr: &(String, u16)) -> Option<usize> {
        let exact = self.by_addr.get(addr).copied();
        // A name leads to the node whatever port is announced.
        let named = addr.0.strip_prefix("node-").and_then(|rest| rest.strip_suffix(".test"));
        let named = named.and_then(|number| number.parse::<usize>().ok()).and_then(|number| number.checked_sub(1));
        let port = usize::from(addr.1.wrapping_sub(PORT)) % 100;
        let port = Some(port).filter(|_| self.by_port);
        // One address with many ports leads by the port, a name of its own by the name.
        exact.or(port).or(named).filter(|node| *node < self.nodes.len())
    }

    /// Takes over what the models wrote down.
    pub fn take_events(&mut self, now: u64) {
        for (alien, model) in [(false, &mut self.model), (true, &mut self.alien)] {
            for event in model.take_events() {
                let run = match event {
                    Event::Executed(run) => run,
                    Event::Lost { keys, .. } | Event::Dropped { keys, .. } => {
                        self.all_lost = if keys.is_empty() { now } else { self.all_lost };
                        self.lost.extend(keys.into_iter().map(|key| (key, now)));
                        continue;
                    }
                    _ => continue,
                };
                match run.inside {
                    Inside::Nothing => self.executed.insert((alien, run.client, run.number)),
                    Inside::Transaction(exec) => self.executed.insert((alien, run.client, exec)),
                    _ => false,
                };
            }
        }
    }

    /// A command of an operator at a node; its reply.
    pub fn operate(&mut self, node: usize, words: &[&[u8]]) -> Vec<u8> {
        let operator = self.operators[node];
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
        self.model.request(operator, &words);
        self.model.take_output(operator)
    }

    /// Whether a client that follows redirects can read the key.
    #[must_use]
    pub fn readable(&self, key: &[u8]) -> bool {
        let slot = Slot::of_key(key).get();
        let Some(owner) = self.model.owner(slot) else { return false };
        // An owner that took over in the midst of a move need not know of the move, and denies what has gone already.
        let target = self.moving.get(&slot).copied().filter(|to| self.model.sends_on_to(owner, slot) == Some(*to));
        [Some(owner), target].into_iter().flatten().any(|node| self.model.has_key(node, key))
    }

    /// Whether a node that runs holds itself for the owner of a slot, and is not: one that does not run may be.
    #[must_use]
    pub fn is_disputed(&self, slot: u16) -> bool {
        let owner = self.model.owner(slot);
        let claims = |node: usize| self.nodes[node].up && self.model.owner_seen_by(node, slot) == Some(node);
        (0..self.nodes.len()).any(|node| Some(node) != owner && claims(node))
    }

    /// Notes which of the slots of these keys are in dispute now.
    pub fn note_disputes(&mut self, keys: impl Iterator<Item = String>, now: u64) {
        for key in keys {
            let slot = Slot::of_key(key.as_bytes()).get();
            if self.contested.get(&slot) != Some(&now) && (self.is_disputed(slot) || !self.readable(key.as_bytes())) {
                self.contested.insert(slot, now);
            }
        }
    }

    /// Whether a slot was in dispute while a scan was read, since then: either claimant may have been asked, and what one
    /// of them lacks comes back with the other. Nobody who asks the owner can know.
    #[must_use]
    pub fn contested_since(&self, slot: u16, since: u64) -> bool {
        self.contested.get(&slot).is_some_and(|at| *at >= since)
    }

    /// Whether a key was lost with a server's data since then.
    #[must_use]
    pub fn lost_since(&self, key: &[u8], since: u64) -> bool {
        self.all_lost >= since || self.lost.get(key).is_some_and(|at| *at >= since)
    }

    /// Whether the key was written at that time or later.
    #[must_use]
    pub fn written(&self, key: &[u8], since: u64) -> bool {
        self.names.get(key).is_some_and(|at| *at >= since)
    }

    /// Whether some node has the key.
    #[must_use]
    pub fn exists(&self, key: &[u8]) -> bool {
        (0..self.model.node_count()).any(|node| self.model.has_key(node, key))
    }

    /// The keys that were written at any time, and whether they are there.
    pub fn names(&self) -> impl Iterator<Item = (&Vec<u8>, bool)> {
        self.names.keys().map(|key| (key, self.exists(key)))
    }

    /// Notes which keys a command may write.
    pub fn note_names(&mut self, words: &[Vec<u8>], now: u64) {
        let step = match words[0].as_slice() {
            b"SET" | b"INCR" | b"APPEND" | b"RPUSH" | b"LPUSH" => words.len(),
            b"MSET" => 2,
            b"EVAL" => {
                self.names.extend(words.get(3).cloned().map(|key| (key, now)));
                return;
            }
            _ => return,
        };
        for key in words[1..].iter().step_by(step) {
            match self.names.get_mut(key) {
                Some(at) => *at = now,
                None => drop(self.names.insert(key.clone(), now)),
            }
        }
    }

    /// Notes what was carried out now: a transaction, or a command that had to wait, writes later than it came in.
    pub fn note_written(&mut self, mut wire: &[u8], now: u64) {
        while let Request::Command(words, used) = request(wire) {
            self.note_names(&words, now);
            wire = wire.get(used..).unwrap_or_default();
        }
    }

    /// The model behind a connection.
    pub fn model_of(&mut self, alien: bool) -> &mut Model {
        if alien { &mut self.alien } else { &mut self.model }
    }
}

#[cfg(test)]
mod tests {
    use super::Servers;
    use crate::sim::dice::Streams;
    use crate::sim::options::{Options, Wishes};
    use crate::sim::wire::command;

    #[test]
    fn a_transaction_writes_when_it_is_carried_out() {
        let options = Options::draw(&mut Streams::taped(&[]), &Wishes::default());
        let mut servers = Servers::new(&options);
        let mut wire = Vec::new();
        for words in [&[&b"MULTI"[..]][..], &[b"SET", b"k", b"v"], &[b"EXEC"]] {
            command(words, &mut wire);
        }
        servers.note_names(&[b"SET".to_vec(), b"k".to_vec(), b"v".to_vec()], 10);
        assert!(!servers.written(b"k", 20), "queued before");
        servers.note_written(&wire, 30);
        assert!(servers.written(b"k", 20) && !servers.written(b"k", 31));
    }
}
