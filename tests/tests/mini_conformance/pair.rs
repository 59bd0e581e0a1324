//! The same command sent to a real cluster and to the mini cluster, and the replies made comparable.

use slotwise_std::mini::MiniCluster;
use slotwise_std::mini::model::{ModelOptions, Profile};
use slotwise_tests::real::{Cluster, Conn, ServerKind, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// A real cluster and a mini cluster of the same shape, and a pair of connections for every name used so far.
pub(crate) struct Pair {
    real: Cluster,
    mini: MiniCluster,
    conns: BTreeMap<String, (Conn, Conn)>,
    pub(crate) log: Vec<String>,
    pub(crate) compared: usize,
    pub(crate) disagreements: Vec<String>,
}

impl Pair {
    pub(crate) fn start(kind: ServerKind, replicas: usize) -> Option<Self> {
        let real = Cluster::start(kind, 3, replicas)?;
        let profile = if kind == ServerKind::Redis7 { Profile::Redis7 } else { Profile::Valkey9 };
        let options = ModelOptions { profile, primaries: 3, replicas, full_coverage: false, ..ModelOptions::default() };
        let mini = MiniCluster::with_options(options).expect("loopback sockets");
        let (conns, log, disagreements) = (BTreeMap::new(), Vec::new(), Vec::new());
        Some(Pair { real, mini, conns, log, compared: 0, disagreements })
    }

    /// The connections called `name`: a word and the node's number, as in `a2`.
    fn conns(&mut self, name: &str) -> &mut (Conn, Conn) {
        let (real, mini) = (&self.real, &self.mini);
        self.conns.entry(name.to_owned()).or_insert_with(|| {
            let node: usize = name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().expect("node number");
            let pair = (real.connect(node), Conn::open(mini.addresses()[node].port()).expect("mini cluster"));
            pair.0.set_timeout(Duration::from_secs(5)).expect("time limit");
            pair.1.set_timeout(Duration::from_secs(5)).expect("time limit");
            pair
        })
    }

    /// Sends a command (none: an empty slice) to both and compares `frames` replies.
    pub(crate) fn send<A: AsRef<[u8]>>(&mut self, name: &str, words: &[A], frames: usize) {
        let text: Vec<_> = words.iter().map(|w| String::from_utf8_lossy(w.as_ref()).into_owned()).collect();
        let (real, mini) = self.conns(name);
        if !words.is_empty() {
            real.send(words).expect("write to the real server");
            mini.send(words).expect("write to the mini cluster");
        }
        let mut replies = Vec::new();
        for _ in 0..frames {
            replies.push((real.read(), mini.read()));
        }
        for (real, mini) in replies {
            let real = real.map_or_else(|e| format!("nothing: {e}"), |value| self.common(value, &text, true));
            let mini = mini.map_or_else(|e| format!("nothing: {e}"), |value| self.common(value, &text, false));
            self.compared += 1;
            self.log.push(format!("{name}: {} -> {real}", text.join(" ")));
            if real != mini || real.starts_with("nothing") {
                let before = self.log.iter().rev().skip(1).take(8).rev().cloned().collect::<Vec<_>>().join("\n    ");
                let what =
                    format!("{name}: {}\n  real: {real}\n  mini: {mini}\n  after:\n    {before}", text.join(" "));
                self.disagreements.push(what);
            }
        }
    }

    /// Neither side has sent something nobody asked for.
    pub(crate) fn expect_silence(&mut self, name: &str) {
        let (real, mini) = self.conns(name);
        for (side, conn) in [("real", real), ("mini", mini)] {
            conn.set_timeout(Duration::from_millis(100)).expect("time limit");
            match conn.read() {
                Err(e) if e.is_timeout() => {}
                other => panic!("{name}, {side}: not silent but {other:?}"),
            }
            conn.set_timeout(Duration::from_secs(5)).expect("time limit");
        }
    }

    /// Both have sent one more frame, the same, or neither has.
    pub(crate) fn same_or_silent(&mut self, name: &str) {
        let (real, mini) = self.conns(name);
        let limit = Duration::from_millis(300);
        let frames = [real, mini].map(|conn| {
            conn.set_timeout(limit).expect("time limit");
            let frame = conn.read().ok();
            conn.set_timeout(Duration::from_secs(5)).expect("time limit");
            frame
        });
        self.compared += 1;
        let [real, mini] = frames;
        let (real, mini) = (real.map(|f| self.common(f, &[], true)), mini.map(|f| self.common(f, &[], false)));
        if real != mini {
            self.disagreements.push(format!("{name}: unasked\n  real: {real:?}\n  mini: {mini:?}"));
        }
    }

    /// Text of a reply in which addresses and ids are numbers of nodes, and what has no order is sorted.
    fn common(&self, value: Value, words: &[String], real: bool) -> String {
        let command = words.join(" ").to_ascii_uppercase();
        let value = match value {
            Value::Array(mut items) if command.starts_with("KEYS") || command.starts_with("CLUSTER GETKEYSINSLOT") => {
                items.sort_by_key(|item| format!("{item:?}"));
                Value::Array(items)
            }
            Value::Array(mut items) if command.starts_with("CLUSTER SHARDS") => {
                // Neither shards nor their fields and nodes have a fixed order.
                items.iter_mut().for_each(sort_shard);
                items.sort_by_key(|item| self.name_nodes(&show(item), real));
                Value::Array(items)
            }
            text @ (Value::Bulk(_) | Value::Verbatim(_)) if command.starts_with("CLUSTER NODES") => {
                let kind = if matches!(text, Value::Bulk(_)) { "bulk" } else { "verbatim" };
                return format!("{kind}\n{}", self.node_lines(&text.text(), real));
            }
            Value::Map(pairs) => Value::Map(pairs.into_iter().map(|(k, v)| hide_id(k, v)).collect()),
            Value::Array(items) if command.starts_with("HELLO") => {
                let pairs = items.chunks_exact(2).map(|pair| hide_id(pair[0].clone(), pair[1].clone()));
                Value::Array(pairs.flat_map(|(k, v)| [k, v]).collect())
            }
            Value::Int(_) if command.starts_with("CLIENT ID") => Value::Int(0),
            other => other,
        };
        self.name_nodes(&show(&value), real)
    }

    fn name_nodes(&self, text: &str, real: bool) -> String {
        let mut text = text.to_owned();
        for node in 0..self.real.nodes().len() {
            let (port, id) = if real {
                (self.real.port(node), self.real.nodes()[node].id.clone())
            } else {
                let id = self.mini.with_model(|model| model.node_id(node).unwrap_or_default().to_owned());
                (self.mini.addresses()[node].port(), id)
            };
            text = text.replace(&format!("127.0.0.1:{port}"), &format!("addr{node}"));
            text = text.replace(&id, &format!("id{node}"));
            text = text.replace(&format!(":{port} "), &format!(":port{node} "));
        }
        text
    }

    /// CLUSTER NODES without what differs between any two runs: bus ports, extra fields, times, epochs.
    fn node_lines(&self, text: &str, real: bool) -> String {
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let address = words[1].split('@').next().unwrap_or_default();
                let (flags, rest) = (words[2], words.get(8..).unwrap_or_default().join(" "));
                self.name_nodes(&format!("{} {address} {flags} {} {} {rest}", words[0], words[3], words[7]), real)
            })
            .collect();
        lines.sort();
        lines.join("\n")
    }

    /// Marks a slot for its move to node `to`.
    pub(crate) fn begin_move(&mut self, slot: u16, to: usize) {
        let from = self.mini.begin_move(slot, to).expect("a slot of another node");
        self.log.push(format!("-- slot {slot} begins to move from {from} to {to}"));
        self.real.begin_move(slot, from, to).expect("real servers");
    }

    /// Moves one key of it, if it is there; both sides must agree whether it is.
    pub(crate) fn move_key(&mut self, slot: u16, key: &str) {
        let from = self.mini.owner(slot).expect("owner");
        let to = self.target(slot);
        let moved = self.mini.with_model(|model| model.move_key(slot, key.as_bytes())).expect("a marked slot");
        let port = self.real.port(to).to_string();
        let reply =
            self.real.ask(from, &["MIGRATE", "127.0.0.1", &port, key, "0", "5000", "REPLACE"]).expect("MIGRATE");
        self.log.push(format!("-- {key} moves to {to}: {moved}"));
        assert_eq!(reply.is_simple(b"OK"), moved, "{key}: {reply:?}");
    }

    fn target(&self, slot: u16) -> usize {
        let marked = |node: &usize| {
            let line = self.mini.with_model(|model| {
                let client = model.connect(*node);
                model.request(client, &[b"CLUSTER".to_vec(), b"NODES".to_vec()]);
                let text = String::from_utf8(model.take_output(client)).expect("text");
                model.disconnect(client);
                text
            });
            line.contains(&format!("[{slot}-<-"))
        };
        (0..3).find(marked).expect("an importing node")
    }

    /// Moves the rest of the slot's keys and gives it to its new owner; everybody knows.
    pub(crate) fn finish_move(&mut self, slot: u16) {
        let (from, to) = (self.mini.owner(slot).expect("owner"), self.target(slot));
        let here = self.mini.move_keys(slot, usize::MAX).expect("a marked slot");
        let there = self.real.move_keys(slot, from, to, usize::MAX).expect("real servers");
        self.log.push(format!("-- slot {slot} is at {to}, {here} keys came at the end"));
        assert_eq!(here, there, "keys left in slot {slot}");
        self.mini.finish_move(slot).expect("a marked slot");
        self.real.finish_move(slot, from, to).expect("real servers");
        self.real.wait_agreed().expect("agreement");
    }

    pub(crate) fn failover(&mut self, replica: usize) {
        self.log.push(format!("-- {replica} takes over"));
        self.real.failover(replica).expect("failover");
        self.mini.with_model(|model| model.failover(replica)).expect("a replica");
    }

    /// The node that owns a slot.
    pub(crate) fn owner(&self, slot: u16) -> usize {
        self.mini.owner(slot).expect("owner")
    }

    /// Gives real replicas time to receive what was written.
    pub(crate) fn sync(&self) {
        std::thread::sleep(Duration::from_millis(300));
    }

    /// Every key of every primary, by a full SCAN each: sorted, repeats removed.
    pub(crate) fn scan_all(&mut self) -> [Vec<Vec<u8>>; 2] {
        let mut found = [Vec::new(), Vec::new()];
        for node in 0..3 {
            let (real, mini) = self.conns(&format!("scan{node}"));
            for (conn, keys) in [real, mini].into_iter().zip(&mut found) {
                let mut cursor = "0".to_owned();
                loop {
                    let page = conn.call(&["SCAN", &cursor, "COUNT", "7"]);
                    keys.extend(page.items()[1].items().iter().filter_map(Value::bytes).map(<[u8]>::to_vec));
                    cursor = page.items()[0].text();
                    if cursor == "0" {
                        break;
                    }
                }
            }
        }
        found.map(|mut keys| {
            keys.sort();
            keys.dedup();
            keys
        })
    }

    /// Fails with the disagreements, if any.
    pub(crate) fn finish(self, at_least: usize) {
        assert!(self.compared >= at_least, "only {} replies were compared", self.compared);
        let count = self.disagreements.len();
        let first: Vec<_> = self.disagreements.into_iter().take(6).collect();
        let kind = self.real.kind();
        assert!(count == 0, "{kind:?}: {count} of {} replies differ:\n{}", self.compared, first.join("\n"));
    }
}

