//! What the image sends, as text, and the bytes it expects.

use core::fmt::{self, Write};

use slotwise::resp::Args;

/// The arguments of one short command.
pub struct Words {
    text: [u8; 96],
    /// Where each word ends.
    ends: [u8; 6],
    count: usize,
}

impl Words {
    pub const fn new() -> Self {
        Self { text: [0; 96], ends: [0; 6], count: 0 }
    }

    /// Appends a word. All words of this image fit.
    pub fn word(mut self, word: impl fmt::Display) -> Self {
        let from = self.end(self.count);
        let mut rest = Rest { left: &mut self.text[from..], used: 0 };
        assert!(write!(rest, "{word}").is_ok(), "a word is too long");
        self.ends[self.count] = (from + rest.used) as u8;
        self.count += 1;
        self
    }

    fn end(&self, words: usize) -> usize {
        words.checked_sub(1).map_or(0, |last| usize::from(self.ends[last]))
    }
}

impl Args for Words {
    fn count(&self) -> usize {
        self.count
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        (index < self.count).then(|| &self.text[self.end(index)..self.end(index + 1)])
    }
}

struct Rest<'a> {
    left: &'a mut [u8],
    used: usize,
}

impl Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.left.get_mut(self.used..self.used + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.used += text.len();
        Ok(())
    }
}

/// A key: a name and a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    pub number: u16,
}

impl Key {
    pub const fn new(name: &'static str, number: u16) -> Self {
        Self { name, number }
    }

    pub fn slot(self) -> slotwise::slot::Slot {
        let words = Words::new().word(self);
        slotwise::slot::Slot::of_key(words.arg(0).unwrap_or_default())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.number)
    }
}

/// The value the host gave to its key of this number.
pub const fn value_of(number: u16) -> u32 {
    (number as u32).wrapping_mul(0x9e37_79b1)
}

/// The byte at this place of every long value.
pub const fn pattern(at: u32) -> u8 {
    (at.wrapping_mul(0x9e37_79b1) >> 24) as u8
}

/// FNV-1a over bytes, 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, defmt::Format)]
pub struct Checksum(pub u32);

impl Checksum {
    pub const START: Self = Self(0x811c_9dc5);

    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    /// Of the pattern's first bytes.
    pub fn of_pattern(len: u32) -> Self {
        let mut sum = Self::START;
        for at in 0..len {
            sum.add(&[pattern(at)]);
        }
        sum
    }
}

/// `SET key` with the first `len` bytes of the pattern as its value: its encoded length, or a part of it.
pub struct Fill {
    head: Words,
    pub len: u32,
}

impl Fill {
    pub fn new(key: Key, len: u32) -> Self {
        // Encoded as a whole, so that only the value is left to do.
        let name = Words::new().word(key);
        let digits = name.arg(0).unwrap_or_default().len();
        let head = Words::new().word(format_args!("*3\r\n$3\r\nSET\r\n${digits}\r\n{key}\r\n${len}\r\n"));
        Self { head, len }
    }

    fn head(&self) -> &[u8] {
        self.head.arg(0).unwrap_or_default()
    }

    pub fn encoded_len(&self) -> u32 {
        self.head().len() as u32 + self.len + 2
    }

    /// The bytes from `offset` on, as many as fit.
    pub fn copy(&self, offset: usize, out: &mut [u8]) -> usize {
        let (head, len) = (self.head(), self.len as usize);
        let mut count = 0;
        for (at, place) in (offset..self.encoded_len() as usize).zip(out) {
            *place = match at.checked_sub(head.len()) {
                None => head[at],
                Some(at) if at < len => pattern(at as u32),
                Some(at) if at == len => b'\r',
                Some(_) => b'\n',
            };
            count += 1;
        }
        count
    }
}
