//! What the pull reader hands out.

/// One step of a RESP stream. Payloads are borrowed from the buffer that was read.
///
/// An aggregate's header says how many values follow it (twice as many for maps and attributes); there is no
/// end token except for streamed ones. [`TokenReader`](super::TokenReader) tells the depth, and which tokens
/// belong to attributes or to pushes found inside other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Token<'a> {
    /// A status line (`+OK`), without type byte and CR LF. May be empty.
    Simple(&'a [u8]),
    /// An error line (`-MOVED ...`), without type byte and CR LF. May be empty.
    Error(&'a [u8]),
    /// `:` and a canonical `i64`.
    Integer(i64),
    /// `$`: any bytes.
    Bulk(&'a [u8]),
    /// One of the three nulls.
    Null(Null),
    /// `#t` or `#f`.
    Boolean(bool),
    /// `,`: number text, `inf`, `-inf` or `nan`, checked but not decoded.
    Double(&'a [u8]),
    /// `(`: normally decimal digits, but scripts can put any text here, so it is neither checked nor decoded.
    BigNumber(&'a [u8]),
    /// `!`: an error with a length in front.
    BlobError(&'a [u8]),
    /// `=`: text with a three-byte format (`txt`, `mkd`, or what a server pads to three bytes).
    Verbatim {
        /// The format in front of the colon.
        format: [u8; 3],
        /// What follows the colon.
        text: &'a [u8],
    },
    /// `*`: so many values follow.
    Array(u32),
    /// `%`: so many pairs of values follow.
    Map(u32),
    /// `~`: so many values follow.
    Set(u32),
    /// `>`: so many values follow.
    Push(u32),
    /// `|`: so many pairs of values follow, and then the value which they describe.
    Attribute(u32),
    /// A string that comes in pieces: [`Token::Chunk`]s follow.
    Begin {
        /// What kind of string.
        kind: Text,
        /// Its length where that is known: not for lines and streamed strings.
        len: Option<u64>,
    },
    /// A piece of the string begun last. The last one may be empty.
    Chunk {
        /// The next bytes of the string.
        bytes: &'a [u8],
        /// Whether the string ends here.
        last: bool,
    },
    /// A streamed aggregate begins; its values and then [`Token::Close`] follow (feature `streamed`).
    Open(Aggregate),
    /// The innermost streamed aggregate ends (feature `streamed`).
    Close,
    /// The top-level value passed the depth limit: nothing of it was handed out from there on, and it ends here.
    /// Comes once per such value, as its last token.
    TooDeep,
}

/// The nulls of both protocol versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Null {
    /// `$-1`, RESP2.
    Bulk,
    /// `*-1`, RESP2: what EXEC and blocking commands answer.
    Array,
    /// `_`, RESP3.
    Resp3,
}

/// The kinds of text that may come in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Text {
    /// A status line.
    Simple,
    /// An error line.
    Error,
    /// A double. Its text is checked on the way.
    Double,
    /// A big number.
    BigNumber,
    /// A bulk string.
    Bulk,
    /// An error with a length in front.
    BlobError,
    /// A verbatim string of this format; the format and its colon are not part of the pieces.
    Verbatim([u8; 3]),
}

/// The kinds of aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Aggregate {
    /// `*`.
    Array,
    /// `%`.
    Map,
    /// `~`.
    Set,
    /// `>`.
    Push,
    /// `|`.
    Attribute,
}

impl Aggregate {
    /// How many values make one element of the count in the header.
    pub(super) const fn values_per_element(self) -> u64 {
        match self {
            Self::Map | Self::Attribute => 2,
            Self::Array | Self::Set | Self::Push => 1,
        }
    }

    pub(super) const fn token<'a>(self, count: u32) -> Token<'a> {
        match self {
            Self::Array => Token::Array(count),
            Self::Map => Token::Map(count),
            Self::Set => Token::Set(count),
            Self::Push => Token::Push(count),
            Self::Attribute => Token::Attribute(count),
        }
    }
}

impl Text {
    pub(super) const fn token(self, bytes: &[u8]) -> Token<'_> {
        match self {
            Self::Simple => Token::Simple(bytes),
            Self::Error => Token::Error(bytes),
            Self::Double => Token::Double(bytes),
            Self::BigNumber => Token::BigNumber(bytes),
            Self::Bulk => Token::Bulk(bytes),
            Self::BlobError => Token::BlobError(bytes),
            Self::Verbatim(format) => Token::Verbatim { format, text: bytes },
        }
    }
}

/// What a resumable reader answers when nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Status<T> {
    /// All of it is there.
    Complete(T),
    /// More bytes are needed.
    Incomplete,
}
