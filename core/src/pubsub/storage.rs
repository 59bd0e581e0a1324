//! The memory behind a reconciler.

use super::channel::{Channel, Link, NIL};
use core::fmt;

/// A hash bucket; 8 bytes. As many as channels are fast, one is enough.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    pub(crate) name: u32,
    pub(crate) group: u32,
}

impl Bucket {
    /// An empty bucket.
    pub const EMPTY: Self = Self { name: NIL, group: NIL };
}

/// The tables, to change them.
#[derive(Debug)]
pub struct Parts<'a> {
    /// One for each channel that may be wanted, or is being unsubscribed, at a time.
    pub channels: &'a mut [Channel],
    /// At least one.
    pub buckets: &'a mut [Bucket],
    /// One for each node with subscriptions.
    pub links: &'a mut [Link],
    /// The names, each with 8 bytes in front.
    pub names: &'a mut [u8],
}

/// The tables, to read them.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The channels.
    pub channels: &'a [Channel],
    /// The hash buckets.
    pub buckets: &'a [Bucket],
    /// The nodes.
    pub links: &'a [Link],
    /// The names.
    pub names: &'a [u8],
}

/// Whoever owns or borrows the tables. It lends the same tables with the same contents every time.
pub trait Storage {
    /// The tables, to read them.
    fn view(&self) -> View<'_>;
    /// The tables, to change them.
    fn parts(&mut self) -> Parts<'_>;
}

impl Storage for Parts<'_> {
    fn view(&self) -> View<'_> {
        View { channels: self.channels, buckets: self.buckets, links: self.links, names: self.names }
    }

    fn parts(&mut self) -> Parts<'_> {
        Parts { channels: self.channels, buckets: self.buckets, links: self.links, names: self.names }
    }
}

/// Tables of fixed size: so many channels (and buckets), nodes, and bytes for names.
#[derive(Clone, Debug)]
pub struct StaticStorage<const CHANNELS: usize, const LINKS: usize, const NAMES: usize> {
    channels: [Channel; CHANNELS],
    buckets: [Bucket; CHANNELS],
    links: [Link; LINKS],
    names: [u8; NAMES],
}

impl<const CHANNELS: usize, const LINKS: usize, const NAMES: usize> StaticStorage<CHANNELS, LINKS, NAMES> {
    /// Empty tables; usable in a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            channels: [Channel::EMPTY; CHANNELS],
            buckets: [Bucket::EMPTY; CHANNELS],
            links: [Link::EMPTY; LINKS],
            names: [0; NAMES],
        }
    }
}

impl<const CHANNELS: usize, const LINKS: usize, const NAMES: usize> Default for StaticStorage<CHANNELS, LINKS, NAMES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CHANNELS: usize, const LINKS: usize, const NAMES: usize> Storage for StaticStorage<CHANNELS, LINKS, NAMES> {
    fn view(&self) -> View<'_> {
        View { channels: &self.channels, buckets: &self.buckets, links: &self.links, names: &self.names }
    }

    fn parts(&mut self) -> Parts<'_> {
        Parts {
            channels: &mut self.channels,
            buckets: &mut self.buckets,
            links: &mut self.links,
            names: &mut self.names,
        }
    }
}

/// A table is full: the channel is not wanted. Unwant others, or grow the storage, then try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Full {
    /// No place for another channel (or no bucket at all).
    Channels,
    /// No room for the name.
    Names,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channels => "no place for another channel",
            Self::Names => "no room for the name of the channel",
        })
    }
}

impl core::error::Error for Full {}
