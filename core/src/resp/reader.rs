//! The pull reader: one pass, no copy, resumable at every byte.
//!
//! [`TokenReader::next`] reads whole values through [`grammar`](super::grammar); whatever that does not accept
//! (cut, malformed, past a limit, or rare) goes to [`resume`](super::resume), which takes bytes one after the
//! other and is the only place where errors of the byte stream are made.

use super::RespErrorKind as Kind;
use super::error::RespError;
use super::grammar::{self, Accept, Value};
use super::level::Level;
use super::resume::Stage;
use super::token::{Aggregate, Token};
use crate::limits::Limits;

/// Where a reader is in a stream: all that has to be kept between two buffers, except the levels.
///
/// The levels are lent for each reading, so that many connections can keep theirs in one place; they must come
/// back untouched while [`TokenState::at_boundary`] is false.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TokenState {
    /// Stream offset of the first byte not consumed.
    pub(super) offset: u64,
    /// Stream offset which the top-level value may not pass.
    pub(super) frame_end: u64,
    /// Stream offset of the type byte of the value being read byte-wise.
    pub(super) start: u64,
    /// What a [`Level::FOLD`] level has to read above its `remaining`.
    pub(super) fold: u64,
    /// Inside a push in a [`Level::FOLD`] level: how many values that level awaits once the push is over.
    pub(super) fold_push: Option<u64>,
    /// The innermost open level; its parents are `root` and `levels[..depth - 1]`.
    pub(super) top: Level,
    /// The root level while `depth > 0`.
    pub(super) root: Level,
    pub(super) depth: u32,
    /// Nothing is handed out until the end of the top-level value.
    pub(super) skipping: bool,
    pub(super) stage: Stage,
    /// Strings of at most this length are only handed out whole.
    pub(super) whole: usize,
}

