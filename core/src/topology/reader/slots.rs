//! CLUSTER SLOTS: `[[start, end, [endpoint, port, id, metadata], replica ...] ...]`.
//!
//! Node entries have three elements up to 6.2 (the betas of 3.0 had two) and four from 7.0 on; more are ignored.
//! Entries are sorted by slot from 6.2 on. An endpoint is a string or null.

use super::entry::Entry;
use super::walk::{Place, Scalar};
use super::{Context, Shape};
use crate::slot::{Slot, SlotRange};
use crate::topology::Rejection;
use crate::topology::build::MapMut;
use crate::topology::node::{NONE, NodeIndex, Role};

/// Which metadata value comes next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meta {
    Ip,
    Hostname,
    Zone,
    Other,
}

impl Meta {
    pub(super) fn of(key: Scalar<'_>) -> Self {
        match key {
            Scalar::Text(b"ip") => Self::Ip,
            Scalar::Text(b"hostname") => Self::Hostname,
            Scalar::Text(b"availability-zone" | b"availability_zone") => Self::Zone,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Slots {
    start: Option<Slot>,
    range: Option<SlotRange>,
    /// Nodes read of this entry.
    nodes: u32,
    /// The entry's primary, `None` while there is none or when the table was full.
    primary: Option<NodeIndex>,
    entry: Entry,
    meta: Meta,
}

/// A slot number of a reply.
pub(super) fn slot(scalar: Scalar<'_>) -> Result<Slot, Rejection> {
    let number = scalar.number().and_then(|n| u16::try_from(n).ok()).and_then(Slot::new);
    number.ok_or(Rejection::Malformed("a slot is no number from 0 to 16383"))
}

impl Slots {
    pub(super) const fn new() -> Self {
        Self { start: None, range: None, nodes: 0, primary: None, entry: Entry::new(), meta: Meta::Other }
    }

    /// A node of the entry is complete: the first is the primary, the others are its replicas.
    fn node(&mut self, context: &Context<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        let is_primary = self.nodes == 0;
        self.nodes = self.nodes.saturating_add(1);
        if !is_primary && !context.replicas {
            return Ok(());
        }
        let id = self.entry.settle(context, map);
        let known = map.map().find(&id);
        let index = match known {
            Some(index) => Some(index),
            None => self.entry.push(id, map).inspect(|index| map.chain(*index)),
        };
        if is_primary {
            self.primary = index;
            if let Some(node) = index.and_then(|index| map.node_mut(index)) {
                // A replica of one entry that is the primary of another serves slots of its own.
                node.set_role(Role::Primary);
            }
            let range = self.range.ok_or(Rejection::Malformed("an entry of CLUSTER SLOTS has no slots"))?;
            return map.add_range(range, index);
        }
        if known.is_none()
            && let Some(node) = index.and_then(|index| map.node_mut(index))
        {
            node.set_role(Role::Replica);
            node.link = self.primary.map_or(NONE, |primary| primary.0);
        }
        Ok(())
    }
}

impl Shape for Slots {
    fn opens(&mut self, place: Place, count: u64, map: &mut MapMut<'_>) -> Result<bool, Rejection> {
        match (place.depth, place.index) {
            (0, _) => Ok(true),
            (1, _) => {
                if count < 3 {
                    return Err(Rejection::Malformed("an entry of CLUSTER SLOTS names no node"));
                }
                (self.start, self.range, self.nodes, self.primary) = (None, None, 0, None);
                Ok(true)
            }
            (2, 2..) => {
                if count < 2 {
                    return Err(Rejection::Malformed("a node of CLUSTER SLOTS has no port"));
                }
                self.entry = Entry::begin(map);
                Ok(true)
            }
            (3, 3) => Ok(true),
            (3, 4..) => Ok(false),
            (4, index) => {
                if index % 2 == 0 {
                    self.meta = Meta::Other;
                }
                Ok(false)
            }
            _ => Err(Rejection::Malformed("an aggregate where CLUSTER SLOTS has a value")),
        }
    }

    fn scalar(&mut self, place: Place, scalar: Scalar<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        match (place.depth, place.index) {
            (2, 0) => self.start = Some(slot(scalar)?),
            (2, 1) => {
                let start = self.start.ok_or(Rejection::Malformed("an entry of CLUSTER SLOTS has no first slot"))?;
                self.range = SlotRange::new(start, slot(scalar)?);
                if self.range.is_none() {
                    return Err(Rejection::Malformed("a range ends before it begins"));
                }
            }
            (3, 0) => {
                let text = scalar.text().ok_or(Rejection::Malformed("an endpoint is no string"))?;
                self.entry.endpoint(text, map)?;
            }
            (3, 1) => self.entry.port(scalar.number())?,
            (3, 2) => self.entry.id(scalar.text().ok_or(Rejection::Malformed("a node id is no string"))?),
            (3, 3..) => {}
            (4, index) if index % 2 == 0 => self.meta = Meta::of(scalar),
            (4, _) => {
                if let Scalar::Text(text) = scalar {
                    match self.meta {
                        Meta::Ip => self.entry.ip(text, map),
                        Meta::Hostname => self.entry.hostname(text, map),
                        Meta::Zone => self.entry.zone(text, map),
                        Meta::Other => {}
                    }
                }
            }
            _ => return Err(Rejection::Malformed("a value where CLUSTER SLOTS has an aggregate")),
        }
        Ok(())
    }

    fn close(&mut self, place: Place, context: &Context<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        if place.depth == 3 {
            self.node(context, map)?;
        }
        Ok(())
    }
}
