//! Commands on strings.

use super::client::Words;
use super::replication::Effect;
use super::reply::Out;
use super::run_expiry::clock_of;
use super::store::{Entry, Object};
use super::{ClientId, Model, Profile};

pub(super) const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
pub(super) const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
pub(super) const SYNTAX: &str = "ERR syntax error";

/// A number as servers accept it: no plus sign, no leading zeros, no spaces.
pub(super) fn number(text: &[u8]) -> Option<i64> {
    let n: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (n.to_string().as_bytes() == text).then_some(n)
}

impl Model {
    /// The value of a key at the connection's node.
    pub(super) fn value(&self, id: ClientId, key: &[u8]) -> Option<&Object> {
        self.entry(id, key).map(|entry| &entry.object)
    }

    pub(super) fn entry(&self, id: ClientId, key: &[u8]) -> Option<&Entry> {
        let entry = self.nodes[self.node_of(id)].store.get(key)?;
        // A replica that lags keeps what has expired, and hides it.
        entry.expires.is_none_or(|at| at > self.now).then_some(entry)
    }

    /// The string under a key; `Err` for another type.
    fn text(&self, id: ClientId, key: &[u8]) -> Result<Option<&[u8]>, ()> {
        match self.value(id, key) {
            None => Ok(None),
            Some(Object::Text(text)) => Ok(Some(text)),
            Some(_) => Err(()),
        }
    }

    /// A new value that does not expire.
    pub(super) fn put(&mut self, id: ClientId, key: &[u8], value: Object) {
        self.put_entry(id, key, value.into());
    }

    /// A changed value, which expires when the old one did.
    pub(super) fn alter(&mut self, id: ClientId, key: &[u8], object: Object) {
        let expires = self.entry(id, key).and_then(|entry| entry.expires);
        self.put_entry(id, key, Entry { object, expires });
    }

    pub(super) fn put_entry(&mut self, id: ClientId, key: &[u8], entry: Entry) {
        self.change(self.node_of(id), Effect::Key(key.to_vec(), Some(entry)));
    }

    pub(super) fn delete(&mut self, id: ClientId, key: &[u8]) -> bool {
        let there = self.entry(id, key).is_some();
        if there {
            self.change(self.node_of(id), Effect::Key(key.to_vec(), None));
        }
        there
    }

    /// Marks the transactions that watch the key, and tells who has read it.
    pub(super) fn touched(&mut self, node: usize, key: &[u8]) {
        self.invalidate(node, key);
        let clients = &mut self.clients;
        self.watching.retain(|id| {
            let Some(client) = clients.get_mut(id).filter(|client| !client.watched.is_empty()) else { return false };
            if client.node == node && client.watched.contains(key) {
                client.touched = true;
            }
            true
        });
    }

    /// Marks the transactions that watch any key the node has.
    pub(super) fn touch_all(&mut self, node: usize) {
        self.invalidate_all(node);
        let store = &self.nodes[node].store;
        for id in &self.watching {
            if let Some(client) = self.clients.get_mut(id)
                && client.node == node
                && client.watched.iter().any(|key| store.contains(key))
            {
                client.touched = true;
            }
        }
    }
}

pub(super) fn get(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.text(id, &words[1]) {
        Ok(text) => out.opt_bulk(text),
        Err(()) => out.error(WRONG_TYPE),
    }
}

pub(super) fn strlen(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.text(id, &words[1]) {
        Ok(text) => out.count(text.map_or(0, <[u8]>::len)),
        Err(()) => out.error(WRONG_TYPE),
    }
}

