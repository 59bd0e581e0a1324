//! The CLUSTER command.

use super::client::Words;
use super::reply::Out;
use super::run_connection::check_sub_in;
use super::run_strings::{NOT_INTEGER, SYNTAX, number};
use super::store::slot_of;
use super::view::SLOTS;
use super::{ClientId, Model, Profile};

/// Sub-commands: name, number of words (negative: at least).
const SUBS: [(&str, i32); 10] = [
    ("slots", 2),
    ("shards", 2),
    ("nodes", 2),
    ("info", 2),
    ("myid", 2),
    ("keyslot", 3),
    ("countkeysinslot", 3),
    ("getkeysinslot", 4),
    ("setslot", -4),
    ("links", 2),
];

/// Those that Redis 6.2 does not have.
const NOT_62: [&str; 2] = ["shards", "links"];

pub(super) fn check_sub(profile: Profile, words: &Words) -> Result<(), String> {
    let subs: Vec<_> =
        SUBS.iter().copied().filter(|(sub, _)| profile != Profile::Redis62 || !NOT_62.contains(sub)).collect();
    check_sub_in(profile, "cluster", &subs, words)
}

pub(super) fn cluster(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let me = model.node_of(id);
    match words[1].to_ascii_lowercase().as_slice() {
        b"slots" => slots(model, me, out),
        b"shards" => shards(model, me, out),
        b"nodes" => out.verbatim(&nodes(model, me)),
        b"info" => out.verbatim(&info(model, me)),
        b"myid" => out.bulk(&model.nodes[me].id),
        b"keyslot" => out.int(slot_of(&words[2]).into()),
        b"countkeysinslot" => match number(&words[2]) {
            None => out.error(NOT_INTEGER),
            Some(n) => match slot(n) {
                None => out.error("ERR Invalid slot"),
                Some(slot) => out.count(model.nodes[model.staged_from(me, slot)].store.count_in(slot)),
            },
        },
        b"getkeysinslot" => match (number(&words[2]), number(&words[3])) {
            (Some(n), Some(max)) => match (slot(n), usize::try_from(max)) {
                (Some(slot), Ok(max)) => {
                    let keys = model.nodes[model.staged_from(me, slot)].store.keys_in(slot, max);
                    out.array(keys.len());
                    keys.iter().for_each(|key| out.bulk(key));
                }
                _ => out.error("ERR Invalid slot or number of keys"),
            },
            _ => out.error(NOT_INTEGER),
        },
        b"setslot" => match set_slot(model, me, words) {
            Ok(()) => out.ok(),
            Err(text) => out.error(text),
        },
        // links
        _ => out.array(0),
    }
}

fn slot(n: i64) -> Option<u16> {
    u16::try_from(n).ok().filter(|slot| usize::from(*slot) < SLOTS)
}

/// `SETSLOT slot MIGRATING id | IMPORTING id | NODE id | STABLE`
fn set_slot(model: &mut Model, me: usize, words: &Words) -> Result<(), String> {
    if model.nodes[me].primary.is_some() {
        return Err("ERR Please use SETSLOT only with masters.".to_owned());
    }
    let slot = number(&words[2]).and_then(slot).ok_or("ERR Invalid or out of range slot")?;
    let mine = model.nodes[me].owner(slot) == Some(me);
    let named = words.get(4).map(|id| String::from_utf8_lossy(id).into_owned());
    let target = named.as_ref().and_then(|id| model.nodes.iter().position(|node| node.id == *id));
    let known = |what: &str| target.ok_or_else(|| format!("ERR {what} {}", named.as_deref().unwrap_or_default()));
    let is_primary = |node: usize| match model.nodes[node].primary {
        None => Ok(node),
        Some(_) => Err("ERR Target node is not a master".to_owned()),
    };
    match (words[3].to_ascii_lowercase().as_slice(), words.len()) {
        (b"migrating", 5) if !mine => Err(format!("ERR I'm not the owner of hash slot {slot}")),
        (b"migrating", 5) => {
            let target = is_primary(known("I don't know about node")?)?;
            model.nodes[me].migrating.insert(slot, target);
            Ok(())
        }
        (b"importing", 5) if mine => Err(format!("ERR I'm already the owner of hash slot {slot}")),
        (b"importing", 5) => {
            let source = is_primary(known("I don't know about node")?)?;
            model.nodes[me].importing.insert(slot, source);
            Ok(())
        }
        (b"stable", 4) => {
            model.nodes[me].importing.remove(&slot);
            model.nodes[me].migrating.remove(&slot);
            Ok(())
        }
        (b"node", 5) => {
            let owner = is_primary(known("Unknown node")?)?;
            model.assign(me, slot, owner)
        }
        _ => Err("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP".to_owned()),
    }
    .map_err(|text| if text.is_empty() { SYNTAX.to_owned() } else { text })
}

