//! Commands on lists and hashes: enough to have values of several types and replies of several shapes.

use super::client::Words;
use super::reply::Out;
use super::run_strings::{NOT_INTEGER, WRONG_TYPE, number};
use super::store::Object;
use super::{ClientId, Model};
use std::collections::{BTreeMap, VecDeque};

type List = VecDeque<Vec<u8>>;
type Hash = BTreeMap<Vec<u8>, Vec<u8>>;

impl Model {
    fn list(&self, id: ClientId, key: &[u8]) -> Result<Option<&List>, ()> {
        match self.value(id, key) {
            None => Ok(None),
            Some(Object::List(list)) => Ok(Some(list)),
            Some(_) => Err(()),
        }
    }

    fn hash(&self, id: ClientId, key: &[u8]) -> Result<Option<&Hash>, ()> {
        match self.value(id, key) {
            None => Ok(None),
            Some(Object::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(()),
        }
    }
}

pub(super) fn lpush(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    push(model, id, words, out, List::push_front);
}

pub(super) fn rpush(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    push(model, id, words, out, List::push_back);
}

fn push(model: &mut Model, id: ClientId, words: &Words, out: &mut Out, add: fn(&mut List, Vec<u8>)) {
    let Ok(list) = model.list(id, &words[1]) else { return out.error(WRONG_TYPE) };
    let mut list = list.cloned().unwrap_or_default();
    for item in &words[2..] {
        add(&mut list, item.clone());
    }
    out.count(list.len());
    model.alter(id, &words[1], Object::List(list));
}

/// `LPOP key [count]`
pub(super) fn lpop(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    pop(model, id, words, out, "lpop", List::pop_front);
}

pub(super) fn rpop(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    pop(model, id, words, out, "rpop", List::pop_back);
}

fn pop(
    model: &mut Model,
    id: ClientId,
    words: &Words,
    out: &mut Out,
    name: &str,
    take: fn(&mut List) -> Option<Vec<u8>>,
) {
    if words.len() > 3 {
        return out.error(super::process::wrong_number(name));
    }
    let count = match words.get(2).map(|word| number(word)) {
        None => None,
        Some(Some(n)) if n >= 0 => Some(usize::try_from(n).unwrap_or(usize::MAX)),
        Some(_) => return out.error("ERR value is out of range, must be positive"),
    };
    let mut list = match model.list(id, &words[1]) {
        Err(()) => return out.error(WRONG_TYPE),
        Ok(None) if count.is_some() => return out.null_array(),
        Ok(None) => return out.null(),
        Ok(Some(list)) => list.clone(),
    };
    let taken: Vec<_> = (0..count.unwrap_or(1)).map_while(|_| take(&mut list)).collect();
    if count.is_some() {
        out.array(taken.len());
    }
    for item in &taken {
        out.bulk(item);
    }
    if taken.is_empty() {
    } else if list.is_empty() {
        model.delete(id, &words[1]);
    } else {
        model.alter(id, &words[1], Object::List(list));
    }
}

pub(super) fn llen(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.list(id, &words[1]) {
        Err(()) => out.error(WRONG_TYPE),
        Ok(list) => out.count(list.map_or(0, VecDeque::len)),
    }
}

pub(super) fn lrange(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let (Some(first), Some(last)) = (number(&words[2]), number(&words[3])) else { return out.error(NOT_INTEGER) };
    let list = match model.list(id, &words[1]) {
        Err(()) => return out.error(WRONG_TYPE),
        Ok(None) => return out.array(0),
        Ok(Some(list)) => list,
    };
    let len = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
    let last = if last < -len { -1 } else { place(last).min(len - 1) };
    let first = place(first);
    let items: Vec<_> = (first..=last).filter_map(|at| list.get(usize::try_from(at).ok()?)).collect();
    out.array(items.len());
    for item in items {
        out.bulk(item);
    }
}

pub(super) fn hset(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    if words.len() % 2 == 1 {
        return out.error(super::process::wrong_number("hset"));
    }
    let Ok(hash) = model.hash(id, &words[1]) else { return out.error(WRONG_TYPE) };
    let mut hash = hash.cloned().unwrap_or_default();
    let before = hash.len();
    for pair in words[2..].chunks_exact(2) {
        hash.insert(pair[0].clone(), pair[1].clone());
    }
    out.count(hash.len() - before);
    model.alter(id, &words[1], Object::Hash(hash));
}

pub(super) fn hget(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.hash(id, &words[1]) {
        Err(()) => out.error(WRONG_TYPE),
        Ok(hash) => out.opt_bulk(hash.and_then(|hash| hash.get(&words[2])).map(Vec::as_slice)),
    }
}

pub(super) fn hlen(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.hash(id, &words[1]) {
        Err(()) => out.error(WRONG_TYPE),
        Ok(hash) => out.count(hash.map_or(0, BTreeMap::len)),
    }
}

/// Fields in order of their names (real servers give no order).
pub(super) fn hgetall(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let Ok(hash) = model.hash(id, &words[1]) else { return out.error(WRONG_TYPE) };
    out.map(hash.map_or(0, BTreeMap::len));
    for (field, value) in hash.into_iter().flatten() {
        out.bulk(field);
        out.bulk(value);
    }
}

pub(super) fn hdel(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let Ok(hash) = model.hash(id, &words[1]) else { return out.error(WRONG_TYPE) };
    let mut hash = hash.cloned().unwrap_or_default();
    let removed = words[2..].iter().filter(|field| hash.remove(*field).is_some()).count();
    if removed > 0 && hash.is_empty() {
        model.delete(id, &words[1]);
    } else if removed > 0 {
        model.alter(id, &words[1], Object::Hash(hash));
    }
    out.count(removed);
}

pub(super) fn hexists(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.hash(id, &words[1]) {
        Err(()) => out.error(WRONG_TYPE),
        Ok(hash) => out.int(hash.is_some_and(|hash| hash.contains_key(&words[2])).into()),
    }
}
