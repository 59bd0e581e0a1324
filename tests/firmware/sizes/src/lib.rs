//! Compiles for a 32-bit target without an operating system only if the memory map in the guide for firmware authors
//! (`embedded-adapter/src/guide.md`) states the sizes of its types.

#![no_std]
#![cfg_attr(
    not(all(target_os = "none", target_pointer_width = "32")),
    allow(unused_imports, dead_code, reason = "the sizes are those of a 32-bit target")
)]

use slotwise::cluster::{Cluster, StaticStorage};
use slotwise::scan::{ClusterScan, Walk};
use slotwise_embedded::{Driver, SmoltcpSet, StaticBuffers};
use smoltcp::iface::{Interface, SocketStorage};

/// The configuration of the guide.
type Storage = StaticStorage<4, 64, 128, 4, 34, 32>;

/// A type may not be larger than stated, nor be smaller by more than a quarter.
const fn holds(size: usize, stated: usize) {
    assert!(size <= stated, "the guide's memory map states less than a type takes");
    assert!(size * 4 >= stated * 3, "the guide's memory map states much more than a type takes");
}

#[cfg(all(target_os = "none", target_pointer_width = "32"))]
mod checks {
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/checks.rs"));
}
