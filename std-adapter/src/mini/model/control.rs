//! What an operator, or the passing of time, does to the cluster.

use super::Model;
use super::node::{SLOTS, mix};
use std::fmt;

/// Why a control call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// The slot is not below 16384.
    NoSuchSlot,
    /// No node has that number.
    NoSuchNode,
    /// The node is a replica, or (for a failover) a primary.
    WrongRole,
    /// The slot has no owner, or has the target as its owner.
    NothingToMove,
    /// The slot is not marked for the move at both sides.
    NotMarked,
    /// Keys are left at the source.
    KeysLeft(usize),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::NoSuchSlot => f.write_str("slots end at 16383"),
            ControlError::NoSuchNode => f.write_str("no such node"),
            ControlError::WrongRole => f.write_str("the node has the wrong role"),
            ControlError::NothingToMove => f.write_str("the slot has no owner or is there already"),
            ControlError::NotMarked => f.write_str("the slot is not marked for a move"),
            ControlError::KeysLeft(count) => write!(f, "{count} keys are left at the source"),
        }
    }
}

impl std::error::Error for ControlError {}

impl Model {
    /// Number of nodes, replicas included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// A node's id: 40 hexadecimal digits.
    #[must_use]
    pub fn node_id(&self, node: usize) -> Option<&str> {
        self.nodes.get(node).map(|node| node.id.as_str())
    }

    /// The primary of a replica.
    #[must_use]
    pub fn primary_of(&self, node: usize) -> Option<usize> {
        self.nodes.get(node)?.primary
    }

    /// Who owns the slot in truth: the node that says so of itself, with the newest epoch if several do.
    #[must_use]
    pub fn owner(&self, slot: u16) -> Option<usize> {
        let claims = (0..self.nodes.len()).filter(|node| self.nodes[*node].owner(slot) == Some(*node));
        claims.max_by_key(|node| self.nodes[*node].epoch)
    }

    /// Who owns the slot as `node` sees it.
    #[must_use]
    pub fn owner_seen_by(&self, node: usize, slot: u16) -> Option<usize> {
        self.nodes.get(node)?.owner(slot)
    }

    /// Number of keys a primary holds (of any slot, also of those it does not own).
    #[must_use]
    pub fn key_count(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(0, |node| node.store.len())
    }

    /// Number of keys of one slot that a primary holds.
    #[must_use]
    pub fn key_count_in_slot(&self, node: usize, slot: u16) -> usize {
        self.nodes.get(node).map_or(0, |node| node.store.count_in(slot))
    }

    /// Whether a primary holds the key.
    #[must_use]
    pub fn has_key(&self, node: usize, key: &[u8]) -> bool {
        self.nodes.get(node).is_some_and(|node| node.store.contains(key))
    }

    /// Calls `each` for every key a primary holds.
    pub fn for_each_key(&self, node: usize, each: impl FnMut(&[u8])) {
        if let Some(node) = self.nodes.get(node) {
            node.store.keys().for_each(each);
        }
    }

