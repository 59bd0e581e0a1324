//! Where a top-level value ends.

use super::error::RespError;
use super::grammar::{self, Accept, Value};
use super::level::Level;
use super::reader::TokenState;
use super::token::{Status, Token};
use crate::limits::Limits;

/// A complete top-level value at the front of a buffer, attributes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extent {
    /// Its length in bytes, at least 3.
    pub len: usize,
    /// It is nested deeper than the limit. The stream goes on behind it.
    pub too_deep: bool,
    /// A push stands somewhere inside it.
    pub has_push: bool,
}

/// A resumable search for the end of a value. It remembers how far it looked, so a value that arrives in pieces
/// costs no more than one that arrives whole.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FrameState {
    /// Its offset is the number of bytes of this value that were looked at.
    pub(super) tokens: TokenState,
    pub(super) has_push: bool,
}

impl FrameState {
    /// In front of a value.
    #[must_use]
    pub const fn new() -> Self {
        Self { tokens: TokenState::new(), has_push: false }
    }

    /// The reader inside, for a stream whose values are read now as frames and now as tokens: one state serves both.
    /// Set it anew before each change.
    pub(crate) const fn tokens(&mut self) -> &mut TokenState {
        &mut self.tokens
    }

    /// Looks for the end of the value that begins at the front of `buf`.
    ///
    /// After [`Status::Incomplete`], `buf` must be presented again with more bytes behind it, and `levels`
    /// untouched. After [`Status::Complete`], the state is ready for the next value: `buf` minus `len` bytes.
    ///
    /// # Errors
    ///
    /// The stream cannot be trusted any more; the error's offset counts from the value's first byte. Every later
    /// call gives the same error.
    pub fn scan(&mut self, levels: &mut [Level], limits: &Limits, buf: &[u8]) -> Result<Status<Extent>, RespError> {
        if self.tokens.offset() == 0
            && self.tokens.at_boundary()
            && let Some(len) = grammar::value(buf, Scalar { buf, limits })
        {
            return Ok(Status::Complete(Extent { len, too_deep: false, has_push: false }));
        }
        let seen = usize::try_from(self.tokens.offset()).unwrap_or(usize::MAX);
        let mut reader = self.tokens.reader(levels, limits, buf.get(seen..).unwrap_or_default());
        let mut has_push = self.has_push;
        while let Some(token) = reader.next()? {
            has_push |= reader.out_of_band();
            if reader.at_boundary() {
                let len = seen.saturating_add(reader.consumed());
                let too_deep = matches!(token, Token::TooDeep);
                self.tokens.restart();
                self.has_push = false;
                return Ok(Status::Complete(Extent { len, too_deep, has_push }));
            }
        }
        self.has_push = has_push;
        Ok(Status::Incomplete)
    }

    /// Whether nothing of a value was seen yet.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.tokens.offset() == 0
    }

    /// How many bytes of the value were looked at.
    #[must_use]
    pub const fn looked(&self) -> u64 {
        self.tokens.offset()
    }
}

impl Default for FrameState {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes the length of a complete scalar that passes no limit; leaves all else to the reader.
struct Scalar<'s, 'a> {
    buf: &'a [u8],
    limits: &'s Limits,
}

impl<'a> Accept<'a> for Scalar<'_, 'a> {
    type Out = usize;

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn accept(self, rest: &'a [u8], value: Value<'a>) -> Option<usize> {
        let used = self.buf.len().wrapping_sub(rest.len());
        let limit = match value {
            Value::Aggregate(..) => return None,
            Value::Line(..) => self.limits.line.min(self.limits.frame),
            Value::String(..) => self.limits.bulk.min(self.limits.frame),
            Value::Integer(_) | Value::Null(_) | Value::Boolean(_) => self.limits.frame,
        };
        (used as u64 <= limit).then_some(used)
    }
}

/// A [`FrameState`] that owns its [`Limits`] and the memory for nesting up to `D` levels.
///
/// ```
/// use slotwise::limits::Limits;
/// use slotwise::resp::{Frames, Status};
///
/// let mut frames: Frames = Frames::new(Limits::DEFAULT);
/// assert_eq!(frames.scan(b"*2\r\n:1\r\n:")?, Status::Incomplete);
/// let Status::Complete(extent) = frames.scan(b"*2\r\n:1\r\n:2\r\n+OK\r\n")? else { panic!() };
/// assert_eq!(extent.len, 12);
/// # Ok::<(), slotwise::resp::RespError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Frames<const D: usize = 128> {
    state: FrameState,
    levels: [Level; D],
    limits: Limits,
}

impl<const D: usize> Frames<D> {
    /// In front of a value.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { state: FrameState::new(), levels: [Level::EMPTY; D], limits }
    }

    /// As [`FrameState::scan`].
    ///
    /// # Errors
    ///
    /// As [`FrameState::scan`].
    pub fn scan(&mut self, buf: &[u8]) -> Result<Status<Extent>, RespError> {
        self.state.scan(&mut self.levels, &self.limits, buf)
    }

    /// Changes the limits, for the values that follow.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_within_their_limits_need_no_reader() {
        let limits = Limits { line: 5, bulk: 8, elements: 0, depth: 0, frame: 9, attributes: 0 };
        for (buf, taken) in [
            (&b"+OK\r\n+"[..], Some(5)),
            (b"-abc\r\n", None),
            (b"$2\r\nab\r\n", Some(8)),
            (b"$3\r\nabc\r\n", None),
            (b":123456\r\n", Some(9)),
            (b":1234567\r\n", None),
            (b"$-1\r\n", Some(5)),
            (b"#t\r\n", Some(4)),
            (b"*0\r\n", None),
        ] {
            assert_eq!(grammar::value(buf, Scalar { buf, limits: &limits }), taken, "{}", buf.escape_ascii());
        }
    }
}
