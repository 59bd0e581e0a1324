//! The request side: reading commands as a server does, for proxies and fake servers.
//!
//! Both forms are read: arrays of bulks, and inline commands (a line of words with optional quotes). Checks, limits
//! and error texts are those of Redis and Valkey servers; CR LF is checked everywhere, as Valkey 9.1 does (Redis
//! up to 8.6 skips two bytes without a look).

use core::fmt;

pub use super::inline::{UnbalancedQuotes, Word, Words, split_inline};

use super::args::Args;
use super::number::{parse_i64, parse_u64};

/// The longest inline command and the longest length line, in bytes (`PROTO_INLINE_MAX_SIZE`).
pub const INLINE_MAX: usize = 64 * 1024;

/// What a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestLimits {
    /// Most arguments, the name included.
    pub arguments: u64,
    /// Longest argument in bytes (`proto-max-bulk-len`).
    pub bulk: u64,
    /// The client has still to authenticate: at most 10 arguments of at most 16,384 bytes each.
    pub unauthenticated: bool,
}

impl RequestLimits {
    /// What servers allow by default: 2^31 - 1 arguments of 512 MiB.
    pub const DEFAULT: Self = Self { arguments: i32::MAX as u64, bulk: 512 << 20, unauthenticated: false };

    const UNAUTHENTICATED_ARGUMENTS: u64 = 10;
    const UNAUTHENTICATED_BULK: u64 = 16_384;
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a request cannot be read. `Display` is the server's text behind `-ERR `; a server sends that and closes.
///
/// All but [`RequestError::NoRoom`] are the client's fault and fatal for its stream; the reader keeps answering
/// the same error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RequestError {
    /// A quote of an inline command is not closed.
    UnbalancedQuotes,
    /// An inline command passes [`INLINE_MAX`].
    TooBigInline,
    /// A count line passes [`INLINE_MAX`].
    TooBigCountLine,
    /// A count is not canonical decimal or passes the limit.
    InvalidMultibulkLength,
    /// An unauthenticated client sends more than 10 arguments.
    UnauthenticatedMultibulkLength,
    /// A length line passes [`INLINE_MAX`].
    TooBigLengthLine,
    /// An argument does not begin with `$`, but with this byte.
    ExpectedDollar(u8),
    /// A length is not canonical decimal, negative, or passes the limit.
    InvalidBulkLength,
    /// An unauthenticated client sends an argument of more than 16,384 bytes.
    UnauthenticatedBulkLength,
    /// CR LF is missing behind a length or an argument.
    InvalidCrlf,
    /// The memory lent for an inline command's words is too small. The server's fault; with more memory the
    /// same bytes can be read again.
    NoRoom {
        /// Spans needed.
        spans: usize,
        /// Bytes of text needed.
        text: usize,
    },
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        f.write_str(match self {
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::TooBigInline => "too big inline request",
            Self::TooBigCountLine => "too big mbulk count string",
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::TooBigLengthLine => "too big bulk count string",
            // The byte may be anything, and must not break the error line it is put in.
            Self::ExpectedDollar(byte) if !byte.is_ascii_graphic() => "expected '$', got ' '",
            Self::ExpectedDollar(byte) => return write!(f, "expected '$', got '{}'", char::from(*byte)),
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::InvalidCrlf => "invalid CRLF in request",
            Self::NoRoom { .. } => "no room for this inline request",
        })
    }
}

impl core::error::Error for RequestError {}

/// Where an argument is. Lend an array of [`Span::EMPTY`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Span {
    start: usize,
    len: usize,
    /// In the text memory rather than in the request's bytes.
    in_text: bool,
}

impl Span {
    /// A span that points at nothing.
    pub const EMPTY: Self = Self { start: 0, len: 0, in_text: false };
}

/// A complete request. Its arguments are borrowed from the buffer, those of inline commands with quotes from the
/// text memory.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    raw: &'a [u8],
    /// The first arguments; the others are found behind the last of them.
    spans: &'a [Span],
    text: &'a [u8],
    count: usize,
    inline: bool,
}

