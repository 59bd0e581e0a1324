//! Commands as people write them: one per line, quoted as in redis-cli.

use std::fmt;

use slotwise::resp::request::{UnbalancedQuotes, split_inline};

/// A line that is no command, and where it stands (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) number: u64,
    pub(crate) why: UnbalancedQuotes,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.why)
    }
}

/// The words of line `number`; none for an empty one.
pub(crate) fn words(number: u64, line: &[u8]) -> Result<Vec<Vec<u8>>, BadLine> {
    split_inline(line)
        .map(|word| word.map(|word| word.bytes().collect()))
        .collect::<Result<_, _>>()
        .map_err(|why| BadLine { number, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        let words = |line: &[u8]| words(7, line);
        assert_eq!(
            words(b"  SET  k \"a b\\x00\\n\" 'it\\'s' \r"),
            Ok([&b"SET"[..], b"k", b"a b\0\n", b"it's"].map(<[u8]>::to_vec).to_vec())
        );
        assert_eq!(words(b""), Ok(vec![]));
        assert_eq!(words(b"GET \"\""), Ok(vec![b"GET".to_vec(), vec![]]));
        for bad in [&b"GET \"k"[..], b"GET 'k", b"GET \"k\"x"] {
            assert_eq!(words(bad).map_err(|bad| bad.to_string()), Err("line 7: unbalanced quotes".to_owned()));
        }
    }
}
