//! The reader's byte-wise half: values that the end of a buffer cuts, and malformed ones.
//!
//! Every byte is looked at once: a header is taken byte by byte into [`Header`], a line remembers how far it was
//! searched, a bulk how much is left.

use super::RespErrorKind as Kind;
use super::double::DoubleText;
use super::error::RespError;
use super::grammar::line_end;
use super::header::{First, Head, Header};
use super::level::Level;
use super::reader::TokenReader;
#[cfg(feature = "streamed")]
use super::token::Aggregate;
use super::token::{Text, Token};

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Stage {
    /// A type byte.
    Value,
    /// A header after its type byte.
    Header(Header),
    /// A line's text or end.
    Line(Line),
    /// A string's bytes or end.
    Body(Body),
    /// The type byte of a streamed string's next piece; so many bytes of it are through.
    #[cfg(feature = "streamed")]
    Piece(u64),
    /// A piece's header after its type byte.
    #[cfg(feature = "streamed")]
    PieceHeader(Header, u64),
    /// Nothing: the stream is lost.
    Failed(RespError),
}

/// A status, error, double or big-number line.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Line {
    kind: Text,
    /// Where a double's text is.
    place: DoubleText,
    /// Pieces are being handed out.
    begun: bool,
    /// The CR is consumed.
    ended: bool,
    /// Bytes of the text consumed.
    taken: u64,
    /// Bytes of the text at the front of the buffer that were looked at before.
    looked: usize,
}

/// A string with a length.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Body {
    kind: Text,
    /// Bytes not consumed yet, without the CR LF.
    left: u64,
    /// Pieces are being handed out.
    begun: bool,
    /// The CR is consumed.
    ended: bool,
    /// A piece of a streamed string, of which so many bytes went before or are in this piece.
    #[cfg(feature = "streamed")]
    streamed: Option<u64>,
}

/// What stands at the end of a string.
enum End {
    /// CR LF.
    Whole,
    /// CR, and then the buffer ends.
    Half,
    /// The buffer ends.
    Missing,
}

