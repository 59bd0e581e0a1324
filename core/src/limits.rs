//! What a peer may make the parser believe.

/// Limits checked before a length, a count or a depth from the peer is believed. All comparisons are made as `u64`.
///
/// The defaults are what real servers need; [`Limits::HANDSHAKE`] is what a peer gets until it has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Longest status, error, number, double or big-number line in bytes, without its CRLF. A server may send
    /// a status line of more than 1 MB (a script's `status_reply`).
    pub line: u64,
    /// Longest bulk, verbatim or blob error in bytes (`proto-max-bulk-len` is 512 MiB by default).
    pub bulk: u64,
    /// Most elements of one aggregate as its header counts them: elements of arrays, sets and pushes, pairs of
    /// maps and attributes. At most 2^31 - 1 whatever is set here.
    pub elements: u64,
    /// Deepest nesting of aggregates in one reply. A deeper reply is skipped to its end and reported as too deep.
    pub depth: u16,
    /// Most bytes of one whole top-level value, attributes in front of it included.
    pub frame: u64,
    /// Most attributes in front of one value.
    pub attributes: u16,
}

impl Limits {
    /// What established connections get: line 1 MiB, bulk 512 MiB, elements 2^31-1, depth 128, frame without bound.
    pub const DEFAULT: Self =
        Self { line: 1 << 20, bulk: 512 << 20, elements: (1 << 31) - 1, depth: 128, frame: u64::MAX, attributes: 16 };

    /// What a peer gets before the handshake is done: a HELLO reply fits, little else does.
    pub const HANDSHAKE: Self =
        Self { line: 4 << 10, bulk: 4 << 10, elements: 1 << 10, depth: 8, frame: 64 << 10, attributes: 4 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
