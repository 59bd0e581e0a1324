//! The grammar of one complete value header, or of one complete scalar, in nom's shape.
//!
//! This is the fast path: one call per value, leaves written for RESP in nom's signature. It accepts what is
//! complete and canonical, and fails without a reason for everything else (cut, malformed, or merely rare); the
//! byte-wise [`header`](super::header) then finds out which. It knows no limits: the caller checks them.

use nom::IResult;
use nom::number::complete::be_u8;

use super::double::DoubleText;
use super::number::signed;
use super::token::{Aggregate, Null, Text};

/// A scalar with its payload, or an aggregate's header.
pub(super) enum Value<'a> {
    Line(Text, &'a [u8]),
    String(Text, &'a [u8]),
    Integer(i64),
    Null(Null),
    Boolean(bool),
    Aggregate(Aggregate, u64),
}

/// Not complete, not canonical, or too rare to be read here.
const GIVE_UP: nom::Err<()> = nom::Err::Error(());

type Parsed<'a, T> = IResult<&'a [u8], T, ()>;

/// Reads one value's header, or the whole value if it is not an aggregate.
#[inline(always)]
pub(super) fn value(input: &[u8]) -> Parsed<'_, Value<'_>> {
    let (input, kind) = be_u8(input)?;
    match kind {
        b'$' => string(input, Text::Bulk),
        b':' => {
            let (rest, number) = integer(input)?;
            Ok((rest, Value::Integer(number)))
        }
        b'+' => line(input, Text::Simple),
        b'*' => aggregate(input, Aggregate::Array),
        b'%' => aggregate(input, Aggregate::Map),
        b'>' => aggregate(input, Aggregate::Push),
        b'~' => aggregate(input, Aggregate::Set),
        b'|' => aggregate(input, Aggregate::Attribute),
        b'-' => line(input, Text::Error),
        b'_' => {
            let (rest, ()) = end(input)?;
            Ok((rest, Value::Null(Null::Resp3)))
        }
        b'#' => boolean(input),
        b',' => double(input),
        b'(' => line(input, Text::BigNumber),
        b'!' => string(input, Text::BlobError),
        b'=' => verbatim(input),
        _ => Err(GIVE_UP),
    }
}

/// CR LF.
#[inline(always)]
fn end(input: &[u8]) -> Parsed<'_, ()> {
    match input.split_first_chunk::<2>() {
        Some((b"\r\n", rest)) => Ok((rest, ())),
        _ => Err(GIVE_UP),
    }
}

/// A canonical unsigned number of at most 18 digits, and CR LF.
#[inline(always)]
fn length(input: &[u8]) -> Parsed<'_, u64> {
    let (&first, mut rest) = input.split_first().ok_or(GIVE_UP)?;
    let mut value = u64::from(first.wrapping_sub(b'0'));
    if value > 9 {
        return Err(GIVE_UP);
    }
    loop {
        let (&byte, after) = rest.split_first().ok_or(GIVE_UP)?;
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        rest = after;
    }
    let digits = input.len().wrapping_sub(rest.len());
    if digits > 18 || (first == b'0' && digits > 1) {
        return Err(GIVE_UP);
    }
    let (rest, ()) = end(rest)?;
    Ok((rest, value))
}

/// A canonical signed number of at most 18 digits, and CR LF.
#[inline(always)]
fn integer(input: &[u8]) -> Parsed<'_, i64> {
    let (negative, digits) = match input.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, input),
    };
    let (rest, magnitude) = match digits.first_chunk() {
        Some(&chunk) => eight_digits(digits, u64::from_le_bytes(chunk))?,
        None => length(digits)?,
    };
    Ok((rest, signed(magnitude, negative).ok_or(GIVE_UP)?))
}

/// `0x01` in every byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// `0x80` in every byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// [`length`] for a short number, out of one register. `chunk` is the first eight bytes of `input`, first byte lowest.
#[inline(always)]
fn eight_digits(input: &[u8], chunk: u64) -> Parsed<'_, u64> {
    let values = chunk ^ ONES.wrapping_mul(0x30);
    // The high bit of a byte that is no digit: above 9 after the exclusive or, or above 127 before.
    let foreign = (values.wrapping_add(ONES.wrapping_mul(0x76)) | values) & HIGH;
    // The addition carries out of a byte only where that byte is foreign, so the lowest mark is exact.
    let bits = foreign.trailing_zeros() & !7;
    let digits = bits.wrapping_shr(3) as usize;
    if foreign == 0 || digits == 0 || (values & 0xff == 0 && digits > 1) {
        return if foreign == 0 { length(input) } else { Err(GIVE_UP) };
    }
    // Digits to the top bytes, zeros below them; then pairs, fours and the eight.
    let aligned = values.wrapping_shl(64_u32.wrapping_sub(bits));
    let pairs = aligned.wrapping_mul(10).wrapping_add(aligned.wrapping_shr(8)) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs.wrapping_shr(16)) & 0x0000_ffff_0000_ffff;
    let value = fours.wrapping_mul(10_000).wrapping_add(fours.wrapping_shr(32)) & 0xffff_ffff;
    let rest = input.get(digits..).ok_or(GIVE_UP)?;
    let (rest, ()) = end(rest)?;
    Ok((rest, value))
}

/// Text up to CR LF.
#[inline(always)]
fn line(input: &[u8], kind: Text) -> Parsed<'_, Value<'_>> {
    let at = line_end(input).ok_or(GIVE_UP)?;
    let (text, rest) = input.split_at_checked(at).ok_or(GIVE_UP)?;
    let (rest, ()) = end(rest)?;
    Ok((rest, Value::Line(kind, text)))
}

