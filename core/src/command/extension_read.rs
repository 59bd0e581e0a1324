//! The parts of one command in a COMMAND reply (Redis documentation, "COMMAND").

use super::entry::Policy;
use super::key_spec::{Begin, Find, KeyFlags, KeySpec};
use super::route::{RequestPolicy, ResponsePolicy};
use crate::resp::Frame;

/// Where keys stand for servers before 7.0: three numbers.
pub(super) struct Legacy {
    pub(super) first: i64,
    pub(super) last: i64, // counted from the command's name, or when negative from the end
    pub(super) step: i64,
    pub(super) movable: bool, // and elsewhere, where only the server's code knows
}

impl Legacy {
    pub(super) fn spec(&self) -> Option<KeySpec> {
        // Counted from the first key on, or from the end.
        let last = match self.last {
            from_end @ ..0 => from_end,
            last => last.checked_sub(self.first).filter(|span| *span >= 0)?,
        };
        Some(KeySpec {
            begin: Begin::Index(u8::try_from(self.first).ok()?),
            find: Find::Range { last: i8::try_from(last).ok()?, step: u8::try_from(self.step).ok()?, limit: 0 },
            flags: KeyFlags(KeyFlags::RW),
        })
    }
}

/// One key specification; key words are kept by `keep`. `None` when it does not say where every key is.
pub(super) fn read_spec(spec: &Frame<'_>, mut keep: impl FnMut(&[u8]) -> Option<(u16, u8)>) -> Option<KeySpec> {
    let flags = read_flags(&field(spec, b"flags")?)?;
    let (begin, find) = (field(spec, b"begin_search")?, field(spec, b"find_keys")?);
    let (begin_kind, begin) = (field(&begin, b"type")?, field(&begin, b"spec")?);
    let (find_kind, find) = (field(&find, b"type")?, field(&find, b"spec")?);
    let begin = match begin_kind.bytes()? {
        b"index" => Begin::Index(u8::try_from(number(&begin, b"index")?).ok()?),
        b"keyword" => {
            let (at, len) = keep(field(&begin, b"keyword")?.bytes()?)?;
            Begin::Keyword { at, len, from: i8::try_from(number(&begin, b"startfrom")?).ok()? }
        }
        _ => return None,
    };
    let byte = |key: &[u8]| u8::try_from(number(&find, key)?).ok();
    let find = match find_kind.bytes()? {
        b"range" => Find::Range {
            last: i8::try_from(number(&find, b"lastkey")?).ok()?,
            step: byte(b"keystep")?,
            limit: byte(b"limit")?,
        },
        b"keynum" => Find::Number { count: byte(b"keynumidx")?, first: byte(b"firstkey")?, step: byte(b"keystep")? },
        _ => return None,
    };
    Some(KeySpec { begin, find, flags })
}

/// Whether `word` is among the elements.
pub(super) fn has(list: &Frame<'_>, word: &[u8]) -> bool {
    list.children().any(|item| item.bytes() == Some(word))
}

/// `None` for a policy without a word here: to guess where a command goes could miss nodes.
pub(super) fn read_policy(tips: Option<&Frame<'_>>) -> Option<Policy> {
    let (mut request, mut response) = (RequestPolicy::Default, None);
    for tip in tips.into_iter().flat_map(Frame::children).filter_map(|tip| tip.bytes()) {
        if let Some(word) = tip.strip_prefix(b"request_policy:") {
            request = match word {
                b"all_nodes" => RequestPolicy::AllNodes,
                b"all_shards" => RequestPolicy::AllShards,
                b"multi_shard" => RequestPolicy::MultiShard,
                b"special" => RequestPolicy::Special,
                _ => return None,
            };
        } else if let Some(word) = tip.strip_prefix(b"response_policy:") {
            response = Some(match word {
                b"one_succeeded" => ResponsePolicy::OneSucceeded,
                b"all_succeeded" => ResponsePolicy::AllSucceeded,
                b"agg_logical_and" => ResponsePolicy::AggLogicalAnd,
                b"agg_logical_or" => ResponsePolicy::AggLogicalOr,
                b"agg_min" => ResponsePolicy::AggMin,
                b"agg_max" => ResponsePolicy::AggMax,
                b"agg_sum" => ResponsePolicy::AggSum,
                b"special" => ResponsePolicy::Special,
                _ => return None,
            });
        }
    }
    Some(Policy::new(request, response))
}

/// `None` when the specification does not name every key.
fn read_flags(list: &Frame<'_>) -> Option<KeyFlags> {
    let mut flags = 0;
    for flag in list.children() {
        flags |= match flag.bytes()? {
            b"RW" => KeyFlags::RW,
            b"OW" => KeyFlags::OW,
            b"RM" => KeyFlags::RM,
            b"access" => KeyFlags::ACCESS,
            b"update" => KeyFlags::UPDATE,
            b"insert" => KeyFlags::INSERT,
            b"delete" => KeyFlags::DELETE,
            b"not_key" => KeyFlags::NOT_KEY,
            b"variable_flags" => KeyFlags::VARIABLE,
            b"incomplete" => return None,
            _ => 0, // RO, and what later servers may add
        };
    }
    Some(KeyFlags(flags))
}

/// The value behind `key` in a map, or in the flat array RESP2 has for one.
fn field<'f>(map: &Frame<'f>, key: &[u8]) -> Option<Frame<'f>> {
    let mut children = map.children();
    loop {
        let (name, value) = (children.next()?, children.next()?);
        if name.bytes() == Some(key) {
            return Some(value);
        }
    }
}

fn number(map: &Frame<'_>, key: &[u8]) -> Option<i64> {
    field(map, key)?.integer()
}
