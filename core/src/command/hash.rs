//! The hash of a command name, the same at compile time and at run time.

/// Parent number of a command that is not a subcommand.
pub(super) const TOP: u8 = u8::MAX;

/// Hash of a name without regard to case, mixed with the number of the container command it belongs to.
///
/// Reads the name as one or two words of overlapping pieces instead of byte by byte; what names longer than 16 bytes
/// have in the middle does not count, the comparison behind the hash does.
#[inline]
pub(super) const fn hash(parent: u8, name: &[u8]) -> u32 {
    let (head, tail) = words(name);
    // Bit 5 is what ASCII letters of either case differ in; setting it folds a few other bytes too, harmlessly.
    let folded = (head | FOLD) ^ (tail | FOLD).rotate_left(27) ^ ((name.len() as u64) << 56) ^ ((parent as u64) << 40);
    let mixed = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32 ^ (mixed >> 47) as u32
}

const FOLD: u64 = u64::from_le_bytes([0x20; 8]);

#[inline]
const fn words(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        return (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
    }
    if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        return (u32::from_le_bytes(*head) as u64 | ((u32::from_le_bytes(*tail) as u64) << 32), 0);
    }
    match *name {
        [a, b, c] => (u32::from_le_bytes([a, b, c, 0]) as u64, 0),
        [a, b] => (u32::from_le_bytes([a, b, 0, 0]) as u64, 0),
        [a] => (a as u64, 0),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_count() {
        for name in ["get", "del", "mget", "getex", "expiretime", "georadiusbymember_ro", "x", ""] {
            assert_eq!(hash(TOP, name.as_bytes()), hash(TOP, name.to_ascii_uppercase().as_bytes()));
        }
        assert_ne!(hash(TOP, b"help"), hash(3, b"help"));
        assert_ne!(hash(TOP, b"georadius"), hash(TOP, b"georadius_ro"));
    }
}