impl Model {
    /// `SETSLOT NODE` at node `me`.
    pub(super) fn assign(&mut self, me: usize, slot: u16, owner: usize) -> Result<(), String> {
        let node = &mut self.nodes[me];
        if node.owner(slot) == Some(me) && owner != me && node.store.count_in(slot) > 0 {
            return Err(format!(
                "ERR Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
            ));
        }
        if owner != me {
            node.migrating.remove(&slot);
        }
        let arrived = owner == me && node.importing.remove(&slot).is_some();
        // Shard channels end at the side that loses the slot; from Redis 8 on also those that came early, with ASKING, at the side
        // that gets it.
        let left = node.owner(slot) == Some(me) && owner != me;
        let came = node.owner(slot) != Some(me) && owner == me;
        let changed = left || came && node.profile > Profile::Redis7;
        node.view.set(slot, Some(owner));
        if arrived {
            // The others believe the newest claim.
            let newest = self.newest_epoch();
            if self.nodes[me].epoch < newest {
                self.nodes[me].epoch = newest + 1;
            }
        }
        if changed {
            self.drop_shard_channels(me, |gone| gone == slot);
        }
        self.redirect_blocked(me);
        self.unsettled = true;
        Ok(())
    }
}

fn slots(model: &Model, me: usize, out: &mut Out) {
    let ranges = model.nodes[me].view.ranges();
    let plain = model.nodes[me].profile == Profile::Redis62;
    out.array(ranges.len());
    for &(first, last, owner) in ranges {
        let replicas: Vec<usize> = model.listed_replicas(owner).collect();
        out.array(3 + replicas.len());
        out.count(first.into());
        out.count(last.into());
        for index in std::iter::once(owner).chain(replicas) {
            let node = &model.nodes[index];
            out.array(if plain { 3 } else { 4 });
            model.slots_host(index, out);
            out.int(node.port.into());
            out.bulk(&node.id);
            if !plain {
                model.slots_extra(index, out);
            }
        }
    }
}

impl Model {
    /// Replicas of a primary that clients are told of.
    fn listed_replicas(&self, primary: usize) -> impl Iterator<Item = usize> {
        self.nodes
            .iter()
            .enumerate()
            .filter(move |(_, node)| node.primary == Some(primary) && node.member && !node.failed)
            .map(|(index, _)| index)
    }

    /// Nodes that `me` knows: a node outside the cluster knows itself.
    fn known_to(&self, me: usize) -> impl Iterator<Item = usize> {
        let member = self.nodes[me].member;
        (0..self.nodes.len()).filter(move |node| *node == me || member && self.nodes[*node].member)
    }

    /// First and last slots of every node, as one of them sees it.
    fn ranges_by_owner(&self, me: usize) -> Vec<Vec<(u16, u16)>> {
        let mut by_owner = vec![Vec::new(); self.nodes.len()];
        for &(first, last, owner) in self.nodes[me].view.ranges() {
            by_owner[owner].push((first, last));
        }
        by_owner
    }
}