/// `SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`
pub(super) fn set(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let (mut nx, mut xx, mut get, mut keep, mut time) = (false, false, false, false, None);
    let mut rest = words[3..].iter();
    while let Some(word) = rest.next() {
        match (clock_of(word), word.to_ascii_uppercase().as_slice()) {
            (Some(clock), _) if time.is_none() && !keep => match rest.next() {
                Some(number) => time = Some((clock, number)),
                None => return out.error(SYNTAX),
            },
            (None, b"NX") if !xx => nx = true,
            (None, b"XX") if !nx => xx = true,
            (None, b"GET") => get = true,
            (None, b"KEEPTTL") if time.is_none() => keep = true,
            _ => return out.error(SYNTAX),
        }
    }
    if nx && get && model.profile(id) == Profile::Redis62 {
        return out.error(SYNTAX);
    }
    let mut expires = match time.map(|(clock, number)| clock.expiry(number, model.now, "set")) {
        Some(Ok(at)) => Some(at),
        Some(Err(text)) => return out.error(text),
        None => None,
    };
    if keep {
        expires = model.entry(id, &words[1]).and_then(|entry| entry.expires);
    }
    let old = match model.text(id, &words[1]) {
        Ok(old) => old.map(<[u8]>::to_vec),
        Err(()) if get => return out.error(WRONG_TYPE),
        Err(()) => None,
    };
    let exists = model.value(id, &words[1]).is_some();
    let done = !(nx && exists || xx && !exists);
    if done && expires.is_some_and(|at| at <= model.now) {
        model.delete(id, &words[1]);
    } else if done {
        model.put_entry(id, &words[1], Entry { object: Object::Text(words[2].clone()), expires });
    }
    if get {
        out.opt_bulk(old.as_deref());
    } else if done {
        out.ok();
    } else {
        out.null();
    }
}

pub(super) fn mget(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    out.array(words.len() - 1);
    for key in &words[1..] {
        out.opt_bulk(model.text(id, key).unwrap_or(None));
    }
}

pub(super) fn mset(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    if words.len().is_multiple_of(2) {
        return out.error(super::process::wrong_number("mset"));
    }
    for pair in words[1..].chunks_exact(2) {
        model.put(id, &pair[0], Object::Text(pair[1].clone()));
    }
    out.ok();
}

pub(super) fn msetnx(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    if words.len().is_multiple_of(2) {
        return out.error(super::process::wrong_number("msetnx"));
    }
    if words[1..].chunks_exact(2).any(|pair| model.value(id, &pair[0]).is_some()) {
        return out.int(0);
    }
    for pair in words[1..].chunks_exact(2) {
        model.put(id, &pair[0], Object::Text(pair[1].clone()));
    }
    out.int(1);
}

pub(super) fn incr(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    add(model, id, &words[1], 1, out);
}

pub(super) fn incrby(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match number(&words[2]) {
        Some(by) => add(model, id, &words[1], by, out),
        None => out.error(NOT_INTEGER),
    }
}

fn add(model: &mut Model, id: ClientId, key: &[u8], by: i64, out: &mut Out) {
    let old = match model.text(id, key) {
        Err(()) => return out.error(WRONG_TYPE),
        Ok(None) => 0,
        Ok(Some(text)) => match number(text) {
            Some(n) => n,
            None => return out.error(NOT_INTEGER),
        },
    };
    match old.checked_add(by) {
        Some(sum) => {
            model.alter(id, key, Object::Text(sum.to_string().into_bytes()));
            out.int(sum);
        }
        None => out.error("ERR increment or decrement would overflow"),
    }
}

pub(super) fn append(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.text(id, &words[1]) {
        Err(()) => out.error(WRONG_TYPE),
        Ok(old) => {
            let new = [old.unwrap_or_default(), &words[2]].concat();
            out.count(new.len());
            model.alter(id, &words[1], Object::Text(new));
        }
    }
}

pub(super) fn getset(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.text(id, &words[1]) {
        Err(()) => out.error(WRONG_TYPE),
        Ok(old) => {
            out.opt_bulk(old);
            model.put(id, &words[1], Object::Text(words[2].clone()));
        }
    }
}

pub(super) fn setnx(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let free = model.value(id, &words[1]).is_none();
    if free {
        model.put(id, &words[1], Object::Text(words[2].clone()));
    }
    out.int(free.into());
}

pub(super) fn decr(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    add(model, id, &words[1], -1, out);
}
