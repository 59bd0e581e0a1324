//! Saved scans: `SW1-` and hexadecimal digits of a digest of the options, the counters, the proven slots (as ranges or as a
//! bitmap, whichever is shorter) and a checksum.

use super::certificate::Counts;
use super::cluster_scan::Core;
use super::options::ScanOptions;
use crate::slot::{Slot, SlotRange, SlotSet};
use core::fmt;

const PREFIX: &[u8] = b"SW1-";
/// Digest, six counters, the form.
const HEAD: usize = 4 + 5 * 8 + 4 + 1;
const BITMAP: usize = 2048;
const CHECKSUM: usize = 8;

/// Most bytes of a token that [`ClusterScan::save`](super::ClusterScan::save) writes.
pub const MAX_TOKEN: usize = PREFIX.len() + 2 * (HEAD + BITMAP + CHECKSUM);

/// The buffer is too small for the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct TokenTooLong {
    /// Bytes the token has.
    pub needed: usize,
}

impl fmt::Display for TokenTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the saved scan takes {} bytes", self.needed)
    }
}

impl core::error::Error for TokenTooLong {}

/// A token that no scan can go on from. Blame: whoever kept it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RestoreError {
    /// It was not written by this version of the format.
    Version,
    /// It is cut or changed.
    Damaged,
    /// It belongs to a scan with another MATCH or TYPE.
    OtherScan,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "the saved scan has another format",
            Self::Damaged => "the saved scan is damaged",
            Self::OtherScan => "the saved scan has another MATCH or TYPE",
        })
    }
}

impl core::error::Error for RestoreError {}

const FNV: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

/// Tells scans for different keys apart.
pub(super) fn digest(options: &ScanOptions<'_>) -> u32 {
    let mut hash = FNV;
    for text in [options.pattern, options.type_name] {
        hash = fnv(hash, u8::from(text.is_some()));
        for &byte in text.unwrap_or_default() {
            hash = fnv(hash, byte);
        }
        hash = fnv(hash, 0xff);
    }
    (hash ^ (hash >> 32)) as u32
}

/// Writes hexadecimal digits, goes on counting when the buffer is full, and keeps the checksum.
struct Writer<'o> {
    out: &'o mut [u8],
    len: usize,
    hash: u64,
}

impl Writer<'_> {
    fn raw(&mut self, byte: u8) {
        if let Some(place) = self.out.get_mut(self.len) {
            *place = byte;
        }
        self.len = self.len.saturating_add(1);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.hash = fnv(self.hash, byte);
            for digit in [byte >> 4, byte & 15] {
                self.raw(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
            }
        }
    }
}

/// Reads hexadecimal digits, and keeps the checksum.
struct Reader<'t> {
    text: &'t [u8],
    hash: u64,
}

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            let (&[high, low], rest) = self.text.split_first_chunk::<2>().ok_or(RestoreError::Damaged)?;
            *byte = (digit(high)? << 4) | digit(low)?;
            self.hash = fnv(self.hash, *byte);
            self.text = rest;
        }
        Ok(bytes)
    }

    fn u64(&mut self) -> Result<u64, RestoreError> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn slot(&mut self) -> Result<Slot, RestoreError> {
        Slot::new(u16::from_be_bytes(self.bytes()?)).ok_or(RestoreError::Damaged)
    }
}

fn digit(digit: u8) -> Result<u8, RestoreError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(RestoreError::Damaged),
    }
}

impl Core {
    pub(super) fn save(&self, out: &mut [u8]) -> Result<usize, TokenTooLong> {
        let room = out.len();
        let mut writer = Writer { out, len: 0, hash: FNV };
        PREFIX.iter().for_each(|&byte| writer.raw(byte));
        writer.bytes(&self.settings.digest.to_be_bytes());
        let Counts { pages, keys, filtered, restarts, long_keys, passes } = self.counts;
        for count in [pages, keys, filtered, restarts, long_keys] {
            writer.bytes(&count.to_be_bytes());
        }
        writer.bytes(&passes.to_be_bytes());
        let ranges = self.proven.ranges().count();
        if ranges * 4 + 2 < BITMAP {
            writer.bytes(&[1]);
            writer.bytes(&(ranges as u16).to_be_bytes());
            for range in self.proven.ranges() {
                writer.bytes(&range.first().get().to_be_bytes());
                writer.bytes(&range.last().get().to_be_bytes());
            }
        } else {
            writer.bytes(&[0]);
            for word in self.proven.as_words() {
                writer.bytes(&word.to_be_bytes());
            }
        }
        let hash = writer.hash;
        writer.bytes(&hash.to_be_bytes());
        let needed = writer.len;
        if needed <= room { Ok(needed) } else { Err(TokenTooLong { needed }) }
    }

