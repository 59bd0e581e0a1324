//! Lazy iteration over a frame's parts.

use core::iter::FusedIterator;

use super::extent::FrameState;
use super::frame::Frame;
use super::grammar::{self, Accept, Value};
use super::level::Level;
use super::reader::TokenState;
use super::token::{Aggregate, Status, Token};
use crate::limits::Limits;

/// What a second look at checked bytes needs: nothing is too long.
pub(super) const NO_LIMITS: Limits = Limits {
    line: u64::MAX,
    bulk: u64::MAX,
    elements: u64::MAX,
    depth: u16::MAX,
    frame: u64::MAX,
    attributes: u16::MAX,
};

/// Levels for a second look at checked bytes. Without streamed aggregates values can be counted on one level.
const LEVELS: usize = if cfg!(feature = "streamed") { 128 } else { 0 };

/// The header (or the whole) of the value at the front of `bytes`, and what follows it. Not for attributes.
#[inline(never)]
pub(super) fn head(bytes: &[u8]) -> Option<(Token<'_>, &[u8])> {
    match grammar::value(bytes, Head) {
        None => rare_head(bytes),
        found => found,
    }
}

/// [`head`] for what the grammar leaves to the byte-wise reader.
#[cold]
fn rare_head(bytes: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let mut state = TokenState::new();
    let mut levels = [Level::EMPTY; 1];
    let mut reader = state.reader(&mut levels, &NO_LIMITS, bytes);
    let token = reader.next().ok()??;
    let rest = bytes.get(reader.consumed()..)?;
    Some((token, rest))
}

/// What follows the value (with its attributes) at the front of `bytes`.
#[cold]
fn rare_end(bytes: &[u8]) -> Option<&[u8]> {
    let mut levels = [Level::EMPTY; LEVELS];
    match FrameState::new().scan(&mut levels, &NO_LIMITS, bytes) {
        Ok(Status::Complete(extent)) => bytes.get(extent.len..),
        _ => None,
    }
}

/// What follows `values` values at the front of `bytes`. One pass over their headers; pushes among them and
/// attributes are passed too, and not counted.
pub(super) fn skip(bytes: &[u8], values: u64) -> Option<&[u8]> {
    let mut rest = bytes;
    let mut left = values;
    while left != 0 {
        let Some((after, more)) = grammar::value(rest, Passed) else {
            rest = rare_end(rest)?;
            left = left.wrapping_sub(1);
            continue;
        };
        rest = after;
        left = left.wrapping_add(more);
    }
    Some(rest)
}

/// Takes what follows a header, and by how much it changes the number of values to come: each counts for one less,
/// its children for more. No sum of these can overflow: there are fewer than 2^32 children to each of fewer than
/// 2^32 headers.
pub(super) struct Passed;

