//! What really happened: each command that ran, and each write that was lost later.

use super::{ClientId, Model};
use std::time::Duration;

/// Inside what a command ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inside {
    /// Nothing: it was sent by itself.
    Nothing,
    /// A transaction; the number of its EXEC on the connection.
    Transaction(u64),
    /// A script.
    Script,
}

/// A command that ran: was not refused, redirected, or thrown away with its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The connection.
    pub client: ClientId,
    /// The node.
    pub node: usize,
    /// Its number among the commands sent on the connection, from 1; inside a script that of the script.
    pub number: u64,
    /// Inside what it ran.
    pub inside: Inside,
    /// Name and arguments; empty if they are not recorded ([`Model::record_words`]).
    pub words: Vec<Vec<u8>>,
    /// It changed data.
    pub wrote: bool,
    /// Its reply is an error.
    pub failed: bool,
    /// The history of data it belongs to; a new one begins with every primary.
    pub history: u64,
    /// Position in that history after it.
    pub offset: u64,
    /// When.
    pub at: Duration,
}

/// Something for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A command ran.
    Executed(Execution),
    /// What was written so far in `history` above `offset` is gone for good. `keys`: those whose value it was (empty for
    /// all keys of the node after a restart without data).
    Lost {
        /// Of [`Execution::history`].
        history: u64,
        /// Executions up to this one are safe.
        offset: u64,
        /// The keys concerned, each once.
        keys: Vec<Vec<u8>>,
    },
    /// A node lost slots to a claim it did not expect, and deleted the keys it had in them.
    Dropped {
        /// The node.
        node: usize,
        /// What it deleted.
        keys: Vec<Vec<u8>>,
    },
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) recording: bool,
    pub(super) brief: bool,
    pub(super) events: Vec<Event>,
}

impl Model {
    /// Whether events are kept for [`take_events`](Model::take_events). Off at first: nobody may come to take them.
    pub fn record(&mut self, on: bool) {
        self.ledger.recording = on;
    }

    /// Whether the words of commands are kept too, which takes time. On at first.
    pub fn record_words(&mut self, on: bool) {
        self.ledger.brief = !on;
    }

    /// What happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.ledger.events)
    }

    /// The executions among [`take_events`](Model::take_events), for whoever loses nothing.
    pub fn take_executions(&mut self) -> Vec<Execution> {
        let executed = |event| match event {
            Event::Executed(execution) => Some(execution),
            _ => None,
        };
        self.take_events().into_iter().filter_map(executed).collect()
    }

    pub(super) fn note(&mut self, event: Event) {
        if self.ledger.recording {
            self.ledger.events.push(event);
        }
    }

    /// Notes that a command ran; `changes` is [`Model::changes`] from before.
    pub(super) fn note_execution(
        &mut self,
        id: ClientId,
        number: u64,
        inside: Inside,
        words: &[Vec<u8>],
        before: u64,
        failed: bool,
    ) {
        if !self.ledger.recording {
            return;
        }
        let node = self.node_of(id);
        let (history, offset) = self.nodes[node].history.place();
        self.ledger.events.push(Event::Executed(Execution {
            client: id,
            node,
            number,
            inside,
            words: if self.ledger.brief { Vec::new() } else { words.to_vec() },
            wrote: self.changes != before,
            failed,
            history,
            offset,
            at: self.now,
        }));
    }
}
