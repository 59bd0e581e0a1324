//! What to scan for and how hard to try.

use crate::slot::Slot;
use crate::time::Duration;

/// Options of a scan. Borrowed texts stay the caller's: they are needed again whenever a request is encoded
/// ([`ScanRequest::args`](super::ScanRequest::args)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ScanOptions<'a> {
    /// MATCH: a glob. Where its literal beginning holds a whole hash tag, only that slot's owner is asked.
    pub pattern: Option<&'a [u8]>,
    /// TYPE: a type name. Redis answers nothing for a name it does not know, Valkey 8.0 an error.
    pub type_name: Option<&'a [u8]>,
    /// COUNT of the first page of a walk; at least 1 is sent.
    pub count: u32,
    /// Whether COUNT follows the page latency.
    pub adapt: Option<Adapt>,
    /// Pages of a slot-wise walk between two looks at CLUSTER NODES; at least 1. More pages cost fewer replies (about 150
    /// bytes for each node of the cluster) and lose more work when the node's epoch changes.
    pub checkpoint: u16,
    /// Walks that may run on one node at a time once it is known to be slot-wise; at least 1.
    pub per_node: u8,
    /// What counts as complete.
    pub coverage: Coverage,
    /// Attempts of one walk that ended without a reply before its slots wait for the next pass.
    pub tries: u8,
    /// Passes in a row that may prove nothing new before the scan gives up.
    pub stalls: u16,
    /// Slots that may be walked again in all before the scan gives up.
    pub restarts: u32,
    /// Wait before a failed walk or a new pass; doubled with every pass that proved nothing, up to 64 times.
    pub delay: Duration,
}

impl<'a> ScanOptions<'a> {
    /// Every key, 512 a page, one walk a node, a checkpoint every 128 pages, strict coverage.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            pattern: None,
            type_name: None,
            count: 512,
            adapt: None,
            checkpoint: 128,
            per_node: 1,
            coverage: Coverage::Strict,
            tries: 4,
            stalls: 8,
            restarts: 1 << 17,
            delay: Duration::from_millis(100),
        }
    }

    /// With MATCH.
    #[must_use]
    pub const fn pattern(mut self, pattern: &'a [u8]) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// With TYPE.
    #[must_use]
    pub const fn type_name(mut self, name: &'a [u8]) -> Self {
        self.type_name = Some(name);
        self
    }

    /// With another COUNT.
    #[must_use]
    pub const fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// With a COUNT that follows the page latency.
    #[must_use]
    pub const fn adapt(mut self, adapt: Adapt) -> Self {
        self.adapt = Some(adapt);
        self
    }

    /// With other coverage.
    #[must_use]
    pub const fn coverage(mut self, coverage: Coverage) -> Self {
        self.coverage = coverage;
        self
    }

    /// With up to `walks` walks at a time on a slot-wise node.
    #[must_use]
    pub const fn per_node(mut self, walks: u8) -> Self {
        self.per_node = walks;
        self
    }
}

impl Default for ScanOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Bounds within which COUNT follows the page latency: doubled when a page took less than half of `target`, halved
/// when it took more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Adapt {
    /// Smallest COUNT.
    pub min: u32,
    /// Greatest COUNT.
    pub max: u32,
    /// Latency aimed at, from the request to the end of the page.
    pub target: Duration,
}

impl Adapt {
    /// The COUNT after a page of `count` that took `took`.
    #[must_use]
    pub(crate) fn next(self, count: u32, took: Duration) -> u32 {
        let next = if took > self.target {
            count / 2
        } else if took.saturating_mul(2) < self.target {
            count.saturating_mul(2)
        } else {
            count
        };
        next.min(self.max).max(self.min).max(1)
    }
}

/// What a scan needs to call itself complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Coverage {
    /// Every slot proven.
    #[default]
    Strict,
    /// Slots that nobody owns, or whose owner cannot be reached, may be missing; the certificate still lists them.
    AllowUncovered,
}

/// The one slot that keys matching the glob can lie in, when its text fixes it: it has no wildcard at all, or the
/// first `{` and the `}` that ends a non-empty tag both stand before the first of `*`, `?`, `[` and `\`.
#[must_use]
pub fn fixed_slot(pattern: &[u8]) -> Option<Slot> {
    let literal = pattern.iter().position(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'));
    let Some(literal) = literal else { return Some(Slot::of_key(pattern)) };
    let literal = pattern.get(..literal)?;
    let open = literal.iter().position(|&byte| byte == b'{')?;
    let after = literal.get(open.checked_add(1)?..)?;
    let len = after.iter().position(|&byte| byte == b'}')?;
    // `{}`: the whole key is hashed, wildcard and all.
    if len == 0 {
        return None;
    }
    Some(Slot::of_key(literal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_tag_fixes_the_slot() {
        let of = |key: &[u8]| Some(Slot::of_key(key));
        assert_eq!(fixed_slot(b"{tag}*"), of(b"{tag}"));
        assert_eq!(fixed_slot(b"user:{tag}:*"), of(b"tag"));
        assert_eq!(fixed_slot(b"plain"), of(b"plain"));
        assert_eq!(fixed_slot(b""), of(b""));
        assert_eq!(fixed_slot(b"{a}{b*"), of(b"a"));
        for open in [&b"*{tag}"[..], b"{ta*g}", b"{tag*", b"{}*", b"{}{a}*", b"ta?", b"{t\\}a}*", b"a[b]{c}", b"*"] {
            assert_eq!(fixed_slot(open), None, "{open:?}");
        }
    }

    #[test]
    fn count_stays_within_bounds() {
        let adapt = Adapt { min: 10, max: 1000, target: Duration::from_millis(10) };
        assert_eq!(adapt.next(100, Duration::from_millis(1)), 200);
        assert_eq!(adapt.next(100, Duration::from_millis(11)), 50);
        assert_eq!(adapt.next(100, Duration::from_millis(7)), 100);
        assert_eq!(adapt.next(900, Duration::ZERO), 1000);
        assert_eq!(adapt.next(11, Duration::from_secs(1)), 10);
        let zero = Adapt { min: 0, max: 0, target: Duration::ZERO };
        assert_eq!(zero.next(0, Duration::from_secs(1)), 1);
    }
}