fn double(input: &[u8]) -> Parsed<'_, Value<'_>> {
    match line(input, Text::Double)? {
        (rest, Value::Line(kind, text)) if DoubleText::accepts(text) => Ok((rest, Value::Line(kind, text))),
        _ => Err(GIVE_UP),
    }
}

/// A length, so many bytes, CR LF.
#[inline(always)]
fn string(input: &[u8], kind: Text) -> Parsed<'_, Value<'_>> {
    if let Some((b"-1\r\n", rest)) = input.split_first_chunk() {
        return if kind == Text::Bulk { Ok((rest, Value::Null(Null::Bulk))) } else { Err(GIVE_UP) };
    }
    let (rest, len) = length(input)?;
    let len = usize::try_from(len).map_err(|_| GIVE_UP)?;
    let (bytes, rest) = rest.split_at_checked(len).ok_or(GIVE_UP)?;
    let (rest, ()) = end(rest)?;
    Ok((rest, Value::String(kind, bytes)))
}

fn verbatim(input: &[u8]) -> Parsed<'_, Value<'_>> {
    let (rest, value) = string(input, Text::BlobError)?;
    let Value::String(_, bytes) = value else { return Err(GIVE_UP) };
    let Some((&[a, b, c, b':'], text)) = bytes.split_first_chunk() else { return Err(GIVE_UP) };
    Ok((rest, Value::String(Text::Verbatim([a, b, c]), text)))
}

fn boolean(input: &[u8]) -> Parsed<'_, Value<'_>> {
    let (input, letter) = be_u8(input)?;
    let (rest, ()) = end(input)?;
    match letter {
        b't' => Ok((rest, Value::Boolean(true))),
        b'f' => Ok((rest, Value::Boolean(false))),
        _ => Err(GIVE_UP),
    }
}

/// A count and CR LF. `*-1` is the only null here.
#[inline(always)]
fn aggregate(input: &[u8], kind: Aggregate) -> Parsed<'_, Value<'_>> {
    if kind == Aggregate::Array
        && let Some((b"-1\r\n", rest)) = input.split_first_chunk()
    {
        return Ok((rest, Value::Null(Null::Array)));
    }
    let (rest, count) = length(input)?;
    Ok((rest, Value::Aggregate(kind, count)))
}

/// Where the first CR or LF is.
#[inline(always)]
pub(super) fn line_end(input: &[u8]) -> Option<usize> {
    let mut rest = input;
    let mut skipped = 0_usize;
    while let Some((&chunk, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(chunk);
        let found = zero_byte(word ^ ONES.wrapping_mul(0x0d)) | zero_byte(word ^ ONES.wrapping_mul(0x0a));
        if found != 0 {
            return Some(skipped.wrapping_add(found.trailing_zeros().wrapping_shr(3) as usize));
        }
        skipped = skipped.wrapping_add(8);
        rest = after;
    }
    let at = rest.iter().position(|&byte| byte == b'\r' || byte == b'\n')?;
    Some(skipped.wrapping_add(at))
}

/// Marks zero bytes by their high bit; only the lowest mark is exact.
#[inline(always)]
fn zero_byte(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::{format, vec};

    fn whole(text: &str) -> Option<i64> {
        let input = format!("{text}\r\n");
        let padded = format!("{text}\r\n:0000000\r\n");
        let short = integer(input.as_bytes()).ok().map(|(_, number)| number);
        let long = integer(padded.as_bytes()).ok().map(|(_, number)| number);
        assert_eq!(short, long, "{text}");
        short
    }

    #[test]
    fn integers_of_every_length() {
        let digits = "123456789012345678";
        for len in 1..=18 {
            let text = &digits[..len];
            assert_eq!(whole(text), text.parse().ok());
            assert_eq!(whole(&format!("-{text}")), format!("-{text}").parse().ok());
            assert_eq!(whole(&"9".repeat(len)), "9".repeat(len).parse().ok());
            assert_eq!(whole(&format!("1{}", "0".repeat(len - 1))), format!("1{}", "0".repeat(len - 1)).parse().ok());
        }
        assert_eq!(whole("0"), Some(0));
        for text in ["", "-", "00", "01", "-0", "+1", "1x", "x", "1 ", "1234567x", "12345678x", "1\r", "/", ":"] {
            assert_eq!(whole(text), None, "{text:?}");
        }
    }

    #[test]
    fn foreign_bytes_anywhere_in_a_number() {
        for len in 1..=9 {
            for at in 0..len {
                for byte in 0..=255_u8 {
                    let mut text = vec![b'7'; len];
                    text[at] = byte;
                    let mut input = text.clone();
                    input.extend(b"\r\n:12345678\r\n");
                    let expected = super::super::number::parse_i64(&text);
                    let found = integer(&input).ok().map(|(_, number)| number);
                    assert_eq!(found, expected, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn finds_the_first_line_end() {
        for len in 0..40 {
            assert_eq!(line_end("x".repeat(len).as_bytes()), None);
            for at in 0..len {
                for mark in ["\r", "\n", "\r\n"] {
                    let text: String = "\u{b}".repeat(at) + mark + &"\u{c}\r".repeat(len - at);
                    assert_eq!(line_end(text.as_bytes()), Some(at), "{}", text);
                }
            }
        }
    }
}
