//! What is counted, and who else is told.

use std::collections::HashMap;
use std::fmt;

use slotwise::cluster::{EngineCounters, NodeCounters, Notice, Observe};
use slotwise::ids::NodeId;
use slotwise::time::Instant;

use crate::profile::Observer;

/// Counts of what a client did so far, over all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections dialled.
    pub dials: u64,
    /// Connections that became ready for commands.
    pub connections: u64,
    /// Connections that ended.
    pub closed: u64,
    /// Commands written, sent-again ones and parts of split ones counted each time.
    pub commands: u64,
    /// Replies to commands that had been redirected or sent again.
    pub resent: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Slot maps taken over, patches by MOVED included.
    pub maps: u64,
    /// Commands, and parts of split ones, that the engine took in. Each ends once:
    /// `submitted = answered + confirmed + failed + pending`.
    pub submitted: u64,
    /// Among them, those that were answered, with an error or without.
    pub answered: u64,
    /// Among them, subscribe and unsubscribe commands that were carried out.
    pub confirmed: u64,
    /// Among them, those that ended without a reply.
    pub failed: u64,
    /// Among them, those that have not ended.
    pub pending: u64,
    /// Error replies among the answers.
    pub errors: u64,
    /// Redirects with MOVED that were followed.
    pub moved: u64,
    /// Redirects with ASK that were followed.
    pub asked: u64,
    /// Commands sent again for another cause than a redirect.
    pub retries: u64,
    /// Topology questions asked.
    pub refreshes_started: u64,
    /// Topology questions that brought nothing.
    pub refreshes_failed: u64,
}

impl Counters {
    /// The loop's own counts, completed by what the observer counted.
    pub(crate) fn with(self, watcher: &Watcher) -> Self {
        let (engine, total) = (watcher.engine, watcher.total());
        Self {
            submitted: engine.submitted,
            answered: engine.answered,
            confirmed: engine.confirmed,
            failed: engine.dropped,
            pending: engine.pending(),
            errors: total.errors,
            moved: total.moved,
            asked: total.asked,
            retries: total.retries,
            refreshes_started: engine.refreshes_started,
            refreshes_failed: engine.refreshes_failed,
            ..self
        }
    }
}

/// Places looked at before the index is asked: by the first byte of a node's id, which is as good as random.
const NEAR: usize = 256;

/// The engine's observer: counts by node, and passes on to the caller's.
pub(crate) struct Watcher {
    nodes: Vec<(NodeId, NodeCounters)>,
    index: HashMap<NodeId, usize>,
    near: [usize; NEAR],
    elsewhere: NodeCounters,
    engine: EngineCounters,
    observer: Option<Observer>,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("nodes", &self.nodes.len())
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl Watcher {
    pub(crate) fn new(observer: Option<Observer>) -> Self {
        Self {
            nodes: Vec::new(),
            index: HashMap::new(),
            near: [0; NEAR],
            elsewhere: NodeCounters::new(),
            engine: EngineCounters::new(),
            observer,
        }
    }

    /// Every node something happened at, in the order of their first notice.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (NodeId, NodeCounters)> + '_ {
        self.nodes.iter().copied()
    }

    /// What happened at no node that is known.
    pub(crate) const fn elsewhere(&self) -> NodeCounters {
        self.elsewhere
    }

    fn total(&self) -> NodeCounters {
        let mut sum = self.elsewhere;
        self.nodes.iter().for_each(|(_, counters)| sum.add(counters));
        sum
    }

    fn of(&mut self, id: NodeId) -> &mut NodeCounters {
        let near = usize::from(id.as_bytes()[0]);
        let mut at = self.near[near];
        if self.nodes.get(at).is_none_or(|(node, _)| *node != id) {
            at = *self.index.entry(id).or_insert(self.nodes.len());
            if at == self.nodes.len() {
                self.nodes.push((id, NodeCounters::new()));
            }
            self.near[near] = at;
        }
        &mut self.nodes[at].1
    }
}

impl Observe for Watcher {
    fn observe(&mut self, _now: Instant, notice: &Notice<'_>) {
        self.engine.note(notice);
        match notice.node() {
            Some(id) => self.of(id).note(notice),
            None => self.elsewhere.note(notice),
        }
        if let Some(observer) = &self.observer {
            observer(notice);
        }
    }
}
