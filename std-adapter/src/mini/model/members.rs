//! Nodes come, go and change places.

use super::node::Node;
use super::view::View;
use super::{ControlError, Model, Profile};

impl Model {
    /// A new primary without slots, which knows the cluster; its number. It has port 0 until
    /// [`set_address`](Model::set_address).
    pub fn add_node(&mut self) -> usize {
        let index = self.nodes.len();
        // Whoever introduces it tells it everything.
        let view = self.nodes.iter().find(|node| node.member).map_or(View::shared_by(0), |node| node.view.clone());
        let mut node = Node::new(&self.options, index, view);
        node.history = super::replication::History::new(self.next_history);
        self.next_history += 1;
        node.epoch = self.newest_epoch() + 1;
        self.nodes.push(node);
        index
    }

    /// Takes a node out of the cluster, as CLUSTER FORGET at all others does. It goes on by itself with the view it has.
    ///
    /// # Errors
    ///
    /// [`ControlError`]: it owns slots.
    pub fn remove_node(&mut self, node: usize) -> Result<(), ControlError> {
        if self.nodes.get(node).is_none() {
            return Err(ControlError::NoSuchNode);
        }
        let owned = self.slots_of(node).len();
        if owned > 0 {
            return Err(ControlError::KeysLeft(owned));
        }
        self.nodes[node].member = false;
        let orphans: Vec<usize> = (0..self.nodes.len()).filter(|n| self.nodes[*n].primary == Some(node)).collect();
        for orphan in orphans {
            self.nodes[orphan].primary = None;
        }
        Ok(())
    }

    /// Whether the node belongs to the cluster.
    #[must_use]
    pub fn is_member(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.member)
    }

    /// The slots a node owns in its own view.
    #[must_use]
    pub fn slots_of(&self, node: usize) -> Vec<u16> {
        self.nodes.get(node).map(|found| found.view.slots_of(node).collect()).unwrap_or_default()
    }

    /// Makes a node a replica of a primary: a primary without slots, or a replica that moves to another shard. Its data are
    /// thrown away.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn attach(&mut self, node: usize, primary: usize) -> Result<(), ControlError> {
        if node == primary || node >= self.nodes.len() {
            return Err(ControlError::NoSuchNode);
        }
        if self.nodes.get(primary).ok_or(ControlError::NoSuchNode)?.primary.is_some() {
            return Err(ControlError::WrongRole);
        }
        let owned = self.slots_of(node).len();
        if owned > 0 {
            return Err(ControlError::KeysLeft(owned));
        }
        self.replicas_exist = true;
        self.nodes[node].primary = Some(primary);
        self.nodes[node].shard = self.nodes[primary].shard.clone();
        self.nodes[node].migrating.clear();
        self.nodes[node].importing.clear();
        self.sync_from(node, primary);
        self.drop_shard_channels(node, |_| true);
        self.finish();
        Ok(())
    }

    /// Which server's habits a node has from now on; its cursors change with it.
    pub fn set_profile(&mut self, node: usize, profile: Profile) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.profile = profile;
            node.store.set_slot_cursors(profile.slot_cursors());
        }
    }

    /// One node forgets who owns the slot (CLUSTER DELSLOTS), even if it is the owner itself. The slot's keys stay.
    pub fn forget_owner(&mut self, node: usize, slot: u16) {
        if let Some(found) = self.nodes.get_mut(node) {
            let marked = found.migrating.contains_key(&slot) || found.importing.contains_key(&slot);
            if found.view.owner(slot).is_none() && !marked {
                return;
            }
            found.view.set(slot, None);
            found.migrating.remove(&slot);
            found.importing.remove(&slot);
            self.drop_shard_channels(node, |gone| gone == slot);
            self.redirect_blocked(node);
            self.finish();
        }
    }

    /// Gives a slot that a node believes free to that node (CLUSTER ADDSLOTS).
    ///
    /// # Errors
    ///
    /// [`ControlError::NothingToMove`]: the node believes it has an owner.
    pub fn add_slot(&mut self, node: usize, slot: u16) -> Result<(), ControlError> {
        let found = self.nodes.get(node).ok_or(ControlError::NoSuchNode)?;
        if found.primary.is_some() {
            return Err(ControlError::WrongRole);
        }
        if found.view.owner(slot).is_some() {
            return Err(ControlError::NothingToMove);
        }
        self.nodes[node].view.set(slot, Some(node));
        self.nodes[node].importing.remove(&slot);
        self.unsettled = true;
        Ok(())
    }

    /// CLUSTER RESET SOFT: the node knows no other node and no slot, and is an empty-handed primary of its own. A replica's
    /// data are thrown away; a primary has to be without keys.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn reset_node(&mut self, node: usize) -> Result<(), ControlError> {
        let found = self.nodes.get_mut(node).ok_or(ControlError::NoSuchNode)?;
        if found.primary.is_none() && found.store.len() > 0 {
            return Err(ControlError::KeysLeft(found.store.len()));
        }
        if found.primary.take().is_some() {
            found.store.clear();
        }
        found.view.clear();
        found.migrating.clear();
        found.importing.clear();
        found.heard.clear();
        found.member = false;
        found.shard.clone_from(&found.id);
        self.drop_shard_channels(node, |_| true);
        self.redirect_blocked(node);
        self.finish();
        Ok(())
    }

    /// Brings a node that was reset or removed back into the cluster (CLUSTER MEET).
    pub fn meet(&mut self, node: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.member = true;
            node.heard.clear();
            self.unsettled = true;
        }
    }

    pub(super) fn newest_epoch(&self) -> u64 {
        self.nodes.iter().map(|node| node.epoch).max().unwrap_or(0)
    }
}
