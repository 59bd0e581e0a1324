//! Commands on keys of any type and on the whole key space.

use super::client::WaitFor;
use super::client::Words;
use super::replication::Effect;
use super::reply::Out;
use super::run_strings::{NOT_INTEGER, SYNTAX, number};
use super::{ClientId, Model};
use std::time::Duration;

pub(super) fn del(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    out.count(words[1..].iter().filter(|key| model.delete(id, key)).count());
}

/// EXISTS and TOUCH: a key named twice counts twice.
pub(super) fn exists(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    out.count(words[1..].iter().filter(|key| model.value(id, key).is_some()).count());
}

pub(super) fn type_of(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    out.simple(model.value(id, &words[1]).map_or("none", super::store::Object::type_name));
}

pub(super) fn dbsize(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    out.count(model.nodes[model.node_of(id)].store.len());
}

pub(super) fn flushall(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let known = words.get(1).is_none_or(|w| w.eq_ignore_ascii_case(b"async") || w.eq_ignore_ascii_case(b"sync"));
    if words.len() > 2 || !known {
        return out.error(SYNTAX);
    }
    let node = model.node_of(id);
    model.change(node, Effect::Clear);
    out.ok();
}

pub(super) fn wait(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let node = model.node_of(id);
    if model.nodes[node].primary.is_some() {
        let since = if !model.profile(id).is_valkey() { "since Redis 4.0 " } else { "" };
        return out.error(format!(
            "ERR WAIT cannot be used with replica instances. Please also note that {since}if a replica is configured to be \
             writable (which is not the default) writes to replicas are just local and are not propagated."
        ));
    }
    match (number(&words[1]), number(&words[2])) {
        (None, _) => out.error(NOT_INTEGER),
        (_, None) => out.error("ERR timeout is not an integer or out of range"),
        (_, Some(n)) if n < 0 => out.error("ERR timeout is negative"),
        (Some(wanted), Some(limit)) => {
            let offset = model.client(id).wrote_at;
            let have = model.acknowledged(node, offset);
            let wanted = usize::try_from(wanted).unwrap_or(0);
            if have >= wanted || model.may_not_block(id) {
                return out.count(have);
            }
            let limit = (limit > 0).then(|| Duration::from_millis(limit.unsigned_abs()));
            model.block(id, words, Vec::new(), WaitFor::Replicas(wanted), limit);
        }
    }
}
