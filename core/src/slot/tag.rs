//! Hash tags: the part of a key that decides its slot.

use super::{Slot, crc16};

/// The bytes of `key` that are hashed: what stands between the first `{` and the first `}` after it, if that is not
/// empty, else the whole key (Redis cluster specification, "Hash tags").
#[must_use]
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    match find(key, b'{') {
        None => key,
        Some(open) => tag_after(key, open),
    }
}

/// The rule once a `{` stands at `open`; apart from the search, so that keys without one stay short and inlined.
fn tag_after(key: &[u8], open: usize) -> &[u8] {
    let Some((_, inner)) = key.split_at_checked(open.saturating_add(1)) else { return key };
    match find(inner, b'}') {
        None | Some(0) => key,
        Some(close) => inner.get(..close).unwrap_or(key),
    }
}

const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const TOPS: u64 = u64::from_le_bytes([0x80; 8]);

/// Index of the first `needle`. Keys are short: a call to a general search costs more than this. Long ones go by blocks of
/// 32 bytes with one branch each, then by eight bytes. Where registers are narrow that is no gain, and flash counts.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn find(bytes: &[u8], needle: u8) -> Option<usize> {
    if cfg!(not(target_pointer_width = "64")) {
        return bytes.iter().position(|&byte| byte == needle);
    }
    let needles = ONES.wrapping_mul(u64::from(needle));
    let mut rest = bytes;
    let mut at = 0_usize;
    while let Some((block, tail)) = rest.split_first_chunk::<32>() {
        let (words, _) = block.as_chunks::<8>();
        if words.iter().fold(0, |found, word| found | matches(word, needles)) & TOPS != 0 {
            break;
        }
        at = at.saturating_add(32);
        rest = tail;
    }
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        if let Some(offset) = find_in(word, needles) {
            return Some(at.saturating_add(offset));
        }
        at = at.saturating_add(8);
        rest = tail;
    }
    if rest.is_empty() {
        return None;
    }
    // The last bytes once more as a full word, when there is one: what it repeats is known not to match.
    if let Some(word) = bytes.last_chunk::<8>() {
        return find_in(word, needles).map(|offset| bytes.len().saturating_sub(8).saturating_add(offset));
    }
    rest.iter().position(|&byte| byte == needle)
}

/// A word whose `TOPS` bits tell where the needle is: XOR makes it a zero byte, and `(x - ONES) & !x` has the top bit of the
/// first zero byte (bits above it may be false, which does not matter for the first one).
#[inline(always)]
fn matches(word: &[u8; 8], needles: u64) -> u64 {
    let x = u64::from_le_bytes(*word) ^ needles;
    x.wrapping_sub(ONES) & !x
}

/// Index of the first needle in eight bytes.
#[inline(always)]
fn find_in(word: &[u8; 8], needles: u64) -> Option<usize> {
    let found = matches(word, needles) & TOPS;
    (found != 0).then(|| (found.trailing_zeros() >> 3) as usize)
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A tag of three letters or digits that hashes to `slot`: `{tag}anything` is a key of that slot, and
/// `0-{tag}-0` is a CLUSTERSCAN cursor that begins there (seen on Valkey 9.1).
///
/// Computed without a table: two bytes determine 16 bits of CRC and back, so for each first letter and each of the
/// four checksums with the slot in their low 14 bits the other two bytes are known, and the first pair of
/// letters or digits is taken. There is one for every slot (a test tries all).
#[must_use]
pub fn tag_for(slot: Slot) -> [u8; 3] {
    let ends = [0_u16, 1, 2, 3].map(|top| before_two_bytes((top << 14) | slot.get()));
    for &first in ALPHABET {
        let start = crc16(&[first]);
        for end in ends {
            let [second, third] = (start ^ end).to_be_bytes();
            if second.is_ascii_alphanumeric() && third.is_ascii_alphanumeric() {
                return [first, second, third];
            }
        }
    }
    debug_assert!(false, "no tag of three letters for slot {slot}");
    [b'0'; 3]
}

/// The register that becomes `crc` after two zero bytes: sixteen steps of the shift register backwards.
fn before_two_bytes(crc: u16) -> u16 {
    (0..16).fold(crc, |crc, _| if crc & 1 != 0 { ((crc ^ 0x1021) >> 1) | 0x8000 } else { crc >> 1 })
}
