//! SCAN and KEYS.

use super::client::Words;
use super::glob;
use super::reply::Out;
use super::run_strings::{NOT_INTEGER, SYNTAX, number};
use super::{ClientId, Model};

const TYPES: [&[u8]; 7] = [b"string", b"list", b"hash", b"set", b"zset", b"stream", b"none"];

/// `SCAN cursor [MATCH pattern] [COUNT n] [TYPE t]`
pub(super) fn scan(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let Some(cursor) = cursor(&words[1]) else { return out.error("ERR invalid cursor") };
    let (mut count, mut pattern, mut kind) = (10, None, None);
    let mut rest = words[2..].iter();
    while let Some(option) = rest.next() {
        let Some(value) = rest.next() else { return out.error(SYNTAX) };
        match option.to_ascii_uppercase().as_slice() {
            b"COUNT" => match number(value) {
                None => return out.error(NOT_INTEGER),
                Some(n) if n < 1 => return out.error(SYNTAX),
                Some(n) => count = usize::try_from(n).unwrap_or(usize::MAX),
            },
            b"MATCH" => pattern = Some(value),
            b"TYPE" => {
                let known = TYPES.contains(&value.to_ascii_lowercase().as_slice());
                if model.profile(id).is_valkey() && !known {
                    return out.error([b"ERR unknown type name '".as_slice(), value, b"'"].concat());
                }
                kind = Some(value);
            }
            _ => return out.error(SYNTAX),
        }
    }
    let now = model.now;
    let store = &model.nodes[model.node_of(id)].store;
    let only = pattern.filter(|_| model.profile(id).slot_cursors()).and_then(|p| glob::only_slot(p));
    let (mut found, mut looked_at, mut cursor) = (Vec::new(), 0, cursor);
    // Buckets can be empty: a bounded number of them is looked at, as in real servers.
    for _ in 0..count.saturating_mul(10) {
        cursor = store.scan(cursor, only, &mut |key, entry| {
            looked_at += 1;
            let fits = entry.expires.is_none_or(|at| at > now)
                && pattern.is_none_or(|pattern| glob::matches(pattern, key))
                && kind.is_none_or(|kind| kind.eq_ignore_ascii_case(entry.object.type_name().as_bytes()));
            if fits {
                found.push(key.to_vec());
            }
        });
        if cursor == 0 || looked_at >= count {
            break;
        }
    }
    out.array(2);
    out.bulk(cursor.to_string());
    out.array(found.len());
    for key in found {
        out.bulk(key);
    }
}

/// An unsigned number of up to 64 bits, as `strtoul` reads it without signs and spaces.
fn cursor(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

pub(super) fn keys(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let store = &model.nodes[model.node_of(id)].store;
    let found: Vec<&[u8]> = store.keys().filter(|key| glob::matches(&words[1], key)).collect();
    out.array(found.len());
    for key in found {
        out.bulk(key);
    }
}
