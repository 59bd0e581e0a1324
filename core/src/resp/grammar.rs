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

/// What is done with a value. A trait rather than a closure, so that it can be inlined at every place.
pub(super) trait Accept<'a> {
    type Out;

    /// Takes a value and what follows it; `None` to give up.
    fn accept(self, rest: &'a [u8], value: Value<'a>) -> Option<Self::Out>;
}

/// Reads one value's header, or the whole value if it is not an aggregate, and hands it to `to` with what
/// follows it. `None` if the grammar or `to` gives up.
///
/// It is handed over at one place for each common type, so that what is done for the others falls away there. Where
/// registers are narrow, flash counts: there one function reads every type, and all are handed over at one place.
#[inline(always)]
pub(super) fn value<'a, A: Accept<'a>>(input: &'a [u8], to: A) -> Option<A::Out> {
    let (body, kind): (_, u8) = be_u8::<_, ()>(input).ok()?;
    if NARROW {
        let (rest, value) = any(kind, body).ok()?;
        return to.accept(rest, value);
    }
    match kind {
        b'$' => match string(body) {
            Ok((rest, bytes)) => to.accept(rest, Value::String(Text::Bulk, bytes)),
            Err(_) => to.accept(null(body)?, Value::Null(Null::Bulk)),
        },
        b':' => {
            let (rest, number) = integer(body).ok()?;
            to.accept(rest, Value::Integer(number))
        }
        b'+' => {
            // By far the most common line.
            if let Some((ok @ b"OK\r\n", rest)) = body.split_first_chunk::<4>() {
                let text = ok.split_at_checked(2).map_or(&[][..], |(text, _)| text);
                return to.accept(rest, Value::Line(Text::Simple, text));
            }
            let (rest, text) = line(body).ok()?;
            to.accept(rest, Value::Line(Text::Simple, text))
        }
        b'*' => match length(body) {
            Ok((rest, count)) => to.accept(rest, Value::Aggregate(Aggregate::Array, count)),
            Err(_) => to.accept(null(body)?, Value::Null(Null::Array)),
        },
        _ => {
            let (rest, value) = rare(kind, body).ok()?;
            to.accept(rest, value)
        }
    }
}

/// Whether registers are narrow, which goes by the width of pointers. Code is then kept small rather than fast: what is
/// done eight bytes at a time elsewhere is slow there as well.
const NARROW: bool = cfg!(not(target_pointer_width = "64"));

/// Every type, behind its type byte.
#[inline(never)]
pub(super) fn any(kind: u8, input: &[u8]) -> Parsed<'_, Value<'_>> {
    match kind {
        b'$' => match string(input) {
            Ok((rest, bytes)) => Ok((rest, Value::String(Text::Bulk, bytes))),
            Err(_) => Ok((null(input).ok_or(GIVE_UP)?, Value::Null(Null::Bulk))),
        },
        b':' => {
            let (rest, number) = integer(input)?;
            Ok((rest, Value::Integer(number)))
        }
        b'+' => {
            let (rest, text) = line(input)?;
            Ok((rest, Value::Line(Text::Simple, text)))
        }
        b'*' => match length(input) {
            Ok((rest, count)) => Ok((rest, Value::Aggregate(Aggregate::Array, count))),
            Err(_) => Ok((null(input).ok_or(GIVE_UP)?, Value::Null(Null::Array))),
        },
        _ => rare(kind, input),
    }
}

/// The types that are less common, behind their type byte.
#[inline(never)]
fn rare(kind: u8, input: &[u8]) -> Parsed<'_, Value<'_>> {
    let text = match kind {
        b'-' => Text::Error,
        b'(' => Text::BigNumber,
        b',' => Text::Double,
        b'%' => return aggregate(input, Aggregate::Map),
        b'>' => return aggregate(input, Aggregate::Push),
        b'~' => return aggregate(input, Aggregate::Set),
        b'|' => return aggregate(input, Aggregate::Attribute),
        b'#' => return boolean(input),
        b'=' => return verbatim(input),
        b'_' => {
            let (rest, ()) = end(input)?;
            return Ok((rest, Value::Null(Null::Resp3)));
        }
        b'!' => {
            let (rest, bytes) = string(input)?;
            return Ok((rest, Value::String(Text::BlobError, bytes)));
        }
        _ => return Err(GIVE_UP),
    };
    let (rest, bytes) = line(input)?;
    if kind == b',' && !DoubleText::accepts(bytes) {
        return Err(GIVE_UP);
    }
    Ok((rest, Value::Line(text, bytes)))
}

