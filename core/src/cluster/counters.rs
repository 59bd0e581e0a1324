//! Counts by node, kept by an observer.

use crate::cluster::notice::{Notice, Observe, RedirectKind, RetryCause};
use crate::ids::NodeId;
use crate::pipeline::Reason;
use crate::time::Instant;

/// What happened at one node so far. 144 bytes; no count wraps.
///
/// What was sent to a node has come back in one of these ways, or is still there ([`NodeCounters::in_flight`]):
/// `commands = replies + confirmed + moved + asked + refused + lost + discarded + in flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct NodeCounters {
    /// Dials.
    pub dials: u64,
    /// Connections that became ready for commands.
    pub connections: u64,
    /// Connections that ended, those that never became ready included.
    pub closed: u64,
    /// Commands handed over for writing: those sent again, and parts of split ones, each time.
    pub commands: u64,
    /// Commands answered, with an error or without.
    pub replies: u64,
    /// Among them, with an error.
    pub errors: u64,
    /// Among them, of commands that had been redirected, sent again or held up before.
    pub resent: u64,
    /// Subscribe and unsubscribe commands carried out.
    pub confirmed: u64,
    /// Commands that it redirected with MOVED.
    pub moved: u64,
    /// Commands that it redirected with ASK.
    pub asked: u64,
    /// Commands that it refused before it ran them, and that were tried again.
    pub refused: u64,
    /// Commands that had no reply when their connection ended.
    pub lost: u64,
    /// Replies thrown away, because nobody waited for them any more or they nested too deeply.
    pub discarded: u64,
    /// Commands sent again after something went wrong here, redirects to known nodes not counted.
    pub retries: u64,
    /// Commands that ended here without a reply.
    pub failed: u64,
    /// Among them, those whose deadline had passed.
    pub timeouts: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

impl NodeCounters {
    /// Nothing counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            dials: 0,
            connections: 0,
            closed: 0,
            commands: 0,
            replies: 0,
            errors: 0,
            resent: 0,
            confirmed: 0,
            moved: 0,
            asked: 0,
            refused: 0,
            lost: 0,
            discarded: 0,
            retries: 0,
            failed: 0,
            timeouts: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Commands sent to it whose replies are due, those of commands that were dropped meanwhile included.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        let redirects = self.moved.saturating_add(self.asked);
        let back = self.replies.saturating_add(self.confirmed).saturating_add(redirects);
        let back = back.saturating_add(self.refused).saturating_add(self.lost).saturating_add(self.discarded);
        self.commands.saturating_sub(back)
    }

    /// Counts a notice of this node; those that are not of a node are left out.
    pub const fn note(&mut self, notice: &Notice<'_>) {
        match notice {
            Notice::Connecting { .. } => count(&mut self.dials, 1),
            Notice::Ready { .. } => count(&mut self.connections, 1),
            Notice::Lost { in_flight, .. } => {
                count(&mut self.closed, 1);
                count(&mut self.lost, *in_flight as u64);
            }
            Notice::Written { bytes, .. } => count(&mut self.bytes_out, *bytes as u64),
            Notice::Received { bytes, .. } => count(&mut self.bytes_in, *bytes as u64),
            Notice::Sent { .. } => count(&mut self.commands, 1),
            Notice::Answered { error, resent, .. } => {
                count(&mut self.replies, 1);
                count(&mut self.errors, *error as u64);
                count(&mut self.resent, *resent as u64);
            }
            Notice::Confirmed { .. } => count(&mut self.confirmed, 1),
            Notice::Discarded { .. } => count(&mut self.discarded, 1),
            Notice::Redirected { kind: RedirectKind::Moved, .. } => count(&mut self.moved, 1),
            Notice::Redirected { kind: RedirectKind::Ask, .. } => count(&mut self.asked, 1),
            Notice::Retried { why, .. } => {
                count(&mut self.retries, 1);
                count(&mut self.refused, matches!(why, RetryCause::Refused(_)) as u64);
            }
            Notice::Dropped { failure, .. } => {
                count(&mut self.failed, 1);
                count(&mut self.timeouts, matches!(failure.reason, Reason::TimedOut) as u64);
            }
            Notice::Submitted { .. }
            | Notice::Identified { .. }
            | Notice::RefreshStarted { .. }
            | Notice::RefreshFailed { .. }
            | Notice::Refreshed { .. }
            | Notice::MapChanged { .. } => {}
        }
    }

    /// Adds the counts of another node.
    pub const fn add(&mut self, other: &Self) {
        count(&mut self.dials, other.dials);
        count(&mut self.connections, other.connections);
        count(&mut self.closed, other.closed);
        count(&mut self.commands, other.commands);
        count(&mut self.replies, other.replies);
        count(&mut self.errors, other.errors);
        count(&mut self.resent, other.resent);
        count(&mut self.confirmed, other.confirmed);
        count(&mut self.moved, other.moved);
        count(&mut self.asked, other.asked);
        count(&mut self.refused, other.refused);
        count(&mut self.lost, other.lost);
        count(&mut self.discarded, other.discarded);
        count(&mut self.retries, other.retries);
        count(&mut self.failed, other.failed);
        count(&mut self.timeouts, other.timeouts);
        count(&mut self.bytes_in, other.bytes_in);
        count(&mut self.bytes_out, other.bytes_out);
    }
}

