mod details;
mod diff;
mod edges;
mod fields;
mod freshness;
mod map;
mod readers;
mod redirected;
mod refresh;
mod strangers;

use super::*;
use crate::addr::NodeAddr;
use crate::ids::NodeId;
use crate::slot::{Slot, SlotRange};
use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

/// Tables of any size on the heap.
struct Tables {
    head: MapHead,
    nodes: Vec<Node>,
    ranges: Vec<RangeEntry>,
    hosts: Vec<u8>,
    dense: Option<Box<[u16]>>,
}

impl Tables {
    fn new(nodes: usize, ranges: usize, hosts: usize, dense: bool) -> Self {
        Self {
            head: MapHead::new(),
            nodes: vec![Node::EMPTY; nodes],
            ranges: vec![RangeEntry::EMPTY; ranges],
            hosts: vec![0; hosts],
            // What a lent table holds before is not the map's: fill it with what would be node 0.
            dense: dense.then(|| vec![0; 16384].into()),
        }
    }

    #[cfg(feature = "nodes-reply")]
    fn large(dense: bool) -> Self {
        Self::new(2_000, if dense { 0 } else { 32_768 }, 200_000, dense)
    }

    fn map_mut(&mut self) -> MapMut<'_> {
        let parts = MapParts {
            nodes: &mut self.nodes,
            ranges: &mut self.ranges,
            hosts: &mut self.hosts,
            dense: self.dense.as_deref_mut(),
        };
        MapMut::new(&mut self.head, parts)
    }

    fn map(&self) -> Map<'_> {
        Map::new(&self.head, &self.nodes, &self.ranges, &self.hosts, self.dense.as_deref())
    }
}

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

fn range(first: u16, last: u16) -> SlotRange {
    SlotRange::new(slot(first), slot(last)).unwrap()
}

fn id(n: u16) -> NodeId {
    NodeId::parse(id_text(n).as_bytes()).unwrap()
}

fn id_text(n: u16) -> String {
    format!("{:040x}", (u128::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn primary(n: u16, port: u16) -> NewNode<'static> {
    let (role, health) = (Role::Primary, Health::Online);
    NewNode { id: id(n), role, primary: None, host: "10.0.0.1", port, epoch: None, health }
}

/// `first-last=port` of every owned range, then `first-last=-` uncovered or `first-last=?` unknown.
fn print(map: &Map<'_>) -> String {
    let mut out = Vec::new();
    for (index, (range, owner)) in map.runs().enumerate() {
        // From anywhere on, the runs are the same.
        let middle = Slot::masked(range.first().get() + range.len() / 2);
        let mut rest = map.runs_from(middle);
        assert_eq!(rest.next(), Some((SlotRange::new(middle, range.last()).unwrap(), owner)));
        assert!(index % 64 > 0 || rest.eq(map.runs().skip(index + 1)));
        let owner = match owner {
            Owner::Node(index) => map.node(index).unwrap().port().to_string(),
            Owner::Uncovered => "-".to_string(),
            Owner::Unknown => "?".to_string(),
        };
        out.push(format!("{range}={owner}"));
    }
    out.join(" ")
}

#[test]
fn sizes() {
    assert_eq!(size_of::<Node>(), 48);
    assert_eq!(size_of::<RangeEntry>(), 4);
    assert!(size_of::<MapHead>() <= 20);
    assert!(size_of::<Map<'_>>() <= 88);
    assert!(size_of::<Reader>() <= 640, "{}", size_of::<Reader>());
}
