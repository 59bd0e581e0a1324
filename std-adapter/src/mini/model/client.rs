//! What a node knows of one connection.

use std::collections::BTreeSet;

/// A connection to a node of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub(super) u64);

impl ClientId {
    /// The number a server shows for it in `CLIENT ID`.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

/// One command: its name and arguments.
pub(super) type Words = Vec<Vec<u8>>;

/// Commands held until EXEC.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) queued: Vec<Words>,
    /// A command was refused while queueing: EXEC will not run anything.
    pub(super) refused: bool,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) node: usize,
    pub(super) resp3: bool,
    pub(super) authenticated: bool,
    pub(super) name: Vec<u8>,
    /// The last command was ASKING, or it was in front of the open MULTI.
    pub(super) asking: bool,
    pub(super) readonly: bool,
    pub(super) transaction: Option<Transaction>,
    pub(super) watched: BTreeSet<Vec<u8>>,
    /// A watched key was touched.
    pub(super) touched: bool,
    pub(super) channels: BTreeSet<Vec<u8>>,
    pub(super) patterns: BTreeSet<Vec<u8>>,
    pub(super) shard_channels: BTreeSet<Vec<u8>>,
    /// Bytes for the peer.
    pub(super) out: Vec<u8>,
    /// Pushes that the running command caused on its own connection, held back until its reply is written.
    pub(super) behind: Vec<u8>,
    pub(super) closing: bool,
}

impl Client {
    pub(super) fn new(node: usize, authenticated: bool) -> Self {
        Client {
            node,
            resp3: false,
            authenticated,
            name: Vec::new(),
            asking: false,
            readonly: false,
            transaction: None,
            watched: BTreeSet::new(),
            touched: false,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            out: Vec::new(),
            behind: Vec::new(),
            closing: false,
        }
    }

    /// RESP2 with a subscription: only a few commands are allowed.
    pub(super) fn restricted(&self) -> bool {
        !self.resp3 && self.plain_count() + self.shard_channels.len() > 0
    }

    /// The count in confirmations of plain channels and patterns.
    pub(super) fn plain_count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    pub(super) fn unwatch(&mut self) {
        self.watched.clear();
        self.touched = false;
    }
}
