//! SCAN cursors.

use crate::slot::Slot;
use core::fmt;

/// A SCAN cursor: an unsigned 64-bit number in decimal. 0 begins a walk, and ends it when it comes back.
///
/// A cursor belongs to the process that gave it out: the order of a table depends on a seed drawn at start-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cursor(u64);

impl Cursor {
    /// The cursor that begins a walk of a whole node.
    pub const START: Self = Self(0);

    /// The cursor with this value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Reads a server's cursor: canonical decimal up to 2^64-1 (cursors above 2^63 are real).
    ///
    /// # Errors
    /// [`BadCursor`] when it is anything else.
    pub fn parse(text: &[u8]) -> Result<Self, BadCursor> {
        let mut digits = Digits::new();
        digits.push(text)?;
        digits.finish()
    }

    /// The cursor at which a slot-wise server begins `slot`, which is made up by the client and valid anywhere.
    #[must_use]
    pub const fn at_slot(slot: Slot) -> Self {
        Self(slot.get() as u64)
    }

    /// The slot in the low 14 bits, where the server puts it there.
    #[must_use]
    pub const fn slot(self) -> Slot {
        Slot::masked((self.0 & 0x3fff) as u16)
    }

    /// Whether a server that returned it says that the walk is over.
    #[must_use]
    pub const fn is_end(self) -> bool {
        self.0 == 0
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A cursor that is not a canonical decimal of at most 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct BadCursor;

impl fmt::Display for BadCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the SCAN cursor is not a decimal number of at most 64 bits")
    }
}

impl core::error::Error for BadCursor {}

/// A cursor that may arrive in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digits {
    value: u64,
    count: u8, // <= 20
}

impl Digits {
    pub(crate) const fn new() -> Self {
        Self { value: 0, count: 0 }
    }

    pub(crate) fn push(&mut self, text: &[u8]) -> Result<(), BadCursor> {
        for &digit in text {
            // A second digit after a leading zero is not canonical.
            if !digit.is_ascii_digit() || (self.count > 0 && self.value == 0) {
                return Err(BadCursor);
            }
            let tens = self.value.checked_mul(10).ok_or(BadCursor)?;
            self.value = tens.checked_add(u64::from(digit.wrapping_sub(b'0'))).ok_or(BadCursor)?;
            self.count = self.count.saturating_add(1);
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Cursor, BadCursor> {
        if self.count == 0 { Err(BadCursor) } else { Ok(Cursor(self.value)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn parses_exactly_the_canonical_decimals() {
        for value in [0, 1, 9, 10, 16_383, 1 << 32, (1 << 63) + 5, u64::MAX] {
            let text = value.to_string();
            assert_eq!(Cursor::parse(text.as_bytes()), Ok(Cursor::new(value)));
        }
        for bad in ["", "-1", "+1", "01", "00", "1 ", "18446744073709551616", "1e3", "0x10", "99999999999999999999999"]
        {
            assert_eq!(Cursor::parse(bad.as_bytes()), Err(BadCursor), "{bad}");
        }
    }

    #[test]
    fn pieces_make_the_same_cursor() {
        let mut digits = Digits::new();
        for piece in ["", "184467", "4407370955", "", "1615"] {
            digits.push(piece.as_bytes()).unwrap();
        }
        assert_eq!(digits.finish(), Ok(Cursor::new(u64::MAX)));
    }

    #[test]
    fn the_slot_is_in_the_low_bits() {
        let slot = Slot::new(5461).unwrap();
        assert_eq!(Cursor::at_slot(slot).slot(), slot);
        assert_eq!(Cursor::new((77 << 14) | 5461).slot(), slot);
        assert!(!Cursor::at_slot(slot).is_end());
    }
}
