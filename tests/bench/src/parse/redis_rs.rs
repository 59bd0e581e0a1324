//! redis-rs: its incremental `Parser`, fed by a reader that returns one chunk per call.

use super::Contestant;
use crate::digest::{Digest, Sink};
use crate::recv::Feed;
use redis::{Parser, Value};
use std::io::Read;

pub struct RedisRs;

/// Gives at most one chunk per read. The parser's own buffer is the receive buffer.
struct Chunks<'f, 's> {
    feed: &'f mut Feed<'s>,
    rest: &'s [u8],
}

impl Read for Chunks<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.feed.next().unwrap_or_default();
        }
        self.rest.read(out)
    }
}

fn run(feed: &mut Feed<'_>, mut each: impl FnMut(Value)) -> Result<u64, String> {
    let mut parser = Parser::new();
    let mut chunks = Chunks { feed, rest: &[] };
    let mut tops = 0;
    loop {
        match parser.parse_value(&mut chunks) {
            Ok(value) => each(value),
            // The only error the workloads can cause: no more bytes.
            Err(error) if error.is_io_error() => return Ok(tops),
            Err(error) => return Err(error.to_string()),
        }
        tops += 1;
    }
}

fn walk(value: &Value, digest: &mut Digest) {
    match value {
        Value::Nil => digest.null(),
        Value::Int(value) => digest.int(*value),
        Value::BulkString(bytes) => digest.text(bytes),
        Value::SimpleString(text) => digest.text(text.as_bytes()),
        Value::Okay => digest.text(b"OK"),
        Value::Double(value) => digest.double(*value),
        Value::Boolean(value) => digest.boolean(*value),
        Value::Array(values) => {
            digest.head(values.len() as u64);
            values.iter().for_each(|value| walk(value, digest));
        }
        Value::Map(pairs) => {
            digest.head(2 * pairs.len() as u64);
            for (key, value) in pairs {
                walk(key, digest);
                walk(value, digest);
            }
        }
        other => panic!("not in any workload: {other:?}"),
    }
}

impl Contestant for RedisRs {
    fn name(&self) -> &'static str {
        "redis-rs Parser"
    }
    fn makes(&self) -> &'static str {
        "owned tree"
    }
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        let mut digest = Digest::default();
        run(feed, |value| {
            walk(&value, &mut digest);
            digest.top();
        })?;
        Ok(Some(digest))
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        run(feed, |value| {
            std::hint::black_box(value);
        })
        .expect("checked before")
    }
}
