//! Where in a nested reply the next token stands.

use super::WHOLE;
use crate::resp::{Text, Token};
use crate::topology::Rejection;

/// Deepest nesting a reader enters; deeper values are skipped. SLOTS: reply, entry, node, metadata. SHARDS: reply,
/// shard, nodes, node.
const LEVELS: usize = 4;

/// A value's place: how deep, and which child on each level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// 0 for the reply itself, 1 for its elements, and so on.
    pub(super) depth: usize,
    /// Which element of the innermost open aggregate, from 0.
    pub(super) index: u64,
}

impl Place {
    /// The place inside the aggregate that stands here.
    pub(super) const fn child(self) -> Self {
        Self { depth: self.depth.saturating_add(1), index: 0 }
    }
}

/// One value, or the beginning of one.
pub(super) enum Item<'a> {
    /// An aggregate of this many children (a map counts keys and values).
    Open(u64),
    /// Anything else.
    Scalar(Scalar<'a>),
    /// Part of something that is skipped.
    Nothing,
}

/// A value without children.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    Text(&'a [u8]),
    Integer(i64),
    Null,
    Error(&'a [u8]),
    /// An error too long to come whole.
    LongError,
    /// A string too long to come whole, or a type no topology reply has.
    Other,
}

impl<'a> Scalar<'a> {
    /// An integer, or one written as a string (CLUSTER SHARDS of 7.0.0 writes slots so).
    pub(super) fn number(self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(number).ok(),
            Self::Text(digits) => crate::resp::number::parse_u64(digits),
            _ => None,
        }
    }

    /// A string; a null counts as empty.
    pub(super) const fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null => Some(&[]),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// A reply of more elements than this counts is longer than the map could ever be.
    left: u32,
    index: u32,
}

/// The walk: open aggregates, and what is being skipped.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    levels: [Level; LEVELS],
    depth: u8, // <= LEVELS
    /// Values still to be skipped.
    skip: u64,
    ended: bool,
}

impl Walk {
    pub(super) const fn new() -> Self {
        Self { levels: [Level { left: 0, index: 0 }; LEVELS], depth: 0, skip: 0, ended: false }
    }

    pub(super) const fn depth(&self) -> usize {
        self.depth as usize
    }

    /// Whether the next values are passed by.
    pub(super) const fn skipping(&self) -> bool {
        self.skip > 0
    }

    pub(super) const fn at_end(&self) -> bool {
        self.ended
    }

    /// Where the next value stands.
    pub(super) fn place(&self) -> Place {
        let level = self.levels.get(self.depth().wrapping_sub(1));
        Place { depth: self.depth(), index: level.map_or(0, |level| u64::from(level.index)) }
    }

    pub(super) fn token<'t>(&mut self, token: &Token<'t>) -> Result<Item<'t>, Rejection> {
        let scalar = match *token {
            Token::Array(count) | Token::Set(count) => return Ok(self.open(u64::from(count))),
            Token::Map(pairs) => return Ok(self.open(u64::from(pairs).saturating_mul(2))),
            // Neither belongs to the reply: its values are passed by without being counted.
            Token::Push(count) => return Ok(self.aside(u64::from(count))),
            Token::Attribute(pairs) => return Ok(self.aside(u64::from(pairs).saturating_mul(2))),
            // What comes whole and what in chunks depends on the cut of the bytes past this length, so nothing past
            // it may matter.
            Token::Error(text) | Token::BlobError(text) if text.len() > WHOLE => Scalar::LongError,
            Token::Error(text) | Token::BlobError(text) => Scalar::Error(text),
            Token::Begin { kind: Text::Error | Text::BlobError, .. } => Scalar::LongError,
            Token::Simple(text) | Token::Bulk(text) | Token::Verbatim { text, .. } if text.len() <= WHOLE => {
                Scalar::Text(text)
            }
            Token::Integer(number) => Scalar::Integer(number),
            Token::Null(_) => Scalar::Null,
            Token::Simple(_) | Token::Bulk(_) | Token::Verbatim { .. } | Token::Begin { .. } => Scalar::Other,
            Token::Boolean(_) | Token::Double(_) | Token::BigNumber(_) => Scalar::Other,
            Token::Chunk { .. } => return Ok(Item::Nothing),
            Token::Open(_) | Token::Close => return Err(Rejection::Malformed("a streamed value")),
            Token::TooDeep => return Err(Rejection::Malformed("nested too deep")),
        };
        if self.skip > 0 {
            self.skip = self.skip.saturating_sub(1);
            return Ok(Item::Nothing);
        }
        Ok(Item::Scalar(scalar))
    }

    fn open<'t>(&mut self, count: u64) -> Item<'t> {
        if self.skip > 0 {
            self.skip = self.skip.saturating_sub(1).saturating_add(count);
            return Item::Nothing;
        }
        Item::Open(count)
    }

    fn aside<'t>(&mut self, count: u64) -> Item<'t> {
        self.skip = self.skip.saturating_add(count);
        Item::Nothing
    }

    /// Passes by the children of the aggregate that was just opened.
    pub(super) fn skip(&mut self, count: u64) {
        self.skip = self.skip.saturating_add(count);
    }

    /// Enters the aggregate that was just opened. `count` is not 0.
    pub(super) fn enter(&mut self, count: u64) {
        let depth = self.depth();
        if let Some(level) = self.levels.get_mut(depth) {
            *level = Level { left: u32::try_from(count).unwrap_or(u32::MAX), index: 0 };
            self.depth = self.depth.saturating_add(1);
        } else {
            self.skip(count);
        }
    }

    /// Steps past the value at the current place. `true` when that ended the innermost open aggregate, which is now
    /// itself the value to step past.
    pub(super) fn step_over(&mut self) -> bool {
        let depth = self.depth();
        let Some(level) = self.levels.get_mut(depth.wrapping_sub(1)) else {
            self.ended = true;
            return false;
        };
        level.left = level.left.saturating_sub(1);
        level.index = level.index.saturating_add(1);
        if level.left > 0 {
            return false;
        }
        self.depth = self.depth.saturating_sub(1);
        true
    }
}
