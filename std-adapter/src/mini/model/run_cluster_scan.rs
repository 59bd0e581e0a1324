//! CLUSTERSCAN (Valkey from 9.1): a scan over all nodes with one cursor, which says itself where it goes.
//!
//! The cursor is `fingerprint-{tag}-position`: it is routed like a key by its tag; the position has the slot in its low 14 bits
//! like that of SCAN, and counts only at the node whose fingerprint it is. Seen on Valkey 9.1.

use super::client::Words;
use super::glob;
use super::node::mix;
use super::reply::Out;
use super::run_scan::{Filter, fill, options};
use super::run_strings::number;
use super::store::slot_of;
use super::view::SLOTS;
use super::{ClientId, Model};
use slotwise::slot::{Slot, tag_for};

struct Cursor {
    slot: u16,
    /// Where to go on, if the node knows its fingerprint.
    position: Option<u64>,
}

/// `CLUSTERSCAN cursor [MATCH pattern] [COUNT n] [TYPE t] [SLOT s]`
pub(super) fn cluster_scan(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let me = model.node_of(id);
    let start = words[1] == b"0";
    let cursor = match parse(&words[1], &model.fingerprint(me)) {
        Some(cursor) => cursor,
        None if start => Cursor { slot: 0, position: None },
        None => return out.error("ERR Invalid cursor"),
    };
    let (filter, slot_word) = match options(model.profile(id), &words[2..], true) {
        Ok(found) => found,
        Err(text) => return out.error(text),
    };
    let wanted = match slot_word.map(|word| number(word).and_then(|n| u16::try_from(n).ok())) {
        Some(Some(slot)) if usize::from(slot) < SLOTS => Some(slot),
        Some(_) => return out.error("ERR Invalid or out of range slot"),
        None => None,
    };
    if !start && wanted.is_some_and(|wanted| wanted != cursor.slot) {
        return out.error("ERR Cursor slot mismatch with SLOT argument");
    }
    let matched = filter.pattern.and_then(|pattern| glob::only_slot(pattern));
    let only = match (wanted, matched) {
        (Some(a), Some(b)) if a != b => return page(out, "0", &[]),
        (a, b) => a.or(b),
    };
    if start {
        return page(out, &first(only.unwrap_or(0)), &[]);
    }
    match only {
        Some(only) if only > cursor.slot => page(out, &first(only), &[]),
        Some(only) if only < cursor.slot => page(out, "0", &[]),
        only => walk(model, me, &cursor, only, &filter, out),
    }
}

/// Goes through the slots from the cursor's on that the node owns without a gap.
fn walk(model: &Model, me: usize, cursor: &Cursor, only: Option<u16>, filter: &Filter<'_>, out: &mut Out) {
    let node = &model.nodes[me];
    let end = match only {
        Some(slot) => slot,
        // A replica walks what its primary owns.
        None => {
            let owner = node.owner(cursor.slot);
            (cursor.slot..SLOTS as u16).take_while(|slot| node.owner(*slot) == owner).last().unwrap_or(cursor.slot)
        }
    };
    let position = cursor.position.unwrap_or(u64::from(cursor.slot));
    let (mut found, mut next) = (Vec::new(), position);
    let ended = fill(model, me, &mut next, only, filter, &mut found, |next| {
        next == 0 || (next & (SLOTS as u64 - 1)) > u64::from(end)
    });
    if !ended {
        let slot = (next & (SLOTS as u64 - 1)) as u16;
        let cursor = format!("{}-{{{}}}-{next}", model.fingerprint(me), tag(slot));
        return page(out, &cursor, &found);
    }
    match end.checked_add(1).filter(|next| only.is_none() && usize::from(*next) < SLOTS) {
        Some(next) => page(out, &first(next), &found),
        None => page(out, "0", &found),
    }
}

fn page(out: &mut Out, cursor: &str, keys: &[Vec<u8>]) {
    out.array(2);
    out.bulk(cursor);
    out.array(keys.len());
    keys.iter().for_each(|key| out.bulk(key));
}

/// The cursor that starts at a slot.
fn first(slot: u16) -> String {
    format!("0-{{{}}}-0", tag(slot))
}

fn tag(slot: u16) -> String {
    let tag = Slot::new(slot).map_or(*b"06S", tag_for);
    String::from_utf8_lossy(&tag).into_owned()
}

fn parse(text: &[u8], fingerprint: &str) -> Option<Cursor> {
    let first = text.iter().position(|byte| *byte == b'-')?;
    let last = text.iter().rposition(|byte| *byte == b'-')?;
    if first == last {
        return None;
    }
    let position = super::run_scan::cursor(&text[last + 1..])?;
    let known = &text[..first] == fingerprint.as_bytes();
    Some(Cursor { slot: slot_of(text), position: known.then_some(position) })
}

impl Model {
    /// Six characters that change when the node is started again.
    fn fingerprint(&self, node: usize) -> String {
        let mut bits = mix(self.options.seed ^ (self.nodes[node].starts << 20) ^ (node as u64) << 40);
        let mut text = String::new();
        for _ in 0..6 {
            text.push(char::from(b'0' + (bits & 63) as u8));
            bits >>= 6;
        }
        text
    }
}
