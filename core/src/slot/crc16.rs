//! CRC16/XMODEM: polynomial 0x1021, initial value 0, no reflection, no final XOR.

/// CRC16/XMODEM of `bytes` (Redis cluster specification, appendix A); `crc16(b"123456789")` is 0x31C3.
#[must_use]
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    #[cfg(feature = "fast-crc")]
    return fast::crc16(bytes);
    #[cfg(not(feature = "fast-crc"))]
    small::crc16(bytes)
}

/// One table of 512 bytes, one byte a step. Also the oracle of the fast form in tests.
#[cfg(any(test, not(feature = "fast-crc")))]
pub(super) mod small {
    use crc::{CRC_16_XMODEM, Crc, Table};

    static XMODEM: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_XMODEM);

    pub(in crate::slot) fn crc16(bytes: &[u8]) -> u16 {
        XMODEM.checksum(bytes)
    }
}

/// Eight tables of 512 bytes, eight bytes a step.
#[cfg(any(test, feature = "fast-crc"))]
pub(super) mod fast {
    const POLYNOMIAL: u16 = 0x1021;

    type Table = [u16; 256];

    /// `TABLES[n][b]` is the CRC of byte `b` followed by `n` zero bytes.
    static TABLES: [Table; 8] = tables();

    #[expect(clippy::indexing_slicing, reason = "evaluated at compile time only, where a bad index fails the build")]
    const fn tables() -> [Table; 8] {
        let mut out = [[0; 256]; 8];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = (byte as u16) << 8;
            let mut zeros = 0;
            while zeros < 8 {
                let mut bit = 0;
                while bit < 8 {
                    crc = if crc & 0x8000 != 0 { (crc << 1) ^ POLYNOMIAL } else { crc << 1 };
                    bit += 1;
                }
                out[zeros][byte] = crc;
                zeros += 1;
            }
            byte += 1;
        }
        out
    }

    /// A byte always is an index of a table of 256, which the compiler sees: no branch is left.
    #[inline(always)]
    fn at(table: &Table, byte: u8) -> u16 {
        table.get(usize::from(byte)).copied().unwrap_or(0)
    }

    #[inline]
    pub(in crate::slot) fn crc16(bytes: &[u8]) -> u16 {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
        let mut crc = 0_u16;
        let mut rest = bytes;
        while let Some((&[a, b, c, d, e, f, g, h], tail)) = rest.split_first_chunk::<8>() {
            // Grouped so that only two look-ups and two XORs wait for the step before: left to right costs a third more.
            let ahead = (at(t5, c) ^ at(t4, d)) ^ (at(t3, e) ^ at(t2, f)) ^ (at(t1, g) ^ at(t0, h));
            let [high, low] = crc.to_be_bytes();
            crc = (at(t7, a ^ high) ^ at(t6, b ^ low)) ^ ahead;
            rest = tail;
        }
        if let Some((&[a, b, c, d], tail)) = rest.split_first_chunk::<4>() {
            let [high, low] = crc.to_be_bytes();
            crc = (at(t3, a ^ high) ^ at(t2, b ^ low)) ^ (at(t1, c) ^ at(t0, d));
            rest = tail;
        }
        for &byte in rest {
            let [high, low] = crc.to_be_bytes();
            crc = (u16::from(low) << 8) ^ at(t0, byte ^ high);
        }
        crc
    }
}
