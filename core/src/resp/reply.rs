//! Writing replies, for proxies and fake servers.

use super::encode::EncodeError;
use super::number::Decimal;

/// Where replies are written: a growing `Vec<u8>` (or anything that extends by bytes), or a [`SliceSink`].
pub trait Sink {
    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`] if they do not fit; nothing of them was appended then.
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError>;
}

impl<T: for<'b> Extend<&'b u8>> Sink for T {
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.extend(bytes);
        Ok(())
    }
}

/// A [`Sink`] that fills a slice.
#[derive(Debug)]
pub struct SliceSink<'a> {
    out: &'a mut [u8],
    /// `len <= out.len()`.
    len: usize,
}

impl<'a> SliceSink<'a> {
    /// Fills `out` from its front.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// What was written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.out.get(..self.len).unwrap_or_default()
    }
}

impl Sink for SliceSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let needed = self.len.saturating_add(bytes.len());
        // In two steps, so that the length is known to be right and the copy cannot panic.
        let Some(place) = self.out.get_mut(self.len..).and_then(|rest| rest.get_mut(..bytes.len())) else {
            return Err(EncodeError::BufferTooSmall { needed: needed as u64 });
        };
        place.copy_from_slice(bytes);
        self.len = needed;
        Ok(())
    }
}

/// Which RESP the client asked for with HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReplyProtocol {
    /// What a connection starts with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// Writes the parts of replies in the form the client's protocol version has for them, as servers do: what RESP2
/// has no type for becomes its nearest.
///
/// Headers only announce: the caller writes as many values behind one as it says.
///
/// ```
/// use slotwise::resp::reply::{ReplyProtocol, ReplyWriter};
/// let mut out = Vec::new();
/// let mut reply = ReplyWriter::new(&mut out, ReplyProtocol::Resp2);
/// reply.map(1)?;
/// reply.bulk(b"proto")?;
/// reply.integer(2)?;
/// assert_eq!(out, b"*2\r\n$5\r\nproto\r\n:2\r\n");
/// # Ok::<(), slotwise::resp::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct ReplyWriter<'a, S: ?Sized> {
    sink: &'a mut S,
    protocol: ReplyProtocol,
}

/// The result of writing: only a sink of fixed size fails.
pub type Written = Result<(), EncodeError>;

impl<'a, S: Sink + ?Sized> ReplyWriter<'a, S> {
    /// Writes to the end of `sink`.
    pub fn new(sink: &'a mut S, protocol: ReplyProtocol) -> Self {
        Self { sink, protocol }
    }

    fn resp3(&self) -> bool {
        self.protocol == ReplyProtocol::Resp3
    }

    /// A type byte, a text without CR and LF (spaces take their place, as in servers), CR LF.
    fn line(&mut self, kind: u8, text: &[u8]) -> Written {
        self.sink.put(&[kind])?;
        let mut pieces = text.split(|&byte| byte == b'\r' || byte == b'\n');
        self.sink.put(pieces.next().unwrap_or_default())?;
        for piece in pieces {
            self.sink.put(b" ")?;
            self.sink.put(piece)?;
        }
        self.sink.put(b"\r\n")
    }

    fn header(&mut self, kind: u8, number: u64) -> Written {
        self.line(kind, Decimal::unsigned(number).as_bytes())
    }

    fn string(&mut self, kind: u8, bytes: &[u8]) -> Written {
        self.header(kind, bytes.len() as u64)?;
        self.sink.put(bytes)?;
        self.sink.put(b"\r\n")
    }

    /// A status, without its `+`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`], as from all of these.
    pub fn simple(&mut self, text: &[u8]) -> Written {
        self.line(b'+', text)
    }

    /// An error, without its `-`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn error(&mut self, text: &[u8]) -> Written {
        self.line(b'-', text)
    }

    /// An integer.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn integer(&mut self, number: i64) -> Written {
        self.line(b':', Decimal::signed(number).as_bytes())
    }

    /// A bulk string.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn bulk(&mut self, bytes: &[u8]) -> Written {
        self.string(b'$', bytes)
    }

    /// A missing value: `_`, or `$-1` in RESP2.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn null(&mut self) -> Written {
        self.sink.put(if self.resp3() { b"_\r\n" } else { b"$-1\r\n" })
    }

    /// A missing array: `_`, or `*-1` in RESP2.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn null_array(&mut self) -> Written {
        self.sink.put(if self.resp3() { b"_\r\n" } else { b"*-1\r\n" })
    }

    /// A boolean; 1 or 0 in RESP2.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn boolean(&mut self, value: bool) -> Written {
        match (self.resp3(), value) {
            (true, true) => self.sink.put(b"#t\r\n"),
            (true, false) => self.sink.put(b"#f\r\n"),
            (false, value) => self.integer(i64::from(value)),
        }
    }

    /// A double, as text; a bulk in RESP2.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn double(&mut self, text: &[u8]) -> Written {
        if self.resp3() { self.line(b',', text) } else { self.bulk(text) }
    }

    /// A big number, as text; a bulk in RESP2.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn big_number(&mut self, text: &[u8]) -> Written {
        if self.resp3() { self.line(b'(', text) } else { self.bulk(text) }
    }

    /// Text of a format (`txt`, `mkd`); a bulk without the format in RESP2.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn verbatim(&mut self, format: [u8; 3], text: &[u8]) -> Written {
        if !self.resp3() {
            return self.bulk(text);
        }
        self.header(b'=', (text.len() as u64).saturating_add(4))?;
        self.sink.put(&format)?;
        self.sink.put(b":")?;
        self.sink.put(text)?;
        self.sink.put(b"\r\n")
    }

    /// The header of an array: `len` values follow.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn array(&mut self, len: usize) -> Written {
        self.header(b'*', len as u64)
    }

    /// The header of a map: `pairs` keys and values follow. A flat array in RESP2.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn map(&mut self, pairs: usize) -> Written {
        if self.resp3() { self.header(b'%', pairs as u64) } else { self.header(b'*', (pairs as u64).saturating_mul(2)) }
    }

    /// The header of a set; an array in RESP2.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn set(&mut self, len: usize) -> Written {
        self.header(if self.resp3() { b'~' } else { b'*' }, len as u64)
    }

    /// The header of a push; an array in RESP2.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn push(&mut self, len: usize) -> Written {
        self.header(if self.resp3() { b'>' } else { b'*' }, len as u64)
    }

    /// The header of an attribute: `pairs` keys and values, and then the value they describe, follow. RESP3 only:
    /// servers leave attributes out of RESP2 replies, so `false` tells the caller to leave out the pairs too.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BufferTooSmall`].
    pub fn attribute(&mut self, pairs: usize) -> Result<bool, EncodeError> {
        if self.resp3() {
            self.header(b'|', pairs as u64)?;
        }
        Ok(self.resp3())
    }
}
