//! redis-protocol: byte ranges over the receive buffer, and its owned tree. RESP2 decoder where the workload allows.

use super::Contestant;
use crate::digest::{Digest, Sink};
use crate::recv::{Feed, Recv};
use redis_protocol::resp2;
use redis_protocol::resp3;
use std::hint::black_box;

#[derive(Default)]
pub struct Range {
    recv: Recv,
}

#[derive(Default)]
pub struct Owned {
    recv: Recv,
}

/// Reads as a client would: append, decode while there are whole frames, keep the rest. The decoder has no state
/// between calls.
fn run(
    recv: &mut Recv,
    feed: &mut Feed<'_>,
    mut one: impl FnMut(&[u8]) -> Result<Option<usize>, String>,
) -> Result<u64, String> {
    recv.clear();
    let mut tops = 0;
    while let Some(chunk) = feed.next() {
        recv.push(chunk);
        while let Some(used) = one(recv.data())? {
            recv.consume(used);
            tops += 1;
        }
    }
    Ok(tops)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The first byte of a stream tells the workloads apart: only maps need the RESP3 decoder.
fn is_resp3(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'%')
}

fn walk_range2(frame: &resp2::types::RangeFrame, buf: &[u8], digest: &mut Digest) {
    use resp2::types::RangeFrame as F;
    match frame {
        F::SimpleString(at) | F::Error(at) | F::BulkString(at) => digest.text(&buf[at.0..at.1]),
        F::Integer(value) => digest.int(*value),
        F::Null => digest.null(),
        F::Array(frames) => {
            digest.head(frames.len() as u64);
            frames.iter().for_each(|frame| walk_range2(frame, buf, digest));
        }
    }
}

fn walk_range3(frame: &resp3::types::RangeFrame, buf: &[u8], digest: &mut Digest) {
    use resp3::types::RangeFrame as F;
    match frame {
        F::BlobString { data, .. } | F::SimpleString { data, .. } => digest.text(&buf[data.0..data.1]),
        F::Number { data, .. } => digest.int(*data),
        F::Double { data, .. } => digest.double(*data),
        F::Boolean { data, .. } => digest.boolean(*data),
        F::Map { data, .. } => {
            digest.head(2 * data.len() as u64);
            for (key, value) in data {
                walk_range3(key, buf, digest);
                walk_range3(value, buf, digest);
            }
        }
        other => panic!("not in any workload: {other:?}"),
    }
}

fn walk_owned2(frame: &resp2::types::OwnedFrame, digest: &mut Digest) {
    use resp2::types::OwnedFrame as F;
    match frame {
        F::SimpleString(bytes) | F::BulkString(bytes) => digest.text(bytes),
        F::Error(text) => digest.text(text.as_bytes()),
        F::Integer(value) => digest.int(*value),
        F::Null => digest.null(),
        F::Array(frames) => {
            digest.head(frames.len() as u64);
            frames.iter().for_each(|frame| walk_owned2(frame, digest));
        }
    }
}

fn walk_owned3(frame: &resp3::types::OwnedFrame, digest: &mut Digest) {
    use resp3::types::OwnedFrame as F;
    match frame {
        F::BlobString { data, .. } | F::SimpleString { data, .. } => digest.text(data),
        F::Number { data, .. } => digest.int(*data),
        F::Double { data, .. } => digest.double(*data),
        F::Boolean { data, .. } => digest.boolean(*data),
        F::Map { data, .. } => {
            digest.head(2 * data.len() as u64);
            for (key, value) in data {
                walk_owned3(key, digest);
                walk_owned3(value, digest);
            }
        }
        other => panic!("not in any workload: {other:?}"),
    }
}

impl Contestant for Range {
    fn name(&self) -> &'static str {
        "redis-protocol decode_range"
    }
    fn makes(&self) -> &'static str {
        "tree of byte ranges"
    }
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        let mut digest = Digest::default();
        run(&mut self.recv, feed, |buf| {
            let used = if is_resp3(buf) {
                resp3::decode::complete::decode_range(buf).map_err(text)?.map(|(frame, used)| {
                    walk_range3(&frame, buf, &mut digest);
                    used
                })
            } else {
                resp2::decode::decode_range(buf).map_err(text)?.map(|(frame, used)| {
                    walk_range2(&frame, buf, &mut digest);
                    used
                })
            };
            digest.tops += u64::from(used.is_some());
            Ok(used)
        })?;
        Ok(Some(digest))
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        run(&mut self.recv, feed, |buf| {
            Ok(if is_resp3(buf) {
                black_box(resp3::decode::complete::decode_range(buf).map_err(text)?).map(|(_, used)| used)
            } else {
                black_box(resp2::decode::decode_range(buf).map_err(text)?).map(|(_, used)| used)
            })
        })
        .expect("checked before")
    }
}

impl Contestant for Owned {
    fn name(&self) -> &'static str {
        "redis-protocol decode"
    }
    fn makes(&self) -> &'static str {
        "owned tree"
    }
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        let mut digest = Digest::default();
        run(&mut self.recv, feed, |buf| {
            let used = if is_resp3(buf) {
                resp3::decode::complete::decode(buf).map_err(text)?.map(|(frame, used)| {
                    walk_owned3(&frame, &mut digest);
                    used
                })
            } else {
                resp2::decode::decode(buf).map_err(text)?.map(|(frame, used)| {
                    walk_owned2(&frame, &mut digest);
                    used
                })
            };
            digest.tops += u64::from(used.is_some());
            Ok(used)
        })?;
        Ok(Some(digest))
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        run(&mut self.recv, feed, |buf| {
            Ok(if is_resp3(buf) {
                black_box(resp3::decode::complete::decode(buf).map_err(text)?).map(|(_, used)| used)
            } else {
                black_box(resp2::decode::decode(buf).map_err(text)?).map(|(_, used)| used)
            })
        })
        .expect("checked before")
    }
}