fn hide_id(key: Value, value: Value) -> (Value, Value) {
    let hidden = if key.text() == "id" && value.int().is_some() { Value::Int(0) } else { value };
    (key, hidden)
}

fn sort_shard(shard: &mut Value) {
    let pairs: Vec<(Value, Value)> = match shard {
        Value::Map(pairs) => std::mem::take(pairs),
        Value::Array(items) => items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        _ => return,
    };
    let has_slots = pairs.iter().any(|(key, _)| key.text() == "slots");
    let mut fields = Vec::new();
    for (key, mut value) in pairs {
        match key.text().as_str() {
            // A shard's own id, and offsets, are what they are.
            "replication-offset" => continue,
            "id" if has_slots => continue,
            "nodes" => {
                if let Value::Array(nodes) = &mut value {
                    nodes.iter_mut().for_each(sort_shard);
                    nodes.sort_by_key(|node| show(node).contains("replica"));
                }
            }
            _ => {}
        }
        fields.push((key, value));
    }
    fields.sort_by_key(|(key, _)| key.text());
    *shard = Value::Map(fields);
}

/// A compact form in which types stay apart.
fn show(value: &Value) -> String {
    let list = |items: &[Value]| items.iter().map(show).collect::<Vec<_>>().join(" ");
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match value {
        Value::Simple(b) => format!("+{}", text(b)),
        Value::Error(b) => format!("-{}", text(b)),
        Value::Int(n) => format!(":{n} "),
        Value::Bulk(b) => format!("\"{}\"", text(b)),
        Value::Array(items) => format!("[{}]", list(items)),
        Value::Set(items) => format!("~[{}]", list(items)),
        Value::Push(items) => format!(">[{}]", list(items)),
        Value::Map(pairs) => {
            format!(
                "{{{}}}",
                pairs.iter().map(|(k, v)| format!("{}={}", show(k), show(v))).collect::<Vec<_>>().join(" ")
            )
        }
        other => format!("{other:?}"),
    }
}