impl TokenState {
    /// At the beginning of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            offset: 0,
            frame_end: u64::MAX,
            start: 0,
            fold: 0,
            fold_push: None,
            top: Level::ROOT,
            root: Level::ROOT,
            depth: 0,
            skipping: false,
            stage: Stage::Value,
            whole: 0,
        }
    }

    /// Hands out strings of at most `n` bytes only whole: the reader waits until all of one is in the buffer,
    /// which must therefore have room for `n + 2` bytes. Longer ones still come in pieces when they are cut.
    /// The default is 0: in pieces whenever cut.
    #[must_use]
    pub const fn with_whole(self, n: usize) -> Self {
        Self { whole: n, ..self }
    }

    /// Whether the stream is between two top-level values. An attribute belongs to the value after it.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.depth == 0 && self.top.attributes == 0 && self.top.remaining == 1 && matches!(self.stage, Stage::Value)
    }

    /// How many bytes of the stream are consumed.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The fatal error that ended the stream.
    #[must_use]
    pub const fn failed(&self) -> Option<RespError> {
        match self.stage {
            Stage::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Reads on in `buf`, which begins with the first byte not consumed so far.
    ///
    /// `levels` bounds the depth beside [`Limits::depth`]: a value nested deeper than either is skipped.
    #[inline]
    pub fn reader<'s, 'a>(
        &'s mut self,
        levels: &'s mut [Level],
        limits: &'s Limits,
        buf: &'a [u8],
    ) -> TokenReader<'s, 'a> {
        if self.at_boundary() {
            self.frame_end = self.offset.saturating_add(limits.frame);
        }
        TokenReader { state: self, levels, limits, rest: buf, len: buf.len(), last: 0 }
    }

    /// Counts from zero again; only between two values.
    pub(super) fn restart(&mut self) {
        debug_assert!(self.at_boundary(), "offsets of a value would be lost");
        self.offset = 0;
    }

    /// Ends the innermost aggregate as if its remaining children had been read up to `offset`.
    pub(super) fn skip_open(&mut self, levels: &[Level], offset: u64) {
        self.offset = offset;
        self.top.remaining = 0;
        self.top.flags = 0;
        self.fold = 0;
        self.close(levels, u64::MAX);
    }

    /// Closes every level that awaits nothing more; true if that ended the top-level value.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn close(&mut self, levels: &[Level], frame: u64) -> bool {
        if self.depth != 0 {
            return self.pop(levels, frame);
        }
        self.frame_end = self.offset.saturating_add(frame);
        self.top.remaining = 1;
        true
    }

    #[inline(never)]
    fn pop(&mut self, levels: &[Level], frame: u64) -> bool {
        loop {
            if self.top.flags & Level::FOLD != 0 && self.fold != 0 {
                let more = u32::try_from(self.fold).unwrap_or(u32::MAX);
                self.fold = self.fold.saturating_sub(u64::from(more));
                self.top.remaining = more;
            } else if self.top.flags & Level::STREAMED != 0 {
                self.top.remaining = Level::STREAMED_START;
            } else if self.depth != 0 {
                self.leave(levels);
            } else {
                return self.close(levels, frame);
            }
            if self.top.remaining != 0 {
                return false;
            }
        }
    }

    /// Goes up one level.
    pub(super) fn leave(&mut self, levels: &[Level]) {
        self.depth = self.depth.saturating_sub(1);
        self.top = match (self.depth as usize).checked_sub(1) {
            None => self.root,
            Some(at) => match levels.get(at) {
                Some(level) => *level,
                None => {
                    self.stage = Stage::Failed(RespError::new(Kind::LevelsTooShort, self.offset));
                    Level::ROOT
                }
            },
        };
    }

    /// Goes down one level; `parent` is where to come back to.
    fn enter(&mut self, levels: &mut [Level], child: Level) -> Result<(), Kind> {
        match (self.depth as usize).checked_sub(1) {
            None => self.root = self.top,
            Some(at) => *levels.get_mut(at).ok_or(Kind::LevelsTooShort)? = self.top,
        }
        self.top = child;
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    /// Accounts for the header of an aggregate of `values` values (or a streamed one: `None`), and goes into it
    /// if it has any. Gives the flags of its content.
    #[inline]
    pub(super) fn open(
        &mut self,
        levels: &mut [Level],
        limits: &Limits,
        kind: Aggregate,
        values: Option<u64>,
    ) -> Result<u8, Kind> {
        let mut flags = self.top.flags & Level::INHERITED;
        let mut counted = true;
        if self.top.flags & Level::FOLD != 0 {
            self.fold_pushes(kind)?;
        }
        if matches!(kind, Aggregate::Push | Aggregate::Attribute) {
            (flags, counted) = self.open_aside(limits, kind, flags)?;
        } else {
            self.top.attributes = 0;
        }
        if counted {
            self.top.remaining = self.top.remaining.wrapping_sub(1);
        }
        if values == Some(0) {
            return Ok(flags);
        }
        let deepest = levels.len().min(usize::from(limits.depth));
        if self.depth as usize >= deepest {
            self.open_too_deep(levels, flags, values)?;
        } else {
            let child = match values {
                Some(values) => Level { remaining: u32::try_from(values).unwrap_or(u32::MAX), attributes: 0, flags },
                None => {
                    let map = if kind == Aggregate::Map { Level::STREAMED_MAP } else { 0 };
                    Level { remaining: Level::STREAMED_START, attributes: 0, flags: flags | Level::STREAMED | map }
                }
            };
            self.enter(levels, child)?;
        }
        Ok(flags)
    }

    /// The flags inside a push or an attribute, and whether its parent counts it.
    fn open_aside(&mut self, limits: &Limits, kind: Aggregate, flags: u8) -> Result<(u8, bool), Kind> {
        if kind == Aggregate::Attribute {
            if self.top.attributes >= limits.attributes {
                return Err(Kind::TooManyAttributes);
            }
            self.top.attributes = self.top.attributes.saturating_add(1);
            return Ok((flags | Level::ATTRIBUTE, false));
        }
        if flags & Level::PUSH != 0 {
            return Err(Kind::PushInPush);
        }
        self.top.attributes = 0;
        if self.depth == 0 {
            return Ok((flags | Level::PUSH, true));
        }
        Ok((flags | Level::PUSH | Level::OUT_OF_BAND, false))
    }

    /// Finds a push inside a push where the levels between them are not kept: values are counted in the order they
    /// are sent, so a push is over when as many are awaited as before it.
    #[cold]
    fn fold_pushes(&mut self, kind: Aggregate) -> Result<(), Kind> {
        let awaited = self.fold.saturating_add(u64::from(self.top.remaining));
        self.fold_push = self.fold_push.filter(|&after| awaited > after);
        match (kind, self.fold_push) {
            (Aggregate::Push, Some(_)) => Err(Kind::PushInPush),
            (Aggregate::Push, None) => {
                self.fold_push = Some(awaited);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Everything below the depth limit is one level, which counts the values in all of it.
    fn open_too_deep(&mut self, levels: &mut [Level], flags: u8, values: Option<u64>) -> Result<(), Kind> {
        let values = values.ok_or(Kind::StreamedTooDeep)?;
        self.skipping = true;
        if self.top.flags & Level::FOLD == 0 {
            self.fold = 0;
            self.fold_push = None;
            self.enter(levels, Level { remaining: 0, attributes: 0, flags: flags | Level::FOLD })?;
        }
        let values = values.saturating_add(u64::from(self.top.remaining)).saturating_add(self.fold);
        let now = u32::try_from(values).unwrap_or(u32::MAX);
        self.top.remaining = now;
        self.fold = values.saturating_sub(u64::from(now));
        Ok(())
    }
}

impl Default for TokenState {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads the tokens of one buffer. Made by [`TokenState::reader`] and by [`Tokens::reader`](super::Tokens::reader).
#[derive(Debug)]
#[must_use = "call `next` until it gives `None`"]
pub struct TokenReader<'s, 'a> {
    pub(super) state: &'s mut TokenState,
    pub(super) levels: &'s mut [Level],
    pub(super) limits: &'s Limits,
    /// What is not consumed; `rest.len() <= len`.
    pub(super) rest: &'a [u8],
    len: usize,
    /// About the token handed out last: the flags of its level, and [`BOUNDARY`].
    pub(super) last: u8,
}

/// In `last`: the token ended a top-level value.
pub(super) const BOUNDARY: u8 = 1 << 7;

impl<'a> TokenReader<'_, 'a> {
    /// The next token; `None` if these bytes hold no more.
    ///
    /// # Errors
    ///
    /// The stream cannot be trusted any more. All tokens in front of the malformed byte were handed out before,
    /// and every later call gives the same error.
    #[expect(clippy::should_implement_trait, reason = "fallible, and its items cannot be collected across buffers")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Token<'a>>, RespError> {
        // No value is shorter than three bytes.
        if matches!(self.state.stage, Stage::Value) && !self.state.skipping && self.rest.len() >= 3 {
            return self.next_value();
        }
        if self.quiet() { Ok(None) } else { self.next_slow() }
    }

    /// The common case: a type byte comes next, and probably all of a value.
    #[inline(never)]
    fn next_value(&mut self) -> Result<Option<Token<'a>>, RespError> {
        match grammar::value(self.rest, &mut *self) {
            Some(token) if !self.state.skipping => Ok(Some(token)),
            _ => self.next_slow(),
        }
    }

    /// [`TokenReader::next`] for what is cut, malformed, too deep or past a limit.
    #[inline(never)]
    fn next_slow(&mut self) -> Result<Option<Token<'a>>, RespError> {
        if !self.state.skipping {
            let token = self.resume();
            if !self.state.skipping {
                return token;
            }
            token?;
        }
        self.skip_on()
    }

    /// Reads on to the end of a value that is too deep.
    fn skip_on(&mut self) -> Result<Option<Token<'a>>, RespError> {
        loop {
            if self.resume()?.is_none() {
                return Ok(None);
            }
            if self.last & BOUNDARY != 0 {
                self.state.skipping = false;
                return Ok(Some(Token::TooDeep));
            }
            // Quickly over what is skipped.
            while matches!(self.state.stage, Stage::Value)
                && self.last & BOUNDARY == 0
                && grammar::value(self.rest, &mut *self).is_some()
            {}
            if self.last & BOUNDARY != 0 {
                self.state.skipping = false;
                return Ok(Some(Token::TooDeep));
            }
        }
    }

    /// How many bytes of the buffer are done with. The rest must be presented again, unchanged, with more behind it.
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    /// Whether the token just handed out ended a top-level value.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.last & BOUNDARY != 0
    }

    /// How many aggregates are open after the token just handed out.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.state.depth as usize
    }

    /// Whether the token just handed out belongs to a push that was found inside another value, its header
    /// included. The value around it does not count such a push among its elements.
    #[must_use]
    pub fn out_of_band(&self) -> bool {
        self.last & Level::OUT_OF_BAND != 0
    }

    /// Whether the token just handed out belongs to an attribute, its header included.
    #[must_use]
    pub fn in_attribute(&self) -> bool {
        self.last & Level::ATTRIBUTE != 0
    }

    /// The most elements a header may count.
    pub(super) fn most_elements(&self) -> u64 {
        const MOST: u64 = i32::MAX as u64;
        if self.limits.elements < MOST { self.limits.elements } else { MOST }
    }

    /// Accounts for an aggregate's header, which ends at stream offset `end`.
    #[inline]
    pub(super) fn header(&mut self, kind: Aggregate, count: u64, end: u64) -> Result<Token<'a>, Kind> {
        let values = count.saturating_mul(kind.values_per_element());
        self.last = self.state.open(self.levels, self.limits, kind, Some(values))?;
        self.state.offset = end;
        if self.state.top.remaining == 0 {
            self.close();
        }
        Ok(kind.token(u32::try_from(count).unwrap_or(u32::MAX)))
    }

    /// Accounts for a value without children that was read to its end.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn scalar(&mut self) {
        self.begin();
        if self.state.top.remaining == 0 {
            self.close();
        }
    }

    /// Accounts for a value without children that begins.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn begin(&mut self) {
        let top = &mut self.state.top;
        self.last = top.flags & Level::INHERITED;
        top.attributes = 0;
        top.remaining = top.remaining.wrapping_sub(1);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn close(&mut self) {
        if self.state.close(self.levels, self.limits.frame) {
            self.last |= BOUNDARY;
        }
    }

    #[cold]
    pub(super) fn fail(&mut self, kind: Kind, offset: u64) -> RespError {
        let error = RespError::new(kind, offset);
        self.state.stage = Stage::Failed(error);
        error
    }
}

impl<'a> Accept<'a> for &mut TokenReader<'_, 'a> {
    type Out = Token<'a>;

    /// Checks a value against the limits and accounts for it; `None` leaves it to the byte-wise reader, which
    /// finds the byte that passed the limit (or that none did: only sizes that pass no limit are accepted here).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn accept(self, rest: &'a [u8], value: Value<'a>) -> Option<Token<'a>> {
        let used = self.rest.len().wrapping_sub(rest.len()) as u64;
        let end = self.state.offset.wrapping_add(used);
        if end > self.state.frame_end {
            return None;
        }
        match value {
            Value::Aggregate(kind, count) => {
                if count > self.most_elements() {
                    return None;
                }
                let token = self.header(kind, count, end).ok()?;
                self.rest = rest;
                return Some(token);
            }
            // A line's or a string's bytes are fewer than its value's.
            Value::Line(..) if used > self.limits.line => return None,
            Value::String(..) if used > self.limits.bulk => return None,
            _ => {}
        }
        self.rest = rest;
        self.state.offset = end;
        self.scalar();
        Some(value.token())
    }
}
