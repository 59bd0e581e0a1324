//! Limit: a loop that only finds where each value ends. It believes every byte and decodes nothing but lengths.

use super::Contestant;
use crate::digest::Digest;
use crate::recv::{Feed, Recv};

#[derive(Default)]
pub struct Skip {
    recv: Recv,
}

impl Skip {
    /// Skips whole values from the start of `buf`; returns bytes done, bytes of a bulk still to come, values seen.
    #[inline]
    fn skip(buf: &[u8]) -> (usize, usize, u64) {
        let mut at = 0;
        let mut values = 0;
        while at < buf.len() {
            // The shortest line is a type byte and CRLF.
            let mut end = at + 1;
            let mut number = 0_usize;
            while end < buf.len() && buf[end] != b'\r' {
                number = number.wrapping_mul(10).wrapping_add(usize::from(buf[end].wrapping_sub(b'0')));
                end += 1;
            }
            end += 2;
            if end > buf.len() {
                break;
            }
            values += 1;
            if buf[at] == b'$' && buf[at + 1] != b'-' {
                let body = number + 2;
                if buf.len() - end < body {
                    return (buf.len(), body - (buf.len() - end), values);
                }
                end += body;
            }
            at = end;
        }
        (at, 0, values)
    }
}

impl Contestant for Skip {
    fn name(&self) -> &'static str {
        "skip loop"
    }
    fn makes(&self) -> &'static str {
        "limit: ends of values, unchecked"
    }
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        self.pass(feed);
        match self.recv.data() {
            [] => Ok(None),
            left => Err(format!("{} bytes left over", left.len())),
        }
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        self.recv.clear();
        let (mut total, mut owed) = (0, 0_usize);
        while let Some(chunk) = feed.next() {
            self.recv.push(chunk);
            let drop = owed.min(self.recv.data().len());
            self.recv.consume(drop);
            owed -= drop;
            let (done, still, values) = Self::skip(self.recv.data());
            self.recv.consume(done);
            owed += still;
            total += values;
        }
        total
    }
}
