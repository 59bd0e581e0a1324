//! Canonical decimal numbers: strict parsing, and formatting into a small buffer.
//!
//! Canonical means what servers send: no `+`, no leading zeros, no `-0`, nothing around the digits.

/// Parses a canonical unsigned decimal number.
///
/// ```
/// use slotwise::resp::number::parse_u64;
/// assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
/// assert_eq!(parse_u64(b"007"), None);
/// assert_eq!(parse_u64(b""), None);
/// ```
#[must_use]
pub fn parse_u64(digits: &[u8]) -> Option<u64> {
    let (&first, rest) = digits.split_first()?;
    if first == b'0' {
        return rest.is_empty().then_some(0);
    }
    let mut value = u64::from(digit(first)?);
    for &byte in rest {
        value = value.checked_mul(10)?.checked_add(u64::from(digit(byte)?))?;
    }
    Some(value)
}

/// Parses a canonical signed decimal number.
///
/// ```
/// use slotwise::resp::number::parse_i64;
/// assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
/// assert_eq!(parse_i64(b"-0"), None);
/// assert_eq!(parse_i64(b"+1"), None);
/// ```
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text.split_first()? {
        (b'-', digits) => signed(parse_u64(digits)?, true),
        _ => signed(parse_u64(text)?, false),
    }
}

/// The `i64` of a magnitude and a sign; `None` for `-0` and what does not fit.
pub(super) const fn signed(magnitude: u64, negative: bool) -> Option<i64> {
    if !negative {
        return if magnitude <= i64::MAX as u64 { Some(magnitude.cast_signed()) } else { None };
    }
    if magnitude == 0 || magnitude > i64::MIN.unsigned_abs() {
        return None;
    }
    Some(magnitude.wrapping_neg().cast_signed())
}

pub(super) const fn digit(byte: u8) -> Option<u8> {
    let value = byte.wrapping_sub(b'0');
    if value <= 9 { Some(value) } else { None }
}

/// A number as decimal text, held inline.
///
/// ```
/// use slotwise::resp::number::Decimal;
/// assert_eq!(Decimal::unsigned(0).as_bytes(), b"0");
/// assert_eq!(Decimal::signed(i64::MIN).as_bytes(), b"-9223372036854775808");
/// ```
#[derive(Clone, Copy)]
pub struct Decimal {
    /// The text is the tail of `text` that begins at `start`; `start <= 20`.
    text: [u8; Decimal::MAX],
    start: u8,
}

impl Decimal {
    /// The longest text: 20 digits, or a sign and 19.
    pub const MAX: usize = 20;

    /// The text of an unsigned number.
    #[must_use]
    pub fn unsigned(number: u64) -> Self {
        let mut text = [b'0'; Self::MAX];
        let mut left = number;
        let mut start = Self::MAX as u8;
        for place in text.iter_mut().rev() {
            let (tenth, last) = tenth(left);
            *place = b'0'.wrapping_add(last);
            left = tenth;
            start = start.wrapping_sub(1);
            if left == 0 {
                break;
            }
        }
        Self { text, start }
    }

    /// The text of a signed number.
    #[must_use]
    pub fn signed(number: i64) -> Self {
        let mut decimal = Self::unsigned(number.unsigned_abs());
        if number < 0 {
            // The longest magnitude, 2^63, has 19 digits, so a place is left for the sign.
            decimal.start = decimal.start.saturating_sub(1);
            if let Some(place) = decimal.text.get_mut(usize::from(decimal.start)) {
                *place = b'-';
            }
        }
        decimal
    }

    /// The digits, with the sign in front of a negative number.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(usize::from(self.start)..).unwrap_or_default()
    }
}

impl core::fmt::Debug for Decimal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(core::str::from_utf8(self.as_bytes()).unwrap_or_default())
    }
}

/// A tenth, and the digit that is left over. The divisor is constant, so nothing can be divided by zero.
#[cfg(target_pointer_width = "64")]
const fn tenth(number: u64) -> (u64, u8) {
    (number.wrapping_div(10), number.wrapping_rem(10) as u8)
}

/// A tenth, and the digit that is left over: 16 bits at a time, since a division of 64 bits takes 1 KiB of code where the
/// processor has none.
#[cfg(any(test, not(target_pointer_width = "64")))]
const fn narrow_tenth(number: u64) -> (u64, u8) {
    let (mut quotient, mut rest, mut shift) = (0_u64, 0_u32, 64_u32);
    while shift > 0 {
        shift = shift.wrapping_sub(16);
        let part = (rest << 16) | (number.wrapping_shr(shift) as u32 & 0xffff);
        quotient = (quotient << 16) | part.wrapping_div(10) as u64;
        rest = part.wrapping_rem(10);
    }
    (quotient, rest as u8)
}

#[cfg(not(target_pointer_width = "64"))]
use narrow_tenth as tenth;

/// How many decimal digits `number` has.
pub(super) const fn digits(number: u64) -> usize {
    if cfg!(not(target_pointer_width = "64")) {
        // No division, as above.
        let (mut count, mut bound) = (1_usize, 10_u64);
        while number >= bound {
            count = count.wrapping_add(1);
            bound = match bound.checked_mul(10) {
                Some(bound) => bound,
                None => return count,
            };
        }
        return count;
    }
    match number.checked_ilog10() {
        Some(log) => (log as usize).saturating_add(1),
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    #[test]
    fn tenths_without_a_wide_division() {
        for number in [0, 9, 10, 0xffff, 0x1_0000, 99_999_999_999, u64::MAX, u64::MAX - 5] {
            assert_eq!(narrow_tenth(number), tenth(number), "{number}");
        }
        let mut number = 1_u64;
        for _ in 0..2_000 {
            number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(13);
            assert_eq!(narrow_tenth(number), tenth(number), "{number}");
        }
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        for text in ["", "-", "+1", "01", "00", "-0", "-01", " 1", "1 ", "1a", "--1", "0x1", "9223372036854775808"] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"99999999999999999999999999"), None);
        assert_eq!(parse_u64(b"-1"), None);
        assert_eq!(parse_i64(b"-9223372036854775809"), None);
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(signed: i64, unsigned: u64) {
            prop_assert_eq!(parse_i64(signed.to_string().as_bytes()), Some(signed));
            prop_assert_eq!(parse_u64(unsigned.to_string().as_bytes()), Some(unsigned));
            prop_assert_eq!(std::format!("{:?}", Decimal::signed(signed)), signed.to_string());
            prop_assert_eq!(std::format!("{:?}", Decimal::unsigned(unsigned)), unsigned.to_string());
            prop_assert_eq!(digits(unsigned), unsigned.to_string().len());
        }
    }

    #[test]
    fn formats_the_edges() {
        for number in [0, 1, -1, 9, 10, -10, i64::MAX, i64::MIN] {
            assert_eq!(Decimal::signed(number).as_bytes(), number.to_string().as_bytes());
        }
        assert_eq!(Decimal::unsigned(u64::MAX).as_bytes(), b"18446744073709551615");
        assert_eq!((digits(0), digits(9), digits(10), digits(u64::MAX)), (1, 1, 2, 20));
    }
}
