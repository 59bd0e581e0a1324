//! The text of a double, checked a byte at a time so that it can be cut anywhere.

use super::number::digit;

/// Where in `[+-] digits [. digits] [e [+-] digits]`, `[-] inf[inity]` or `[-] nan[(...)]` the text is.
///
/// RESP3 names `inf`, `-inf` and `nan`; the other spellings of infinity and NaN are what C libraries print and
/// servers before 7.2 passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum DoubleText {
    Start,
    Sign,
    Minus,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    /// The next byte must be the first of these; the text may only end where they do, or after `inf`.
    Word(&'static [u8]),
    /// Inside `nan(...)`.
    Payload,
}

impl DoubleText {
    /// The place after one more byte; `None` if it cannot stand here.
    pub(super) fn step(self, byte: u8) -> Option<Self> {
        let is_digit = digit(byte).is_some();
        Some(match (self, byte) {
            (Self::Start, b'-') => Self::Minus,
            (Self::Start, b'+') => Self::Sign,
            (Self::Start | Self::Minus, b'i') => Self::Word(b"nfinity"),
            (Self::Start | Self::Minus, b'n') => Self::Word(b"an"),
            (Self::Start | Self::Sign | Self::Minus | Self::Whole, _) if is_digit => Self::Whole,
            (Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, _) if is_digit => Self::Fraction,
            (Self::Whole | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, _) if is_digit => Self::ExponentDigits,
            (Self::Word(b"n"), b'n') => Self::Word(b"("),
            (Self::Word(b"("), b'(') => Self::Payload,
            (Self::Word([first, rest @ ..]), _) if *first == byte => Self::Word(rest),
            (Self::Payload, b')') => Self::Word(b""),
            (Self::Payload, b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => Self::Payload,
            _ => return None,
        })
    }

    /// Whether the text may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Whole | Self::Fraction | Self::ExponentDigits | Self::Word(b"" | b"inity" | b"("))
    }

    /// Whether `text` is a whole double.
    pub(super) fn accepts(text: &[u8]) -> bool {
        text.iter().try_fold(Self::Start, |place, &byte| place.step(byte)).is_some_and(Self::may_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_servers_send() {
        for text in [
            "3",
            "-0",
            "0.1",
            "1e-7",
            "1e+300",
            "123456789012345680000",
            "inf",
            "-inf",
            "nan",
            "-nan",
            "infinity",
            "-infinity",
            "nan(0x8000)",
            "nan()",
            "+1.5",
            "1E5",
            "10.25e10",
        ] {
            assert!(DoubleText::accepts(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "-",
            "+",
            ".",
            ".5",
            "5.",
            "1e",
            "1e+",
            "in",
            "infi",
            "infinit",
            "infinityx",
            "na",
            "nan(",
            "nan(x",
            "nan)x",
            "n(",
            "+inf",
            "Inf",
            "NaN",
            "1 ",
            " 1",
            "1x",
            "0x10",
            "1.2.3",
            "1e5.0",
            "nan()x",
            "--1",
            "ixf",
            "inF",
            "infixity",
            "nxn",
            "nax",
            "-nam",
        ] {
            assert!(!DoubleText::accepts(text.as_bytes()), "{text}");
        }
    }
}