impl<'a> TokenReader<'_, 'a> {
    /// Goes on where the last buffer ended, or where the grammar gave up.
    #[inline(never)]
    pub(super) fn resume(&mut self) -> Result<Option<Token<'a>>, RespError> {
        loop {
            let announced = match self.state.stage {
                Stage::Failed(error) => return Err(error),
                Stage::Line(line) => return self.line(line),
                Stage::Body(body) => return self.body(body),
                Stage::Header(_) => self.header_bytes()?,
                Stage::Value => self.type_byte()?,
                #[cfg(feature = "streamed")]
                Stage::Piece(total) => {
                    let Some(&kind) = self.rest.first() else { return Ok(None) };
                    self.state.start = self.state.offset;
                    let header = Header::piece(kind).map_err(|error| self.fail(error, self.state.offset))?;
                    self.take(1);
                    self.state.stage = Stage::PieceHeader(header, total);
                    continue;
                }
                #[cfg(feature = "streamed")]
                Stage::PieceHeader(_, total) => match self.header_bytes()? {
                    Some(head) => {
                        if let Some(token) = self.piece(head, total)? {
                            return Ok(Some(token));
                        }
                        continue;
                    }
                    None => return Ok(None),
                },
            };
            match announced {
                Some(head) => {
                    if let Some(token) = self.announce(head)? {
                        return Ok(Some(token));
                    }
                }
                None if self.rest.is_empty() => return Ok(None),
                None => {}
            }
        }
    }

    /// Consumes `n` bytes and gives them.
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(n).unwrap_or((self.rest, &[]));
        self.rest = rest;
        self.state.offset = self.state.offset.saturating_add(taken.len() as u64);
        taken
    }

    fn type_byte(&mut self) -> Result<Option<Head>, RespError> {
        let Some(&kind) = self.rest.first() else { return Ok(None) };
        self.state.start = self.state.offset;
        let first = Header::first(kind).map_err(|error| self.fail(error, self.state.offset))?;
        self.take(1);
        match first {
            First::Head(head) => Ok(Some(head)),
            First::More(header) => {
                self.state.stage = Stage::Header(header);
                Ok(None)
            }
        }
    }

    /// Takes bytes of the header that is being read; `Some` once it is complete.
    fn header_bytes(&mut self) -> Result<Option<Head>, RespError> {
        let header = match &mut self.state.stage {
            Stage::Header(header) => header,
            #[cfg(feature = "streamed")]
            Stage::PieceHeader(header, _) => header,
            _ => return Ok(None),
        };
        let mut rest = self.rest;
        let mut outcome = Ok(None);
        while let Some((&byte, after)) = rest.split_first() {
            outcome = header.push(byte);
            if outcome.is_err() {
                break;
            }
            rest = after;
            if !matches!(outcome, Ok(None)) {
                break;
            }
        }
        let taken = self.rest.len().wrapping_sub(rest.len());
        self.rest = rest;
        self.state.offset = self.state.offset.saturating_add(taken as u64);
        match outcome {
            Ok(None) => Ok(None),
            Ok(head) => {
                self.state.stage = Stage::Value;
                Ok(head)
            }
            Err(error) => Err(self.fail(error, self.state.offset)),
        }
    }

    /// Acts on a header whose last byte is consumed; `None` if the stage it leads to has to go on.
    fn announce(&mut self, head: Head) -> Result<Option<Token<'a>>, RespError> {
        let start = self.state.start;
        if let Head::Aggregate(_, count) = head
            && count > self.most_elements()
        {
            return Err(self.fail(Kind::TooManyElements, start));
        }
        let body = match head {
            Head::Line(_) => None,
            Head::String(kind, len) => Some(self.string_limits(kind, len)?),
            _ => Some(0),
        };
        if let Some(body) = body {
            self.frame_limit(body)?;
        }
        let token = match head {
            Head::Line(kind) => {
                let place = DoubleText::Start;
                self.state.stage = Stage::Line(Line { kind, place, begun: false, ended: false, taken: 0, looked: 0 });
                return Ok(None);
            }
            Head::String(kind, left) => {
                self.state.stage = Stage::Body(Body {
                    kind,
                    left,
                    begun: false,
                    ended: false,
                    #[cfg(feature = "streamed")]
                    streamed: None,
                });
                return Ok(None);
            }
            Head::Aggregate(kind, count) => {
                return match self.header(kind, count, self.state.offset) {
                    Ok(token) => Ok(Some(token)),
                    Err(error) => Err(self.fail(error, start)),
                };
            }
            Head::Integer(number) => Token::Integer(number),
            Head::Null(null) => Token::Null(null),
            Head::Boolean(value) => Token::Boolean(value),
            #[cfg(feature = "streamed")]
            Head::StreamedString => {
                self.begin();
                self.state.stage = Stage::Piece(0);
                return Ok(Some(Token::Begin { kind: Text::Bulk, len: None }));
            }
            #[cfg(feature = "streamed")]
            Head::StreamedAggregate(kind) => return self.open_streamed(kind).map(Some),
            #[cfg(feature = "streamed")]
            Head::Piece(_) => return Err(self.fail(Kind::BadStream, start)),
            #[cfg(feature = "streamed")]
            Head::End => return self.close_streamed().map(Some),
        };
        self.scalar();
        Ok(Some(token))
    }

    /// Checks a string's length, and gives how many bytes of the stream are still to come for it.
    fn string_limits(&mut self, kind: Text, len: u64) -> Result<u64, RespError> {
        if len > self.limits.bulk {
            return Err(self.fail(Kind::BulkTooLong, self.state.start));
        }
        if matches!(kind, Text::Verbatim(_)) && len < 4 {
            return Err(self.fail(Kind::BadVerbatim, self.state.start));
        }
        Ok(len.saturating_add(2))
    }

    /// Checks that `more` bytes may still come in this top-level value.
    fn frame_limit(&mut self, more: u64) -> Result<(), RespError> {
        let end = self.state.frame_end;
        if self.state.offset.saturating_add(more) > end {
            return Err(self.fail(Kind::FrameTooLong, end));
        }
        Ok(())
    }

    /// Whether a string of which `len` bytes are known should be waited for.
    fn waits(&self, len: u64) -> bool {
        !self.state.skipping && len <= self.state.whole as u64
    }

    fn line(&mut self, mut line: Line) -> Result<Option<Token<'a>>, RespError> {
        if line.ended {
            return self.line_feed(line);
        }
        let line_room = self.limits.line.saturating_sub(line.taken);
        let frame_room = self.state.frame_end.saturating_sub(self.state.offset);
        let room = usize::try_from(line_room.min(frame_room)).unwrap_or(usize::MAX);
        let window = self.rest.get(..room.saturating_add(1)).unwrap_or(self.rest);
        let new = window.get(line.looked..).unwrap_or_default();
        let found = line_end(new);
        let text = found.and_then(|at| new.get(..at)).unwrap_or(new);
        // The byte after the last one that may stand here is looked at as an end of line only.
        let over = found.is_none() && window.len() > room;
        let text = if over { text.split_last().map_or(text, |(_, text)| text) } else { text };
        if line.kind == Text::Double {
            line.place = self.double_bytes(line, text, found.is_some())?;
        }
        let len = line.looked.saturating_add(text.len());
        if over {
            let kind = if line_room <= frame_room { Kind::LineTooLong } else { Kind::FrameTooLong };
            return Err(self.fail(kind, self.state.offset.saturating_add(room as u64)));
        }
        let Some(end) = found.map(|_| self.rest.get(len..).unwrap_or_default()) else {
            line.looked = len;
            return Ok(self.line_piece(line, len));
        };
        match end {
            [b'\r', b'\n', ..] => self.line_whole(line, len).map(Some),
            [b'\r'] if !line.begun && self.waits(len as u64) => {
                line.looked = len;
                self.state.stage = Stage::Line(line);
                Ok(None)
            }
            [b'\r'] if !line.begun => {
                line.looked = len;
                Ok(Some(self.line_begin(line)))
            }
            [b'\r'] => {
                let bytes = self.take(len);
                self.take(1);
                line.ended = true;
                line.looked = 0;
                self.state.stage = Stage::Line(line);
                Ok(self.piece_token(bytes))
            }
            _ => {
                let lone = usize::from(end.first() == Some(&b'\r'));
                Err(self.fail(Kind::BadTerminator, self.offset_of(len.saturating_add(lone))))
            }
        }
    }

    /// The stream offset of the byte at `index` of what is not consumed.
    fn offset_of(&self, index: usize) -> u64 {
        self.state.offset.saturating_add(index as u64)
    }

    /// Checks `text`, the next bytes of a double, and that it may end behind them.
    fn double_bytes(&mut self, line: Line, text: &[u8], ends: bool) -> Result<DoubleText, RespError> {
        let mut place = line.place;
        for (index, &byte) in text.iter().enumerate() {
            match place.step(byte) {
                Some(next) => place = next,
                None => return Err(self.fail(Kind::BadDouble, self.offset_of(line.looked.saturating_add(index)))),
            }
        }
        if ends && !place.may_end() {
            let end = line.looked.saturating_add(text.len());
            return Err(self.fail(Kind::BadDouble, self.offset_of(end)));
        }
        Ok(place)
    }

    /// A line whose end is in the buffer, `len` bytes on.
    fn line_whole(&mut self, line: Line, len: usize) -> Result<Token<'a>, RespError> {
        self.frame_limit((len as u64).saturating_add(2))?;
        let bytes = self.take(len);
        self.take(2);
        self.state.stage = Stage::Value;
        if line.begun {
            self.last_piece();
            return Ok(Token::Chunk { bytes, last: true });
        }
        self.scalar();
        Ok(line.kind.token(bytes))
    }

    /// A line of which `len` bytes and no end are in the buffer.
    fn line_piece(&mut self, mut line: Line, len: usize) -> Option<Token<'a>> {
        if !line.begun {
            if self.waits(len as u64) || len == 0 {
                self.state.stage = Stage::Line(line);
                return None;
            }
            return Some(self.line_begin(line));
        }
        let bytes = self.take(len);
        line.taken = line.taken.saturating_add(bytes.len() as u64);
        line.looked = 0;
        self.state.stage = Stage::Line(line);
        self.piece_token(bytes)
    }

    fn line_begin(&mut self, mut line: Line) -> Token<'a> {
        self.begin();
        line.begun = true;
        self.state.stage = Stage::Line(line);
        Token::Begin { kind: line.kind, len: None }
    }

    /// The LF of a line whose CR is consumed.
    fn line_feed(&mut self, line: Line) -> Result<Option<Token<'a>>, RespError> {
        match self.rest.first() {
            None => return Ok(None),
            Some(b'\n') => {}
            Some(_) => return Err(self.fail(Kind::BadTerminator, self.state.offset)),
        }
        debug_assert!(line.begun, "only a line in pieces has its CR consumed");
        self.frame_limit(1)?;
        self.take(1);
        self.state.stage = Stage::Value;
        self.last_piece();
        Ok(Some(Token::Chunk { bytes: &[], last: true }))
    }

    /// A piece that is not the last one; nothing if it is empty.
    fn piece_token(&mut self, bytes: &'a [u8]) -> Option<Token<'a>> {
        self.last = self.state.top.flags & Level::INHERITED;
        (!bytes.is_empty()).then_some(Token::Chunk { bytes, last: false })
    }

    /// Accounts for the end of a string that came in pieces.
    fn last_piece(&mut self) {
        self.last = self.state.top.flags & Level::INHERITED;
        if self.state.top.remaining == 0 {
            self.close();
        }
    }

    fn body(&mut self, mut body: Body) -> Result<Option<Token<'a>>, RespError> {
        if !body.begun && self.rest.len() >= 4 {
            // In front of the terminator, so in front of its errors.
            self.verbatim_prefix(body.kind, self.rest)?;
        }
        let len = usize::try_from(body.left).unwrap_or(usize::MAX);
        let Some((_, after)) = self.rest.split_at_checked(len) else {
            return if body.begun { Ok(self.body_piece(body)) } else { self.body_begin(body) };
        };
        match self.body_end(body, after, len)? {
            End::Whole if body.begun => {
                let bytes = self.take(len);
                self.take(if body.ended { 1 } else { 2 });
                Ok(Some(self.body_last(body, bytes)))
            }
            End::Whole => {
                let (kind, prefix) = self.verbatim_prefix(body.kind, self.rest)?;
                self.take(prefix);
                let bytes = self.take(len.saturating_sub(prefix));
                self.take(2);
                self.state.stage = Stage::Value;
                self.scalar();
                Ok(Some(kind.token(bytes)))
            }
            _ if !body.begun => self.body_begin(body),
            end => {
                let bytes = self.take(len);
                if matches!(end, End::Half) {
                    self.take(1);
                    body.ended = true;
                }
                body.left = 0;
                self.state.stage = Stage::Body(body);
                Ok(self.piece_token(bytes))
            }
        }
    }

    /// What `after` a string's `len` bytes stands where its CR LF has to.
    fn body_end(&mut self, body: Body, after: &[u8], len: usize) -> Result<End, RespError> {
        let (rest, at) = match after.split_first() {
            _ if body.ended => (after, len),
            Some((b'\r', rest)) => (rest, len.saturating_add(1)),
            Some(_) => return Err(self.fail(Kind::BadTerminator, self.offset_of(len))),
            None => return Ok(End::Missing),
        };
        match rest.first() {
            Some(b'\n') => Ok(End::Whole),
            Some(_) => Err(self.fail(Kind::BadTerminator, self.offset_of(at))),
            None if body.ended => Ok(End::Missing),
            None => Ok(End::Half),
        }
    }

    /// The first token of a string that is not whole in the buffer.
    fn body_begin(&mut self, mut body: Body) -> Result<Option<Token<'a>>, RespError> {
        if self.waits(body.left) {
            self.state.stage = Stage::Body(body);
            return Ok(None);
        }
        let mut len = body.left;
        if matches!(body.kind, Text::Verbatim(_)) {
            if self.rest.len() < 4 {
                self.state.stage = Stage::Body(body);
                return Ok(None);
            }
            let (kind, prefix) = self.verbatim_prefix(body.kind, self.rest)?;
            self.take(prefix);
            len = len.saturating_sub(prefix as u64);
            body.kind = kind;
        }
        body.left = len;
        body.begun = true;
        self.begin();
        self.state.stage = Stage::Body(body);
        Ok(Some(Token::Begin { kind: body.kind, len: Some(len) }))
    }

    /// Reads the format of a verbatim string; other strings have no prefix.
    fn verbatim_prefix(&mut self, kind: Text, bytes: &[u8]) -> Result<(Text, usize), RespError> {
        match (kind, bytes) {
            (Text::Verbatim(_), &[a, b, c, b':', ..]) => Ok((Text::Verbatim([a, b, c]), 4)),
            (Text::Verbatim(_), _) => Err(self.fail(Kind::BadVerbatim, self.offset_of(3))),
            _ => Ok((kind, 0)),
        }
    }

    /// All there is of a string whose end is not in the buffer.
    fn body_piece(&mut self, mut body: Body) -> Option<Token<'a>> {
        let bytes = self.take(self.rest.len());
        body.left = body.left.saturating_sub(bytes.len() as u64);
        self.state.stage = Stage::Body(body);
        self.piece_token(bytes)
    }

    fn body_last(&mut self, body: Body, bytes: &'a [u8]) -> Token<'a> {
        #[cfg(feature = "streamed")]
        if let Some(total) = body.streamed {
            self.state.stage = Stage::Piece(total);
            self.last = self.state.top.flags & Level::INHERITED;
            return Token::Chunk { bytes, last: false };
        }
        let _ = body;
        self.state.stage = Stage::Value;
        self.last_piece();
        Token::Chunk { bytes, last: true }
    }
}

