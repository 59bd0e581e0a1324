//! SCAN and KEYS.

use super::client::Words;
use super::glob;
use super::reply::Out;
use super::run_strings::{NOT_INTEGER, SYNTAX, number};
use super::{ClientId, Model, Profile};

const TYPES: [&[u8]; 7] = [b"string", b"list", b"hash", b"set", b"zset", b"stream", b"none"];

/// What a scan looks for, and how far it looks.
pub(super) struct Filter<'w> {
    pub(super) pattern: Option<&'w Vec<u8>>,
    kind: Option<&'w Vec<u8>>,
    count: usize,
}

/// `[MATCH pattern] [COUNT n] [TYPE t]`, and `[SLOT s]` where that is an option; the word behind SLOT apart.
pub(super) fn options<'w>(
    profile: Profile,
    words: &'w Words,
    slots: bool,
) -> Result<(Filter<'w>, Option<&'w Vec<u8>>), Vec<u8>> {
    let mut filter = Filter { pattern: None, kind: None, count: 10 };
    let mut slot = None;
    let mut rest = words.iter();
    while let Some(option) = rest.next() {
        let Some(value) = rest.next() else { return Err(SYNTAX.into()) };
        match option.to_ascii_uppercase().as_slice() {
            b"COUNT" => match number(value) {
                None => return Err(NOT_INTEGER.into()),
                Some(n) if n < 1 => return Err(SYNTAX.into()),
                Some(n) => filter.count = usize::try_from(n).unwrap_or(usize::MAX),
            },
            b"MATCH" => filter.pattern = Some(value),
            b"TYPE" => {
                if profile.is_valkey() && !TYPES.contains(&value.to_ascii_lowercase().as_slice()) {
                    return Err([b"ERR unknown type name '".as_slice(), value, b"'"].concat());
                }
                filter.kind = Some(value);
            }
            b"SLOT" if slots => slot = Some(value),
            _ => return Err(SYNTAX.into()),
        }
    }
    Ok((filter, slot))
}

/// Collects keys from a cursor on until enough were looked at (`false`) or the end has come (`true`).
pub(super) fn fill(
    model: &Model,
    node: usize,
    cursor: &mut u64,
    only: Option<u16>,
    filter: &Filter<'_>,
    found: &mut Vec<Vec<u8>>,
    end: impl Fn(u64) -> bool,
) -> bool {
    let store = &model.nodes[node].store;
    let mut looked_at = 0;
    // Buckets can be empty: a bounded number of them is looked at, as in real servers.
    for _ in 0..filter.count.saturating_mul(10) {
        *cursor = store.scan(*cursor, only, &mut |key, entry| {
            looked_at += 1;
            let fits = entry.expires.is_none_or(|at| at > model.now)
                && filter.pattern.is_none_or(|pattern| glob::matches(pattern, key))
                && filter.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(entry.object.type_name().as_bytes()));
            if fits {
                found.push(key.to_vec());
            }
        });
        if end(*cursor) {
            return true;
        }
        if looked_at >= filter.count {
            return false;
        }
    }
    false
}

/// `SCAN cursor [MATCH pattern] [COUNT n] [TYPE t]`
pub(super) fn scan(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let Some(mut cursor) = cursor(&words[1]) else { return out.error("ERR invalid cursor") };
    let filter = match options(model.profile(id), &words[2..], false) {
        Ok((filter, _)) => filter,
        Err(text) => return out.error(text),
    };
    let only = filter.pattern.filter(|_| model.profile(id).slot_cursors()).and_then(|p| glob::only_slot(p));
    let mut found = Vec::new();
    fill(model, model.node_of(id), &mut cursor, only, &filter, &mut found, |cursor| cursor == 0);
    out.array(2);
    out.bulk(cursor.to_string());
    out.array(found.len());
    for key in found {
        out.bulk(key);
    }
}

/// An unsigned number of up to 64 bits, as `strtoul` reads it without signs and spaces.
pub(super) fn cursor(text: &[u8]) -> Option<u64> {
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
