//! One node of a reply, field by field.

use super::Context;
use crate::ids::NodeId;
use crate::topology::Rejection;
use crate::topology::build::MapMut;
use crate::topology::hosts::{Draft, Row, Tag, checked, unspecified};
use crate::topology::node::NodeIndex;

/// What the endpoint field said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    /// Nothing yet.
    Absent,
    /// A host to dial.
    Named,
    /// Null or empty (preferred endpoint type `unknown-endpoint`, and nodes that never met another): the host the
    /// answering node was reached at.
    SameHost,
    /// `?` (preferred endpoint type `hostname`, none announced): not the same host; only the metadata can help.
    Unknown,
    /// An address that means "any": the node does not know its own. The metadata first, else the same host.
    Unspecified,
}

/// A node's address and identity while its fields arrive in any order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    draft: Draft,
    endpoint: Endpoint,
    has_ip: bool,
    pub(super) id: Option<NodeId>,
    pub(super) port: u16,
}

impl Entry {
    pub(super) const fn new() -> Self {
        Self { draft: Draft::at(0), endpoint: Endpoint::Absent, has_ip: false, id: None, port: 0 }
    }

    /// A fresh entry whose hosts go to the end of the map's arena.
    pub(super) const fn begin(map: &MapMut<'_>) -> Self {
        Self { draft: map.draft(), ..Self::new() }
    }

    /// The preferred endpoint.
    pub(super) fn endpoint(&mut self, text: &[u8], map: &mut MapMut<'_>) -> Result<(), Rejection> {
        self.endpoint = match text {
            b"" => Endpoint::SameHost,
            b"?" => Endpoint::Unknown,
            text if unspecified(text) => Endpoint::Unspecified,
            text => {
                let host = checked(text).ok_or(Rejection::Malformed("a host is no host name or address"))?;
                map.draft_push(&mut self.draft, Tag::Endpoint, host.as_bytes());
                Endpoint::Named
            }
        };
        Ok(())
    }

    /// An IP address beside the endpoint; one that says nothing is left out.
    pub(super) fn ip(&mut self, text: &[u8], map: &mut MapMut<'_>) {
        if !unspecified(text)
            && let Some(ip) = checked(text)
        {
            map.draft_push(&mut self.draft, Tag::Ip, ip.as_bytes());
            self.has_ip = true;
        }
    }

    /// A host name beside the endpoint.
    pub(super) fn hostname(&mut self, text: &[u8], map: &mut MapMut<'_>) {
        if let Some(name) = checked(text) {
            map.draft_push(&mut self.draft, Tag::Hostname, name.as_bytes());
        }
    }

    /// The availability zone.
    #[cfg_attr(not(feature = "shards-reply"), allow(dead_code, reason = "SLOTS metadata uses it too"))]
    pub(super) fn zone(&mut self, text: &[u8], map: &mut MapMut<'_>) {
        if !text.is_empty() && text.len() <= 255 && core::str::from_utf8(text).is_ok() {
            map.draft_push(&mut self.draft, Tag::Zone, text);
        }
    }

    /// The port; 0 where the server has none for this kind of connection.
    pub(super) fn port(&mut self, number: Option<u64>) -> Result<(), Rejection> {
        self.port = number.and_then(|n| u16::try_from(n).ok()).ok_or(Rejection::Malformed("a port is no port"))?;
        Ok(())
    }

    /// The node id. Servers print 40 hexadecimal digits; what proxies and look-alikes print instead still tells
    /// nodes apart.
    pub(super) fn id(&mut self, text: &[u8]) {
        self.id = node_id(text);
    }

    /// Settles the address: nodes without a host of their own are on the host that answered. Gives the id.
    pub(super) fn settle(&mut self, context: &Context<'_>, map: &mut MapMut<'_>) -> NodeId {
        let same_host = match self.endpoint {
            Endpoint::SameHost => true,
            Endpoint::Unspecified | Endpoint::Absent => !self.has_ip,
            Endpoint::Named | Endpoint::Unknown => false,
        };
        if same_host {
            map.draft_push(&mut self.draft, Tag::Endpoint, context.answered_by.host().as_bytes());
        }
        match self.id {
            Some(id) => id,
            None => {
                let host = Row::new(map.draft_bytes(&self.draft)).host().unwrap_or("");
                NodeId::derived(host.as_bytes(), self.port)
            }
        }
    }

    /// Appends the node, not yet known by its id.
    pub(super) fn push(&self, id: NodeId, map: &mut MapMut<'_>) -> Option<NodeIndex> {
        map.push_node(id, self.port, self.draft)
    }

    /// Gives the address to a node that is in the map already.
    #[cfg_attr(
        not(any(feature = "nodes-reply", feature = "shards-reply")),
        allow(dead_code, reason = "a node of SLOTS keeps its first address")
    )]
    pub(super) fn replace(&self, index: NodeIndex, map: &mut MapMut<'_>) {
        map.set_hosts(index, self.draft);
        if let Some(node) = map.node_mut(index) {
            node.port = self.port;
        }
    }
}

/// A node id as servers print it, or one made from other text; `None` for none.
pub(super) fn node_id(text: &[u8]) -> Option<NodeId> {
    hexadecimal(text).or_else(|| (!text.is_empty()).then(|| NodeId::derived(text, 0)))
}

/// [`NodeId::parse`], eight digits at a time: a reply of 1,000 nodes has 40,000 digits.
fn hexadecimal(text: &[u8]) -> Option<NodeId> {
    if text.len() != 40 {
        return None;
    }
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    const HIGH: u64 = each(0x80);
    let mut id = [0; 20];
    // Arrays, not slices of a fixed length: zipping those divides by the length, which may panic.
    for (out, digits) in id.as_chunks_mut::<4>().0.iter_mut().zip(text.as_chunks::<8>().0) {
        let word = u64::from_le_bytes(*digits);
        // With bytes below 0x80, adding 0x80 - n sets the high bit of the bytes from n on, and no byte carries over.
        let low = word & !HIGH;
        let lower = low | each(0x20);
        let digit = low.wrapping_add(each(0x80 - b'0')) & !low.wrapping_add(each(0x80 - b'9' - 1));
        let letter = lower.wrapping_add(each(0x80 - b'a')) & !lower.wrapping_add(each(0x80 - b'f' - 1)) & HIGH;
        if (digit | letter) & !word & HIGH != HIGH {
            return None;
        }
        let nibbles = (low & each(0x0f)).wrapping_add((letter >> 7).wrapping_mul(9));
        let pairs = ((nibbles << 4) | (nibbles >> 8)) & 0x00ff_00ff_00ff_00ff;
        let pairs = (pairs | (pairs >> 8)) & 0x0000_ffff_0000_ffff;
        *out = ((pairs | (pairs >> 16)) as u32).to_le_bytes();
    }
    Some(NodeId::from_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_what_node_id_parses() {
        let base = *b"07c37dfeb235213a872192d90877d0cd55635b91";
        assert_eq!(hexadecimal(&base), NodeId::parse(&base));
        for at in 0..40 {
            for byte in 0..=255 {
                let mut text = base;
                text[at] = byte;
                assert_eq!(hexadecimal(&text), NodeId::parse(&text), "{byte} at {at}");
            }
        }
        assert_eq!(hexadecimal(&base[1..]), None);
        assert_eq!(hexadecimal(b""), None);
    }
}
