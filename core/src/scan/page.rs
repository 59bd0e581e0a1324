//! The reader of SCAN replies: `[cursor, [key, ...]]`, over tokens.

use super::cursor::{Cursor, Digits};
use crate::resp::Token;

/// What a token of a page meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageItem<'a> {
    /// Nothing yet.
    Nothing,
    /// The cursor, which comes before all keys.
    Cursor(Cursor),
    /// One key.
    Key(&'a [u8]),
    /// A key that fits neither the receive buffer nor the key buffer.
    LongKey,
    /// The server's error instead of a page: the beginning of its text.
    Error(&'a [u8]),
}

/// The reply is not a SCAN page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Page,
    Cursor,
    CursorText,
    List,
    Keys,
    KeyText,
    LongKey,
    ErrorText,
    Done,
}

/// One SCAN reply being read; 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageReader {
    stage: Stage,
    digits: Digits,
    left: u32,   // keys to come, the one being read included
    filled: u32, // bytes of a key in the key buffer
}

impl PageReader {
    pub(crate) const fn new() -> Self {
        Self { stage: Stage::Page, digits: Digits::new(), left: 0, filled: 0 }
    }

    /// Whether the reply is over.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether nothing of the reply was read.
    pub(crate) fn is_fresh(&self) -> bool {
        self.stage == Stage::Page
    }

    /// Takes the next token. `keys` holds a key that comes in chunks; the same buffer until the reply is over.
    pub(crate) fn token<'a>(&mut self, token: &Token<'a>, keys: &'a mut [u8]) -> Result<PageItem<'a>, Malformed> {
        match (self.stage, *token) {
            (Stage::Page, Token::Array(2)) => self.go(Stage::Cursor),
            (Stage::Page, Token::Error(text) | Token::BlobError(text)) => {
                self.stage = Stage::Done;
                Ok(PageItem::Error(text))
            }
            (Stage::Page, Token::Begin { .. }) => self.go(Stage::ErrorText),
            (Stage::ErrorText, Token::Chunk { bytes, last }) => self.error_chunk(bytes, last),
            (Stage::Cursor, Token::Bulk(text) | Token::Simple(text)) => {
                self.digits.push(text).map_err(|_| Malformed)?;
                self.cursor()
            }
            (Stage::Cursor, Token::Begin { .. }) => self.go(Stage::CursorText),
            (Stage::CursorText, Token::Chunk { bytes, last }) => {
                self.digits.push(bytes).map_err(|_| Malformed)?;
                if last { self.cursor() } else { Ok(PageItem::Nothing) }
            }
            (Stage::List, Token::Array(count) | Token::Set(count)) => {
                self.left = count;
                self.go(if count == 0 { Stage::Done } else { Stage::Keys })
            }
            (Stage::Keys, Token::Bulk(key) | Token::Simple(key)) => {
                self.end_key();
                Ok(PageItem::Key(key))
            }
            (Stage::Keys, Token::Begin { .. }) => {
                self.filled = 0;
                self.go(Stage::KeyText)
            }
            (Stage::KeyText, Token::Chunk { bytes, last }) => self.key_chunk(bytes, last, keys),
            (Stage::LongKey, Token::Chunk { last, .. }) => {
                if !last {
                    return Ok(PageItem::Nothing);
                }
                self.end_key();
                Ok(PageItem::LongKey)
            }
            _ => Err(Malformed),
        }
    }

    fn go<'a>(&mut self, stage: Stage) -> Result<PageItem<'a>, Malformed> {
        self.stage = stage;
        Ok(PageItem::Nothing)
    }

    fn cursor<'a>(&mut self) -> Result<PageItem<'a>, Malformed> {
        self.stage = Stage::List;
        self.digits.finish().map(PageItem::Cursor).map_err(|_| Malformed)
    }

    fn end_key(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.stage = if self.left == 0 { Stage::Done } else { Stage::Keys };
    }

