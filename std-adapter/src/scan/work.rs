//! What a scan and its UNLINK commands have in flight, and what came of it since the last look.

use std::collections::{HashMap, VecDeque};
use std::time::Instant as StdInstant;

use slotwise::cluster::CloseReason;
use slotwise::ids::{CommandId, ConnId, NodeId};
use slotwise::pipeline::Failure;
use slotwise::resp::Frame;
use slotwise::scan::Ticket;

use crate::driver::{Reply, Work};
use crate::error::{Error, ServerReply};

/// Tags with this bit are of scans: a batch that runs after an unfinished scan ignores them.
const TAGS: u64 = 1 << 63;

/// Something the scan must hear of, in the order in which it happened.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A reply, and when it came. `proof`: it answers CLUSTER NODES.
    Reply { ticket: Ticket, proof: bool, at: StdInstant, bytes: Vec<u8> },
    /// A request ended without a reply.
    Failed(Ticket),
    /// A connection to the node was lost.
    Lost(NodeId),
}

/// A request in flight.
#[derive(Debug)]
struct Request {
    id: Option<CommandId>,
    node: NodeId,
    ticket: Ticket,
    proof: bool,
    bytes: Vec<u8>,
}

/// An UNLINK in flight.
#[derive(Debug)]
pub(crate) struct Unlink {
    pub(crate) id: Option<CommandId>,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) bytes: Vec<u8>,
}

/// What the UNLINK commands came to.
#[derive(Debug, Default)]
pub(crate) struct Unlinks {
    in_flight: HashMap<u64, Unlink>,
    /// Keys of the commands in flight.
    pub(crate) keys_in_flight: usize,
    pub(crate) unlinked: u64,
    pub(crate) failed: u64,
    pub(crate) first_error: Option<Error>,
    /// Keys of commands that failed as a whole: to be tried one by one.
    pub(crate) again: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
pub(crate) struct ScanWork {
    requests: HashMap<u64, Request>,
    pub(crate) happened: VecDeque<Happening>,
    /// Memory of pages that were read.
    spare: Vec<Vec<u8>>,
    pub(crate) unlinks: Unlinks,
    /// The last request that ended without a reply, for error texts.
    pub(crate) last_failure: Option<Failure>,
}

impl ScanWork {
    /// A tag that no other work uses.
    pub(crate) fn tag(counter: &mut u64) -> u64 {
        *counter = counter.wrapping_add(1);
        TAGS | *counter
    }

    /// An empty buffer.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps a buffer's memory for the next page.
    pub(crate) fn keep(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < 64 && buffer.capacity() <= 1 << 20 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    pub(crate) fn sent(&mut self, tag: u64, node: NodeId, ticket: Ticket, proof: bool, bytes: Vec<u8>) {
        self.requests.insert(tag, Request { id: None, node, ticket, proof, bytes });
    }

    /// The engine took the command.
    pub(crate) fn accepted(&mut self, tag: u64, id: CommandId) {
        if let Some(request) = self.requests.get_mut(&tag) {
            request.id = Some(id);
        } else if let Some(unlink) = self.unlinks.in_flight.get_mut(&tag) {
            unlink.id = Some(id);
        }
    }

    /// Forgets requests (to one node, or all) and names them to be cancelled.
    pub(crate) fn forget(&mut self, node: Option<NodeId>) -> Vec<CommandId> {
        let forgotten = self.requests.extract_if(|_, request| node.is_none_or(|node| node == request.node));
        forgotten.filter_map(|(_, request)| request.id).collect()
    }

    /// Forgets everything, and names what is to be cancelled: the bytes go with this.
    pub(crate) fn abandon(&mut self) -> Vec<CommandId> {
        let mut ids = self.forget(None);
        ids.extend(self.unlinks.in_flight.drain().filter_map(|(_, unlink)| unlink.id));
        ids
    }

    pub(crate) fn refused(&mut self, tag: u64) {
        self.requests.remove(&tag);
    }

    pub(crate) fn unlink(&mut self, tag: u64, unlink: Unlink) {
        self.unlinks.keys_in_flight += unlink.keys.len();
        self.unlinks.in_flight.insert(tag, unlink);
    }
}

impl Unlinks {
    fn take(&mut self, tag: u64) -> Option<Unlink> {
        let unlink = self.in_flight.remove(&tag)?;
        self.keys_in_flight = self.keys_in_flight.saturating_sub(unlink.keys.len());
        Some(unlink)
    }

    fn reply(&mut self, unlink: Unlink, frame: &Frame<'_>) {
        match (frame.integer().and_then(|n| u64::try_from(n).ok()), frame.error()) {
            (Some(n), _) => self.unlinked += n,
            (None, Some(line)) => {
                let reply = ServerReply::new(line);
                self.give_up(unlink, || Error::Server { command: "UNLINK".to_owned(), reply });
            }
            (None, None) => self.give_up(unlink, || Error::UnexpectedReply { command: "UNLINK".to_owned() }),
        }
    }

    /// A command of several keys is tried again key by key: while a slot moves, the keys of one command may lie at two
    /// nodes for longer than anybody waits.
    fn give_up(&mut self, unlink: Unlink, error: impl FnOnce() -> Error) {
        if unlink.keys.len() > 1 {
            self.again.extend(unlink.keys);
            return;
        }
        self.failed += unlink.keys.len() as u64;
        self.first_error.get_or_insert_with(error);
    }

    /// A command that did not reach the engine.
    pub(crate) fn refused(&mut self, tag: u64, error: Error) {
        if let Some(unlink) = self.take(tag) {
            self.failed += unlink.keys.len() as u64;
            self.first_error.get_or_insert(error);
        }
    }
}

impl Work for ScanWork {
    fn encode(&mut self, tag: u64, out: &mut Vec<u8>) {
        if let Some(request) = self.requests.get(&tag) {
            out.extend_from_slice(&request.bytes);
        } else if let Some(unlink) = self.unlinks.in_flight.get(&tag) {
            out.extend_from_slice(&unlink.bytes);
        }
    }

    fn reply(&mut self, tag: u64, reply: Reply<'_>) {
        if let Some(request) = self.requests.remove(&tag) {
            let mut bytes = request.bytes;
            bytes.clear();
            bytes.extend_from_slice(reply.frame.raw());
            let (ticket, proof) = (request.ticket, request.proof);
            self.happened.push_back(Happening::Reply { ticket, proof, at: StdInstant::now(), bytes });
        } else if let Some(unlink) = self.unlinks.take(tag) {
            self.unlinks.reply(unlink, &reply.frame);
        }
    }

    fn failed(&mut self, tag: u64, failure: Failure) {
        if let Some(request) = self.requests.remove(&tag) {
            self.last_failure = Some(failure);
            self.happened.push_back(Happening::Failed(request.ticket));
        } else if let Some(unlink) = self.unlinks.take(tag) {
            self.unlinks.give_up(unlink, || Error::Failed { command: "UNLINK".to_owned(), failure });
        }
    }

    fn closed(&mut self, _conn: ConnId, node: Option<NodeId>, _reason: CloseReason) {
        if let Some(node) = node {
            self.happened.push_back(Happening::Lost(node));
        }
    }
}
