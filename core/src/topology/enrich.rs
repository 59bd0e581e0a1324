//! Taking from one reply what another does not carry.

use super::build::MapMut;
use super::map::Map;
use super::node::{EPOCH, Health, NONE, PLACEHOLDER};

impl MapMut<'_> {
    /// Adds to this map what `other` knows beyond it, node by node: config epochs, health, and nodes that are not
    /// here because they have no slots (CLUSTER SLOTS does not list those, and an ASK may lead to one). Addresses,
    /// roles and slots of the nodes that are here stay, since CLUSTER NODES never shows the preferred endpoint.
    ///
    /// For a map that was read from CLUSTER SLOTS, and an `other` from CLUSTER NODES or CLUSTER SHARDS.
    pub fn enrich(&mut self, other: &Map<'_>) {
        for (index, theirs) in other.nodes() {
            if theirs.flags & PLACEHOLDER != 0 {
                continue;
            }
            let id = theirs.id();
            let known = self.map().find(&id);
            let ours = match known {
                Some(ours) => Some(ours),
                None => {
                    let mut draft = self.draft();
                    for (tag, text) in other.row(theirs) {
                        self.draft_push_raw(&mut draft, tag, text);
                    }
                    self.push_node(id, theirs.port(), draft).inspect(|ours| self.chain(*ours))
                }
            };
            let primary = other.node(index).and_then(super::node::Node::primary).and_then(|index| other.node(index));
            let link = primary.and_then(|primary| self.map().find(&primary.id())).map_or(NONE, |primary| primary.0);
            let Some(node) = ours.and_then(|ours| self.node_mut(ours)) else { continue };
            if known.is_none() {
                node.flags = theirs.flags;
                node.link = link;
            }
            if theirs.flags & EPOCH != 0 {
                node.flags |= EPOCH;
                node.set_epoch(theirs.epoch().unwrap_or(0));
            }
            if theirs.health != Health::Unknown {
                node.health = theirs.health;
            }
        }
        self.link_replicas();
        self.head.version = self.head.version.wrapping_add(1);
    }
}
