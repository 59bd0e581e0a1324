//! A borrowed view of one complete value.
//!
//! A [`Frame`] is only made from bytes whose extent was found by the scanner, so its accessors look at headers
//! without checking them against limits again. None of them can panic: should the bytes not be what the scanner
//! saw, they answer `None` and iterators end.

use super::children::{Attributes, Children, Pushes, head};
use super::error::RespError;
use super::extent::{Extent, FrameState};
use super::level::Level;
use super::token::{Aggregate, Null, Status, Text, Token};
use super::walk::Walk;
use crate::limits::Limits;

/// A checked view of one complete value, with the attributes in front of it.
///
/// ```
/// use slotwise::limits::Limits;
/// use slotwise::resp::{Frame, Kind, Status};
///
/// let reply = b"*3\r\n$3\r\nfoo\r\n:42\r\n*1\r\n+deep\r\n";
/// let Status::Complete((frame, len)) = Frame::new_checked(reply, &Limits::DEFAULT)? else { panic!() };
/// assert_eq!((frame.kind(), len), (Kind::Array, reply.len()));
/// let mut children = frame.children();
/// assert_eq!(children.next().and_then(|child| child.bytes()), Some(&b"foo"[..]));
/// assert_eq!(children.next().and_then(|child| child.integer()), Some(42));
/// assert_eq!(children.next().map(|child| child.kind()), Some(Kind::Array));
/// assert!(children.next().is_none());
/// # Ok::<(), slotwise::resp::RespError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Frame<'a> {
    raw: &'a [u8],
    /// The value's header, or the whole value if it is a scalar.
    token: Token<'a>,
    /// What follows the header of an aggregate or of a streamed string.
    content: &'a [u8],
    too_deep: bool,
    has_push: bool,
}

/// What kind of value a [`Frame`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Kind {
    /// `+`.
    Simple,
    /// `-`.
    Error,
    /// `:`.
    Integer,
    /// `$`, not null.
    Bulk,
    /// `*`, not null.
    Array,
    /// `_`, `$-1` or `*-1`.
    Null,
    /// `#`.
    Boolean,
    /// `,`.
    Double,
    /// `(`.
    BigNumber,
    /// `!`.
    BlobError,
    /// `=`.
    Verbatim,
    /// `%`.
    Map,
    /// `~`.
    Set,
    /// `>`.
    Push,
    /// `|`: only from [`Frame::attributes`].
    Attribute,
}

impl<'a> Frame<'a> {
    /// Reads the value at the front of `buf`, and gives its length too. Nested at most 128 deep, and no deeper
    /// than `limits.depth`; a deeper one is complete but [`Frame::too_deep`].
    ///
    /// This starts from the beginning each time: use [`FrameState`] for values that arrive in pieces.
    ///
    /// # Errors
    ///
    /// As [`FrameState::scan`].
    pub fn new_checked(buf: &'a [u8], limits: &Limits) -> Result<Status<(Self, usize)>, RespError> {
        let mut levels = [Level::EMPTY; 128];
        let Status::Complete(extent) = FrameState::new().scan(&mut levels, limits, buf)? else {
            return Ok(Status::Incomplete);
        };
        Ok(match Self::from_extent(buf, extent) {
            Some(frame) => Status::Complete((frame, extent.len)),
            None => Status::Incomplete,
        })
    }

    /// The view of the first `extent.len` bytes of `buf`, as [`FrameState::scan`] found them there; nothing is
    /// checked again. `None` if `buf` is shorter or does not begin with a value, which it then cannot have.
    #[must_use]
    #[inline]
    pub fn from_extent(buf: &'a [u8], extent: Extent) -> Option<Self> {
        let raw = buf.get(..extent.len)?;
        let value = if raw.first() == Some(&b'|') { super::children::behind_attributes(raw)? } else { raw };
        let (token, content) = head(value)?;
        Some(Self { raw, token, content, too_deep: extent.too_deep, has_push: extent.has_push })
    }

    /// A view of a value that is part of another one, which has pushes inside or not.
    #[inline(always)]
    pub(super) fn part(raw: &'a [u8], token: Token<'a>, content: &'a [u8], has_push: bool) -> Self {
        Self { raw, token, content, too_deep: false, has_push }
    }

