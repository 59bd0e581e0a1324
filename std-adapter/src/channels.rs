//! The tables of a subscriber on the heap.

use slotwise::pubsub::{Bucket, Channel, Link, Parts, Storage, View};

/// Tables that grow.
#[derive(Debug)]
pub(crate) struct Channels {
    channels: Vec<Channel>,
    buckets: Vec<Bucket>,
    links: Vec<Link>,
    names: Vec<u8>,
}

impl Channels {
    pub(crate) fn new() -> Self {
        Self {
            channels: vec![Channel::EMPTY; 32],
            buckets: vec![Bucket::EMPTY; 32],
            links: vec![Link::EMPTY; 16],
            names: vec![0; 4096],
        }
    }

    /// Twice as many channels.
    pub(crate) fn more_channels(&mut self) {
        let count = self.channels.len() * 2;
        self.channels.resize(count, Channel::EMPTY);
        self.buckets.resize(count, Bucket::EMPTY);
    }

    /// Room for a name of that length, and as much again as there was.
    pub(crate) fn more_names(&mut self, len: usize) {
        let total = self.names.len() * 2 + len + 8;
        self.names.resize(total, 0);
    }

    /// Places for the nodes of a cluster, and for those they replace.
    pub(crate) fn nodes(&mut self, count: usize) {
        if self.links.len() < 2 * count {
            self.links.resize(2 * count, Link::EMPTY);
        }
    }
}

impl Storage for Channels {
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
