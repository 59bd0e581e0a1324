//! What happened: a hash over all of it, and the last events in words.

use std::collections::VecDeque;

use super::dice::mix;

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are what a failure prints")]
pub enum What {
    Submit,
    Refused,
    Cancel,
    Dial,
    Dialled,
    DialFailed,
    Write,
    Sent,
    Control,
    Arrive,
    Served,
    Deliver,
    Reply,
    Token,
    Failed,
    Confirmed,
    Push,
    Ready,
    Closed,
    Broken,
    Map,
    Timer,
    Fault,
    Heal,
    Gossip,
    Gap,
    Message,
    Scan,
    Phase,
    Error,
}

/// One event: what, and up to three numbers that say which.
#[derive(Clone, Copy, Debug)]
struct Happened {
    at: u64,
    what: What,
    of: [u64; 3],
}

/// The hash and the last events of a run.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    count: u64,
    last: VecDeque<Happened>,
    keep: usize,
    words: VecDeque<(u64, String)>,
    talks: bool,
}

/// How many events a failure shows.
pub const SHOWN: usize = 50;

impl Trace {
    /// An empty trace that remembers so many events; with words only if it talks, which takes time.
    #[must_use]
    pub fn new(keep: usize, talks: bool) -> Self {
        Self { hash: 0x5107_3159, count: 0, last: VecDeque::with_capacity(keep), keep, words: VecDeque::new(), talks }
    }

    /// Notes an event.
    pub fn note(&mut self, at: u64, what: What, of: [u64; 3]) {
        self.add(at);
        self.add(what as u64);
        for number in of {
            self.add(number);
        }
        self.count += 1;
        if self.last.len() == self.keep {
            self.last.pop_front();
        }
        self.last.push_back(Happened { at, what, of });
    }

    /// Says something about the last event that only people read.
    pub fn say(&mut self, text: impl FnOnce() -> String) {
        if !self.talks {
            return;
        }
        self.words.push_back((self.count, text()));
        if self.words.len() > self.keep {
            self.words.pop_front();
        }
    }

    fn add(&mut self, number: u64) {
        self.hash = mix(self.hash ^ number);
    }

    /// The hash over all events.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The last events, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let first = self.count - self.last.len() as u64;
        let mut words = self.words.iter().peekable();
        let mut lines = Vec::new();
        for (number, happened) in (first + 1..).zip(&self.last) {
            let Happened { at, what, of: [a, b, c] } = happened;
            let mut line = format!("{:>6}.{:06} {what:?} {a} {b} {c}", at / 1_000_000, at % 1_000_000);
            while let Some((of, text)) = words.peek() {
                if *of > number {
                    break;
                }
                if *of == number {
                    line.push_str("  ");
                    line.push_str(text);
                }
                words.next();
            }
            lines.push(line);
        }
        lines
    }
}

/// A hash of bytes, the same on every machine.
#[must_use]
pub fn hash_of(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_every_number_and_the_order() {
        let hash = |events: &[(u64, What, [u64; 3])]| {
            let mut trace = Trace::new(4, false);
            events.iter().for_each(|(at, what, of)| trace.note(*at, *what, *of));
            trace.hash()
        };
        let (a, b) = ((1, What::Dial, [1, 2, 3]), (1, What::Dial, [1, 2, 4]));
        assert_ne!(hash(&[a, b]), hash(&[b, a]));
        assert_ne!(hash(&[a]), hash(&[b]));
        assert_eq!(hash(&[a, b]), hash(&[a, b]));
    }

    #[test]
    fn the_last_events_are_kept_with_what_was_said() {
        let mut trace = Trace::new(2, true);
        for n in 0..5 {
            trace.note(n, What::Reply, [n, 0, 0]);
            trace.say(|| format!("number {n}"));
        }
        let lines = trace.lines();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with("Reply 4 0 0  number 4"), "{lines:?}");
    }

    #[test]
    fn bytes_are_told_apart() {
        assert_ne!(hash_of(b"12345678"), hash_of(b"12345679"));
        assert_ne!(hash_of(b""), hash_of(b"\0"));
        assert_eq!(hash_of(b"abcdefghi"), hash_of(b"abcdefghi"));
    }
}
