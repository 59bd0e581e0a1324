//! The yardstick: a hand-written event parser that makes the same checks as slotwise's reader (canonical numbers, every
//! terminator, no lone CR or LF in a line, line, bulk, element, depth and frame limits), borrows payloads, decodes
//! integers, hands long strings out in pieces, and is resumable. It knows just the types of the workloads, has no
//! attributes, pushes or streamed types, and its errors say nothing: what a general reader costs more is its price.

use super::Contestant;
use crate::digest::{Digest, Light, Sink};
use crate::recv::{Feed, Recv};
use slotwise::limits::Limits;

const DEPTH: usize = 128;

/// The parser's whole error.
#[derive(Debug)]
pub struct Bad;

enum Line {
    /// The bytes of a number or text before CRLF, and what it says.
    Complete(usize, i64),
    Incomplete,
}

pub struct Reader {
    limits: Limits,
    stack: [u64; DEPTH],
    depth: usize,
    /// Values still to come in the innermost aggregate.
    left: u64,
    /// Bytes of a string still to come, and whether its terminator is.
    owed: u64,
    in_string: bool,
    /// Bytes of the top-level value so far.
    frame: u64,
}

impl Default for Reader {
    fn default() -> Self {
        let limits = Limits::DEFAULT;
        Self { limits, stack: [0; DEPTH], depth: 0, left: 0, owed: 0, in_string: false, frame: 0 }
    }
}

/// A length: canonical decimal digits, then CRLF.
#[inline(always)]
fn length(line: &[u8], limit: u64) -> Result<Line, Bad> {
    let mut value = 0_u64;
    let mut at = 0;
    let stop = loop {
        let Some(&byte) = line.get(at) else {
            return if at > 10 { Err(Bad) } else { Ok(Line::Incomplete) };
        };
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break byte;
        }
        value = value * 10 + u64::from(digit);
        at += 1;
        if at > 10 {
            return Err(Bad);
        }
    };
    if stop != b'\r' || at == 0 || (at > 1 && line[0] == b'0') || value > limit {
        return Err(Bad);
    }
    match line.get(at + 1) {
        Some(b'\n') => Ok(Line::Complete(at, value as i64)),
        Some(_) => Err(Bad),
        None => Ok(Line::Incomplete),
    }
}

/// An integer. The sign is a branch and not arithmetic: it can be guessed, so the next load need not wait for it.
#[inline(always)]
fn integer(line: &[u8]) -> Result<Line, Bad> {
    match line {
        [b'-', digits @ ..] => signed(digits, true),
        digits => signed(digits, false),
    }
}

/// Up to seven digits in one register, else digit by digit.
#[inline(always)]
fn signed(digits: &[u8], negative: bool) -> Result<Line, Bad> {
    if let Some(word) = digits.first_chunk::<8>() {
        let text = u64::from_le_bytes(*word) ^ 0x3030_3030_3030_3030;
        let other = (text.wrapping_add(0x7676_7676_7676_7676) | text) & 0x8080_8080_8080_8080;
        let count = (other.trailing_zeros() / 8) as usize;
        if (1..8).contains(&count) {
            let Some(&[cr, lf]) = digits[count..].first_chunk::<2>() else { return Ok(Line::Incomplete) };
            if cr != b'\r' || lf != b'\n' || (digits[0] == b'0' && (count > 1 || negative)) {
                return Err(Bad);
            }
            let v = text << (64 - 8 * count);
            let v = v.wrapping_mul(10).wrapping_add(v >> 8) & 0x00ff_00ff_00ff_00ff;
            let v = v.wrapping_mul(100).wrapping_add(v >> 16) & 0x0000_ffff_0000_ffff;
            let v = (v.wrapping_mul(10_000).wrapping_add(v >> 32) & 0xffff_ffff) as i64;
            return Ok(Line::Complete(usize::from(negative) + count, if negative { -v } else { v }));
        }
    }
    long_integer(digits, negative)
}

#[cold]
fn long_integer(digits: &[u8], negative: bool) -> Result<Line, Bad> {
    let mut value = 0_i64;
    for (at, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if byte != b'\r' || at == 0 || (digits[0] == b'0' && (at > 1 || negative)) {
                return Err(Bad);
            }
            return match digits.get(at + 1) {
                Some(b'\n') => Ok(Line::Complete(usize::from(negative) + at, value)),
                Some(_) => Err(Bad),
                None => Ok(Line::Incomplete),
            };
        }
        let digit = i64::from(digit);
        value = value.checked_mul(10).and_then(|v| v.checked_add(if negative { -digit } else { digit })).ok_or(Bad)?;
    }
    Ok(Line::Incomplete)
}

/// Text up to CRLF, without a lone CR or LF.
#[inline(always)]
fn text(line: &[u8], limit: u64) -> Result<Line, Bad> {
    let Some(end) = line.iter().position(|&byte| byte == b'\r' || byte == b'\n') else {
        return if line.len() as u64 > limit { Err(Bad) } else { Ok(Line::Incomplete) };
    };
    if end as u64 > limit || line[end] == b'\n' {
        return Err(Bad);
    }
    match line.get(end + 1) {
        Some(b'\n') => Ok(Line::Complete(end, 0)),
        Some(_) => Err(Bad),
        None => Ok(Line::Incomplete),
    }
}