/// What an engine did so far, apart from its nodes. Every command that was taken in has ended in one of three ways, or
/// is still pending: `submitted = answered + confirmed + dropped + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct EngineCounters {
    /// Commands taken in.
    pub submitted: u64,
    /// Commands answered, with an error or without.
    pub answered: u64,
    /// Subscribe and unsubscribe commands carried out.
    pub confirmed: u64,
    /// Commands that ended without a reply.
    pub dropped: u64,
    /// Topology questions asked.
    pub refreshes_started: u64,
    /// Topology questions that brought nothing.
    pub refreshes_failed: u64,
    /// Topology questions that were answered, and the answers taken over.
    pub refreshes: u64,
    /// Changes of the map, those by redirects included.
    pub maps: u64,
}

impl EngineCounters {
    /// Nothing counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            submitted: 0,
            answered: 0,
            confirmed: 0,
            dropped: 0,
            refreshes_started: 0,
            refreshes_failed: 0,
            refreshes: 0,
            maps: 0,
        }
    }

    /// Commands taken in that have not ended.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        let ended = self.answered.saturating_add(self.confirmed).saturating_add(self.dropped);
        self.submitted.saturating_sub(ended)
    }

    /// Counts a notice.
    pub const fn note(&mut self, notice: &Notice<'_>) {
        match notice {
            Notice::Submitted { .. } => count(&mut self.submitted, 1),
            Notice::Answered { .. } => count(&mut self.answered, 1),
            Notice::Confirmed { .. } => count(&mut self.confirmed, 1),
            Notice::Dropped { .. } => count(&mut self.dropped, 1),
            Notice::RefreshStarted { .. } => count(&mut self.refreshes_started, 1),
            Notice::RefreshFailed { .. } => count(&mut self.refreshes_failed, 1),
            Notice::Refreshed { .. } => count(&mut self.refreshes, 1),
            Notice::MapChanged { .. } => count(&mut self.maps, 1),
            _ => {}
        }
    }
}

const fn count(counter: &mut u64, by: u64) {
    *counter = counter.saturating_add(by);
}

/// An observer that counts, for up to `NODES` nodes (168 bytes each). What happens at further ones, at seeds that have
/// not said who they are, and to commands that reach no node at all is counted together, so nothing is missing.
#[derive(Clone, Debug)]
pub struct Counters<const NODES: usize> {
    nodes: [Option<(NodeId, NodeCounters)>; NODES],
    elsewhere: NodeCounters,
    engine: EngineCounters,
}

impl<const NODES: usize> Counters<NODES> {
    /// Nothing counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { nodes: [None; NODES], elsewhere: NodeCounters::new(), engine: EngineCounters::new() }
    }

    /// What happened at a node.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&NodeCounters> {
        self.nodes().find(|(node, _)| node == id).map(|(_, counters)| counters)
    }

    /// Every node something happened at, those that have left the cluster included, in the order of their first notice.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &NodeCounters)> {
        self.nodes.iter().flatten().map(|(node, counters)| (*node, counters))
    }

    /// What happened at no node that is listed.
    #[must_use]
    pub const fn elsewhere(&self) -> &NodeCounters {
        &self.elsewhere
    }

    /// The sum over all nodes, listed or not.
    #[must_use]
    pub fn total(&self) -> NodeCounters {
        let mut sum = self.elsewhere;
        for (_, counters) in self.nodes() {
            sum.add(counters);
        }
        sum
    }

    /// What is counted apart from nodes.
    #[must_use]
    pub const fn engine(&self) -> &EngineCounters {
        &self.engine
    }
}

impl<const NODES: usize> Default for Counters<NODES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const NODES: usize> Observe for Counters<NODES> {
    fn observe(&mut self, _now: Instant, notice: &Notice<'_>) {
        self.engine.note(notice);
        let Some(id) = notice.node() else { return self.elsewhere.note(notice) };
        let mine = |place: &&mut Option<(NodeId, NodeCounters)>| place.is_none_or(|(node, _)| node == id);
        match self.nodes.iter_mut().find(mine) {
            Some(place) => place.get_or_insert((id, NodeCounters::new())).1.note(notice),
            None => self.elsewhere.note(notice),
        }
    }
}
