//! How nodes hear of each other's slots.

use super::Model;
use super::ledger::Event;
use super::replication::Effect;

impl Model {
    /// One message on the cluster bus: `to` hears which slots `from` claims, and believes a claim that is newer than what it
    /// knew. Whether that changed anything. Nodes that do not run, or are not of the cluster, say and hear nothing.
    pub fn gossip(&mut self, from: usize, to: usize) -> bool {
        if from == to || !self.talks(from) || !self.talks(to) || self.nodes[from].primary.is_some() {
            return false;
        }
        let now = (self.nodes[from].view.version(), self.nodes[from].epoch, self.nodes[to].view.version());
        if self.nodes[to].heard.get(&from) == Some(&now) {
            return false;
        }
        let (mut lost, mut changed) = (Vec::new(), false);
        let (mine, theirs) = (&self.nodes[from].view, &self.nodes[to].view);
        let claims = if mine.agrees(theirs, from) { Vec::new() } else { mine.beyond(theirs, from) };
        for slot in claims {
            let seen = self.nodes[to].owner(slot);
            if seen.is_some_and(|seen| self.nodes[seen].epoch >= self.nodes[from].epoch) {
                continue;
            }
            self.nodes[to].view.hear(slot, Some(from));
            changed = true;
            if seen == Some(to) || seen.is_some() && seen == self.nodes[to].primary {
                lost.push(slot);
            }
        }
        if !lost.is_empty() {
            self.lose_slots(to, from, &lost);
        }
        self.nodes[to].heard.insert(from, now);
        changed
    }

    fn talks(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.up && node.member && !node.switches.paused)
    }

    /// Slots that were the node's own, or its primary's, are somebody else's now.
    fn lose_slots(&mut self, node: usize, winner: usize, lost: &[u16]) {
        let is_primary = self.nodes[node].primary.is_none();
        if is_primary && self.nodes[node].view.count_of(node) == 0 && self.nodes[node].shard == self.nodes[winner].shard
        {
            return self.demote(node, winner);
        }
        if is_primary {
            // A claim lost by surprise takes the slot's keys with it.
            let mut keys = Vec::new();
            for slot in lost {
                let gone = self.nodes[node].store.keys_in(*slot, usize::MAX);
                for key in &gone {
                    self.change(node, Effect::Key(key.clone(), None));
                }
                keys.extend(gone);
                self.nodes[node].migrating.remove(slot);
            }
            if !keys.is_empty() {
                self.note(Event::Dropped { node, keys });
            }
        }
        self.drop_shard_channels(node, |slot| lost.contains(&slot));
        self.redirect_blocked(node);
        self.finish();
    }

    /// Whether a command or control call changed a view since the last [`settle`](Model::settle).
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// Gossip between all pairs until every node knows the newest claims.
    pub fn settle(&mut self) {
        self.unsettled = false;
        loop {
            let mut changed = false;
            for from in 0..self.nodes.len() {
                for to in 0..self.nodes.len() {
                    changed |= self.gossip(from, to);
                }
            }
            if !changed {
                return;
            }
        }
    }
}
