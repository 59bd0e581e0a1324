//! Redis/Valkey Cluster client core: `no_std`, no alloc, sans-IO.
//!
//! slotwise parses RESP, hashes keys to slots, keeps the slot map, splits and merges pipelines, walks a whole
//! cluster with SCAN, routes sharded pub/sub and manages connections. It never touches a socket, a clock, a
//! random number generator or an allocator: bytes, time and seeds come in as arguments, decisions go out as values.
//!
//! The rooms, from the bottom layer up; a module imports only from its own room or from a lower layer:
//!
//! | layer | room | what lives there |
//! |---|---|---|
//! | 0 | [`time`] [`rand`] [`limits`] [`ids`] [`addr`] | instants, seeded PCG, parser limits, identifiers, addresses |
//! | 1 | [`resp`] | resumable RESP2/RESP3 parser, frames, tokens, encoder |
//! | 1 | [`slot`] | CRC16, hash tags, slots, ranges and sets |
//! | 2 | [`command`] | command table, key extraction, routes and policies |
//! | 2 | [`server_error`] | error replies, redirects, was-it-executed |
//! | 3 | [`topology`] | nodes, slot map, reply readers, refresh |
//! | 4 | [`pipeline`] | splitter, reorder, merge, retry decision |
//! | 4 | [`scan`] | cluster-wide SCAN with slot coverage |
//! | 4 | [`pubsub`] | wanted and actual subscriptions |
//! | 5 | [`connection`] | handshake, timeouts, back-off |
//! | 6 | [`cluster`] | the engine over all of the above |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

#[cfg(test)]
extern crate std;

mod fmt;

pub mod addr;
pub mod ids;
pub mod limits;
pub mod rand;
pub mod time;

pub mod resp;
pub mod slot;

pub mod command;
pub mod server_error;

pub mod topology;

pub mod pipeline;
#[cfg(feature = "pubsub")]
pub mod pubsub;
#[cfg(feature = "scan")]
pub mod scan;

pub mod connection;

pub mod cluster;
