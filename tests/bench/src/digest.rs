//! What a contestant reports about what it read: a cheap form for timing, a strict form for checking.

/// Takes the events of a reader.
pub trait Sink {
    /// An aggregate with this many children (two per pair).
    fn head(&mut self, children: u64);
    fn int(&mut self, value: i64);
    fn null(&mut self);
    fn boolean(&mut self, value: bool);
    fn double_text(&mut self, text: &[u8]);
    /// A whole string of any kind.
    fn text(&mut self, bytes: &[u8]);
    /// A string that comes in pieces starts; `double`: it is the text of one.
    fn begin(&mut self, double: bool);
    /// One piece of it.
    fn piece(&mut self, bytes: &[u8], last: bool);
    /// A top-level value ended.
    fn top(&mut self);
}

/// The timed sink: one addition per event, so that no value can be optimised away.
#[derive(Default)]
pub struct Light {
    pub sum: u64,
    pub tops: u64,
}

impl Sink for Light {
    #[inline(always)]
    fn head(&mut self, children: u64) {
        self.sum = self.sum.wrapping_add(children);
    }
    #[inline(always)]
    fn int(&mut self, value: i64) {
        self.sum = self.sum.wrapping_add(value as u64);
    }
    #[inline(always)]
    fn null(&mut self) {
        self.sum = self.sum.wrapping_add(1);
    }
    #[inline(always)]
    fn boolean(&mut self, value: bool) {
        self.sum = self.sum.wrapping_add(u64::from(value));
    }
    #[inline(always)]
    fn double_text(&mut self, text: &[u8]) {
        self.sum = self.sum.wrapping_add(text.len() as u64);
    }
    #[inline(always)]
    fn text(&mut self, bytes: &[u8]) {
        self.sum = self.sum.wrapping_add(bytes.len() as u64);
    }
    #[inline(always)]
    fn begin(&mut self, _double: bool) {}
    #[inline(always)]
    fn piece(&mut self, bytes: &[u8], _last: bool) {
        self.sum = self.sum.wrapping_add(bytes.len() as u64);
    }
    #[inline(always)]
    fn top(&mut self) {
        self.tops = self.tops.wrapping_add(1);
    }
}

/// The checking sink. Every part is a sum, so that a reader that keeps maps in a hash table gives the same digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    pub tops: u64,
    pub values: u64,
    children: u64,
    ints: i64,
    nulls: u64,
    trues: u64,
    /// Sum of the bit patterns of the doubles.
    doubles: u64,
    bytes: u64,
    /// Sum of the FNV-1a hashes of the strings.
    strings: u64,
    open: u64,
    /// The text so far of a double that comes in pieces.
    text: Option<Vec<u8>>,
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

impl Digest {
    pub fn double(&mut self, value: f64) {
        self.values += 1;
        self.doubles = self.doubles.wrapping_add(value.to_bits());
    }
}

impl Sink for Digest {
    fn head(&mut self, children: u64) {
        self.values += 1;
        self.children += children;
    }
    fn int(&mut self, value: i64) {
        self.values += 1;
        self.ints = self.ints.wrapping_add(value);
    }
    fn null(&mut self) {
        self.values += 1;
        self.nulls += 1;
    }
    fn boolean(&mut self, value: bool) {
        self.values += 1;
        self.trues += u64::from(value);
    }
    fn double_text(&mut self, text: &[u8]) {
        let value = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        self.double(value.expect("a double's text"));
    }
    fn text(&mut self, bytes: &[u8]) {
        self.begin(false);
        self.piece(bytes, true);
    }
    fn begin(&mut self, double: bool) {
        self.open = FNV_START;
        self.text = double.then(Vec::new);
    }
    fn piece(&mut self, bytes: &[u8], last: bool) {
        if let Some(text) = &mut self.text {
            text.extend_from_slice(bytes);
            if last {
                let text = std::mem::take(text);
                (self.text, self.open) = (None, 0);
                self.double_text(&text);
            }
            return;
        }
        self.bytes += bytes.len() as u64;
        self.open = fnv(self.open, bytes);
        if last {
            self.values += 1;
            self.strings = self.strings.wrapping_add(self.open);
            self.open = 0;
        }
    }
    fn top(&mut self) {
        self.tops += 1;
    }
}
