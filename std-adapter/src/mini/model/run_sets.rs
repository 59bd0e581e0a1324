//! Commands on sets: replies whose kind differs between RESP2 and RESP3.

use super::client::Words;
use super::reply::Out;
use super::run_strings::WRONG_TYPE;
use super::store::Object;
use super::{ClientId, Model};
use std::collections::BTreeSet;

type Set = BTreeSet<Vec<u8>>;

impl Model {
    fn set(&self, id: ClientId, key: &[u8]) -> Result<Option<&Set>, ()> {
        match self.value(id, key) {
            None => Ok(None),
            Some(Object::Set(set)) => Ok(Some(set)),
            Some(_) => Err(()),
        }
    }
}

pub(super) fn sadd(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let Ok(set) = model.set(id, &words[1]) else { return out.error(WRONG_TYPE) };
    let mut set = set.cloned().unwrap_or_default();
    let added = words[2..].iter().filter(|item| set.insert((*item).clone())).count();
    if added > 0 {
        model.alter(id, &words[1], Object::Set(set));
    }
    out.count(added);
}

pub(super) fn srem(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let Ok(set) = model.set(id, &words[1]) else { return out.error(WRONG_TYPE) };
    let mut set = set.cloned().unwrap_or_default();
    let removed = words[2..].iter().filter(|item| set.remove(*item)).count();
    if removed > 0 && set.is_empty() {
        model.delete(id, &words[1]);
    } else if removed > 0 {
        model.alter(id, &words[1], Object::Set(set));
    }
    out.count(removed);
}

pub(super) fn scard(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.set(id, &words[1]) {
        Err(()) => out.error(WRONG_TYPE),
        Ok(set) => out.count(set.map_or(0, BTreeSet::len)),
    }
}

pub(super) fn sismember(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.set(id, &words[1]) {
        Err(()) => out.error(WRONG_TYPE),
        Ok(set) => out.int(set.is_some_and(|set| set.contains(&words[2])).into()),
    }
}

/// In order (real servers give none).
pub(super) fn smembers(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let Ok(set) = model.set(id, &words[1]) else { return out.error(WRONG_TYPE) };
    out.set(set.map_or(0, BTreeSet::len));
    set.into_iter().flatten().for_each(|item| out.bulk(item));
}
