//! A deterministic simulation: clusters, networks and many clients around the shipping core, under one clock.
//!
//! One seed gives one run. The core under test is the crate as it ships; the servers are the model of
//! [`slotwise_std::mini::model`], which is itself held against real servers; everything between and around them is
//! here. See the module's parts: [`world`] has the clock and the queue of events, [`net`] the network, [`servers`] the
//! processes, [`drive`] the adapter, [`working`], [`scanning`], [`unlinking`] and [`subscribing`] the applications, [`faults`] what goes
//! wrong, [`check`] the promises, [`run`] the phases of a run.

pub mod belated;
pub mod bus;
pub mod bytes;
pub mod check;
pub mod client;
pub mod confusion;
pub mod dice;
pub mod disputes;
pub mod drive;
pub mod faults;
pub mod growth;
pub mod honest;
pub mod hostile;
pub mod kinds;
pub mod names;
pub mod net;
pub mod options;
pub mod prompting;
pub mod render;
pub mod report;
pub mod run;
pub mod scanning;
pub mod script;
pub mod servers;
pub mod serving;
pub mod shrink;
pub mod splitting;
pub mod stats;
pub mod storage;
pub mod subscribing;
pub mod trace;
pub mod unlinking;
pub mod upheavals;
pub mod wire;
pub mod working;
pub mod world;
