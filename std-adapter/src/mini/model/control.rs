//! What an operator, or the passing of time, does to the cluster.

use super::Model;
use super::replication::Effect;
use super::view::SLOTS;
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

    /// Where a node sends those on who ask for keys of the slot that it lacks: the target of its MIGRATING mark.
    #[must_use]
    pub fn sends_on_to(&self, node: usize, slot: u16) -> Option<usize> {
        self.nodes.get(node)?.migrating.get(&slot).copied()
    }

    /// Who owns the slot in truth: the member that says so of itself, with the newest epoch if several do.
    #[must_use]
    pub fn owner(&self, slot: u16) -> Option<usize> {
        let claims = (0..self.nodes.len())
            .filter(|node| self.nodes[*node].owner(slot) == Some(*node) && self.nodes[*node].member);
        claims.max_by_key(|node| self.nodes[*node].epoch)
    }

    /// [`owner`](Model::owner) of every slot.
    #[must_use]
    pub fn owners(&self) -> Vec<Option<usize>> {
        let mut owners = vec![None; SLOTS];
        let mut members: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].member).collect();
        members.sort_by_key(|node| self.nodes[*node].epoch);
        for node in members {
            for slot in self.nodes[node].view.slots_of(node) {
                owners[usize::from(slot)] = Some(node);
            }
        }
        owners
    }

    /// Who owns the slot as `node` sees it.
    #[must_use]
    pub fn owner_seen_by(&self, node: usize, slot: u16) -> Option<usize> {
        self.nodes.get(node)?.owner(slot)
    }

    /// Number of keys a node holds (of any slot, also of those it does not own).
    #[must_use]
    pub fn key_count(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(0, |node| node.store.len())
    }

    /// Number of keys of one slot that a node holds.
    #[must_use]
    pub fn key_count_in_slot(&self, node: usize, slot: u16) -> usize {
        self.nodes.get(node).map_or(0, |node| node.store.count_in(slot))
    }

    /// Whether a node holds the key.
    #[must_use]
    pub fn has_key(&self, node: usize, key: &[u8]) -> bool {
        self.nodes.get(node).is_some_and(|node| node.store.contains(key))
    }

    /// Calls `each` for every key a node holds.
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
        // It may have been demoted meanwhile; a replica takes neither keys nor slots.
        if self.nodes[to].primary.is_some() { Err(ControlError::WrongRole) } else { Ok((from, to)) }
    }

    /// Moves up to `max` keys of a slot between [`begin_move`](Model::begin_move) and
    /// [`finish_move`](Model::finish_move); how many were moved.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotMarked`], or [`ControlError::WrongRole`] if the target is a replica by now.
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
        let Some(entry) = self.nodes[from].store.get(key).cloned() else { return Ok(false) };
        self.change(to, Effect::Key(key.to_vec(), Some(entry)));
        self.change(from, Effect::Key(key.to_vec(), None));
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
        self.finish();
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
            if self.nodes[node].primary.is_none() {
                self.delete_slot(node, slot);
            }
            self.nodes[node].view.set(slot, None);
            self.nodes[node].migrating.remove(&slot);
            self.nodes[node].importing.remove(&slot);
            self.drop_shard_channels(node, |gone| gone == slot);
            self.redirect_blocked(node);
        }
        self.finish();
    }

    pub(super) fn delete_slot(&mut self, node: usize, slot: u16) -> Vec<Vec<u8>> {
        let keys = self.nodes[node].store.keys_in(slot, usize::MAX);
        for key in &keys {
            self.change(node, Effect::Key(key.clone(), None));
        }
        keys
    }
}
