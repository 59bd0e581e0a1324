//! What can be wrong with a node.

use super::{ClientId, ControlError, Model};

/// States of a node that make it answer otherwise than it should, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Switches {
    /// It reads its data from disk: LOADING, for commands with keys CLUSTERDOWN.
    pub loading: bool,
    /// Its process is stopped: connections stay, commands wait.
    pub paused: bool,
    /// A script runs for ever: BUSY.
    pub busy: bool,
    /// It believes that the cluster is down.
    pub cluster_down: bool,
    /// It has no memory for writes: OOM.
    pub out_of_memory: bool,
    /// As a replica it receives nothing but by [`Model::replicate`].
    pub lagging: bool,
    /// As a replica it has no connection to its primary and does not serve old data: MASTERDOWN.
    pub master_down: bool,
    /// Connections beyond that number are refused with an error.
    pub most_clients: Option<usize>,
}

/// What a node has when it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// What it had.
    WithData,
    /// Nothing.
    Empty,
}

impl Model {
    /// The switches of a node.
    #[must_use]
    pub fn switches(&self, node: usize) -> Option<&Switches> {
        self.nodes.get(node).map(|node| &node.switches)
    }

    /// Changes switches of a node; commands that waited for that run.
    pub fn set_switches(&mut self, node: usize, change: impl FnOnce(&mut Switches)) {
        if let Some(found) = self.nodes.get_mut(node) {
            change(&mut found.switches);
            if !found.switches.lagging {
                self.replicate(node, usize::MAX);
            }
            self.wake_node(node);
            self.finish();
        }
    }

    /// Whether the node takes connections: its process runs (perhaps without doing anything).
    #[must_use]
    pub fn accepts(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.up)
    }

    /// The node's process ends at once: its connections are cut, what waited on them is not sent.
    pub fn crash(&mut self, node: usize) {
        let Some(found) = self.nodes.get_mut(node) else { return };
        found.up = false;
        self.stirred = true;
        for client in self.clients.values_mut().filter(|client| client.node == node) {
            client.cut();
        }
        self.break_atomic(node);
        self.finish();
    }

    /// Starts a crashed node again, with its view of the slots from before. As a replica it copies its primary's data.
    ///
    /// # Errors
    ///
    /// [`ControlError::NoSuchNode`]; also for a node that runs.
    pub fn restart(&mut self, node: usize, how: Restart) -> Result<(), ControlError> {
        let found = self.nodes.get_mut(node).filter(|node| !node.up).ok_or(ControlError::NoSuchNode)?;
        found.up = true;
        found.failed = false;
        found.starts += 1;
        found.writes_wait = None;
        found.scripts.clear();
        // Another hash seed: cursors from before mean nothing.
        let seed = super::node::mix(self.options.seed ^ (found.starts << 32) ^ node as u64);
        found.store.reseed(seed);
        let primary = found.primary;
        match primary {
            Some(primary) if self.nodes[primary].up => self.sync_from(node, primary),
            Some(_) => {}
            None if how == Restart::Empty => {
                self.lose_everything(node);
                let replicas: Vec<usize> = self.live_replicas(node).collect();
                replicas.into_iter().for_each(|replica| self.sync_from(replica, node));
            }
            None => {}
        }
        self.unsettled = true;
        Ok(())
    }

    /// Whether a node still deletes what it had of a slot before the slot came back: writes are refused with TRYAGAIN, as
    /// Redis does from 8.4 on.
    pub fn set_trimming(&mut self, node: usize, slot: u16, on: bool) {
        if let Some(node) = self.nodes.get_mut(node) {
            if on {
                node.trimming.insert(slot)
            } else {
                node.trimming.remove(&slot)
            };
        }
    }

    /// Whether the others have given the node up (or take it back): its line in CLUSTER NODES says `fail`, as a replica it is
    /// not listed any more, as the owner of slots it takes a cluster that wants full coverage down.
    pub fn set_failed(&mut self, node: usize, failed: bool) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.failed = failed;
        }
        self.any_failed = self.nodes.iter().any(|node| node.failed);
    }

    /// Marks connections (of one node, or all) to be closed by the server, as CLIENT KILL does.
    pub fn close_clients(&mut self, node: Option<usize>) {
        self.stirred = true;
        for client in self.clients.values_mut().filter(|client| node.is_none_or(|node| client.node == node)) {
            client.closing = true;
        }
        self.finish();
    }

    /// Marks one connection to be closed by the server.
    pub fn close_client(&mut self, client: ClientId) {
        if let Some(client) = self.clients.get_mut(&client.0) {
            client.closing = true;
            self.stirred = true;
        }
        self.finish();
    }

    /// Puts bytes into a connection's output, behind what waits there: a push between two replies, or one reply too many.
    pub fn inject(&mut self, client: ClientId, bytes: &[u8]) {
        if let Some(client) = self.clients.get_mut(&client.0) {
            client.out.extend_from_slice(bytes);
            self.stirred = true;
        }
    }

    /// Whether the node says of the cluster that it is down.
    pub(super) fn is_down(&self, node: usize) -> bool {
        let found = &self.nodes[node];
        let uncovered = || found.view.uncovered() > 0;
        let failed = || {
            self.any_failed
                && self.nodes.iter().enumerate().any(|(index, other)| other.failed && found.view.count_of(index) > 0)
        };
        found.switches.cluster_down || found.switches.loading || self.options.full_coverage && (uncovered() || failed())
    }
}