impl<'a> Accept<'a> for Passed {
    type Out = (&'a [u8], u64);

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn accept(self, rest: &'a [u8], value: Value<'a>) -> Option<Self::Out> {
        let more = match value {
            Value::Aggregate(kind @ (Aggregate::Push | Aggregate::Attribute), count) => {
                count.wrapping_mul(kind.values_per_element())
            }
            Value::Aggregate(kind, count) => count.wrapping_mul(kind.values_per_element()).wrapping_sub(1),
            _ => u64::MAX,
        };
        Some((rest, more))
    }
}

/// Takes a header as a token.
pub(super) struct Head;

impl<'a> Accept<'a> for Head {
    type Out = (Token<'a>, &'a [u8]);

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn accept(self, rest: &'a [u8], value: Value<'a>) -> Option<Self::Out> {
        Some((value.token(), rest))
    }
}

/// What follows the attribute at the front of `bytes`.
pub(super) fn skip_attribute(bytes: &[u8]) -> Option<&[u8]> {
    let (Token::Attribute(pairs), rest) = head(bytes)? else { return None };
    skip(rest, u64::from(pairs).checked_mul(2)?)
}

/// What follows the attributes at the front of `bytes`.
#[cold]
pub(super) fn behind_attributes(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    while rest.starts_with(b"|") {
        rest = skip_attribute(rest)?;
    }
    Some(rest)
}

/// The attributes at the front of `bytes`.
fn attributes_of(bytes: &[u8]) -> &[u8] {
    let rest = behind_attributes(bytes).unwrap_or(bytes);
    bytes.get(..bytes.len().wrapping_sub(rest.len())).unwrap_or_default()
}

/// What follows the content of the aggregate whose header `token` is; `content` begins behind the header.
#[inline]
pub(super) fn content_end<'a>(token: Token<'a>, content: &'a [u8]) -> Option<&'a [u8]> {
    match token {
        Token::Array(count) | Token::Set(count) | Token::Push(count) => skip(content, u64::from(count)),
        Token::Map(count) | Token::Attribute(count) => skip(content, u64::from(count).checked_mul(2)?),
        Token::Begin { .. } | Token::Open(_) => streamed_end(token, content),
        _ => Some(content),
    }
}

#[cfg(feature = "streamed")]
#[cold]
fn streamed_end<'a>(token: Token<'a>, content: &'a [u8]) -> Option<&'a [u8]> {
    // The scanner has to see the header to know what the content is.
    let mut rest = content;
    if let Token::Open(_) = token {
        while !rest.starts_with(b".") {
            rest = if rest.starts_with(b"|") { skip_attribute(rest)? } else { rare_end(rest)? };
        }
        return rest.strip_prefix(b".\r\n");
    }
    loop {
        let digits = rest.strip_prefix(b";")?;
        let end = grammar::line_end(digits)?;
        let len = usize::try_from(super::number::parse_u64(digits.get(..end)?)?).ok()?;
        rest = digits.get(end..)?.strip_prefix(b"\r\n")?;
        if len == 0 {
            return Some(rest);
        }
        rest = rest.get(len..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(not(feature = "streamed"))]
fn streamed_end<'a>(_: Token<'a>, _: &'a [u8]) -> Option<&'a [u8]> {
    None
}

impl<'a> Value<'a> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn token(self) -> Token<'a> {
        match self {
            Self::Line(kind, bytes) | Self::String(kind, bytes) => kind.token(bytes),
            Self::Integer(number) => Token::Integer(number),
            Self::Null(null) => Token::Null(null),
            Self::Boolean(value) => Token::Boolean(value),
            Self::Aggregate(kind, count) => kind.token(u32::try_from(count).unwrap_or(u32::MAX)),
        }
    }
}

/// The direct children of a [`Frame`].
#[derive(Clone, Copy, Debug)]
pub struct Children<'a> {
    rest: &'a [u8],
    /// Children to come; as many as can be if only the end mark will tell.
    left: usize,
    has_push: bool,
    streamed: bool,
}

impl<'a> Children<'a> {
    #[inline]
    pub(super) fn new(parent: &Frame<'a>) -> Self {
        let streamed = matches!(parent.token(), Token::Open(_));
        let left = if streamed { usize::MAX } else { parent.len().unwrap_or(0) };
        Self { rest: parent.content(), left, has_push: parent.has_push(), streamed }
    }