    /// Marks the slot importing at `to` and migrating at its owner, whose number is the result.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn begin_move(&mut self, slot: u16, to: usize) -> Result<usize, ControlError> {
        if usize::from(slot) >= SLOTS {
            return Err(ControlError::NoSuchSlot);
        }
        let target = self.nodes.get(to).ok_or(ControlError::NoSuchNode)?;
        if target.primary.is_some() {
            return Err(ControlError::WrongRole);
        }
        let from = self.owner(slot).filter(|from| *from != to).ok_or(ControlError::NothingToMove)?;
        self.nodes[to].importing.insert(slot, from);
        self.nodes[from].migrating.insert(slot, to);
        Ok(from)
    }

    fn marked(&self, slot: u16) -> Result<(usize, usize), ControlError> {
        let from = self.owner(slot).ok_or(ControlError::NotMarked)?;
        let to = *self.nodes[from].migrating.get(&slot).ok_or(ControlError::NotMarked)?;
        Ok((from, to))
    }

    /// Moves up to `max` keys of a slot between [`begin_move`](Model::begin_move) and
    /// [`finish_move`](Model::finish_move); how many were moved.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotMarked`].
    pub fn move_keys(&mut self, slot: u16, max: usize) -> Result<usize, ControlError> {
        let (from, _) = self.marked(slot)?;
        let keys = self.nodes[from].store.keys_in(slot, max);
        for key in &keys {
            self.move_key(slot, key)?;
        }
        Ok(keys.len())
    }

    /// Moves one key, as MIGRATE does; whether it was there.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotMarked`].
    pub fn move_key(&mut self, slot: u16, key: &[u8]) -> Result<bool, ControlError> {
        let (from, to) = self.marked(slot)?;
        let Some(value) = self.nodes[from].store.remove(key) else { return Ok(false) };
        self.nodes[to].store.insert(key, value);
        self.touched(from, key);
        self.touched(to, key);
        Ok(true)
    }

    /// Gives the slot to the node that imports it. Only it and the source know until [`gossip`](Model::gossip).
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn finish_move(&mut self, slot: u16) -> Result<(), ControlError> {
        let (from, to) = self.marked(slot)?;
        match self.nodes[from].store.count_in(slot) {
            0 => {}
            left => return Err(ControlError::KeysLeft(left)),
        }
        // The source has no keys left and both know each other: neither call can refuse.
        let told = self.assign(to, slot, to).and_then(|()| self.assign(from, slot, to));
        debug_assert_eq!(told, Ok(()));
        Ok(())
    }

    /// Moves the slot at once, without a time in which clients see ASK: what atomic slot migration looks like from outside.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn move_atomically(&mut self, slot: u16, to: usize) -> Result<(), ControlError> {
        self.begin_move(slot, to)?;
        self.move_keys(slot, usize::MAX)?;
        self.finish_move(slot)
    }

    /// Takes the slot away from its owner and everybody, with its keys.
    pub fn uncover(&mut self, slot: u16) {
        for node in 0..self.nodes.len() {
            for key in self.nodes[node].store.keys_in(slot, usize::MAX) {
                self.nodes[node].store.remove(&key);
            }
            self.nodes[node].set_owner(slot, None);
            self.nodes[node].migrating.remove(&slot);
            self.nodes[node].importing.remove(&slot);
            self.drop_shard_channels(node, |gone| gone == slot);
        }
    }

    /// Makes a replica the primary of its shard; the old primary becomes its replica. Connections stay open. Only these two
    /// know until [`gossip`](Model::gossip).
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn failover(&mut self, replica: usize) -> Result<(), ControlError> {
        let old = self.nodes.get(replica).ok_or(ControlError::NoSuchNode)?.primary.ok_or(ControlError::WrongRole)?;
        let newest = self.nodes.iter().map(|node| node.epoch).max().unwrap_or(0);
        self.nodes[replica].epoch = newest + 1;
        let empty = std::mem::replace(&mut self.nodes[replica].store, super::store::Store::new(0, false));
        let mut store = std::mem::replace(&mut self.nodes[old].store, empty);
        // Another process with another hash seed: cursors of the old primary mean nothing here.
        store.reseed(mix(self.options.seed ^ (newest + 1)));
        self.nodes[replica].store = store;
        self.nodes[replica].primary = None;
        for node in &mut self.nodes {
            if node.primary == Some(old) {
                node.primary = Some(replica);
            }
        }
        self.nodes[old].primary = Some(replica);
        self.nodes[old].migrating.clear();
        self.nodes[old].importing.clear();
        for slot in 0..SLOTS as u16 {
            if self.nodes[old].owner(slot) == Some(old) {
                self.nodes[old].set_owner(slot, Some(replica));
                self.nodes[replica].set_owner(slot, Some(replica));
            }
        }
        self.drop_shard_channels(old, |_| true);
        self.drop_shard_channels(replica, |_| true);
        self.unsettled = true;
        Ok(())
    }

    /// One message on the cluster bus: `to` hears which slots `from` claims, and believes a claim that is newer than what it
    /// knew. Whether that changed anything.
    pub fn gossip(&mut self, from: usize, to: usize) -> bool {
        if from == to || from >= self.nodes.len() || to >= self.nodes.len() {
            return false;
        }
        let mut lost = Vec::new();
        let mut changed = false;
        for slot in 0..SLOTS as u16 {
            let seen = self.nodes[to].owner(slot);
            if self.nodes[from].owner(slot) != Some(from) || seen == Some(from) {
                continue;
            }
            if seen.is_some_and(|seen| self.nodes[seen].epoch >= self.nodes[from].epoch) {
                continue;
            }
            changed = true;
            self.nodes[to].set_owner(slot, Some(from));
            if seen == Some(to) {
                // A claim lost by surprise takes the slot's keys with it.
                for key in self.nodes[to].store.keys_in(slot, usize::MAX) {
                    self.nodes[to].store.remove(&key);
                    self.touched(to, &key);
                }
                self.nodes[to].migrating.remove(&slot);
                lost.push(slot);
            } else if self.nodes[to].primary.is_some() && seen == self.nodes[to].primary {
                lost.push(slot);
            }
        }
        if !lost.is_empty() {
            self.drop_shard_channels(to, |slot| lost.contains(&slot));
        }
        changed
    }

    /// Marks connections (of one node, or all) to be closed by the server.
    pub fn close_clients(&mut self, node: Option<usize>) {
        for client in self.clients.values_mut().filter(|client| node.is_none_or(|node| client.node == node)) {
            client.closing = true;
        }
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