fn shards(model: &Model, me: usize, out: &mut Out) {
    let primaries: Vec<usize> = model.known_to(me).filter(|node| model.nodes[*node].primary.is_none()).collect();
    let with_id = model.nodes[me].profile == Profile::Valkey9;
    let ranges = model.ranges_by_owner(me);
    out.array(primaries.len());
    for primary in primaries {
        out.map(if with_id { 3 } else { 2 });
        out.bulk("slots");
        out.array(ranges[primary].len() * 2);
        for (first, last) in &ranges[primary] {
            out.count((*first).into());
            out.count((*last).into());
        }
        out.bulk("nodes");
        let members: Vec<usize> =
            model.known_to(me).filter(|node| *node == primary || model.nodes[*node].primary == Some(primary)).collect();
        out.array(members.len());
        for index in members {
            shard_node(model, index, out);
        }
        if with_id {
            out.bulk("id");
            out.bulk(&model.nodes[primary].shard);
        }
    }
}

fn shard_node(model: &Model, index: usize, out: &mut Out) {
    let node = &model.nodes[index];
    let (ip, endpoint, hostname) = model.shards_hosts(index);
    out.map(7 + usize::from(hostname.is_some()));
    out.bulk("id");
    out.bulk(&node.id);
    out.bulk("port");
    out.int(node.port.into());
    out.bulk("ip");
    out.bulk(ip);
    out.bulk("endpoint");
    out.bulk(endpoint);
    if let Some(hostname) = hostname {
        out.bulk("hostname");
        out.bulk(hostname);
    }
    out.bulk("role");
    out.bulk(if node.primary.is_some() { "replica" } else { "master" });
    out.bulk("replication-offset");
    out.int(i64::try_from(node.history.offset()).unwrap_or(i64::MAX).saturating_add(1));
    out.bulk("health");
    out.bulk(if node.failed { "fail" } else { "online" });
}

fn nodes(model: &Model, me: usize) -> String {
    let view = &model.nodes[me];
    let ranges = model.ranges_by_owner(me);
    let mut text = String::new();
    for index in model.known_to(me) {
        let node = &model.nodes[index];
        let myself = if index == me { "myself," } else { "" };
        let fail = if node.failed && index != me { ",fail" } else { "" };
        // Who has not heard that a node lost its slots has not heard either that it is a replica now: with the role go the
        // slots (`clusterProcessPacket` in Redis 7.0.15, cluster.c).
        let (role, primary) = match node.primary.filter(|_| index == me || ranges[index].is_empty()) {
            None => ("master", "-"),
            Some(primary) => ("slave", model.nodes[primary].id.as_str()),
        };
        let epoch = model.nodes[model.shard_head(index)].epoch;
        let link = if node.failed && index != me { "disconnected" } else { "connected" };
        let address = model.nodes_address(index);
        text.push_str(&format!("{} {address} {myself}{role}{fail} {primary} 0 0 {epoch} {link}", node.id));
        for (first, last) in &ranges[index] {
            if first == last {
                text.push_str(&format!(" {first}"));
            } else {
                text.push_str(&format!(" {first}-{last}"));
            }
        }
        if index == me {
            let marks = view.migrating.iter().map(|(slot, to)| (slot, "->-", to));
            let marks = marks.chain(view.importing.iter().map(|(slot, from)| (slot, "-<-", from)));
            for (slot, arrow, other) in marks {
                text.push_str(&format!(" [{slot}{arrow}{}]", model.nodes[*other].id));
            }
        }
        text.push('\n');
    }
    text
}

fn info(model: &Model, me: usize) -> String {
    let view = &model.nodes[me].view;
    let assigned = SLOTS - view.uncovered();
    let failed: usize =
        model.nodes.iter().enumerate().filter(|(_, node)| node.failed).map(|(index, _)| view.count_of(index)).sum();
    let state = if model.is_down(me) { "fail" } else { "ok" };
    let size = model.known_to(me).filter(|node| view.count_of(*node) > 0).count();
    format!(
        "cluster_state:{state}\r\ncluster_slots_assigned:{assigned}\r\ncluster_slots_ok:{}\r\ncluster_slots_pfail:0\r\n\
         cluster_slots_fail:{failed}\r\ncluster_known_nodes:{}\r\ncluster_size:{size}\r\ncluster_current_epoch:{}\r\n\
         cluster_my_epoch:{}\r\n",
        assigned - failed,
        model.known_to(me).count(),
        model.newest_epoch(),
        model.nodes[model.shard_head(me)].epoch
    )
}
