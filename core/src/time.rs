//! Points in time and spans, in microseconds.
//!
//! The core has no clock: every call that needs the time takes an [`Instant`] from the caller. Only differences
//! matter, so the epoch may be anything that does not go backwards (uptime is fine).

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, Sub};

/// Microseconds, kept plus one, so that an `Option` of them is as small: the tables of a small device are full of
/// those. The greatest number of microseconds is one less than a `u64` holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Micros(NonZeroU64);

impl Micros {
    const fn new(us: u64) -> Self {
        match NonZeroU64::MIN.checked_add(us) {
            Some(kept) => Self(kept),
            None => Self(NonZeroU64::MAX),
        }
    }

    const fn get(self) -> u64 {
        // At least one, so this does not wrap.
        self.0.get().wrapping_sub(1)
    }
}

impl Default for Micros {
    fn default() -> Self {
        Self::new(0)
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Micros {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u64}", self.get());
    }
}

/// A span of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Duration(Micros);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self::from_micros(0);

    /// A span of `us` microseconds.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(Micros::new(us))
    }

    /// A span of `ms` milliseconds; saturates.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self::from_micros(ms.saturating_mul(1_000))
    }

    /// A span of `s` seconds; saturates.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self::from_micros(s.saturating_mul(1_000_000))
    }

    /// The span in whole microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0.get()
    }

    /// The span in whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.as_micros() / 1_000
    }

    /// The span times `n`; saturates.
    #[must_use]
    pub const fn saturating_mul(self, n: u64) -> Self {
        Self::from_micros(self.as_micros().saturating_mul(n))
    }

    /// The sum of two spans; saturates.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self::from_micros(self.as_micros().saturating_add(other.as_micros()))
    }
}

impl From<core::time::Duration> for Duration {
    /// Saturates at `u64::MAX - 1` microseconds.
    fn from(d: core::time::Duration) -> Self {
        let s = d.as_secs().saturating_mul(1_000_000);
        Self::from_micros(s.saturating_add(u64::from(d.subsec_micros())))
    }
}

impl From<Duration> for core::time::Duration {
    fn from(d: Duration) -> Self {
        Self::from_micros(d.as_micros())
    }
}

/// A point in time, in microseconds since an epoch of the caller's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(Micros);

impl Instant {
    /// The caller's epoch.
    pub const EPOCH: Self = Self::from_micros(0);

    /// The instant `us` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(Micros::new(us))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0.get()
    }

    /// The time from `earlier` to `self`, zero when `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.as_micros().saturating_sub(earlier.as_micros()))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time.
    fn add(self, d: Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_add(d.as_micros()))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// Saturates at the epoch.
    fn sub(self, d: Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_sub(d.as_micros()))
    }
}

/// The earlier of two optional instants, where `None` means never.
#[must_use]
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant::from_micros(5) - Duration::from_secs(1), Instant::EPOCH);
        assert_eq!(Instant::from_micros(u64::MAX) + Duration::from_secs(1), Instant::from_micros(u64::MAX));
        assert_eq!(Instant::from_micros(3).since(Instant::from_micros(9)), Duration::ZERO);
        assert_eq!(Duration::from_secs(u64::MAX).as_micros(), u64::MAX - 1);
        assert_eq!(Instant::EPOCH.as_micros(), 0);
        assert_eq!(size_of::<Option<Instant>>(), size_of::<Instant>());
        assert_eq!(std::format!("{:?}", Duration::from_micros(7)), "Duration(7)");
    }

    #[test]
    fn never_is_none() {
        let a = Some(Instant::from_micros(1));
        let b = Some(Instant::from_micros(2));
        assert_eq!(earlier(a, b), a);
        assert_eq!(earlier(None, b), b);
        assert_eq!(earlier(None, None), None);
    }
}