impl<'a> Request<'a> {
    /// The bytes as they were sent.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether it was an inline command.
    #[must_use]
    pub const fn is_inline(&self) -> bool {
        self.inline
    }

    /// The argument at `index`, for as long as the buffer lives. Constant time for as many arguments as spans
    /// were lent, linear beyond.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let (span, beyond) = match self.spans.get(index) {
            Some(span) => (span, 0),
            None if index >= self.count => return None,
            None => (self.spans.last().unwrap_or(&Span::EMPTY), index.checked_sub(self.spans.len())?),
        };
        if span.in_text {
            return self.text.get(span.start..span.start.checked_add(span.len)?);
        }
        let end = span.start.checked_add(span.len)?;
        if self.spans.len() > index {
            return self.raw.get(span.start..end);
        }
        let mut rest = match self.spans.is_empty() {
            true => after_line(self.raw)?,
            false => self.raw.get(end.checked_add(2)?..)?,
        };
        for _ in 0..beyond {
            let (_, after) = argument(rest)?;
            rest = after;
        }
        argument(rest).map(|(argument, _)| argument)
    }

    /// All arguments in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let request = *self;
        let mut spans = 0..request.spans.len();
        let mut rest: Option<&'a [u8]> = None;
        let mut left = request.count;
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            if let Some(index) = spans.next() {
                return request.get(index);
            }
            let at = match rest {
                Some(rest) => rest,
                None => match request.spans.last() {
                    Some(span) => request.raw.get(span.start.checked_add(span.len)?.checked_add(2)?..)?,
                    None => after_line(request.raw)?,
                },
            };
            let (found, after) = argument(at)?;
            rest = Some(after);
            Some(found)
        })
    }
}

fn after_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    bytes.get(end.checked_add(1)?..)
}

/// The checked argument at the front of `bytes`, and what follows it.
fn argument(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = bytes.strip_prefix(b"$")?;
    let end = digits.iter().position(|&byte| byte == b'\r')?;
    let (digits, rest) = digits.split_at_checked(end)?;
    let len = usize::try_from(parse_u64(digits)?).ok()?;
    let (argument, rest) = rest.get(2..)?.split_at_checked(len)?;
    Some((argument, rest.get(2..)?))
}

impl Args for Request<'_> {
    fn count(&self) -> usize {
        self.count
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        self.get(index)
    }
}

/// What a call of [`RequestState::read`] found.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Parsed<'a> {
    /// How many bytes of the buffer are done with: the request and empty ones in front of it (`*0`, `*-1`, blank
    /// lines), which servers pass over without an answer. The others must be presented again, with more.
    pub consumed: usize,
    /// The request; `None` if more bytes are needed.
    pub request: Option<Request<'a>>,
}

/// Where a request reader is: it remembers the arguments it found and how far it looked for the end of a line.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestState {
    /// Bytes of the request read for good.
    at: usize,
    /// Bytes behind `at` in which no end of line is.
    looked: usize,
    /// Arguments announced, once the count line is read.
    count: Option<usize>,
    /// Arguments read.
    read: usize,
    failed: Option<RequestError>,
}

/// What stands at the front of a buffer.
enum Found {
    Incomplete,
    /// A request without arguments, of this length.
    Nothing(usize),
    Request {
        len: usize,
        count: usize,
        inline: bool,
    },
}

