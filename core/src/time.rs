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
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
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
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.as_micros().saturating_sub(earlier.as_micros()))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
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

/// A point in time as tables keep it: in ticks of 1,024 microseconds, in 32 bits, so good for 25 days around a known
/// instant. 0 stands for "never".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u32);

impl Stamp {
    /// No point in time.
    pub(crate) const NEVER: Self = Self(0);
    /// The longest time between a stamp and the instants it is compared with: about 24 days.
    pub(crate) const REACH: Duration = Duration::from_secs(24 * 86_400);

    /// The first tick that is not before the instant.
    pub(crate) const fn at(instant: Instant) -> Self {
        Self::of((instant.as_micros().saturating_add(1_023) >> 10) as u32)
    }

    /// The last tick that is not after the instant.
    pub(crate) const fn before(instant: Instant) -> Self {
        Self::of((instant.as_micros() >> 10) as u32)
    }

    const fn of(ticks: u32) -> Self {
        Self(if ticks == 0 { 1 } else { ticks })
    }

    /// As a number, to keep it where other numbers are.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// From [`Stamp::bits`].
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether this is a point in time.
    pub(crate) const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Whether it has come by `now`; never comes never.
    pub(crate) const fn is_due(self, now: Instant) -> bool {
        self.is_some() && self.ahead(now) <= 0
    }

    /// How many ticks of 1,024 microseconds are left until then; none if it has come, or is never.
    pub(crate) const fn left(self, now: Instant) -> u32 {
        let ahead = self.ahead(now);
        if self.is_some() && ahead > 0 { ahead.unsigned_abs() } else { 0 }
    }

    /// A span in ticks; what is longer than 50 days ends there.
    pub(crate) const fn ticks(span: Duration) -> u32 {
        let ticks = span.as_micros() >> 10;
        if ticks < u32::MAX as u64 { ticks as u32 } else { u32::MAX }
    }

    /// How many ticks it lies ahead of `now`.
    const fn ahead(self, now: Instant) -> i32 {
        self.0.wrapping_sub((now.as_micros() >> 10) as u32) as i32
    }

    /// The instant of the tick, which is within 24 days of `now`.
    pub(crate) const fn near(self, now: Instant) -> Option<Instant> {
        if !self.is_some() {
            return None;
        }
        let ticks = (now.as_micros() >> 10).saturating_add_signed(self.ahead(now) as i64);
        Some(Instant::from_micros(ticks << 10))
    }

    /// This, or the first tick not before the instant if that comes first; both are within 24 days of `now`.
    pub(crate) fn or_earlier(self, at: Option<Instant>, now: Instant) -> Self {
        earlier(self.near(now), at).map_or(Self::NEVER, Self::at)
    }

    /// Whether it is a point in time less than `span` before `now`. What lies ahead is taken for one of weeks ago.
    pub(crate) fn is_recent(self, now: Instant, span: Duration) -> bool {
        self.is_some() && self.ahead(now) <= 1 && self.age(now) < span
    }

    /// The time from the tick to `now`, zero if it lies ahead (or never was).
    pub(crate) const fn age(self, now: Instant) -> Duration {
        let ahead = self.ahead(now);
        let ticks = if ahead < 0 && self.is_some() { ahead.unsigned_abs() } else { 0 };
        Duration::from_micros((ticks as u64) << 10)
    }
}

/// A span of time as tables keep it, in 32 bits: exact to the microsecond up to 35 minutes, and to the millisecond
/// (rounded up) up to 24 days, where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(u32);

impl Span {
    /// Set: the other bits are milliseconds.
    const MILLIS: u32 = 1 << 31;
    /// No span: what `None` is packed to.
    const NONE: Self = Self(u32::MAX);

    pub(crate) const fn of(span: Duration) -> Self {
        let us = span.as_micros();
        if us < Self::MILLIS as u64 {
            return Self(us as u32);
        }
        let ms = us.div_ceil(1_000);
        let most = Self::MILLIS - 2;
        Self(Self::MILLIS | if ms < most as u64 { ms as u32 } else { most })
    }

    pub(crate) const fn of_option(span: Option<Duration>) -> Self {
        match span {
            Some(span) => Self::of(span),
            None => Self::NONE,
        }
    }

    pub(crate) const fn get(self) -> Duration {
        let number = (self.0 & !Self::MILLIS) as u64;
        if self.0 & Self::MILLIS == 0 { Duration::from_micros(number) } else { Duration::from_millis(number) }
    }

    pub(crate) const fn option(self) -> Option<Duration> {
        if self.0 == Self::NONE.0 { None } else { Some(self.get()) }
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
    fn stamps_are_near() {
        for base in [0, 1, 1_023, 1_024, u64::from(u32::MAX) << 10, (1 << 50) + 77, (1 << 62) + 12_345] {
            let now = Instant::from_micros(base);
            for ahead in [0, 1, 1_024, 5_000_000, Stamp::REACH.as_micros()] {
                let then = Instant::from_micros(base + ahead);
                let stamp = Stamp::at(then);
                let read = stamp.near(now).unwrap();
                // Near the epoch the first tick stands for the zeroth, which means "never".
                assert!(read >= then && read.since(then).as_micros() <= 2_048, "{base} {ahead}");
                assert!(stamp.is_due(read) && (ahead < 4_096 || !stamp.is_due(now)));
                assert_eq!(stamp.near(then), Some(read), "seen from both sides");
                assert!(Stamp::before(now).age(then).as_micros().abs_diff(ahead) <= 2_048);
            }
        }
        assert!(!Stamp::NEVER.is_due(Instant::from_micros(u64::MAX)));
        assert_eq!(Stamp::NEVER.near(Instant::EPOCH), None);
        assert_eq!(Stamp::at(Instant::from_micros(1 << 40)).age(Instant::EPOCH), Duration::ZERO);
    }

    #[test]
    fn spans_are_kept() {
        for us in [0, 1, 999, 1_000_000, (1 << 31) - 1] {
            assert_eq!(Span::of(Duration::from_micros(us)).get(), Duration::from_micros(us));
        }
        assert_eq!(Span::of(Duration::from_micros(1 << 31)).get(), Duration::from_millis(2_147_484));
        assert_eq!(Span::of(Duration::from_secs(3_600)).get(), Duration::from_secs(3_600));
        let most = Span::of(Duration::from_micros(u64::MAX)).get();
        assert!(most > Duration::from_secs(24 * 86_400));
        assert_eq!(Span::of_option(Some(most)).option(), Some(most));
        assert_eq!(Span::of_option(None).option(), None);
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
