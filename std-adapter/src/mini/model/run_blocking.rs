//! Commands that move items between lists and clients, and wait for them.

use super::client::{WaitFor, Words};
use super::reply::Out;
use super::run_strings::{SYNTAX, WRONG_TYPE};
use super::store::Object;
use super::{ClientId, Model};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Left,
    Right,
}

impl End {
    fn of(word: &[u8]) -> Option<End> {
        match word.to_ascii_lowercase().as_slice() {
            b"left" => Some(End::Left),
            b"right" => Some(End::Right),
            _ => None,
        }
    }
}

/// Seconds with a fraction; `None`: for ever.
fn timeout(text: &[u8]) -> Result<Option<Duration>, &'static str> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.is_empty() && !text.contains(['+', ' ', '_']));
    let seconds: f64 = text.and_then(|text| text.parse().ok()).ok_or("ERR timeout is not a float or out of range")?;
    if seconds.is_nan() || seconds.is_infinite() {
        return Err("ERR timeout is not a float or out of range");
    }
    if seconds < 0.0 {
        return Err("ERR timeout is negative");
    }
    // A wait of less than a millisecond is one of a millisecond.
    let limit =
        Duration::try_from_secs_f64((seconds * 1000.0).ceil() / 1000.0).map_err(|_| "ERR timeout is out of range")?;
    Ok(Some(limit).filter(|limit| !limit.is_zero()))
}

impl Model {
    /// Takes an item from a list; `Err` for another type.
    fn take(&mut self, id: ClientId, key: &[u8], end: End) -> Result<Option<Vec<u8>>, ()> {
        let mut list = match self.value(id, key) {
            None => return Ok(None),
            Some(Object::List(list)) => list.clone(),
            Some(_) => return Err(()),
        };
        let item = if end == End::Left { list.pop_front() } else { list.pop_back() };
        if list.is_empty() {
            self.delete(id, key);
        } else {
            self.alter(id, key, Object::List(list));
        }
        Ok(item)
    }

    /// The command waits for its keys, or says at once that there is nothing.
    fn wait_for_keys(&mut self, id: ClientId, words: &Words, keys: &[Vec<u8>], limit: Option<Duration>) -> bool {
        if self.may_not_block(id) {
            return false;
        }
        self.block(id, words, keys.to_vec(), WaitFor::Keys, limit);
        true
    }
}

pub(super) fn blpop(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    pop_first(model, id, words, out, End::Left);
}

pub(super) fn brpop(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    pop_first(model, id, words, out, End::Right);
}

/// `BLPOP key... timeout`: from the first list that has something.
fn pop_first(model: &mut Model, id: ClientId, words: &Words, out: &mut Out, end: End) {
    let [_, keys @ .., limit] = words else { return };
    let limit = match timeout(limit) {
        Ok(limit) => limit,
        Err(text) => return out.error(text),
    };
    for key in keys {
        match model.take(id, key, end) {
            Err(()) => return out.error(WRONG_TYPE),
            Ok(None) => {}
            Ok(Some(item)) => {
                out.array(2);
                out.bulk(key);
                out.bulk(item);
                return;
            }
        }
    }
    if !model.wait_for_keys(id, words, keys, limit) {
        out.null_array();
    }
}

/// `LMOVE source destination LEFT|RIGHT LEFT|RIGHT`
pub(super) fn lmove(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let (Some(from), Some(to)) = (End::of(&words[3]), End::of(&words[4])) else { return out.error(SYNTAX) };
    if !move_item(model, id, words, out, from, to) {
        out.null();
    }
}

pub(super) fn rpoplpush(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    if !move_item(model, id, words, out, End::Right, End::Left) {
        out.null();
    }
}

/// `BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout`
pub(super) fn blmove(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let (Some(from), Some(to)) = (End::of(&words[3]), End::of(&words[4])) else { return out.error(SYNTAX) };
    let limit = match timeout(&words[5]) {
        Ok(limit) => limit,
        Err(text) => return out.error(text),
    };
    if !move_item(model, id, words, out, from, to) && !model.wait_for_keys(id, words, &words[1..2], limit) {
        out.null();
    }
}

/// Whether something was answered.
fn move_item(model: &mut Model, id: ClientId, words: &Words, out: &mut Out, from: End, to: End) -> bool {
    match (model.value(id, &words[1]), model.value(id, &words[2])) {
        (None, _) => return false,
        (Some(Object::List(_)), None | Some(Object::List(_))) => {}
        _ => {
            out.error(WRONG_TYPE);
            return true;
        }
    }
    let Ok(Some(item)) = model.take(id, &words[1], from) else { return false };
    let mut list = match model.value(id, &words[2]) {
        Some(Object::List(list)) => list.clone(),
        _ => std::collections::VecDeque::new(),
    };
    if to == End::Left {
        list.push_front(item.clone());
    } else {
        list.push_back(item.clone());
    }
    model.alter(id, &words[2], Object::List(list));
    out.bulk(item);
    true
}
