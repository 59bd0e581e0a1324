//! What can be wrong with the bytes of a RESP stream.

use core::fmt;

/// A fatal error in a RESP stream: what is wrong, and at which byte.
///
/// Blame is the peer's (or the transport's): a stream that has one of these cannot be trusted to be in step any
/// more, so the connection has to be closed. The state that reported it keeps reporting the same error. Kind and
/// offset do not depend on how the bytes were cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RespError {
    kind: RespErrorKind,
    offset: u64,
}

impl RespError {
    pub(super) const fn new(kind: RespErrorKind, offset: u64) -> Self {
        Self { kind, offset }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> RespErrorKind {
        self.kind
    }

    /// The byte at which it was seen, counted from zero: from the first byte a [`TokenState`](super::TokenState)
    /// ever read, or from the first byte of the value for a [`FrameState`](super::FrameState).
    ///
    /// For a malformed header, line or terminator this is the byte that broke the rule; for a length, count or
    /// attribute limit, the type byte of the value that passed it; for the line and frame limits, the first byte
    /// past the limit.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The same error seen from `base` bytes earlier.
    #[must_use]
    pub const fn shifted(self, base: u64) -> Self {
        Self { kind: self.kind, offset: self.offset.saturating_add(base) }
    }
}

impl fmt::Display for RespError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

impl core::error::Error for RespError {}

/// The kinds of [`RespError`]. All are fatal for the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RespErrorKind {
    /// The first byte of a value is none of RESP's type bytes.
    UnknownType,
    /// A length or count is not canonical decimal, is negative where no null is allowed, or passes `i64`.
    BadLength,
    /// An integer is not a canonical `i64`: no digits, a `+`, a leading zero, `-0`, a foreign byte or an overflow.
    BadInteger,
    /// A boolean is neither `t` nor `f`.
    BadBoolean,
    /// A double is neither number text nor `inf`, `-inf` or `nan`.
    BadDouble,
    /// A verbatim string is shorter than its four-byte prefix, or has no colon after the format.
    BadVerbatim,
    /// A line or a bulk does not end in CR LF, or a lone CR or LF stands inside a line.
    BadTerminator,
    /// A status, error, double or big-number line passes [`Limits::line`](crate::limits::Limits::line).
    LineTooLong,
    /// A length header passes [`Limits::bulk`](crate::limits::Limits::bulk).
    BulkTooLong,
    /// A count header passes [`Limits::elements`](crate::limits::Limits::elements).
    TooManyElements,
    /// A top-level value passes [`Limits::frame`](crate::limits::Limits::frame).
    FrameTooLong,
    /// More than [`Limits::attributes`](crate::limits::Limits::attributes) attributes in front of one value.
    TooManyAttributes,
    /// A push inside a push: which of the two the following values belong to cannot be known.
    PushInPush,
    /// A push whose count is -1.
    NullPush,
    /// A streamed string or aggregate, which this build does not read (feature `streamed`).
    Streamed,
    /// A chunk or an end mark outside a streamed value, or a streamed map that ends after a key.
    BadStream,
    /// A streamed aggregate nested past the depth limit: its end could not be told from its children's.
    StreamedTooDeep,
    /// The caller lent fewer levels than the value had open in an earlier call. Not the peer's fault.
    LevelsTooShort,
}

impl RespErrorKind {
    /// The name for machines, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::BadLength => "bad_length",
            Self::BadInteger => "bad_integer",
            Self::BadBoolean => "bad_boolean",
            Self::BadDouble => "bad_double",
            Self::BadVerbatim => "bad_verbatim",
            Self::BadTerminator => "bad_terminator",
            Self::LineTooLong => "line_too_long",
            Self::BulkTooLong => "bulk_too_long",
            Self::TooManyElements => "too_many_elements",
            Self::FrameTooLong => "frame_too_long",
            Self::TooManyAttributes => "too_many_attributes",
            Self::PushInPush => "push_in_push",
            Self::NullPush => "null_push",
            Self::Streamed => "streamed",
            Self::BadStream => "bad_stream",
            Self::StreamedTooDeep => "streamed_too_deep",
            Self::LevelsTooShort => "levels_too_short",
        }
    }
}

impl fmt::Display for RespErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownType => "unknown type byte",
            Self::BadLength => "malformed length",
            Self::BadInteger => "malformed integer",
            Self::BadBoolean => "malformed boolean",
            Self::BadDouble => "malformed double",
            Self::BadVerbatim => "malformed verbatim string",
            Self::BadTerminator => "CR LF expected",
            Self::LineTooLong => "line too long",
            Self::BulkTooLong => "bulk too long",
            Self::TooManyElements => "too many elements",
            Self::FrameTooLong => "reply too long",
            Self::TooManyAttributes => "too many attributes in front of one value",
            Self::PushInPush => "push inside a push",
            Self::NullPush => "null push",
            Self::Streamed => "streamed values are not supported",
            Self::BadStream => "malformed streamed value",
            Self::StreamedTooDeep => "streamed aggregate nested too deep",
            Self::LevelsTooShort => "fewer levels lent than were open",
        })
    }
}
