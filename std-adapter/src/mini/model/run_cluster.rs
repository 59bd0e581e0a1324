//! The CLUSTER command.

use super::client::Words;
use super::node::SLOTS;
use super::reply::Out;
use super::run_connection::check_sub_in;
use super::run_strings::{NOT_INTEGER, SYNTAX, number};
use super::store::slot_of;
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

pub(super) fn check_sub(words: &Words) -> Result<(), String> {
    check_sub_in("cluster", &SUBS, words)
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
                Some(slot) => out.count(model.nodes[model.store_of(me)].store.count_in(slot)),
            },
        },
        b"getkeysinslot" => match (number(&words[2]), number(&words[3])) {
            (Some(n), Some(max)) => match (slot(n), usize::try_from(max)) {
                (Some(slot), Ok(max)) => {
                    let keys = model.nodes[model.store_of(me)].store.keys_in(slot, max);
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
        // Shard channels end at the side that loses the slot; on Valkey also those that came early, with ASKING, at the side
        // that gets it.
        let left = node.owner(slot) == Some(me) && owner != me;
        let came = node.owner(slot) != Some(me) && owner == me;
        let changed = left || came && self.options.profile == Profile::Valkey9;
        node.set_owner(slot, Some(owner));
        if arrived {
            // The others believe the newest claim.
            let newest = self.nodes.iter().map(|node| node.epoch).max().unwrap_or(0);
            if self.nodes[me].epoch < newest {
                self.nodes[me].epoch = newest + 1;
            }
        }
        if changed {
            self.drop_shard_channels(me, |gone| gone == slot);
        }
        self.unsettled = true;
        Ok(())
    }
}

fn slots(model: &Model, me: usize, out: &mut Out) {
    let view = &model.nodes[me];
    let mut ranges: Vec<(usize, usize, usize)> = Vec::new();
    for owner in 0..model.nodes.len() {
        ranges.extend(view.ranges_of(owner).into_iter().map(|(first, last)| (first, last, owner)));
    }
    ranges.sort_unstable();
    out.array(ranges.len());
    for (first, last, owner) in ranges {
        let replicas = replicas_of(model, owner);
        out.array(3 + replicas.len());
        out.count(first);
        out.count(last);
        for index in std::iter::once(owner).chain(replicas) {
            let node = &model.nodes[index];
            out.array(4);
            out.bulk(&node.host);
            out.int(node.port.into());
            out.bulk(&node.id);
            out.map(0);
        }
    }
}

fn replicas_of(model: &Model, primary: usize) -> Vec<usize> {
    (0..model.nodes.len()).filter(|node| model.nodes[*node].primary == Some(primary)).collect()
}

fn shards(model: &Model, me: usize, out: &mut Out) {
    let primaries: Vec<usize> = (0..model.nodes.len()).filter(|node| model.nodes[*node].primary.is_none()).collect();
    let with_id = model.options.profile == Profile::Valkey9;
    out.array(primaries.len());
    for primary in primaries {
        out.map(if with_id { 3 } else { 2 });
        out.bulk("slots");
        let ranges = model.nodes[me].ranges_of(primary);
        out.array(ranges.len() * 2);
        for (first, last) in ranges {
            out.count(first);
            out.count(last);
        }
        out.bulk("nodes");
        let replicas = replicas_of(model, primary);
        out.array(1 + replicas.len());
        for index in std::iter::once(primary).chain(replicas) {
            shard_node(model, index, out);
        }
        if with_id {
            out.bulk("id");
            // Any 40 digits that stay with the shard.
            out.bulk(model.nodes[primary].id.chars().rev().collect::<String>());
        }
    }
}

fn shard_node(model: &Model, index: usize, out: &mut Out) {
    let node = &model.nodes[index];
    out.map(7);
    out.bulk("id");
    out.bulk(&node.id);
    out.bulk("port");
    out.int(node.port.into());
    out.bulk("ip");
    out.bulk(&node.host);
    out.bulk("endpoint");
    out.bulk(&node.host);
    out.bulk("role");
    out.bulk(if node.primary.is_some() { "replica" } else { "master" });
    out.bulk("replication-offset");
    out.int(1);
    out.bulk("health");
    out.bulk("online");
}

fn nodes(model: &Model, me: usize) -> String {
    let view = &model.nodes[me];
    let mut text = String::new();
    for (index, node) in model.nodes.iter().enumerate() {
        let myself = if index == me { "myself," } else { "" };
        let (role, primary) = match node.primary {
            None => ("master", "-"),
            Some(primary) => ("slave", model.nodes[primary].id.as_str()),
        };
        // The cluster bus does not exist; its port is shown as if it did.
        let bus = node.port.wrapping_add(10000);
        let epoch = model.nodes[model.store_of(index)].epoch;
        text.push_str(&format!("{} {}@{bus} {myself}{role} {primary} 0 0 {epoch} connected", node.id, node.address()));
        for (first, last) in view.ranges_of(index) {
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
    let node = &model.nodes[me];
    let assigned = SLOTS - node.uncovered();
    let state = if model.options.full_coverage && node.uncovered() > 0 { "fail" } else { "ok" };
    let size =
        (0..model.nodes.len()).filter(|n| model.nodes[*n].primary.is_none()).filter(|n| !node.ranges_of(*n).is_empty());
    let epoch = model.nodes.iter().map(|node| node.epoch).max().unwrap_or(0);
    format!(
        "cluster_state:{state}\r\ncluster_slots_assigned:{assigned}\r\ncluster_slots_ok:{assigned}\r\ncluster_slots_pfail:0\r\n\
         cluster_slots_fail:0\r\ncluster_known_nodes:{}\r\ncluster_size:{}\r\ncluster_current_epoch:{epoch}\r\n\
         cluster_my_epoch:{}\r\n",
        model.nodes.len(),
        size.count(),
        model.nodes[model.store_of(me)].epoch
    )
}
