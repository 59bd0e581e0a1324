//! One reply of the replies to a command's parts, written as RESP into the results' buffer.

use slotwise::command::ResponsePolicy;
use slotwise::pipeline::{Answer, Merge, MergeError, Merged, PartState};
use slotwise::resp::{Frame, Kind};
use slotwise::server_error::ServerError;

use crate::error::ServerReply;
use crate::results::{ErrorItem, Item, frame};
use crate::work::Parts;

/// Merges by the command's response policy. `positions` gives, for a part of a split command, where its keys stand
/// in the whole command.
pub(crate) fn merge(
    policy: ResponsePolicy,
    parts: &Parts,
    bytes: &mut Vec<u8>,
    positions: impl Fn(usize) -> Vec<usize>,
) -> Item {
    let mut states = vec![PartState::Pending; parts.items.len()];
    let mut merging = Merge::new(policy, &mut states[..]);
    let mut columns = Vec::new();
    for (part, item) in parts.items.iter().enumerate() {
        // Only a part that ended twice could be refused, and none does.
        let _ = feed(policy, &mut merging, part, item, bytes, &positions, &mut columns);
    }
    let outcome = merging.finish();
    let resent = parts.items.iter().any(|item| matches!(item, Item::Reply { resent: true, .. }));
    let start = bytes.len();
    match outcome {
        Ok(Merged::Integer(n)) => bytes.extend_from_slice(format!(":{n}\r\n").as_bytes()),
        Ok(Merged::Same(part)) => return parts.items.get(usize::from(part)).cloned().unwrap_or(Item::Pending),
        Ok(Merged::Elements(_)) => gather(parts, bytes, &positions),
        Ok(Merged::Columns(count)) => {
            bytes.extend_from_slice(format!("*{count}\r\n").as_bytes());
            for value in columns.iter().take(count as usize) {
                bytes.extend_from_slice(format!(":{value}\r\n").as_bytes());
            }
        }
        Ok(Merged::Each) => each(parts, bytes),
        Err(error) => return failure(error, parts, &states, bytes),
    }
    Item::Reply { start, len: bytes.len() - start, resent }
}

fn feed(
    policy: ResponsePolicy,
    merging: &mut Merge<&mut [PartState]>,
    part: usize,
    item: &Item,
    bytes: &[u8],
    positions: &impl Fn(usize) -> Vec<usize>,
    columns: &mut Vec<i64>,
) -> Result<PartState, MergeError> {
    use slotwise::pipeline::Outcome;
    let reply = match item {
        Item::Reply { start, len, .. } => bytes.get(*start..start + len).and_then(frame),
        Item::Failed(failure) => {
            let state = match failure.outcome {
                Outcome::Rejected => PartState::Rejected,
                Outcome::NotSent => PartState::NotSent,
                Outcome::MaybeExecuted => PartState::MaybeExecuted,
                Outcome::ReplyLost => PartState::ReplyLost,
            };
            return merging.fail(part, state);
        }
        _ => None,
    };
    let Some(reply) = reply else { return merging.fail(part, PartState::NotSent) };
    let elements = reply.len().and_then(|n| u32::try_from(n).ok());
    let integers = || reply.children().map(|child| child.integer());
    match (reply.error(), reply.kind(), elements) {
        (Some(line), ..) => merging.answer(part, Answer::Error(line), 0),
        (_, Kind::Integer, _) => merging.answer(part, Answer::Integer(reply.integer().unwrap_or(0)), 0),
        (_, Kind::Array | Kind::Set, Some(count)) => {
            if integers().next().flatten().is_some() && !collects(policy) {
                columns.resize(columns.len().max(count as usize), 0);
                return merging.columns(part, integers(), columns);
            }
            merging.answer(part, Answer::Elements(count), positions(part).len())
        }
        _ => merging.answer(part, Answer::Other, 0),
    }
}

/// Policies that put elements together instead of folding integers.
const fn collects(policy: ResponsePolicy) -> bool {
    matches!(
        policy,
        ResponsePolicy::DefaultKeyed
            | ResponsePolicy::DefaultKeyless
            | ResponsePolicy::Special
            | ResponsePolicy::AllSucceeded
            | ResponsePolicy::OneSucceeded
    )
}

/// The elements of all parts in one array: each at its key's place, or one part behind the other.
fn gather(parts: &Parts, bytes: &mut Vec<u8>, positions: &impl Fn(usize) -> Vec<usize>) {
    let mut placed: Vec<(usize, usize, usize)> = Vec::new();
    for (part, item) in parts.items.iter().enumerate() {
        let Item::Reply { start, len, .. } = item else { continue };
        let Some(reply) = bytes.get(*start..start + len).and_then(frame) else { continue };
        let places = positions(part);
        // Children are slices of the part's bytes: their offsets are found by address.
        let base = reply.raw().as_ptr().addr();
        for (nth, child) in reply.children().enumerate() {
            let at = places.get(nth).copied().unwrap_or(placed.len());
            let offset = start + (child.raw().as_ptr().addr() - base);
            placed.push((at, offset, child.raw().len()));
        }
    }
    placed.sort_by_key(|(at, ..)| *at);
    bytes.extend_from_slice(format!("*{}\r\n", placed.len()).as_bytes());
    for (_, offset, len) in placed {
        bytes.extend_from_within(offset..offset + len);
    }
}

/// Replies that have no sum stand beside each other: an array of node id and reply, pair after pair.
fn each(parts: &Parts, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("*{}\r\n", parts.items.len() * 2).as_bytes());
    for (part, item) in parts.items.iter().enumerate() {
        let node = parts.nodes.get(part).map(ToString::to_string).unwrap_or_default();
        bytes.extend_from_slice(format!("${}\r\n{node}\r\n", node.len()).as_bytes());
        match item {
            Item::Reply { start, len, .. } => bytes.extend_from_within(*start..start + len),
            _ => bytes.extend_from_slice(b"$-1\r\n"),
        }
    }
}

fn failure(error: MergeError, parts: &Parts, states: &[PartState], bytes: &[u8]) -> Item {
    let MergeError::Part { part, state } = error else {
        return Item::Error(Box::new(ErrorItem::UnexpectedReply));
    };
    let first = parts.items.get(usize::from(part)).cloned().unwrap_or(Item::Pending);
    let line = match &first {
        Item::Reply { start, len, .. } if matches!(state, PartState::Error(_)) => {
            let reply: Option<Frame<'_>> = bytes.get(*start..start + len).and_then(frame);
            reply.and_then(|reply| reply.error()).map(|line| {
                debug_assert!(!ServerError::parse(line).text().is_empty() || line.is_empty());
                ServerReply::new(line)
            })
        }
        _ => None,
    };
    let succeeded = states.iter().filter(|state| **state == PartState::Done).count();
    Item::Error(Box::new(ErrorItem::Partial { parts: parts.items.len(), succeeded, first, line }))
}
