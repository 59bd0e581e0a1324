//! Commands on keys of any type and on the whole key space.

use super::client::Words;
use super::reply::Out;
use super::run_strings::{NOT_INTEGER, SYNTAX, number};
use super::{ClientId, Model, Profile};

pub(super) fn del(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    out.count(words[1..].iter().filter(|key| model.delete(id, key)).count());
}

/// EXISTS and TOUCH: a key named twice counts twice.
pub(super) fn exists(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    out.count(words[1..].iter().filter(|key| model.value(id, key).is_some()).count());
}

pub(super) fn type_of(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    out.simple(model.value(id, &words[1]).map_or("none", |value| value.type_name()));
}

pub(super) fn dbsize(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    let node = model.store_of(model.node_of(id));
    out.count(model.nodes[node].store.len());
}

pub(super) fn flushall(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let known = words.get(1).is_none_or(|w| w.eq_ignore_ascii_case(b"async") || w.eq_ignore_ascii_case(b"sync"));
    if words.len() > 2 || !known {
        return out.error(SYNTAX);
    }
    let node = model.node_of(id);
    let watched: Vec<Vec<u8>> =
        model.clients.values().filter(|c| c.node == node).flat_map(|c| c.watched.iter().cloned()).collect();
    for key in watched {
        if model.nodes[node].store.contains(&key) {
            model.touched(node, &key);
        }
    }
    model.nodes[node].store.clear();
    out.ok();
}

/// Replicas hold everything at every moment, so nothing is waited for.
pub(super) fn wait(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let node = model.node_of(id);
    if model.nodes[node].primary.is_some() {
        let since = if model.options.profile == Profile::Redis7 { "since Redis 4.0 " } else { "" };
        return out.error(format!(
            "ERR WAIT cannot be used with replica instances. Please also note that {since}if a replica is configured to be \
             writable (which is not the default) writes to replicas are just local and are not propagated."
        ));
    }
    match (number(&words[1]), number(&words[2])) {
        (None, _) => out.error(NOT_INTEGER),
        (_, None) => out.error("ERR timeout is not an integer or out of range"),
        (_, Some(n)) if n < 0 => out.error("ERR timeout is negative"),
        _ => out.count(model.nodes.iter().filter(|n| n.primary == Some(node)).count()),
    }
}
