//! What the fuzz targets share.

pub mod connection;
#[cfg(feature = "sim")]
pub mod simulated;
pub mod topology;

/// How an input is to be cut and what limits apply, from its first two bytes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    seed: u32,
    /// Use tiny limits, so that small inputs reach them.
    pub tiny: bool,
    /// A small number of the target's own use.
    pub choice: u8,
}

impl Plan {
    /// Takes the plan off the front of the input.
    pub fn split(data: &[u8]) -> Option<(Self, &[u8])> {
        let (&[seed, flags], rest) = data.split_first_chunk()?;
        Some((Self { seed: u32::from(seed), tiny: flags & 1 != 0, choice: flags >> 1 }, rest))
    }

    /// The ends of the pieces of `len` bytes, ascending, the last one `len`.
    pub fn cuts(self, len: usize) -> impl Iterator<Item = usize> {
        let mut state = self.seed.wrapping_mul(0x9e37_79b9) | 1;
        // Every fourth seed gives single bytes only; the others mix small and larger pieces.
        let most = match self.seed % 4 {
            0 => 1,
            1 => 3,
            2 => 17,
            _ => 300,
        };
        let mut at = 0;
        core::iter::from_fn(move || {
            if at >= len {
                return None;
            }
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            at = len.min(at + 1 + (state >> 16) as usize % most);
            Some(at)
        })
    }
}