impl RequestState {
    /// At the beginning of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { at: 0, looked: 0, count: None, read: 0, failed: None }
    }

    /// Reads a request from the front of `buf`, which has to hold all of it in the end.
    ///
    /// `spans` remembers where arguments are and must come back untouched until the request is complete; a request
    /// may have more arguments than spans, but an inline one may not. `text` takes the words of an inline
    /// command that are not in the buffer as they are; [`INLINE_MAX`] bytes are always enough.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn read<'a>(
        &mut self,
        limits: &RequestLimits,
        buf: &'a [u8],
        spans: &'a mut [Span],
        text: &'a mut [u8],
    ) -> Result<Parsed<'a>, RequestError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut rest = buf;
        let found = loop {
            let found = match rest.first() {
                None => Ok(Found::Incomplete),
                Some(b'*') => self.multibulk(limits, rest, spans),
                Some(_) => self.inline(rest, spans, text),
            };
            match found {
                Ok(Found::Nothing(len)) => {
                    rest = rest.get(len..).unwrap_or_default();
                    *self = Self::new();
                }
                Ok(found) => break found,
                Err(error) => {
                    match error {
                        RequestError::NoRoom { .. } => *self = Self::new(),
                        _ => self.failed = Some(error),
                    }
                    return Err(error);
                }
            }
        };
        let passed = buf.len().saturating_sub(rest.len());
        let Found::Request { len, count, inline } = found else {
            return Ok(Parsed { consumed: passed, request: None });
        };
        *self = Self::new();
        let spans = spans.get(..count).unwrap_or(spans);
        let raw = rest.get(..len).unwrap_or_default();
        let request = Request { raw, spans, text, count, inline };
        Ok(Parsed { consumed: passed.saturating_add(len), request: Some(request) })
    }

    /// The line behind the type byte at `self.at`, and where the next line begins.
    fn line<'a>(&mut self, input: &'a [u8], too_big: RequestError) -> Result<Option<(&'a [u8], usize)>, RequestError> {
        let start = self.at.saturating_add(1);
        let from = start.saturating_add(self.looked);
        let line = input.get(start..).unwrap_or_default();
        let Some(found) = input.get(from..).unwrap_or_default().iter().position(|&byte| byte == b'\r') else {
            self.looked = line.len();
            return if line.len() > INLINE_MAX { Err(too_big) } else { Ok(None) };
        };
        self.looked = self.looked.saturating_add(found);
        if self.looked > INLINE_MAX {
            return Err(too_big);
        }
        let Some((line, end)) = line.split_at_checked(self.looked) else { return Ok(None) };
        match end {
            [b'\r', b'\n', ..] => Ok(Some((line, start.saturating_add(line.len()).saturating_add(2)))),
            [b'\r'] => Ok(None),
            _ => Err(RequestError::InvalidCrlf),
        }
    }

    fn multibulk(&mut self, limits: &RequestLimits, input: &[u8], spans: &mut [Span]) -> Result<Found, RequestError> {
        let count = match self.count {
            Some(count) => count,
            None => {
                let Some((line, next)) = self.line(input, RequestError::TooBigCountLine)? else {
                    return Ok(Found::Incomplete);
                };
                let count = parse_i64(line).ok_or(RequestError::InvalidMultibulkLength)?;
                // Any count below 1 is a request for nothing.
                let Ok(count @ 1..) = u64::try_from(count) else { return Ok(Found::Nothing(next)) };
                if count > limits.arguments || count > i32::MAX as u64 {
                    return Err(RequestError::InvalidMultibulkLength);
                }
                if limits.unauthenticated && count > RequestLimits::UNAUTHENTICATED_ARGUMENTS {
                    return Err(RequestError::UnauthenticatedMultibulkLength);
                }
                self.at = next;
                self.looked = 0;
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                self.count = Some(count);
                count
            }
        };
        while self.read < count {
            let Some(span) = self.bulk(limits, input)? else { return Ok(Found::Incomplete) };
            if let Some(place) = spans.get_mut(self.read) {
                *place = span;
            }
            self.read = self.read.saturating_add(1);
            self.at = span.start.saturating_add(span.len).saturating_add(2);
            self.looked = 0;
        }
        Ok(Found::Request { len: self.at, count, inline: false })
    }

    /// The argument at `self.at`.
    fn bulk(&mut self, limits: &RequestLimits, input: &[u8]) -> Result<Option<Span>, RequestError> {
        match input.get(self.at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&byte) => return Err(RequestError::ExpectedDollar(byte)),
        }
        let Some((line, start)) = self.line(input, RequestError::TooBigLengthLine)? else { return Ok(None) };
        let len = parse_u64(line).ok_or(RequestError::InvalidBulkLength)?;
        if len > limits.bulk {
            return Err(RequestError::InvalidBulkLength);
        }
        if limits.unauthenticated && len > RequestLimits::UNAUTHENTICATED_BULK {
            return Err(RequestError::UnauthenticatedBulkLength);
        }
        let len = usize::try_from(len).map_err(|_| RequestError::InvalidBulkLength)?;
        let end = start.checked_add(len).ok_or(RequestError::InvalidBulkLength)?;
        match input.get(end..).unwrap_or_default() {
            [b'\r', b'\n', ..] => Ok(Some(Span { start, len, in_text: false })),
            [] | [b'\r'] => Ok(None),
            _ => Err(RequestError::InvalidCrlf),
        }
    }

    fn inline(&mut self, input: &[u8], spans: &mut [Span], text: &mut [u8]) -> Result<Found, RequestError> {
        let new = input.get(self.looked..).unwrap_or_default();
        let Some(found) = new.iter().position(|&byte| byte == b'\n') else {
            self.looked = input.len();
            return if input.len() > INLINE_MAX { Err(RequestError::TooBigInline) } else { Ok(Found::Incomplete) };
        };
        self.looked = self.looked.saturating_add(found);
        if self.looked > INLINE_MAX {
            return Err(RequestError::TooBigInline);
        }
        let line = input.get(..self.looked).unwrap_or_default();
        let len = line.len().saturating_add(1);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (mut count, mut used) = (0_usize, 0_usize);
        let mut words = split_inline(line);
        let whole = words.left();
        while let Some(word) = words.next() {
            let word = word.map_err(|UnbalancedQuotes| RequestError::UnbalancedQuotes)?;
            let span = match word.plain() {
                Some(plain) => {
                    let start = whole.saturating_sub(words.left()).saturating_sub(plain.len());
                    Span { start, len: plain.len(), in_text: false }
                }
                None => {
                    let place = text.get_mut(used..).unwrap_or_default();
                    place.iter_mut().zip(word.bytes()).for_each(|(place, byte)| *place = byte);
                    let start = used;
                    used = used.saturating_add(word.len());
                    Span { start, len: word.len(), in_text: true }
                }
            };
            if let Some(place) = spans.get_mut(count) {
                *place = span;
            }
            count = count.saturating_add(1);
        }
        if count > spans.len() || used > text.len() {
            return Err(RequestError::NoRoom { spans: count, text: used });
        }
        Ok(if count == 0 { Found::Nothing(len) } else { Found::Request { len, count, inline: true } })
    }
}