    /// A child that begins with an attribute or is a push.
    #[cold]
    fn rare_next(&mut self) -> Option<Frame<'a>> {
        let mut raw = self.rest;
        let mut value = raw;
        loop {
            if value.starts_with(b"|") {
                value = skip_attribute(value)?;
                continue;
            }
            let (token, content) = head(value)?;
            if token == Token::Close {
                return None;
            }
            let rest = content_end(token, content)?;
            if matches!(token, Token::Push(_)) {
                raw = rest;
                value = rest;
                continue;
            }
            return self.yield_child(raw, rest, token, content);
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn yield_child(&mut self, raw: &'a [u8], rest: &'a [u8], token: Token<'a>, content: &'a [u8]) -> Option<Frame<'a>> {
        let bytes = raw.get(..raw.len().wrapping_sub(rest.len()))?;
        self.rest = rest;
        let content = content.get(..content.len().wrapping_sub(rest.len())).unwrap_or_default();
        self.left = self.left.wrapping_sub(1);
        Some(Frame::part(bytes, token, content, self.has_push))
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Frame<'a>;

    #[inline]
    fn next(&mut self) -> Option<Frame<'a>> {
        if self.left == 0 {
            return None;
        }
        let child = grammar::value(self.rest, &mut *self);
        if child.is_some() {
            return child;
        }
        let child = self.rare_next();
        if child.is_none() {
            self.left = 0;
        }
        child
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A child takes at least 3 bytes; the count alone is not to be believed by whoever reserves memory.
        let most = self.rest.len().wrapping_div(3);
        if self.streamed { (0, Some(most)) } else { (self.left.min(most), Some(self.left)) }
    }
}

impl FusedIterator for Children<'_> {}

impl<'a> Accept<'a> for &mut Children<'a> {
    type Out = Frame<'a>;

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn accept(self, rest: &'a [u8], value: Value<'a>) -> Option<Frame<'a>> {
        match value {
            Value::Aggregate(Aggregate::Attribute | Aggregate::Push, _) => None,
            Value::Aggregate(kind, count) => {
                let token = kind.token(u32::try_from(count).unwrap_or(u32::MAX));
                let end = skip(rest, count.wrapping_mul(kind.values_per_element()))?;
                self.yield_child(self.rest, end, token, rest)
            }
            scalar => self.yield_child(self.rest, rest, scalar.token(), rest),
        }
    }
}

/// The attributes in front of a [`Frame`].
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    has_push: bool,
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) fn new(parent: &Frame<'a>) -> Self {
        let rest = if parent.kind() == super::frame::Kind::Attribute { &[] } else { parent.raw() };
        Self { has_push: parent.has_push(), rest }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        if !self.rest.starts_with(b"|") {
            return None;
        }
        let frame = part_at(self.rest, self.has_push);
        self.rest = frame.and_then(|frame| self.rest.get(frame.raw().len()..)).unwrap_or_default();
        frame
    }
}

impl FusedIterator for Attributes<'_> {}

/// The attribute or aggregate at the front of `bytes`, as a frame.
fn part_at(bytes: &[u8], has_push: bool) -> Option<Frame<'_>> {
    let (token, content) = head(bytes)?;
    let rest = content_end(token, content)?;
    let raw = bytes.get(..bytes.len().wrapping_sub(rest.len()))?;
    let content = content.get(..content.len().wrapping_sub(rest.len()))?;
    Some(Frame::part(raw, token, content, has_push))
}

/// The pushes inside a [`Frame`].
#[derive(Clone, Copy, Debug)]
pub struct Pushes<'a> {
    rest: &'a [u8],
}

impl<'a> Pushes<'a> {
    pub(super) fn new(parent: &Frame<'a>) -> Self {
        let rest = match (parent.has_push(), parent.is_push()) {
            (false, _) => &[],
            (true, false) => parent.raw(),
            // A push has none inside, but the attributes in front of it may.
            (true, true) => attributes_of(parent.raw()),
        };
        Self { rest }
    }

    fn find(&mut self) -> Option<Frame<'a>> {
        while !self.rest.is_empty() {
            if self.rest.starts_with(b">") {
                let frame = part_at(self.rest, false)?;
                self.rest = self.rest.get(frame.raw().len()..)?;
                return Some(frame);
            }
            let (token, content) = head(self.rest)?;
            self.rest = if matches!(token, Token::Begin { .. }) { content_end(token, content)? } else { content };
        }
        None
    }
}

impl<'a> Iterator for Pushes<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let found = self.find();
        if found.is_none() {
            self.rest = &[];
        }
        found
    }
}

impl FusedIterator for Pushes<'_> {}
