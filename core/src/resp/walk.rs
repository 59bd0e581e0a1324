//! All values of a frame, depth first.

use core::iter::FusedIterator;

use super::children::{NO_LIMITS, content_end};
use super::frame::Frame;
use super::level::Level;
use super::reader::TokenState;
use super::token::Token;

/// One step of a [`Walk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Visit<'a> {
    /// How many aggregates are open around the token: 0 for the frame's own value and the attributes in front.
    pub depth: usize,
    /// A scalar, an aggregate's header, or a part of a streamed value.
    pub token: Token<'a>,
    /// It belongs to a push found inside another value, its header included.
    pub out_of_band: bool,
    /// It belongs to an attribute, its header included.
    pub in_attribute: bool,
}

/// Walks a [`Frame`] from the outside in, in the order of its bytes, each of which is looked at once.
///
/// It keeps the nesting of 128 levels (1 KiB); what is nested deeper is passed over, and reported as one
/// [`Token::TooDeep`] at the end.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    state: TokenState,
    levels: [Level; 128],
    /// What was not visited yet.
    rest: &'a [u8],
    /// The last token.
    last: Option<Token<'a>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(frame: &Frame<'a>) -> Self {
        Self { state: TokenState::new(), levels: [Level::EMPTY; 128], rest: frame.raw(), last: None }
    }

    /// Passes over the children of the aggregate visited last; nothing if that was no aggregate.
    pub fn skip_children(&mut self) {
        let Some(token) = self.last.take() else { return };
        let opened = match token {
            Token::Array(count)
            | Token::Map(count)
            | Token::Set(count)
            | Token::Push(count)
            | Token::Attribute(count) => count != 0,
            Token::Open(_) => true,
            _ => false,
        };
        if !opened || self.state.skipping {
            return;
        }
        let rest = content_end(token, self.rest).unwrap_or_default();
        let passed = self.rest.len().saturating_sub(rest.len()) as u64;
        self.rest = rest;
        self.state.skip_open(&self.levels, self.state.offset().saturating_add(passed));
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Visit<'a>;

    #[inline]
    fn next(&mut self) -> Option<Visit<'a>> {
        let mut depth = self.state.depth as usize;
        let mut reader = self.state.reader(&mut self.levels, &NO_LIMITS, self.rest);
        let token = reader.next().ok().flatten();
        let (consumed, out_of_band, in_attribute) = (reader.consumed(), reader.out_of_band(), reader.in_attribute());
        self.rest = self.rest.get(consumed..).unwrap_or_default();
        self.last = token;
        let token = token?;
        match token {
            Token::Close => depth = depth.saturating_sub(1),
            Token::TooDeep => depth = 0,
            _ => {}
        }
        Some(Visit { depth, token, out_of_band, in_attribute })
    }
}

impl FusedIterator for Walk<'_> {}