/// What follows the length of a RESP2 null.
fn null(input: &[u8]) -> Option<&[u8]> {
    input.strip_prefix(b"-1\r\n")
}

/// CR LF.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn end(input: &[u8]) -> Parsed<'_, ()> {
    match input.split_first_chunk::<2>() {
        Some((b"\r\n", rest)) => Ok((rest, ())),
        _ => Err(GIVE_UP),
    }
}

/// A canonical unsigned number of at most 18 digits, and CR LF.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn length(input: &[u8]) -> Parsed<'_, u64> {
    // Most lengths have one or two digits.
    if !NARROW && let Some(&[first, second, third, fourth]) = input.first_chunk() {
        let (tens, ones) = (first.wrapping_sub(b'0'), second.wrapping_sub(b'0'));
        if tens <= 9 && second == b'\r' && third == b'\n' {
            return Ok((input.get(3..).ok_or(GIVE_UP)?, u64::from(tens)));
        }
        if tens.wrapping_sub(1) < 9 && ones <= 9 && third == b'\r' && fourth == b'\n' {
            let value = u64::from(tens).wrapping_mul(10).wrapping_add(u64::from(ones));
            return Ok((input.get(4..).ok_or(GIVE_UP)?, value));
        }
    }
    long_length(input)
}

/// [`length`] of any number of digits.
#[inline]
fn long_length(input: &[u8]) -> Parsed<'_, u64> {
    let mut value = 0_u64;
    let mut digits = 0_usize;
    for &byte in input {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        digits = digits.wrapping_add(1);
    }
    if digits == 0 || digits > 18 || (digits > 1 && input.first() == Some(&b'0')) {
        return Err(GIVE_UP);
    }
    let (rest, ()) = end(input.get(digits..).ok_or(GIVE_UP)?)?;
    Ok((rest, value))
}

/// A canonical signed number of at most 18 digits, and CR LF.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn integer(input: &[u8]) -> Parsed<'_, i64> {
    let (negative, digits) = match input.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, input),
    };
    let (rest, magnitude) = match digits.first_chunk() {
        Some(&chunk) if !NARROW => eight_digits(digits, u64::from_le_bytes(chunk))?,
        _ => long_length(digits)?,
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
        return if foreign == 0 { long_length(input) } else { Err(GIVE_UP) };
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
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn line(input: &[u8]) -> Parsed<'_, &[u8]> {
    let at = line_end(input).ok_or(GIVE_UP)?;
    let (text, rest) = input.split_at_checked(at).ok_or(GIVE_UP)?;
    let (rest, ()) = end(rest)?;
    Ok((rest, text))
}

/// A length, so many bytes, CR LF.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn string(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, len) = length(input)?;
    let len = usize::try_from(len).map_err(|_| GIVE_UP)?;
    let (bytes, rest) = rest.split_at_checked(len).ok_or(GIVE_UP)?;
    let (rest, ()) = end(rest)?;
    Ok((rest, bytes))
}

fn verbatim(input: &[u8]) -> Parsed<'_, Value<'_>> {
    let (rest, bytes) = string(input)?;
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

/// A count and CR LF.
fn aggregate(input: &[u8], kind: Aggregate) -> Parsed<'_, Value<'_>> {
    let (rest, count) = length(input)?;
    Ok((rest, Value::Aggregate(kind, count)))
}

/// Where the first CR or LF is.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(super) fn line_end(input: &[u8]) -> Option<usize> {
    if NARROW {
        return input.iter().position(|&byte| byte == b'\r' || byte == b'\n');
    }
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
