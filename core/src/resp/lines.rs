//! Lines that the end of a buffer cuts: searched once, handed out whole or in pieces.

use super::RespErrorKind as Kind;
use super::double::DoubleText;
use super::error::RespError;
use super::grammar::line_end;
use super::reader::TokenReader;
use super::resume::Stage;
use super::token::{Text, Token};

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

impl Line {
    /// At the beginning of the text.
    pub(super) const fn new(kind: Text) -> Self {
        Self { kind, place: DoubleText::Start, begun: false, ended: false, taken: 0, looked: 0 }
    }
}

impl<'a> TokenReader<'_, 'a> {
    pub(super) fn line(&mut self, mut line: Line) -> Result<Option<Token<'a>>, RespError> {
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
}
