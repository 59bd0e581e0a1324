//! One level of nesting, in memory the caller lends.

/// One open aggregate. Eight bytes; a reader that follows replies nested `n` deep needs `n` of them.
///
/// The content is the reader's own business: lend an array of [`Level::EMPTY`] and keep it untouched while a
/// value is half read.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Level {
    /// Values still to begin here. At least 1 while a child or an attribute in front of one is awaited.
    pub(super) remaining: u32,
    /// Attributes so far in front of the value that is awaited.
    pub(super) attributes: u16,
    /// `Level::*` bits; a child level inherits [`Level::INHERITED`].
    pub(super) flags: u8,
}

const _: () = assert!(size_of::<Level>() <= 8);

impl Level {
    /// A level that holds nothing.
    pub const EMPTY: Self = Self { remaining: 0, attributes: 0, flags: 0 };

    /// Where a top-level value is awaited.
    pub(super) const ROOT: Self = Self { remaining: 1, attributes: 0, flags: 0 };

    /// Inside an attribute.
    pub(super) const ATTRIBUTE: u8 = 1;
    /// Inside a push that was found inside another value.
    pub(super) const OUT_OF_BAND: u8 = 1 << 1;
    /// Inside any push.
    pub(super) const PUSH: u8 = 1 << 2;
    /// What the children of a level have in common with it.
    pub(super) const INHERITED: u8 = Self::ATTRIBUTE | Self::OUT_OF_BAND | Self::PUSH;
    /// This level stands for everything below the depth limit; more of its count may be in `TokenState::fold`.
    pub(super) const FOLD: u8 = 1 << 3;
    /// A streamed aggregate: `remaining` only goes round, its lowest bit is the parity of the values seen.
    pub(super) const STREAMED: u8 = 1 << 4;
    /// A streamed map, which cannot end after a key.
    pub(super) const STREAMED_MAP: u8 = 1 << 5;

    /// Where `remaining` of a streamed aggregate starts, and starts again: even, and not 0.
    pub(super) const STREAMED_START: u32 = u32::MAX - 1;
}
