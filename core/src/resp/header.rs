//! A header read one byte at a time: for headers that the end of a buffer cuts, and for finding the exact byte
//! at which a malformed one goes wrong.
//!
//! The grammar in [`grammar`](super::grammar) reads whole values fast and gives up on anything unusual; what it
//! gives up on comes here. All errors of headers are made here, from one byte after the other, so they cannot
//! depend on how the bytes were cut.

use super::RespErrorKind as Kind;
use super::number::{digit, signed};
use super::token::{Aggregate, Null, Text};

/// What a header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Text up to CR LF follows (the header is the type byte alone).
    Line(Text),
    /// So many bytes and CR LF follow. For verbatim strings the format is not known yet.
    String(Text, u64),
    Integer(i64),
    Null(Null),
    Boolean(bool),
    Aggregate(Aggregate, u64),
    #[cfg(feature = "streamed")]
    StreamedString,
    #[cfg(feature = "streamed")]
    StreamedAggregate(Aggregate),
    /// A piece of a streamed string; 0 ends it.
    #[cfg(feature = "streamed")]
    Piece(u64),
    /// The end of a streamed aggregate.
    #[cfg(feature = "streamed")]
    End,
}

/// A header whose CR LF has not been seen yet.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Header {
    /// The type byte.
    kind: u8,
    /// Digits (or the `t`, `f`, `?` in their place) so far, at most 20.
    digits: u8,
    negative: bool,
    streamed: bool,
    /// A number that may have more digits: no `#`, not negative unless an integer, CR not seen.
    plain: bool,
    /// The CR has been seen.
    ended: bool,
    value: u64,
}

/// What the type byte alone tells.
pub(super) enum First {
    Head(Head),
    More(Header),
}

impl Header {
    /// Starts with the type byte of a value.
    pub(super) fn first(kind: u8) -> Result<First, Kind> {
        let text = match kind {
            b'+' => Text::Simple,
            b'-' => Text::Error,
            b',' => Text::Double,
            b'(' => Text::BigNumber,
            b':' | b'$' | b'*' | b'_' | b'#' | b'!' | b'=' | b'%' | b'~' | b'>' | b'|' => {
                return Ok(First::More(Self::new(kind)));
            }
            #[cfg(feature = "streamed")]
            b'.' => return Ok(First::More(Self::new(kind))),
            #[cfg(feature = "streamed")]
            b';' => return Err(Kind::BadStream),
            #[cfg(not(feature = "streamed"))]
            b'.' | b';' => return Err(Kind::Streamed),
            _ => return Err(Kind::UnknownType),
        };
        Ok(First::Head(Head::Line(text)))
    }

    /// Starts with the type byte where only a piece of a streamed string may stand.
    #[cfg(feature = "streamed")]
    pub(super) fn piece(kind: u8) -> Result<Self, Kind> {
        if kind == b';' { Ok(Self::new(kind)) } else { Err(Kind::BadStream) }
    }

    const fn new(kind: u8) -> Self {
        let plain = !matches!(kind, b'#' | b'_' | b'.');
        Self { kind, digits: 0, negative: false, streamed: false, plain, ended: false, value: 0 }
    }

    /// Takes the next byte if it is a digit that is neither the first nor so far back that the number might not
    /// fit: nothing can be wrong with it, except behind a leading zero, a `-1`, a letter or the end.
    #[inline(always)]
    pub(super) fn push_digit(&mut self, byte: u8) -> bool {
        let digit = byte.wrapping_sub(b'0');
        let plain = digit <= 9 && self.digits < 18 && self.plain && self.value != 0;
        if plain {
            self.value = self.value.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.digits = self.digits.wrapping_add(1);
        }
        plain
    }

    /// Takes the next byte if it neither ends the header nor is wrong.
    #[inline(never)]
    pub(super) fn push_quiet(&mut self, byte: u8) -> bool {
        !self.ended && matches!(self.push(byte), Ok(None))
    }

