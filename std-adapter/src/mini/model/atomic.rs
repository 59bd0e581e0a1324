//! Atomic slot migration: keys are copied in secret, writes stop for a moment, then the slot is somebody else's.

use super::ledger::Event;
use super::replication::Effect;
use super::{ControlError, Model};
use std::time::Duration;

/// A migration under way.
#[derive(Clone, Debug)]
pub(super) struct Job {
    slots: Vec<u16>,
    from: usize,
    to: usize,
}

impl Model {
    /// Begins to copy slots of one owner to node `to`: clients notice nothing. The number of the migration.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed. [`ControlError::NotMarked`]: one of the servers cannot do it, or the slot is
    /// being moved already.
    pub fn begin_atomic(&mut self, slots: &[u16], to: usize) -> Result<u64, ControlError> {
        let target = self.nodes.get(to).ok_or(ControlError::NoSuchNode)?;
        if target.primary.is_some() {
            return Err(ControlError::WrongRole);
        }
        let first = slots.first().ok_or(ControlError::NoSuchSlot)?;
        let from = self.owner(*first).filter(|from| *from != to).ok_or(ControlError::NothingToMove)?;
        if slots.iter().any(|slot| self.owner(*slot) != Some(from)) {
            return Err(ControlError::NothingToMove);
        }
        let able = self.nodes[from].profile.atomic_migration() && self.nodes[to].profile.atomic_migration();
        let marked = |slot: &u16| {
            self.nodes[from].migrating.contains_key(slot) || self.jobs.values().any(|job| job.slots.contains(slot))
        };
        if !able || slots.iter().any(marked) {
            return Err(ControlError::NotMarked);
        }
        let number = self.next_job;
        self.next_job += 1;
        self.jobs.insert(number, Job { slots: slots.to_vec(), from, to });
        Ok(number)
    }

    /// Migrations that have begun and neither finished nor broken off.
    #[must_use]
    pub fn atomic_moves(&self) -> Vec<u64> {
        self.jobs.keys().copied().collect()
    }

    /// The source lets no writes through any more, for at most that long: they wait.
    pub fn pause_atomic(&mut self, job: u64, limit: Duration) {
        if let Some(job) = self.jobs.get(&job) {
            self.nodes[job.from].writes_wait = Some(self.now.saturating_add(limit));
        }
    }

    /// The slots are the target's, with their keys; writes that waited are redirected. Only the two nodes know until
    /// [`gossip`](Model::gossip). With `stale` the source deletes its copies later ([`trim`](Model::trim)): SCAN and KEYS
    /// still show them.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotMarked`]: there is no such migration any more.
    pub fn finish_atomic(&mut self, job: u64, stale: bool) -> Result<(), ControlError> {
        let Job { slots, from, to } = self.jobs.remove(&job).ok_or(ControlError::NotMarked)?;
        if slots.iter().any(|slot| self.nodes[from].owner(*slot) != Some(from)) {
            self.resume_writes(from);
            return Err(ControlError::NotMarked);
        }
        for slot in &slots {
            self.delete_slot(to, *slot);
            for key in self.nodes[from].store.keys_in(*slot, usize::MAX) {
                let entry = self.nodes[from].store.get(&key).cloned();
                self.change(to, Effect::Key(key, entry));
            }
            if !stale {
                self.delete_slot(from, *slot);
            }
            self.nodes[to].view.set(*slot, Some(to));
            self.nodes[from].view.set(*slot, Some(to));
            self.nodes[from].importing.remove(slot);
            self.nodes[to].importing.remove(slot);
        }
        let newest = self.newest_epoch();
        if self.nodes[to].epoch < newest {
            self.nodes[to].epoch = newest + 1;
        }
        // Watched keys have gone.
        for slot in &slots {
            for key in self.nodes[to].store.keys_in(*slot, usize::MAX) {
                self.touched(from, &key);
            }
        }
        for node in [from, to] {
            self.drop_shard_channels(node, |slot| slots.contains(&slot));
        }
        self.redirect_blocked(from);
        self.unsettled = true;
        self.resume_writes(from);
        Ok(())
    }

    /// Breaks a migration off: the slots stay where they are, writes go on.
    pub fn cancel_atomic(&mut self, job: u64) {
        if let Some(job) = self.jobs.remove(&job) {
            self.resume_writes(job.from);
        }
    }

    /// Deletes keys of slots that the node does not own: what atomic migrations and changes of owner left behind.
    pub fn trim(&mut self, node: usize) {
        if self.nodes.get(node).is_none_or(|node| node.primary.is_some()) {
            return;
        }
        for slot in self.nodes[node].store.slots() {
            let owned = self.nodes[node].owner(slot) == Some(node);
            if !owned && !self.nodes[node].importing.contains_key(&slot) {
                let keys = self.delete_slot(node, slot);
                self.note(Event::Dropped { node, keys });
            }
        }
    }

    fn resume_writes(&mut self, node: usize) {
        self.nodes[node].writes_wait = None;
        self.wake_node(node);
        self.finish();
    }

    /// Migrations from or to a node that crashed or changed its role break off.
    pub(super) fn break_atomic(&mut self, node: usize) {
        let broken: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| job.from == node || job.to == node).map(|(number, _)| *number).collect();
        broken.into_iter().for_each(|job| self.cancel_atomic(job));
    }

    /// Where the keys of a slot are that the node is receiving in secret; Valkey counts them as its own.
    pub(super) fn staged_from(&self, node: usize, slot: u16) -> usize {
        let job = self.jobs.values().find(|job| job.to == node && job.slots.contains(&slot));
        match job {
            Some(job) if self.nodes[node].profile.is_valkey() => job.from,
            _ => node,
        }
    }
}
