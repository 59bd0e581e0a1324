//! Replicas that become primaries.

use super::{ControlError, Model};

impl Model {
    /// Makes a replica the primary of its shard by agreement: it has everything, the old primary becomes its replica.
    /// Connections stay open. Only these two know until [`gossip`](Model::gossip).
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn failover(&mut self, replica: usize) -> Result<(), ControlError> {
        let old = self.check_heir(replica)?;
        self.replicate(replica, usize::MAX);
        self.promote(replica, old);
        for slot in self.slots_of(old) {
            self.nodes[old].view.set(slot, Some(replica));
        }
        self.demote(old, replica);
        self.finish();
        Ok(())
    }

    /// Makes a replica the primary of its shard without its old primary, which is dead, stopped or cut off: what the replica
    /// has not received is lost. The old primary knows of it by [`gossip`](Model::gossip) only, becomes a replica then, and
    /// what it did meanwhile is lost too.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn take_over(&mut self, replica: usize) -> Result<(), ControlError> {
        let old = self.check_heir(replica)?;
        self.promote(replica, old);
        self.depose(old);
        self.finish();
        Ok(())
    }

    /// The primary of a replica that can take over.
    fn check_heir(&self, replica: usize) -> Result<usize, ControlError> {
        let node = self.nodes.get(replica).filter(|node| node.up && node.member).ok_or(ControlError::NoSuchNode)?;
        node.primary.ok_or(ControlError::WrongRole)
    }

    fn promote(&mut self, replica: usize, old: usize) {
        let owners = self.owners();
        self.nodes[replica].epoch = self.newest_epoch() + 1;
        self.begin_history(replica, old);
        self.nodes[replica].primary = None;
        self.break_atomic(old);
        if self.nodes[replica].profile.is_valkey() {
            // Replicas of a Valkey know of the migrations of their primary.
            self.nodes[replica].migrating = self.nodes[old].migrating.clone();
            self.nodes[replica].importing = self.nodes[old].importing.clone();
        }
        let mut slots: Vec<u16> = self.nodes[replica].view.slots_of(old).collect();
        // And what it has not heard of yet: a primary with slots left does not become a replica of its heir.
        slots.extend((0..).zip(&owners).filter(|(_, owner)| **owner == Some(old)).map(|(slot, _)| slot));
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            // Nobody votes for a replica that claims what the voters know to be another's: it has heard of that by now.
            match owners[usize::from(slot)] {
                Some(other) if other != old => self.nodes[replica].view.hear(slot, Some(other)),
                _ => self.nodes[replica].view.set(slot, Some(replica)),
            }
        }
        self.drop_shard_channels(replica, |_| true);
        let others: Vec<usize> =
            (0..self.nodes.len()).filter(|node| *node != replica && self.nodes[*node].primary == Some(old)).collect();
        for node in others {
            self.nodes[node].primary = Some(replica);
            if self.nodes[node].up {
                self.sync_from(node, replica);
            }
        }
        self.unsettled = true;
    }

    /// A primary becomes a replica of `primary` and takes over its data.
    pub(super) fn demote(&mut self, node: usize, primary: usize) {
        self.break_atomic(node);
        self.nodes[node].primary = Some(primary);
        self.nodes[node].migrating.clear();
        self.nodes[node].importing.clear();
        self.sync_from(node, primary);
        self.drop_shard_channels(node, |_| true);
        self.unblock_demoted(node);
        self.finish();
    }
}