    /// Takes the next byte; `Some` if the header ends with it. After an error the header is as it was.
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<Head>, Kind> {
        if self.ended {
            return if byte == b'\n' { self.head().map(Some) } else { Err(Kind::BadTerminator) };
        }
        match byte {
            b'\r' => {
                if self.digits == 0 && !matches!(self.kind, b'_' | b'.') {
                    return Err(self.malformed());
                }
                self.ended = true;
                self.plain = false;
                return Ok(None);
            }
            b'\n' => return Err(Kind::BadTerminator),
            _ => {}
        }
        match self.kind {
            b'_' | b'.' => return Err(Kind::BadTerminator),
            b'#' => self.boolean(byte)?,
            _ => self.number(byte)?,
        }
        Ok(None)
    }

    fn boolean(&mut self, byte: u8) -> Result<(), Kind> {
        if self.digits != 0 {
            return Err(Kind::BadTerminator);
        }
        self.value = match byte {
            b't' => 1,
            b'f' => 0,
            _ => return Err(Kind::BadBoolean),
        };
        self.digits = 1;
        Ok(())
    }

    fn number(&mut self, byte: u8) -> Result<(), Kind> {
        let first = self.digits == 0 && !self.negative;
        if let Some(digit) = digit(byte) {
            return self.digit(digit);
        }
        match (byte, self.kind) {
            (b'-', b':' | b'$' | b'*') if first => {
                self.negative = true;
                self.plain = self.kind == b':';
            }
            (b'-', b'>') if first => return Err(Kind::NullPush),
            (b'?', b'$' | b'*' | b'%' | b'~') if first => {
                if !cfg!(feature = "streamed") {
                    return Err(Kind::Streamed);
                }
                self.streamed = true;
                self.digits = 1;
            }
            _ => return Err(self.malformed()),
        }
        Ok(())
    }

    fn digit(&mut self, digit: u8) -> Result<(), Kind> {
        let leading_zero = self.digits != 0 && self.value == 0;
        let negative_zero = self.negative && self.digits == 0 && digit == 0;
        if self.streamed || leading_zero || negative_zero {
            return Err(self.malformed());
        }
        let value = self.value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit)));
        let Some(value) = value.filter(|&value| signed(value, self.negative).is_some()) else {
            return Err(self.malformed());
        };
        // The only negative length is the -1 of a RESP2 null.
        if self.negative && self.kind != b':' && value != 1 {
            return Err(self.malformed());
        }
        self.value = value;
        self.digits = self.digits.saturating_add(1);
        Ok(())
    }

    const fn malformed(&self) -> Kind {
        match self.kind {
            b':' => Kind::BadInteger,
            b'#' => Kind::BadBoolean,
            _ => Kind::BadLength,
        }
    }

    fn head(&self) -> Result<Head, Kind> {
        let aggregate = match self.kind {
            b':' => return signed(self.value, self.negative).map(Head::Integer).ok_or(Kind::BadInteger),
            b'_' => return Ok(Head::Null(Null::Resp3)),
            b'#' => return Ok(Head::Boolean(self.value != 0)),
            b'$' if self.negative => return Ok(Head::Null(Null::Bulk)),
            b'*' if self.negative => return Ok(Head::Null(Null::Array)),
            #[cfg(feature = "streamed")]
            b'$' if self.streamed => return Ok(Head::StreamedString),
            #[cfg(feature = "streamed")]
            b';' => return Ok(Head::Piece(self.value)),
            #[cfg(feature = "streamed")]
            b'.' => return Ok(Head::End),
            b'$' => return Ok(Head::String(Text::Bulk, self.value)),
            b'!' => return Ok(Head::String(Text::BlobError, self.value)),
            b'=' => return Ok(Head::String(Text::Verbatim([0; 3]), self.value)),
            b'*' => Aggregate::Array,
            b'%' => Aggregate::Map,
            b'~' => Aggregate::Set,
            b'>' => Aggregate::Push,
            b'|' => Aggregate::Attribute,
            _ => return Err(Kind::UnknownType),
        };
        #[cfg(feature = "streamed")]
        if self.streamed {
            return Ok(Head::StreamedAggregate(aggregate));
        }
        Ok(Head::Aggregate(aggregate, self.value))
    }
}
