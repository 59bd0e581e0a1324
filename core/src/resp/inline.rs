//! Splitting a line into words, with the quoting of `redis-cli` and of inline commands.

use core::fmt;
use core::iter::FusedIterator;

/// Splits a line into words.
///
/// Words are separated by blanks. Inside double quotes, `\n`, `\r`, `\t`, `\b`, `\a` and `\xHH` stand for bytes, and
/// a backslash in front of any other byte for that byte; inside single quotes only `\'` does. Quotes may begin
/// inside a word, but a blank or the end of the line must follow the closing one. A zero byte ends the line.
/// This is what Redis and Valkey servers do with inline commands, and `redis-cli` with its input.
///
/// ```
/// use slotwise::resp::request::split_inline;
/// let words: Result<Vec<Vec<u8>>, _> =
///     split_inline(br#"set  key "a \x41\n" 'it\'s'"#).map(|word| word.map(|word| word.bytes().collect())).collect();
/// assert_eq!(words?, [&b"set"[..], b"key", b"a A\n", b"it's"]);
/// # Ok::<(), slotwise::resp::request::UnbalancedQuotes>(())
/// ```
#[must_use]
pub fn split_inline(line: &[u8]) -> Words<'_> {
    Words { rest: line.split(|&byte| byte == 0).next().unwrap_or_default() }
}

/// A quote is not closed, or something other than a blank follows a closing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnbalancedQuotes;

impl fmt::Display for UnbalancedQuotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unbalanced quotes")
    }
}

impl core::error::Error for UnbalancedQuotes {}

/// The words of a line. After an error there are no more.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    rest: &'a [u8],
}

impl Words<'_> {
    /// How many bytes of the line were not looked at.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Result<Word<'a>, UnbalancedQuotes>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = skip_blanks(self.rest);
        if line.is_empty() {
            self.rest = line;
            return None;
        }
        let mut bytes = Bytes { rest: line, quote: None };
        let mut len = 0_usize;
        loop {
            match bytes.step() {
                Step::Byte(_) => len = len.saturating_add(1),
                Step::Mark => {}
                Step::End => break,
                Step::Unbalanced => {
                    self.rest = &[];
                    return Some(Err(UnbalancedQuotes));
                }
            }
        }
        self.rest = bytes.rest;
        let source = line.get(..line.len().saturating_sub(bytes.rest.len())).unwrap_or_default();
        // Quotes and escapes alike make the source longer than the word.
        Some(Ok(Word { source, len, plain: source.len() == len }))
    }
}

impl FusedIterator for Words<'_> {}

/// One word of a line, with its quoting.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    source: &'a [u8],
    len: usize,
    plain: bool,
}

impl<'a> Word<'a> {
    /// How many bytes it stands for.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "`\"\"` is a word like any other")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The bytes it stands for.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        let mut bytes = Bytes { rest: self.source, quote: None };
        core::iter::from_fn(move || {
            loop {
                match bytes.step() {
                    Step::Byte(byte) => return Some(byte),
                    Step::Mark => {}
                    Step::End | Step::Unbalanced => return None,
                }
            }
        })
    }

    /// The bytes it stands for, if they stand in the line as they are.
    #[must_use]
    pub const fn plain(&self) -> Option<&'a [u8]> {
        if self.plain { Some(self.source) } else { None }
    }
}

/// Reads a word byte by byte.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    rest: &'a [u8],
    quote: Option<u8>,
}

enum Step {
    Byte(u8),
    /// A quote that opened or closed.
    Mark,
    End,
    Unbalanced,
}

impl Bytes<'_> {
    fn step(&mut self) -> Step {
        let (step, rest) = match (self.quote, self.rest) {
            (None, []) => return Step::End,
            (None, [byte, ..]) if is_blank(*byte) => return Step::End,
            (None, [quote @ (b'"' | b'\''), rest @ ..]) => {
                self.quote = Some(*quote);
                (Step::Mark, rest)
            }
            (None, [byte, rest @ ..]) => (Step::Byte(*byte), rest),
            (Some(_), []) => return Step::Unbalanced,
            (Some(b'"'), [b'\\', after @ ..]) => unescape(after),
            (Some(b'\''), [b'\\', b'\'', rest @ ..]) => (Step::Byte(b'\''), rest),
            (Some(quote), [byte, rest @ ..]) if *byte == quote => {
                if rest.first().is_some_and(|&byte| !is_blank(byte)) {
                    return Step::Unbalanced;
                }
                self.quote = None;
                (Step::Mark, rest)
            }
            (Some(_), [byte, rest @ ..]) => (Step::Byte(*byte), rest),
        };
        self.rest = rest;
        step
    }
}

/// The byte that an escape stands for; `after` is what follows the backslash, which stands for itself at the end.
fn unescape(after: &[u8]) -> (Step, &[u8]) {
    if let [b'x', high, low, rest @ ..] = after
        && let (Some(high), Some(low)) = (hex(*high), hex(*low))
    {
        return (Step::Byte((high << 4) | low), rest);
    }
    let (&byte, rest) = after.split_first().unwrap_or((&b'\\', &[]));
    let byte = match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        _ => byte,
    };
    (Step::Byte(byte), rest)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

/// C's `isspace`.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn skip_blanks(mut line: &[u8]) -> &[u8] {
    while let [byte, rest @ ..] = line
        && is_blank(*byte)
    {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
        split_inline(line)
            .map(|word| {
                word.map(|word| {
                    let bytes: Vec<u8> = word.bytes().collect();
                    assert_eq!(bytes.len(), word.len());
                    assert!(word.plain().is_none_or(|plain| plain == bytes));
                    bytes
                })
            })
            .collect()
    }

    #[test]
    fn splits_as_servers_do() {
        assert_eq!(words(b"").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(words(b" \t\x0b\r\n").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(words(b"PING").unwrap(), [b"PING"]);
        assert_eq!(words(b" get  a\t").unwrap(), [&b"get"[..], b"a"]);
        assert_eq!(words(br#""a\x41\r\n" '' "" "#).unwrap(), [&b"aA\r\n"[..], b"", b""]);
        assert_eq!(words(br#""\xZZ\q\"\\\t\b\a""#).unwrap(), [&b"xZZq\"\\\t\x08\x07"[..]]);
        assert_eq!(words(br"'a\n\'b'").unwrap(), [&br"a\n'b"[..]]);
        assert_eq!(words(br#"fo"o b"  x"#).unwrap(), [&b"foo b"[..], b"x"]);
        assert_eq!(words(b"a\0b c").unwrap(), [b"a"]);
        for line in [&b"\"a"[..], b"'a", b"\"a\"b", b"'a'b", b"\"a\\", b"\"", b"x'", b"\"a\0\""] {
            assert_eq!(words(line), Err(UnbalancedQuotes), "{}", line.escape_ascii());
        }
        // A backslash outside quotes, and in front of the closing single quote's escape, is itself.
        assert_eq!(words(br"a\n").unwrap(), [br"a\n"]);
    }

    #[test]
    fn plain_words_are_borrowed() {
        let plain: Vec<_> = split_inline(br#"a "b" "\x61" c\"#).map(|word| word.unwrap().plain()).collect();
        assert_eq!(plain, [Some(&b"a"[..]), None, None, Some(br"c\")]);
    }
}
