//! What a node knows of one connection.

use super::tracking::Tracking;
use super::users::DEFAULT;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

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
pub(super) type Words = [Vec<u8>];

/// Commands held until EXEC.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// With the number of each on the connection.
    pub(super) queued: Vec<(u64, Vec<Vec<u8>>)>,
    /// A command was refused while queueing: EXEC will not run anything.
    pub(super) refused: bool,
}

/// What a blocked command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitFor {
    /// A list under one of its keys.
    Keys,
    /// That many replicas to have what this connection wrote.
    Replicas(usize),
}

/// A blocked command.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) words: Vec<Vec<u8>>,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) what: WaitFor,
    pub(super) deadline: Option<Duration>,
    /// Its number on the connection.
    pub(super) number: u64,
}

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    On,
    Off,
    /// Not to the command after this one.
    SkipNext,
    /// Not to this command.
    Skip,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) node: usize,
    pub(super) user: Vec<u8>,
    pub(super) resp3: bool,
    pub(super) authenticated: bool,
    pub(super) name: Vec<u8>,
    /// The last command was ASKING, or it was in front of the open MULTI.
    pub(super) asking: bool,
    pub(super) readonly: bool,
    pub(super) transaction: Option<Transaction>,
    pub(super) tracking: Option<Tracking>,
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
    pub(super) replies: Replies,
    /// Commands that came while the connection, or its node, could not run any.
    pub(super) inbox: VecDeque<Vec<Vec<u8>>>,
    /// Commands run or refused so far.
    pub(super) number: u64,
    pub(super) wait: Option<Wait>,
    /// The first command of `inbox` waits for the node's writes to be let on.
    pub(super) held: bool,
    /// Position in the node's history after its last write.
    pub(super) wrote_at: u64,
    /// A script of it is running.
    pub(super) in_script: bool,
    /// Its transaction is running.
    pub(super) in_exec: bool,
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
            tracking: None,
            watched: BTreeSet::new(),
            touched: false,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            out: Vec::new(),
            behind: Vec::new(),
            closing: false,
            user: DEFAULT.to_vec(),
            replies: Replies::On,
            inbox: VecDeque::new(),
            number: 0,
            wait: None,
            held: false,
            wrote_at: 0,
            in_script: false,
            in_exec: false,
        }
    }

    /// The connection is gone: nothing more is sent or run.
    pub(super) fn cut(&mut self) {
        self.closing = true;
        self.out.clear();
        self.behind.clear();
        self.inbox.clear();
        self.wait = None;
    }

    /// RESP2 with a subscription: only a few commands are allowed.
    pub(super) fn restricted(&self) -> bool {
        !self.resp3 && self.subscribed()
    }

    pub(super) fn subscribed(&self) -> bool {
        self.plain_count() + self.shard_channels.len() > 0
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
