//! One node of the cluster as the map stores it.

use crate::ids::NodeId;

/// The place of a node in one version of a map. Identity over time is [`NodeId`]; an index is only good for the map
/// it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NodeIndex(pub(super) u16); // < MAX_NODES

/// "No node" in the links between nodes.
pub(super) const NONE: u16 = u16::MAX;

/// Most nodes a map can hold: the numbers above are taken by "uncovered" and "unknown" in the slot tables. The
/// cluster specification recommends at most about 1,000 nodes.
pub const MAX_NODES: usize = 0xfff0;

impl NodeIndex {
    /// The index as a place in a table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The index at place `n`, `None` from [`MAX_NODES`] on.
    #[must_use]
    pub const fn new(n: usize) -> Option<Self> {
        if n < MAX_NODES { Some(Self(n as u16)) } else { None }
    }
}

/// What a node is in its shard. Servers still say `master` and `slave` on the wire; these words are translated here
/// and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// Serves reads and writes of its slots.
    Primary,
    /// Copies a primary.
    Replica,
}

impl Role {
    /// `primary` or `replica`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }

    /// The role behind the server's word (`master`, `primary`, `slave`, `replica`).
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"master" | b"primary" => Some(Self::Primary),
            b"slave" | b"replica" => Some(Self::Replica),
            _ => None,
        }
    }
}

/// What a topology reply says about a node's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Health {
    /// Listed without a complaint.
    Online,
    /// `fail?`: one node cannot reach it; the cluster has not agreed.
    Suspect,
    /// `fail`: the cluster agreed that it is down.
    Failed,
    /// A replica that has not copied its primary's data yet (SHARDS `loading`): it would answer nil for keys that
    /// exist.
    Loading,
    /// Not part of the cluster yet, or its address is not known (`handshake`, `noaddr`).
    Joining,
    /// Nothing is known: named by a redirect, or a former primary whose replica was promoted.
    Unknown,
}

impl Health {
    /// The state in snake_case, for machine output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
            Self::Loading => "loading",
            Self::Joining => "joining",
            Self::Unknown => "unknown",
        }
    }
}

/// Where memory is small, arenas are too, and config epochs count from one: half of the bits do.
#[cfg(target_pointer_width = "64")]
mod width {
    pub(in crate::topology) type Epoch = u64;
    pub(in crate::topology) type Offset = u32;

    pub(super) const fn widen(epoch: Epoch, at: Offset) -> (u64, u32) {
        (epoch, at)
    }
}
#[cfg(not(target_pointer_width = "64"))]
mod width {
    pub(in crate::topology) type Epoch = u32;
    pub(in crate::topology) type Offset = u16;

    pub(super) const fn widen(epoch: Epoch, at: Offset) -> (u64, u32) {
        (epoch as u64, at as u32)
    }
}

/// A node of the map; host names lie in the map's arena. 48 bytes, or 40 where pointers have 32 bits: there an epoch
/// beyond 32 bits counts as the greatest one, and only the first 64 KiB of an arena are used.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub(super) epoch: width::Epoch,
    pub(super) id: NodeId,
    /// Where the node's hosts begin in the arena.
    pub(super) hosts_at: width::Offset,
    /// Bytes of the node's hosts in the arena, tags included.
    pub(super) hosts_len: u16,
    pub(super) port: u16,
    /// Of a replica: its primary. Of a primary: its first replica.
    pub(super) link: u16,
    /// The next replica of the same primary.
    pub(super) sibling: u16,
    /// Head of the chain of nodes whose id hashes to this place of the table (not about this node).
    pub(super) bucket: u16,
    /// Next node in this node's chain.
    pub(super) chain: u16,
    pub(super) flags: u8,
    pub(super) health: Health,
}

/// The node is a replica.
pub(super) const REPLICA: u8 = 1;
/// The node is the one that answered (`myself` in CLUSTER NODES).
pub(super) const MYSELF: u8 = 2;
/// The node must not be dialled whatever address it has.
pub(super) const NOT_ROUTABLE: u8 = 4;
/// The epoch is known.
pub(super) const EPOCH: u8 = 8;
/// The caller does not want the node dialled ([`MapMut::refuse`](super::MapMut::refuse)).
pub(super) const REFUSED: u8 = 32;
/// The node was named by another one's line and has none of its own yet.
pub(super) const PLACEHOLDER: u8 = 16;

impl Node {
    /// A free place of a node table, to build one with.
    pub const EMPTY: Self = Self {
        epoch: 0,
        id: NodeId::from_bytes([0; 20]),
        hosts_at: 0,
        hosts_len: 0,
        port: 0,
        link: NONE,
        sibling: NONE,
        bucket: NONE,
        chain: NONE,
        flags: 0,
        health: Health::Unknown,
    };

    /// The node's identity.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// What the node is in its shard.
    #[must_use]
    pub const fn role(&self) -> Role {
        if self.flags & REPLICA == 0 { Role::Primary } else { Role::Replica }
    }

    /// Whether the node is a primary.
    #[must_use]
    pub const fn is_primary(&self) -> bool {
        self.flags & REPLICA == 0
    }

    /// The primary of a replica, `None` for a primary and for a replica whose primary is not in the map.
    #[must_use]
    pub const fn primary(&self) -> Option<NodeIndex> {
        if self.is_primary() || self.link == NONE { None } else { Some(NodeIndex(self.link)) }
    }

    /// The config epoch (of a replica: its primary's), where a CLUSTER NODES reply gave one.
    #[must_use]
    pub const fn epoch(&self) -> Option<u64> {
        if self.flags & EPOCH == 0 { None } else { Some(width::widen(self.epoch, 0).0) }
    }

    pub(super) fn set_epoch(&mut self, epoch: u64) {
        self.epoch = width::Epoch::try_from(epoch).unwrap_or(width::Epoch::MAX);
    }

    /// Where the node's hosts lie in the arena.
    pub(super) const fn hosts(&self) -> (u32, u16) {
        (width::widen(0, self.hosts_at).1, self.hosts_len)
    }

    /// Notes where the node's hosts lie; what lies too far back for it cannot be noted.
    pub(super) fn set_hosts(&mut self, at: u32, len: u16) -> bool {
        let fits = width::Offset::try_from(at);
        (self.hosts_at, self.hosts_len) = fits.map_or((0, 0), |at| (at, len));
        fits.is_ok()
    }

    /// The port for the kind of connection the reply was read on (plain or TLS); 0 when the node has none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The node's state.
    #[must_use]
    pub const fn health(&self) -> Health {
        self.health
    }

    /// Whether it is the node whose CLUSTER NODES reply the map was read from.
    #[must_use]
    pub const fn is_myself(&self) -> bool {
        self.flags & MYSELF != 0
    }

    /// Whether the node has an address that may be dialled.
    #[must_use]
    pub const fn is_routable(&self) -> bool {
        self.flags & (NOT_ROUTABLE | REFUSED) == 0 && self.port != 0 && self.hosts_len != 0
    }

    /// Whether the caller refused the node's address ([`MapMut::refuse`](super::MapMut::refuse)).
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.flags & REFUSED != 0
    }

    /// Whether a replica may serve reads: listed, in sync as far as the reply tells, with an address. `Suspect` still
    /// reads: only one node doubts it.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.is_routable() && matches!(self.health, Health::Online | Health::Suspect)
    }

    pub(super) const fn set_role(&mut self, role: Role) {
        match role {
            Role::Primary => self.flags &= !REPLICA,
            Role::Replica => self.flags |= REPLICA,
        }
    }
}
