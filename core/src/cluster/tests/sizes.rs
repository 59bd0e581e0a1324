//! What an engine costs in RAM. The bounds are today's figures, so that growth is noticed. Those of a device with 32-bit
//! pointers are held by the compiler, beside [`StaticStorage`], which has the table.

use std::println;

use crate::cluster::engine::State;
use crate::cluster::{Cluster, ConnEntry, StaticStorage};
use crate::connection::Greeting;
use crate::pipeline::Entry;
use crate::resp::Parked;
use crate::topology::{Freshness, Node, Reader, Refresh};

/// 4 nodes, 64 ranges, 4 connections, 32 commands, 128 bytes of host names, 8 levels for each connection.
type Firmware = StaticStorage<4, 64, 128, 4, 32, 32>;

#[test]
fn stay_bounded() {
    let rows = [
        ("Entry, one command", size_of::<Entry>(), 48),
        ("ConnEntry, one connection", size_of::<ConnEntry>(), 224),
        ("  Parked", size_of::<Parked>(), 96),
        ("  Greeting", size_of::<Greeting>(), 20),
        ("Node, one node of one map", size_of::<Node>(), 48),
        ("State, what is there once", size_of::<State>(), 928),
        ("  Freshness", size_of::<Freshness>(), 168),
        ("  Reader", size_of::<Reader>(), 376),
        ("  Refresh", size_of::<Refresh>(), 104),
        ("StaticStorage of a small device", size_of::<Firmware>(), 3_856),
        ("Cluster of a small device", size_of::<Cluster<Firmware>>(), 4_784),
    ];
    for (what, is, bound) in rows {
        println!("{what:34} {is:6} of {bound:6}");
    }
    for (what, is, bound) in rows {
        assert!(is <= bound, "{what}: {is} bytes, more than {bound}");
    }
}