/// `[+-]digits[.digits][e[+-]digits]`, `inf`, `-inf` or `nan`.
fn is_double(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> (usize, &[u8]) {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count, &text[count..])
    }
    fn unsigned(text: &[u8]) -> &[u8] {
        match text {
            [b'+' | b'-', rest @ ..] => rest,
            rest => rest,
        }
    }
    if matches!(text, b"inf" | b"-inf" | b"nan") {
        return true;
    }
    let (count, mut rest) = digits(unsigned(text));
    if count == 0 {
        return false;
    }
    if let [b'.', fraction @ ..] = rest {
        let (count, after) = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = after;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let (count, after) = digits(unsigned(exponent));
        if count == 0 {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

impl Reader {
    /// Reads what `buf` holds; returns how many bytes are done with.
    #[inline]
    pub fn feed<S: Sink>(&mut self, buf: &[u8], sink: &mut S) -> Result<usize, Bad> {
        let mut at = 0;
        let mut frame_from = 0;
        if self.in_string {
            at = self.resume(buf, sink)?;
            if self.in_string {
                self.frame += at as u64;
                return Ok(at);
            }
            if self.depth == 0 {
                self.frame = 0;
                frame_from = at;
            }
        }
        while let Some(&kind) = buf.get(at) {
            let line = &buf[at + 1..];
            match kind {
                b'$' | b'*' | b'%' | b'~' => {
                    let limit = if kind == b'$' { self.limits.bulk } else { self.limits.elements };
                    if line.first() == Some(&b'-') {
                        if line.len() < 4 {
                            break;
                        }
                        if !line.starts_with(b"-1\r\n") || !matches!(kind, b'$' | b'*') {
                            return Err(Bad);
                        }
                        sink.null();
                        at += 5;
                    } else {
                        let Line::Complete(used, value) = length(line, limit)? else { break };
                        at += used + 3;
                        if kind == b'$' {
                            let len = value as usize;
                            let rest = &buf[at..];
                            let Some(end) = rest.get(len..len + 2) else {
                                let now = len.min(rest.len());
                                sink.begin(false);
                                if now > 0 || len == 0 {
                                    sink.piece(&rest[..now], now == len);
                                }
                                self.in_string = true;
                                self.owed = (len - now) as u64;
                                at += now;
                                break;
                            };
                            if end != b"\r\n" {
                                return Err(Bad);
                            }
                            sink.text(&rest[..len]);
                            at += len + 2;
                        } else {
                            let count = if kind == b'%' { 2 * value as u64 } else { value as u64 };
                            sink.head(count);
                            if count > 0 {
                                if self.depth >= usize::from(self.limits.depth) {
                                    return Err(Bad);
                                }
                                *self.stack.get_mut(self.depth).ok_or(Bad)? = self.left;
                                self.depth += 1;
                                self.left = count;
                                continue;
                            }
                        }
                    }
                }
                b':' => {
                    let Line::Complete(used, value) = integer(line)? else { break };
                    sink.int(value);
                    at += used + 3;
                }
                b'+' | b'-' => {
                    let Line::Complete(used, _) = text(line, self.limits.line)? else { break };
                    sink.text(&line[..used]);
                    at += used + 3;
                }
                b',' => {
                    let Line::Complete(used, _) = text(line, self.limits.line)? else { break };
                    if !is_double(&line[..used]) {
                        return Err(Bad);
                    }
                    sink.double_text(&line[..used]);
                    at += used + 3;
                }
                b'#' => {
                    let Some(&[value, cr, lf]) = line.first_chunk::<3>() else { break };
                    if !matches!(value, b't' | b'f') || cr != b'\r' || lf != b'\n' {
                        return Err(Bad);
                    }
                    sink.boolean(value == b't');
                    at += 4;
                }
                _ => return Err(Bad),
            }
            if self.frame + (at - frame_from) as u64 > self.limits.frame {
                return Err(Bad);
            }
            if self.ended(sink) {
                self.frame = 0;
                frame_from = at;
            }
        }
        self.frame += (at - frame_from) as u64;
        Ok(at)
    }

    /// Counts a value that ended; says whether the top-level value did.
    #[inline(always)]
    fn ended<S: Sink>(&mut self, sink: &mut S) -> bool {
        while self.depth > 0 {
            self.left -= 1;
            if self.left > 0 {
                return false;
            }
            self.depth -= 1;
            self.left = self.stack[self.depth];
        }
        sink.top();
        true
    }

    /// Goes on with a string whose header was read before.
    fn resume<S: Sink>(&mut self, buf: &[u8], sink: &mut S) -> Result<usize, Bad> {
        let now = usize::try_from(self.owed).map_or(buf.len(), |owed| owed.min(buf.len()));
        self.owed -= now as u64;
        if now > 0 {
            sink.piece(&buf[..now], self.owed == 0);
        }
        if self.owed > 0 {
            return Ok(now);
        }
        match buf.get(now..now + 2) {
            None => Ok(now),
            Some(b"\r\n") => {
                self.in_string = false;
                self.ended(sink);
                Ok(now + 2)
            }
            Some(_) => Err(Bad),
        }
    }
}

#[derive(Default)]
pub struct Hand {
    recv: Recv,
    reader: Reader,
}

impl Hand {
    fn run<S: Sink>(&mut self, feed: &mut Feed<'_>, sink: &mut S) -> Result<(), Bad> {
        self.recv.clear();
        self.reader = Reader::default();
        while let Some(chunk) = feed.next() {
            self.recv.push(chunk);
            let done = self.reader.feed(self.recv.data(), sink)?;
            self.recv.consume(done);
        }
        Ok(())
    }
}

impl Contestant for Hand {
    fn name(&self) -> &'static str {
        super::HAND
    }
    fn makes(&self) -> &'static str {
        "limit: borrowed events, same checks"
    }
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        let mut digest = Digest::default();
        self.run(feed, &mut digest).map_err(|Bad| String::from("bad bytes"))?;
        Ok(Some(digest))
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        let mut light = Light::default();
        self.run(feed, &mut light).expect("checked before");
        light.sum ^ light.tops
    }
}
