//! Strings with a length that the end of a buffer cuts, and streamed ones.

use super::RespErrorKind as Kind;
use super::error::RespError;
#[cfg(feature = "streamed")]
use super::header::Head;
#[cfg(feature = "streamed")]
use super::level::Level;
use super::reader::TokenReader;
use super::resume::Stage;
#[cfg(feature = "streamed")]
use super::token::Aggregate;
use super::token::{Text, Token};

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

impl Body {
    /// At the beginning of a string of `left` bytes.
    pub(super) const fn new(kind: Text, left: u64) -> Self {
        Self {
            kind,
            left,
            begun: false,
            ended: false,
            #[cfg(feature = "streamed")]
            streamed: None,
        }
    }
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
    pub(super) fn body(&mut self, mut body: Body) -> Result<Option<Token<'a>>, RespError> {
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
    pub(super) fn piece(&mut self, head: Head, total: u64) -> Result<Option<Token<'a>>, RespError> {
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

    pub(super) fn open_streamed(&mut self, kind: Aggregate) -> Result<Token<'a>, RespError> {
        match self.state.open(self.levels, self.limits, kind, None) {
            Ok(flags) => self.last = flags,
            Err(error) => return Err(self.fail(error, self.state.start)),
        }
        Ok(Token::Open(kind))
    }

    pub(super) fn close_streamed(&mut self) -> Result<Token<'a>, RespError> {
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
