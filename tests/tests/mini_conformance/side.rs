//! One of the two clusters that are compared: a real one, or the model behind sockets.

use crate::normal::Names;
use slotwise_std::mini::MiniCluster;
use slotwise_std::mini::model::{ModelOptions, Profile};
use slotwise_tests::real::{Cluster, Conn, ServerKind, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(5);

enum Backend {
    Real(Box<Cluster>),
    Mini(MiniCluster),
}

/// A cluster and a connection for every name used so far.
pub(crate) struct Side {
    backend: Backend,
    conns: BTreeMap<String, Conn>,
    names: Names,
}

/// The profile that follows a server.
pub(crate) fn profile_of(kind: ServerKind) -> Profile {
    match kind {
        ServerKind::Redis7 => Profile::Redis7,
        ServerKind::Redis8 => Profile::Redis8,
        ServerKind::Valkey9 => Profile::Valkey9,
    }
}

impl Side {
    /// Real servers, 3 primaries; `None` when the program is missing.
    pub(crate) fn real(kind: ServerKind, replicas: usize) -> Option<Self> {
        let cluster = Cluster::start(kind, 3, replicas)?;
        let names = Names(cluster.nodes().iter().map(|node| (node.port, node.id.clone())).collect());
        Some(Side { backend: Backend::Real(Box::new(cluster)), conns: BTreeMap::new(), names })
    }

    /// The model with the habits of that server.
    pub(crate) fn mini(kind: ServerKind, replicas: usize) -> Self {
        let profile = profile_of(kind);
        let options = ModelOptions { profile, primaries: 3, replicas, full_coverage: false, ..ModelOptions::default() };
        let mini = MiniCluster::with_options(options).expect("loopback sockets");
        let id = |node| mini.with_model(|model| model.node_id(node).unwrap_or_default().to_owned());
        let names = mini.addresses().iter().enumerate().map(|(node, addr)| (addr.port(), id(node))).collect();
        Side { backend: Backend::Mini(mini), conns: BTreeMap::new(), names: Names(names) }
    }

    /// The connection called `name`: a word and the node's number, as in `a2`.
    fn conn(&mut self, name: &str) -> &mut Conn {
        let ports = &self.names.0;
        self.conns.entry(name.to_owned()).or_insert_with(|| {
            let node: usize = name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().expect("node number");
            let conn = Conn::open(ports[node].0).expect("a server that accepts");
            conn.set_timeout(PATIENCE).expect("time limit");
            conn
        })
    }

    /// Closes all connections.
    pub(crate) fn forget_connections(&mut self) {
        self.conns.clear();
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.conns.remove(name);
    }

    pub(crate) fn send<A: AsRef<[u8]>>(&mut self, name: &str, words: &[A]) {
        // A connection that has ended says so when it is read.
        let _ = self.conn(name).send(words);
    }

    /// The next frame as text, in reply to `words`.
    pub(crate) fn read(&mut self, name: &str, words: &[String]) -> String {
        let value = self.conn(name).read();
        match value {
            Ok(value) => self.names.common(value, words),
            Err(e) if e.is_timeout() => "nothing in time".to_owned(),
            Err(_) => "closed".to_owned(),
        }
    }

    /// The next frame, if one comes within the time.
    pub(crate) fn read_within(&mut self, name: &str, limit: Duration) -> Option<String> {
        self.conn(name).set_timeout(limit).expect("time limit");
        let value = self.conn(name).read();
        self.conn(name).set_timeout(PATIENCE).expect("time limit");
        match value {
            Ok(value) => Some(self.names.common(value, &[])),
            Err(e) if e.is_timeout() => None,
            Err(_) => Some("closed".to_owned()),
        }
    }

    pub(crate) fn begin_move(&mut self, slot: u16, from: usize, to: usize) {
        match &self.backend {
            Backend::Real(real) => real.begin_move(slot, from, to).expect("real servers"),
            Backend::Mini(mini) => drop(mini.begin_move(slot, to).expect("a slot of another node")),
        }
    }

    /// Whether the key was there.
    pub(crate) fn move_key(&mut self, slot: u16, from: usize, to: usize, key: &str) -> bool {
        match &self.backend {
            Backend::Real(real) => {
                let port = real.port(to).to_string();
                let words = ["MIGRATE", "127.0.0.1", &port, key, "0", "5000", "REPLACE"];
                real.ask(from, &words).expect("MIGRATE").is_simple(b"OK")
            }
            Backend::Mini(mini) => {
                mini.with_model(|model| model.move_key(slot, key.as_bytes())).expect("a marked slot")
            }
        }
    }

    /// Moves the rest of the slot's keys and gives it to its new owner; everybody knows. How many keys came.
    pub(crate) fn finish_move(&mut self, slot: u16, from: usize, to: usize) -> usize {
        match &self.backend {
            Backend::Real(real) => {
                let moved = real.move_keys(slot, from, to, usize::MAX).expect("real servers");
                real.finish_move(slot, from, to).expect("real servers");
                real.wait_agreed().expect("agreement");
                moved
            }
            Backend::Mini(mini) => {
                let moved = mini.move_keys(slot, usize::MAX).expect("a marked slot");
                mini.finish_move(slot).expect("a marked slot");
                moved
            }
        }
    }

    /// Moves the slot with all its keys, atomically where the server can.
    pub(crate) fn move_atomically(&mut self, slot: u16, to: usize) {
        match &self.backend {
            Backend::Real(real) if real.kind().atomic_migration() => {
                real.move_slots_atomically(slot, slot, to).expect("real servers");
                real.wait_agreed().expect("agreement");
            }
            Backend::Real(real) => {
                real.move_slot(slot, to).expect("real servers");
                real.wait_agreed().expect("agreement");
            }
            Backend::Mini(mini) => mini.move_slot(slot, to).expect("a slot of another node"),
        }
    }

    pub(crate) fn failover(&mut self, replica: usize) {
        match &self.backend {
            Backend::Real(real) => real.failover(replica).expect("failover"),
            Backend::Mini(mini) => mini.with_model(|model| model.failover(replica)).expect("a replica"),
        }
    }

    pub(crate) fn owner(&self, slot: u16) -> usize {
        match &self.backend {
            Backend::Real(real) => real.owner(slot),
            Backend::Mini(mini) => mini.owner(slot),
        }
        .expect("an owner")
    }

    /// Gives real replicas time to receive what was written; the model's have it.
    pub(crate) fn sync(&self) {
        if let Backend::Real(_) = self.backend {
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// No keys and no users but the default one; the slots and roles as at the beginning.
    pub(crate) fn reset(&mut self, moved: &[(u16, usize)]) {
        self.forget_connections();
        for node in 0..3 {
            if let Backend::Real(real) = &self.backend
                && !real.is_primary(node)
            {
                real.failover(node).expect("failover");
            }
            if let Backend::Mini(mini) = &self.backend
                && mini.with_model(|model| model.primary_of(node)).is_some()
            {
                mini.with_model(|model| model.failover(node)).expect("a replica");
            }
        }
        for (slot, home) in moved {
            if self.owner(*slot) != *home {
                self.move_atomically(*slot, *home);
            }
        }
        self.clear();
    }

    /// No keys, no connections.
    pub(crate) fn clear(&mut self) {
        self.forget_connections();
        for node in 0..3 {
            let name = format!("reset{node}");
            self.send(&name, &["FLUSHALL"]);
            assert_eq!(self.read(&name, &[]), "+OK");
        }
        self.forget_connections();
    }

    /// Every key of every primary, by a full SCAN each: sorted, repeats removed.
    pub(crate) fn scan_all(&mut self) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for node in 0..3 {
            let conn = self.conn(&format!("scan{node}"));
            let mut cursor = "0".to_owned();
            loop {
                let page = conn.call(&["SCAN", &cursor, "COUNT", "7"]);
                found.extend(page.items()[1].items().iter().filter_map(Value::bytes).map(<[u8]>::to_vec));
                cursor = page.items()[0].text();
                if cursor == "0" {
                    break;
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }
}
