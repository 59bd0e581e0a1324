//! std driver of slotwise, the Redis/Valkey Cluster client core: a blocking client over one readiness loop, all
//! nodes in parallel.
//!
//! ```no_run
//! use slotwise_std::{Batch, Client};
//!
//! let mut client = Client::connect("redis://127.0.0.1:7000")?;
//!
//! let mut batch = Batch::new();
//! for user in 0..1_000 {
//!     batch.push(&["INCR", &format!("visits:{user}")]);
//! }
//! for (user, visits) in client.run(&batch)?.iter().enumerate() {
//!     println!("user {user}: {}", visits?);
//! }
//! # Ok::<(), slotwise_std::Error>(())
//! ```
//!
//! Every command ends exactly once: with a reply, with the server's error, or with an [`Error`] whose
//! [`outcome`](Error::outcome) says whether it ran.

mod batch;
mod channels;
mod client;
mod counters;
mod driver;
mod error;
mod merge;
#[cfg(feature = "mini-cluster")]
pub mod mini;
mod pipeline;
mod profile;
mod resolve;
mod results;
mod scan;
mod socket;
mod storage;
mod stream;
mod subscriber;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
pub mod tls;
mod topology;
pub mod url;
mod value;
mod work;

pub use batch::Batch;
pub use client::{Builder, Client};
pub use counters::Counters;
pub use error::{Error, ServerReply};
pub use pipeline::{Answer, Pipeline, Ticket};
pub use results::Results;
pub use scan::{Scan, ScanOptions, UnlinkOptions, UnlinkReport};
pub use subscriber::{Event, Message, Subscriber};
pub use topology::{NodeInfo, Topology};
pub use value::Value;

pub use slotwise;
pub use slotwise::cluster::{NodeCounters, NodeLoad, Notice};
