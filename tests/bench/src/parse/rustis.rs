//! rustis: its connection decoder, which indexes a reply in a tape of 8 bytes per value and decodes nothing.

use super::Contestant;
use crate::digest::{Digest, Sink};
use crate::recv::Feed;
use rustis::resp::Value;
use rustis::resp::bench_support::{BenchDecoder, bench_decode_to};

#[derive(Default)]
pub struct Tape {
    decoder: BenchDecoder,
}

impl Tape {
    fn run(&mut self, feed: &mut Feed<'_>) -> u64 {
        let mut tops = 0;
        while let Some(chunk) = feed.next() {
            // One call decodes one reply; an error means that no whole one is left (the streams hold no bad byte).
            let mut bytes = chunk;
            while self.decoder.feed(bytes).is_ok() {
                tops += 1;
                bytes = &[];
            }
        }
        tops
    }
}

fn walk(value: &Value, digest: &mut Digest) {
    match value {
        Value::SimpleString(text) => digest.text(text.as_bytes()),
        Value::Integer(value) => digest.int(*value),
        Value::Double(value) => digest.double(*value),
        Value::BulkString(bytes) => digest.text(bytes),
        Value::Boolean(value) => digest.boolean(*value),
        Value::Null => digest.null(),
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

impl Contestant for Tape {
    fn name(&self) -> &'static str {
        "rustis tape"
    }
    fn makes(&self) -> &'static str {
        "tape of 8 B per value, undecoded"
    }
    /// The tape itself cannot be looked at from outside: the same parser's values are checked one after another, and
    /// the decoder's number of replies.
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        let mut bytes = Vec::new();
        let mut digest = Digest::default();
        let mut tops = 0;
        while let Some(chunk) = feed.next() {
            bytes.extend_from_slice(chunk);
            let mut more = chunk;
            while self.decoder.feed(more).is_ok() {
                tops += 1;
                more = &[];
            }
        }
        let mut rest = bytes.as_slice();
        let mut boundary = slotwise::resp::Frames::<128>::new(slotwise::limits::Limits::DEFAULT);
        while !rest.is_empty() {
            let slotwise::resp::Status::Complete(extent) = boundary.scan(rest).map_err(|error| error.to_string())?
            else {
                return Err("the stream ends inside a reply".into());
            };
            let value: Value = bench_decode_to(&rest[..extent.len]).map_err(|error| error.to_string())?;
            walk(&value, &mut digest);
            digest.top();
            rest = &rest[extent.len..];
        }
        if tops != digest.tops {
            return Err(format!("its decoder saw {tops} replies, its values are {}", digest.tops));
        }
        Ok(Some(digest))
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        self.run(feed)
    }
}
