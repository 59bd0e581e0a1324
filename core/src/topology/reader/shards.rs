//! CLUSTER SHARDS (7.0 and later): shards as maps `slots`, `nodes`; nodes as maps with named fields.
//!
//! Maps in RESP3, flat arrays in RESP2. The order of the keys is not fixed, and neither is that of the nodes: after a
//! failover a shard lists two nodes with `role` `master`, the dead one first (seen on Redis 8.6 and Valkey 9.1).
//! Slots are given per shard, so the shard's owner is only known at its end: they hang on the place of the shard's
//! first node, and at the end the elected primary is moved to that place.

use super::entry::Entry;
use super::slots::slot;
use super::walk::{Place, Scalar};
use super::{Context, Shape};
use crate::slot::{Slot, SlotRange};
use crate::topology::Rejection;
use crate::topology::build::MapMut;
use crate::topology::map::OWNERS_UNSURE;
use crate::topology::node::{Health, Node, NodeIndex, Role};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShardKey {
    Slots,
    Nodes,
    Other,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Id,
    Port,
    TlsPort,
    Ip,
    Endpoint,
    Hostname,
    Role,
    Health,
    Zone,
    Other,
}

impl Field {
    fn of(key: Scalar<'_>) -> Self {
        match key {
            Scalar::Text(b"id") => Self::Id,
            Scalar::Text(b"port") => Self::Port,
            Scalar::Text(b"tls-port") => Self::TlsPort,
            Scalar::Text(b"ip") => Self::Ip,
            Scalar::Text(b"endpoint") => Self::Endpoint,
            Scalar::Text(b"hostname") => Self::Hostname,
            Scalar::Text(b"role") => Self::Role,
            Scalar::Text(b"health") => Self::Health,
            Scalar::Text(b"availability-zone" | b"availability_zone") => Self::Zone,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Shards {
    key: ShardKey,
    /// The place of the shard's first node; `None` when the table is full.
    anchor: Option<NodeIndex>,
    has_slots: bool,
    /// The first slot of a range whose last is still to come.
    start: Option<Slot>,
    nodes: u32,
    entry: Entry,
    field: Field,
    role: Option<Role>,
    health: Health,
    plain_port: u16,
    tls_port: u16,
}

impl Shards {
    pub(super) const fn new() -> Self {
        Self {
            key: ShardKey::Other,
            anchor: None,
            has_slots: false,
            start: None,
            nodes: 0,
            entry: Entry::new(),
            field: Field::Other,
            role: None,
            health: Health::Online,
            plain_port: 0,
            tls_port: 0,
        }
    }

    /// One end of a range.
    fn slot(&mut self, slot: Slot, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        let Some(start) = self.start.take() else {
            self.start = Some(slot);
            return Ok(());
        };
        self.has_slots = true;
        map.add_range(
            SlotRange::new(start, slot).ok_or(Rejection::Malformed("a range ends before it begins"))?,
            self.anchor,
        )
    }

    fn field(&mut self, scalar: Scalar<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        match self.field {
            Field::Id => self.entry.id(scalar.text().ok_or(Rejection::Malformed("a node id is no string"))?),
            Field::Port => {
                self.entry.port(scalar.number())?;
                self.plain_port = self.entry.port;
            }
            Field::TlsPort => {
                self.entry.port(scalar.number())?;
                self.tls_port = self.entry.port;
            }
            Field::Endpoint => {
                let text = scalar.text().ok_or(Rejection::Malformed("an endpoint is no string"))?;
                self.entry.endpoint(text, map)?;
            }
            Field::Role => {
                let role = scalar.text().and_then(Role::parse);
                self.role = Some(role.ok_or(Rejection::Malformed("a role is neither master nor replica"))?);
            }
            Field::Ip => self.entry.ip(scalar.text().unwrap_or_default(), map),
            Field::Hostname => self.entry.hostname(scalar.text().unwrap_or_default(), map),
            Field::Zone => self.entry.zone(scalar.text().unwrap_or_default(), map),
            Field::Health => {
                self.health = match scalar.text() {
                    Some(b"online") => Health::Online,
                    // The server's word is `fail`; its documentation says `failed`.
                    Some(b"fail" | b"failed") => Health::Failed,
                    Some(b"loading") => Health::Loading,
                    _ => Health::Unknown,
                };
            }
            Field::Other => {}
        }
        Ok(())
    }

    /// A node of the shard is complete.
    fn node(&mut self, context: &Context<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        let role = self.role.ok_or(Rejection::Malformed("a node has no role"))?;
        // A server leaves a port out when it is 0. The other port is better than none: a proxy may end the TLS.
        let (wanted, other) =
            if context.tls { (self.tls_port, self.plain_port) } else { (self.plain_port, self.tls_port) };
        self.entry.port = if wanted == 0 { other } else { wanted };
        let id = self.entry.settle(context, map);
        self.nodes = self.nodes.saturating_add(1);
        let index = if self.nodes > 1 && !context.replicas {
            // One node per shard is kept: the one that will be elected.
            let Some(index) = self.anchor.filter(|_| rank(role, self.health) > map.rank_at(self.anchor)) else {
                return Ok(());
            };
            self.entry.replace(index, map);
            index
        } else {
            match self.entry.push(id, map) {
                Some(index) => index,
                None => return Ok(()),
            }
        };
        if let Some(node) = map.node_mut(index) {
            node.id = id;
            node.health = self.health;
            node.set_role(role);
        }
        Ok(())
    }

    /// The shard is complete: elects its primary, which takes the place the slots hang on.
    fn shard(&mut self, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        if self.nodes == 0 {
            let why = Rejection::Malformed("a shard has slots but no nodes");
            return if self.has_slots { Err(why) } else { Ok(()) };
        }
        let Some(anchor) = self.anchor else { return Ok(()) };
        let (first, end) = (anchor.index(), map.map().node_count());
        let mut best = anchor;
        for index in (first..end).filter_map(NodeIndex::new) {
            if map.rank_at(Some(index)) > map.rank_at(Some(best)) {
                best = index;
            }
        }
        map.swap_nodes(anchor, best);
        let primary = map.node_mut(anchor).is_some_and(|node| node.is_primary());
        if !primary {
            // Seen where a primary is missing from the reply: whose slots these are has to be learned.
            map.head.flags |= OWNERS_UNSURE;
        }
        for index in (first..end).filter_map(NodeIndex::new) {
            if let Some(node) = map.node_mut(index)
                && !node.is_primary()
                && primary
            {
                node.link = anchor.0;
            }
            map.chain(index);
        }
        Ok(())
    }
}

impl Shape for Shards {
    fn opens(&mut self, place: Place, count: u64, map: &mut MapMut<'_>) -> Result<bool, Rejection> {
        match (place.depth, place.index) {
            (0, _) => Ok(true),
            (1, _) => {
                if !count.is_multiple_of(2) {
                    return Err(Rejection::Malformed("a shard has a key without a value"));
                }
                self.anchor = map.next_node();
                (self.key, self.has_slots, self.nodes) = (ShardKey::Other, false, 0);
                Ok(true)
            }
            (2, index) if index % 2 == 0 => Err(Rejection::Malformed("a shard's key is no string")),
            (2, _) => {
                self.start = None;
                Ok(self.key != ShardKey::Other)
            }
            (3, _) if self.key == ShardKey::Nodes => {
                if !count.is_multiple_of(2) {
                    return Err(Rejection::Malformed("a node has a key without a value"));
                }
                self.entry = Entry::begin(map);
                (self.field, self.role, self.health) = (Field::Other, None, Health::Online);
                (self.plain_port, self.tls_port) = (0, 0);
                Ok(true)
            }
            (3, _) => Err(Rejection::Malformed("a slot is no number from 0 to 16383")),
            (_, index) if index % 2 == 0 => Err(Rejection::Malformed("a node's key is no string")),
            _ => match self.field {
                Field::Other => Ok(false),
                _ => Err(Rejection::Malformed("an aggregate where a node has a value")),
            },
        }
    }

    fn scalar(&mut self, place: Place, scalar: Scalar<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        match (place.depth, place.index) {
            (2, index) if index % 2 == 0 => {
                self.key = match scalar {
                    Scalar::Text(b"slots") => ShardKey::Slots,
                    Scalar::Text(b"nodes") => ShardKey::Nodes,
                    _ => ShardKey::Other,
                };
                Ok(())
            }
            (2, _) if self.key == ShardKey::Other => Ok(()),
            (3, _) if self.key == ShardKey::Slots => self.slot(slot(scalar)?, map),
            (4, index) if index % 2 == 0 => {
                self.field = Field::of(scalar);
                Ok(())
            }
            (4, _) => self.field(scalar, map),
            _ => Err(Rejection::Malformed("a value where CLUSTER SHARDS has an aggregate")),
        }
    }

    fn close(&mut self, place: Place, context: &Context<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        match place.depth {
            2 => self.shard(map),
            3 if self.start.is_some() => Err(Rejection::Malformed("a range without an end")),
            4 => self.node(context, map),
            _ => Ok(()),
        }
    }
}

/// How well a node serves as its shard's primary; the first of the best is elected.
const fn rank(role: Role, health: Health) -> u8 {
    let role = match role {
        Role::Primary => 8,
        Role::Replica => 0,
    };
    role + match health {
        Health::Online => 4,
        Health::Suspect | Health::Loading => 3,
        Health::Unknown | Health::Joining => 2,
        Health::Failed => 1,
    }
}

impl MapMut<'_> {
    /// The place of the next node to be added, `None` when the table is full.
    fn next_node(&self) -> Option<NodeIndex> {
        NodeIndex::new(self.map().node_count()).filter(|index| index.index() < self.parts.nodes.len())
    }

    /// The rank of a node, 0 for none.
    fn rank_at(&self, index: Option<NodeIndex>) -> u8 {
        index.and_then(|index| self.map().node(index)).map_or(0, |node| rank(node.role(), node.health()))
    }

    /// Exchanges two nodes that are not known by their ids yet.
    fn swap_nodes(&mut self, a: NodeIndex, b: NodeIndex) {
        let (Some(x), Some(y)) = (self.map().node(a).copied(), self.map().node(b).copied()) else { return };
        for (index, node) in [(a, y), (b, x)] {
            if let Some(place) = self.node_mut(index) {
                // The chain that begins at a place stays with the place.
                *place = Node { bucket: place.bucket, ..node };
            }
        }
    }
}
