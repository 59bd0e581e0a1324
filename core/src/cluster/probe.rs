//! The engine's own PINGs, and what their answers prove.
//!
//! RESP does not number replies: one that is missing shifts every later one. A PING is answered with its own number, so
//! the answer to a PING shows whether replies still belong to commands. Where it does not, nothing that came after the
//! last good one can be trusted, and the connection closes.

use crate::cluster::conn::Bits;
use crate::cluster::engine::Engine;
use crate::pipeline::{Entry, Flag, Kind, Place};
use crate::resp::Frame;
use crate::time::{Instant, Stamp};

/// The start of a PING's answer, and the whole of it.
const HEAD: &[u8] = b"$8\r\n";
const WHOLE: usize = HEAD.len() + 8 + 2;
/// The bits of a number that tell the entry; the others tell the entry's use.
const INDEX: u32 = 0x000f_ffff;

/// What the bytes at the front of the stream have to do with a PING in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Other,
    /// Too few bytes to tell.
    Unclear,
    /// Its answer, though other replies are due before it.
    TooEarly,
}

impl Engine<'_> {
    /// The number of the PING of this entry.
    pub(crate) fn nonce(&self, index: u32) -> u32 {
        (self.peek(index).generation() << INDEX.count_ones() | index & INDEX) ^ self.s.nonce
    }

    /// Whether a reply is the answer to the PING of this entry. A server that refuses commands (loading, busy, not
    /// allowed) answers with an error, and shows that it is there.
    pub(crate) fn is_pong(&self, index: u32, frame: &Frame<'_>) -> bool {
        // RESP2 answers a subscriber with an array.
        let told = frame.bytes().or_else(|| frame.children().last().and_then(|last| last.bytes()));
        frame.is_error() || told.and_then(parse) == Some(self.nonce(index))
    }

    /// Looks at the front of the stream for the answer to a probe that stands further behind.
    pub(crate) fn early_pong(&mut self, conn: u32, head: &Entry, rx: &[u8]) -> Front {
        let due = matches!(head.kind(), Kind::Probe | Kind::Fence) || head.has(Flag::SUBSCRIBE);
        if due || !self.conn(conn).wants.has(Bits::PROBED) {
            return Front::Other;
        }
        let Some(answer) = rx.first_chunk::<WHOLE>() else {
            let starts = rx.iter().zip(HEAD).all(|(is, wanted)| is == wanted);
            return if starts { Front::Unclear } else { Front::Other };
        };
        let Some(number) = answer.strip_prefix(HEAD).and_then(|rest| rest.first_chunk::<8>()) else {
            return Front::Other;
        };
        let Some(number) = parse(number) else { return Front::Other };
        let index = (number ^ self.s.nonce) & INDEX;
        let entry = self.peek(index);
        let here = entry.place() == Place::InFlight && entry.conn.get() == conn && entry.kind() == Kind::Probe;
        if here && self.nonce(index) == number { Front::TooEarly } else { Front::Other }
    }

    /// The answer to a probe proves that the connection's subscriptions were alive when it was sent.
    pub(crate) fn note_alive(&mut self, conn: u32, head: u32) {
        let probe = self.peek(head);
        if probe.kind() == Kind::Probe && self.conn(conn).purpose == crate::cluster::conn::Purpose::Subscriber {
            self.conn(conn).alive = Stamp::before(Instant::from_micros(probe.tag));
            self.raise(conn, Bits::ALIVE);
        }
    }
}

/// Eight lower-case hexadecimal digits.
fn parse(bytes: &[u8]) -> Option<u32> {
    if bytes.len() != 8 {
        return None;
    }
    bytes.iter().try_fold(0_u32, |sum, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte.wrapping_sub(b'0'),
            b'a'..=b'f' => byte.wrapping_sub(b'a').wrapping_add(10),
            _ => return None,
        };
        Some(sum << 4 | u32::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        assert_eq!(parse(b"00c0ffee"), Some(0x00c0_ffee));
        assert_eq!(parse(b"ffffffff"), Some(u32::MAX));
        for other in [&b"0000000"[..], b"000000000", b"00C0FFEE", b"0000 000", b""] {
            assert_eq!(parse(other), None);
        }
    }
}