    pub(super) fn restore(&mut self, token: &[u8]) -> Result<(), RestoreError> {
        let text = token.strip_prefix(PREFIX).ok_or(RestoreError::Version)?;
        let mut reader = Reader { text, hash: FNV };
        let digest = u32::from_be_bytes(reader.bytes()?);
        let [pages, keys, filtered, restarts, long_keys] =
            [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
        let passes = u32::from_be_bytes(reader.bytes()?);
        let mut proven = SlotSet::EMPTY;
        match reader.bytes()? {
            [0] => {
                let mut words = *proven.as_words();
                for word in &mut words {
                    *word = reader.u64()?;
                }
                proven = SlotSet::from_words(words);
            }
            [1] => {
                for _ in 0..u16::from_be_bytes(reader.bytes()?) {
                    let range = SlotRange::new(reader.slot()?, reader.slot()?).ok_or(RestoreError::Damaged)?;
                    proven.insert_range(range);
                }
            }
            _ => return Err(RestoreError::Damaged),
        }
        let hash = reader.hash;
        if reader.u64()? != hash || !reader.text.is_empty() {
            return Err(RestoreError::Damaged);
        }
        if digest != self.settings.digest {
            return Err(RestoreError::OtherScan);
        }
        self.proven_before = proven.len();
        self.proven = proven;
        self.counts = Counts { pages, keys, filtered, restarts, long_keys, passes };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClusterScan, Walk};
    use super::*;
    use std::vec::Vec;

    type Scan = ClusterScan<[Walk; 1]>;

    fn core(proven: impl Iterator<Item = u16>) -> Core {
        let options = ScanOptions::new().pattern(b"a*");
        let mut core = Core::new(&options);
        for n in proven {
            core.proven.insert(Slot::new(n).unwrap());
        }
        core.counts = Counts { pages: 1, keys: u64::MAX, filtered: 3, restarts: 4, long_keys: 5, passes: 6 };
        core
    }

    fn saved(core: &Core) -> Vec<u8> {
        let mut out = [0; MAX_TOKEN];
        let len = core.save(&mut out).unwrap();
        out[..len].to_vec()
    }

    #[test]
    fn a_token_gives_back_the_proof_and_the_counts() {
        let options = ScanOptions::new().pattern(b"a*").count(7);
        for core in [core(0..0), core(0..16_384), core(100..5_000), core((0..16_384).step_by(2))] {
            let token = saved(&core);
            assert!(token.is_ascii());
            let scan = Scan::restore(&options, [Walk::IDLE; 1], &token).unwrap();
            assert_eq!(scan.certificate().proven(), &core.proven);
            assert_eq!(scan.certificate().counts(), &core.counts);
            let short = core.save(&mut [0; 10]).unwrap_err();
            assert_eq!(short.needed, token.len());
        }
        assert_eq!(saved(&core((0..16_384).step_by(2))).len(), MAX_TOKEN);
        assert!(saved(&core(100..5_000)).len() < 140);
    }

    #[test]
    fn damage_is_found() {
        let options = ScanOptions::new().pattern(b"a*");
        let restore = |token: &[u8]| Scan::restore(&options, [Walk::IDLE; 1], token).map(|_| ()).unwrap_err();
        let token = saved(&core((5..16_000).step_by(3_000)));
        for at in 0..token.len() {
            let mut bad = token.clone();
            bad[at] = if bad[at] == b'0' { b'1' } else { b'0' };
            assert!(matches!(restore(&bad), RestoreError::Damaged | RestoreError::Version), "{at}");
            assert!(matches!(restore(&token[..at]), RestoreError::Damaged | RestoreError::Version), "{at}");
        }
        let mut longer = token.clone();
        longer.extend_from_slice(b"00");
        assert_eq!(restore(&longer), RestoreError::Damaged);
        assert_eq!(restore(b"SW2-00"), RestoreError::Version);
        let other = ScanOptions::new().type_name(b"a*");
        let other = Scan::restore(&other, [Walk::IDLE; 1], &token).map(|_| ()).unwrap_err();
        assert_eq!(other, RestoreError::OtherScan);
    }
}
