//! A seeded PCG32, the core's only source of jitter.

use crate::time::Duration;

/// PCG-XSH-RR with 64 bits of state. Not for secrets.
///
/// Two cores with the same seed draw the same numbers: firmware must mix in something of its own (a device id),
/// or a fleet that boots together also retries together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rand {
    state: u64,
}

const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
const INCREMENT: u64 = 1_442_695_040_888_963_407;

impl Rand {
    /// A generator whose whole future is fixed by `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let mut rand = Self { state: seed.wrapping_add(INCREMENT) };
        rand.step();
        rand
    }

    const fn step(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
    }

    /// The next 32 bits.
    pub const fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.step();

        let xored = (((old >> 18) ^ old) >> 27) as u32;
        xored.rotate_right((old >> 59) as u32)
    }

    /// A number below `n`, or 0 when `n` is 0. The bias is under `n / 2^32`.
    pub const fn below(&mut self, n: u32) -> u32 {
        ((self.next_u32() as u64 * n as u64) >> 32) as u32
    }

    /// Full jitter: a span between zero and `max`, both included.
    pub const fn jitter(&mut self, max: Duration) -> Duration {
        let wide = max.as_micros() as u128 * (self.next_u32() as u128 + 1);
        Duration::from_micros((wide >> 32) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_numbers() {
        let (mut a, mut b) = (Rand::new(7), Rand::new(7));
        let mut other = Rand::new(8);
        let mut differs = false;
        for _ in 0..100 {
            let x = a.next_u32();
            assert_eq!(x, b.next_u32());
            differs |= x != other.next_u32();
        }
        assert!(differs);
    }

    #[test]
    fn below_and_jitter_stay_in_bounds() {
        let mut r = Rand::new(1);
        let max = Duration::from_millis(10);
        let mut seen = [0u32; 4];
        for _ in 0..1_000 {
            seen[r.below(4) as usize] += 1;
            assert!(r.jitter(max) <= max);
        }
        assert!(seen.iter().all(|n| *n > 150), "{seen:?}");
        assert_eq!(r.below(0), 0);
    }
}