    /// The code stands in the first bytes, so the first chunk with bytes is taken for the text.
    fn error_chunk<'a>(&mut self, bytes: &'a [u8], last: bool) -> Result<PageItem<'a>, Malformed> {
        if last {
            self.stage = Stage::Done;
        }
        if self.filled > 0 || (bytes.is_empty() && !last) {
            return Ok(PageItem::Nothing);
        }
        self.filled = 1;
        Ok(PageItem::Error(bytes))
    }

    fn key_chunk<'a>(&mut self, bytes: &[u8], last: bool, keys: &'a mut [u8]) -> Result<PageItem<'a>, Malformed> {
        let start = self.filled as usize;
        let Some(room) = keys.get_mut(start..).and_then(|room| room.get_mut(..bytes.len())) else {
            self.stage = Stage::LongKey;
            return self.token(&Token::Chunk { bytes: &[], last }, &mut []);
        };
        room.copy_from_slice(bytes);
        let end = start.saturating_add(bytes.len());
        self.filled = u32::try_from(end).map_err(|_| Malformed)?;
        if !last {
            return Ok(PageItem::Nothing);
        }
        self.end_key();
        keys.get(..end).map(PageItem::Key).ok_or(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Text;
    use std::vec::Vec;

    fn chunk(bytes: &[u8], last: bool) -> Token<'_> {
        Token::Chunk { bytes, last }
    }

    const BEGIN: Token<'static> = Token::Begin { kind: Text::Bulk, len: Some(9) };

    #[test]
    fn a_page_whole_and_in_chunks() {
        let whole = [Token::Array(2), Token::Bulk(b"42"), Token::Array(2), Token::Bulk(b"one"), Token::Bulk(b"")];
        let pieces = [
            Token::Array(2),
            BEGIN,
            chunk(b"4", false),
            chunk(b"2", true),
            Token::Array(2),
            BEGIN,
            chunk(b"o", false),
            chunk(b"", false),
            chunk(b"ne", true),
            BEGIN,
            chunk(b"", true),
        ];
        for tokens in [&whole[..], &pieces] {
            let mut reader = PageReader::new();
            let mut buffer = [0; 3];
            let mut keys = Vec::new();
            let mut cursor = None;
            for token in tokens {
                assert!(!reader.is_done());
                match reader.token(token, &mut buffer).unwrap() {
                    PageItem::Cursor(found) => cursor = Some(found),
                    PageItem::Key(key) => keys.push(key.to_vec()),
                    PageItem::Nothing => {}
                    other => panic!("{other:?}"),
                }
            }
            assert!(reader.is_done());
            assert_eq!(cursor, Some(Cursor::new(42)));
            assert_eq!(keys, [&b"one"[..], b""]);
        }
    }

    #[test]
    fn a_long_key_is_told_once_and_the_page_goes_on() {
        let mut reader = PageReader::new();
        let mut buffer = [0; 4];
        let tokens = [
            Token::Array(2),
            Token::Bulk(b"0"),
            Token::Array(3),
            BEGIN,
            chunk(b"abc", false),
            chunk(b"de", false),
            chunk(b"f", true),
            BEGIN,
            chunk(b"fghij", true),
            Token::Bulk(b"z"),
        ];
        let items: Vec<_> = tokens
            .iter()
            .filter_map(|token| match reader.token(token, &mut buffer).unwrap() {
                PageItem::LongKey => Some(Vec::new()),
                PageItem::Key(key) => Some(key.to_vec()),
                _ => None,
            })
            .collect();
        assert_eq!(items, [&b""[..], b"", b"z"]);
        assert!(reader.is_done());
    }

    #[test]
    fn empty_pages_and_errors() {
        let mut reader = PageReader::new();
        for token in [Token::Array(2), Token::Bulk(b"7"), Token::Array(0)] {
            assert!(!reader.is_done());
            reader.token(&token, &mut []).unwrap();
        }
        assert!(reader.is_done());

        let mut reader = PageReader::new();
        let error = Token::Error(b"LOADING x");
        assert_eq!(reader.token(&error, &mut []), Ok(PageItem::Error(b"LOADING x")));
        assert!(reader.is_done());

        let mut reader = PageReader::new();
        assert_eq!(reader.token(&BEGIN, &mut []), Ok(PageItem::Nothing));
        assert_eq!(reader.token(&chunk(b"", false), &mut []), Ok(PageItem::Nothing));
        assert_eq!(reader.token(&chunk(b"NOPERM", false), &mut []), Ok(PageItem::Error(b"NOPERM")));
        assert_eq!(reader.token(&chunk(b"rest", true), &mut []), Ok(PageItem::Nothing));
        assert!(reader.is_done());
    }

    #[test]
    fn anything_else_is_malformed() {
        let bad: [&[Token<'_>]; 6] = [
            &[Token::Array(3)],
            &[Token::Bulk(b"0")],
            &[Token::Array(2), Token::Bulk(b"-1")],
            &[Token::Array(2), Token::Integer(0)],
            &[Token::Array(2), Token::Bulk(b"0"), Token::Bulk(b"x")],
            &[Token::Array(2), Token::Bulk(b"0"), Token::Array(1), Token::Integer(5)],
        ];
        for tokens in bad {
            let mut reader = PageReader::new();
            assert!(tokens.iter().any(|token| reader.token(token, &mut []).is_err()), "{tokens:?}");
        }
    }
}