    /// The bytes as they were sent, attributes in front included.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    pub(super) const fn content(&self) -> &'a [u8] {
        self.content
    }

    pub(super) const fn has_push(&self) -> bool {
        self.has_push
    }

    /// What kind of value this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.token {
            Token::Simple(_) | Token::Begin { kind: Text::Simple, .. } => Kind::Simple,
            Token::Error(_) | Token::Begin { kind: Text::Error, .. } => Kind::Error,
            Token::Integer(_) => Kind::Integer,
            Token::Null(_) | Token::Chunk { .. } | Token::Close | Token::TooDeep => Kind::Null,
            Token::Boolean(_) => Kind::Boolean,
            Token::Double(_) | Token::Begin { kind: Text::Double, .. } => Kind::Double,
            Token::BigNumber(_) | Token::Begin { kind: Text::BigNumber, .. } => Kind::BigNumber,
            Token::Bulk(_) | Token::Begin { kind: Text::Bulk, .. } => Kind::Bulk,
            Token::BlobError(_) | Token::Begin { kind: Text::BlobError, .. } => Kind::BlobError,
            Token::Verbatim { .. } | Token::Begin { kind: Text::Verbatim(_), .. } => Kind::Verbatim,
            Token::Array(_) | Token::Open(Aggregate::Array) => Kind::Array,
            Token::Map(_) | Token::Open(Aggregate::Map) => Kind::Map,
            Token::Set(_) | Token::Open(Aggregate::Set) => Kind::Set,
            Token::Push(_) | Token::Open(Aggregate::Push) => Kind::Push,
            Token::Attribute(_) | Token::Open(Aggregate::Attribute) => Kind::Attribute,
        }
    }

    /// The value itself if it is a scalar, or its header, as the pull reader would give it.
    #[must_use]
    pub const fn token(&self) -> Token<'a> {
        self.token
    }

    /// Whether the top-level value passed the depth limit. Its bytes are well-formed all the same.
    #[must_use]
    pub const fn too_deep(&self) -> bool {
        self.too_deep
    }

    /// Whether this is an error, simple or blob.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self.token, Token::Error(_) | Token::BlobError(_))
    }

    /// Whether this is one of the three nulls.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self.token, Token::Null(_))
    }

    /// Which null this is.
    #[must_use]
    pub const fn null(&self) -> Option<Null> {
        match self.token {
            Token::Null(null) => Some(null),
            _ => None,
        }
    }

    /// Whether this is a push.
    #[must_use]
    pub const fn is_push(&self) -> bool {
        matches!(self.token, Token::Push(_))
    }

    /// The payload of anything that is text: status, error, bulk, blob error, verbatim without its format, double
    /// and big number as they were sent. `None` for a streamed string, which is not in one piece.
    #[must_use]
    pub const fn bytes(&self) -> Option<&'a [u8]> {
        match self.token {
            Token::Simple(bytes)
            | Token::Error(bytes)
            | Token::Bulk(bytes)
            | Token::BlobError(bytes)
            | Token::Double(bytes)
            | Token::BigNumber(bytes)
            | Token::Verbatim { text: bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// The text of an error, simple or blob.
    #[must_use]
    pub const fn error(&self) -> Option<&'a [u8]> {
        match self.token {
            Token::Error(bytes) | Token::BlobError(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number of a `:`.
    #[must_use]
    pub const fn integer(&self) -> Option<i64> {
        match self.token {
            Token::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The value of a `#`.
    #[must_use]
    pub const fn boolean(&self) -> Option<bool> {
        match self.token {
            Token::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// The format of a verbatim string.
    #[must_use]
    pub const fn format(&self) -> Option<[u8; 3]> {
        match self.token {
            Token::Verbatim { format, .. } => Some(format),
            _ => None,
        }
    }

    /// The value of a `,`, decoded. RESP2 servers send doubles as bulks; those are decoded too.
    #[cfg(feature = "float")]
    #[must_use]
    pub fn double(&self) -> Option<f64> {
        let (Token::Double(text) | Token::Bulk(text)) = self.token else { return None };
        if !super::double::DoubleText::accepts(text) {
            return None;
        }
        // A NaN's payload is not kept: Rust's parser does not read it.
        let text = text.split(|&byte| byte == b'(').next()?;
        core::str::from_utf8(text).ok()?.parse().ok()
    }

    /// How many values [`Frame::children`] gives: the elements of an array, set or push, twice the pairs of a
    /// map or attribute. `None` for a scalar or a streamed aggregate.
    #[expect(clippy::len_without_is_empty, reason = "most frames are scalars, which are not empty containers")]
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        let (values, per_element) = match self.token {
            Token::Array(count) | Token::Set(count) | Token::Push(count) => (count, 1),
            Token::Map(count) | Token::Attribute(count) => (count, 2),
            _ => return None,
        };
        usize::try_from(values).ok()?.checked_mul(per_element)
    }

    /// The direct children in the order they were sent: of a map key, value, key, value. Pushes that stand among
    /// them are left out ([`Frame::pushes`] has them). None for scalars.
    ///
    /// Getting past a child that is an aggregate means looking at all of its headers; to see all levels of a
    /// deep value, [`Frame::walk`] looks at each byte once.
    #[must_use]
    #[inline]
    pub fn children(&self) -> Children<'a> {
        Children::new(self)
    }

    /// All values in it from the outside in, in the order they were sent: depth first, linear in the bytes.
    #[must_use]
    pub fn walk(&self) -> Walk<'a> {
        Walk::new(self)
    }

    /// The attributes in front of this value, each a frame of kind [`Kind::Attribute`].
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self)
    }

    /// The pushes that stand somewhere inside this value, at whatever depth.
    #[must_use]
    pub fn pushes(&self) -> Pushes<'a> {
        Pushes::new(self)
    }
}
