//! Time: handed in, never read.

use super::Model;
use super::replication::Effect;
use std::time::Duration;

impl Model {
    /// What time it is: since 1 January 1970, or since anything else if nobody uses EXAT and EXPIREAT. Keys expire, waits
    /// and pauses end. Time does not go back.
    pub fn advance(&mut self, now: Duration) {
        if now <= self.now {
            return;
        }
        self.now = now;
        for node in 0..self.nodes.len() {
            self.expire(node);
            if self.nodes[node].writes_wait.is_some_and(|end| end <= now) {
                self.nodes[node].writes_wait = None;
                self.wake_node(node);
            }
        }
        self.end_waits();
        self.finish();
    }

    /// The time the model was last told.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// When something happens next by the passing of time alone.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let expiries = self.nodes.iter().filter(|node| node.up).filter_map(|node| node.store.next_expiry());
        let pauses = self.nodes.iter().filter_map(|node| node.writes_wait);
        let waits = self.waiting.iter().filter_map(|id| self.clients.get(id)?.wait.as_ref()?.deadline);
        expiries.chain(pauses).chain(waits).min()
    }

    /// A primary deletes what has expired; a replica hears of it (a lagging one hides it until then).
    fn expire(&mut self, node: usize) {
        while self.nodes[node].up && self.nodes[node].primary.is_none() {
            let Some(key) = self.nodes[node].store.expired(self.now) else { return };
            self.change(node, Effect::Key(key, None));
        }
    }
}
