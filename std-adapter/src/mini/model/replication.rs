//! Every change of data, and how it reaches replicas: at once, late, or never.

use super::Model;
use super::ledger::Event;
use super::store::Entry;
use std::collections::{BTreeSet, VecDeque};

/// A change of a node's data.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// The key has this value now, or none.
    Key(Vec<u8>, Option<Entry>),
    /// All keys are gone.
    Clear,
}

/// What a node's data consists of: numbered changes, in histories that begin with each new primary.
#[derive(Clone, Debug)]
pub(super) struct History {
    // Histories and the offsets at which they began, oldest first; never empty.
    parts: Vec<(u64, u64)>,
    offset: u64,
    // Changes that some replica has not received.
    log: VecDeque<(u64, Effect)>,
    // Somebody else took over without this node's knowledge: all changes are kept for the record.
    deposed: bool,
}

impl History {
    pub(super) fn new(number: u64) -> Self {
        History { parts: vec![(number, 0)], offset: 0, log: VecDeque::new(), deposed: false }
    }

    /// The current history and the position in it.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.parts.last().map_or(0, |part| part.0), self.offset)
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where a history ends here.
    fn end_of(&self, history: u64) -> Option<u64> {
        let at = self.parts.iter().position(|part| part.0 == history)?;
        Some(self.parts.get(at + 1).map_or(self.offset, |next| next.1))
    }

    /// What of `self` is missing in `other`: histories and the offsets above which.
    fn beyond(&self, other: &History) -> Vec<(u64, u64)> {
        let missing = |(history, start): &(u64, u64)| {
            let (mine, theirs) = (self.end_of(*history)?, other.end_of(*history).unwrap_or(*start));
            (mine > theirs).then_some((*history, theirs))
        };
        self.parts.iter().filter_map(missing).collect()
    }

    fn logged_keys_above(&self, offset: u64) -> Vec<Vec<u8>> {
        let keys: BTreeSet<&Vec<u8>> = self
            .log
            .iter()
            .filter(|(at, _)| *at > offset)
            .filter_map(|(_, effect)| match effect {
                Effect::Key(key, _) => Some(key),
                Effect::Clear => None,
            })
            .collect();
        keys.into_iter().cloned().collect()
    }
}

impl Model {
    /// Members that replicate the node and run.
    pub(super) fn live_replicas(&self, node: usize) -> impl Iterator<Item = usize> {
        self.nodes.iter().enumerate().filter(move |(_, n)| n.primary == Some(node) && n.up && n.member).map(|(i, _)| i)
    }

    /// Changes data at a primary, and at the replicas that keep up.
    pub(super) fn change(&mut self, node: usize, effect: Effect) {
        self.changes += 1;
        let before = self.nodes[node].history.offset;
        let mut log = self.nodes[node].history.deposed;
        let replicas: Vec<usize> = if self.replicas_exist { self.live_replicas(node).collect() } else { Vec::new() };
        for replica in replicas {
            if self.nodes[replica].switches.lagging || self.nodes[replica].history.offset != before {
                log = true;
            } else {
                self.apply(replica, effect.clone());
                self.nodes[replica].history.offset = before + 1;
            }
        }
        if log {
            self.nodes[node].history.log.push_back((before + 1, effect.clone()));
        }
        self.apply(node, effect);
        self.nodes[node].history.offset = before + 1;
    }

    fn apply(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Key(key, entry) => {
                match entry {
                    Some(entry) => self.nodes[node].store.insert(&key, entry),
                    None => drop(self.nodes[node].store.remove(&key)),
                }
                self.touched(node, &key);
            }
            Effect::Clear => {
                self.touch_all(node);
                self.nodes[node].store.clear();
            }
        }
    }

    /// Brings up to `most` changes to a replica that lags; how many came.
    pub fn replicate(&mut self, replica: usize, most: usize) -> usize {
        let Some(primary) = self.nodes.get(replica).filter(|node| node.up).and_then(|node| node.primary) else {
            return 0;
        };
        if !self.nodes[primary].up {
            return 0;
        }
        let have = self.nodes[replica].history.offset;
        let log = &self.nodes[primary].history.log;
        let coming: Vec<(u64, Effect)> = log.iter().filter(|(at, _)| *at > have).take(most).cloned().collect();
        let count = coming.len();
        for (at, effect) in coming {
            self.apply(replica, effect);
            self.nodes[replica].history.offset = at;
        }
        self.prune(primary);
        self.finish();
        count
    }

    fn prune(&mut self, primary: usize) {
        if self.nodes[primary].history.deposed {
            return;
        }
        let least = self.live_replicas(primary).map(|replica| self.nodes[replica].history.offset).min();
        let log = &mut self.nodes[primary].history.log;
        while log.front().is_some_and(|(at, _)| least.is_none_or(|least| *at <= least)) {
            log.pop_front();
        }
    }

    /// How many changes a replica has not received yet.
    #[must_use]
    pub fn lag(&self, replica: usize) -> u64 {
        let primary = self.nodes.get(replica).and_then(|node| node.primary);
        primary
            .map_or(0, |primary| self.nodes[primary].history.offset.saturating_sub(self.nodes[replica].history.offset))
    }

    /// A node throws away what it has and takes over the data of another. What only it had is noted as lost.
    pub(super) fn sync_from(&mut self, node: usize, source: usize) {
        let lost = self.nodes[node].history.beyond(&self.nodes[source].history);
        for (history, offset) in lost {
            let keys = self.nodes[node].history.logged_keys_above(offset);
            self.note(Event::Lost { history, offset, keys });
        }
        let parts = self.nodes[source].history.parts.clone();
        let offset = self.nodes[source].history.offset;
        self.nodes[node].history = History { parts, offset, log: VecDeque::new(), deposed: false };
        let entries: Vec<(Vec<u8>, Entry)> =
            self.nodes[source].store.entries().map(|(key, entry)| (key.to_vec(), entry.clone())).collect();
        self.nodes[node].store.clear();
        for (key, entry) in entries {
            self.nodes[node].store.insert(&key, entry);
        }
        self.touch_all(node);
    }

    /// A new history begins at a replica that becomes primary. What it lacks is noted as lost.
    pub(super) fn begin_history(&mut self, replica: usize, old: usize) {
        let lost = self.nodes[old].history.beyond(&self.nodes[replica].history);
        for (history, offset) in lost {
            let keys = self.nodes[old].history.logged_keys_above(offset);
            self.note(Event::Lost { history, offset, keys });
        }
        let number = self.next_history;
        self.next_history += 1;
        let history = &mut self.nodes[replica].history;
        history.parts.push((number, history.offset));
        history.log.clear();
        history.deposed = false;
    }

    pub(super) fn depose(&mut self, node: usize) {
        self.nodes[node].history.deposed = true;
    }

    /// All data of a node are gone, and with them everything it ever had.
    pub(super) fn lose_everything(&mut self, node: usize) {
        self.nodes[node].store.clear();
        let parts = self.nodes[node].history.parts.clone();
        for (history, start) in parts {
            let offset = start.min(self.nodes[node].history.offset);
            self.note(Event::Lost { history, offset, keys: Vec::new() });
        }
        let number = self.next_history;
        self.next_history += 1;
        self.nodes[node].history = History::new(number);
    }
}