/// A [`RequestState`] with memory for the places of `A` arguments and for `T` bytes of quoted inline words.
///
/// ```
/// use slotwise::resp::Args;
/// use slotwise::resp::request::{RequestLimits, Requests};
///
/// let mut requests: Requests = Requests::new(RequestLimits::DEFAULT);
/// let parsed = requests.read(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n")?;
/// let request = parsed.request.expect("complete");
/// assert_eq!((parsed.consumed, request.count(), request.arg(1)), (20, 2, Some(&b"k"[..])));
/// # Ok::<(), slotwise::resp::request::RequestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Requests<const A: usize = 64, const T: usize = 1024> {
    state: RequestState,
    spans: [Span; A],
    text: [u8; T],
    limits: RequestLimits,
}

impl<const A: usize, const T: usize> Requests<A, T> {
    /// At the beginning of a stream.
    #[must_use]
    pub const fn new(limits: RequestLimits) -> Self {
        Self { state: RequestState::new(), spans: [Span::EMPTY; A], text: [0; T], limits }
    }

    /// Reads a request from the front of `buf`, as [`RequestState::read`].
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn read<'a>(&'a mut self, buf: &'a [u8]) -> Result<Parsed<'a>, RequestError> {
        self.state.read(&self.limits, buf, &mut self.spans, &mut self.text)
    }

    /// Changes the limits, as when a client has authenticated.
    pub fn set_limits(&mut self, limits: RequestLimits) {
        self.limits = limits;
    }
}
