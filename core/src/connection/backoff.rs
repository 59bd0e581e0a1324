//! How long to wait before the next dial.

use crate::rand::Rand;
use crate::time::Duration;

/// The bounds of a [`Backoff`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BackoffPolicy {
    /// Ceiling of the first delay; it doubles with each attempt.
    pub base: Duration,
    /// Ceiling that doubling stops at.
    pub cap: Duration,
}

impl BackoffPolicy {
    /// 50 ms, doubling up to 10 s.
    pub const DEFAULT: Self = Self { base: Duration::from_millis(50), cap: Duration::from_secs(10) };

    /// The ceiling after `attempts` failed attempts.
    #[must_use]
    pub const fn ceiling(&self, attempts: u8) -> Duration {
        let shift = if attempts < 63 { attempts } else { 63 };
        let grown = self.base.saturating_mul(1 << shift);
        if grown.as_micros() < self.cap.as_micros() { grown } else { self.cap }
    }
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Exponential back-off with full jitter. The ceiling is capped before the jitter is drawn: jittering first and
/// capping afterwards would make every client of a fleet that has long been failing wait exactly the cap.
///
/// It is the endpoint's, not the connection's: [`reset`](Self::reset) belongs after a handshake that became Ready
/// *and* a useful reply on that connection. A server that accepts, greets and drops would otherwise be dialled in a
/// tight loop.
///
/// The greater one has more failed attempts: where two connections lead to one endpoint, that is the endpoint's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Backoff {
    attempts: u8,
}

impl Backoff {
    /// No failed attempt yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { attempts: 0 }
    }

    /// Attempts since the last [`reset`](Self::reset), counting stops at 255.
    #[must_use]
    pub const fn attempts(&self) -> u8 {
        self.attempts
    }

    /// The delay before the next attempt, between zero and the ceiling, and counts the attempt.
    pub fn next_delay(&mut self, rand: &mut Rand, policy: &BackoffPolicy) -> Duration {
        let ceiling = policy.ceiling(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        rand.jitter(ceiling)
    }

    /// The endpoint has proved itself: the next failure starts from the base again.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_then_stays_at_the_cap_with_jitter_over_the_whole_range() {
        let policy = BackoffPolicy::DEFAULT;
        let ceilings = [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000];
        for (attempts, ms) in ceilings.into_iter().enumerate() {
            assert_eq!(policy.ceiling(attempts as u8), Duration::from_millis(ms));
        }
        assert_eq!(policy.ceiling(255), policy.cap);

        let mut rand = Rand::new(3);
        let mut backoff = Backoff::new();
        for _ in 0..300 {
            let ceiling = policy.ceiling(backoff.attempts());
            assert!(backoff.next_delay(&mut rand, &policy) <= ceiling);
        }
        assert_eq!(backoff.attempts(), 255);

        // Long after the cap is reached the delays must still spread: no two clients in step.
        let mut low = 0;
        for _ in 0..1_000 {
            low += u32::from(backoff.next_delay(&mut rand, &policy) < Duration::from_secs(5));
        }
        assert!((400..600).contains(&low), "{low}");

        backoff.reset();
        assert!(backoff.next_delay(&mut rand, &policy) <= policy.base);
    }

    #[test]
    fn odd_policies_do_not_overflow() {
        let policy = BackoffPolicy { base: Duration::from_micros(u64::MAX), cap: Duration::from_micros(u64::MAX) };
        assert_eq!(policy.ceiling(63), policy.cap);
        let zero = BackoffPolicy { base: Duration::ZERO, cap: Duration::ZERO };
        assert_eq!(Backoff::new().next_delay(&mut Rand::new(1), &zero), Duration::ZERO);
    }
}