#[cfg(feature = "streamed")]
impl<'a> TokenReader<'_, 'a> {
    /// Acts on the header of a piece of a streamed string of which `total` bytes went before.
    fn piece(&mut self, head: Head, total: u64) -> Result<Option<Token<'a>>, RespError> {
        let Head::Piece(len) = head else { return Err(self.fail(Kind::BadStream, self.state.start)) };
        let total = total.saturating_add(len);
        if total > self.limits.bulk {
            return Err(self.fail(Kind::BulkTooLong, self.state.start));
        }
        if len == 0 {
            self.frame_limit(0)?;
            self.state.stage = Stage::Value;
            self.last_piece();
            return Ok(Some(Token::Chunk { bytes: &[], last: true }));
        }
        self.frame_limit(len.saturating_add(2))?;
        self.state.stage =
            Stage::Body(Body { kind: Text::Bulk, left: len, begun: true, ended: false, streamed: Some(total) });
        Ok(None)
    }

    fn open_streamed(&mut self, kind: Aggregate) -> Result<Token<'a>, RespError> {
        match self.state.open(self.levels, self.limits, kind, None) {
            Ok(flags) => self.last = flags,
            Err(error) => return Err(self.fail(error, self.state.start)),
        }
        Ok(Token::Open(kind))
    }

    fn close_streamed(&mut self) -> Result<Token<'a>, RespError> {
        let top = self.state.top;
        let half = top.flags & Level::STREAMED_MAP != 0 && top.remaining & 1 != 0;
        // An attribute has to have its value, also at the end.
        if top.flags & Level::STREAMED == 0 || half || top.attributes != 0 {
            return Err(self.fail(Kind::BadStream, self.state.start));
        }
        self.last = top.flags & Level::INHERITED;
        self.state.leave(self.levels);
        if self.state.top.remaining == 0 {
            self.close();
        }
        Ok(Token::Close)
    }
}
