//! The pull reader with its levels and limits in one value.

use super::level::Level;
use super::reader::{TokenReader, TokenState};
use crate::limits::Limits;

/// A [`TokenState`] that owns its [`Limits`] and the memory for nesting up to `D` levels.
///
/// ```
/// use slotwise::limits::Limits;
/// use slotwise::resp::{Token, Tokens};
///
/// let mut tokens: Tokens = Tokens::new(Limits::DEFAULT);
/// // The first piece ends inside the second element's length.
/// let mut reader = tokens.reader(b"*2\r\n+OK\r\n$1");
/// assert_eq!(reader.next()?, Some(Token::Array(2)));
/// assert_eq!(reader.next()?, Some(Token::Simple(b"OK")));
/// assert_eq!(reader.next()?, None);
/// assert_eq!(reader.consumed(), 11);
///
/// let mut reader = tokens.reader(b"1\r\nhello world\r\n");
/// assert_eq!(reader.next()?, Some(Token::Bulk(b"hello world")));
/// assert!(reader.at_boundary());
/// # Ok::<(), slotwise::resp::RespError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokens<const D: usize = 128> {
    state: TokenState,
    levels: [Level; D],
    limits: Limits,
}

impl<const D: usize> Tokens<D> {
    /// At the beginning of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { state: TokenState::new(), levels: [Level::EMPTY; D], limits }
    }

    /// As [`TokenState::with_whole`].
    #[must_use]
    pub const fn with_whole(self, n: usize) -> Self {
        Self { state: self.state.with_whole(n), ..self }
    }

    /// Reads on in `buf`, which begins with the first byte not consumed so far.
    pub fn reader<'s, 'a>(&'s mut self, buf: &'a [u8]) -> TokenReader<'s, 'a> {
        self.state.reader(&mut self.levels, &self.limits, buf)
    }

    /// Whether the stream is between two top-level values.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.state.at_boundary()
    }

    /// How many bytes of the stream are consumed.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.state.offset()
    }

    /// Changes the limits, for the values that follow: a connection's are tiny until its handshake is done.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }
}
