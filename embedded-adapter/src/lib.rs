//! Drivers of slotwise, the Redis/Valkey Cluster client core, for devices: `no_std`, no heap, all memory lent.
//!
//! - [`Transport`] is what a network stack has to offer: dial, receive, send, close, by connection index, never waiting.
//!   [`Streams`] makes one from `embedded-io` streams that can say whether they are ready; features bring one for
//!   smoltcp (`smoltcp`, with `smoltcp-ipv6` and `smoltcp-dns`) and for `embedded-nal` stacks (`nal`).
//! - [`Clock`] is the time since some epoch.
//! - [`Work`] is the application: it hands in commands and their bytes by tag, and gets replies.
//! - [`Buffers`] is the memory, [`Driver`] joins it all to an engine. [`Driver::drive`] does a bounded number of steps,
//!   so that a main loop with a watchdog can call it between other duties.
#![cfg_attr(
    feature = "async",
    doc = "- [`Driver::run`] is the same as a future, over [`AsyncStreamSet`]; the feature `nal-async` has one for `embedded-nal-async`."
)]
#![cfg_attr(not(feature = "async"), doc = "- With the feature `async` there is also a driver that is a future.")]
//!
//! [`guide`] is for who builds this into a device: choosing capacities, a memory map, what happens when something is
//! full, seeds, clocks, watchdogs, sleeping, TLS.
//!
//! # An example
//!
//! A server that knows three answers stands in for the network.
//!
//! ```
//! use slotwise::addr::NodeAddr;
//! use slotwise::cluster::{Cluster, Config, Env, StaticStorage};
//! use slotwise::command::{self, CommandSpec};
//! use slotwise::connection::Settings;
//! use slotwise::ids::{CommandId, ConnId};
//! use slotwise::pipeline::Failure;
//! use slotwise::resp::encode;
//! use slotwise::time::Instant;
//! use slotwise_embedded::{At, Dial, Driver, Moved, Piece, Reply, StaticBuffers, Transport, Work, copy_command};
//!
//! /// What the server says to what it was sent.
//! const TALK: [(&[u8], &[u8]); 4] = [
//!     (b"HELLO", b"%1\r\n$5\r\nproto\r\n:3\r\n"),
//!     (b"MYID", b"$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
//!     (
//!         b"SLOTS",
//!         b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
//!     ),
//!     (b"GET", b"$4\r\n21.5\r\n"),
//! ];
//!
//! #[derive(Default)]
//! struct Wire {
//!     answers: std::collections::VecDeque<u8>,
//! }
//!
//! impl Transport for Wire {
//!     fn dial(&mut self, _: ConnId, _: &str, _: u16) -> Dial {
//!         Dial::Open
//!     }
//!     fn recv(&mut self, _: ConnId, buf: &mut [u8]) -> Moved {
//!         let count = buf.len().min(self.answers.len());
//!         buf.iter_mut().zip(self.answers.drain(..count)).for_each(|(to, byte)| *to = byte);
//!         if count == 0 { Moved::WouldBlock } else { Moved::Bytes(count) }
//!     }
//!     fn send(&mut self, _: ConnId, bytes: &[u8]) -> Moved {
//!         // A write may hold several commands.
//!         for word in bytes.split(|byte| *byte == b'\n') {
//!             let word = word.trim_ascii_end();
//!             TALK.iter().filter(|(ask, _)| *ask == word).for_each(|(_, answer)| self.answers.extend(*answer));
//!         }
//!         Moved::Bytes(bytes.len())
//!     }
//!     fn close(&mut self, _: ConnId) {}
//! }
//!
//! /// One command, and where its answer goes.
//! struct Reading {
//!     command: [&'static str; 2],
//!     spec: Option<CommandSpec>,
//!     value: Option<u64>,
//! }
//!
//! impl Work for Reading {
//!     fn next_command(&mut self, _: &At<'_>) -> Option<CommandSpec> {
//!         self.spec
//!     }
//!     fn submitted(&mut self, _: u64, _: Result<CommandId, slotwise::cluster::SubmitError>) {
//!         self.spec = None;
//!     }
//!     fn encode(&mut self, _: u64, offset: usize, out: &mut [u8]) -> usize {
//!         copy_command(&self.command, offset, out)
//!     }
//!     fn reply(&mut self, _: &At<'_>, _: u64, reply: Reply<'_>) {
//!         self.value = reply.frame.bytes().map(|text| text.len() as u64);
//!     }
//!     fn token(&mut self, _: &At<'_>, _: u64, _: Piece<'_>) {}
//!     fn failed(&mut self, _: &At<'_>, _: u64, failure: Failure) {
//!         panic!("{failure:?}");
//!     }
//! }
//!
//! let seeds = [NodeAddr::new("127.0.0.1", 7000)?];
//! let env = Env::new(&Settings::DEFAULT, &seeds);
//! let mut cluster = Cluster::new(Config::new(0x5eed), StaticStorage::<4, 64, 128, 4, 32, 32>::new());
//! let mut buffers = StaticBuffers::<4, 1024, 256>::new();
//! let mut driver = Driver::new(&mut cluster, env, buffers.lend())?;
//!
//! let command = ["GET", "temperature"];
//! let len = encode::encoded_len(&command)?;
//! let spec = command::analyse(&command::FULL, &command)?.spec(len as u32)?;
//! let mut reading = Reading { command, spec: Some(spec), value: None };
//!
//! let mut wire = Wire::default();
//! let start = std::time::Instant::now();
//! let mut clock = || Instant::from_micros(start.elapsed().as_micros() as u64);
//! while reading.value.is_none() {
//!     let driven = driver.drive(&mut clock, &mut wire, &mut reading, 100);
//!     // A device would feed its watchdog here, and sleep until `driven.wake` or an interrupt if `driven.idle`.
//! #   assert!(start.elapsed().as_secs() < 10, "{driven:?}");
//! }
//! assert_eq!(reading.value, Some(4));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "async")]
mod asynch;
mod buffers;
mod driver;
#[doc = include_str!("guide.md")]
pub mod guide {}
#[cfg(any(feature = "smoltcp", feature = "nal", feature = "nal-async"))]
mod literal;
#[cfg(feature = "nal")]
mod nal;
#[cfg(feature = "nal-async")]
mod nal_async;
#[cfg(feature = "smoltcp")]
mod smoltcp_set;
mod steps;
mod streams;
mod transport;
mod work;

#[cfg(feature = "async")]
pub use asynch::{Alarm, AsyncStreamSet};
pub use buffers::{BufferError, Buffers, Lane, MIN_RX, StaticBuffers};
pub use driver::{Driven, Driver};
#[cfg(feature = "nal")]
pub use nal::{Literals, NalSet, Names, StackDns};
#[cfg(feature = "nal-async")]
pub use nal_async::{NalConnections, NoDns};
#[cfg(feature = "smoltcp")]
pub use smoltcp_set::{SmoltcpNet, SmoltcpSet, smoltcp_time};
pub use streams::{StreamSet, Streams};
pub use transport::{Clock, Dial, Moved, Transport};
pub use work::{At, Piece, Reply, Work, copy_bytes, copy_command};

pub use slotwise;
