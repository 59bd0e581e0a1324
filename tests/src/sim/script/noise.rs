//! Pages of SCAN as servers may send them, and seldom do: empty ones with a cursor that is not 0, keys that were on the page
//! before, and cursors beyond 2^63 (servers look at as many bits of a cursor as their table has).

use std::collections::BTreeMap;

use crate::sim::wire;

/// What is on the next page instead.
#[derive(Clone, Debug, Default)]
pub struct Noise {
    count: u32,
    /// The keys of the last page, by connection.
    before: BTreeMap<u32, Vec<u8>>,
}

const HIGH: u64 = 1 << 63;

impl Noise {
    /// The page that is sent instead of an honest one.
    pub fn page(&mut self, link: u32, words: &[Vec<u8>], page: &[u8]) -> Option<Vec<u8>> {
        let asked: u64 = std::str::from_utf8(words.get(1)?).ok()?.parse().ok()?;
        let header = page.strip_prefix(b"*2\r\n")?;
        let (cursor, keys) = header.split_at(wire::value_len(header)?);
        let next: u64 = std::str::from_utf8(cursor).ok()?.split("\r\n").nth(1)?.parse().ok()?;
        let count = std::str::from_utf8(keys).ok()?.split("\r\n").next()?.strip_prefix('*')?.parse::<usize>().ok()?;
        let items = &keys[keys.iter().position(|byte| *byte == b'\n')? + 1..];
        self.count += 1;
        if asked != 0 && self.count.is_multiple_of(3) {
            // Nothing was looked at: the same place again.
            return Some(made(asked, 0, b""));
        }
        // Which connection it came from stands in it.
        let high = if next == 0 { 0 } else { next | HIGH | u64::from(link & 0xffff) << 40 };
        let before = self.before.insert(link, items.to_vec()).unwrap_or_default();
        if self.count.is_multiple_of(2) {
            let twice = [&before[..], items].concat();
            let mut values = 0;
            let mut at = 0;
            while let Some(len) = twice.get(at..).filter(|rest| !rest.is_empty()).and_then(wire::value_len) {
                (values, at) = (values + 1, at + len);
            }
            return Some(made(high, values, &twice));
        }
        Some(made(high, count, items))
    }
}

fn made(cursor: u64, count: usize, items: &[u8]) -> Vec<u8> {
    let cursor = cursor.to_string();
    [format!("*2\r\n${}\r\n{cursor}\r\n*{count}\r\n", cursor.len()).as_bytes(), items].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_emptied_doubled_and_have_great_cursors() {
        let words = |cursor: &str| [b"SCAN".to_vec(), cursor.as_bytes().to_vec()];
        let page = b"*2\r\n$1\r\n4\r\n*1\r\n$1\r\na\r\n";
        let mut noise = Noise::default();
        let first = noise.page(1, &words("0"), page).unwrap();
        assert_eq!(first, b"*2\r\n$19\r\n9223373136366403588\r\n*1\r\n$1\r\na\r\n");
        let second = noise.page(1, &words("4"), page).unwrap();
        assert!(second.ends_with(b"*2\r\n$1\r\na\r\n$1\r\na\r\n"), "{}", second.escape_ascii());
        let third = noise.page(1, &words("4"), page).unwrap();
        assert_eq!(third, b"*2\r\n$1\r\n4\r\n*0\r\n");
        assert_eq!(noise.page(1, &words("0"), b"-ERR\r\n"), None);
    }
}
