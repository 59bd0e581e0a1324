//! Which element of an array reply a token belongs to.

use crate::resp::Token;

/// Where a token stands in the reply that [`Elements`] follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Element {
    /// The reply is an array (or a set) of so many elements.
    Header(u32),
    /// The token belongs to element `nth`, counted from 0.
    Inside {
        /// Which element.
        nth: u32,
        /// Whether the element begins here.
        first: bool,
        /// Whether it ends here.
        last: bool,
    },
    /// The reply is not an array, or the token only closes it.
    Outside,
}

/// Follows one array reply token by token, so that the elements of an MGET or KEYS reply larger than any buffer can
/// be handed on one by one. With [`Split::position`](super::Split::position) an element's place in the whole command
/// is known before its first byte is looked at.
///
/// Tokens of attributes and of pushes found inside the reply are not to be passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Elements {
    /// Open aggregates after the last token.
    depth: usize,
    /// Elements begun.
    begun: u32,
    started: bool,
    /// The reply is no array.
    outside: bool,
    /// A string in pieces has not ended.
    in_text: bool,
}

impl Elements {
    /// At the start of a reply.
    #[must_use]
    pub const fn new() -> Self {
        Self { depth: 0, begun: 0, started: false, outside: false, in_text: false }
    }

    /// Places the next token. `depth` is the number of aggregates open after it
    /// ([`TokenReader::depth`](crate::resp::TokenReader::depth)), 0 when it ends the reply.
    pub fn place(&mut self, token: &Token<'_>, depth: usize) -> Element {
        let before = core::mem::replace(&mut self.depth, depth);
        if !self.started {
            self.started = true;
            if let Token::Array(n) | Token::Set(n) = token {
                return Element::Header(*n);
            }
            self.outside = !matches!(token, Token::Open(_));
            return Element::Outside;
        }
        if self.outside || matches!((token, depth), (Token::Close, 0) | (Token::TooDeep, _)) {
            return Element::Outside;
        }
        let first = before == 1 && !self.in_text;
        self.in_text = matches!(token, Token::Begin { .. } | Token::Chunk { last: false, .. });
        if first {
            self.begun = self.begun.saturating_add(1);
        }
        Element::Inside { nth: self.begun.saturating_sub(1), first, last: depth <= 1 && !self.in_text }
    }

    /// How many elements have begun.
    #[must_use]
    pub const fn begun(&self) -> u32 {
        self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::resp::{Text, Tokens};
    use std::vec;
    use std::vec::Vec;

    fn inside(nth: u32, first: bool, last: bool) -> Element {
        Element::Inside { nth, first, last }
    }

    #[test]
    fn counts_elements_not_tokens() {
        let mut e = Elements::new();
        let steps = [
            (Token::Array(5), 1, Element::Header(5)),
            (Token::Bulk(b"a"), 1, inside(0, true, true)),
            (Token::Begin { kind: Text::Bulk, len: Some(4) }, 1, inside(1, true, false)),
            (Token::Chunk { bytes: b"xx", last: false }, 1, inside(1, false, false)),
            (Token::Chunk { bytes: b"yy", last: true }, 1, inside(1, false, true)),
            (Token::Array(0), 1, inside(2, true, true)),
            (Token::Map(1), 2, inside(3, true, false)),
            (Token::Array(1), 3, inside(3, false, false)),
            (Token::Integer(1), 2, inside(3, false, false)),
            (Token::Integer(2), 1, inside(3, false, true)),
            (Token::Array(1), 2, inside(4, true, false)),
            (Token::Begin { kind: Text::Bulk, len: Some(1) }, 2, inside(4, false, false)),
            (Token::Chunk { bytes: b"z", last: true }, 0, inside(4, false, true)),
        ];
        for (token, depth, expected) in steps {
            assert_eq!(e.place(&token, depth), expected, "{token:?}");
        }
        assert_eq!(e.begun(), 5);
    }

    #[test]
    fn replies_that_are_no_arrays() {
        for token in [Token::Error(b"ERR"), Token::Integer(1), Token::Null(crate::resp::Null::Array)] {
            let mut e = Elements::new();
            assert_eq!(e.place(&token, 0), Element::Outside);
            assert_eq!(e.begun(), 0);
        }
        let mut e = Elements::new();
        assert_eq!(e.place(&Token::Map(1), 1), Element::Outside);
        assert_eq!(e.place(&Token::Integer(1), 1), Element::Outside);
    }

    #[test]
    fn follows_the_token_reader() {
        let reply = b"*5\r\n$1\r\na\r\n*2\r\n:1\r\n%1\r\n+k\r\n+v\r\n$-1\r\n$10\r\n0123456789\r\n*0\r\n+OK\r\n";
        let mut tokens = Tokens::<8>::new(Limits::DEFAULT);
        let (mut buffer, mut elements) = (Vec::new(), Elements::new());
        let (mut begins, mut ends, mut header) = (Vec::new(), Vec::new(), 0);
        'reply: for byte in reply {
            buffer.push(*byte);
            let mut reader = tokens.reader(&buffer);
            while let Some(token) = reader.next().unwrap() {
                match elements.place(&token, reader.depth()) {
                    Element::Header(n) => header = n,
                    Element::Inside { nth, first, last } => {
                        begins.extend(first.then_some(nth));
                        ends.extend(last.then_some(nth));
                    }
                    Element::Outside => panic!("{token:?}"),
                }
                if reader.at_boundary() {
                    break 'reply;
                }
            }
            let consumed = reader.consumed();
            buffer.drain(..consumed);
        }
        assert_eq!((header, elements.begun()), (5, 5));
        assert_eq!((begins, ends), (vec![0, 1, 2, 3, 4], vec![0, 1, 2, 3, 4]));
    }
}
