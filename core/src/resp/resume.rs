//! The reader's byte-wise half: values that the end of a buffer cuts, and malformed ones.
//!
//! Every byte is looked at once: a header is taken byte by byte into [`Header`], a line remembers how far it was
//! searched, a bulk how much is left.

use super::RespErrorKind as Kind;
use super::bodies::Body;
use super::error::RespError;
use super::header::{First, Head, Header};
use super::level::Level;
use super::lines::Line;
use super::reader::TokenReader;
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

impl<'a> TokenReader<'_, 'a> {
    /// Takes bytes of a cut header as long as nothing comes of it; true if there are no bytes left. Most calls on
    /// a stream that comes byte by byte end here.
    #[inline(never)]
    pub(super) fn quiet(&mut self) -> bool {
        if let (Stage::Header(header), &[byte]) = (&mut self.state.stage, self.rest)
            && header.push_digit(byte)
        {
            self.state.offset = self.state.offset.wrapping_add(1);
            self.rest = &[];
            return true;
        }
        self.quiet_bytes()
    }

    /// [`TokenReader::quiet`] for anything but one digit.
    #[inline(never)]
    fn quiet_bytes(&mut self) -> bool {
        match (&mut self.state.stage, self.rest) {
            (Stage::Failed(_), _) => return false,
            (stage @ Stage::Value, &[kind]) => {
                let Ok(First::More(header)) = Header::first(kind) else { return false };
                *stage = Stage::Header(header);
                self.state.start = self.state.offset;
                self.state.offset = self.state.offset.saturating_add(1);
                self.rest = &[];
            }
            (Stage::Header(header), mut rest) => {
                while let Some((&byte, after)) = rest.split_first()
                    && (header.push_digit(byte) || header.push_quiet(byte))
                {
                    rest = after;
                }
                let taken = self.rest.len().wrapping_sub(rest.len());
                self.state.offset = self.state.offset.wrapping_add(taken as u64);
                self.rest = rest;
            }
            _ => {}
        }
        self.rest.is_empty()
    }

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
    pub(super) fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(n).unwrap_or((self.rest, &[]));
        self.rest = rest;
        self.state.offset = self.state.offset.saturating_add(taken.len() as u64);
        taken
    }

    pub(super) fn type_byte(&mut self) -> Result<Option<Head>, RespError> {
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
    pub(super) fn header_bytes(&mut self) -> Result<Option<Head>, RespError> {
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
    pub(super) fn announce(&mut self, head: Head) -> Result<Option<Token<'a>>, RespError> {
        let start = self.state.start;
        if let Head::Aggregate(_, count) = head
            && count > self.most_elements()
        {
            return Err(self.fail(Kind::TooManyElements, start));
        }
        let body = match head {
            Head::String(kind, len) => self.string_limits(kind, len)?,
            _ => 0,
        };
        self.frame_limit(body)?;
        let token = match head {
            Head::Line(kind) => {
                self.state.stage = Stage::Line(Line::new(kind));
                return Ok(None);
            }
            Head::String(kind, left) => {
                self.state.stage = Stage::Body(Body::new(kind, left));
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
    pub(super) fn string_limits(&mut self, kind: Text, len: u64) -> Result<u64, RespError> {
        if len > self.limits.bulk {
            return Err(self.fail(Kind::BulkTooLong, self.state.start));
        }
        if matches!(kind, Text::Verbatim(_)) && len < 4 {
            return Err(self.fail(Kind::BadVerbatim, self.state.start));
        }
        Ok(len.saturating_add(2))
    }

    /// Checks that `more` bytes may still come in this top-level value.
    pub(super) fn frame_limit(&mut self, more: u64) -> Result<(), RespError> {
        let end = self.state.frame_end;
        if self.state.offset.saturating_add(more) > end {
            return Err(self.fail(Kind::FrameTooLong, end));
        }
        Ok(())
    }

    /// Whether a string of which `len` bytes are known should be waited for.
    pub(super) fn waits(&self, len: u64) -> bool {
        !self.state.skipping && len <= self.state.whole as u64
    }

    /// The stream offset of the byte at `index` of what is not consumed.
    pub(super) fn offset_of(&self, index: usize) -> u64 {
        self.state.offset.saturating_add(index as u64)
    }

    /// A piece that is not the last one; nothing if it is empty.
    pub(super) fn piece_token(&mut self, bytes: &'a [u8]) -> Option<Token<'a>> {
        self.last = self.state.top.flags & Level::INHERITED;
        (!bytes.is_empty()).then_some(Token::Chunk { bytes, last: false })
    }

    /// Accounts for the end of a string that came in pieces.
    pub(super) fn last_piece(&mut self) {
        self.last = self.state.top.flags & Level::INHERITED;
        if self.state.top.remaining == 0 {
            self.close();
        }
    }
}
